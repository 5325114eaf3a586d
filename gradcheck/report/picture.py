"""The error by entry as characters, the darker the larger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from gradcheck.results import ErrorMap

ROWS: Final = 12
COLUMNS: Final = 48
_SHADES: Final = ((0.1, "█", "10 %"), (0.01, "▓", "1 %"), (0.001, "▒", "0.1 %"), (0.0, "░", ""))
_RIGHT: Final = "·"


def picture(errors: ErrorMap) -> Iterator[str]:
    """A row of characters for each row of entries, or for several, and what they mean."""
    cells = _fewer(errors.cells, ROWS, COLUMNS)
    used = {_shade(cell) for row in cells for cell in row}
    meanings = [f"{_RIGHT} right"] if _RIGHT in used else []
    for limit, shade, name in reversed(_SHADES):
        if shade in used:
            meanings.append(f"{shade} from {name}" if limit else f"{shade} below 0.1 %")
    shape = ", ".join(map(str, errors.shape))
    count = f"{errors.wrong:,} wrong"
    yield f"errors of [{shape}], {count}, of the largest entry: {', '.join(meanings)}"
    for row in cells:
        yield "  " + "".join(map(_shade, row))


def _shade(error: float) -> str:
    if error == 0:
        return _RIGHT
    return next(shade for limit, shade, _ in _SHADES if not error < limit)


def _fewer(cells: Sequence[Sequence[float]], rows: int, columns: int) -> list[list[float]]:
    """At most so many, each with the largest error of those that it takes the place of."""
    merged = [
        [max(column) for column in zip(*cells[start:end], strict=True)]
        for start, end in pairwise(_bounds(len(cells), rows))
    ]
    across = _bounds(len(cells[0]), columns)
    return [[max(row[start:end]) for start, end in pairwise(across)] for row in merged]


def _bounds(count: int, most: int) -> list[int]:
    parts = min(count, most)
    return [part * count // parts for part in range(parts + 1)]
