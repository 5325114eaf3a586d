"""Ball arithmetic at the precision of a floating-point format: what rounding does to a formula.

A ball's radius is then a bound on what rounding may do, if every operation of torch is as good as
an operation in balls with as many bits; twice the radius, since both lie in the ball.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from flint import arb

from gradcheck.language.word import Word
from gradcheck.rigorous.elements import Elements, as_array
from gradcheck.rigorous.meaning import BUDGET, BallMeaning
from gradcheck.rigorous.numbers import Constant, precision
from gradcheck.rigorous.pointwise import POINTWISE

LOSSES: Final[Mapping[str, tuple[int, arb]]] = {
    "gelu": (16, arb(0)),
    "lgamma": (4, arb(0)),
    "digamma": (64, arb(0)),
    "polygamma": (64, arb(1e-9)),
}
"""What torch's function is off by: half units of 1 + |result|, and a part of it in any dtype.

Measured on the CPU against mpmath at 400 to 2,000 random points (torch 2.13); 1e-9 is torch's
trigamma in float64, which is off by 5e-10.
"""
NEAR_POLES: Final = frozenset({"digamma", "polygamma"})
"""Words whose loss grows with their result once more: near a pole tan(πx) loses digits."""
ROUNDED_ONCE: Final = frozenset(
    {"add", "sub", "mul", "div", "neg", "positive", "sqrt", "reciprocal", "square", "abs", "sign"}
    | {"floor", "round", "relu", "minimum", "maximum", "clamp", "where", "detach", "full_like"}
    | {"conj", "real", "imag", "zeros_like", "ones_like", "lt", "le", "gt", "ge", "eq", "ne"}
    | {"logical_and", "logical_or", "logical_not"}
)
"""Pointwise words whose result in torch is the exact one, rounded; others are two units off."""
PYTHON_BITS: Final = 53
"""Of a float in Python, which torch takes plain numbers for."""


class Format(NamedTuple):
    """A floating-point format: the bits of its significand, its largest and smallest normal number.

    `smallest` is its smallest subnormal number, which is what underflow is off by.
    """

    bits: int
    largest: arb
    normal: arb

    @property
    def unit(self) -> arb:
        """Half a unit in the last place of 1."""
        return arb(2) ** -self.bits

    @property
    def smallest(self) -> arb:
        return self.normal * arb(2) ** (1 - self.bits)


class Rounded(BallMeaning):
    """Words as operations on balls that are rounded to a format: run under `precision(bits)`.

    `overflowed` tells whether any result may have been larger than the format holds, `underflowed`
    whether one was smaller than its normal numbers: it is then off by a subnormal number.
    `is_unseen` tells whether a word of `LOSSES` was there: no measurement sees what is lost inside.
    """

    def __init__(self, format: Format, budget: int = BUDGET) -> None:
        super().__init__(budget)
        self.format = format
        self.overflowed = False
        self.underflowed = False
        self.is_unseen = False
        self._underflow = arb(0, format.smallest)
        self._slack = 4 * format.unit

    def plain(self, word: Word, numbers: Sequence[Any]) -> Any:
        """Arithmetic of plain numbers as in Python: of whole ones exact, of others in 53 bits."""
        if all(type(number) is int for number in numbers) and word.name not in ("div", "pow"):
            return super().plain(word, numbers)
        with precision(max(PYTHON_BITS, self.format.bits)):
            result = POINTWISE[word.name](*map(arb, numbers))
        return Constant(result) if type(result) is arb else result

    def single(self, word: Word, arguments: Sequence[Any]) -> Any:
        return self.rounded(self._as_torch(word, super().single(word, arguments)))

    def pointwise(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        return self.rounded(self._as_torch(word, super().pointwise(word, arguments, keywords)))

    def reduction(self, word: Word, x: Any, dims: tuple[int, ...], settings: Any) -> Any:
        result = super().reduction(word, x, dims, settings)
        if word.name in ("norm", "var", "std"):
            result = self._with_squares(result, as_array(x))
        return self.rounded(result)

    def scan(self, word: Word, x: Elements, dim: int) -> Any:
        return self.rounded(super().scan(word, x, dim))

    def matrix(self, word: Word, *matrices: Elements) -> Any:
        return self.rounded(super().matrix(word, *matrices))

    def total(self, rows: Elements) -> Elements:
        """The sums, off by what any order of summation may lose: 4 units of Σ|terms|."""
        slack = self._slack * super().total(np.abs(rows))
        sums: Elements = super().total(rows) + _around_zero(slack)
        return sums

    def running(self, rows: Elements) -> Elements:
        slack = self._slack * super().running(np.abs(rows))
        sums: Elements = super().running(rows) + _around_zero(slack)
        return sums

    def tensor(self, value: Any) -> Any:
        made = super().tensor(value)
        return self.rounded(made + 0) if type(made) is arb and made is not value else made

    def added(self, a: Any, b: Any) -> Any:
        """The sum of two contributions to the same cotangent."""
        slack = self._slack * (abs(a) + abs(b))
        return self.rounded(a + b + (_around_zero(slack)))

    def rounded(self, result: Any) -> Any:
        """A result within the format's range; masks as they are."""
        if type(result) is arb or type(result) is Constant:
            return self._ranged(result)
        if isinstance(result, np.ndarray) and result.dtype == object:
            for entry in result.flat:
                if not self._is_ordinary(entry):
                    return np.frompyfunc(self._ranged, 1, 1)(result)
        return result

    def _as_torch(self, word: Word, result: Any) -> Any:
        """The result of a word in which torch may lose more than a rounding."""
        self.is_unseen = self.is_unseen or word.name in LOSSES
        if word.name in ROUNDED_ONCE:
            return result
        size = abs(result)
        if word.name not in LOSSES:
            return result + _around_zero(self.format.unit * size)
        units, relative = LOSSES[word.name]
        units *= 1 + size if word.name in NEAR_POLES else 1
        return result + _around_zero(units * self.format.unit * (1 + size) + relative * size)

    def _with_squares(self, result: Any, x: Elements) -> Any:
        """The result, where the squares of some entries left the format's range on the way."""
        sizes = [abs(entry) for entry in x.flat if entry != 0]
        self.overflowed = self.overflowed or any(s * s > self.format.largest for s in sizes)
        if not any(size * size < self.format.normal for size in sizes):
            return result
        self.underflowed = True
        return result + _around_zero((x.size * self.format.normal).sqrt())

    def _is_ordinary(self, entry: arb) -> bool:
        size = abs(entry)
        return size < self.format.largest and size > self.format.normal

    def _ranged(self, entry: arb) -> arb:
        size = abs(entry)
        if size < self.format.largest:
            if size > self.format.normal or entry == 0:
                return entry
            self.underflowed = self.underflowed or bool(size < self.format.normal)
            # Underflow, or a word that is 0 where its result is no normal number.
            below: arb = entry + self._underflow + _around_zero(size)
            return below
        self.overflowed = self.overflowed or not entry.is_nan()
        return entry


def _around_zero(slack: Any) -> Any:
    """[-slack, slack], entry by entry."""
    if isinstance(slack, np.ndarray):
        return np.frompyfunc(_around_zero, 1, 1)(slack)
    return arb(0, slack.abs_upper())
