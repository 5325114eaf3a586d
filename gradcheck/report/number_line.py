"""Balls on a number line, to scale, around where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gradcheck.results import Answer

WIDTH: Final = 49
"""Columns of the line; the truth is in the middle."""


def number_line(answers: Mapping[str, Answer], truth: str) -> Iterator[tuple[str, str]]:
    """A name and a line for each ball, and one for the scale, whose name is empty.

    All lines have one scale: of the answers that do not overlap the truth, else of all but what was
    published, the midpoint furthest from the truth's is near the edge. `o` is a midpoint, dashes
    are the radius, `<` and `>` that it goes on.
    """
    half = half_width(answers, truth)
    for name, answer in answers.items():
        yield name, _line(answer.value - answers[truth].value, answer.radius, half)
    left, right = f"-{half:.1e}", f"+{half:.1e}"
    yield "", left + truth.center(WIDTH - len(left) - len(right)) + right


def is_apart(answer: Answer, truth: Answer) -> bool:
    """Whether two balls do not overlap."""
    return abs(answer.value - truth.value) > answer.radius + truth.radius


def half_width(answers: Mapping[str, Answer], truth: str) -> float:
    """Half of what a line shows, around the truth."""
    middle = answers[truth]
    apart = [name for name, answer in answers.items() if is_apart(answer, middle)]
    looked_at = apart or [name for name in answers if name != "expected"]
    return _half_width(
        [answers[name].value - middle.value for name in looked_at],
        [answers[name].radius for name in looked_at],
    )


def _half_width(offsets: Iterable[float], radii: Iterable[float]) -> float:
    """Half of what the line shows."""
    far = [abs(offset) for offset in offsets if 0 < abs(offset) < math.inf]
    known = [radius for radius in radii if 0 < radius < math.inf]
    return max([*far, *([min(known)] if known else []), 0.0]) * 1.125 or 1.0


def _line(offset: float, radius: float, half: float) -> str:
    if math.isnan(offset) or math.isinf(offset):
        return "(not finite)"
    if math.isinf(radius):
        return "<" + "-" * (WIDTH - 2) + ">"
    columns = [" "] * WIDTH
    first, last = _column(offset - radius, half), _column(offset + radius, half)
    if last < 0 or first >= WIDTH:
        return "<" if last < 0 else ">".rjust(WIDTH)
    for column in range(max(first, 0), min(last, WIDTH - 1) + 1):
        columns[column] = "-"
    if first < 0 <= last:
        columns[0] = "<"
    if first <= WIDTH - 1 < last:
        columns[-1] = ">"
    at = _column(offset, half)
    if 0 <= at < WIDTH:
        columns[at] = "o"
    return "".join(columns).rstrip()


def _column(offset: float, half: float) -> int:
    """The column of a distance from the truth; anything beyond is one too far."""
    position = max(-2.0, min(2.0, offset / half))
    return round((WIDTH - 1) / 2 * (1 + position))
