"""Every oracle's ball on one number line, around the truth; a page's script zooms it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from gradcheck.report.html.markup import Markup, tag
from gradcheck.report.number_line import half_width, is_apart
from gradcheck.report.terminal import ORDER, row
from gradcheck.results import Answer, EntryAnswers

_NOTHING: Final = 1e-300
_OUTSIDE: Final = 2.0
"""Per cent beyond the edges, where what is longer is cut."""


def number_line(entry: EntryAnswers, truth: str) -> Markup:
    """A strip for each answer, with what it says, and the scale.

    Offsets from the truth and radii are in `data-…` of each ball, what is shown in `data-half`;
    `data-all` shows all, `data-near` the truth's own ball, or the smallest where that has no width.
    """
    names = [name for name in ORDER if name in entry.answers]
    answers = {name: entry.answers[name] for name in names}
    middle = answers[truth]
    half = _seen(half_width(answers, truth))
    texts = dict(zip(names, row(entry, names)[1:], strict=True))
    balls = [_ball(name, answers, truth, texts[name], half) for name in names]
    return tag(
        "figure",
        tag("figcaption", "at ", tag("code", entry.label)),
        *balls,
        _axis(half, middle.value),
        class_="gc-line",
        data_truth=repr(middle.value),
        data_half=repr(half),
        data_all=repr(_seen(_reach(answers, middle))),
        data_near=repr(_seen(_near(answers, middle))),
    )


def _seen(half: float) -> float:
    """What a line shows: around nothing but zeros, and what they are rounded by, it is 1."""
    return half if half > _NOTHING else 1.0


def _ball(name: str, answers: Mapping[str, Answer], truth: str, text: str, half: float) -> Markup:
    answer, middle = answers[name], answers[truth]
    offset = answer.value - middle.value
    marks = _strip(offset, answer.radius, middle.radius, half)
    if name == truth:
        says = "truth"
    elif not math.isfinite(answer.radius) or not math.isfinite(middle.radius):
        says = "cannot tell"
    else:
        says = "apart" if _differs(answer, middle) else "overlaps"
    return tag(
        "div",
        tag("span", name, class_="gc-who"),
        tag("svg", *marks, class_="gc-strip", aria_hidden="true"),
        tag("span", text, class_="gc-answer"),
        tag("span", tag("b", says), f" · {answer.basis}", class_="gc-says"),
        class_=f"gc-ball gc-is-{name} gc-{says.replace(' ', '-')}",
        data_offset=repr(offset),
        data_radius=repr(answer.radius),
    )


def _differs(answer: Answer, truth: Answer) -> bool:
    """NaN differs from all but itself."""
    if math.isnan(answer.value) or math.isnan(truth.value):
        return math.isnan(answer.value) != math.isnan(truth.value)
    return is_apart(answer, truth)


def _strip(offset: float, radius: float, band: float, half: float) -> Iterator[Markup]:
    """The truth's ball behind, the radius, the midpoint, and an arrow where it is further on."""
    left, right = _at(-band, half), _at(band, half)
    yield tag(
        "rect", class_="gc-band", x=_percent(left), width=_percent(right - left), height="100%"
    )
    first, last = _at(offset - radius, half), _at(offset + radius, half)
    at = _at(offset, half)
    yield tag("line", class_="gc-radius", x1=_percent(first), x2=_percent(last), y1="50%", y2="50%")
    yield tag("circle", class_="gc-middle", cx=_percent(at), cy="50%", r="3.5")
    beyond = "" if -_OUTSIDE < at < 100 + _OUTSIDE else "◂" if at < 50 else "▸"
    if not math.isfinite(offset):
        beyond = "not finite"
    x, anchor = ("0%", "start") if beyond == "◂" else ("100%", "end")
    yield tag("text", beyond, class_="gc-beyond", x=x, y="50%", dy=".35em", text_anchor=anchor)


def _axis(half: float, middle: float) -> Markup:
    """The ends as distances from the truth, which is in the middle."""
    ticks = (("0%", "start", f"−{half:.1e}"), ("50%", "middle", f"{middle:.12g}"))
    labels = [
        tag("text", text, x=x, y="1.1em", text_anchor=anchor)
        for x, anchor, text in (*ticks, ("100%", "end", f"+{half:.1e}"))
    ]
    return tag("div", tag("svg", *labels, aria_hidden="true"), class_="gc-axis")


def _at(offset: float, half: float) -> float:
    """Where a distance from the truth is, in per cent, and not far outside; NaN is outside."""
    position = 50 + 50 * offset / half
    return 100 + _OUTSIDE if math.isnan(position) else max(-_OUTSIDE, min(100 + _OUTSIDE, position))


def _percent(number: float) -> str:
    return f"{number:.4g}%"


def _reach(answers: Mapping[str, Answer], middle: Answer) -> float:
    """Half of a line that holds all."""
    ends = [abs(one.value - middle.value) + one.radius for one in answers.values()]
    return max((end for end in ends if end < math.inf), default=1.0) * 1.125 or 1.0


def _near(answers: Mapping[str, Answer], middle: Answer) -> float:
    radii = [one.radius for one in answers.values() if 0 < one.radius < math.inf]
    own = middle.radius if 0 < middle.radius < math.inf else min(radii, default=1.0)
    return own * 4
