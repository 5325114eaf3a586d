"""Where a wrong answer is wrong: its error entry by entry, small enough to be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from gradcheck.ball import Array, Ball
from gradcheck.results import ErrorMap, dimensions_down

MOST: Final = 64
"""Rows, and columns, of cells."""


def error_map(truth: Ball, answers: Sequence[Ball], scale: float) -> ErrorMap | None:
    """The errors of answers, of the largest entry; None where there are no several entries.

    An entry that overlaps the truth has 0.
    """
    if not answers or truth.midpoint.size < 2:
        return None
    errors = np.max([_errors(truth, answer) for answer in answers], axis=0) / scale
    shape = errors.shape
    rows = errors.reshape(math.prod(shape[: dimensions_down(shape)]), -1)
    return ErrorMap(shape, _cells(rows), int(np.count_nonzero(rows)))


def _errors(truth: Ball, answer: Ball) -> Array:
    distance = truth.distance(answer)
    radius = truth.radius + answer.radius
    return np.where(distance > np.where(np.isnan(radius), np.inf, radius), distance, 0.0)


def _cells(rows: Array) -> tuple[tuple[float, ...], ...]:
    """Not too many; the largest error of each."""
    for axis in (0, 1):
        if rows.shape[axis] > MOST:
            rows = np.maximum.reduceat(rows, starts(rows.shape[axis], MOST), axis=axis)
    return tuple(tuple(map(float, row)) for row in rows)


def starts(count: int, cells: int) -> list[int]:
    """The first entry of each of some cells that so many are dealt to."""
    return [cell * count // cells for cell in range(cells)]
