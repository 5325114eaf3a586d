"""Points that a case does not have, near to those that it has."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from gradcheck.casefile.case import Case, Point
from gradcheck.casefile.domain import Interval
from gradcheck.casefile.inputs import Given, Value

FIRST_DRAW: Final = 1_000_000
"""Draws of sampled values from this number on are not those of any case."""
KINDS: Final = ("by half", "a little", "anywhere")


def points_elsewhere(case: Case, *, constants: bool = False) -> Iterator[Point]:
    """Points without end, the same ones always: what is sampled is drawn anew, numbers are moved.

    Those of inputs, and of constants too if they are to be; in turn by up to half of themselves,
    by up to a tenth, and to anywhere of their size, in either sign. None leaves its domain. Every
    cotangent is drawn.
    """
    bases = [point for point in case.points if not point.again]
    for number in itertools.count():
        base = bases[number % len(bases)]
        kind = KINDS[sum(divmod(number, len(bases))) % len(KINDS)]  # each base has every kind
        values = {
            name: _moved(value, f"{case.name}.{name}:{number}", kind, case.domain.get(name))
            if name in case.inputs or constants
            else value
            for name, value in base.values.items()
        }
        yield replace(
            base,
            label=f"elsewhere {number + 1}",
            values=values,
            draw=FIRST_DRAW + number,
            expectations=(),
            cotangents={},
            is_published=False,
        )


def _moved(value: Value, seed: str, kind: str, domain: Interval | None) -> Value:
    """The value, each of its numbers moved; those that would leave the domain stay."""
    if not isinstance(value, Given):
        return value
    random = RandomState(zlib.crc32(seed.encode()))
    array = value.array("", 0)
    uniform = random.uniform(-1.0, 1.0, array.shape)
    size = float(np.abs(array).max(initial=0.0)) or 1.0
    share = 0.5 if kind == "by half" else 0.1
    moved = (
        uniform * 1.5 * size
        if kind == "anywhere"
        else array * (1 + share * uniform) + (array == 0) * share * uniform * size
    )
    moved = _short(moved)
    if domain is not None:
        moved = np.where((moved >= domain.first) & (moved <= domain.last), moved, array)
    return Given.of(moved)


def _short(array: NDArray[Any]) -> NDArray[Any]:
    """To four digits, so that a reader can take them over."""
    short: NDArray[Any] = np.vectorize(lambda x: float(f"{x:.4g}"), otypes=[np.float64])(array)
    return short
