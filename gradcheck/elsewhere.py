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
KINDS: Final = ("by half", "a little", "anywhere", "far")


def points_elsewhere(case: Case, *, constants: bool = False, far: bool = True) -> Iterator[Point]:
    """Points without end, the same ones always: what is sampled is drawn anew, numbers are moved.

    Those of inputs, and of constants too if they are to be; in turn by up to half of themselves,
    by up to a tenth, to anywhere of their size, in either sign, and if they may be `far`, to up to
    a thousand times that. None leaves its domain. Every cotangent is drawn.
    """
    bases = [point for point in case.points if not point.again]
    kinds = KINDS if far else KINDS[:-1]
    for number in itertools.count():
        base = bases[number % len(bases)]
        kind = kinds[sum(divmod(number, len(bases))) % len(kinds)]  # each base has every kind
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
    """The value, each of its numbers moved; none out of its domain."""
    if not isinstance(value, Given):
        return value
    random = RandomState(zlib.crc32(seed.encode()))
    array = value.array("", 0)
    uniform = random.uniform(-1.0, 1.0, array.shape)
    size = float(np.abs(array).max(initial=0.0)) or 1.0
    share = 0.5 if kind == "by half" else 0.1
    if kind == "anywhere":
        moved = uniform * 1.5 * size
    elif kind == "far":
        moved = uniform * size * 10.0 ** random.uniform(1.0, 3.0)
    else:
        moved = array * (1 + share * uniform) + (array == 0) * share * uniform * size
    moved = _short(moved)
    if domain is not None:
        inside = (moved >= domain.first) & (moved <= domain.last)
        moved = np.where(
            inside, moved, _within(domain, random.uniform(0.0, 1.0, array.shape), array)
        )
    return Given.of(moved)


def _within(domain: Interval, uniform: NDArray[Any], array: NDArray[Any]) -> NDArray[Any]:
    """Numbers of a domain: anywhere between its ends, or as they were where it has no two."""
    if not np.isfinite(domain.high - domain.low):
        return array
    inside = _short(domain.low + uniform * (domain.high - domain.low))
    clipped: NDArray[Any] = np.clip(inside, domain.first, domain.last)
    return clipped


def _short(array: NDArray[Any]) -> NDArray[Any]:
    """To four digits, so that a reader can take them over."""
    short: NDArray[Any] = np.vectorize(lambda x: float(f"{x:.4g}"), otypes=[np.float64])(array)
    return short
