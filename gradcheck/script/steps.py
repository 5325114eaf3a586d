"""A function's steps and recurrences as statements in Python, those that are needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence

from gradcheck.functions import Recurrence, Step, trajectory
from gradcheck.language.expression import Expression
from gradcheck.script.layout import fitted, function, source
from gradcheck.script.loops import Carried, Kept, Loop, loop_lines
from gradcheck.script.terms import Term, named
from gradcheck.script.translate import Scope, Translator
from gradcheck.script.variables import Values

Statements = Sequence[Step | Recurrence]


def history(state: str) -> str:
    """The name of a recurrent state at all steps from its start on; no user's name."""
    return f"{state}[:]"


class Steps:
    """Writes what computes values from values."""

    def __init__(self, values: Values, translator: Translator) -> None:
        self.values = values
        self.translator = translator

    def lines(
        self, steps: Statements, wanted: Collection[str], scope: MutableMapping[str, Term]
    ) -> list[str]:
        """Statements for those of the steps that the wanted values need, in order."""
        needed = set(wanted)
        plan: list[tuple[Step | Recurrence, set[str]]] = []
        for step in reversed(steps):
            here = needed & {*step.writes, *map(history, step.names)}
            if here:
                needed = (needed - here) | reads(step, here)
                plan.append((step, here))
        return [line for step, here in reversed(plan) for line in self._step(step, here, scope)]

    def function(
        self, name: str, parameters: Mapping[str, str], steps: Statements, end: str
    ) -> str:
        """A function that computes the value `end` by the steps.

        `parameters` are the names of values, with those of the variables.
        """
        self.values.is_moving = self.translator.is_moving = True
        scope = self.values.inner()
        for key, variable in parameters.items():
            scope[key] = named(variable, self.values.environment[key])
        lines = self.lines(steps, {end}, scope)
        result = source(self.translator.counted(scope[end]).python)
        self.values.is_moving = self.translator.is_moving = False
        if lines and lines[-1].startswith(f"{result} = "):
            lines, result = lines[:-1], lines[-1].removeprefix(f"{result} = ")
        return function(f"{name}({', '.join(parameters.values())})", [*lines, f"return {result}"])

    def start(self, expression: Expression, scope: Scope) -> Term:
        """A value that stays a number where it is one: what a loop starts from, say."""
        term = self.translator.value(expression, scope)
        return self.translator.tensor(term) if term.is_list else term

    def count(self, recurrence: Recurrence) -> str:
        """The number of a recurrence's steps; formulas of it have sizes alone."""
        return source(self.translator.value(recurrence.steps, self.values).python)

    def _step(
        self, step: Step | Recurrence, wanted: Collection[str], scope: MutableMapping[str, Term]
    ) -> list[str]:
        if isinstance(step, Recurrence):
            return self._recurrence(step, wanted, scope)
        term = self.translator.tensor(self.translator.value(step.expression, scope))
        name = self.values.name(step.name)
        if step.name in step.reads:  # in Python a name is a function's own, or it is none
            name = self.values.name(f"{name}(moved)")
        scope[step.name] = named(name, term.value)
        return [fitted(f"{name} = ", term.python)]

    def _recurrence(
        self, step: Recurrence, wanted: Collection[str], scope: MutableMapping[str, Term]
    ) -> list[str]:
        """A loop, with lists of what is wanted at every step."""
        values = self.values
        index = self._index(step)
        carried, lists = [], list[tuple[str, Kept]]()
        for state in step.states:
            if state.name not in closure(_states(step, wanted), step):
                continue
            variable, name = values.name(state.name), step.added.get(state.name)
            added = f"{source(scope[name].python)}[{index}]" if name else ""
            start = self.start(state.start, scope)
            carried.append(Carried(state.name, variable, start, state.next, added))
            every, whole = trajectory(state.name), history(state.name)
            if every in wanted:
                lists.append((every, Kept(values.name(every), variable)))
            if whole in wanted:
                lists.append((whole, Kept(values.name(whole), variable, variable)))
        kept = [one for _, one in lists]
        steps = f"range({self.count(step)})"
        full = [one.key for one in carried if history(one.key) in wanted]
        loop = Loop(index, steps, step.index, 0, carried, kept=kept)
        lines = loop_lines(self.translator, loop, scope, full)
        for name in (*(one.key for one in carried), *(name for name, _ in lists)):
            scope[name] = values.variable(name)
        return [*lines, *(f"{one.variable} = torch.stack({one.variable})" for one in kept)]

    def _index(self, step: Recurrence) -> str:
        if step.index is not None:
            return self.values.name(step.index)
        return self.values.names.fresh("t") if step.added else "_"


def reads(step: Step | Recurrence, wanted: Iterable[str]) -> set[str]:
    """What of other values these of the values of a step need."""
    if not isinstance(step, Recurrence):
        return set(step.reads)
    names = closure(_states(step, wanted), step)
    states = [state for state in step.states if state.name in names]
    inside = {name for state in states for name in state.next.names}
    outside = {name for state in states for name in state.start.names}
    added = {name for state, name in step.added.items() if state in names}
    return (inside - {*step.names, step.index or ""}) | outside | {*step.steps.names} | added


def closure(names: Collection[str], step: Recurrence) -> set[str]:
    """The states that some need at the next step, themselves too."""
    found: set[str] = set()
    wanted = set(names)
    while wanted:
        found |= wanted
        read = {n for state in step.states if state.name in wanted for n in state.next.names}
        wanted = (read & set(step.names)) - found
    return found


def _states(step: Recurrence, wanted: Iterable[str]) -> set[str]:
    """The states of which these values are."""
    known = set(wanted)
    return {name for name in step.names if known & {name, trajectory(name), history(name)}}
