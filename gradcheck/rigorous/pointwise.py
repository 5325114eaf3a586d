"""Pointwise words on single elements; arguments come in the order of the word's signature."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from flint import arb, fmpq

from gradcheck.rigorous.elements import (
    NAN,
    ONE,
    ZERO,
    Element,
    Elements,
    UndecidedError,
    compared,
    constant,
    divided,
    is_series,
    is_true,
    multiplied,
    sign,
)
from gradcheck.rigorous.gamma import lgamma, polygamma

_HALF: Final = fmpq(1, 2)


def _reciprocal(x: Element) -> Element:
    return divided(ONE, x)


def _power(base: Element, exponent: Element) -> Element:
    if not isinstance(base, (int, fmpq)) and not constant(base).is_finite():
        return NAN  # flint's powers of a ball without bounds end the process
    if type(exponent) is int:
        return base**exponent
    if isinstance(base, (int, fmpq)):
        base = arb(base)
    if not is_series(base) and base == 0 and constant(exponent + ZERO) > 0:
        return ZERO
    return base**exponent


def _floor(x: Element) -> arb:
    """The largest integer not above x, a constant, but at an integer that moves with x."""
    value = constant(x)
    low, high = value.lower().floor().unique_fmpz(), value.upper().floor().unique_fmpz()
    if low is None or low != high or (is_series(x) and value.contains_integer()):
        raise UndecidedError("it is not certain on which side of a whole number this is")
    return arb(low)


def _round(x: Element) -> arb:
    """The nearest integer, ties to even."""
    above = _floor(x + _HALF)
    is_tie = constant(x) == above - _HALF
    return above - 1 if is_tie and int(above.fmpz()) % 2 else above


def _floor_divide(a: Element, b: Element) -> arb:
    return _floor(divided(a, b))


def _remainder(a: Element, b: Element) -> Element:
    return a - b * _floor_divide(a, b)


def _log1p(x: Element) -> Element:
    return (1 + x).log() if is_series(x) else x.log1p()


def _expm1(x: Element) -> Element:
    return x.exp() - 1 if is_series(x) else x.expm1()


def _abs(x: Element) -> Element:
    return x * sign(x) if is_series(x) else abs(x)


def _atan2(y: Element, x: Element) -> Element:
    if not is_series(x) and not is_series(y):
        return arb.atan2(y, x)
    if constant(x) > 0:
        return divided(y, x).atan()
    return sign(y) * arb.pi() / 2 - divided(x, y).atan()


def _sinh(x: Element) -> Element:
    if not is_series(x):
        return x.sinh()
    growing = x.exp()
    return (growing - 1 / growing) / 2


def _cosh(x: Element) -> Element:
    if not is_series(x):
        return x.cosh()
    growing = x.exp()
    return (growing + 1 / growing) / 2


def _tanh(x: Element) -> Element:
    if not is_series(x):
        return x.tanh()
    if x[0].mid() >= 0:
        decaying = (-2 * x).exp()
        return (1 - decaying) / (1 + decaying)
    decaying = (2 * x).exp()
    return (decaying - 1) / (decaying + 1)


def _sigmoid(x: Element) -> Element:
    return 1 / (1 + (-x).exp())


def _logsigmoid(x: Element) -> Element:
    if constant(x).mid() >= 0:
        return -_log1p((-x).exp())
    return x - _log1p(x.exp())


def _softplus(x: Element, beta: Element = ONE, threshold: Element = arb(20)) -> Element:  # noqa: B008
    scaled = beta * x
    if compared(scaled, threshold) > 0:
        return x
    return _log1p(scaled.exp()) / beta


def _maximum(a: Element, b: Element) -> Element:
    if is_series(a) or is_series(b):
        return a if compared(a, b) >= 0 else b
    return a if a >= b else b if b >= a else a.max(b)


def _minimum(a: Element, b: Element) -> Element:
    if is_series(a) or is_series(b):
        return a if compared(a, b) <= 0 else b
    return a if a <= b else b if b <= a else a.min(b)


def _relu(x: Element) -> Element:
    return _maximum(x, ZERO)


def _leaky_relu(x: Element, negative_slope: Element = fmpq(1, 100)) -> Element:  # noqa: B008
    return _maximum(x, ZERO) + negative_slope * _minimum(x, ZERO)


def _elu(x: Element, alpha: Element = ONE) -> Element:
    return _maximum(x, ZERO) + alpha * _expm1(_minimum(x, ZERO))


def _gelu(x: Element, approximate: str = "none") -> Element:
    if approximate == "tanh":
        inner = (2 / arb.pi()).sqrt() * (x + fmpq(44715, 1000000) * x * x * x)
        return x * (1 + _tanh(inner)) / 2
    return x * (1 + (x / arb(2).sqrt()).erf()) / 2


def _silu(x: Element) -> Element:
    return x * _sigmoid(x)


def _digamma(x: Element) -> Element:
    return polygamma(x, 0)


def _xlogy(x: Element, y: Element) -> Element:
    return ZERO if not is_series(x) and x == 0 else multiplied(x, y.log())


def _hypot(x: Element, y: Element) -> Element:
    return (x * x + y * y).sqrt()


def _logaddexp(x: Element, y: Element) -> Element:
    if constant(x).mid() < constant(y).mid():
        x, y = y, x
    return x + _log1p((y - x).exp())


def _clamp(x: Element, min: Element | None = None, max: Element | None = None) -> Element:
    if min is not None:
        x = _maximum(x, min)
    return x if max is None else _minimum(x, max)


def _where(condition: Any, a: Element, b: Element) -> Element:
    return a if is_true(condition) else b


def _when(holds: Callable[[int, int], bool]) -> Callable[[Element, Element], bool]:
    return lambda a, b: holds(compared(a, b), 0)


def _method(name: str) -> Callable[[Element], Element]:
    call: Callable[[Element], Element] = operator.methodcaller(name)
    return call


POINTWISE: Final[Mapping[str, Callable[..., Any]]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": multiplied,
    "div": divided,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "pow": _power,
    "neg": operator.neg,
    "positive": lambda x: x + 0,
    "lt": _when(operator.lt),
    "le": _when(operator.le),
    "gt": _when(operator.gt),
    "ge": _when(operator.ge),
    "eq": _when(operator.eq),
    "ne": _when(operator.ne),
    "logical_and": lambda a, b: is_true(a) and is_true(b),
    "logical_or": lambda a, b: is_true(a) or is_true(b),
    "logical_not": lambda a: not is_true(a),
    **{name: _method(name) for name in ("exp", "log", "sqrt", "rsqrt", "erf", "erfc")},
    **{name: _method(name) for name in ("sin", "cos", "tan", "asin", "acos", "atan")},
    "log1p": _log1p,
    "expm1": _expm1,
    "reciprocal": _reciprocal,
    "square": lambda x: x * x,
    "abs": _abs,
    "sign": lambda x: arb(sign(x)),
    "conj": lambda x: x + 0,
    "real": lambda x: x + 0,
    "imag": lambda x: ZERO,
    "floor": _floor,
    "round": _round,
    "atan2": _atan2,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "logsigmoid": _logsigmoid,
    "softplus": _softplus,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "gelu": _gelu,
    "silu": _silu,
    "lgamma": lgamma,
    "digamma": _digamma,
    "polygamma": polygamma,
    "xlogy": _xlogy,
    "hypot": _hypot,
    "logaddexp": _logaddexp,
    "minimum": _minimum,
    "maximum": _maximum,
    "clamp": _clamp,
    "where": _where,
    "detach": lambda x: constant(x) + 0,
    "zeros_like": lambda x: ZERO,
    "ones_like": lambda x: ONE,
    "full_like": lambda x, fill_value: fill_value + ZERO,
}


def lifted(name: str) -> Callable[..., Elements]:
    """A pointwise word of one or two arguments for arrays of elements."""
    count = 2 if name in ("pow", "div", "mul") else 1
    function: Callable[..., Elements] = np.frompyfunc(POINTWISE[name], count, 1)
    return function
