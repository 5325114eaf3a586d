"""A ball: a midpoint and a radius that bounds how far the midpoint can be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIDED = "one-sided derivative"
"""Words of a note that says what a function's slopes are at a kink or an edge."""
Basis = Literal["proven", "bounded", "estimated"]
"""What a radius is worth: a proof, a bound under stated assumptions, or a measurement."""


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """What an oracle answers: `midpoint ± radius`, entry by entry.

    Both arrays are float64 and have one shape; radii are absolute (the unit of the midpoint), not
    negative and never NaN. An infinite radius is an oracle's word for "I cannot tell"; the midpoint
    beside it means nothing. `notes` say in words what the oracle met on the way (a kink, say).
    """

    midpoint: Array
    radius: Array
    basis: Basis
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.midpoint.shape != self.radius.shape:
            raise ValueError(f"midpoint {self.midpoint.shape} and radius {self.radius.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.midpoint.shape

    def scaled(self, times: int, shape: tuple[int, ...]) -> Ball:
        """So many times as much (from 1), in another shape."""
        midpoint, radius = (times * part for part in (self.midpoint, self.radius))
        return Ball(midpoint.reshape(shape), radius.reshape(shape), self.basis, self.notes)

    def distance(self, other: Ball) -> Array:
        """How far the other's midpoint is from this one's."""
        return self.distance_to(other.midpoint)

    def distance_to(self, point: Array) -> Array:
        """|midpoint − point|, where a non-finite value is 0 from itself and infinitely far from
        everything else."""
        a, b = self.midpoint, point
        if a.ndim == b.ndim == 0:  # numbers, which numpy would take ten times as long for
            between = abs(float(a) - float(b))
            if between < math.inf:
                return np.array(between)
        with np.errstate(invalid="ignore", over="ignore"):
            apart: Array = np.abs(a - b)
        if np.isfinite(apart).all():
            return apart
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))

    def bounding(self, point: Array, resolution: float) -> Ball | None:
        """The point with a bound on its own error, where this ball tells one.

        It does where the point lies inside of it, and both radii together are below what
        `resolution`, relative to the largest entry, asks for.
        """
        apart = self.distance_to(point)
        if not (apart <= self.radius).all():
            return None
        error = apart + self.radius
        if 2 * (error + self.radius).max(initial=0.0) > resolution * self.largest():
            return None
        return Ball(point, error, self.basis)

    def farthest(self, other: Ball) -> float:
        """The largest distance; 0 where there is no entry."""
        return float(self.distance(other).max(initial=0.0))

    def is_within(self, distance: Array, other: Ball) -> bool:
        """Whether every entry is at most `distance` off, a non-finite one equal."""
        apart = self.distance(other)
        return bool(np.all((apart == 0) | (np.isfinite(apart) & (apart <= distance))))

    def largest(self) -> float:
        """The largest finite |midpoint| that its own radius tells from zero; 0 where none is."""
        if self.midpoint.ndim == 0:
            number = abs(float(self.midpoint))
            return number if float(self.radius) < number < math.inf else 0.0
        size = np.abs(self.midpoint)
        known = (size > self.radius) & (size < np.inf)
        return float(size[known].max(initial=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Between(Ball):
    """A ball for each value from `lower` to `upper`, any of which is right: a subdifferential.

    The radius is that of the two ends. An end may be infinite.
    """

    lower: Array = field(kw_only=True)
    upper: Array = field(kw_only=True)

    @classmethod
    def ends(
        cls, lower: Array, upper: Array, radius: Array, basis: Basis, notes: tuple[str, ...]
    ) -> Between:
        """All that lies between these, each end of which is known to within `radius`."""
        with np.errstate(invalid="ignore"):
            middle = np.where(lower == upper, lower, (lower + upper) / 2)
        return cls(middle, radius, basis, notes, lower=lower, upper=upper)

    def scaled(self, times: int, shape: tuple[int, ...]) -> Between:
        ends = self.lower, self.upper, self.radius
        lower, upper, radius = (times * end.reshape(shape) for end in ends)
        return Between.ends(lower, upper, radius, self.basis, self.notes)

    def largest(self) -> float:
        """The largest finite size of an end that its radius tells from zero; 0 where none is."""
        size = np.abs(np.stack([self.lower, self.upper]))
        known = (size > self.radius) & (size < np.inf)
        return float(size[known].max(initial=0.0))

    def distance_to(self, point: Array) -> Array:
        """How far it is from the nearest of the values; ∞ for NaN."""
        with np.errstate(invalid="ignore"):
            outside = np.fmax(np.fmax(self.lower - point, point - self.upper), 0.0)
        apart: Array = np.where((self.lower <= point) & (point <= self.upper), 0.0, outside)
        return np.where(np.isnan(point), np.inf, apart)


def stacked(balls: Sequence[Ball], times: float = 1.0) -> Ball:
    """Numbers in one ball, (k,), each so many times (> 0) as much."""
    radius = times * np.array([ball.radius for ball in balls])
    notes = tuple(dict.fromkeys(note for ball in balls for note in ball.notes))
    ends = [
        (ball.lower, ball.upper) if isinstance(ball, Between) else (ball.midpoint, ball.midpoint)
        for ball in balls
    ]
    lower, upper = times * np.array(ends).reshape(-1, 2).T
    if (lower == upper).all():
        return Ball(lower, radius, balls[0].basis, notes)
    return Between.ends(lower, upper, radius, balls[0].basis, notes)
