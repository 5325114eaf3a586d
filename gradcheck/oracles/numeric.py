"""The numeric oracle: finite differences of the forward function, with a bound on their error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.oracles import brief
from gradcheck.oracles.batched import Batched, Function
from gradcheck.oracles.differences import (
    EPSILON,
    Effort,
    Samples,
    Scan,
    ladder,
    rounding_by_level,
)
from gradcheck.oracles.extrapolation import Candidates
from gradcheck.oracles.findings import Findings
from gradcheck.oracles.monte_carlo import MonteCarlo, Noise
from gradcheck.oracles.rounding import (
    BESIDE,
    Disturb,
    deviation,
    moves,
)

Indices = NDArray[np.intp]

ENOUGH: Final = 2.0**-30
"""A radius below this part of the largest entry needs no more steps."""
_HALF_ULP: Final = EPSILON / 2


def jacobian(
    function: Function,
    point: Tensor,
    *,
    effort: Effort = "full",
    subgradient: bool = False,
    precision: torch.dtype = torch.float64,
) -> Ball:
    """The Jacobian of `function` at `point`, of shape `function(point).shape + point.shape`.

    `function` maps one float64 tensor of the point's shape to one of any shape, and is
    deterministic; the first call is at the point itself. "quick" evaluates ten points an input (ten
    more of a small one) and eight for all; by the inputs where that leaves a radius above ENOUGH
    of the largest entry, and with "full" by all, it climbs down a whole ladder of steps, up to 121
    points.
    `precision` is the dtype in which the function computes, whose numbers the points are then. With
    `subgradient` all that lies between the one-sided derivatives at a kink is the answer there.

    The radius estimates the truncation error plus the measured rounding noise of the function;
    double it for a bound that can be believed. It is infinite where there is no derivative, with a
    note that says why. Raises what `function` raises.
    """
    search = Search(function, point, precision)
    found = search.findings(effort)
    return found.ball(search.output, tuple(point.shape), subgradient=subgradient)


class Search:
    """The search for a Jacobian, which goes on from what is known; see `jacobian`.

    The function's value at the point may be known already.
    """

    def __init__(
        self,
        function: Function,
        point: Tensor,
        precision: torch.dtype = torch.float64,
        value: Tensor | None = None,
    ) -> None:
        with torch.no_grad():
            self._function = Batched(function, point, precision, value)
        self._found = Findings.unknown(self._function.inputs * self._function.outputs)
        self._is_looked_at = False
        self._open = np.arange(self._function.inputs)
        """Inputs whose ladder nobody has climbed."""

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of the function's value."""
        return self._function.output

    def findings(self, effort: Effort, inputs: Indices | None = None) -> Findings:
        """What is known of all entries after that effort, for some inputs or for all.

        Raises what the function raises.
        """
        function = self._function
        if not len(self._found.kind):
            return self._found
        with torch.no_grad(), np.errstate(all="ignore"):
            climb = self._open if inputs is None else np.intersect1d(self._open, inputs)
            if effort == "quick":
                climb = climb[:0]
                if not self._is_looked_at:
                    self._found, climb = _look(function)
            of_input = np.arange(len(self._found.kind)).reshape(function.inputs, -1)
            for inputs, part in _climbed(function, climb) if len(climb) else ():
                self._found.put(of_input[inputs].reshape(-1), part)
            self._open = np.setdiff1d(self._open, climb)
            self._is_looked_at = True
        return self._found


class Curve(NamedTuple):
    """A number as a function of a number, looked at in one point.

    `value` maps as many float64 numbers as it is given, (n,), to as many; in the first call the
    first is the point. `disturb` evaluates it at the point. `is_sum` where the number adds up many
    changes.
    """

    point: float
    value: Callable[[Tensor], Tensor]
    disturb: Disturb
    is_sum: bool = False


def slopes(
    curves: Sequence[Curve], *, effort: Effort = "full", subgradient: bool = False
) -> list[Ball]:
    """The derivative of each curve at its point, as `jacobian` would find it.

    All are analysed together: several cost little more than one. Raises what a curve raises.
    """
    with torch.no_grad(), np.errstate(all="ignore"):
        found, open_curves = Findings.unknown(len(curves)), list(range(len(curves)))
        if effort == "quick":
            found, open_curves = _look_at_curves(curves)
        if open_curves:
            found.put(np.array(open_curves), _climbed_curves([curves[i] for i in open_curves]))
    return [found.one(entry).ball((), (), subgradient=subgradient) for entry in range(len(curves))]


def _look_at_curves(curves: Sequence[Curve]) -> tuple[Findings, list[int]]:
    """What a brief look finds, and which curves it leaves open."""
    x = np.array([curve.point for curve in curves])
    step, along = brief.steps(x), brief.direction(x)
    offsets = np.concatenate([np.nan_to_num(step), -np.nan_to_num(step), _fresh(along)])
    displaced, values = _values(curves, x, offsets)
    levels = len(step)
    probe = brief.probe(values[1 + 2 * levels :], values[0], EPSILON)
    noisy = brief.is_noisy(probe, values[0], EPSILON)
    seen = brief.Looked(
        step,
        displaced[:levels] - displaced[levels : 2 * levels],
        values[1 : 1 + levels],
        values[1 + levels : 1 + 2 * levels],
        values[0],
        probe.noise,
    )
    found, changed = brief.look_at_moved(seen, EPSILON)
    bound = brief.confirmed(found.bound, found.value * along, found.bound * np.abs(along), probe)
    settled = bound <= ENOUGH * np.abs(found.value)
    unmoved = ~changed & np.isfinite(bound)
    for index in np.flatnonzero(unmoved | (noisy & settled)).tolist():
        rounding = deviation(curves[index].disturb, _HALF_ULP, BESIDE)[1]
        if unmoved[index]:  # unless all steps are on one stair of its rounding
            settled[index] = rounding <= probe.noise[index]
        else:
            settled[index] = brief.is_explained(probe.noise[index], rounding)
    return Findings.smooth(Candidates(found.value, bound)), np.flatnonzero(~settled).tolist()


def _climbed_curves(curves: Sequence[Curve]) -> Findings:
    """What whole ladders find."""
    x = np.array([curve.point for curve in curves])
    is_sum = any(curve.is_sum for curve in curves)
    steps, scale = ladder(x, is_sum=is_sum)
    displaced, values = _values(curves, x, np.concatenate([steps, -steps]))
    levels = len(steps)
    centre = [deviation(curve.disturb, _HALF_ULP, BESIDE)[1] for curve in curves]
    beside = moves(_disturbed(curves, displaced), values[1:])
    return Findings.of(
        Samples(
            output=np.arange(len(curves)),
            step=(displaced[:levels] - displaced[levels:]) / 2,
            scale=scale,
            forward=values[1 : levels + 1],
            backward=values[levels + 1 :],
            centre=values[0],
            rounding=rounding_by_level(np.array(centre), beside.reshape(2, levels, -1)),
            is_sum=is_sum,
        )
    )


def _disturbed(curves: Sequence[Curve], displaced: Array) -> Array:
    """Each curve under noise at points (points, curves)."""
    values = np.full(displaced.shape, np.nan)
    for index, (curve, points) in enumerate(zip(curves, displaced.T, strict=True)):
        # It may refuse what noise makes of a value.
        with suppress(Exception), MonteCarlo(Noise(_HALF_ULP, 0)):
            values[:, index] = curve.value(torch.from_numpy(points.copy())).numpy()
    return values


def _values(curves: Sequence[Curve], x: Array, offsets: Array) -> tuple[Array, Array]:
    """The points x + offsets (points, curves), and each curve at its point and then at those."""
    displaced = x + offsets
    points = torch.from_numpy(np.concatenate([x[None], displaced]).T.copy())
    values = [curve.value(p).numpy() for curve, p in zip(curves, points, strict=True)]
    return displaced, np.stack(values, axis=1)


def _fresh(along: Array) -> Array:
    """How far the fresh points are from the point, (probes, inputs)."""
    return brief.PROBES * brief.SPACING * along


def _look(function: Batched) -> tuple[Findings, Indices]:
    """What a brief look finds, and which inputs it leaves open."""
    x, epsilon, outputs = function.x, function.epsilon, function.outputs
    along = brief.direction(x)
    fresh, probe = function.rounded(x + _fresh(along)), None
    value, bound = np.zeros((len(x), outputs)), np.full((len(x), outputs), np.inf)
    moved, settled = np.ones((len(x), outputs), dtype=np.bool_), np.zeros(len(x), dtype=np.bool_)
    for step in (brief.steps(x), brief.wide_steps(x)):
        looked_at = np.flatnonzero(~settled & moved.any(axis=1) & np.isfinite(step[0]))
        for entries in _chunks(looked_at, 2 * len(step), function.chunk):
            width, points = _sides(function, step[:, entries], entries)
            # In one batch, as a batch may round in another way than one alone.
            values = function(np.concatenate([fresh, points]))
            beside, values = values[: len(fresh)], values[len(fresh) :]
            if probe is None:
                probe, fresh = brief.probe(beside, function.value, epsilon), fresh[:0]
            forward, backward = values.reshape(2, len(step), -1)
            seen = brief.Looked(
                np.repeat(step[:, entries], outputs, axis=1),
                np.repeat(width, outputs, axis=1),
                forward,
                backward,
                np.tile(function.value, len(entries)),
                np.tile(probe.noise, len(entries)),
            )
            found, changed = brief.look_at_moved(seen, epsilon)
            value[entries] = found.value.reshape(-1, outputs)
            bound[entries] = found.bound.reshape(-1, outputs)
            moved[entries] = changed.reshape(-1, outputs)
        settled = _is_settled(value, bound)
    if probe is None:  # no input is the scale of f
        return Findings.unknown(len(x) * outputs), np.arange(len(x))
    bound = brief.confirmed(bound, along @ value, np.abs(along) @ bound, probe)
    still = ~moved.any(axis=1) & np.isfinite(bound).all(axis=1)
    noisy = brief.is_noisy(probe, function.value, epsilon)
    if still.any() or noisy.any():
        # Where no step moves it, all may be on one stair of its rounding.
        bound[still] *= np.maximum(1.0, function.rounding / probe.noise)
        bound[moved & (noisy & ~brief.is_explained(probe.noise, function.rounding))] = np.inf
    settled = _is_settled(value, bound) | (still & np.isfinite(bound).all(axis=1))
    found = Candidates(value.reshape(-1), bound.reshape(-1))
    return Findings.smooth(found), np.flatnonzero(~settled)


def _is_settled(value: Array, bound: Array) -> NDArray[np.bool_]:
    """By which inputs all derivatives (inputs, outputs) are known well enough, (inputs,)."""
    largest = np.abs(value).max(where=np.isfinite(bound), initial=0.0)
    settled: NDArray[np.bool_] = bound.max(axis=1) <= ENOUGH * largest
    return settled


def _climbed(function: Batched, inputs: Indices) -> Iterator[tuple[Indices, Findings]]:
    """What whole ladders find of as many inputs at a time as the memory budget allows."""
    steps, scale = ladder(function.x[inputs], function.bits)
    outputs, levels = function.outputs, len(steps)
    for chosen in _chunks(np.arange(len(inputs)), 2 * levels, function.chunk):
        entries = inputs[chosen]
        width, points = _sides(function, steps[:, chosen], entries)
        values = function(points)
        beside = moves(function.disturbed(points), values).reshape(2, levels, -1)
        forward, backward = values.reshape(2, levels, -1)
        samples = Samples(
            output=np.tile(np.arange(outputs), len(entries)),
            step=np.repeat(width / 2, outputs, axis=1),
            scale=np.repeat(scale[chosen], outputs),
            forward=forward,
            backward=backward,
            centre=np.tile(function.value, len(entries)),
            rounding=rounding_by_level(np.tile(function.rounding, len(entries)), beside),
            epsilon=function.epsilon,
            scan=_scan(function, entries),
            entry=np.arange(len(entries) * outputs),
        )
        yield entries, Findings.of(samples)


def _scan(function: Batched, inputs: Indices) -> Scan:
    """A closer look at entries, by their number among those of the inputs."""

    def scan(entry: Indices, width: Array, spacing: Array) -> Array:
        largest = np.full(len(entry), np.inf)
        moved, output = np.divmod(entry, function.outputs)
        looks = np.stack([moved, width, spacing], axis=1)
        distinct, which = np.unique(looks, axis=0, return_inverse=True)
        for number, (one, wide, apart) in enumerate(distinct.tolist()):
            here, input = np.flatnonzero(which.reshape(-1) == number), inputs[int(one)]
            parts = round(wide / apart)
            at = function.rounded(function.x[input] + np.arange(-parts, parts + 1) * apart)
            between = np.diff(at)
            if between.min() < apart / 2 or between.max() > 2 * apart:
                continue  # too close for numbers
            values = np.empty((len(at), len(here)))
            for batch in _chunks(np.arange(len(at)), 1, function.chunk):
                points = np.tile(function.x, (len(batch), 1))
                points[:, input] = at[batch]
                values[batch] = function(points)[:, output[here]]
            bend = np.diff(np.diff(values, axis=0) / between[:, None], axis=0) * apart
            largest[here] = np.nan_to_num(np.abs(bend).max(axis=0), nan=np.inf)
        return largest

    return scan


def _chunks(inputs: Indices, points: int, chunk: int) -> Iterator[Indices]:
    """So many inputs at a time that their points, so many each, fit into one batch."""
    size = max(1, chunk // points)
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def _sides(function: Batched, steps: Array, entries: Indices) -> tuple[Array, Array]:
    """How far x + h is from x − h, (levels, inputs), and those points, (2·levels·inputs, n)."""
    levels = len(steps)
    displaced = function.rounded(function.x[entries] + np.concatenate([steps, -steps]))
    points = np.tile(function.x, (*displaced.shape, 1))
    points[:, np.arange(len(entries)), entries] = displaced
    return displaced[:levels] - displaced[levels:], points.reshape(-1, len(function.x))
