"""Points at which the choices of formulas go otherwise: beyond thresholds, and beside borders."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.random import RandomState

from gradcheck.casefile.case import Case, Point
from gradcheck.casefile.inputs import Given, Sampled, Value
from gradcheck.functions import Recurrence
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Name, Node, Number, Use, walk
from gradcheck.mutation.choices import CHOICES, of_formula
from gradcheck.mutation.trial import Trial
from gradcheck.sites import Site

MOST_THRESHOLDS: Final = 8
HALVINGS: Final = (8, 32)
"""After so many, points on both sides of a border are looked at."""
_AS_A_WHOLE: Final = ("orthogonal", "integers")
"""Distributions between whose draws there are no others."""

Tried = Callable[[Point], Trial | None]
"""The case at a point; None where it has no value there."""


def at_borders(site: Site, trials: Sequence[Trial], tried: Tried) -> Iterator[Trial]:
    """For each choice of a formula points on both sides of where it goes the other way.

    A choice that has a border elsewhere goes otherwise at one of the two.
    """
    made = [of_formula(trial, site, site.expression) for trial in trials]
    for index, first in enumerate(made[0] if made else ()):
        for trial, other in zip(trials, made, strict=True):
            ways = other[index].ways if index < len(other) else first.ways
            if ways.shape == first.ways.shape and not np.array_equal(ways, first.ways):
                yield from _at_border(site, index, trials[0], trial, tried)
                break


def _at_border(site: Site, index: int, near: Trial, far: Trial, tried: Tried) -> Iterator[Trial]:
    wanted = of_formula(near, site, site.expression)[index].ways

    def goes_so(trial: Trial) -> bool:
        return np.array_equal(of_formula(trial, site, site.expression)[index].ways, wanted)

    low, high, inside, outside = 0.0, 1.0, near, far
    for number in range(1, HALVINGS[-1] + 1):
        middle = (low + high) / 2
        trial = tried(_between(near, far, middle))
        if trial is None:
            return
        if goes_so(trial):
            low, inside = middle, trial
        else:
            high, outside = middle, trial
        if number in HALVINGS:
            yield from (inside, outside)


def _between(near: Trial, far: Trial, share: float) -> Point:
    """A point between two of one case; what is drawn beside stays that of the first."""
    case, values = near.place.case, {}
    for name, value in near.point.values.items():
        is_whole = isinstance(value, Sampled) and value.distribution in _AS_A_WHOLE
        seed = f"{case.name}.{name}"
        first = value.array(seed, near.point.draw)
        last = far.point.values[name].array(seed, far.point.draw)
        is_same = is_whole or first.shape != last.shape or np.array_equal(first, last)
        values[name] = value if is_same else Given.of(first + share * (last - first))
    return replace(near.point, label="between", values=values)


def points_beyond(case: Case, formulas: Iterable[Expression]) -> Iterator[Point]:
    """Points on the other side of numbers that choices compare with, as far as inputs alone say."""
    base = next(point for point in case.points if not point.again)
    names = case.inputs
    groups = [*((name,) for name in names), *([names] if len(names) > 1 else [])]
    thresholds = _thresholds(case, [*_formulas(case), *formulas])
    for number, group in itertools.product(thresholds, groups):
        moved = {name: _beyond(case, base, name, number) for name in group}
        values = {**base.values, **moved}
        yield replace(base, label=f"beyond {number}", values=values, expectations=(), cotangents={})


def _beyond(case: Case, base: Point, name: str, number: float) -> Value:
    """The numbers of an input, each on the other side, and of its domain."""
    value, seed = base.values[name], f"{case.name}.{name}"
    array = value.array(seed, base.draw)
    if isinstance(value, Sampled) and value.distribution in (*_AS_A_WHOLE, "spd"):
        return value
    random = RandomState(zlib.crc32(f"{seed}:{number}".encode()))
    moved = number + random.uniform(0.1, 1.0, array.shape) * (number - array)
    interval = case.domain.get(name)
    return Given.of(moved if interval is None else moved.clip(interval.first, interval.last))


def _thresholds(case: Case, formulas: Iterable[Expression]) -> list[float]:
    """0, the numbers below choices, and constants that are one number, in either sign."""
    base = case.points[0]
    found: dict[float, None] = {0.0: None}
    for node in itertools.chain.from_iterable(map(_compared, formulas)):
        if isinstance(node, Number):
            found[float(node.value)] = None
        elif isinstance(node, Name) and node.name not in case.inputs and node.name in base.values:
            array = base.values[node.name].array(f"{case.name}.{node.name}", base.draw)
            found |= {float(array): None} if not array.ndim else {}
    signed = dict.fromkeys(sign * number for number in found for sign in (1, -1))
    return list(signed)[:MOST_THRESHOLDS]


def _compared(formula: Expression) -> Iterator[Node]:
    """All below the choices of a formula, and of the definitions that it uses."""
    for node in walk(formula.tree):
        if isinstance(node, Call) and node.word.name in CHOICES and node.word.name != "where":
            yield from walk(node)
        elif isinstance(node, Use):
            for _, inner in node.definition.steps:
                yield from _compared(inner)


def _formulas(case: Case) -> Iterator[Expression]:
    """Those of the function."""
    for step in case.function.steps:
        if isinstance(step, Recurrence):
            yield from (one for state in step.states for one in (state.start, state.next))
        else:
            yield step.expression
