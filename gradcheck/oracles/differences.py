"""Central differences over a ladder of steps, and the rounding noise that they show.

Arrays are (levels, entries), from the widest step to the finest; an entry is an output by an input.
A step of 0 marks a level that an input does not use; it and values that are not finite give NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array

Effort = Literal["quick", "full"]
Flags = NDArray[np.bool_]

NOISE_LEVELS: Final = 4
"""The finest levels, where any curvature is far below the noise."""

EPSILON: Final = float(np.finfo(np.float64).eps)
SMALLEST: Final = math.ulp(0.0)
"""What a value that underflows is off by, at least."""
_UNEVEN: Final = np.array([1.375, 0.90625, 1.15625, 0.84375])[:, None]
"""Factors of steps, of the finest at least: at powers of two all may round f the same way."""
_MOST_CLIMBS: Final = 32
_FEW_TIMES: Final = 8.0
_CLOSE: Final = 2.0**-10  # of the scale: wider steps see the function's own oscillations
_ROUNDING: Final = 2.0**-24
"""A deviation below this part of |f| is taken for rounding, if it behaves like that."""
_STAYS: Final = 3  # levels at least
_ABRUPT: Final = 2.0**-8
"""A fall from one level to the next that is too steep for a smooth function, whose is 2⁻⁴."""


@np.errstate(over="ignore")
def ladder(x: Array, bits: int = 53, *, is_sum: bool = False) -> tuple[Array, Array]:
    """Steps for the inputs `x` (n,) in powers of two, as (levels, n); 0 where there is none.

    They start at the scale s = 4·2^⌊log₂|x|⌋ (4 at x = 0), (n,), which comes second, and fall by 4
    a level down to 4 ulp of an x of so many bits. For |x| < 1 they climb from s up to 4, since x
    itself may be the wrong scale. For a sum no level is a power of two from the next: what is 0 but
    for rounding may grow as the step does there, and no mode sees the roundings inside of a sum.
    """
    own = binade(x)
    falling = np.array([*range(0, bits - 4, 2), bits - 4, bits - 3, bits - 1])[:, None]
    exponents = np.vstack([_climb(own), own + 2 - falling])
    steps = np.ldexp(1.0, np.minimum(exponents, 1023))
    parts = len(steps) if is_sum else NOISE_LEVELS
    steps[-parts:] *= np.resize(_UNEVEN[::-1], parts)[::-1, None]
    # The difference of two points must not overflow.
    usable = (exponents <= 1020) & np.isfinite(x + steps) & np.isfinite(x - steps)
    return np.where(usable, steps, 0.0), np.ldexp(4.0, own)


def binade(x: Array) -> NDArray[np.int64]:
    """⌊log₂|x|⌋, 0 at 0."""
    return np.where(x == 0, 0, np.frexp(x)[1] - 1)


def _climb(own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exponents from 2 down to that of s, by 2 or, for a very small |x|, by more; 9999 for none."""
    distance = np.maximum(-own, 0)
    stride = np.maximum(2, -(-distance // _MOST_CLIMBS))
    count = int(np.max(-(-distance // stride), initial=0))
    climbed = stride * np.arange(count, 0, -1)[:, None]
    return np.where(climbed - stride < distance, np.minimum(own + climbed, 0) + 2, 9999)


def moved(forward: Array, backward: Array, centre: Array) -> Flags:
    """Which entries change at any step, (entries,)."""
    changes: Flags = ((forward != centre) | (backward != centre)).any(axis=0)
    return changes


def rounding_by_level(centre: Array, beside: Array) -> Array:
    """How far rounding moves f at every level, (levels, entries).

    `centre`, (entries,), is how far at the point, `beside` (2, levels, entries) on both sides of
    it: at the finest levels that is the point. What is only a few times `centre` is no more than
    that: both are measured.
    """
    beside = beside.max(axis=0)
    finest = beside[-NOISE_LEVELS:].max(axis=0)
    centre = np.where(finest > _FEW_TIMES * centre, finest, centre)
    result: Array = np.where(beside > _FEW_TIMES * centre, beside, centre)
    return result


Scan = Callable[[NDArray[np.intp], Array, Array], Array]
"""The largest second difference of f on an even grid over ±width, of each entry.

It takes the entries, and of each the width and the spacing; ∞ where it does not know.
"""


class Samples(NamedTuple):
    """The steps and the values f(x + h), f(x − h), (levels, entries), and f(x), (entries,).

    `step` is the realised one, ((x + h) − (x − h))/2; `scale` is the s of each entry's ladder. The
    entries are of these outputs, `output`, by one input or another. `rounding`, (levels, entries),
    is how far rounding inside f moves f(x) and what is so far from it: differences miss it where
    every step lands on the same stair, or all of them are rounded alike.
    `epsilon` is that of the dtype in which f computes. Of a sum of many changes, `is_sum`, the
    size says nothing of the terms'. `scan` looks closer at some of the entries, which it knows by
    the numbers `entry`.
    """

    output: NDArray[np.intp]
    step: Array
    scale: Array
    forward: Array
    backward: Array
    centre: Array
    rounding: Array
    epsilon: float = EPSILON
    is_sum: bool = False
    scan: Scan | None = None
    entry: NDArray[np.intp] | None = None

    @property
    def moved(self) -> Flags:
        """Which entries any step changes, (entries,), or that are not finite."""
        return moved(self.forward, self.backward, self.centre) | ~np.isfinite(self.centre)

    def of(self, entries: Flags) -> Samples:
        """Those of some entries."""
        return Samples(
            self.output[entries],
            self.step[:, entries],
            self.scale[entries],
            self.forward[:, entries],
            self.backward[:, entries],
            self.centre[entries],
            self.rounding[:, entries],
            self.epsilon,
            self.is_sum,
            self.scan,
            None if self.entry is None else self.entry[entries],
        )


class Differences(NamedTuple):
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
    is_sum: bool = False
    scan: Scan | None = None
    entry: NDArray[np.intp] | None = None


def differences(samples: Samples) -> Differences:
    """The differences of `samples`; a level with a value that is not finite drops out."""
    after, before, centre = samples.forward, samples.backward, samples.centre
    slope = (after - before) / (2 * samples.step)
    slope[~np.isfinite(slope)] = np.nan
    second = np.abs((after - centre) + (before - centre))
    magnitude = np.maximum(np.maximum(np.abs(after), np.abs(before)), np.abs(centre))
    shown = _at_the_finest(slope, second, samples.step, _ROUNDING * np.fmax.reduce(magnitude))
    shown = np.fmax(_pooled(shown, samples.output), samples.rounding)
    noise = np.fmax(np.fmax(samples.epsilon * magnitude, SMALLEST), shown)
    return Differences(
        samples.step,
        samples.scale,
        slope,
        second,
        magnitude,
        noise,
        samples.is_sum,
        samples.scan,
        samples.entry,
    )


def _pooled(shown: Array, output: NDArray[np.intp]) -> Array:
    """An entry's noise at all the levels shown, and at the finest of every input.

    A small input moves a long sum by less than the sum's rounding: the other inputs show that.
    """
    finest = over_inputs(shown[-1], output)
    return np.fmax(np.fmax.reduce(shown), finest)


def over_inputs(entries: Array, output: NDArray[np.intp]) -> Array:
    """The largest over the inputs, for each entry of the same output."""
    largest = np.full(int(output.max(initial=0)) + 1, -np.inf)
    np.fmax.at(largest, output, entries)
    pooled: Array = largest[output]
    return pooled


def _at_the_finest(slope: Array, second: Array, step: Array, rounding: Array) -> Array:
    """What the differences of the last levels show, where curvature is negligible.

    Roundings are often odd about x and cancel in second differences: the slopes show those. A rise
    that does not fall with the step is no noise but a jump, unless it is as small as `rounding`:
    then its own changes count.
    """
    rise = np.abs(slope * step)[-NOISE_LEVELS:]
    uneven = np.abs(slope[1 - NOISE_LEVELS :] - slope[-NOISE_LEVELS:-1]) * step[1 - NOISE_LEVELS :]
    largest: Array = np.fmax.reduce(rise)
    spread: Array = largest - np.fmin.reduce(rise)
    jump = (largest > rounding) & (spread <= largest / 64)
    return np.where(jump, spread, np.fmax(second[1 - NOISE_LEVELS :], uneven))


def plateau(found: Differences) -> Array:
    """The level at which second differences stop falling, where that is tiny beside |f|.

    Rounding inside f can be smooth at close range: for (1 − cos x)/x² at 1e-4 the numerator is
    constant over 1e-12. Only wider steps show it, as second differences that do not fall and then,
    from one level to the next, all but vanish. Those of a ripple of f itself fade as h².
    """
    second, close = found.second[1:], found.step[1:] <= found.scale * _CLOSE
    stays = close & (second >= found.second[:-1] / 2) & (second > 0)
    stays &= second <= _ROUNDING * found.magnitude[1:]
    if np.count_nonzero(stays) < _STAYS:
        return np.zeros(second.shape[1])
    height: Array = np.max(second, axis=0, where=stays, initial=0.0)
    rounding = (np.count_nonzero(stays, axis=0) >= _STAYS) & _vanishes(
        second, found.step[1:], height
    )
    return np.where(rounding, height, 0.0)


def _vanishes(second: Array, step: Array, height: Array) -> Flags:
    """Whether `second` drops from about `height` to almost nothing between two adjacent levels."""
    high = second[:-1] >= height / 4
    drops = high & (second[1:] < _ABRUPT * height) & (step[:-1] <= 8 * step[1:])
    last = len(high) - 1 - np.argmax(high[::-1], axis=0)
    vanishes: Flags = drops[last, np.arange(high.shape[1])]
    return vanishes
