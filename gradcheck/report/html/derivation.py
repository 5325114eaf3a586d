"""What was written of a case → a list of its formulas, with what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

from gradcheck.report.html.formulas import Formulas
from gradcheck.report.html.markup import Markup, tag
from gradcheck.results import Kind, Standing, Written

Marks = Mapping[tuple[str, str], Standing]
"""What became of a formula of a quantity, at its worst."""

TITLES: Final[dict[Kind, str]] = {
    "definition": "definitions",
    "step": "function",
    "repeat": "function",
    "derivative": "derivatives",
    "backward": "backward",
    "jvp": "jvp",
    "python": "in Python",
}
_GLYPHS: Final = {"pass": "✓", "fail": "✕", "error": "!", "inconclusive": "?", "skipped": "–"}


def derivation(lines: tuple[Written, ...], formulas: Formulas, marks: Marks) -> Markup:
    """The formulas in order, under what they are of."""
    parts: list[Markup] = []
    for title, group in groupby(lines, lambda line: TITLES[line.kind]):
        rows = [_line(line, formulas, marks) for line in group]
        parts += [tag("h4", title), tag("ol", *rows)]
    return tag("section", *parts, class_="gc-derivation")


def _line(line: Written, formulas: Formulas, marks: Marks) -> Markup:
    standing = mark_of(line, marks)
    glyph = _GLYPHS.get(standing or "", "•" if standing else "")
    mark = tag("span", glyph, class_="gc-mark", title=standing or None)
    number = tag("span", str(line.line or ""), class_="gc-number")
    math = tag("span", formulas.equation(line), class_="gc-math")
    return tag("li", mark, number, math, class_=f"gc-{standing}" if standing else None)


def mark_of(line: Written, marks: Marks) -> Standing | None:
    """What became of a line; results call those of passes after the value, and say which pass."""
    if line.kind in ("definition", "step", "repeat", "python"):
        return None
    ends = (" (jvp)",) if line.kind == "jvp" else ("", "[t]")
    found = (marks.get((f"{line.name}{end}", line.formula)) for end in ends)
    return next((standing for standing in found if standing), None)
