"""Intervals of numbers, as people write them: `(0, 1)`, `[0, inf)`, `[-1, 1]`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gradcheck.casefile.core_schema import plain_value

EXAMPLE: Final = 'an interval such as "(0, 1]", "[0, inf)" or [0, 1]'

_TEXT: Final = re.compile(r"\s*([\[(])([^,]*),([^,]*)([\])])\s*")
_TWO_ENDS: Final = re.compile(
    r"[\s\[\](){}]*([^\s\[\](){},;.]\S*?)\s*(?:[,;]|\.\.+)\s*(\S+?)[\s\[\](){}]*"
)
_COMPARED: Final = re.compile(r"\s*(?:[A-Za-z_]\w*\s*)?([<>])(=?)\s*(\S+)\s*")
_INFINITE: Final = {
    sign + name: -math.inf if sign == "-" else math.inf
    for sign in ("", "+", "-")
    for name in ("inf", ".inf", "∞", "infinity")
}
_MEANT: Final = {
    "positive": "(0, inf)",
    "negative": "(-inf, 0)",
    "nonnegative": "[0, inf)",
    "nonpositive": "(-inf, 0]",
    "probability": "[0, 1]",
    "real": "(-inf, inf)",
    "any": "(-inf, inf)",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers from `low` to `high`, each end with or without itself.

    An end may be infinite: then it is no number that is in it.
    """

    low: float = -math.inf
    high: float = math.inf
    closed_low: bool = False
    closed_high: bool = False

    def contains(self, number: float) -> bool:
        """Whether a number is in it; NaN and what is infinite are in none."""
        return self.first <= number <= self.last

    @property
    def first(self) -> float:
        """The least float64 that is in it, where one is."""
        if self.low == -math.inf:
            return -_LARGEST
        return self.low if self.closed_low else math.nextafter(self.low, math.inf)

    @property
    def last(self) -> float:
        """The greatest float64 that is in it, where one is."""
        if self.high == math.inf:
            return _LARGEST
        return self.high if self.closed_high else math.nextafter(self.high, -math.inf)

    @property
    def is_empty(self) -> bool:
        """Whether no float64 is in it."""
        return not self.first <= self.last

    def clipped(self, size: float) -> Interval:
        """What of it is not larger in size; all of it where nothing is."""
        low, high = max(self.low, -size), min(self.high, size)
        found = Interval(
            low,
            high,
            self.closed_low if low == self.low else True,
            self.closed_high if high == self.high else True,
        )
        return self if found.is_empty else found

    def within(self, other: Interval) -> bool:
        """Whether all its float64 are in the other one too."""
        return other.first <= self.first and self.last <= other.last

    def __str__(self) -> str:
        left, right = "[" if self.closed_low else "(", "]" if self.closed_high else ")"
        return f"{left}{_shown(self.low)}, {_shown(self.high)}{right}"


_LARGEST: Final = math.ldexp(2 - 2**-52, 1023)


class NoIntervalError(ValueError):
    """What is written is no interval; the message says what is wrong, and at which `end` of two.

    Without a `message` it is nothing like one.
    """

    def __init__(self, message: str = "", end: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.end = end


def interval(written: object) -> Interval:
    """The interval that is written as a text, or as a list of its two ends, which are in it.

    Raises:
        NoIntervalError: It is none, or no number is in it.
    """
    if isinstance(written, str):
        return _of_text(written)
    if not isinstance(written, list):
        raise NoIntervalError
    if len(written) != 2:
        raise NoIntervalError(f"an interval has two ends, as in [0, 1], not {len(written)}")
    ends = [_end(one, index) for index, one in enumerate(written)]
    return _usable("[", ends, "]")


def _of_text(text: str) -> Interval:
    match = _TEXT.fullmatch(text)
    if match is None:
        meant = _meant(text)
        raise NoIntervalError(f"`{text}` is no interval: did you mean `{meant}`?" if meant else "")
    left, low, high, right = match.groups()
    try:
        ends = [_end(plain_value(end.strip())) for end in (low, high)]
    except NoIntervalError:
        raise
    except ValueError as error:  # a number that is too large to be one
        raise NoIntervalError(str(error)) from None
    return _usable(left, ends, right)


def _end(written: object, index: int | None = None) -> float:
    """One end; `index` is which of a list's."""
    if isinstance(written, str):
        found = _INFINITE.get(written.strip().lower())
        if found is None:
            raise NoIntervalError(
                f"`{written}` is no end of an interval: write a number or inf", index
            )
        return found
    if isinstance(written, bool) or not isinstance(written, (int, Decimal)):
        raise NoIntervalError("an end of an interval is a number or inf", index)
    if isinstance(written, Decimal) and not written.is_finite():
        if written.is_nan():
            raise NoIntervalError("an end of an interval is a number or inf, not NaN", index)
        return math.inf if written > 0 else -math.inf
    if not -Decimal(_LARGEST) <= written <= Decimal(_LARGEST):
        raise NoIntervalError("this end is larger than any float64: write inf", index)
    return float(written)


def _usable(left: str, ends: list[float], right: str) -> Interval:
    low, high = ends
    if low > high:
        meant = f"{left}{_shown(high)}, {_shown(low)}{right}"
        raise NoIntervalError(f"the ends are in the wrong order: did you mean `{meant}`?")
    found = Interval(
        low, high, left == "[" and math.isfinite(low), right == "]" and math.isfinite(high)
    )
    if found.is_empty:
        is_one = low == high and math.isfinite(low)
        hint = f": [{_shown(low)}, {_shown(low)}] holds one" if is_one else ""
        raise NoIntervalError(f"no number is in {found}{hint}")
    return found


def _meant(text: str) -> str:
    """The interval that may be meant by what is written otherwise; empty where nothing tells."""
    if known := _MEANT.get(text.strip().lower().replace("-", "")):
        return known
    if match := _COMPARED.fullmatch(text):
        sign, closed, end = match.groups()
        above = f"{'[' if closed else '('}{end}, inf)"
        return _checked(above if sign == ">" else f"(-inf, {end}{']' if closed else ')'}")
    match = _TWO_ENDS.fullmatch(text)
    return _checked(f"({match[1]}, {match[2]})") if match else ""


def _checked(text: str) -> str:
    try:
        _of_text(text)
    except NoIntervalError:
        return ""
    return text


def _shown(end: float) -> str:
    """An end as it is written: 0, 0.5, 1e-08, -inf."""
    return repr(end).removesuffix(".0")
