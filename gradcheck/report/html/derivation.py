"""What was written of a case → a list of its formulas, with what became of each."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from gradcheck.report.html.formulas import Formulas
from gradcheck.report.html.marks import GLYPHS, Marks, mark_of
from gradcheck.report.html.markup import Markup, tag
from gradcheck.results import Kind, Written

TITLES: Final[dict[Kind, str]] = {
    "definition": "definitions",
    "step": "function",
    "repeat": "function",
    "derivative": "derivatives",
    "backward": "backward",
    "jvp": "jvp",
    "python": "in Python",
}


def derivation(lines: tuple[Written, ...], formulas: Formulas, marks: Marks) -> Markup:
    """The formulas in order, under what they are of; `data-claim` says which claim one is."""
    parts: list[Markup] = []
    for title, group in groupby(lines, lambda line: TITLES[line.kind]):
        rows = [_line(line, formulas, marks) for line in group]
        parts += [tag("p", title, class_="gc-title"), tag("ol", *rows)]
    return tag("section", *parts, class_="gc-derivation")


def _line(line: Written, formulas: Formulas, marks: Marks) -> Markup:
    claim, standing = mark_of(line, marks)
    glyph = GLYPHS.get(standing or "", "•" if standing else "")
    mark = tag("span", glyph, class_="gc-sign", title=standing or None)
    number = tag("span", str(line.line or ""), class_="gc-number")
    math = tag("span", formulas.equation(line), class_="gc-math")
    kind = f"gc-{standing}" if standing else None
    return tag("li", mark, number, math, class_=kind, data_claim=claim or None)
