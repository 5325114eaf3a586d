"""A claim: "the derivative of this output by that input is this formula"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradcheck.functions import Environment, Function, Recurrence, State, Step, trajectory
from gradcheck.jacobians import Shape, as_jacobian
from gradcheck.language.expression import Expression, Meaning
from gradcheck.language.leibniz import Link
from gradcheck.language.vocabulary import WORDS
from gradcheck.lines import PassFormula


class _WithLinks:
    """A formula that takes other claims' formulas: `links`, by name."""

    __slots__ = ()
    links: Mapping[str, Linked]

    @property
    def key(self) -> object:
        """What it is known by that others take: its formula, of which there may be several uses."""
        raise NotImplementedError

    @property
    def uses(self) -> Mapping[str, object]:
        """The keys of the hand-written derivatives that it takes, by name."""
        found: dict[str, object] = {name: formula.key for name, formula in self.links.items()}
        for formula in self.links.values():
            found |= formula.uses
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Formula(_WithLinks):
    """A derivative written as one expression; `links` are the other claims' formulas it uses."""

    expression: Expression
    links: Mapping[str, Linked] = field(default_factory=dict)
    is_stepwise: ClassVar = False

    @property
    def key(self) -> object:
        return self.expression

    @property
    def text(self) -> str:
        return self.expression.text

    @property
    def line(self) -> int:
        return self.expression.line

    @property
    def reads(self) -> frozenset[str]:
        """The values of the function that it takes, by itself and through its links."""
        return _reads(self.expression.names, self.links)

    @property
    def is_pointwise(self) -> bool:
        """Whether it works entry by entry, its links included."""
        return self.expression.is_pointwise and all(f.is_pointwise for f in self.links.values())

    def evaluate(self, scope: Environment, meaning: Meaning) -> Any:
        """The value as written; the links' values are added to `scope`.

        Raises:
            EvaluationError: It has no value there.
        """
        _add_links(self.links, scope, meaning)
        return self.expression.evaluate(scope, meaning)

    def jacobian(self, scope: Environment, output: Shape, input: Shape, meaning: Meaning) -> Any:
        """The value as the Jacobian, of shape `output + input`.

        Raises:
            EvaluationError: It has no value there.
            ShapeError: Its value has no shape of a derivative.
        """
        return as_jacobian(self.evaluate(scope, meaning), output, input, meaning)


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentFormula(_WithLinks):
    """A derivative carried along a recurrence, judged at every step.

    `recurrence` updates the function's states and every derivative declared for it together;
    `name` is this one among them, `derivatives` says what each of them is the derivative of.
    """

    recurrence: Recurrence
    name: str
    derivatives: Mapping[str, Link]
    links: Mapping[str, Linked] = field(default_factory=dict)
    is_pointwise: ClassVar = False
    is_stepwise: ClassVar = True

    @property
    def key(self) -> object:
        return self._state.next

    @property
    def _state(self) -> State:
        return next(state for state in self.recurrence.states if state.name == self.name)

    @property
    def text(self) -> str:
        return f"start: {self._state.start.text}, next: {self._state.next.text}"

    @property
    def line(self) -> int:
        return self._state.next.line

    @property
    def reads(self) -> frozenset[str]:
        return _reads(self.recurrence.reads, self.links)

    def evaluate(self, scope: Environment, meaning: Meaning) -> Any:
        """The value after the last step, which is what the link means to other formulas."""
        return self.evaluate_steps(scope, meaning)[-1]

    def evaluate_steps(self, scope: Environment, meaning: Meaning) -> list[Any]:
        """The value as written, after each step."""
        _add_links(self.links, scope, meaning)

        def expand(starts: Environment) -> Environment:
            values = {**scope, **{name: meaning.tensor(v) for name, v in starts.items()}}
            return {
                name: self._start(name, start, values, meaning) for name, start in starts.items()
            }

        return self.recurrence.unroll(scope, meaning, expand)[self.name]

    def jacobian(self, scope: Environment, output: Shape, input: Shape, meaning: Meaning) -> Any:
        """The values as the Jacobian of the state at every step; see `Formula.jacobian`."""
        steps = self.evaluate_steps(scope, meaning)
        jacobians = [as_jacobian(step, output[1:], input, meaning) for step in steps]
        return meaning.call(WORDS["stack"], [jacobians], {})

    def _start(self, name: str, start: Any, values: Environment, meaning: Meaning) -> Any:
        """A derivative that starts as a plain number starts in the derivative's full shape."""
        link = self.derivatives.get(name)
        if link is None or meaning.shape(start) is not None:
            return start
        output, input = (meaning.shape(values[name]) or () for name in link[:2])
        return as_jacobian(start, output, input, meaning)


Linked = Formula | RecurrentFormula
Written = Linked | PassFormula


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The derivative of `output` by `input`, with each way it was written down.

    `quantity` is the reader's name of it. `steps` lead from input to output, `formula_steps` to
    all that the formulas read; neither computes what is `held`. A claim without formulas is there
    for its published value.
    """

    quantity: str
    output: str
    input: str
    formulas: tuple[Written, ...]
    steps: tuple[Step | Recurrence, ...]
    formula_steps: tuple[Step | Recurrence, ...]
    line: int
    held: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[str, ...]:
        """The values that it is the derivative of, and by, and those that are held."""
        return self.output, self.input, *self.held

    @property
    def is_stepwise(self) -> bool:
        """Whether the output is a recurrent state at every step."""
        return self.output.endswith("[t]")

    @classmethod
    def of(cls, function: Function, link: Link, formulas: tuple[Written, ...], line: int) -> Claim:
        """The claim that `formulas` are the derivative that `link` names, in a function."""
        recurrent = any(formula.is_stepwise for formula in formulas)
        output = trajectory(link.output) if recurrent else link.output
        reads = {name for formula in formulas for name in formula.reads}
        return cls(
            str(Link(output, link.input, link.held)),
            output,
            link.input,
            formulas,
            function.between(link.input, {output}, link.held),
            function.between(link.input, reads, link.held),
            line,
            link.held,
        )


def _reads(names: Iterable[str], links: Mapping[str, Linked]) -> frozenset[str]:
    through = {name for formula in links.values() for name in formula.reads}
    return frozenset(names) - frozenset(links) | through


def _add_links(links: Mapping[str, Linked], scope: Environment, meaning: Meaning) -> None:
    for name, formula in links.items():
        if name not in scope:
            scope[name] = formula.evaluate(scope, meaning)
