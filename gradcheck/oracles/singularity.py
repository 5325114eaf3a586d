"""Singularities: points where a function is not smooth, read from how its differences shrink.

Differences fall as a power of the step: |f(x+h) + f(x−h) − 2f(x)| ∝ h^s with s = 2 where f is
smooth, 1 at a kink, 0 at a jump; |f(x+h) − f(x−h)| ∝ h, but less at a vertical tangent.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array
from gradcheck.oracles.differences import (
    NOISE_LEVELS,
    SMALLEST,
    Differences,
    Flags,
    Samples,
    over_inputs,
)

Indices = NDArray[np.intp]

_ABOVE_NOISE: Final = 64
_TOLERANCE: Final = 0.05  # of an exponent
STEEP: Final = 0.9  # an exponent of a rise below it: the tangent is vertical
_CHAOS: Final = 2.0**-20  # of the largest |f|
_MANY_LEVELS: Final = 8
_FALLEN: Final = 1 / 16
"""Over as many levels the bend of a smooth function falls to much less."""
_OPERATIONS: Final = 64.0
_WINDOW: Final = np.arange(3)[:, None]  # of adjacent levels, whose exponents must agree


class Kind(IntEnum):
    """In the order in which they are met: what keeps an entry from having a derivative."""

    NONE = 0
    UNDEFINED = 1
    ISOLATED = 2
    EDGE = 3
    JUMP = 4
    CUSP = 5
    KINK = 6
    ROUGH = 7
    NOISE = 8


def kinds(samples: Samples, found: Differences) -> NDArray[np.int64]:
    """The `Kind` of each entry, (entries,), as the finest steps above the noise show it."""
    sizes = np.stack([found.second, np.abs(found.slope) * found.step])
    (bend, rise), (last, _) = _exponents(sizes, found)
    largest = over_inputs(np.fmax.reduce(found.magnitude), samples.output)
    # A value that is 0 but for the rounding of what it is made of is no chaos.
    made_of = max(float(np.nanmax(found.magnitude, initial=0.0)), float(samples.scale.max()) / 4)
    rounded = found.noise[-1] <= _OPERATIONS * samples.epsilon * made_of
    noisy = (found.noise[-1] > np.fmax(_CHAOS * largest, SMALLEST)) & ~rounded
    if np.isfinite(found.slope).all() and _falls(bend, rise) and not noisy.any():
        return np.zeros(len(samples.centre), dtype=np.int64)
    met = {
        Kind.UNDEFINED: ~np.isfinite(samples.centre),
        Kind.ISOLATED: _alone(samples),
        Kind.EDGE: _one_sided(samples),
        Kind.JUMP: _below(rise, _TOLERANCE),
        Kind.CUSP: (_below(bend, 1 - _TOLERANCE) & (bend[0] > _TOLERANCE)) | _below(rise, STEEP),
        Kind.KINK: (np.abs(bend - 1) <= _TOLERANCE).all(axis=0) & _persists(found, last),
        Kind.ROUGH: _stays_bent(found),
        Kind.NOISE: noisy,
    }
    found_kinds = np.zeros(len(samples.centre), dtype=np.int64)
    for kind, entries in reversed(met.items()):
        found_kinds[entries] = kind.value
    return found_kinds


def _falls(bend: Array, rise: Array) -> bool:
    """Whether all entries are clearly smooth: then none can be of the other kinds."""
    return bool((bend > 1 + _TOLERANCE).all() and (rise >= STEEP).all())


def exponents(size: Array, found: Differences) -> tuple[Array, Indices]:
    """The last three exponents s in size ∝ h^s, (3, entries), and the level of the very last."""
    (found_exponents,), (last,) = _exponents(size[None], found)
    return found_exponents, last


def _exponents(sizes: Array, found: Differences) -> tuple[Array, Indices]:
    """The last three exponents s in size ∝ h^s, and the level of the very last.

    `sizes` are (kinds of size, levels, entries), the exponents (kinds, 3, entries), the levels
    (kinds, entries).

    Last is the finest level whose size is above the noise, or would be if the size fell only as h:
    a kink seen from afar has vanished there. NaN where fewer levels are.
    """
    shrink = found.step[:-1] / found.step[1:]
    wide, fine = sizes[:, :-1], sizes[:, 1:]
    exponent = np.log(wide / fine) / np.log(shrink)
    visible = np.maximum(fine, wide / shrink) > _ABOVE_NOISE * found.noise[1:]
    last = len(shrink) - 1 - visible[:, ::-1].argmax(axis=1)
    window = last[:, None] - _WINDOW
    seen = (window >= 0) & visible.any(axis=1, keepdims=True)
    kind, entry = np.arange(len(sizes))[:, None, None], np.arange(sizes.shape[2])
    chosen = exponent[kind, np.maximum(window, 0), entry]
    return np.where(seen, chosen, np.nan), last + 1


def _at(array: Array, level: Indices) -> Array:
    """The values of `array` (levels, entries) at each entry's own level."""
    chosen: Array = array[level, np.arange(array.shape[1])]
    return chosen


def _below(exponents: Array, limit: float) -> Flags:
    """Whether all exponents are below `limit` and agree with each other."""
    largest = exponents.max(axis=0)
    below: Flags = (largest < limit) & (largest - exponents.min(axis=0) <= 2 * _TOLERANCE)
    return below


def _persists(found: Differences, last: Indices) -> Flags:
    """Whether one of the two finest levels still shows the kink of `last`, or is too noisy to."""
    faint = _at(found.second / found.step, last) / 4 * found.step[-2:]
    shown: Flags = np.any((found.second[-2:] >= faint) | (faint <= found.noise[-2:]), axis=0)
    return shown


def _stays_bent(found: Differences) -> Flags:
    """Whether the two sides' slopes differ as much at the finest levels as at wide ones.

    They do at a kink, and where f oscillates ever faster, which shows no exponent. Where f is
    smooth their difference falls with the step.
    """
    bend = np.where(found.step > 0, found.second / found.step, 0.0)
    lasting = _FALLEN * np.fmax.reduce(bend)
    shows = lasting * found.step > _ABOVE_NOISE * found.noise
    rank = np.cumsum(shows[::-1], axis=0)[::-1]  # 1 at the finest level at which it would show
    finest = np.where(shows & (rank <= len(_WINDOW)), bend, np.inf)
    many = np.count_nonzero(shows, axis=0) >= _MANY_LEVELS
    stays: Flags = many & (np.fmin.reduce(finest) >= lasting)
    return stays


def _alone(samples: Samples) -> Flags:
    """Whether f is finite at none of the finest steps, on neither side."""
    after, before = samples.forward[-NOISE_LEVELS:], samples.backward[-NOISE_LEVELS:]
    used = samples.step[-NOISE_LEVELS:] > 0
    finite = (np.isfinite(after) | np.isfinite(before)) & used
    alone: Flags = np.any(used, axis=0) & ~np.any(finite, axis=0)
    return alone


def _one_sided(samples: Samples) -> Flags:
    """Whether f is finite at some steps of one side and at none of the other."""
    used = samples.step > 0
    after = np.any(np.isfinite(samples.forward) & used, axis=0)
    before = np.any(np.isfinite(samples.backward) & used, axis=0)
    different: Flags = np.not_equal(after, before)
    return different
