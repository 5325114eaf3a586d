"""Conditions on a second derivative: that of v·g along a direction of the inputs and cotangents.

g(x, u) is the gradient for the cotangent u. d/dh v·g(x + h·d, u + h·e) at 0 is held against a
difference of g, and, where that does not agree, against the numeric oracle.
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
from gradcheck.conditions.subject import (
    RADII,
    Gradients,
    NotApplicableError,
    Subject,
    largest,
    random_tensors,
)
from gradcheck.frames import account_of
from gradcheck.leaves import NAMES
from gradcheck.oracles import rounding
from gradcheck.oracles.numeric import Curve, slopes
from gradcheck.python_function import PythonFunction
from gradcheck.sparse import dense

STEP: Final[dict[torch.dtype, float]] = {torch.float64: 2.0**-26, torch.float32: 2.0**-11}
"""Of the size of an input: a difference is off by that, relatively, and by rounding over it."""
CENTRAL: Final[dict[torch.dtype, float]] = {torch.float64: 2.0**-18, torch.float32: 2.0**-8}
"""That of central differences, which are off by its square."""
NEAR: Final[dict[torch.dtype, float]] = {torch.float64: 1e-6, torch.float32: 1e-3}
"""How near, relative to the size of what is summed, differences have to be."""


def double_backward(subject: Subject) -> Iterator[str]:
    yield from _held(subject, _reverse, "reverse over reverse")
    yield from _same_with_graph(subject, _line(subject))


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
        self.is_tracked = True
        self.is_large = subject.is_large
        own = Subject(at)
        self.cotangents, self.outward = own.cotangents, own.drawn(4)
        self.inputs = at.fresh()
        self.seen = random_tensors(at.inputs, at.device, 5)
        directions = random_tensors(at.inputs, at.device, 6)
        pairs = zip(directions, self.inputs, strict=True)
        self.inward = [d.mul_(_scale(x)) for d, x in pairs]

    def gradients(
        self, inputs: Sequence[Tensor], cotangents: Sequence[Tensor], *, create_graph: bool
    ) -> Gradients:
        with torch.enable_grad():
            graph = self.at.recorded_from(inputs, [x.clone() for x in inputs])
            return torch.autograd.grad(
                graph.tracked, inputs, cotangents, create_graph=create_graph, allow_unused=True
            )

    def sum(self, gradients: Gradients) -> Tensor:
        """v·g."""
        pairs = zip(self.seen, gradients, strict=True)
        parts = [_dot(v, g).to(self.at.device) for v, g in pairs if g is not None]
        return torch.stack(parts).sum() if parts else torch.zeros((), dtype=torch.float64)

    def value(self, h: float) -> float:
        inputs = [torch.add(x, d, alpha=h) for x, d in zip(self.inputs, self.inward, strict=True)]
        pairs = zip(self.cotangents, self.outward, strict=True)
        cotangents = [torch.add(u, e, alpha=h) for u, e in pairs]
        tracked = [x.requires_grad_() for x in inputs]
        return float(self.sum(self.gradients(tracked, cotangents, create_graph=False)))

    @cached_property
    def at_the_point(self) -> float:
        return self.value(0.0)

    @cached_property
    def difference(self) -> float:
        """The derivative, to within h times the next one.

        Raises what the function raises nearby.
        """
        h = STEP[self.at.dtype]
        return (self.value(h) - self.at_the_point) / h

    @cached_property
    def central(self) -> float:
        """The derivative, by central differences."""
        return self._central(CENTRAL[self.at.dtype])

    def _central(self, h: float) -> float:
        return (self.value(h) - self.value(-h)) / (2 * h)

    @cached_property
    def truth(self) -> tuple[float, float]:
        """The derivative and how well it is known: by two differences, or the numeric oracle."""
        if self.is_large:
            finer = self._central(CENTRAL[self.at.dtype] / 4)
            return finer, 2 * abs(finer - self.central)
        ball = self._by_the_oracle()
        return float(ball.midpoint), float(ball.radius)

    def _by_the_oracle(self) -> Ball:
        def values(steps: Tensor) -> Tensor:
            return torch.tensor([self.value(float(h)) for h in steps], dtype=torch.float64)

        def again() -> Tensor:
            return torch.tensor(self.value(0.0), dtype=torch.float64)

        return slopes([Curve(0.0, values, rounding.repeated(again))])[0]


def _scale(tensor: Tensor) -> float:
    """The power of two nearest to half the root mean square; 1 where that is 0."""
    norm = float(torch.linalg.vector_norm(tensor.detach())) if tensor.numel() else 0.0
    size = norm / math.sqrt(max(1, tensor.numel())) / 2
    return 2.0 ** round(math.log2(size)) if 0 < size < math.inf else 1.0


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Re Σ conj(a)·b, in double precision."""
    wide = torch.complex128 if a.is_complex() else torch.float64
    product: Tensor = torch.linalg.vecdot(a.reshape(-1).to(wide), b.reshape(-1).to(wide))
    return product.real if product.is_complex() else product


_REFUSAL: Final = "torch::autograd::Error"
"""What torch puts in the graph of an `once_differentiable` gradient. It raises where it is reached,
but a gradient by given inputs does not reach it: for those it is as if nothing depended on them."""

_UNTRACKED: Final = (
    "torch does not track the backward, so that its derivative is silently 0 where this is a part "
    "of something larger: mark it with torch.autograd.function.once_differentiable, which raises"
)

Second = Callable[[_Line, bool], tuple[float, float]]
"""The derivative of v·g along the line, and the size of what is summed for it; unless `anew`, of
the evaluation at hand."""


def _held(subject: Subject, second: Second, how: str) -> Iterator[str]:
    line = _line(subject)
    found, size = second(line, False)
    try:
        rough = line.difference
    except Exception as error:
        raise NotApplicableError(f"it raises near the point: {account_of(error)}") from None
    near = NEAR[line.at.dtype] * max(size, abs(found), abs(rough))
    if abs(found - rough) <= near:
        return
    try:
        if abs(found - line.central) <= near:
            return
        truth, radius = line.truth
    except Exception as error:
        raise NotApplicableError(f"it raises near the point: {account_of(error)}") from None
    if not math.isfinite(radius):
        raise NotApplicableError("its numeric derivative is not known")
    apart = abs(found - truth)
    if not apart <= 2 * radius + near and not apart <= RADII * _rounding(line, second):
        values = f"{found:.6g} against {truth:.6g} ± {radius:.1e}"
        yield f"the derivative of the gradient, {how}, is wrong along a random direction: {values}"
        if not line.is_tracked:
            yield _UNTRACKED
    elif radius > near:
        raise NotApplicableError("its numeric derivative is known too roughly")


def _same_with_graph(subject: Subject, line: _Line) -> Iterator[str]:
    """What is wrong where the gradient is another one when it is to be differentiated itself."""
    if subject.at is not line.at:
        return
    plain, graphed = float(line.sum(subject.gradients)), line.at_the_point
    pairs = zip(subject.gradients, line.seen, strict=True)
    size = sum(_size(dense(g), v) for g, v in pairs if g is not None)
    if abs(plain - graphed) > NEAR[line.at.dtype] * size:
        values = f"v·g is {graphed:.6g} with it, {plain:.6g} without"
        yield f"with create_graph the gradient is another one: {values}"


def _rounding(line: _Line, second: Second) -> float:
    """What rounding does to the derivative that is judged, as it is measured."""

    def again() -> Tensor:
        return torch.tensor(second(line, True)[0], dtype=torch.float64)

    return float(rounding.measure(rounding.repeated(again), line.at.dtype).radius)


def _line(subject: Subject) -> _Line:
    if not hasattr(subject, "_second_line"):
        subject._second_line = _Line(subject)  # type: ignore[attr-defined]
    line: _Line = subject._second_line  # type: ignore[attr-defined]
    return line


def _reverse(line: _Line, anew: bool) -> tuple[float, float]:
    graph = line.at.tracked() if anew else line.at.graph
    cotangents = [u.clone().requires_grad_() for u in line.cotangents]
    try:
        gradients = torch.autograd.grad(
            graph.tracked,
            graph.inputs,
            cotangents,
            create_graph=True,
            allow_unused=True,
        )
        total = line.sum(gradients)
        if not anew:
            line.at_the_point = float(total)
        if not total.requires_grad:
            line.is_tracked = False
            return 0.0, 0.0  # which is what it counts as in something larger
        if any(node.name() == _REFUSAL for node in nodes_of([total], most=math.inf)):
            raise NotApplicableError("a part of it is once differentiable, and says so")
        found = torch.autograd.grad(total, [*graph.inputs, *cotangents], allow_unused=True)
    except RuntimeError as error:
        raise NotApplicableError(f"it has no double backward: {account_of(error)}") from None
    pairs = zip(found, [*line.inward, *line.outward], strict=True)
    parts = [(_dot(s, d), _size(s, d)) for s, d in pairs if s is not None]
    return sum(float(one) for one, _ in parts), sum(size for _, size in parts)


def _size(a: Tensor, b: Tensor) -> float:
    """No less than the root of the sum of squares of the terms of a·b, and not much more."""
    size = largest(torch.view_as_real(b) if b.is_complex() else b) if b.numel() else 0.0
    return float(torch.linalg.vector_norm(a)) * size


def _forward(line: _Line, anew: bool) -> tuple[float, float]:
    try:
        with forward_ad.dual_level():
            inputs = [_dual(*pair) for pair in zip(line.at.fresh(), line.inward, strict=True)]
            cotangents = [_dual(*pair) for pair in zip(line.cotangents, line.outward, strict=True)]
            gradients = line.gradients(inputs, cotangents, create_graph=True)
            tangents = [None if g is None else _tangent(g) for g in gradients]
    except NotImplementedError:
        raise NotApplicableError("it has no forward mode") from None
    except Exception as error:
        raise NotApplicableError(f"forward mode: {account_of(error)}") from None
    found = float(line.sum(tangents))
    pairs = zip(line.seen, tangents, strict=True)
    return found, sum(_size(t, v) for v, t in pairs if t is not None)


def _dual(value: Tensor, tangent: Tensor) -> Tensor:
    dual: Any = forward_ad.make_dual(value.requires_grad_(), tangent)  # type: ignore[no-untyped-call]
    result: Tensor = dual
    return result


def _tangent(gradient: Tensor) -> Tensor | None:
    found: Tensor | None = forward_ad.unpack_dual(gradient).tangent  # type: ignore[no-untyped-call]
    return found
