"""Published numbers: what was printed, as balls whose radius is one unit of the last digit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.casefile.case import Expectation, Printed
from gradcheck.errors import ShapeError
from gradcheck.place import Place
from gradcheck.verdict import Verdict, judge_expected

_NOTHING: Final = 1e-290
"""What underflow, or balls around zero, make of nothing is no digit."""


@dataclass(frozen=True, slots=True)
class Published:
    """A published value with its verdict; `ball` is None where a note says why.

    `line` is where it stands in the case file.
    """

    verdict: Verdict
    line: int
    ball: Ball | None = None
    note: str = ""


def judge_published(
    expectation: Expectation,
    place: Place,
    shaped: Callable[[Any], Tensor],
    truth: Ball,
    computed: Ball,
    scale: float,
) -> Published:
    """Holds what was published to the truth, or to what was computed here.

    `shaped` brings a published value into the truth's shape; `scale` is what the resolution is
    relative to.
    """
    assert expectation.printed is not None
    try:
        ball = expected_ball(expectation.printed, shaped)
    except ShapeError as error:
        return Published("fail", expectation.line, note=f"the published value has {error}")
    if expectation.of == "handwritten":
        return Published(_as_computed(computed, ball, place), expectation.line, ball)
    rounded = _with_input_rounding(ball, place, scale)
    required = place.case.required_resolution(place.dtype)
    verdict = judge_expected(truth, rounded, required, scale)
    return Published(verdict, expectation.line, ball, _unchecked_digits(truth, rounded))


def _unchecked_digits(truth: Ball, expected: Ball) -> str:
    """A note where a number is printed to more digits than the truth is known to."""
    slack = 64 * np.finfo(np.float64).eps * np.abs(expected.midpoint).max(initial=0.0) + _NOTHING
    if not np.any(truth.radius > expected.radius + slack):
        return ""
    widest = float(np.max(truth.radius, initial=0.0))
    if not np.isfinite(widest):
        return ""
    return f"the published digits below {widest:.1e} were not checked"


def expected_at(place: Place, quantity: str) -> list[Expectation]:
    """What was published of a quantity for this point, and is held to the answers here."""
    return [
        expectation
        for expectation in place.point.expectations
        if expectation.quantity == quantity and expectation.applies(place.case, place.dtype)
    ]


def expected_ball(printed: Printed, shaped: Callable[[Any], Tensor]) -> Ball:
    """A published value, with one unit of its last printed digit as its radius.

    Raises:
        ShapeError: The value's shape is not that of what it is published for.
    """
    try:
        midpoint, unit = _tensor(_map(printed, float)), _tensor(_map(printed, _unit))
    except ValueError:
        raise ShapeError("rows of different lengths") from None
    return Ball(shaped(midpoint).numpy(), shaped(unit).numpy(), "bounded")


def filled(value: Any, shape: tuple[int, ...]) -> Tensor:
    """A published value of a quantity of that shape; a plain number fills it."""
    if not isinstance(value, Tensor):
        return torch.full(shape, value, dtype=torch.float64)
    if tuple(value.shape) != shape:
        raise ShapeError(f"shape {list(value.shape)}, but the value has shape {list(shape)}")
    return value


def _map(printed: Printed, function: Callable[[Any], float]) -> Any:
    if isinstance(printed, list):
        return [_map(item, function) for item in printed]
    return function(printed)


def _tensor(numbers: Any) -> Any:
    return torch.tensor(numbers, dtype=torch.float64) if isinstance(numbers, list) else numbers


def _unit(number: Any) -> float:
    """One unit of the last printed digit; an integer is exact."""
    if isinstance(number, int) or not number.is_finite():
        return 0.0
    return float(f"1e{number.as_tuple().exponent}")


def _with_input_rounding(expected: Ball, place: Place, scale: float) -> Ball:
    """What was published holds for the numbers as written; a narrow dtype rounds the inputs."""
    if place.dtype == "float64":
        return expected
    slack = 4 * torch.finfo(place.meaning().dtype).eps * scale
    return Ball(expected.midpoint, expected.radius + slack, expected.basis)


def _as_computed(computed: Ball, expected: Ball, place: Place) -> Verdict:
    """Whether a published evaluation is the one made here, to the digits that the dtype has."""
    ulp = torch.finfo(place.meaning().dtype).eps * np.abs(computed.midpoint)
    return "pass" if computed.is_within(expected.radius + ulp, expected) else "fail"
