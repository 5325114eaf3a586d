"""Results → one HTML file, which needs nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import metadata
from importlib.resources import files
from typing import Final

from gradcheck.casefile.problems import Problem
from gradcheck.report.counting import counted
from gradcheck.report.html.contents import contents, embedded, notices, packed
from gradcheck.report.html.markup import Markup, joined, tag
from gradcheck.report.order import WORST_FIRST
from gradcheck.report.terminal import WORDS, heading
from gradcheck.results import Result, Standing

_STYLES: Final = ("pieces.css", "page.css")
_SCRIPTS: Final = ("pieces.js", "charts.js", "page.js")
_FEW: Final = 200
"""Lines of what is wrong, for browsers that run no script."""
_COLOURS: Final = {True: "%23c4271f", False: "%2313795b"}


def page(results: Sequence[Result], problems: Sequence[Problem], told: Sequence[str]) -> str:
    """The page; `told` is a sentence on all, then what else is to be said."""
    script = resources(_SCRIPTS)
    table, pieces = contents(results)
    is_bad = bool(problems) or any(result.is_bad for result in results) or not results
    parts = {
        "title": tag("title", f"{'✕' if is_bad else '✓'} gradcheck: {told[0]}"),
        "policy": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        "icon": _icon(is_bad),
        "style": resources(_STYLES),
        "header": _header(results, problems, told),
        "problems": _problems(problems),
        "noscript": _without_script(results),
        "table": embedded(table),
        "pieces": packed(pieces),
        "script": script,
    }
    template = resources(("page.html",))
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def resources(names: Iterable[str]) -> str:
    folder = files("gradcheck.report.html")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def _icon(is_bad: bool) -> str:
    """A dot in the browser's tab."""
    space = "xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'"
    circle = f"<circle cx='8' cy='8' r='6' fill='{_COLOURS[is_bad]}'/>"
    return f"data:image/svg+xml,<svg {space}>{circle}</svg>"


def _header(results: Sequence[Result], problems: Sequence[Problem], told: Sequence[str]) -> Markup:
    """The verdict of the run, and what was looked at."""
    counts = Counter(result.standing for result in results)
    facts = [
        counted(len({(r.file, r.case) for r in results}), "case"),
        counted(len({r.file for r in results}), "file"),
        ", ".join(dict.fromkeys(r.dtype for r in results if r.dtype)),
        ", ".join(dict.fromkeys(r.device for r in results if r.device)),
        f"{sum(result.seconds for result in results):.1f} s",
        *(f"{notice}: {count:,}" for notice, count in _noticed(results).items()),
        f"gradcheck {metadata.version('gradcheck')}",
    ]
    return joined(
        tag("h1", *verdicts(results, len(problems))),
        tag("p", " · ".join(filter(None, facts)), class_="facts"),
        *(tag("p", sentence, class_="told") for sentence in told[1:]),
        _bar(counts),
    )


def verdicts(results: Sequence[Result], problems: int = 0) -> Iterable[Markup]:
    """How many there are of each, the worst first."""
    counts = Counter(result.standing for result in results)
    named = [(counts[standing], WORDS[standing], standing) for standing in _ordered(counts)]
    if problems:
        named.insert(0, (problems, f"problem{'s' * (problems != 1)} in the files", "error"))
    for number, words, standing in named:
        yield tag("span", tag("b", f"{number:,}"), f" {words} ", class_=f"is-{standing}")
    if not named:
        yield tag("span", "nothing run", class_="is-skipped")


def _ordered(counts: Counter[Standing]) -> list[Standing]:
    return sorted(counts, key=WORST_FIRST.index)


def _noticed(results: Sequence[Result]) -> Counter[str]:
    return Counter(notice for result in results for notice in notices(result))


def _bar(counts: Counter[Standing]) -> Markup:
    parts = [
        tag("i", class_=f"is-{standing}", style=f"flex:{counts[standing]}")
        for standing in _ordered(counts)
    ]
    return tag("div", *parts, class_="bar", aria_hidden="true")


def _problems(problems: Sequence[Problem]) -> Markup:
    """What is wrong with files: such cases were not run."""
    if not problems:
        return Markup()
    items = [
        tag("li", tag("pre", problem.with_caret(), tabindex="0"), class_="is-error")
        for problem in problems
    ]
    title = tag(
        "h2", f"{counted(len(problems), 'problem')} in the files: what is there was not run"
    )
    return tag("section", title, tag("ul", *items), class_="problems")


def _without_script(results: Sequence[Result]) -> Markup:
    bad = [heading(result).plain for result in results if result.is_bad]
    more = [f"and {counted(len(bad) - _FEW, 'more')}"] if len(bad) > _FEW else []
    return tag("pre", "\n".join([*bad[:_FEW], *more]))
