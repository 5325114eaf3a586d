"""Accuracy: how many digits of the truth an evaluation keeps, in its dtype and on its device."""

from __future__ import annotations

import math

from gradcheck.ball import Array
from gradcheck.casefile.case import DIGITS, DType


def digits_kept(distance: Array, radius: Array, scale: float, dtype: DType) -> tuple[float, float]:
    """At least and at most how many decimal digits an answer keeps of a truth with this radius.

    That is -log₁₀ of its largest error relative to `scale`, the largest entry; none below 0, none
    above what the dtype can hold. The two differ where the truth itself is not well known.
    """
    if distance.ndim == 0:
        most, least = float(distance) + float(radius), float(distance) - float(radius)
    else:
        most = float((distance + radius).max(initial=0.0))
        least = float((distance - radius).max(initial=0.0))
    return _digits(most / scale, dtype), _digits(least / scale, dtype)


def _digits(error: float, dtype: DType) -> float:
    if not error < 1:
        return 0.0
    return min(DIGITS[dtype], -math.log10(error)) if error > 0 else DIGITS[dtype]
