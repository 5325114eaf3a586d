"""A ball: a midpoint and a radius that bounds how far the midpoint can be off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
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

    def distance(self, other: Ball) -> Array:
        """|midpoint − other.midpoint|, where a non-finite value is 0 from itself and infinitely far
        from everything else."""
        a, b = self.midpoint, other.midpoint
        with np.errstate(invalid="ignore", over="ignore"):
            apart: Array = np.abs(a - b)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))

    def farthest(self, other: Ball) -> float:
        """The largest distance; 0 where there is no entry."""
        return float(np.max(self.distance(other), initial=0.0))

    def is_within(self, distance: Array, other: Ball) -> bool:
        """Whether every entry is at most `distance` off, a non-finite one equal."""
        apart = self.distance(other)
        return bool(np.all((apart == 0) | (np.isfinite(apart) & (apart <= distance))))

    def largest(self) -> float:
        """The largest finite |midpoint| that its own radius tells from zero; 0 where none is."""
        size = np.abs(self.midpoint)
        known = np.isfinite(size) & (size > self.radius)
        return float(np.max(size, initial=0.0, where=known))
