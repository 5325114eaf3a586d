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
LARGE: Final = 2.0**10
LARGE_OF_HALF: Final = 2.0**4
"""Times a vector, to see whether something large is treated in another way."""
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


class Mode(Whole):
    """A Jacobian of torch's, and whether the passes that gave it are one linear map.

    A pass with a random vector v, of cotangents or of tangents, is v · J or v · Jᵀ.
    """

    name: str
    given: str
    _function: PythonFunction

    @cached_property
    def random(self) -> Array:
        """The vector of all entries of what a pass is given."""
        return np.concatenate([*self._random, np.zeros(0)])

    @cached_property
    def rounded_pass(self) -> Ball:
        """What a pass gives for that, with what rounding may have done to it, measured."""
        return _measured(self._again, self._pass, self._function.dtype)

    @cached_property
    def _random(self) -> Sequence[Array]:
        """Of each input or output, in as many digits as its dtype has."""
        drawn = _signed(tuple(leaf.count for leaf in self._leaves))
        return [_held_by(*pair) for pair in zip(self._leaves, drawn, strict=True)]

    @cached_property
    def _pass(self) -> Tensor:
        raise NotImplementedError

    def _again(self) -> Tensor:
        """The same pass, of a new evaluation."""
        raise NotImplementedError

    @property
    def _leaves(self) -> Sequence[Leaf]:
        """The outputs or inputs that a pass is given a vector of."""
        raise NotImplementedError

    def _lying(self, jacobian: Array) -> Array:
        """The matrix that v is multiplied with."""
        raise NotImplementedError

    def _strays(self, resolution: float) -> str:
        """Why a pass is not the product, if rounding does not explain it.

        What rounding takes from it beyond the resolution, though float64 or float32 have that, is
        more than rounding.
        """
        if not self._differ_by_rounding():
            return (
                f"the {self.name} is not linear in its {self.given}: a pass with random "
                f"{self.given}s is not their product with the Jacobian"
            )
        is_wide = self._function.dtype in (torch.float64, torch.float32)
        loss = self._loss() if is_wide else 0.0
        if loss <= resolution:
            return ""
        return (
            f"the {self.name} rounds its {self.given} to fewer digits than its dtype has: a pass "
            f"with random ones is off their product with the Jacobian by {loss:.2g} of its size"
        )

    @property
    def _matrix(self) -> Array:
        return self._lying(rounding.to_array(self.found))

    def _loss(self) -> float:
        """How far a pass is off the product, relative to the largest sum of its terms' sizes.

        Terms that are less than rounding does to any of them have no size.
        """
        jacobian, v = self._matrix, self.random
        radius = self.rounded.radius
        noise = radius.max(initial=0.0, where=np.isfinite(radius))
        known = np.where(np.abs(jacobian) > noise, np.abs(jacobian), 0.0)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(v @ jacobian - rounding.to_array(self._pass))
            size = np.abs(v) @ known
        is_finite = np.isfinite(apart) & np.isfinite(size)
        largest = size.max(initial=0.0, where=is_finite)
        return float(apart.max(initial=0.0, where=is_finite) / largest) if largest else 0.0

    def _is_product(self) -> bool:
        jacobian, v, found = self._matrix, self.random, rounding.to_array(self._pass)
        unit, smallest = rounding.precision_of(self._function.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            slack = UNITS * (unit * (np.abs(v) @ np.abs(jacobian)) + smallest)
            apart = np.abs(v @ jacobian - found)
        # What is not finite says nothing of sums.
        return bool((~np.isfinite(slack) | (apart <= slack)).all())

    def _differ_by_rounding(self) -> bool:
        """Whether rounding, as it is measured, explains what the two are apart."""
        jacobian, v, single = self._matrix, self.random, self.rounded_pass
        with np.errstate(invalid="ignore"):
            apart = np.abs(v @ jacobian - single.midpoint)
            # A single pass is measured for far less than the Jacobian.
            if (~np.isfinite(apart) | (apart <= RADII * single.radius)).all():
                return True
            radius = np.abs(v) @ self._lying(self.rounded.radius) + single.radius
        return bool((~np.isfinite(apart) | (apart <= RADII * radius)).all())


class Reverse(Mode):
    """torch's Jacobian in reverse mode."""

    name, given = "backward", "cotangent"

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

        Where a batched pass does not, the Jacobian is found anew, row by row.
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
        return self._strays(resolution)

    def _lying(self, jacobian: Array) -> Array:
        return jacobian

    @property
    def _leaves(self) -> Sequence[Leaf]:
        return self._function.outputs

    def _again(self) -> Tensor:
        return self._function.tracked().vjp(self._cotangents())

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


class Forward(Mode):
    """torch's Jacobian in forward mode. Raises what torch raises."""

    name, given = "jvp", "tangent"

    def __init__(self, function: PythonFunction) -> None:
        self._function = function
        self.found = forward_mode.jacobian(function)

    @cached_property
    def rounded(self) -> Ball:
        function = self._function
        return _measured(lambda: forward_mode.jacobian(function), self.found, function.dtype)

    def nonlinearity(self, resolution: float) -> str:
        """Why passes with random tangents, and such of other sizes, are not products, if not."""
        if not self._is_product() and (problem := self._strays(resolution)):
            return problem
        size = LARGE if self._function.dtype in (torch.float64, torch.float32) else LARGE_OF_HALF
        scaled = next((times for times in (size, 1 / size) if not self._scales(times)), None)
        if scaled is None:
            return ""
        return (
            f"the jvp is not linear in its tangent: for {scaled:g}·t, divided by {scaled:g}, it "
            "gives another one"
        )

    def _lying(self, jacobian: Array) -> Array:
        return jacobian.T

    @property
    def _leaves(self) -> Sequence[Leaf]:
        return self._function.inputs

    @cached_property
    def _pass(self) -> Tensor:
        return self._again()

    def _again(self) -> Tensor:
        return self._pushed(1.0)

    def _pushed(self, times: float) -> Tensor:
        entries = torch.from_numpy(times * self.random).to(self._function.device)
        return forward_mode.pushforward(self._function, entries)

    def _scales(self, times: float) -> bool:
        """Whether the tangent is as many times as large where the given one is."""
        found, wanted = (rounding.to_array(one) for one in (self._pushed(times), self._pass))
        unit, smallest = rounding.precision_of(self._function.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            slack = UNITS * (unit * np.abs(self.random) @ np.abs(self._matrix) + smallest / times)
            apart = np.abs(found / times - wanted)
        if (~np.isfinite(slack) | ~np.isfinite(found) | (apart <= slack)).all():
            return True
        return bool((apart <= RADII * self.rounded_pass.radius + slack).all())


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
