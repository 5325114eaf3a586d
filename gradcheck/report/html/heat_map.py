"""The error by entry as a picture: a path for each shade, so that a page can hold thousands."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from gradcheck.report.html.markup import Markup, tag
from gradcheck.results import EntryAnswers, ErrorMap, dimensions_down

SHADES: Final = 8
_LARGEST, _SMALLEST, _WIDTH = 22, 4, 320
"""Of a cell, and of the picture, in pixels."""
_STEPS: Final = 254
"""Into which errors that are finite are dealt, by their logarithm; 0 is right, 255 not finite."""


def heat_map(errors: ErrorMap, worst: EntryAnswers | None) -> Markup:
    """The cells, the darker the larger the error, with the worst entry marked.

    `data-cells` has a byte for each cell, from which a page's script tells its error.
    """
    finite = [error for row in errors.cells for error in row if 0 < error < math.inf]
    low, high = (min(finite), max(finite)) if finite else (0.1, 1.0)
    low = min(low, high / 10)
    steps = [[_step(error, low, high) for error in row] for row in errors.cells]
    rows, columns = len(steps), len(steps[0])
    size = max(_SMALLEST, min(_LARGEST, _WIDTH // max(rows, columns)))
    at = _cell(errors, worst)
    label = f"{_told(errors)}" + (f", the worst {worst.label}" if worst else "")
    svg = tag(
        "svg",
        *_paths(steps),
        *([_mark(at)] if at else []),
        viewBox=f"0 0 {columns} {rows}",
        width=columns * size,
        height=rows * size,
        role="img",
        aria_label=f"errors of {label}",
    )
    return tag(
        "figure",
        tag("figcaption", "errors of ", _told(errors)),
        tag(
            "div", svg, class_="gc-cells", tabindex="0", role="group", aria_label="errors by entry"
        ),
        tag("p", _worst(worst), class_="gc-readout", aria_live="polite"),
        _legend(low, high, {step for row in steps for step in row}),
        class_="gc-heat",
        data_shape=",".join(map(str, errors.shape)),
        data_down=dimensions_down(errors.shape),
        data_low=repr(low),
        data_high=repr(high),
        data_cells=base64.b64encode(bytes(step for row in steps for step in row)).decode(),
    )


def _told(errors: ErrorMap) -> str:
    shape = " × ".join(map(str, errors.shape))
    return f"{shape} entries, {errors.wrong:,} of them wrong"


def _worst(worst: EntryAnswers | None) -> Markup:
    return tag("span", "◇ the worst: ", tag("code", worst.label)) if worst else Markup()


def _step(error: float, low: float, high: float) -> int:
    if error == 0:
        return 0
    if not error < math.inf:
        return _STEPS + 1
    share = math.log(error / low) / math.log(high / low)
    return 1 + round((_STEPS - 1) * share)


def _shade(step: int) -> int:
    """0 is right, the last not finite."""
    if step in (0, _STEPS + 1):
        return 0 if step == 0 else SHADES + 1
    return 1 + (step - 1) * SHADES // _STEPS


def _paths(steps: Sequence[Sequence[int]]) -> Iterable[Markup]:
    """A stroke for each run of cells of one shade."""
    strokes: dict[int, list[str]] = {}
    for row, cells in enumerate(steps):
        column = 0
        for shade, run in groupby(cells, _shade):
            length = len(list(run))
            strokes.setdefault(shade, []).append(f"M{column} {row}.5h{length}")
            column += length
    for shade, drawn in sorted(strokes.items()):
        yield tag("path", class_=f"gc-shade{shade}", d="".join(drawn))


def _cell(errors: ErrorMap, worst: EntryAnswers | None) -> tuple[int, int] | None:
    """The row and column of the worst entry's cell."""
    if worst is None or len(worst.index) != len(errors.shape):
        return None
    down = dimensions_down(errors.shape)
    row = _part(worst.index[:down], errors.shape[:down], len(errors.cells))
    return row, _part(worst.index[down:], errors.shape[down:], len(errors.cells[0]))


def _part(indices: Sequence[int], lengths: Sequence[int], cells: int) -> int:
    """Which of some cells an entry is dealt to; see `gradcheck.error_map.starts`."""
    number = 0
    for index, length in zip(indices, lengths, strict=True):
        number = number * length + index
    return ((number + 1) * cells - 1) // math.prod(lengths)


def _mark(at: tuple[int, int]) -> Markup:
    row, column = at
    box = {"x": column, "y": row, "width": 1, "height": 1}
    return tag("g", *(tag("rect", class_=f"gc-{name}", **box) for name in ("halo", "mark")))


def _legend(low: float, high: float, steps: set[int]) -> Markup:
    """The shades, and which errors the lightest and the darkest are of."""
    swatches = [tag("i", class_=f"gc-shade{shade}") for shade in range(1, SHADES + 1)]
    others = [(0, "right"), (_STEPS + 1, "not finite")]
    named = [
        tag("span", tag("i", class_=f"gc-shade{_shade(step)}"), f" {name}", class_="gc-other")
        for step, name in others
        if step in steps
    ]
    if not steps & set(range(1, _STEPS + 1)):
        return tag("p", *named, class_="gc-legend")
    scale = tag("span", f"{_percent(low)} ", *swatches, f" {_percent(high)}")
    return tag("p", scale, " of the largest entry", *named, class_="gc-legend")


def _percent(ratio: float) -> str:
    """With the two digits that an error has here."""
    if not 1e-3 <= ratio < 100:
        return f"{ratio:.1e}"
    return f"{100 * ratio:.0f} %" if ratio >= 0.1 else f"{100 * ratio:.2g} %"
