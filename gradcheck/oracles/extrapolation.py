"""Extrapolation of central differences to step 0, with a bound that holds at the noise too.

Arrays are (levels, entries), as in `differences`; NaN marks a value that does not exist.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array
from gradcheck.oracles.differences import SMALLEST, Differences, Flags, plateau

Indices = NDArray[np.intp]

COLUMNS: Final = 6
_ROUNDING: Final = 4 * float(np.finfo(np.float64).eps)
"""Of a value: what its own few operations may lose."""
_RIPPLE: Final = 2.0**-5
"""A deviation below this part of |f| may be rounding: then both readings stay possible."""
_ROUGH: Final = 2.0**-14
"""Second differences below this part of |f| may be rounding too."""
_BLURRED: Final = 1e-3
_CAUTION: Final = 8
"""A bound that is more than such a part of the value may be too small by as much: it comes from few
levels that agree by chance. Nothing is decided by it."""
_PARTS: Final = 32
"""Of the step up to which an estimate holds: how closely its surroundings are looked at."""
_MOST_PARTS: Final = 16 * _PARTS  # on a side
_CONTINUOUS: Final = 8.0
"""Times the rival's deviation over a part: the edge of a stair that reaches as far as the step, on
both sides, is 2·_PARTS times it; several roundings may share that. A kink's is 2."""
_CLOSER: Final = 8
"""Times closer, where a first look does not tell a sharp kink from a jump."""
_ABOVE_NOISE: Final = 64
_HOLDS: Final = 1 / 8
"""Of the way to a rival: an estimate that is no further off holds."""
_NEAR: Final = 16.0
_CONTRADICTION: Final = 2
"""Times the sum of two bounds: the truncation of a wide step is a little above its own bound."""


class Candidates(NamedTuple):
    """Derivatives and bounds on their errors; 0 ± inf where there is none."""

    value: Array
    bound: Array


def extrapolate(found: Differences) -> Candidates:
    """The derivatives at step 0, (entries,): of the candidates that no finer level contradicts, the
    sharpest.

    A sharp candidate of wide steps alone proves nothing: sin(2πn x) is constant at integer steps.
    """
    noise = found.noise if found.is_sum else np.fmax(found.noise, plateau(found))
    level = neville(found.slope, noise / found.step, found.step)
    straight = _is_near(level.value, found, noise)
    sharpest = best(level._replace(bound=np.where(straight, level.bound, np.inf)))
    value, bound = sharpest if found.is_sum else _widened(sharpest, level, found)
    return Candidates(value, np.where(bound > _BLURRED * np.abs(value), _CAUTION * bound, bound))


def best(level: Candidates) -> Candidates:
    """Of all levels' candidates the sharpest, (entries,).

    It is one that no finer level contradicts, and that the next two confirm.
    """
    trusted = np.where(uncontradicted(level) & _confirmed(level), level.bound, np.inf)
    chosen = np.argmin(trusted, axis=0), np.arange(trusted.shape[1])
    return Candidates(level.value[chosen], trusted[chosen])


def neville(slope: Array, error: Array, step: Array, power: int = 2) -> Candidates:
    """Each level's best candidate over the columns of Neville's scheme in h², or another power.

    A candidate's bound is the largest of its differences to both parents and to the next level's
    value of the same column, plus twice its share of `error`, the levels' η/h.
    """
    value, share = _table(slope, error, step, power)
    apart = np.full_like(value, np.inf)  # the last level has nobody to confirm it
    # The next level confirms no more than its own error allows.
    apart[:, :-1] = np.abs(value[:, :-1] - value[:, 1:]) + share[:, 1:]
    parents = apart[1:, 1:]
    np.maximum(parents, np.abs(value[1:, 1:] - value[:-1, 1:]), out=parents)
    np.maximum(parents, np.abs(value[1:, 1:] - value[:-1, :-1]), out=parents)
    bound = apart + 2 * share
    bound += _ROUNDING * np.abs(value) + SMALLEST
    bound[~np.isfinite(bound)] = np.inf
    levels, entries = slope.shape
    best = bound.argmin(axis=0), np.arange(levels)[:, None], np.arange(entries)
    bound, value = bound[best], value[best]
    return Candidates(np.where(bound < np.inf, value, 0.0), bound)


def _table(slope: Array, error: Array, step: Array, power: int) -> tuple[Array, Array]:
    """The values of Neville's scheme and their errors, (columns, levels, entries).

    Where the steps of all entries are in the same ratios, as they are but for very small inputs,
    the scheme is the same linear combination of the levels for each: one product.
    """
    relative = step / step[0]
    if np.isfinite(slope).all() and (relative == relative[:, :1]).all():
        weights, sizes = _weights(relative[:, 0].tobytes(), power)
        return weights @ slope, sizes @ error
    return _scheme(slope, step, power, np.subtract), _scheme(error, step, power, np.add)


@functools.lru_cache(maxsize=64)
def _weights(relative_steps: bytes, power: int) -> tuple[Array, Array]:
    """What the scheme makes of each level, (columns, levels, levels), and the sizes of that."""
    step = np.frombuffer(relative_steps)[:, None]
    weights = _scheme(np.eye(len(step)), step, power, np.subtract)
    return weights, np.abs(weights)


def _scheme(first: Array, step: Array, power: int, combine: np.ufunc) -> Array:
    """Neville's scheme for step 0, (columns, levels, entries), from its first column.

    A column combines a level with those before it; NaN where there are too few. With `np.add` it
    is that of the errors, which add up.
    """
    columns = min(COLUMNS, len(first))
    table = np.full((columns, *first.shape), np.nan)
    table[0] = first
    for c in range(1, columns):
        ratio = (step[:-c] / step[c:]) ** power
        finer, coarser = table[c - 1, c:], table[c - 1, c - 1 : -1]
        table[c, c:] = combine(finer * ratio, coarser) / (ratio - 1)
    return table


def uncontradicted(level: Candidates) -> Flags:
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
    |f|, these values alone cannot tell a fine ripple of f, or a kink nearby, from rounding inside
    f: both stay possible, unless a closer look shows that f has no stairs there.
    """
    apart = np.abs(level.value - estimate.value)
    rival = apart > _CONTRADICTION * (level.bound + estimate.bound)
    if not rival.any():
        return estimate
    rival &= _confirmed(level)
    rival &= _plausible(found) & (_deviation(level.value, found) <= _RIPPLE * found.magnitude)
    bound = np.where(rival, level.bound, np.inf)
    sharpest = np.argmin(bound, axis=0), np.arange(bound.shape[1])
    reach = np.where(rival, apart, 0.0)[sharpest]
    bound = np.maximum(estimate.bound, reach)
    doubted = np.flatnonzero((reach > estimate.bound) & (estimate.bound < reach * _HOLDS))
    if found.scan is not None and found.entry is not None and doubted.size:
        rivals = np.where(rival, apart, np.nan)[:, doubted]
        own = np.argmax(level.value[:, doubted] == estimate.value[doubted], axis=0)
        stepless = _has_no_stairs(estimate.value[doubted], own, rivals, found, doubted)
        bound[doubted[stepless]] = estimate.bound[doubted[stepless]]
    return Candidates(estimate.value, bound)


def _has_no_stairs(
    value: Array, own: Indices, apart: Array, found: Differences, chosen: Indices
) -> Flags:
    """Whether no rounding inside f can be why fine steps show `value` and wide ones a rival.

    If the rivals, that far `apart` (levels, chosen), were right, f would be stairs beside its true
    self, on one of which lie all steps that show `value`. Its edge, within the next wider step,
    is then a jump as high as the stair is wide times `apart`; f's own ripples and kinks have none.
    Where finer steps than those of the level, `own`, that has the value show another, none is told.
    """
    assert found.scan is not None
    assert found.entry is not None
    step, noise = found.step[:, chosen], found.noise[:, chosen]
    off = np.abs(found.slope[:, chosen] - value) * step
    least, most = np.fmin.reduce(apart), np.fmax.reduce(apart)

    def held(gap: Array) -> Indices:
        """The widest level down from which all hold."""
        holds = ~(off > _HOLDS * gap * step + _NEAR * noise)
        level: Indices = len(step) - np.logical_and.accumulate(holds[::-1]).sum(axis=0)
        return level

    fine, wide = held(least), held(most)
    usable = (wide > 0) & (fine <= own)
    every = np.arange(len(chosen))
    inner = step[np.minimum(fine, len(step) - 1), every]
    outer = step[np.maximum(wide - 1, 0), every]
    part = inner / _PARTS
    limit = _CONTINUOUS * least * part
    usable &= (outer > 0) & (inner > 0) & (outer <= _MOST_PARTS * part)
    usable &= limit > _ABOVE_NOISE * found.noise[-1, chosen]
    result = np.zeros(len(chosen), dtype=np.bool_)
    for closer in (1, _CLOSER):
        # What is no jump falls with the spacing.
        look = np.flatnonzero(usable & ~result)
        if look.size:
            entry = found.entry[chosen[look]]
            largest = found.scan(entry, outer[look], part[look] / closer)
            result[look] = largest <= limit[look]
            usable[look] = largest <= _CLOSER * limit[look]
    return result


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


def _is_near(value: Array, found: Differences, noise: Array) -> Flags:
    """Whether f stays, at finer steps, as near to the line of slope `value` as at a level's own.

    Where it leaves it, the level agrees with others by chance: both sides are flat far away, say.
    """
    own = np.abs(found.slope - value) * found.step
    return ~(_deviation(value, found, noise) > _NEAR * (own + noise))


def _deviation(value: Array, found: Differences, noise: Array | float = 0.0) -> Array:
    """How far f leaves the line of slope `value` over any of the finer steps, beyond its noise."""
    result = np.zeros_like(value)
    excused = np.broadcast_to(_NEAR * np.asarray(noise), value.shape)
    for k in range(len(value) - 1):
        leaves = np.abs(found.slope[k + 1 :] - value[k]) * found.step[k + 1 :] - excused[k + 1 :]
        np.fmax.reduce(leaves, axis=0, out=result[k])
    return result
