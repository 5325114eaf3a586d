"""The constant that would make a formula right."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final

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


def fraction(value: float) -> Fraction | None:
    """The small fraction that it is, if it is one."""
    exact = Fraction(value).limit_denominator(100)
    return exact if abs(float(exact) - value) <= _SHORT * abs(value) else None
