"""What became of each formula of each case, for the signs beside a derivation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gradcheck.modes import JVP
from gradcheck.report.order import WORST_FIRST
from gradcheck.results import Result, Standing, Written

Marks = Mapping[tuple[str, str], Standing]
"""What became of a quantity's formula, at its worst."""

GLYPHS: Final = {"pass": "✓", "fail": "✕", "error": "!", "inconclusive": "?", "skipped": "–"}
"""Signs that stand before verdicts; others have a dot."""


def marks_of(results: Iterable[Result]) -> Mapping[tuple[str, str], Marks]:
    """By file and case."""
    found: dict[tuple[str, str], dict[tuple[str, str], Standing]] = {}
    for result in results:
        of_case = found.setdefault((result.file, result.case), {})
        key = (result.quantity, result.formula)
        standings = [result.standing, *([of_case[key]] if key in of_case else [])]
        of_case[key] = min(standings, key=WORST_FIRST.index)
    return found


def mark_of(line: Written, marks: Marks) -> tuple[str, Standing | None]:
    """Which claim a line is, as `quantity = formula`, and what became of it; of others nothing.

    Results call lines of a pass by what they are of, and say which pass.
    """
    ends = {"derivative": ("",), "backward": ("", "[t]"), "jvp": (JVP,)}
    for end in ends.get(line.kind, ()):
        if standing := marks.get((f"{line.name}{end}", line.formula)):
            return f"{line.name}{end} = {line.formula}", standing
    return "", None
