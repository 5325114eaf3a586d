"""What an unquoted scalar means in the core schema of YAML 1.2."""

import re
from decimal import Decimal
from typing import Final

Scalar = str | int | Decimal | bool | None

LONGEST_NUMBER: Final = 4_300  # Python's own limit for the conversion of decimal text to int
LARGEST_EXPONENT: Final = 9_999  # exact arithmetic with 1e999999999 would never end

_CONSTANTS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_INFINITY: Final = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN: Final = frozenset({".nan", ".NaN", ".NAN"})


def plain_value(text: str) -> Scalar:
    """What an unquoted text means; raises ValueError, worded for the user, if it is too large."""
    if text[:1] in _NUMBER_STARTS:
        return _number(text)
    return _CONSTANTS.get(text, text)


def _number(text: str) -> Scalar:
    if _INTEGER.fullmatch(text):
        return int(_bounded(text))
    if number := _DECIMAL.fullmatch(text):
        return _decimal(_bounded(text), exponent=number[1] or "0")
    if _OTHER_BASE.fullmatch(text):
        # Half as many digits: the value is not to be too long to print in decimal either.
        return int(_bounded(text, LONGEST_NUMBER // 2), 0)
    if infinity := _INFINITY.fullmatch(text):
        return Decimal(infinity[1] + "Infinity")
    return Decimal("NaN") if text in _NAN else text


def _decimal(text: str, exponent: str) -> Decimal:
    if abs(int(exponent)) > LARGEST_EXPONENT:
        raise ValueError(f"an exponent beyond ±{LARGEST_EXPONENT} is not supported")
    return Decimal(text)


def _bounded(text: str, longest: int = LONGEST_NUMBER) -> str:
    if len(text) > longest:
        raise ValueError(f"a number of {len(text)} characters is too long")
    return text
