"""The lines of a hand-written pass as statements in Python, those that are needed."""

from __future__ import annotations

from collections.abc import Iterable

from gradcheck.functions import Environment, trajectory
from gradcheck.lines import Line, PassFormula, Statement, Sweep, repeated
from gradcheck.script.layout import fitted, source
from gradcheck.script.loops import Carried, Computed, Kept, Loop, loop_lines
from gradcheck.script.shapes import shaped
from gradcheck.script.steps import Steps, history
from gradcheck.script.terms import Term, called, dotted, named
from gradcheck.script.variables import LocalScope


class Passes:
    """Writes lines of passes, each once; `shown` are all that will be asked for."""

    def __init__(self, steps: Steps, shown: Iterable[PassFormula]) -> None:
        self.steps = steps
        self.values = steps.values
        self.translator = steps.translator
        self._known: dict[int, dict[str, Term]] = {}
        self._wanted: dict[int, set[str]] = {}
        for formula in shown:
            self._demand(formula)

    def _demand(self, formula: PassFormula) -> None:
        """Notes what each statement has to give for a line."""
        wanted = {formula.name}
        for statement in reversed((*formula.before, formula.own)):
            here = wanted & {*statement.names, *map(trajectory, statement.names)}
            if here:
                self._wanted.setdefault(id(statement), set()).update(here)
                wanted = (wanted - here) | _reads(statement, here)

    def formula(self, formula: PassFormula) -> tuple[list[str], Term]:
        """The statements that are still needed for a line, and its value.

        Of what is judged at every step, the values are stacked.
        """
        environment = dict(self.values.environment)
        environment |= {name: environment[value] for name, value in formula.given.items()}
        scope = self.values.inner(formula.given)
        lines: list[str] = []
        for statement in (*formula.before, formula.own):
            statement.run(environment, self.translator.meaning)
            if id(statement) in self._wanted:
                lines += self._statement(statement, formula, environment, scope)
                scope.update(self._known[id(statement)])
        return lines, scope[formula.name]

    def _statement(
        self, statement: Statement, formula: PassFormula, after: Environment, scope: LocalScope
    ) -> list[str]:
        """A statement, after which names have these values; nothing where it is already there."""
        if id(statement) in self._known:
            return []
        if isinstance(statement, Sweep):
            return self._sweep(statement, formula, after, scope)
        term = self.translator.value(statement.expression, scope)
        name = self.values.names.fresh(statement.name)
        self._known[id(statement)] = {statement.name: named(name, term.value)}
        return [fitted(f"{name} = ", term.python)]

    def _sweep(
        self, sweep: Sweep, formula: PassFormula, after: Environment, scope: LocalScope
    ) -> list[str]:
        """A loop through a recurrence, in which a state's name is that of all its values."""
        recurrence, wanted = sweep.recurrence, self._wanted[id(sweep)]
        every = {name: history(name) for name in recurrence.names}
        inside = self.values.inner({**formula.given, **every})
        inside.update(scope.maps[0])
        carried = self._carried(sweep, scope)
        stepwise = [one for one in carried if trajectory(one.key) in wanted]
        kept = [self._kept(one, after) for one in stepwise]
        steps = f"range({self.steps.count(recurrence)})"
        count = recurrence.count(self.values.environment, self.translator.meaning)
        loop = Loop(
            self.values.name(recurrence.index) if recurrence.index else "_",
            f"reversed({steps})" if sweep.is_reverse else steps,
            recurrence.index,
            count - 1 if sweep.is_reverse else 0,
            carried,
            self._computed(sweep),
            keeps_numbers=True,
            kept=kept,
            kept_before=sweep.is_reverse,
        )
        found = {one.key: named(one.variable, after[one.key]) for one in carried}
        for one, listed in zip(stepwise, kept, strict=True):
            order = "[::-1]" if sweep.is_reverse else ""
            item = self.translator.counted(found[one.key]).value
            whole = self.translator.meaning.tensor([item] * count)
            stacked = called("torch.stack", dotted(listed.variable + order))
            found[trajectory(one.key)] = Term(stacked, whole)
        self._known[id(sweep)] = found
        return loop_lines(self.translator, loop, inside)

    def _carried(self, sweep: Sweep, scope: LocalScope) -> list[Carried]:
        """What is carried and needed; what is judged at every step has its shape from the start."""
        wanted = self._wanted[id(sweep)]
        needed, found = _needed(sweep, wanted), []
        for state in sweep.carried:
            if state.name in needed:
                start = self.steps.start(state.start, scope)
                if trajectory(state.name) in wanted and start.is_number:
                    shape = tuple(self.values.environment[state.name[1:]].shape)
                    start = shaped(self.translator, start, (), shape)
                variable = self.values.names.fresh(state.name, f"{state.name}_t")
                found.append(Carried(state.name, variable, start, state.next))
        return found

    def _computed(self, sweep: Sweep) -> list[Computed]:
        needed, fresh = _needed(sweep, self._wanted[id(sweep)]), self.values.names.fresh
        return [
            Computed(line.name, fresh(line.name), line.expression)
            for line in sweep.lines
            if isinstance(line, Line) and line.name in needed
        ]

    def _kept(self, carried: Carried, after: Environment) -> Kept:
        item = self.translator.counted(named(carried.variable, after[carried.key]))
        return Kept(self.values.names.fresh(f"{carried.variable}_at"), source(item.python))


def _needed(sweep: Sweep, wanted: Iterable[str]) -> set[str]:
    """The lines of a sweep that some of its values need, those that they carry too."""
    own = {line.name: set(repeated(line).names) for line in sweep.lines}
    found: set[str] = set()
    left = {name for name in sweep.names if {name, trajectory(name)} & set(wanted)}
    while left:
        found |= left
        left = {name for line in left for name in own[line] if name in own} - found
    return found


def _reads(statement: Statement, wanted: Iterable[str]) -> set[str]:
    """What of other lines and values these values of a statement need."""
    if not isinstance(statement, Sweep):
        return set(statement.reads)
    needed = _needed(statement, wanted)
    inside = {n for line in statement.lines if line.name in needed for n in repeated(line).names}
    starts = {name for one in statement.carried if one.name in needed for name in one.start.names}
    return (inside - needed) | starts
