"""Extrapolation of central differences to step 0, with a bound that holds at the noise too.

Arrays are (levels, entries), as in `differences`; NaN marks a value that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gradcheck.ball import Array
from gradcheck.oracles.differences import Differences, Flags, plateau

COLUMNS: Final = 6
_RIPPLE: Final = 2.0**-5
"""A deviation below this part of |f| may be rounding: then both readings stay possible."""
_ROUGH: Final = 2.0**-14
"""Second differences below this part of |f| may be rounding too."""
_CONTRADICTION: Final = 2
"""Times the sum of two bounds: the truncation of a wide step is a little above its own bound."""


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
    error = np.fmax(found.noise, plateau(found)) / found.step
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
    """Whether a level's interval, bounds widened, meets that of every finer level."""
    bound = _CONTRADICTION * level.bound
    lower, upper = level.value - bound, level.value + bound
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
    rival = (apart > _CONTRADICTION * (level.bound + estimate.bound)) & _confirmed(level)
    if not rival.any():
        return estimate
    rival &= _plausible(found) & (_deviation(level.value, found) <= _RIPPLE * found.magnitude)
    bound = np.where(rival, level.bound, np.inf)
    sharpest = np.argmin(bound, axis=0), np.arange(bound.shape[1])
    reach = np.where(rival, apart, 0.0)[sharpest]
    return Candidates(estimate.value, np.maximum(estimate.bound, reach))


def _confirmed(level: Candidates) -> Flags:
    """Whether the next two levels agree; a wide step that converges by chance has no followers."""
    confirmed = np.zeros(level.value.shape, dtype=np.bool_)
    confirmed[:-2] = True
    for ahead in (1, 2):
        apart = np.abs(level.value[:-ahead] - level.value[ahead:])
        confirmed[:-ahead] &= apart <= level.bound[:-ahead] + level.bound[ahead:]
    return confirmed


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
