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
from gradcheck.oracles.differences import Effort, Samples, differences, ladder
from gradcheck.oracles.extrapolation import extrapolate
from gradcheck.oracles.rounding import BESIDE, Disturb, deviation, repeated
from gradcheck.oracles.singularity import Kind, kinds, one_sided_slopes

Function = Callable[[Tensor], Tensor]

CHUNK_ELEMENTS: Final = 2**20
"""The most elements, of inputs or of outputs, that a function is given in one batch."""

_HALF_ULP: Final = float(np.finfo(np.float64).eps) / 2

_WORDS: Final = {
    Kind.UNDEFINED: "not finite at this point",
    Kind.ISOLATED: "not finite around this point",
    Kind.EDGE: "at the edge of the domain",
    Kind.JUMP: "a jump at this point",
    Kind.CUSP: "a cusp or a singularity at this point",
    Kind.KINK: "a kink at this point",
    Kind.NOISE: "nothing but noise around this point",
}


def jacobian(function: Function, point: Tensor, *, effort: Effort = "full") -> Ball:
    """The Jacobian of `function` at `point`, of shape `function(point).shape + point.shape`.

    `function` maps one float64 tensor of the point's shape to one of any shape, and is
    deterministic; the first call is at the point itself. "quick" evaluates 25 points an input,
    "full" up to 121. The radius estimates the truncation error plus the measured rounding noise of
    the function; double it for a bound that can be believed. It is infinite where there is no
    derivative, with a note that says why. Raises what `function` raises.
    """
    x = point.detach().cpu().numpy().astype(np.float64)
    with torch.no_grad(), np.errstate(all="ignore"):
        disturb = repeated(lambda: function(point.detach().clone()))
        value, rounding = deviation(disturb, _HALF_ULP, samples=2)
        output = value.shape
        batches = _samples(_Batched(function, point), x, rounding.reshape(-1), effort)
        answer = _joined([_answer(samples) for samples in batches])
    return Ball(
        _transposed(answer.midpoint, output, x.shape),
        _transposed(answer.radius, output, x.shape),
        "estimated",
        tuple(_notes(answer, output, x.shape)),
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
    x = np.array([curve.point for curve in curves])
    with torch.no_grad(), np.errstate(all="ignore"):
        steps, scale = ladder(x, effort)
        displaced = x + np.concatenate([steps, -steps])
        points = torch.from_numpy(np.concatenate([x[None], displaced]).T.copy())
        values = np.stack(
            [curve.value(p).numpy() for curve, p in zip(curves, points, strict=True)], axis=1
        )
        rounding = [deviation(curve.disturb, _HALF_ULP, BESIDE)[1] for curve in curves]
        levels = len(steps)
        answer = _answer(
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
    return [_ball(answer, entry) for entry in range(len(curves))]


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

    def __init__(self, function: Function, point: Tensor) -> None:
        self._function = function
        self._point = point
        self._vmap = True

    def __call__(self, points: Array, chunk: int) -> Array:
        tensors = torch.from_numpy(points.reshape(-1, *self._point.shape)).to(self._point.device)
        values = self._together(tensors, chunk) if self._vmap else None
        if values is None:
            self._vmap = False
            values = self._one_by_one(tensors)
        array: Array = values.detach().cpu().numpy()
        return array.astype(np.float64, copy=False).reshape(len(points), -1)

    def _one_by_one(self, tensors: Tensor) -> Tensor:
        """All values from a loop: NaN where the function raises anywhere but at the first point.

        Some functions say so where they are not defined, as a Cholesky factor does.
        """
        first = self._function(tensors[0])
        values = [first]
        for tensor in tensors[1:]:
            try:
                values.append(self._function(tensor))
            except Exception:
                values.append(torch.full_like(first, torch.nan, dtype=torch.float64))
        return torch.stack(values)

    def _together(self, tensors: Tensor, chunk: int) -> Tensor | None:
        """All values from vmap; None if it cannot, or says that it would loop anyway."""
        size = chunk if chunk < len(tensors) else None
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*batching rule")
            try:
                return torch.func.vmap(self._function, chunk_size=size)(tensors)
            except Exception:
                # Whatever is wrong with the function itself is raised by the loop.
                return None


def _samples(function: _Batched, x: Array, rounding: Array, effort: Effort) -> Iterator[Samples]:
    """The samples of as many inputs at a time as the memory budget allows; none if all is empty."""
    flat, outputs = x.reshape(-1), rounding.size
    steps, scale = ladder(flat, effort)
    chunk = max(1, CHUNK_ELEMENTS // max(1, flat.size, outputs))
    inputs = max(1, chunk // (2 * len(steps) + 1))
    for start in range(0, flat.size if outputs else 0, inputs):
        entries = np.arange(start, min(start + inputs, flat.size))
        step, values = _sample(function, flat, steps[:, entries], entries, chunk)
        yield Samples(
            outputs=outputs,
            step=np.repeat(step, outputs, axis=1),
            scale=np.repeat(scale[entries], outputs),
            forward=values[1 : len(entries) * len(step) + 1].reshape(len(step), -1),
            backward=values[len(entries) * len(step) + 1 :].reshape(len(step), -1),
            centre=np.tile(values[0], len(entries)),
            rounding=np.tile(rounding, len(entries)),
        )


def _sample(
    function: _Batched, x: Array, steps: Array, entries: NDArray[np.intp], chunk: int
) -> tuple[Array, Array]:
    """The realised steps, and f at x, at x + h and at x − h, (points, outputs), in one batch."""
    levels, inputs = steps.shape
    displaced = x[entries] + np.concatenate([steps, -steps])
    points = np.empty((1 + 2 * levels * inputs, x.size))
    points[:] = x
    moved = points[1:].reshape(2 * levels, inputs, x.size)
    moved[:, np.arange(inputs), entries] = displaced
    return (displaced[:levels] - displaced[levels:]) / 2, function(points, chunk)


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


def _joined(parts: list[_Answer]) -> _Answer:
    if not parts:
        nothing = np.zeros(0)
        return _Answer(nothing, nothing, nothing.astype(np.int64), nothing, nothing)
    if len(parts) == 1:
        return parts[0]
    return _Answer(
        np.concatenate([part.midpoint for part in parts]),
        np.concatenate([part.radius for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.before for part in parts]),
        np.concatenate([part.after for part in parts]),
    )


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
