"""What a Python function must equal: a formula, or another function, of the same inputs.

Its values and its Jacobian are the truth: proven where it is a formula that ball arithmetic can
evaluate, else its own in float64, the Jacobian by numeric differentiation. So a function that has
no float64 is judged in the dtypes that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils import _pytree

from gradcheck.ball import Array, Ball
from gradcheck.casefile.case import COMPLEX
from gradcheck.claims import Claim
from gradcheck.errors import ShapeError
from gradcheck.function_answers import Block, Reverse, blocks
from gradcheck.function_truths import FunctionTruths
from gradcheck.functions import Function
from gradcheck.language.leibniz import Link
from gradcheck.leaves import Leaf, is_differentiable, widened
from gradcheck.oracles import exact, rounding
from gradcheck.oracles.differences import Effort
from gradcheck.oracles.exact import DeclinedError
from gradcheck.place import Place
from gradcheck.python_function import PythonFunction
from gradcheck.sparse import dense
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.truths import Truths, too_large

NAME: Final = "reference"
"""What reports call its answers."""


class FormulaFunction:
    """The steps of a function as a Python function of values by name, in their dtype.

    Values of other names than those that it is given make no difference.

    What `detach` yields at the first call, which is at the point, is a constant from then on.
    """

    def __init__(
        self,
        function: Function,
        outputs: Sequence[str],
        sizes: Mapping[str, int],
        device: torch.device,
    ) -> None:
        self.__name__ = NAME
        self._function = function
        self._outputs = outputs
        self._sizes = sizes
        self._device = device
        self._constants: list[Tensor] | None = None

    def __call__(self, **values: Any) -> tuple[Any, ...]:
        values = {
            name: dense(one) if isinstance(one := values[name], Tensor) else one
            for name in self._function.given
        }
        dtypes = [value.dtype for value in values.values() if is_differentiable(value)]
        dtype = max(dtypes, key=lambda one: (one.is_complex, torch.finfo(one).bits))
        meaning = TorchMeaning(dtype, self._device, self._constants)
        found = self._function.run({**self._sizes, **values}, meaning)
        if self._constants is None:
            self._constants = meaning.detached
        return tuple(found[name] for name in self._outputs)


class Reference:
    """The truth of a function at a point.

    `arguments` are what `function` is given, `place` is where it is a formula, with these `outputs`
    of it.

    Raises:
        ShapeError: It has other outputs than the function that is checked.
        Exception: What it raises.
    """

    def __init__(
        self,
        function: Callable[[], Callable[..., Any]],
        arguments: Any,
        of: PythonFunction,
        *,
        place: Place | None = None,
        outputs: Sequence[str] = (),
        subgradient: bool = False,
    ) -> None:
        self._make, self._arguments = function, arguments
        self._place, self._names = place, outputs
        self._truths = None if place is None else Truths(place)
        self._subgradient = subgradient
        self.function = self._made(of)
        self._blocks = blocks(self.function)
        self._check_outputs(of.outputs)

    def _made(self, of: PythonFunction) -> PythonFunction:
        """It in float64, or, where it raises there, in the dtypes of the inputs."""
        try:
            return PythonFunction(self._make(), _widened(self._arguments), masked=of.masked)
        except Exception:
            if of.dtype is torch.float64:
                raise
            return PythonFunction(self._make(), self._arguments, masked=of.masked)

    def _check_outputs(self, outputs: Sequence[Leaf]) -> None:
        own = self.function.outputs
        if len(own) != len(outputs):
            raise ShapeError(f"it has {len(outputs)} outputs, but the reference has {len(own)}")
        for leaf, other in zip(outputs, own, strict=True):
            if leaf.entries_shape != other.entries_shape:
                found = f"{leaf.name} has shape {list(leaf.entries_shape)}"
                raise ShapeError(f"{found}, but the reference's has {list(other.entries_shape)}")

    def value(self, output: int) -> Ball:
        """The value of an output."""
        leaf = self.function.outputs[output]
        if self._place is not None:
            try:
                return _exact_value(self._place, self._names[output])
            except DeclinedError:
                pass
        rows = rows_of(self.function.outputs)[output]
        measured = self._measured_value
        shape = leaf.entries_shape
        midpoint, radius = measured.midpoint[rows], measured.radius[rows]
        return Ball(midpoint.reshape(shape), radius.reshape(shape), measured.basis)

    @cached_property
    def _measured_value(self) -> Ball:
        return _measured_value(self.function)

    def rounded_value(self) -> Ball:
        """Its value (m,) in the dtype of the inputs, with what rounding may have done to it."""
        return _measured_value(self.narrow)

    @cached_property
    def narrow(self) -> PythonFunction:
        """It in the dtype of the inputs."""
        return PythonFunction(self._make(), self._arguments, masked=self.function.masked)

    def rounding_of(self, block: Block) -> Array:
        """How far rounding moves each entry of its Jacobian in the dtype of the inputs."""
        return block.of(self._rounding)

    @cached_property
    def _rounding(self) -> Array:
        return Reverse(self.narrow).rounded.radius

    def compressed(self, block: Block) -> Ball | None:
        """The Jacobian of a block where it is proven, or known by few evaluations."""
        proven = self._proven(block)
        return self._numeric.compressed(self._own(block)) if proven is None else proven

    def of(self, block: Block, effort: Effort, column: int | None = None) -> Ball:
        """The Jacobian of a block; see `FunctionTruths.of`."""
        proven = self._proven(block)
        return self._numeric.of(self._own(block), effort, column) if proven is None else proven

    def knows(self, block: Block) -> bool:
        """Whether it is a function of that input: not of a module's parameters, say."""
        place = block.rows, block.columns, block.shape
        return any((one.rows, one.columns, one.shape) == place for one in self._blocks)

    def _own(self, block: Block) -> Block:
        """The reference's block that stands where this does."""
        return next(b for b in self._blocks if (b.rows, b.columns) == (block.rows, block.columns))

    @cached_property
    def _numeric(self) -> FunctionTruths:
        nonzero = rounding.to_array(Reverse(self.function).found) != 0
        return FunctionTruths(self.function, nonzero, subgradient=self._subgradient)

    def _proven(self, block: Block) -> Ball | None:
        key = block.rows.start, block.columns.start, block.shape
        if key not in self._found:
            self._found[key] = self._asked(block)
        return self._found[key]

    @cached_property
    def _found(self) -> dict[Any, Ball | None]:
        return {}

    def _asked(self, block: Block) -> Ball | None:
        place, truths = self._place, self._truths
        if place is None or truths is None or place.dtype in COMPLEX:
            return None
        if too_large(block.output.count, block.input.count):
            return None
        own = self._own(block)
        output = self._names[self.function.outputs.index(own.output)]
        claim = Claim.of(place.case.function, Link(output, own.input.name), (), 0)
        try:
            return truths.exact(claim).ball()
        except DeclinedError:
            return None


def _measured_value(function: PythonFunction) -> Ball:
    found = rounding.repeated(function.value, function.known_value)
    return rounding.measure(found, function.dtype)


def _exact_value(place: Place, name: str) -> Ball:
    """Raises DeclinedError where ball arithmetic cannot tell."""
    if place.dtype in COMPLEX:
        raise DeclinedError("complex numbers")
    function = place.case.function
    names = (*place.case.sizes, *function.given)
    given = {one: place.exact_environment[one] for one in names}
    return exact.value(function, given, name, lambda: place.size(name) or 1.0).ball()


def rows_of(outputs: Sequence[Leaf]) -> list[slice]:
    ends = accumulate((leaf.count for leaf in outputs), initial=0)
    return [slice(*pair) for pair in pairwise(ends)]


def _widened(arguments: Any) -> Any:
    def wide(value: Any) -> Any:
        if not is_differentiable(value):
            return value
        found = value.detach().to(widened(value.dtype))
        return found.requires_grad_(value.requires_grad)

    return _pytree.tree_map(wide, arguments)
