"""The logarithm of the gamma function and its derivatives, of elements."""

from __future__ import annotations

import math
from typing import Final

from flint import arb, arb_series, ctx

from gradcheck.rigorous.elements import NAN, Element, constant, divided, is_series, sign

_MOST_STEPS: Final = 10_000
"""Of the recurrence, which far to the left of 0 takes too many."""


def lgamma(x: Element) -> Element:
    """log|Γ(x)|; at negative x by the reflection formula (DLMF 5.5.3)."""
    if constant(x) > 0:
        return x.lgamma()
    return divided(arb.pi(), x.sin_pi() * sign(x.sin_pi())).log() - (1 - x).lgamma()


def polygamma(x: Element, n: int) -> Element:
    """The n-th derivative of digamma; at negative x by the recurrence (DLMF 5.15.5)."""
    value = constant(x)
    if not value.is_finite() or (value.contains_integer() and not value > 0):
        return NAN
    steps = max(0, 1 - math.floor(float(value.mid())))
    if steps > _MOST_STEPS:
        return NAN
    total, factor = _right(x + steps, n), (-1) ** n * math.factorial(n)
    for step in range(steps):
        total = total - factor / (x + step) ** (n + 1)
    return total


def _right(x: Element, n: int) -> Element:
    """The same right of 0: derivatives of lgamma are coefficients of its Taylor series."""
    order, kept = n + 1, ctx.cap
    ctx.cap = order + 3
    try:
        series = arb_series([constant(x), 1], order + 3).lgamma()
    finally:
        ctx.cap = kept
    value, slope, curvature = (series[k] * arb(k).fac() for k in range(order, order + 3))
    if not is_series(x):
        return value
    step = x - constant(x)
    return value + slope * step + curvature / 2 * step * step
