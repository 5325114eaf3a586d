"""The exact oracle: derivatives in rigorous ball arithmetic, by forward Taylor series.

The variable becomes the series x + d·t with t² = 0, for a direction d; the coefficient of t in the
result is the derivative in that direction. No derivative of a word is written down for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import numpy as np
from flint import arb, arb_series

from gradcheck.ball import Array, Ball
from gradcheck.claims import Written
from gradcheck.errors import EvaluationError
from gradcheck.functions import Environment, Function, Segment
from gradcheck.jacobians import Shape
from gradcheck.rigorous.elements import (
    NAN,
    ONE,
    ZERO,
    Elements,
    as_array,
    as_value,
    is_series,
)
from gradcheck.rigorous.meaning import BUDGET, BallMeaning
from gradcheck.rigorous.numbers import OverBudgetError, precision
from gradcheck.verdict import Proof

PRECISIONS: Final = (128, 256, 512, 1024, 2048)
"""Bits, one after the other until the result is sharp."""
SHARP: Final = 64
"""Bits to which an entry is known then: more than any dtype has."""
ZERO_BITS: Final = 960
"""What is still not, but known to be so many bits below the largest entry, is taken for 0."""


JACOBIAN_BUDGET: Final = 2**20
"""Operations on elements, for all columns of a Jacobian together: about half a second. Where it
takes more, a few directions are looked at in place of its entries."""
SECOND_BUDGET: Final = 2**23
"""The same for a second derivative, which is not looked at in directions: some seconds."""
DIRECTIONS: Final = 3


Scale = Callable[[], float]
"""The size of a derivative whose entries may all be 0, computed where that is asked for."""
Exactly = Callable[[], Environment]
"""Computes all values in balls, at the precision of the moment, from those that are given."""


class DeclinedError(Exception):
    """The exact oracle cannot tell; the message says why."""


class TooLargeError(DeclinedError):
    """It is larger than any float64."""


class TooLongError(DeclinedError):
    """One evaluation takes too long."""


class TooManyColumnsError(DeclinedError):
    """All columns of the Jacobian together take too long."""


@dataclass(frozen=True, slots=True, eq=False)
class Enclosure:
    """Balls that contain the true values of an array's entries, by proof.

    Where `directions` (directions, *input) are given, they contain the derivatives in those
    directions, (directions, *output), in place of a Jacobian's entries.
    """

    entries: Elements
    bits: int
    directions: Array | None = None

    def ball(self) -> Ball:
        """The same in float64: midpoints are rounded, which the radii account for."""
        shape = self.entries.shape
        midpoint = [float(entry.mid()) for entry in self.entries.flat]
        with precision(self.bits):
            pairs = zip(self.entries.flat, midpoint, strict=True)
            radius = [_upward((entry - arb(number)).abs_upper()) for entry, number in pairs]
        return Ball(np.array(midpoint).reshape(shape), np.array(radius).reshape(shape), "proven")

    def along(self, jacobian: Ball) -> Ball:
        """An answer's Jacobian as it is compared with this: along the directions, if there are."""
        if self.directions is None:
            return jacobian
        count, shape = len(self.directions), self.entries.shape
        directions = self.directions.reshape(count, -1).T
        midpoint = jacobian.midpoint.reshape(-1, len(directions))
        size = np.abs(midpoint) @ np.abs(directions)
        spread = jacobian.radius.reshape(-1, len(directions)) @ np.abs(directions)
        radius = spread + len(directions) * float(np.finfo(np.float64).eps) * size
        seen = midpoint @ directions
        return Ball(seen.T.reshape(shape), radius.T.reshape(shape), jacobian.basis)

    def proof(self, formula: Enclosure) -> Proof:
        """What holding a formula's enclosure against this, the truth, proves."""
        formula = formula.seen_along(self.directions)
        pairs = list(zip(self.entries.flat, formula.entries.flat, strict=True))
        shape = self.entries.shape
        with precision(max(self.bits, formula.bits)):
            apart = [_upward((a - b).abs_upper()) for a, b in pairs]
            radius = [_upward(a.rad() + b.rad()) for a, b in pairs]
        wrong = np.array([not a.overlaps(b) for a, b in pairs], dtype=bool)
        return Proof(
            wrong.reshape(shape), np.array(apart).reshape(shape), np.array(radius).reshape(shape)
        )

    def scaled(self, factor: int) -> Enclosure:
        with precision(self.bits):
            return Enclosure(as_array(self.entries * factor), self.bits, self.directions)

    def overlaps(self, other: Enclosure) -> bool:
        """Whether the two may be the same, entry by entry."""
        pairs = zip(self.entries.flat, other.entries.flat, strict=True)
        return all(a.overlaps(b) for a, b in pairs)

    def seen_along(self, directions: Array | None) -> Enclosure:
        """A Jacobian's derivatives in the directions, if there are any."""
        if directions is None:
            return self
        count = len(directions)
        output = self.entries.shape[: self.entries.ndim - directions.ndim + 1]
        columns = directions.reshape(count, -1)
        with precision(self.bits):
            seen = np.frompyfunc(arb, 1, 1)(columns) @ self.entries.reshape(-1, columns.shape[1]).T
        return Enclosure(seen.reshape(count, *output), self.bits, directions)


def _upward(distance: arb) -> float:
    """A float64 that is not below the distance."""
    return math.nextafter(float(distance), math.inf) if distance > 0 else float(distance)


def jacobian(segment: Segment, scale: Scale, exactly: Exactly | None = None) -> Enclosure:
    """The Jacobian of the segment at the value of its start, of shape output + input.

    `segment` holds its values as `rigorous.numbers.exactly` makes them, unless they are to be
    computed `exactly`. `scale` is asked where all entries may be 0.

    Raises:
        TooManyColumnsError: It takes too long, all entries of the input together.
        DeclinedError: A choice is undecided, a value does not exist, or it takes too long.
    """
    return _sharpened(lambda: _columns(_at(segment, exactly)), scale)


def _at(segment: Segment, exactly: Exactly | None) -> Segment:
    return segment if exactly is None else replace(segment, held=exactly())


def directional(
    segment: Segment, scale: Scale, seed: int, exactly: Exactly | None = None
) -> Enclosure:
    """The derivatives of the segment in some directions, of shape (directions, *output).

    Their entries have random signs and sizes from 0.5 to 1.5, so that none cancels or hides. See
    `jacobian`.
    """
    value = as_array(segment.held[segment.start])
    random = np.random.RandomState(seed)
    sizes = 0.5 + random.randint(0, 2**10 + 1, (DIRECTIONS, *value.shape)) / 2**10
    directions = sizes * random.choice([-1.0, 1.0], sizes.shape)

    def evaluate() -> Elements:
        along, here = np.frompyfunc(lambda x, d: arb_series([x, d], 2), 2, 1), _at(segment, exactly)
        moved = [along(as_array(here.held[here.start]), direction) for direction in directions]
        return np.stack([_slopes(here.value(start, BallMeaning())) for start in moved])

    found = _sharpened(evaluate, scale)
    return Enclosure(found.entries, found.bits, directions)


def second_derivative(
    segment: Segment, other: str, vector: str, scale: Scale, exactly: Exactly | None = None
) -> Enclosure:
    """The second derivative of the segment by its start and by the value `other`.

    Of shape output + start + other. Times a `vector`, a value of the shape of `other`, where that
    is named: then of shape output + start.

    With a Taylor series of order 2 along a direction w, f = f₀ + f₁ t + f₂ t², where f₂ is half of
    wᵀHw, so that uᵀHv is f₂ along u + v less f₂ along u - v, halved. See `jacobian` for errors.
    """

    def evaluate() -> Elements:
        here = _at(segment, exactly)
        by, along = (as_array(here.held[name]) for name in (here.start, other))
        seconds = [as_array(here.held[vector])] if vector else _units(along.shape)
        once = BallMeaning()
        here.value(here.held[here.start], once)
        if 2 * by.size * len(seconds) * (BUDGET - once.left) > SECOND_BUDGET:
            raise TooManyColumnsError("a second derivative by so many entries takes too long")
        output = as_array(here.held[here.end]).shape
        whole = np.empty((by.size, len(seconds), *output), dtype=object)
        for i, u in enumerate(_units(by.shape)):
            for j, v in enumerate(seconds):
                plus, minus = (_curvatures(here, other, u, sign * v) for sign in (1, -1))
                whole[i, j] = as_value(as_array((plus - minus) / 2))
        shape = by.shape if vector else by.shape + along.shape
        flat = whole.reshape(by.size * len(seconds), math.prod(output))
        return flat.T.reshape(output + shape)

    return _sharpened(evaluate, scale, order=2)


def formula(
    written: Written,
    segment: Segment,
    output: Shape,
    scale: Scale,
    input: Shape | None = None,
    exactly: Exactly | None = None,
) -> Enclosure:
    """What the formula says the Jacobian is; `segment` leads to all that the formula reads.

    It is by the segment's start, or by what has the shape `input`.

    Raises:
        DeclinedError: A choice is undecided, the formula has no value, or it takes too long.
        ShapeError: It has no shape of a derivative.
    """
    by = as_array(segment.held[segment.start]).shape if input is None else input

    def evaluate() -> Elements:
        meaning, here = BallMeaning(), _at(segment, exactly)
        environment = here.run(here.held[here.start], meaning)
        return as_array(meaning.counted(written.jacobian(environment, output, by, meaning)))

    return _sharpened(evaluate, scale)


def value(function: Function, given: Environment, name: str, scale: Scale) -> Enclosure:
    """A value of the function at the values that are given.

    Raises:
        DeclinedError: A choice is undecided, a value does not exist, or it takes too long.
    """

    def evaluate() -> Elements:
        meaning = BallMeaning()
        return as_array(meaning.counted(function.run(given, meaning)[name]))

    return _sharpened(evaluate, scale)


def _sharpened(evaluate: Callable[[], Elements], scale: Scale, order: int = 1) -> Enclosure:
    """What `evaluate` finds by series of that order, at the first precision that is enough."""
    reason = ""
    for bits in PRECISIONS:
        try:
            with precision(bits, order):
                entries = evaluate()
        except EvaluationError as error:
            reason = str(error)
            if isinstance(error.__cause__, OverBudgetError):
                raise TooLongError(reason) from error
            continue
        if _are_sharp(entries, scale):
            if any(abs(entry) > _LARGEST for entry in entries.flat):
                raise TooLargeError("it is larger than any float64")
            return Enclosure(entries, bits)
        reason = f"it is not known to {SHARP} bits at a precision of {bits}"
        if any(entry.is_nan() for entry in entries.flat):
            reason = "it has no finite value there"
    raise DeclinedError(reason)


_LARGEST: Final = arb(float(np.finfo(np.float64).max))


def _is_sharp(entry: arb) -> bool:
    return entry.rel_accuracy_bits() >= SHARP and entry.is_finite()


def _are_sharp(entries: Elements, scale: Scale) -> bool:
    """Whether entries that are not sharp are nothing beside the largest, or beside the scale."""
    if all(_is_sharp(entry) for entry in entries.flat):
        return True
    if not all(entry.is_finite() for entry in entries.flat):
        return False
    largest = max((abs(entry).mid() for entry in entries.flat if _is_sharp(entry)), default=ZERO)
    limit = (largest if largest > 0 else arb(scale())) * arb(2) ** -ZERO_BITS
    return all(_is_sharp(entry) or entry.rad() < limit for entry in entries.flat)


def _columns(segment: Segment) -> Elements:
    """The derivatives by all entries of the start."""
    value = segment.held[segment.start]
    if not isinstance(value, np.ndarray):
        return _slopes(segment.value(arb_series([value, 1], 2), BallMeaning()))
    columns = []
    for at in np.ndindex(value.shape):
        moved, entry = value.copy(), cast(arb, value[at])
        moved[at] = arb_series([entry, 1], 2)
        meaning = BallMeaning()
        columns.append(_slopes(segment.value(moved, meaning)))
        if (BUDGET - meaning.left) * value.size > JACOBIAN_BUDGET:
            raise TooManyColumnsError(f"its {value.size:,} columns take too long together")
    if not columns:
        output = as_array(segment.value(value, BallMeaning())).shape
        return np.empty(output + value.shape, dtype=object)
    stacked = np.stack(columns, axis=-1)
    return stacked.reshape(stacked.shape[:-1] + value.shape)


def _slopes(result: Any) -> Elements:
    return np.frompyfunc(_slope, 1, 1)(result) if isinstance(result, np.ndarray) else _one(result)


def _one(result: Any) -> Elements:
    return as_array(_slope(result))


def _slope(entry: Any) -> arb:
    """The coefficient of t; a constant has 0, if it exists."""
    if is_series(entry):
        return entry[1] if entry[0].is_finite() else NAN
    return ZERO if isinstance(entry, bool) or entry.is_finite() else entry


def _units(shape: Shape) -> list[Elements]:
    """The direction of each entry."""
    units = []
    for at in np.ndindex(shape):
        unit = np.full(shape, ZERO)
        unit[at] = ONE
        units.append(unit)
    return units


def _moved(entry: Any, direction: Any) -> Any:
    """An entry that moves, or one that was moved already, moved on."""
    if direction == 0:
        return entry
    along = arb_series([0, direction], 3)
    return entry + along if is_series(entry) else arb_series([entry, direction], 3)


def _curvatures(segment: Segment, other: str, first: Elements, second: Elements) -> Elements:
    """The coefficients of t² where the start moves along one direction, `other` along another."""
    moved = {name: as_array(segment.held[name]) for name in (segment.start, other)}
    for name, direction in ((segment.start, first), (other, second)):
        moved[name] = as_array(np.frompyfunc(_moved, 2, 1)(moved[name], as_array(direction)))
    line = replace(segment, held={**segment.held, other: as_value(moved[other])})
    meaning = BallMeaning()
    result = meaning.counted(line.value(as_value(moved[segment.start]), meaning))
    return as_array(np.frompyfunc(_curvature, 1, 1)(as_array(result)))


def _curvature(entry: Any) -> arb:
    """The coefficient of t²; a constant has 0, if it exists."""
    if not is_series(entry):
        return ZERO if isinstance(entry, bool) or entry.is_finite() else entry
    is_known = entry.prec >= 3 and entry[0].is_finite() and entry[1].is_finite()
    return entry[2] if is_known else NAN
