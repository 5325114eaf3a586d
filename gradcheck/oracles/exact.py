"""The exact oracle: derivatives in rigorous ball arithmetic, by forward Taylor series.

The variable becomes the series x + d·t with t² = 0, for a direction d; the coefficient of t in the
result is the derivative in that direction. No derivative of a word is written down for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from flint import arb, arb_series

from gradcheck.ball import Array, Ball
from gradcheck.claims import Shape, Written
from gradcheck.errors import EvaluationError
from gradcheck.functions import Environment, Function, Segment
from gradcheck.rigorous.elements import NAN, ZERO, Elements, as_array, is_series
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
DIRECTIONS: Final = 3


Scale = Callable[[], float]
"""The size of a derivative whose entries may all be 0, computed where that is asked for."""


class DeclinedError(Exception):
    """The exact oracle cannot tell; the message says why."""


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


def jacobian(segment: Segment, scale: Scale) -> Enclosure:
    """The Jacobian of the segment at the value of its start, of shape output + input.

    `segment` holds its values as `rigorous.numbers.exactly` makes them. `scale` is asked
    where all entries may be 0.

    Raises:
        TooManyColumnsError: It takes too long, all entries of the input together.
        DeclinedError: A choice is undecided, a value does not exist, or it takes too long.
    """
    return _sharpened(lambda: _columns(segment), scale)


def directional(segment: Segment, scale: Scale, seed: int) -> Enclosure:
    """The derivatives of the segment in some directions, of shape (directions, *output).

    Their entries have random signs and sizes from 0.5 to 1.5, so that none cancels or hides. See
    `jacobian`.
    """
    value = as_array(segment.held[segment.start])
    random = np.random.RandomState(seed)
    sizes = 0.5 + random.randint(0, 2**10 + 1, (DIRECTIONS, *value.shape)) / 2**10
    directions = sizes * random.choice([-1.0, 1.0], sizes.shape)

    def evaluate() -> Elements:
        along = np.frompyfunc(lambda x, d: arb_series([x, d], 2), 2, 1)
        moved = [along(value, direction) for direction in directions]
        return np.stack([_slopes(segment.value(start, BallMeaning())) for start in moved])

    found = _sharpened(evaluate, scale)
    return Enclosure(found.entries, found.bits, directions)


def formula(written: Written, segment: Segment, output: Shape, scale: Scale) -> Enclosure:
    """What the formula says the Jacobian is; `segment` leads to all that the formula reads.

    Raises:
        DeclinedError: A choice is undecided, the formula has no value, or it takes too long.
        ShapeError: It has no shape of a derivative.
    """
    value = segment.held[segment.start]
    input = as_array(value).shape

    def evaluate() -> Elements:
        meaning = BallMeaning()
        environment = segment.run(value, meaning)
        return as_array(meaning.counted(written.jacobian(environment, output, input, meaning)))

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


def _sharpened(evaluate: Callable[[], Elements], scale: Scale) -> Enclosure:
    """What `evaluate` finds at the first precision at which it is sharp."""
    reason = ""
    for bits in PRECISIONS:
        try:
            with precision(bits):
                entries = evaluate()
        except EvaluationError as error:
            reason = str(error)
            if isinstance(error.__cause__, OverBudgetError):
                raise TooLongError(reason) from error
            continue
        if _are_sharp(entries, scale):
            if any(abs(entry) > _LARGEST for entry in entries.flat):
                raise DeclinedError("it is larger than any float64")
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
