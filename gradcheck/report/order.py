"""The worst first: the order in which reports that are read later tell of results."""

from __future__ import annotations

import math
from typing import Final, Literal

from gradcheck.results import Result, Standing

WORST_FIRST: Final[tuple[Standing | Literal["invalid"], ...]] = (
    *("fail", "error", "xpassed", "worse"),
    *("invalid", "inconclusive"),
    *("known", "xfailed", "pass", "skipped"),
)
"""First what is proven wrong, then what could not be looked at, then what cannot be told."""


def worst_first(result: Result) -> tuple[int, float]:
    """By what became of it, then by its error, or what it leaves open, over the resolution."""
    place = WORST_FIRST.index(result.standing)
    if not result.is_bad:
        return place, 0.0
    size = result.resolution if result.verdict == "inconclusive" else result.difference
    ratio = (size or 0.0) / (result.required or 1.0)
    return place, -math.inf if math.isnan(ratio) else -ratio
