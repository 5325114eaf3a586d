"""Numbers as ball arithmetic takes them: its precision, exact values, and plain numbers."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
from flint import arb, ctx, fmpq

from gradcheck.rigorous.pointwise import POINTWISE

MOST_ENTRIES: Final = 2**18
MOST_BITS: Final = 4096
"""Of a whole number that is kept exactly."""


class OverBudgetError(ArithmeticError):
    """More operations than an evaluation may take."""


class precision:  # noqa: N801
    """Ball arithmetic with so many bits, in a `with`; then all is as it was.

    Series are of order 1, or of another.
    """

    __slots__ = ("_bits", "_kept", "_order")

    def __init__(self, bits: int, order: int = 1) -> None:
        self._bits, self._order = bits, order

    def __enter__(self) -> None:
        self._kept = ctx.prec, ctx.cap
        ctx.prec, ctx.cap = self._bits, self._order + 1

    def __exit__(self, *error: object) -> None:
        ctx.prec, ctx.cap = self._kept


@dataclass(frozen=True, slots=True)
class Omitted:
    """A value of too many entries, which ball arithmetic refuses when it is read."""

    entries: int


def exactly(value: Any) -> Any:
    """A tensor's numbers, each exactly what its dtype holds; others as they are.

    A mask stays a mask. What has several results becomes a tuple, what has more than `MOST_ENTRIES`
    is `Omitted`.
    """
    if hasattr(value, "numel") and value.numel() > MOST_ENTRIES:
        return Omitted(value.numel())
    if isinstance(value, tuple):
        return tuple(exactly(one) for one in value)
    if not hasattr(value, "tolist"):
        return value
    numbers = value.tolist()
    if not isinstance(numbers, list):
        return numbers if isinstance(numbers, bool) else arb(numbers)
    array = np.array(numbers).reshape(tuple(value.shape))
    return array if array.dtype == bool else each_exactly(array)


each_exactly = np.frompyfunc(lambda number: arb(number), 1, 1)


class Constant(arb):
    """A plain number that is not rational, such as pi: it has no shape, not even ()."""


def plain(name: str, numbers: Sequence[Any]) -> Any:
    """Arithmetic of plain numbers, exact where they are rational and stay short."""
    if not any(type(number) is Constant for number in numbers):
        a, *rest = numbers
        if name == "pow" and not _is_short(a, rest[0]):
            return Constant(arb(a) ** rest[0])
        if name in ("div", "pow"):
            a = fmpq(a)
            if not (a if name == "pow" and rest[0] < 0 else rest[0] or name == "pow"):
                return Constant(arb.nan())
        if name in ("floor_divide", "remainder") and not rest[0]:
            return Constant(arb.nan())
        if name in _RATIONAL:
            return _RATIONAL[name](a, *rest)
        if name in _COMPARISONS:
            return POINTWISE[name](a, *rest)
    result = POINTWISE[name](*map(arb, numbers))
    return Constant(result) if type(result) is arb else result


def _floor_divide(a: int | fmpq, b: int | fmpq) -> int:
    return int((fmpq(a) / fmpq(b)).floor())


_RATIONAL: Final[Mapping[str, Callable[..., Any]]] = {
    "floor_divide": _floor_divide,
    "remainder": lambda a, b: a - b * _floor_divide(a, b),
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "positive": operator.pos,
}


_COMPARISONS: Final = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})


def _is_short(base: int | fmpq, exponent: int | fmpq) -> bool:
    """Whether base**exponent is rational and has few digits."""
    if not isinstance(exponent, int):
        return False
    longest = max(int(fmpq(base).p).bit_length(), int(fmpq(base).q).bit_length())
    return abs(exponent) * longest <= MOST_BITS


@functools.lru_cache(maxsize=1024)
def rational(value: Decimal) -> fmpq:
    return fmpq(*value.as_integer_ratio())
