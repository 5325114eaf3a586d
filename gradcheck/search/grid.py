"""The numbers that a search may look at: all that a dtype holds, or fewer."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from gradcheck.casefile.domain import Interval
from gradcheck.search.values import Array

PLACES: Final = 4
"""Decimal places of numbers at which a derivative is taken numerically: between two of them, and
between one and a kink at another, there is room for its steps."""
FAR: Final = 1e5
"""How large they may be, so that there is room beside the largest too."""


class Grid:
    """The numbers of a real torch dtype, in float64."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def rounded(self, array: Array) -> Array:
        """An array's numbers as the dtype holds them, too large ones infinite."""
        if self.dtype is torch.float64:
            return np.asarray(array, dtype=np.float64)
        numbers = torch.from_numpy(np.array(array, dtype=np.float64))
        held: Array = numbers.to(self.dtype).to(torch.float64).numpy()
        return held

    def end(self, end: float, interval: Interval) -> float:
        """The number nearest to a finite end of an interval that is in it."""
        number = torch.tensor(end, dtype=self.dtype)
        if not interval.contains(number.item()):
            inwards = math.inf if end == interval.low else -math.inf
            number = torch.nextafter(number, torch.tensor(inwards, dtype=self.dtype))
        return float(number.item())

    def neighbours(self, number: float) -> tuple[float, float]:
        """The numbers on both sides of one."""
        own = torch.tensor(number, dtype=self.dtype)
        sides = (torch.tensor(side, dtype=self.dtype) for side in (-math.inf, math.inf))
        below, above = (float(torch.nextafter(own, side).item()) for side in sides)
        return below, above


class Whole(Grid):
    """Whole numbers."""

    def __init__(self) -> None:
        super().__init__(torch.float64)

    def rounded(self, array: Array) -> Array:
        numbers = np.asarray(array)
        held: Array = np.rint(np.clip(numbers, -(2.0**53), 2.0**53)).astype(np.int64)
        return held

    def end(self, end: float, interval: Interval) -> float:
        number = math.ceil(end) if end == interval.low else math.floor(end)
        inwards = 1 if end == interval.low else -1
        return float(number if interval.contains(number) else number + inwards)

    def neighbours(self, number: float) -> tuple[float, float]:
        return number - 1, number + 1


class Coarse(Grid):
    """Numbers of so many decimal places."""

    def __init__(self, dtype: torch.dtype, places: int) -> None:
        super().__init__(dtype)
        self.places = places

    @classmethod
    def of(cls, dtype: torch.dtype, interval: Interval) -> Coarse:
        """A thousand numbers and more in an interval, however small it is."""
        width = interval.last - interval.first
        needed = 3 - math.floor(math.log10(width)) if 0 < width < 1 else 0
        return cls(dtype, max(PLACES, needed))

    def rounded(self, array: Array) -> Array:
        return super().rounded(np.round(array, self.places))

    def end(self, end: float, interval: Interval) -> float:
        number = float(self.rounded(np.array(end)))
        below, above = self.neighbours(number)
        return next(filter(interval.contains, (number, below, above)), number)

    def neighbours(self, number: float) -> tuple[float, float]:
        step = 10.0**-self.places
        return number - step, number + step
