"""What is held against the truth of a Python function: torch's Jacobian and what a user wrote."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.errors import ShapeError
from gradcheck.jacobians import as_jacobian
from gradcheck.leaves import Leaf
from gradcheck.oracles import forward_mode, rounding
from gradcheck.place import CPU
from gradcheck.python_function import PythonFunction
from gradcheck.torch_meaning import TorchMeaning

UNITS: Final = 64.0
"""Half units in the last place of what is summed, within which two sums are the same."""
RADII: Final = 10.0
"""How many measured radii two answers may differ by before they are two."""
_SEED: Final = 20_231


@dataclass(frozen=True, slots=True)
class Block:
    """Where the derivative of one output by one input stands in the whole Jacobian."""

    output: Leaf
    input: Leaf
    rows: slice
    columns: slice

    @property
    def quantity(self) -> str:
        return f"d{self.output.name}/d{self.input.name}"

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.output.entries_shape, *self.input.entries_shape)

    def of(self, whole: Array) -> Array:
        """The block of an array (m, n)."""
        return whole[self.rows, self.columns].reshape(self.shape)

    def ball(self, whole: Ball) -> Ball:
        return Ball(self.of(whole.midpoint), self.of(whole.radius), whole.basis, whole.notes)

    def column(self, index: tuple[int, ...]) -> int:
        """Which of the input's entries that is, flat."""
        shape = self.input.entries_shape
        own = index[len(self.output.entries_shape) :]
        return int(np.ravel_multi_index(own, shape)) if shape else 0

    def label(self, index: tuple[int, ...]) -> str:
        """`dout[1]/dx[0]`."""
        split = len(self.output.entries_shape)
        return f"d{self.output.label(index[:split])}/d{self.input.label(index[split:])}"


def blocks(function: PythonFunction) -> list[Block]:
    """One for each output and input, output by output."""
    found, row = [], 0
    for output in function.outputs:
        rows, column = slice(row, row + output.count), 0
        for input in function.inputs:
            found.append(Block(output, input, rows, slice(column, column + input.count)))
            column += input.count
        row += output.count
    return found


def backward_varies(spread: float) -> str:
    return (
        "the backward is not deterministic: two passes with one cotangent differ by up to "
        f"{spread:.2g}"
    )


class Answer(Protocol):
    """Somebody's answer to all that is asked of a function, block by block."""

    notes: tuple[str, ...]

    def of(self, block: Block) -> Array: ...

    def rounded_of(self, block: Block) -> Ball:
        """With what rounding may have done to it."""

    @property
    def widened(self) -> Answer | None:
        """That in float64; None where this is it, or where there is none that says the same."""


class Whole:
    """A whole Jacobian (m, n), whatever it comes from."""

    notes: tuple[str, ...] = ()
    found: Tensor

    def of(self, block: Block) -> Array:
        return block.of(rounding.to_array(self.found))

    def rounded_of(self, block: Block) -> Ball:
        return block.ball(self.rounded)

    @cached_property
    def rounded(self) -> Ball:
        """The Jacobian with what rounding may have done to it, measured."""
        raise NotImplementedError

    @cached_property
    def widened(self) -> Whole | None:
        return None


def ball_of(
    found: Array,
    truth: Ball,
    rounded: Callable[[], Ball],
    *,
    allowed: float,
    dtype: torch.dtype,
) -> Ball:
    """An answer with its error: what the truth tells of it, where that is sharp, else rounding.

    An answer outside of the truth's ball is told of by what rounding may have done to it; where
    that is more than is `allowed`, but explains the distance, by the distance itself.
    """
    apart = truth.distance_to(found)
    near = Ball(found, apart + truth.radius, truth.basis)
    if not (near.radius + truth.radius <= allowed).all():
        return rounded()
    if (apart <= truth.radius + rounding.floor(found, dtype)).all():
        return near
    limit = rounded()
    is_sharp = (limit.radius + truth.radius <= allowed).all()
    is_explained = (apart <= limit.radius + truth.radius).all()
    return near if is_explained and not is_sharp else limit


def _measured(evaluate: Callable[[], Tensor], found: Tensor, dtype: torch.dtype) -> Ball:
    """What was found, with what rounding may have done to it."""
    return rounding.measure(rounding.repeated(evaluate, found), dtype)


class Reverse(Whole):
    """torch's Jacobian in reverse mode, and whether its backward passes are one linear map."""

    def __init__(self, function: PythonFunction) -> None:
        self._function = function
        self._graph = function.graph
        self.found = self._graph.jacobian()

    @cached_property
    def rounded(self) -> Ball:
        def again() -> Tensor:
            return self._function.tracked().jacobian()

        return _measured(again, self.found, self._function.dtype)

    @cached_property
    def widened(self) -> Reverse | None:
        wide = self._function.widened()
        return None if wide is None or wide is self._function else Reverse(wide)

    def spread(self) -> tuple[float, float]:
        """How far two backward passes with one cotangent differ, and the size of a gradient."""
        return rounding.spread(self._pass, self._graph.vjp(self._cotangents()))

    def nonlinearity(self, resolution: float) -> str:
        """Why a pass with random cotangents is not their product with the Jacobian, if it is not.

        Where a batched pass does not, the Jacobian is found anew, row by row. What rounding takes
        from it beyond the resolution, though float64 or float32 have that, is more than rounding.
        """
        if self._is_product():
            return ""
        alone = self._graph.jacobian(together=False)
        if not torch.equal(alone, self.found):
            self.found = alone
            if self._is_product():
                self.notes = (
                    "a batched backward pass gives another Jacobian than single ones do, which "
                    "were looked at",
                )
                return ""
        if not self._differ_by_rounding():
            return (
                "the backward is not linear in its cotangent: a pass with random cotangents is "
                "not their product with the Jacobian"
            )
        is_wide = self._function.dtype in (torch.float64, torch.float32)
        loss = self._loss() if is_wide else 0.0
        return "" if loss <= resolution else _few_digits(loss)

    def _loss(self) -> float:
        """How far a pass is off the product, relative to the largest sum of its terms' sizes.

        Terms that are 0 but for rounding have no size.
        """
        jacobian, u = rounding.to_array(self.found), self.random
        known = np.where(np.abs(jacobian) > self.rounded.radius, np.abs(jacobian), 0.0)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(u @ jacobian - rounding.to_array(self._pass))
            size = np.abs(u) @ known
        is_finite = np.isfinite(apart) & np.isfinite(size)
        largest = size.max(initial=0.0, where=is_finite)
        return float(apart.max(initial=0.0, where=is_finite) / largest) if largest else 0.0

    @cached_property
    def random(self) -> Array:
        """A random cotangent of all outputs' entries (m,)."""
        return np.concatenate([*self._random, np.zeros(0)])

    @cached_property
    def rounded_pass(self) -> Ball:
        """The gradient (n,) for that, with what rounding may have done to it, measured."""

        def again() -> Tensor:
            return self._function.tracked().vjp(self._cotangents())

        return _measured(again, self._pass, self._function.dtype)

    @cached_property
    def _random(self) -> Sequence[Array]:
        """Of each output, in as many digits as its dtype has."""
        leaves = self._function.outputs
        drawn = _signed(tuple(leaf.count for leaf in leaves))
        return [_held_by(*pair) for pair in zip(leaves, drawn, strict=True)]

    def _cotangents(self) -> list[Tensor]:
        """New ones each time: a backward may write into them."""
        pairs = zip(self._graph.outputs, self._graph.output_leaves, self._random, strict=True)
        return [
            leaf.tensor(torch.from_numpy(u).to(output.device), leaf.dtype)
            for output, leaf, u in pairs
            if output.requires_grad
        ]

    @cached_property
    def _pass(self) -> Tensor:
        return self._graph.vjp(self._cotangents())

    def _is_product(self) -> bool:
        jacobian, u = rounding.to_array(self.found), self.random
        found = rounding.to_array(self._pass)
        unit, smallest = rounding.precision_of(self._function.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            slack = UNITS * (unit * (np.abs(u) @ np.abs(jacobian)) + smallest)
            apart = np.abs(u @ jacobian - found)
        # What is not finite says nothing of sums.
        return bool((~np.isfinite(slack) | (apart <= slack)).all())

    def _differ_by_rounding(self) -> bool:
        """Whether rounding, as it is measured, explains what the two are apart."""
        found, u, single = rounding.to_array(self.found), self.random, self.rounded_pass
        with np.errstate(invalid="ignore"):
            apart = np.abs(u @ found - single.midpoint)
            # A single pass is measured for far less than the Jacobian.
            if (~np.isfinite(apart) | (apart <= RADII * single.radius)).all():
                return True
            radius = np.abs(u) @ self.rounded.radius + single.radius
        return bool((~np.isfinite(apart) | (apart <= RADII * radius)).all())


def _few_digits(loss: float) -> str:
    return (
        f"the backward rounds its cotangent to fewer digits than its dtype has: a pass with random "
        f"ones is off their product with the Jacobian by {loss:.2g} of its size"
    )


@functools.lru_cache(maxsize=64)
def _signed(counts: tuple[int, ...]) -> Sequence[Array]:
    """So many numbers each, of random sign × 0.5 … 1.5."""
    generator = np.random.RandomState(_SEED)
    return [
        generator.choice([-1.0, 1.0], count) * generator.uniform(0.5, 1.5, count)
        for count in counts
    ]


def _held_by(leaf: Leaf, entries: Array) -> Array:
    """Numbers as an output's dtype holds them."""
    return rounding.to_array(leaf.entries(leaf.tensor(torch.from_numpy(entries), leaf.dtype)))


class Forward(Whole):
    """torch's Jacobian in forward mode. Raises what torch raises."""

    def __init__(self, function: PythonFunction) -> None:
        self._function = function
        self.found = forward_mode.jacobian(function)

    @cached_property
    def rounded(self) -> Ball:
        function = self._function
        return _measured(lambda: forward_mode.jacobian(function), self.found, function.dtype)


class Handwritten:
    """A derivative that a user wrote: a value, or a function of the same arguments.

    Raises:
        ShapeError: It has no shape of this block's derivative.
        Exception: What the user's function raises.
    """

    notes: tuple[str, ...] = ()
    widened = None

    def __init__(self, block: Block, written: Any, function: PythonFunction) -> None:
        self._block, self._written, self._function = block, written, function
        self.found = self._value()

    def of(self, block: Block) -> Array:
        return rounding.to_array(self.found)

    def rounded_of(self, block: Block) -> Ball:
        return self.rounded

    @cached_property
    def rounded(self) -> Ball:
        dtype = self._function.dtype
        if not callable(self._written):
            found = rounding.to_array(self.found)
            radius = np.where(np.isfinite(found), rounding.floor(found, dtype), 0.0)
            return Ball(found, radius, "bounded")
        return _measured(self._value, self.found, dtype)

    def _value(self) -> Tensor:
        written = self._written
        value = self._function.like(written) if callable(written) else written
        output, input = self._block.output, self._block.input
        is_complex = output.dtype.is_complex or input.dtype.is_complex
        meaning = TorchMeaning(torch.complex128 if is_complex else torch.float64, CPU)
        value = _number_or_tensor(value)
        if not is_complex and _is_complex(value):
            raise ShapeError("complex numbers, but the derivative is real")
        jacobian = as_jacobian(value, tuple(output.shape), tuple(input.shape), meaning)
        if input.sparse is not None:
            flat = jacobian.reshape(*output.shape, -1)
            jacobian = flat[..., input.sparse.positions.cpu()]
        return _real(jacobian, output, input).reshape(self._block.shape)


def _number_or_tensor(value: Any) -> Any:
    if isinstance(value, (bool, int, float, complex)):
        return value
    return as_double(value)


def as_double(value: Any) -> Tensor:
    """A tensor, an array or nested lists of numbers as a dense tensor, in double precision."""
    plain = np.asarray(value) if isinstance(value, (list, tuple)) else value
    tensor = torch.as_tensor(plain).detach().cpu().resolve_conj()
    tensor = tensor if tensor.layout is torch.strided else tensor.to_dense()
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def _is_complex(value: Any) -> bool:
    return value.is_complex() if isinstance(value, Tensor) else isinstance(value, complex)


def _real(jacobian: Tensor, output: Leaf, input: Leaf) -> Tensor:
    """A Jacobian of numbers, some of them complex, as one of their real and imaginary parts.

    By a complex number a real output has torch's conjugate gradient, and a complex output the
    derivative of a holomorphic function.
    """
    if not output.dtype.is_complex and not input.dtype.is_complex:
        return jacobian
    parts = torch.view_as_real(jacobian.to(torch.complex128))
    if not (output.dtype.is_complex and input.dtype.is_complex):
        return parts if input.dtype.is_complex else parts.movedim(-1, len(output.shape))
    real, imaginary = parts.unbind(-1)
    rows = torch.stack([torch.stack([real, -imaginary], -1), torch.stack([imaginary, real], -1)], 0)
    return rows.movedim(0, len(output.shape))
