"""A part of a formula in MathML, and when it needs parentheses."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from gradcheck.report.html.markup import Markup, tag
from gradcheck.report.html.names import differential

CHOICE, OR, AND, NOT, COMPARED, SUM, BIG, PRODUCT, FRACTION, POWER, CALLED, ATOM = range(12)
"""How tightly a formula holds together, from the loosest; `BIG` is Σ, which reaches far right."""


class Typeset(NamedTuple):
    """A formula in MathML, and how tightly it holds together."""

    markup: Markup
    level: int


def math(*content: str) -> Markup:
    return tag("math", *content, displaystyle="true")


def quotient(above: Markup, below: Markup) -> Markup:
    """∂above/∂below."""
    return tag("mfrac", differential("∂", above), differential("∂", below))


def fenced(left: str, inside: Markup, right: str) -> Markup:
    """In parentheses, which are taller than a line only where what they hold is."""
    is_tall = any(f"<{name}" in inside for name in ("mfrac", "mtable", "msqrt"))
    stretchy = None if is_tall else "false"
    ends = [tag("mo", sign, stretchy=stretchy) for sign in (left, right)]
    return tag("mrow", ends[0], inside, ends[1])


def number(value: int | Decimal) -> Typeset:
    mantissa, _, exponent = str(value).partition("E")
    if not exponent:
        return Typeset(tag("mn", mantissa), ATOM)
    power = tag("msup", tag("mn", "10"), _signed(int(exponent)))
    if mantissa == "1":
        return Typeset(power, POWER)
    return Typeset(tag("mrow", tag("mn", mantissa), tag("mo", "×"), power), PRODUCT)


def _signed(number: int) -> Markup:
    digits = tag("mn", str(abs(number)))
    return tag("mrow", tag("mo", "−"), digits) if number < 0 else digits
