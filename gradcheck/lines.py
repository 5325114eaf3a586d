"""Hand-written passes: ordered lines that compute cotangents, or tangents, from those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gradcheck.errors import TooManyStepsError
from gradcheck.functions import Environment, Recurrence, State, Step, trajectory
from gradcheck.jacobians import Shape, as_jacobian
from gradcheck.language.expression import Expression, Meaning, Scope
from gradcheck.language.parser import MAX_COST
from gradcheck.language.vocabulary import WORDS


@dataclass(frozen=True, slots=True, eq=False)
class Line(Step):
    """name: expression; a plain number stays one, since it fills a gradient."""

    def run(self, environment: Environment, meaning: Meaning) -> None:
        environment[self.name] = self.expression.settle(environment, meaning)


HISTORIES: Final = "every state's values"
"""No name that a file can have: where they are known already."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Lines that are run at every step of a recurrence: from the last to the first, or forward.

    Inside, a state's name stands for all its values, from the start on: `h[t]` is the value before
    step t, `h[t + 1]` the one after it. What is carried has its last value afterwards, and, under
    the name of its trajectory, a list of its values: that of step t belongs to the state after it.
    """

    recurrence: Recurrence
    lines: tuple[Line | State, ...]
    is_reverse: bool

    @property
    def carried(self) -> tuple[State, ...]:
        return tuple(line for line in self.lines if isinstance(line, State))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(line.name for line in self.carried)

    @property
    def reads(self) -> frozenset[str]:
        inner = {line.name for line in self.lines} | {self.recurrence.index}
        inner |= set(self.recurrence.names)
        inside = {name for line in self.lines for name in repeated(line).names} - inner
        outside = {name for line in self.carried for name in line.start.names}
        return frozenset(inside | outside) | self.recurrence.reads

    @property
    def cost(self) -> int:
        """Operations of one step."""
        return sum(1 + repeated(line).cost for line in self.lines)

    def taken(self, name: str) -> set[str]:
        """What else that is carried one of the carried values takes, directly or through lines."""
        written = {line.name: set(repeated(line).names) for line in self.lines}
        found: set[str] = set()
        wanted = {name}
        while wanted:
            found |= wanted
            wanted = {n for w in wanted for n in written[w] if n in written} - found
        return (found & set(self.names)) - {name}

    def run(self, scope: Environment, meaning: Meaning) -> None:
        count = self.recurrence.count(scope, meaning)
        if count * self.cost > MAX_COST:
            raise TooManyStepsError(f"{count:,} steps take more than {MAX_COST:,} operations")
        values = {line.name: line.start.settle(scope, meaning) for line in self.carried}
        inside = {**scope, **(scope.get(HISTORIES) or self.histories(scope, meaning))}
        seen: list[Environment] = []
        for step in range(count - 1, -1, -1) if self.is_reverse else range(count):
            before = values
            inside.update(before)
            if self.recurrence.index is not None:
                inside[self.recurrence.index] = step
            values = {}
            for line in self.lines:
                found = repeated(line).settle(inside, meaning)
                (values if isinstance(line, State) else inside)[line.name] = found
            seen.append(before if self.is_reverse else values)
        scope.update(values)
        by_step = seen[::-1] if self.is_reverse else seen
        for name in values:
            scope[trajectory(name)] = [one[name] for one in by_step]

    def histories(self, scope: Scope, meaning: Meaning) -> Environment:
        """Every state's values from the start on, stacked: [steps + 1, ...]."""
        after = self.recurrence.unroll(dict(scope), meaning)
        return {
            state.name: _history(state.start.evaluate(scope, meaning), after[state.name], meaning)
            for state in self.recurrence.states
        }


def repeated(line: Line | State) -> Expression:
    """What is evaluated at every step."""
    return line.next if isinstance(line, State) else line.expression


def _history(start: Any, after: list[Any], meaning: Meaning) -> Any:
    if meaning.shape(start) != meaning.shape(after[0]):  # a number may start a vector
        zeros = meaning.call(WORDS["zeros_like"], [after[0]], {})
        start = meaning.call(WORDS["add"], [zeros, start], {})
    return meaning.call(WORDS["stack"], [[start, *after]], {})


Statement = Line | Sweep


@dataclass(frozen=True, slots=True, eq=False)
class PassFormula:
    """A line of a hand-written pass, which needs those of `before`, in order.

    `name` is what of it is meant, a trajectory for the values at every step. `given` are the names
    by which cotangents, or tangents, are called in lines, with those of their values.
    """

    before: tuple[Statement, ...]
    own: Statement
    name: str
    text: str
    line: int
    given: Mapping[str, str]
    is_pointwise: ClassVar = False

    @property
    def reads(self) -> frozenset[str]:
        """The values of the function, and the given ones, that it takes."""
        computed: set[str] = set()
        found: set[str] = set()
        for statement in (*self.before, self.own):
            found |= statement.reads - computed
            computed |= set(statement.names)
        return frozenset(self.given.get(name, name) for name in found)

    @property
    def key(self) -> object:
        """What a line is known by that others take."""
        return self.own, self.name.removesuffix("[t]")

    @property
    def uses(self) -> Mapping[str, object]:
        """The keys of lines that it takes, by name, those that it names itself first."""
        name = self.name.removesuffix("[t]")
        beside: set[str] = set()
        if isinstance(self.own, Sweep) and not self.is_stepwise:
            # Of states that need each other, neither is known to be the root.
            beside = self.own.taken(name)
        found: dict[str, object] = {other: (self.own, other) for other in sorted(beside)}
        wanted = set(self.own.reads)
        for statement in reversed(self.before):
            found = {n: (statement, n) for n in statement.names if n in wanted} | found
            wanted |= statement.reads
        return found

    @property
    def is_stepwise(self) -> bool:
        return self.name not in self.own.names

    def evaluate(self, scope: Environment, meaning: Meaning) -> Any:
        """The value as written; stepwise, a list of them.

        Raises:
            EvaluationError: It has no value there.
        """
        local = {**scope, **{name: scope[value] for name, value in self.given.items()}}
        for statement in (*self.before, self.own):
            statement.run(local, meaning)
        return local[self.name]

    def jacobian(self, scope: Environment, output: Shape, input: Shape, meaning: Meaning) -> Any:
        """The value as the derivative of shape `output + input`.

        Raises:
            EvaluationError: It has no value there.
            ShapeError: Its value has no shape of a derivative.
        """
        value = self.evaluate(scope, meaning)
        if not self.is_stepwise:
            return as_jacobian(value, output, input, meaning)
        # A cotangent is of the states that the derivative is by, a tangent of those it is of.
        of, by = (output, input[1:]) if _is_reverse(self.own) else (output[1:], input)
        steps = [as_jacobian(step, of, by, meaning) for step in value]
        return meaning.call(WORDS["stack"], [steps], {})


def _is_reverse(statement: Statement) -> bool:
    return isinstance(statement, Sweep) and statement.is_reverse
