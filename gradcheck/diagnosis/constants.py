"""Constants of formulas: as they are found, and as they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from gradcheck.language.editing import Part, negative, number
from gradcheck.language.tree import Name, values_of

TRIES: Final = 24
_SHORT: Final = 1e-9

Residual = Callable[[float], float]


def root(residual: Residual, start: float) -> float | None:
    """Where a residual is 0, by the secant method from a number; None where it finds none."""
    a, b = start, start * 1.01 + 0.01 * (not start)
    at_a, at_b = residual(a), residual(b)
    for _ in range(TRIES):
        if not (math.isfinite(at_a) and math.isfinite(at_b)) or at_a == at_b:
            return None
        a, b, at_a = b, b - at_b * (b - a) / (at_b - at_a), at_b
        if not math.isfinite(b):
            return None
        if abs(b - a) <= 1e-15 * abs(b):
            return b
        at_b = residual(b)
        if at_b == 0:
            return b
    return b if abs(b - a) <= 1e-9 * abs(b) else None


def short(value: float) -> Decimal:
    """The number with the fewest digits that is as near as rounding tells."""
    for digits in range(1, 16):
        rounded = float(f"{value:.{digits}g}")
        if abs(rounded - value) <= _SHORT * abs(value):
            return Decimal(f"{value:.{digits}g}")
    return Decimal(repr(value))


def signed(value: int | Decimal) -> Part:
    """A number as it is written in a formula."""
    return number(value) if value >= 0 else negative(number(-value))


def is_constant(part: Part) -> bool:
    """Whether it is made of numbers alone, such as `sqrt(2)`."""
    return not any(isinstance(node, Name) for node in values_of(part.node))
