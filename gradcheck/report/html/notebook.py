"""Results → what a notebook shows of them: the pieces of the page, without its script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from gradcheck.report.html.derivation import derivation
from gradcheck.report.html.evidence import code, evidence
from gradcheck.report.html.formulas import Formulas
from gradcheck.report.html.marks import GLYPHS, Marks, marks_of
from gradcheck.report.html.markup import Markup, joined, tag
from gradcheck.report.html.page import resources, verdicts
from gradcheck.report.order import worst_first
from gradcheck.results import Result


def fragment(results: Sequence[Result]) -> Markup:
    """HTML with its own styles: a line for each result, and what is known of those that are bad."""
    style = Markup(resources(["pieces.css", "notebook.css"]))
    bad = sorted((result for result in results if result.is_bad), key=worst_first)
    return tag(
        "div",
        tag("style", style),
        tag("p", *verdicts(results), class_="gc-verdicts"),
        _table(results),
        *_opened(bad, marks_of(results)),
        class_="gc gc-notebook",
    )


def _table(results: Sequence[Result]) -> Markup:
    names = list(dict.fromkeys(name for result in results for name in result.digits))
    titles = ["verdict", "of", "where", "resolution", *(f"{name} digits" for name in names), ""]
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    rows = [_row(result, names) for result in results]
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return tag("div", table, class_="gc-scroll gc-results")


def _row(result: Result, names: Sequence[str]) -> Markup:
    verdict = f"{GLYPHS.get(result.standing, '•')} {result.standing}"
    point = f"point {result.point}" if result.point else ""
    digits = [result.digits.get(name) for name in names]
    cells = [
        tag("b", verdict),
        f"{result.case} {result.quantity}".rstrip(),
        " ".join(filter(None, [result.dtype, result.device, point])),
        _number(result.resolution),
        *("" if kept is None else f"{kept:.1f}" for kept in digits),
        joined() if result.is_bad else joined(*code(" ".join(result.notes))),
    ]
    return tag("tr", *(tag("td", cell) for cell in cells), class_=f"is-{result.standing}")


def _opened(bad: Sequence[Result], marks: Mapping[tuple[str, str], Marks]) -> Iterator[Markup]:
    """Each that is bad, the worst opened; then how its case was written."""
    for number, result in enumerate(bad):
        formulas = Formulas(result.derivation)
        title = f"{GLYPHS.get(result.standing, '•')} {result.case} {result.quantity}".rstrip()
        parts = [tag("summary", title), evidence(result, formulas)]
        if result.derivation:
            known = marks[result.file, result.case]
            parts.append(derivation(result.derivation, formulas, known))
        is_open = "" if number == 0 else None
        yield tag("details", *parts, class_=f"is-{result.standing}", open=is_open)


def _number(value: float | None) -> str:
    return f"{value:.0e}" if value is not None and math.isfinite(value) else ""
