"""Extrapolation of central differences to step 0, with a bound that holds at the noise too.

Arrays are (levels, entries), from the widest step to the finest; an entry is an output by an input.
A step of 0 marks a level that an input does not use, NaN a level or candidate that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array

Effort = Literal["quick", "full"]
Flags = NDArray[np.bool_]

COLUMNS: Final = 6
NOISE_LEVELS: Final = 3
"""The finest levels, where any curvature is far below the noise."""

_EPSILON: Final = float(np.finfo(np.float64).eps)
_QUICK: Final = np.array([2, 4, 6, 8, 10, 12, 14, 16, 44, 46, 48])[:, None]
_FULL: Final = np.arange(0, 54, 2)[:, None]
_UNEVEN: Final = np.array([1.375, 0.90625, 1.15625])[:, None]
"""Factors of the finest steps: at powers of two alone every level may round f the same way."""
_TINY: Final = 2.0**-26
_MOST_CLIMBS: Final = 32
_CLOSE: Final = 2.0**-10  # of the scale: wider steps see the function's own oscillations
_ROUNDING: Final = 2.0**-24
"""A deviation below this part of |f| is taken for rounding, if it behaves like that."""
_RIPPLE: Final = 2.0**-5
"""One below this part may be rounding: then both readings stay possible."""
_ROUGH: Final = 2.0**-14
_ABRUPT: Final = 2.0**-8
_CONTRADICTION: Final = 4
"""Times the sum of two bounds: the truncation of a wide step is a little above its own bound."""


def ladder(x: Array, effort: Effort) -> Array:
    """Steps for the inputs `x` (n,) in powers of two, as (levels, n); 0 where there is none.

    They start at s = 4·2^⌊log₂|x|⌋ (4 at x = 0) and fall by 4 a level: "quick" takes eight and
    three tiny ones; "full" goes down to 4 ulp of x and, for |x| < 1, climbs from s up to 4, since x
    itself may be the wrong scale. At a tiny x that is too likely for "quick" to leave it out.
    """
    binade = _binade(x)
    quick = effort == "quick" and not ((x != 0) & (np.abs(x) < _TINY)).any()
    exponents = binade + 2 - (_QUICK if quick else _FULL)
    if not quick:
        exponents = np.vstack([_climb(binade), exponents])
    steps = np.ldexp(1.0, exponents)
    steps[-NOISE_LEVELS:] *= _UNEVEN
    # The difference of two points must not overflow.
    usable = (exponents <= 1020) & np.isfinite(x + steps) & np.isfinite(x - steps)
    return np.where(usable, steps, 0.0)


def scale(x: Array) -> Array:
    """s = 4·2^⌊log₂|x|⌋, and 4 at x = 0."""
    return np.ldexp(4.0, _binade(x))


def _binade(x: Array) -> NDArray[np.int64]:
    return np.where(x == 0, 0, np.frexp(x)[1] - 1)


def _climb(binade: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exponents from 2 down to that of s, by 2 or, for a very small |x|, by more; 9999 for none."""
    distance = np.maximum(-binade, 0)
    stride = np.maximum(2, -(-distance // _MOST_CLIMBS))
    count = int(np.max(-(-distance // stride), initial=0))
    climbed = stride * np.arange(count, 0, -1)[:, None]
    return np.where(climbed - stride < distance, np.minimum(binade + climbed, 0) + 2, 9999)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The steps and the values f(x + h), f(x − h), (levels, entries), and f(x), (entries,).

    `step` is the realised one, ((x + h) − (x − h))/2; `scale` is the s of each entry's ladder.
    """

    step: Array
    scale: Array
    forward: Array
    backward: Array
    centre: Array


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """What is read from samples, level by level.

    `slope` is (f(x + h) − f(x − h))/2h, `second` is |f(x + h) + f(x − h) − 2f(x)|, `magnitude` the
    largest of the three |f|, and `noise` what a value of f can be off at the finest scale.
    """

    step: Array
    scale: Array
    slope: Array
    second: Array
    magnitude: Array
    noise: Array


def differences(samples: Samples) -> Differences:
    """The differences of `samples`; a level with a value that is not finite drops out."""
    after, before, centre = samples.forward, samples.backward, samples.centre
    slope = (after - before) / (2 * samples.step)
    slope[~np.isfinite(slope)] = np.nan
    second = np.abs((after - centre) + (before - centre))
    magnitude = np.maximum(np.maximum(np.abs(after), np.abs(before)), np.abs(centre))
    noise = np.fmax(_EPSILON * magnitude, _at_the_finest(slope, second, samples.step))
    return Differences(samples.step, samples.scale, slope, second, magnitude, noise)


def _at_the_finest(slope: Array, second: Array, step: Array) -> Array:
    """What the differences show where curvature is negligible.

    Roundings are often odd about x and cancel in second differences: the slopes show those. A rise
    that does not fall with the step is no noise but a jump: then its own changes count.
    """
    rise = np.abs(slope * step)[-NOISE_LEVELS:]
    uneven = np.abs(slope[1 - NOISE_LEVELS :] - slope[-NOISE_LEVELS:-1]) * step[1 - NOISE_LEVELS :]
    noise: Array = np.fmax(np.fmax.reduce(second[-NOISE_LEVELS:]), np.fmax.reduce(uneven))
    largest: Array = np.fmax.reduce(rise)
    spread: Array = largest - np.fmin.reduce(rise)
    jump = (largest > 0) & (spread <= largest / 64)
    return np.where(jump, spread, noise)


def _plateau(found: Differences) -> Array:
    """The level at which second differences stop falling, where that is tiny beside |f|.

    Rounding inside f can be smooth at close range: for (1 − cos x)/x² at 1e-4 the numerator is
    constant over 1e-12. Only wider steps show it, as second differences that do not fall and then,
    from one level to the next, all but vanish. Those of a ripple of f itself fade as h².
    """
    second, close = found.second[1:], found.step[1:] <= found.scale * _CLOSE
    stays = close & (second >= found.second[:-1] / 2) & (second > 0)
    stays &= second <= _ROUNDING * found.magnitude[1:]
    height: Array = np.max(second, axis=0, where=stays, initial=0.0)
    rounding = (np.count_nonzero(stays, axis=0) >= 3) & _vanishes(second, found.step[1:], height)
    return np.where(rounding, height, 0.0)


def _vanishes(second: Array, step: Array, height: Array) -> Flags:
    """Whether `second` drops from about `height` to almost nothing between two adjacent levels."""
    high = second[:-1] >= height / 4
    drops = high & (second[1:] < _ABRUPT * height) & (step[:-1] <= 8 * step[1:])
    last = len(high) - 1 - np.argmax(high[::-1], axis=0)
    vanishes: Flags = drops[last, np.arange(high.shape[1])]
    return vanishes


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Derivatives and bounds on their errors; 0 ± inf where there is none."""

    value: Array
    bound: Array


def extrapolate(found: Differences) -> Candidates:
    """The derivatives at step 0, (entries,): of the candidates that no finer level contradicts, the
    sharpest.

    A sharp candidate of wide steps alone proves nothing: sin(2πn x) is constant at integer steps.
    """
    error = np.fmax(found.noise, _plateau(found)) / found.step
    level = neville(found.slope, error, found.step)
    trusted = np.where(_uncontradicted(level), level.bound, np.inf)
    chosen = np.argmin(trusted, axis=0), np.arange(trusted.shape[1])
    return _widened(Candidates(level.value[chosen], trusted[chosen]), level, found)


def neville(slope: Array, error: Array, step: Array) -> Candidates:
    """Each level's best candidate over the columns of Neville's scheme in h².

    A candidate's bound is the largest of its differences to both parents and to the next level's
    value of the same column, plus twice its share of `error`, the levels' η/h.
    """
    value = slope
    best = _known(slope, _to_next(slope, error) + 2 * error)
    for column in range(1, min(COLUMNS, len(slope))):
        ratio = (step[:-column] / step[column:]) ** 2
        finer, coarser = value[1:], value[:-1]
        value = finer + (finer - coarser) / (ratio - 1)
        error = (ratio * error[1:] + error[:-1]) / (ratio - 1)
        apart = np.maximum(np.abs(value - finer), np.abs(value - coarser))
        bound = np.maximum(apart, _to_next(value, error)) + 2 * error
        better = bound < best.bound[column:]
        np.copyto(best.value[column:], value, where=better)
        np.copyto(best.bound[column:], bound, where=better)
    return best


def _to_next(value: Array, error: Array) -> Array:
    """Distances to the next level's value, which confirms no more than its own error allows; inf
    at the last, which has nobody to confirm it."""
    distance = np.full_like(value, np.inf)
    np.add(np.abs(value[:-1] - value[1:]), error[1:], out=distance[:-1])
    return distance


def _known(value: Array, bound: Array) -> Candidates:
    known = np.isfinite(bound)
    return Candidates(np.where(known, value, 0.0), np.where(known, bound, np.inf))


def _uncontradicted(level: Candidates) -> Flags:
    """Whether a level's interval meets that of every finer level."""
    lower, upper = level.value - level.bound, level.value + level.bound
    least_upper = np.minimum.accumulate(upper[::-1], axis=0)[::-1]
    most_lower = np.maximum.accumulate(lower[::-1], axis=0)[::-1]
    meets: Flags = (lower <= least_upper) & (upper >= most_lower)
    return meets


def _widened(estimate: Candidates, level: Candidates, found: Differences) -> Candidates:
    """`estimate`, reaching to the sharpest rival among the levels that contradict it.

    Where wide steps converge smoothly to another value, and the deviation from it is small beside
    |f|, values alone cannot tell a fine ripple of f from rounding inside f: both stay possible.
    """
    apart = np.abs(level.value - estimate.value)
    rival = apart > _CONTRADICTION * (level.bound + estimate.bound)
    if not rival.any():
        return estimate
    rival &= _plausible(found) & (_deviation(level.value, found) <= _RIPPLE * found.magnitude)
    bound = np.where(rival, level.bound, np.inf)
    sharpest = np.argmin(bound, axis=0), np.arange(bound.shape[1])
    reach = np.where(rival, apart, 0.0)[sharpest]
    return Candidates(estimate.value, np.maximum(estimate.bound, reach))


def _plausible(found: Differences) -> Flags:
    """Whether f looks smooth, or smooth but for rounding, over a level and the two after it.

    Then second differences fall faster than a kink's, or are tiny and do not fall as a kink's.
    """
    second, step = found.second, found.step
    fall = (second[1:] / second[:-1]) * (step[:-1] / step[1:])
    tiny = second <= _ROUGH * found.magnitude
    smooth = (second[1:] == 0) | (fall <= 0.5)
    kink = (fall > 0.5) & (fall < 2)
    result = np.zeros(second.shape, dtype=np.bool_)
    rough = tiny[:-2] & tiny[1:-1] & tiny[2:] & ~(kink[:-1] & kink[1:])
    result[:-2] = (smooth[:-1] & smooth[1:]) | rough
    return result


def _deviation(value: Array, found: Differences) -> Array:
    """How far f leaves the line of slope `value` over any of the finer steps."""
    result = np.zeros_like(value)
    for k in range(len(value) - 1):
        leaves = np.abs(found.slope[k + 1 :] - value[k]) * found.step[k + 1 :]
        np.fmax.reduce(leaves, axis=0, out=result[k])
    return result
