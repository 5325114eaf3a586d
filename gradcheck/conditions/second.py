"""Conditions on a second derivative: that of v·g along a direction of the inputs and cotangents.

g(x, u) is the gradient for the cotangent u. d/dh v·g(x + h·d, u + h·e) at 0 is held against central
differences of g, and, where those do not agree, against the numeric oracle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradcheck.ball import Ball
from gradcheck.conditions.backward import nodes_of
from gradcheck.conditions.subject import RADII, NotApplicableError, Subject
from gradcheck.leaves import NAMES
from gradcheck.oracles import rounding
from gradcheck.oracles.numeric import Curve, slopes
from gradcheck.python_function import PythonFunction
from gradcheck.user_code import account_of

STEP: Final[dict[torch.dtype, float]] = {torch.float64: 2.0**-15, torch.float32: 2.0**-7}
"""Of the size of an input, in units of which differences are off by its square."""
NEAR: Final[dict[torch.dtype, float]] = {torch.float64: 1e-6, torch.float32: 1e-3}
"""How near, relative to the size of what is summed, differences have to be."""


def double_backward(subject: Subject) -> Iterator[str]:
    yield from _held(subject, _reverse, "reverse over reverse")


def forward_over_reverse(subject: Subject) -> Iterator[str]:
    yield from _held(subject, _forward, "forward over reverse")


class _Line:
    """v·g(x + h·d, u + h·e) of a function, in float64 where it has that."""

    def __init__(self, subject: Subject) -> None:
        at = subject.at.widened() or subject.at
        if at.dtype not in STEP:
            raise NotApplicableError(f"differences in {NAMES[at.dtype]} do not tell")
        if any(at.are_captured) or any(leaf.sparse for leaf in at.inputs):
            raise NotApplicableError("its inputs are sparse, or it reads them from around it")
        self.at: PythonFunction = at
        own = Subject(at)
        self.cotangents = own.cotangents
        self.seen = _random_like(at.fresh(), 1)
        self.inward = [
            d * _scale(x) for d, x in zip(_random_like(at.fresh(), 2), at.fresh(), strict=True)
        ]
        self.outward = own.drawn(4)

    def moved(self, h: float) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs and the cotangents at h."""
        inputs = [x + h * d for x, d in zip(self.at.fresh(), self.inward, strict=True)]
        return inputs, [u + h * e for u, e in zip(self.cotangents, self.outward, strict=True)]

    def gradients(
        self, inputs: Sequence[Tensor], cotangents: Sequence[Tensor], *, create_graph: bool
    ) -> Sequence[Tensor | None]:
        with torch.enable_grad():
            graph = self.at.recorded_from(inputs, [x.clone() for x in inputs])
            return torch.autograd.grad(
                graph.tracked, inputs, cotangents, create_graph=create_graph, allow_unused=True
            )

    def sum(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """v·g."""
        pairs = zip(self.seen, gradients, strict=True)
        parts = [_dot(v, g) for v, g in pairs if g is not None]
        return torch.stack(parts).sum() if parts else torch.zeros((), dtype=torch.float64)

    def value(self, h: float) -> float:
        inputs, cotangents = self.moved(h)
        tracked = [x.requires_grad_() for x in inputs]
        return float(self.sum(self.gradients(tracked, cotangents, create_graph=False)))

    @cached_property
    def central(self) -> float:
        """The derivative by central differences."""
        h = STEP[self.at.dtype]
        return (self.value(h) - self.value(-h)) / (2 * h)

    @cached_property
    def truth(self) -> Ball:
        """The derivative by the numeric oracle."""

        def values(steps: Tensor) -> Tensor:
            return torch.tensor([self.value(float(h)) for h in steps], dtype=torch.float64)

        def again() -> Tensor:
            return torch.tensor(self.value(0.0), dtype=torch.float64)

        return slopes([Curve(0.0, values, rounding.repeated(again))])[0]


def _random_like(tensors: Sequence[Tensor], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [_random(tensor, generator) for tensor in tensors]


def _random(tensor: Tensor, generator: torch.Generator) -> Tensor:
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    drawn = torch.randn(tensor.shape, generator=generator, dtype=wide)
    return drawn.to(tensor.device, tensor.dtype)


def _scale(tensor: Tensor) -> float:
    """The power of two nearest to half the root mean square; 1 where that is 0."""
    size = float(tensor.abs().to(torch.float64).square().mean().sqrt()) / 2 if tensor.numel() else 0
    return 2.0 ** round(math.log2(size)) if 0 < size < math.inf else 1.0


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Re Σ conj(a)·b, in double precision."""
    product = a.conj() * b
    real = product.real if product.is_complex() else product
    return real.sum(dtype=torch.float64)


_REFUSAL: Final = "torch::autograd::Error"
"""What torch puts in the graph of an `once_differentiable` gradient. It raises where it is reached,
but a gradient by given inputs does not reach it: for those it is as if nothing depended on them."""

Second = Callable[[_Line], tuple[float, float]]
"""The derivative of v·g along the line, and the size of what is summed for it."""


def _held(subject: Subject, second: Second, how: str) -> Iterator[str]:
    line = _line(subject)
    found, size = second(line)
    try:
        central = line.central
    except Exception as error:
        raise NotApplicableError(f"it raises near the point: {account_of(error)}") from None
    size = max(size, abs(found), abs(central))
    if abs(found - central) <= NEAR[line.at.dtype] * size:
        return
    try:
        truth = line.truth
    except Exception as error:
        raise NotApplicableError(f"it raises near the point: {account_of(error)}") from None
    radius = float(truth.radius)
    if not math.isfinite(radius):
        raise NotApplicableError("its numeric derivative is not known")
    slack = rounding.FLOOR * 16 * rounding.precision_of(line.at.dtype)[0] * size
    apart = abs(found - float(truth.midpoint))
    if not apart <= 2 * radius + slack and not apart <= RADII * _rounding(line, second):
        yield (
            f"the derivative of the gradient, {how}, is wrong along a random direction: "
            f"{found:.6g} against {float(truth.midpoint):.6g} ± {radius:.1e}"
        )
    elif radius > NEAR[line.at.dtype] * size:
        raise NotApplicableError("its numeric derivative is known too roughly")


def _rounding(line: _Line, second: Second) -> float:
    """What rounding does to the derivative that is judged, as it is measured."""

    def again() -> Tensor:
        return torch.tensor(second(line)[0], dtype=torch.float64)

    return float(rounding.measure(rounding.repeated(again), line.at.dtype).radius)


def _line(subject: Subject) -> _Line:
    if not hasattr(subject, "_second_line"):
        subject._second_line = _Line(subject)  # type: ignore[attr-defined]
    line: _Line = subject._second_line  # type: ignore[attr-defined]
    return line


def _reverse(line: _Line) -> tuple[float, float]:
    inputs = [x.requires_grad_() for x in line.at.fresh()]
    cotangents = [u.clone().requires_grad_() for u in line.cotangents]
    try:
        gradients = line.gradients(inputs, cotangents, create_graph=True)
        total = line.sum(gradients)
        if not total.requires_grad:
            raise NotApplicableError("it has no double backward, and says so")
        if any(node.name() == _REFUSAL for node in nodes_of([total], most=math.inf)):
            raise NotApplicableError("a part of it is once differentiable, and says so")
        found = torch.autograd.grad(total, [*inputs, *cotangents], allow_unused=True)
    except RuntimeError as error:
        raise NotApplicableError(f"it has no double backward: {account_of(error)}") from None
    pairs = zip(found, [*line.inward, *line.outward], strict=True)
    parts = [(_dot(s, d), _size(s, d)) for s, d in pairs if s is not None]
    return sum(float(one) for one, _ in parts), sum(size for _, size in parts)


def _size(a: Tensor, b: Tensor) -> float:
    return float((a.abs() * b.abs()).to(torch.float64).square().sum().sqrt())


def _forward(line: _Line) -> tuple[float, float]:
    try:
        with forward_ad.dual_level():
            inputs = [_dual(*pair) for pair in zip(line.at.fresh(), line.inward, strict=True)]
            cotangents = [_dual(*pair) for pair in zip(line.cotangents, line.outward, strict=True)]
            gradients = line.gradients(inputs, cotangents, create_graph=True)
            tangents = [None if g is None else _tangent(g) for g in gradients]
    except Exception as error:
        raise NotApplicableError(f"it has no forward mode: {account_of(error)}") from None
    found = float(line.sum(tangents))
    pairs = zip(line.seen, tangents, strict=True)
    return found, sum(_size(v, t) for v, t in pairs if t is not None)


def _dual(value: Tensor, tangent: Tensor) -> Tensor:
    dual: Any = forward_ad.make_dual(value.requires_grad_(), tangent)  # type: ignore[no-untyped-call]
    result: Tensor = dual
    return result


def _tangent(gradient: Tensor) -> Tensor | None:
    found: Tensor | None = forward_ad.unpack_dual(gradient).tangent  # type: ignore[no-untyped-call]
    return found
