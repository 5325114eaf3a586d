"""One result that is not right → all that is known of it: who, by how much, where, and why."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gradcheck.entries import SHOWN
from gradcheck.report.html.formulas import Formulas
from gradcheck.report.html.heat_map import heat_map
from gradcheck.report.html.markup import Markup, tag
from gradcheck.report.html.number_line import number_line
from gradcheck.report.terminal import ORDER, blame_sentence, repeat_command, row
from gradcheck.results import Result


def evidence(result: Result, formulas: Formulas) -> Markup:
    """What the terminal's block says, with pictures."""
    return tag("div", *_parts(result, formulas), class_="gc-evidence")


def repeat(result: Result) -> Markup:
    """How to see a case of a file again."""
    return tag("p", "repeat: ", tag("code", repeat_command(result)), class_="gc-repeat")


def _parts(result: Result, formulas: Formulas) -> Iterator[Markup]:
    if sentence := blame_sentence(result):
        yield tag("p", sentence, class_="gc-blame")
    for one in result.diagnosis:
        if one.text not in result.notes:
            yield tag("p", *code(one.text), class_="gc-diagnosis")
    if result.formula:
        yield _formula(result, formulas)
    pictures = list(_pictures(result))
    if pictures:
        yield tag("div", *pictures, class_="gc-pictures")
    if len(result.entries) > 1:
        yield _entries(result)
    if result.notes:
        yield tag("ul", *(tag("li", *code(note)) for note in result.notes), class_="gc-notes")
    if result.change is not None:
        yield tag("p", result.change.text, class_="gc-change")


def code(text: str) -> Iterator[str]:
    """A sentence, in which `…` is code."""
    for number, part in enumerate(re.split("`([^`]*)`", text)):
        yield tag("code", part) if number % 2 else part


def _formula(result: Result, formulas: Formulas) -> Markup:
    """As it is typeset, and as it was written."""
    typeset = formulas.equation_of(result.quantity, result.formula)
    number = f"{result.line} | " if result.line else ""
    written = tag("code", tag("span", number, class_="gc-number"), result.formula)
    return tag("div", *([typeset] if typeset else []), written, class_="gc-formula")


def _pictures(result: Result) -> Iterator[Markup]:
    worst = result.entries[0] if result.entries else None
    if worst is not None and worst.answers:
        names = [name for name in ORDER if name in worst.answers]
        yield number_line(worst, result.truth if result.truth in names else names[-1])
    errors = result.errors
    if errors is not None and errors.wrong and math.prod(errors.shape) > SHOWN:
        yield heat_map(errors, worst)


def _entries(result: Result) -> Markup:
    """The worst entries, a row each, a column for each oracle."""
    names = [name for name in ORDER if name in result.entries[0].answers]
    shown = [f"{name} (truth)" if name == result.truth else name for name in names]
    head = tag("tr", *(tag("th", text, scope="col") for text in ("entry", *shown)))
    rows = [
        tag("tr", tag("th", label, scope="row"), *(tag("td", text) for text in texts))
        for label, *texts in (row(entry, names) for entry in result.entries)
    ]
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return tag(
        "div", table, class_="gc-scroll", tabindex="0", role="group", aria_label="the worst entries"
    )
