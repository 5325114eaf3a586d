"""An earlier run beside this one: what is known, what is new, what got worse or better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gradcheck import records
from gradcheck.results import BAD, Change, Result

NOISE: Final = 10.0
"""A factor that resolutions and errors may change by without a word; of digits, one.

The same case on a processor with other vector instructions moves them by up to 5 and 0.74
(465 cases of the library, with AVX-512 and without any).
"""
_ROUNDING: Final = {
    "float64": 2.0**-53,
    "complex128": 2.0**-53,
    "float32": 2.0**-24,
    "complex64": 2.0**-24,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
_BADNESS: Final = ("xpassed", "inconclusive", "fail", "error")
"""How bad a verdict is; those that are not here do not fail a run."""


class Baseline:
    """The results of an earlier run, each to be met once."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._left: dict[tuple[str, ...], list[Result]] = {}
        self._places: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for result in results:
            self._left.setdefault(result.claim, []).append(result)
            self._places.setdefault(result.place, set()).add(result.claim)

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """That of a file which `gradcheck run --jsonl` wrote.

        Raises:
            UsageError: It is no such file.
        """
        return cls(records.read(path).results)

    def judged(self, result: Result) -> Result:
        """The result, with what changed since then."""
        return replace(result, change=change(self._before(result), result))

    def unseen(self) -> list[Result]:
        """What this run did not look at."""
        return [result for listed in self._left.values() for result in listed]

    def _before(self, result: Result) -> Result | None:
        """The same claim then: also with another formula, where only one is at its place."""
        claim = result.claim
        if claim not in self._left and len(there := self._places.get(result.place, set())) == 1:
            (claim,) = there
        listed = self._left.get(claim)
        return listed.pop(0) if listed else None


def change(before: Result | None, now: Result) -> Change | None:
    """What is to be said of a claim that was `before` and is `now`; nothing where all is well."""
    if before is None:
        return Change("new", "new: the baseline does not have it") if now.verdict in BAD else None
    moves = list(_moves(before, now))
    worse = [text for by, text in moves if by > 0]
    better = [text for by, text in moves if by < 0]
    if worse:
        return Change("worse", f"worse than in the baseline: {'; '.join(worse)}")
    if now.verdict in BAD:
        return Change("known", "; ".join(["known from the baseline", *better]))
    if better:
        return Change("better", f"better than in the baseline: {'; '.join(better)}")
    return None


def _moves(before: Result, now: Result) -> Iterator[tuple[float, str]]:
    """What is not as it was: above 0 where it got worse, and a sentence."""
    if step := _badness(now) - _badness(before):
        yield step, f"it was {before.verdict}, it is {now.verdict}"
        return
    if accused := _blamed(now) - _blamed(before):
        was = before.blame or "nobody"
        yield 1.0, f"the blame was on {was}, it is on {','.join(sorted(accused))} too"
    least = _ROUNDING.get(now.dtype, 0.0)
    if before.resolution is not None and now.resolution is not None:
        moved = _ratio(before.resolution, now.resolution, least)
        yield from _told(moved, f"its resolution was {before.resolution:.1e}", now.resolution)
    if before.difference is not None and now.difference is not None and now.verdict == "fail":
        moved = _ratio(before.difference, now.difference, least)
        yield from _told(moved, f"it was off by {before.difference:.1e}", now.difference)
    for name in before.digits.keys() & now.digits.keys():
        had, has = before.digits[name], now.digits[name]
        if abs(had - has) > math.log10(NOISE):
            yield had - has, f"{name} kept {had:.1f} digits, it keeps {has:.1f}"


def _told(moved: float, was: str, now: float) -> Iterator[tuple[float, str]]:
    if abs(moved) > 1:
        yield moved, f"{was}, it is {now:.1e}"


def _ratio(before: float, now: float, least: float) -> float:
    """How often it grew by `NOISE`. Below rounding, and above 1, one is as good as another."""
    old, new = (min(max(one, least), 1.0) if one == one else 1.0 for one in (before, now))
    return math.log(new / old, NOISE)


def _badness(result: Result) -> int:
    return _BADNESS.index(result.verdict) + 1 if result.verdict in BAD else 0


def _blamed(result: Result) -> set[str]:
    return set(filter(None, result.blame.split(",")))
