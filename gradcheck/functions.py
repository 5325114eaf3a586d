"""What is differentiated: ordered steps and recurrences, cut open at any named value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.errors import EvaluationError, TooManyStepsError
from gradcheck.language.expression import Expression, Meaning, Scope
from gradcheck.language.parser import MAX_COST
from gradcheck.language.tree import Name
from gradcheck.language.vocabulary import WORDS

Environment = dict[str, Any]
"""The values of names at a point."""


def trajectory(state: str) -> str:
    """The name of a recurrent state at all steps, stacked: shape [steps, ...]; no user's name."""
    return f"{state}[t]"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """name: expression."""

    name: str
    expression: Expression

    @property
    def names(self) -> tuple[str, ...]:
        """What it gives to formulas."""
        return (self.name,)

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(self.expression.names)

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def words(self) -> frozenset[str]:
        """The names of the words that it uses."""
        return self.expression.words

    def run(self, environment: Environment, meaning: Meaning) -> None:
        environment[self.name] = meaning.tensor(self.expression.settle(environment, meaning))


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A value that a recurrence carries: `next` sees every state as it was before the step."""

    name: str
    start: Expression
    next: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """States updated together, `steps` times; `index` names the number of the step, from 0.

    `added` names, for some states, a value whose items are added to the state step by step.
    """

    steps: Expression
    index: str | None
    states: tuple[State, ...]
    added: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What it gives to formulas: the states after the last step."""
        return tuple(state.name for state in self.states)

    @property
    def reads(self) -> frozenset[str]:
        inner = {state.name for state in self.states} | {self.index}
        inside = {name for state in self.states for name in state.next.names} - inner
        outside = {name for state in self.states for name in state.start.names}
        return frozenset(inside | outside | {*self.steps.names, *self.added.values()})

    @property
    def writes(self) -> tuple[str, ...]:
        return (*self.names, *(trajectory(name) for name in self.names))

    @property
    def words(self) -> frozenset[str]:
        """The names of the words that it uses."""
        used = (expression.words for s in self.states for expression in (s.start, s.next))
        return frozenset().union(*used)

    @property
    def cost(self) -> int:
        """Operations of one step."""
        return sum(1 + state.next.cost for state in self.states)

    def run(self, environment: Environment, meaning: Meaning) -> None:
        """Adds each state's last value and its trajectory to the environment."""
        for name, values in self.unroll(environment, meaning).items():
            environment[name] = values[-1]
            shapes = list(dict.fromkeys(meaning.shape(value) for value in values))
            if len(shapes) > 1:
                before, after = (list(shape or ()) for shape in shapes[:2])
                raise EvaluationError(f"the state `{name}` changes shape from {before} to {after}")
            environment[trajectory(name)] = meaning.call(WORDS["stack"], [values], {})

    def unroll(
        self,
        environment: Environment,
        meaning: Meaning,
        expand: Callable[[Environment], Environment] | None = None,
    ) -> dict[str, list[Any]]:
        """Every state's value after each step; `expand` may give the starts another shape.

        Raises:
            EvaluationError: `steps` is not a whole number from 1, or a formula has no value.
        """
        values = {state.name: state.start.evaluate(environment, meaning) for state in self.states}
        values = expand(values) if expand else values
        passed: dict[str, list[Any]] = {name: [] for name in values}
        scope = dict(environment)
        for step in range(self.count(environment, meaning)):
            scope.update(values)
            if self.index is not None:
                scope[self.index] = step
            values = {
                state.name: meaning.tensor(state.next.evaluate(scope, meaning))
                for state in self.states
            }
            for name, added in self.added.items():
                item = meaning.index(environment[added], (step,))
                values[name] = meaning.call(WORDS["add"], [values[name], item], {})
            for name, value in values.items():
                passed[name].append(value)
        return passed

    def count(self, environment: Scope, meaning: Meaning) -> int:
        """How many steps there are.

        Raises:
            EvaluationError: It is not a whole number from 1, or too many.
        """
        count = self.steps.evaluate(environment, meaning)
        if not isinstance(count, int) or count < 1:
            raise EvaluationError(f"`steps` is a whole number from 1, not {count}")
        if count * self.cost > MAX_COST:
            raise TooManyStepsError(f"{count:,} steps take more than {MAX_COST:,} operations")
        return count


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """Ordered steps from given values to an output.

    `given` are the inputs and constants; `out` is another name for the output.
    """

    given: tuple[str, ...]
    steps: tuple[Step | Recurrence, ...]
    output: str
    named_steps: tuple[Step | Recurrence, ...] = field(init=False)
    """The steps, and one that gives the output its other name."""

    def __post_init__(self) -> None:
        steps = self.steps
        if self.output != "out":
            output = Expression(self.output, Name(0, len(self.output), self.output))
            steps = (*steps, Step("out", output))
        object.__setattr__(self, "named_steps", steps)

    @property
    def values(self) -> tuple[str, ...]:
        """The names of all that is computed, in order."""
        return tuple(name for step in self.steps for name in step.names)

    def run(self, given: Scope, meaning: Meaning) -> Environment:
        """The values of all names at a point.

        Raises:
            EvaluationError: A step has no value there.
        """
        environment = dict(given)
        for step in self.named_steps:
            step.run(environment, meaning)
        return environment

    def between(
        self, start: str, ends: Collection[str], held: Collection[str] = ()
    ) -> tuple[Step | Recurrence, ...]:
        """The steps that lead from the value `start` to any of `ends`, in order; see `between`.

        The graph is cut at the values in `held` too.
        """
        steps = self.named_steps
        if held:
            steps = tuple(step for step in steps if not set(held).intersection(step.writes))
        return between(steps, start, ends)


def between(
    steps: Sequence[Step | Recurrence], start: str, ends: Collection[str]
) -> tuple[Step | Recurrence, ...]:
    """Those of some steps that lead from the value `start` to any of `ends`, in order.

    The graph is cut at `start`: the step that computes it is not among them.
    """
    reached = {start}
    affected = []
    for step in steps:
        if start not in step.writes and step.reads & reached:
            reached.update(step.writes)
            affected.append(step)
    wanted = set(ends)
    needed = []
    for step in reversed(affected):
        if wanted.intersection(step.writes):
            wanted |= step.reads
            needed.append(step)
    return tuple(reversed(needed))


def _is_number(value: Any) -> bool:
    """Whether it is a plain number or a value without dimensions."""
    return getattr(value, "ndim", -1) == 0 or isinstance(value, (int, float))


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The part of a function from the value `start` to the value `end`, at a point.

    `held` are the values of names at the point: those that `steps` do not compute keep them.
    """

    steps: tuple[Step | Recurrence, ...]
    start: str
    end: str
    held: Environment

    def run(self, value: Any, meaning: Meaning) -> Environment:
        """The values of all names when `start` has this one."""
        environment = {**self.held, self.start: value}
        for step in self.steps:
            step.run(environment, meaning)
        return environment

    @property
    def is_pointwise(self) -> bool:
        """Whether it makes a number of a number, entry by entry of as many as it is given."""
        for step in self.steps:
            if not isinstance(step, Step) or not step.expression.is_pointwise:
                return False
            if not self.are_numbers(step.expression.names):
                return False
        return self.are_numbers((self.start,))

    def are_numbers(self, names: Iterable[str]) -> bool:
        """Whether at the point the values of these names are single numbers."""
        held = self.held
        return all(name in held and _is_number(held[name]) for name in names)

    def value(self, value: Any, meaning: Meaning) -> Any:
        """The value of `end` when `start` has this one."""
        return self.run(value, meaning)[self.end]
