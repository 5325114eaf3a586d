"""The numeric oracle: finite differences of the forward function, with a bound on their error."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.oracles import brief
from gradcheck.oracles.differences import EPSILON, Effort, Samples, differences, ladder
from gradcheck.oracles.extrapolation import Candidates, extrapolate
from gradcheck.oracles.rounding import BESIDE, Disturb, deviation, repeated
from gradcheck.oracles.singularity import Kind, kinds, one_sided_slopes

Function = Callable[[Tensor], Tensor]
Indices = NDArray[np.intp]

CHUNK_ELEMENTS: Final = 2**20
"""The most elements, of inputs or of outputs, that a function is given in one batch."""

ENOUGH: Final = 2.0**-30
"""A radius below this part of the largest entry by the same input needs no more steps."""
_HALF_ULP: Final = EPSILON / 2

_WORDS: Final = {
    Kind.UNDEFINED: "not finite at this point",
    Kind.ISOLATED: "not finite around this point",
    Kind.EDGE: "at the edge of the domain",
    Kind.JUMP: "a jump at this point",
    Kind.CUSP: "a cusp or a singularity at this point",
    Kind.KINK: "a kink at this point",
    Kind.NOISE: "nothing but noise around this point",
}


def jacobian(
    function: Function,
    point: Tensor,
    *,
    effort: Effort = "full",
    enough: float = ENOUGH,
    precision: torch.dtype = torch.float64,
) -> Ball:
    """The Jacobian of `function` at `point`, of shape `function(point).shape + point.shape`.

    `function` maps one float64 tensor of the point's shape to one of any shape, and is
    deterministic; the first call is at the point itself. "quick" evaluates ten points an input and
    eight more; where that leaves a radius above `enough` of the largest entry by the same input,
    and with "full" everywhere, it climbs down a whole ladder of steps, up to 121 points.
    `precision` is the dtype in which the function computes, whose numbers the points are then.

    The radius estimates the truncation error plus the measured rounding noise of the function;
    double it for a bound that can be believed. It is infinite where there is no derivative, with a
    note that says why. Raises what `function` raises.
    """
    with torch.no_grad(), np.errstate(all="ignore"):
        batched = _Batched(function, point, precision)
        answer = _blank(batched.inputs, batched.outputs)
        open_inputs = np.arange(batched.inputs)
        if effort == "quick" and answer.midpoint.size:
            answer, open_inputs = _look(batched, enough)
        if answer.midpoint.size and len(open_inputs):
            for inputs, found in _climbed(batched, open_inputs):
                for whole, part in zip(answer, found, strict=True):
                    whole.reshape(batched.inputs, -1)[inputs] = part.reshape(len(inputs), -1)
    output, shape = batched.output, tuple(point.shape)
    return Ball(
        _transposed(answer.midpoint, output, shape),
        _transposed(answer.radius, output, shape),
        "estimated",
        tuple(_notes(answer, output, shape)),
    )


class Curve(NamedTuple):
    """A number as a function of a number, looked at in one point.

    `value` maps as many float64 numbers as it is given, (n,), to as many; in the first call the
    first is the point. `disturb` evaluates it at the point.
    """

    point: float
    value: Callable[[Tensor], Tensor]
    disturb: Disturb


def slopes(curves: Sequence[Curve], *, effort: Effort = "full") -> list[Ball]:
    """The derivative of each curve at its point, as `jacobian` would find it.

    All are analysed together: several cost little more than one. Raises what a curve raises.
    """
    with torch.no_grad(), np.errstate(all="ignore"):
        answer, open_curves = _blank(len(curves), 1), list(range(len(curves)))
        if effort == "quick":
            answer, open_curves = _look_at_curves(curves)
        if open_curves:
            found = _climbed_curves([curves[index] for index in open_curves])
            for whole, part in zip(answer, found, strict=True):
                whole[open_curves] = part
    return [_ball(answer, entry) for entry in range(len(curves))]


def _look_at_curves(curves: Sequence[Curve]) -> tuple[_Answer, list[int]]:
    """What a brief look finds, and which curves it leaves open."""
    x = np.array([curve.point for curve in curves])
    step, along = brief.steps(x), brief.direction(x)
    offsets = np.concatenate([np.nan_to_num(step), -np.nan_to_num(step), _fresh(along)])
    displaced, values = _values(curves, x, offsets)
    levels = len(step)
    probe = brief.probe(values[1 + 2 * levels :], values[0], EPSILON)
    seen = brief.Looked(
        step,
        displaced[:levels] - displaced[levels : 2 * levels],
        values[1 : 1 + levels],
        values[1 + levels : 1 + 2 * levels],
        values[0],
        probe.noise,
    )
    found = brief.look(seen, EPSILON)
    bound = brief.confirmed(found.bound, found.value * along, found.bound * np.abs(along), probe)
    settled = bound <= ENOUGH * np.abs(found.value)
    for index in np.flatnonzero(~brief.moved(seen) & np.isfinite(bound)).tolist():
        # Perhaps it is constant, and perhaps all steps are on one stair of its rounding.
        hidden = deviation(curves[index].disturb, _HALF_ULP, BESIDE)[1]
        settled[index] = hidden <= probe.noise[index]
    return _smooth(Candidates(found.value, bound)), np.flatnonzero(~settled).tolist()


def _climbed_curves(curves: Sequence[Curve]) -> _Answer:
    """What whole ladders find."""
    x = np.array([curve.point for curve in curves])
    steps, scale = ladder(x)
    displaced, values = _values(curves, x, np.concatenate([steps, -steps]))
    rounding = [deviation(curve.disturb, _HALF_ULP, BESIDE)[1] for curve in curves]
    levels = len(steps)
    return _answer(
        Samples(
            outputs=len(curves),  # by one input, as it were
            step=(displaced[:levels] - displaced[levels:]) / 2,
            scale=scale,
            forward=values[1 : levels + 1],
            backward=values[levels + 1 :],
            centre=values[0],
            rounding=np.array(rounding),
        )
    )


def _values(curves: Sequence[Curve], x: Array, offsets: Array) -> tuple[Array, Array]:
    """The points x + offsets (points, curves), and each curve at its point and then at those."""
    displaced = x + offsets
    points = torch.from_numpy(np.concatenate([x[None], displaced]).T.copy())
    values = [curve.value(p).numpy() for curve, p in zip(curves, points, strict=True)]
    return displaced, np.stack(values, axis=1)


def _fresh(along: Array) -> Array:
    """How far the fresh points are from the point, (probes, inputs)."""
    return brief.PROBES * brief.SPACING * along


def _ball(answer: _Answer, entry: int) -> Ball:
    """What is known of one entry, as a number."""
    one = answer.midpoint[entry], answer.radius[entry]
    notes: Iterable[str] = ()
    if answer.kind[entry]:
        here = slice(entry, entry + 1)
        kind, before, after = answer.kind[here], answer.before[here], answer.after[here]
        notes = _notes(_Answer(*one, kind, before, after), (), ())
    return Ball(np.asarray(one[0]), np.asarray(one[1]), "estimated", tuple(notes))


class _Batched:
    """A function of one point, applied to many: by `vmap`, or one by one if that does not work."""

    def __init__(self, function: Function, point: Tensor, precision: torch.dtype) -> None:
        self._function = function
        self._point = point
        self._precision = precision
        value = function(point.detach().clone())
        self.value: Array = value.detach().cpu().to(torch.float64).reshape(-1).numpy()
        self.output = tuple(value.shape)
        self.x: Array = point.detach().cpu().to(torch.float64).reshape(-1).numpy()
        self.epsilon = float(torch.finfo(precision).eps)
        self.bits = 1 - round(math.log2(self.epsilon))
        self._vmap = True

    @property
    def inputs(self) -> int:
        return self.x.size

    @property
    def outputs(self) -> int:
        return self.value.size

    @property
    def chunk(self) -> int:
        """How many points it is given in one batch."""
        return max(1, CHUNK_ELEMENTS // max(1, self.inputs, self.outputs))

    def rounded(self, numbers: Array) -> Array:
        """Numbers that the function's dtype holds."""
        if self._precision is torch.float64:
            return numbers
        rounded: Array = torch.from_numpy(numbers).to(self._precision).to(torch.float64).numpy()
        return rounded

    def disturbed(self) -> Array:
        """How far rounding moves each entry of its value at the point."""
        disturb = repeated(lambda: self._function(self._point.detach().clone()).to(torch.float64))
        return deviation(disturb, self.epsilon / 2, samples=2)[1].reshape(-1)

    def __call__(self, points: Array) -> Array:
        """Its values at points (count, inputs): (count, outputs)."""
        tensors = torch.from_numpy(points.reshape(-1, *self._point.shape)).to(self._point.device)
        values = self._together(tensors) if self._vmap else None
        if values is None:
            self._vmap = False
            values = self._one_by_one(tensors)
        array: Array = values.detach().cpu().numpy()
        return array.astype(np.float64, copy=False).reshape(len(points), -1)

    def _one_by_one(self, tensors: Tensor) -> Tensor:
        """All values from a loop: NaN where the function raises, as it did not at the point.

        Some functions say so where they are not defined, as a Cholesky factor does.
        """
        values = []
        for tensor in tensors:
            try:
                values.append(self._function(tensor))
            except Exception:
                values.append(torch.full(self.output, torch.nan, dtype=torch.float64))
        return torch.stack(values)

    def _together(self, tensors: Tensor) -> Tensor | None:
        """All values from vmap; None if it cannot, or says that it would loop anyway."""
        size = self.chunk if self.chunk < len(tensors) else None
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*batching rule")
            try:
                return torch.func.vmap(self._function, chunk_size=size)(tensors)
            except Exception:
                # Whatever is wrong with the function itself is raised by the loop.
                return None


def _look(function: _Batched, enough: float) -> tuple[_Answer, Indices]:
    """What a brief look finds, and which inputs it leaves open."""
    x, epsilon, outputs = function.x, function.epsilon, function.outputs
    along = brief.direction(x)
    fresh = function(function.rounded(x + _fresh(along)))
    probe = brief.probe(fresh, function.value, epsilon)
    step = brief.steps(x)
    parts, unmoved = [], np.isfinite(step[0])
    for entries in _chunks(np.arange(len(x)), 2 * len(step), function.chunk):
        width, values = _sample(function, np.nan_to_num(step[:, entries]), entries)
        forward, backward = values.reshape(2, len(step), -1)
        seen = brief.Looked(
            np.repeat(step[:, entries], outputs, axis=1),
            np.repeat(width, outputs, axis=1),
            forward,
            backward,
            np.tile(function.value, len(entries)),
            np.tile(probe.noise, len(entries)),
        )
        parts.append(brief.look(seen, epsilon))
        unmoved[entries] &= ~brief.moved(seen).reshape(-1, outputs).any(axis=1)
    value = np.concatenate([part.value for part in parts]).reshape(-1, outputs)
    bound = np.concatenate([part.bound for part in parts]).reshape(-1, outputs)
    bound = brief.confirmed(bound, along @ value, np.abs(along) @ bound, probe)
    largest = np.abs(value).max(axis=1)
    settled = bound.max(axis=1) <= enough * largest
    if unmoved.any() and (function.disturbed() <= probe.noise).all():
        # No step moved it, nor are all of them on one stair of its rounding.
        settled |= unmoved
    return _smooth(Candidates(value.reshape(-1), bound.reshape(-1))), np.flatnonzero(~settled)


def _climbed(function: _Batched, inputs: Indices) -> Iterator[tuple[Indices, _Answer]]:
    """What whole ladders find of as many inputs at a time as the memory budget allows."""
    steps, scale = ladder(function.x[inputs], function.bits)
    rounding = function.disturbed()
    outputs, levels = function.outputs, len(steps)
    for chosen in _chunks(np.arange(len(inputs)), 2 * levels, function.chunk):
        entries = inputs[chosen]
        width, values = _sample(function, steps[:, chosen], entries)
        forward, backward = values.reshape(2, levels, -1)
        samples = Samples(
            outputs=outputs,
            step=np.repeat(width / 2, outputs, axis=1),
            scale=np.repeat(scale[chosen], outputs),
            forward=forward,
            backward=backward,
            centre=np.tile(function.value, len(entries)),
            rounding=np.tile(rounding, len(entries)),
            epsilon=function.epsilon,
        )
        yield entries, _answer(samples)


def _chunks(inputs: Indices, points: int, chunk: int) -> Iterator[Indices]:
    """So many inputs at a time that their points, so many each, fit into one batch."""
    size = max(1, chunk // points)
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def _sample(function: _Batched, steps: Array, entries: Indices) -> tuple[Array, Array]:
    """How far x + h is from x − h, (levels, inputs), and f there: (2, levels, inputs, outputs)."""
    levels, inputs = steps.shape
    x = function.x
    displaced = function.rounded(x[entries] + np.concatenate([steps, -steps]))
    points = np.empty((2 * levels, inputs, x.size))
    points[:] = x
    points[:, np.arange(inputs), entries] = displaced
    return displaced[:levels] - displaced[levels:], function(points.reshape(-1, x.size))


class _Answer(NamedTuple):
    """What is known of each entry, (entries,): the outputs by the first input, the second, ...

    `before` and `after` are one-sided derivatives, given where there are kinks.
    """

    midpoint: Array
    radius: Array
    kind: NDArray[np.int64]
    before: Array
    after: Array


def _answer(samples: Samples) -> _Answer:
    found = differences(samples)
    estimate, kind = extrapolate(found), kinds(samples, found)
    radius = np.where(kind, np.inf, estimate.bound)
    kinked = (kind == Kind.KINK.value).any()
    before, after = one_sided_slopes(samples, found) if kinked else (radius, radius)
    return _Answer(estimate.value, radius, kind, before, after)


def _blank(inputs: int, outputs: int) -> _Answer:
    """Nothing known yet."""
    size = inputs * outputs
    kind = np.zeros(size, dtype=np.int64)
    return _Answer(np.zeros(size), np.full(size, np.inf), kind, np.zeros(size), np.zeros(size))


def _smooth(found: Candidates) -> _Answer:
    """Derivatives of entries that are not singular."""
    kind = np.zeros(found.value.shape, dtype=np.int64)
    return _Answer(found.value, found.bound, kind, np.zeros(kind.shape), np.zeros(kind.shape))


def _transposed(entries: Array, output: tuple[int, ...], point: tuple[int, ...]) -> Array:
    """Outputs by inputs, in the shape of a Jacobian."""
    columns = entries.reshape(math.prod(point), math.prod(output))
    return np.ascontiguousarray(columns.T).reshape(output + point)


def _notes(answer: _Answer, output: tuple[int, ...], point: tuple[int, ...]) -> Iterator[str]:
    """A sentence for each kind met: where first, and at how many entries more."""
    for kind in sorted(set(answer.kind.tolist()) - {Kind.NONE.value}):
        entries = np.flatnonzero(answer.kind == kind)
        first, others = int(entries[0]), len(entries) - 1
        sides = _sides(float(answer.before[first]), float(answer.after[first]))
        yield (
            _WORDS[kind]
            + _where(first, output, point)
            + (f": the one-sided derivatives are {sides}" if kind == Kind.KINK else "")
            + (f" (and at {others} more entries)" if others else "")
        )


def _sides(before: float, after: float) -> str:
    """Both to four digits; 0 where it is only the error of the other's size."""
    error = 1e-6 * max(abs(before), abs(after))
    return " and ".join(f"{side if abs(side) > error else 0.0:.4g}" for side in (before, after))


def _where(entry: int, output: tuple[int, ...], point: tuple[int, ...]) -> str:
    """ ", output[1] by input[0, 2]"; nothing where both are scalars."""
    if not output and not point:
        return ""
    i, o = divmod(entry, math.prod(output))
    return f", {_named('output', o, output)} by {_named('input', i, point)}"


def _named(word: str, position: int, shape: tuple[int, ...]) -> str:
    return f"{word}{[int(k) for k in np.unravel_index(position, shape)]}" if shape else word
