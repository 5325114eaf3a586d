"""A first look at a function: five steps for each input, and eight fresh points for all at once.

Most functions are smooth at the scale of their inputs, and a few steps tell all that float64 can
know. What is told here is told with the same bound as by a whole ladder; where a step contradicts
another, a value is not finite or a kink shows, the bound is infinite, which asks for the ladder.

Arrays are (levels, entries) as in `differences`; an entry is an output by an input.
"""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

import numpy as np

from gradcheck.ball import Array
from gradcheck.oracles.differences import EPSILON, SMALLEST, Flags, binade, moved
from gradcheck.oracles.extrapolation import Candidates, neville, uncontradicted

STEPS: Final = np.array([1 / 8, 17 / 512, 15 / 2048, 17 / 8192, 15 / 32768])[:, None]
"""Parts of 2^⌊log₂|x|⌋, uneven: what has a period of a power of two is not constant there."""
SMALLEST_INPUT: Final = 2.0**-20
"""An |x| below it is hardly the scale of f."""
_SMALL: Final = 1 / 4
PROBES: Final = np.array([-4, -3, -2, -1, 1, 2, 3, 4])[:, None]
SPACING: Final = 2.0**-11
"""Of the probes, as a part of 2^⌊log₂|x|⌋."""
_DERIVATIVE: Final = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
"""Of the probes' values: the central difference of order 8 (Fornberg, 1988, table 1)."""
_ORDERS: Final = (6, 7, 8)
"""Of the differences that show noise: curvature is far below it there."""
_STILL: Final = 8.0
"""Times the noise over the widest step: the error of a slope that no step shows."""
_SEVERAL: Final = 64.0
_SAFETY: Final = 4.0
"""An error of a value is at most so many standard deviations; their estimate is of six values."""


class Probe(NamedTuple):
    """What the fresh points show of each output: the noise of a value, and the slope along them."""

    noise: Array
    slope: Array


def steps(x: Array) -> Array:
    """Steps for the inputs `x` (n,), as (levels, n); NaN for an input that needs a whole ladder."""
    unit = np.ldexp(1.0, binade(x))
    usable = (x == 0) | ((np.abs(x) >= SMALLEST_INPUT) & (np.abs(x) < 2.0**1000))
    result: Array = np.where(usable, unit, np.nan) * STEPS
    return result


def wide_steps(x: Array) -> Array:
    """Steps for inputs that are small, (levels, n), which may not be the scale of f; else NaN."""
    small: Array = np.where(np.abs(x) < _SMALL, 1.0, np.nan) * STEPS
    return small


def direction(x: Array) -> Array:
    """Where the probes go, (n,): by half to one and a half of each input's scale, up or down."""
    result: Array = np.ldexp(_drawn(len(x)), np.minimum(binade(x), 1000))
    return result


@functools.lru_cache(maxsize=64)
def _drawn(count: int) -> Array:
    draw = np.random.RandomState(20260704).uniform(0.5, 1.5, (2, count))
    signed: Array = np.where(draw[1] < 1, -draw[0], draw[0])
    return signed


def probe(values: Array, centre: Array, epsilon: float) -> Probe:
    """The noise of the outputs from their values at the probes, (8, m), and at the point, (m,).

    Differences of order k of equally spaced values have a standard deviation √((2k)!)/k! times that
    of their noise (Moré and Wild, Estimating computational noise, 2011). The slope is by SPACING.
    """
    table = np.concatenate([values[:4], centre[None], values[4:]])
    deviation = np.zeros_like(centre)
    for order in range(1, _ORDERS[-1] + 1):
        table = np.diff(table, axis=0)
        if order in _ORDERS:
            factor = math.factorial(order) ** 2 / math.factorial(2 * order)
            np.maximum(deviation, np.sqrt(factor * np.mean(table**2, axis=0)), out=deviation)
    noise = np.maximum(_SAFETY * deviation, np.maximum(epsilon * np.abs(centre), SMALLEST))
    # A weighted sum of differences from the centre: what cancels is exact.
    slope = _DERIVATIVE @ (values - centre) / SPACING
    return Probe(np.where(np.isfinite(noise), noise, np.inf), slope)


class Looked(NamedTuple):
    """Values at the point, and at its two sides for each step; `width` is the distance of these.

    `step` is as planned, `width` as rounding made it; `noise`, (entries,), is a value's at the
    point.
    """

    step: Array
    width: Array
    forward: Array
    backward: Array
    centre: Array
    noise: Array


def is_noisy(probe: Probe, centre: Array, epsilon: float) -> Flags:
    """Of which outputs the noise is more than a few operations round, (m,)."""
    result: Flags = probe.noise > _SEVERAL * (epsilon * np.abs(centre) + SMALLEST)
    return result


def is_explained(noise: Array, rounding: Array) -> Flags:
    """Whether the noise is rounding's, and not a ripple or a kink of the function's own, (m,)."""
    result: Flags = noise <= _SEVERAL * rounding
    return result


def look(seen: Looked, epsilon: float) -> Candidates:
    """The derivatives that the steps agree on, (entries,); 0 ± ∞ where they do not."""
    step, forward, backward, centre = seen.step, seen.forward, seen.backward, seen.centre
    slope = (forward - backward) / seen.width
    magnitude = np.maximum(np.maximum(np.abs(forward), np.abs(backward)), np.abs(centre))
    level_noise = np.maximum(epsilon * magnitude, seen.noise)
    level = neville(slope, level_noise / step, step)
    chosen = level.bound.argmin(axis=0), np.arange(level.bound.shape[1])
    value, bound = level.value[chosen], level.bound[chosen]
    agree = uncontradicted(level).all(axis=0)
    second = (forward - centre) + (backward - centre)
    # The two sides are not quite as far from the point as each other.
    uneven = epsilon * np.abs(slope) * step[0]
    bound = np.where(agree, bound + _kink(second, level_noise + uneven, step), np.inf)
    bound[np.isnan(bound)] = np.inf
    return Candidates(np.where(bound < np.inf, value, 0.0), bound)


def look_at_moved(seen: Looked, epsilon: float) -> tuple[Candidates, Flags]:
    """What `look` finds, and which entries move; of those that do not, by far less work.

    Their slope is 0 to within the noise that the widest steps leave.
    """
    changed = moved(seen.forward, seen.backward, seen.centre)
    if changed.all():
        return look(seen, epsilon), changed
    noise = np.maximum(epsilon * np.abs(seen.centre), seen.noise)
    value, bound = np.zeros(len(changed)), _STILL * noise / seen.step[0]
    bound[~np.isfinite(seen.centre)] = np.inf
    if changed.any():
        part = Looked(*(array[..., changed] for array in seen))
        value[changed], bound[changed] = look(part, epsilon)
    return Candidates(value, bound), changed


def confirmed(bound: Array, slope: Array, radius: Array, probe: Probe) -> Array:
    """`bound` (..., m), but ∞ for the outputs of which the fresh points show another slope.

    `slope` ± `radius`, (m,), is what the derivatives make it.
    """
    noise = probe.noise * np.abs(_DERIVATIVE).sum() / SPACING
    apart = np.abs(slope - probe.slope) > 2 * (radius + noise) + 4 * EPSILON * np.abs(slope)
    return np.where(apart | np.isnan(probe.slope), np.inf, bound)


def _kink(second: Array, noise: Array, step: Array) -> Array:
    """How much the slope jumps at the point, (entries,); 0 where that is not above the noise.

    f(x + h) + f(x − h) − 2 f(x) = a h + b h² + c h⁴ + d h⁶ + …, and a is the jump.
    """
    weights = _jump_weights((step[-4:, 0] / step[0, 0]).tobytes()) / step[0]
    jump: Array = np.abs((weights * second[-4:]).sum(axis=0))
    share = 4 * (np.abs(weights) * noise[-4:]).sum(axis=0)
    return np.where(jump > share, jump, 0.0)


@functools.lru_cache(maxsize=64)
def _jump_weights(steps: bytes) -> Array:
    """What the second differences at four steps contribute to a, (4, 1)."""
    basis = np.stack([np.frombuffer(steps) ** power for power in (1, 2, 4, 6)])
    weights: Array = np.linalg.solve(basis, np.array([1.0, 0.0, 0.0, 0.0]))[:, None]
    return weights
