"""A claim: "the derivative of this output by that input is this formula"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradcheck.errors import ShapeError
from gradcheck.functions import Environment, Function, Recurrence, State, Step, trajectory
from gradcheck.language.expression import Expression, Meaning
from gradcheck.language.leibniz import Link
from gradcheck.language.vocabulary import WORDS

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A derivative written as one expression; `links` are the other claims' formulas it uses."""

    expression: Expression
    links: Mapping[str, Written] = field(default_factory=dict)

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
class RecurrentFormula:
    """A derivative carried along a recurrence, judged at every step.

    `recurrence` updates the function's states and every derivative declared for it together;
    `name` is this one among them, `derivatives` says what each of them is the derivative of.
    """

    recurrence: Recurrence
    name: str
    derivatives: Mapping[str, Link]
    links: Mapping[str, Written] = field(default_factory=dict)
    is_pointwise: ClassVar = False

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
        output, input = (meaning.shape(values[name]) or () for name in link)
        return as_jacobian(start, output, input, meaning)


Written = Formula | RecurrentFormula


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The derivative of `output` by `input`, with each way it was written down.

    `quantity` is the reader's name of it. `steps` lead from input to output, `formula_steps` to
    all that the formulas read. A claim without formulas is there for its published value.
    """

    quantity: str
    output: str
    input: str
    formulas: tuple[Written, ...]
    steps: tuple[Step | Recurrence, ...]
    formula_steps: tuple[Step | Recurrence, ...]
    line: int

    @property
    def is_stepwise(self) -> bool:
        """Whether the output is a recurrent state at every step."""
        return self.output.endswith("[t]")

    @classmethod
    def of(cls, function: Function, link: Link, formulas: tuple[Written, ...], line: int) -> Claim:
        """The claim that `formulas` are the derivative that `link` names, in a function."""
        recurrent = any(isinstance(formula, RecurrentFormula) for formula in formulas)
        output = trajectory(link.output) if recurrent else link.output
        reads = {name for formula in formulas for name in formula.reads}
        return cls(
            str(Link(output, link.input)),
            output,
            link.input,
            formulas,
            function.between(link.input, {output}),
            function.between(link.input, reads),
            line,
        )


def as_jacobian(
    value: Any,
    output: Shape,
    input: Shape,
    meaning: Meaning,
) -> Any:
    """A hand-written value in the shape `output + input`; its own shape says what it is.

    A value has the shape of the Jacobian itself; the input's, where the output has one element (a
    gradient); the output's, where the input has one; or that of both, where they have the same
    shape (elementwise: the diagonal). A plain number fills a gradient, or is the diagonal. Nothing
    else broadcasts, since that would hide a forgotten sum.

    Raises:
        ShapeError: The value is none of these.
    """
    jacobian = [*output, *input]
    single = math.prod(output) == 1 or math.prod(input) == 1
    if isinstance(value, tuple):
        raise ShapeError(f"{len(value)} results, {_wanted(output, input)}")
    if isinstance(value, list):
        value = meaning.tensor(value)
    shape = meaning.shape(value)
    if shape is None:
        if single or value == 0:
            return _times(value, meaning.call(WORDS["ones"], [jacobian], {}), meaning)
        if output == input:
            identity = meaning.call(WORDS["eye"], [], {"n": math.prod(output)})
            return _times(value, _reshape(identity, jacobian, meaning), meaning)
        raise ShapeError(f"a number, {_wanted(output, input)}")
    if shape == (*output, *input):
        return value
    if single and shape in _one_element_shapes(output, input):
        return _reshape(value, jacobian, meaning)
    if shape == output == input:
        diagonal = meaning.call(WORDS["diag"], [_reshape(value, [-1], meaning)], {})
        return _reshape(diagonal, jacobian, meaning)
    raise ShapeError(f"shape {list(shape)}, {_wanted(output, input)}")


def contracted(value: Any, output: Shape, input: Shape, cotangent: Any, direction: Any) -> Any:
    """u · J d of the Jacobian that a hand-written value is (see `as_jacobian`), not forming it.

    `value` is a tensor or a number; u (m,) and d (n,) are flat.

    Raises:
        ShapeError: The value is no derivative's.
    """
    shape = tuple(getattr(value, "shape", ())) if hasattr(value, "shape") else None
    single = math.prod(output) == 1 or math.prod(input) == 1
    if shape is None and (single or value == 0):
        return cotangent.sum() * (direction * value).sum()
    if shape is None and output == input:
        return cotangent @ (direction * value)
    if shape == (*output, *input):
        return cotangent @ (value.reshape(len(cotangent), len(direction)) @ direction)
    if single and shape in _one_element_shapes(output, input):
        flat = value.reshape(-1)
        at_output = flat @ direction if math.prod(output) == 1 else flat * direction
        return (cotangent * at_output).sum()
    if shape is not None and shape == output == input:
        return cotangent @ (value.reshape(-1) * direction)
    found = "a number" if shape is None else f"shape {list(shape)}"
    raise ShapeError(f"{found}, {_wanted(output, input)}")


def _one_element_shapes(output: Shape, input: Shape) -> list[tuple[int, ...]]:
    shapes = []
    if math.prod(output) == 1:
        shapes.append(input)
    if math.prod(input) == 1:
        shapes.append(output)
    return shapes


def _wanted(output: Shape, input: Shape) -> str:
    if math.prod(output) == 1:
        return f"but the gradient has the input's shape {list(input)}"
    wanted = f"but the Jacobian has shape {[*output, *input]}"
    if output == input:
        wanted += f" and an elementwise derivative {list(output)}"
    elif math.prod(input) == 1:
        wanted += f" or, by one number, {list(output)}"
    return wanted


def _reshape(value: Any, shape: list[int], meaning: Meaning) -> Any:
    return meaning.call(WORDS["reshape"], [value], {"shape": shape})


def _times(number: Any, value: Any, meaning: Meaning) -> Any:
    return meaning.call(WORDS["mul"], [value, number], {})


def _reads(names: Iterable[str], links: Mapping[str, Written]) -> frozenset[str]:
    through = {name for formula in links.values() for name in formula.reads}
    return frozenset(names) - frozenset(links) | through


def _add_links(links: Mapping[str, Written], scope: Environment, meaning: Meaning) -> None:
    for name, formula in links.items():
        if name not in scope:
            scope[name] = formula.evaluate(scope, meaning)
