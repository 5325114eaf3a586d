"""Derivatives that were written as formulas, which may take others, as statements in Python."""

from __future__ import annotations

from gradcheck.claims import Formula, Linked, RecurrentFormula
from gradcheck.jacobians import Shape
from gradcheck.script.layout import fitted, source
from gradcheck.script.loops import Carried, Kept, Loop, loop_lines
from gradcheck.script.shapes import shaped
from gradcheck.script.steps import Steps, closure
from gradcheck.script.terms import Term, called, dotted, named
from gradcheck.script.variables import LocalScope


class Links:
    """Writes formulas, each link that several of them take once."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.values = steps.values
        self.translator = steps.translator
        self._known: dict[object, Term] = {}

    def formula(self, formula: Formula, quantity: str) -> tuple[list[str], Term]:
        """The statements that are still needed for a formula, and its value."""
        known = self._known.get(_key(formula))
        if known is not None:
            return [], known
        scope = self.values.inner()
        lines = self._add_links(formula, scope)
        term = self.steps.start(formula.expression, scope)
        name = self.values.names.fresh(_variable(quantity))
        known = self._known[_key(formula)] = named(name, term.value)
        return [*lines, fitted(f"{name} = ", term.python)], known

    def stepwise(
        self, formula: RecurrentFormula, output: Shape, input: Shape
    ) -> tuple[list[str], Term]:
        """A loop that carries the derivative with the states, and its values, stacked."""
        scope = self.values.inner()
        lines = self._add_links(formula, scope)
        carried = self._carried(formula, scope)
        own = self._last(formula, carried)
        item = shaped(self.translator, own, output[1:], input)
        every = Kept(self.values.names.fresh(f"{source(own.python)}_at"), source(item.python))
        values = formula.evaluate_steps(dict(self.values.environment), self.translator.meaning)
        whole = self.translator.meaning.tensor([item.value] * len(values))
        lines += self._loop(formula, carried, scope, [every])
        return lines, Term(called("torch.stack", dotted(every.variable)), whole)

    def _link(self, formula: Linked, name: str) -> tuple[list[str], Term]:
        """A formula in the way that others take it."""
        if not isinstance(formula, RecurrentFormula):
            return self.formula(formula, name)
        known = self._known.get(_key(formula))
        if known is not None:
            return [], known
        scope = self.values.inner()
        lines = self._add_links(formula, scope)
        carried = self._carried(formula, scope)
        return [*lines, *self._loop(formula, carried, scope, [])], self._last(formula, carried)

    def _add_links(self, formula: Linked, scope: LocalScope) -> list[str]:
        lines = []
        for name, link in formula.links.items():
            needed, scope[name] = self._link(link, name)
            lines += needed
        return lines

    def _carried(self, formula: RecurrentFormula, scope: LocalScope) -> list[Carried]:
        """The states and the derivatives that one of them needs."""
        needed = closure({formula.name}, formula.recurrence)
        found = []
        for state in formula.recurrence.states:
            if state.name in needed:
                start = self.steps.start(state.start, scope)
                is_state = state.name not in formula.derivatives
                variable = (
                    self.values.name(state.name)
                    if is_state
                    else self.values.names.fresh(_variable(state.name))
                )
                start = start if is_state else self._in_full(formula, state.name, start)
                found.append(Carried(state.name, variable, start, state.next))
        return found

    def _in_full(self, formula: RecurrentFormula, name: str, start: Term) -> Term:
        """A derivative that starts as a plain number starts in its full shape."""
        if not start.is_number:
            return start
        link = formula.derivatives[name]
        environment = self.values.environment
        output, input = (tuple(environment[one].shape) for one in (link.output, link.input))
        return shaped(self.translator, start, output, input)

    def _last(self, formula: RecurrentFormula, carried: list[Carried]) -> Term:
        """The derivative after the last step."""
        variable = next(one.variable for one in carried if one.key == formula.name)
        value = formula.evaluate(dict(self.values.environment), self.translator.meaning)
        own = self._known[_key(formula)] = named(variable, value)
        return own

    def _loop(
        self, formula: RecurrentFormula, carried: list[Carried], scope: LocalScope, kept: list[Kept]
    ) -> list[str]:
        recurrence = formula.recurrence
        index = self.values.name(recurrence.index) if recurrence.index else "_"
        steps = f"range({self.steps.count(recurrence)})"
        loop = Loop(index, steps, recurrence.index, 0, carried, kept=kept)
        return loop_lines(self.translator, loop, scope)


def _key(formula: Linked) -> object:
    """What is known by the formula: that of a link is another object for each that takes it."""
    if isinstance(formula, RecurrentFormula):
        return formula.name
    return id(formula.expression)


def _variable(quantity: str) -> str:
    """`dz/dy` for dz/dy | u, as far as a name goes."""
    return quantity.partition(" |")[0]
