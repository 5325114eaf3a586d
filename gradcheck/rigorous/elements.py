"""Elements: a ball, or a Taylor series with balls in it.

A ball (`arb`) is a constant; what depends on the variable is a series (`arb_series`), value +
slope·t with t² = 0, or with one coefficient more for a second derivative, whose arithmetic is what
makes the derivative: no rule of ours is in it. A value that does not exist is NaN. Functions take
arguments in the order of the word's signature.

A piecewise function of a ball encloses all its values; of a series it takes the piece that the
value lies in, if that is certain.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from flint import arb, arb_series, fmpq
from numpy.typing import NDArray

Element = Any
"""An `arb` or an `arb_series`; where an argument is a plain number, that too."""
Elements = NDArray[Any]
"""An array of them."""

NAN: Final = arb.nan()
ZERO: Final = arb(0)
ONE: Final = arb(1)
_HALF: Final = fmpq(1, 2)


class UndecidedError(ArithmeticError):
    """A choice that cannot be made: a ball, or what depends on the variable, touches the border."""


def boxed(element: Any) -> Elements:
    """The element as an array without dimensions: numpy takes a series for a sequence."""
    array = np.empty((), dtype=object)
    array[()] = element
    return array


def as_array(value: Any) -> Elements:
    """An element or an array of them as an array."""
    return value if type(value) is np.ndarray else boxed(value)


def is_series(x: object) -> bool:
    """Whether it depends on the variable."""
    return type(x) is arb_series


def constant(x: Element) -> arb:
    """The value, without its dependence on the variable."""
    value: arb = x[0] if is_series(x) else x
    return value


def compared(a: Element, b: Element) -> int:
    """-1, 0 or 1: how a stands to b.

    Raises:
        UndecidedError: Their balls overlap, or they are equal and depend on the variable.
    """
    if a is b:
        return 0
    difference = constant(a - b)
    if difference > 0:
        return 1
    if difference < 0:
        return -1
    if difference == 0 and not is_series(a) and not is_series(b):
        return 0
    raise UndecidedError("it is not certain which of two numbers is larger here")


def sign(x: Element) -> int:
    """-1, 0 or 1; see `compared`."""
    return compared(x, ZERO)


def is_true(condition: Any) -> bool:
    """Whether a condition holds: a number does where it is not 0."""
    return condition if isinstance(condition, bool) else compared(condition, ZERO) != 0


def multiplied(a: Element, b: Element) -> Element:
    """a · b: a series that is 0 is not 0 times NaN or infinity, for which flint takes it."""
    product = a * b
    if is_series(product) and product.length() == 0 and not (is_finite(a) and is_finite(b)):
        return NAN
    return product


def divided(a: Element, b: Element) -> Element:
    """a / b, NaN where that is no series of order 1."""
    try:
        ratio = a / b
    except (ValueError, ZeroDivisionError):
        return NAN
    # x/x at 0 is a series that ends before its slope.
    if is_series(ratio) and (ratio.prec < 2 or not (is_finite(a) and is_finite(b))):
        return NAN
    return ratio


def is_finite(x: Element) -> bool:
    """Whether it has a value, and a slope where it depends on the variable."""
    if is_series(x):
        return all(x[order].is_finite() for order in range(x.prec))
    return not isinstance(x, arb) or bool(x.is_finite())


def as_value(result: Any) -> Any:
    """An array without dimensions as its element."""
    return result[()] if isinstance(result, np.ndarray) and result.ndim == 0 else result
