"""What a formula lacks, looked for among products of what the case computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, product
from typing import Final

import numpy as np

from gradcheck.ball import Array
from gradcheck.diagnosis.evidence import CLOSE, Evidence, lay
from gradcheck.diagnosis.patterns import is_plain
from gradcheck.language.editing import operand
from gradcheck.results import Diagnosis

MOST: Final = 64
"""Factors of which all products of three are looked at."""
MOST_ALIKE: Final = 8
"""Values of which sums of products, and products of matrices, are looked at."""
FEWEST_NUMBERS: Final = 6
"""With fewer some product fits by chance."""
LARGEST: Final = 12
"""Numerator and denominator of a coefficient."""


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """What may be multiplied, and how it is written; `numbers` are one for each entry."""

    text: str
    numbers: Array


def missing_products(e: Evidence, more: Mapping[str, Array]) -> Iterator[Diagnosis]:
    """The term that is missing as a product of values, else the factor that is, or is too many.

    A term has at most three values and a simple number, one of them may be divided by; a factor is
    a product of at most two. `more` are values beside those of the evidence, each (points, *its own
    shape).
    """
    if not e.found.any():
        return
    products = _Products(e, more)
    if found := products.fitting(np.ones(()), e.truth - e.found, 3, divided=True):
        yield Diagnosis("missing_term", f"the term `{found}` is missing")
    elif np.count_nonzero(e.found) < FEWEST_NUMBERS:
        return
    elif found := products.fitting(e.found.ravel(), e.truth, 2):
        yield Diagnosis("missing_factor", f"the factor `{found}` is missing")
    elif found := products.fitting(e.truth.ravel(), e.found, 2):
        yield Diagnosis("extra_factor", f"a factor `{found}` is there once too often")


class _Products:
    """Products of what is known, over the entries of a derivative."""

    def __init__(self, e: Evidence, more: Mapping[str, Array]) -> None:
        self.limit = np.broadcast_to(e.limit, e.truth.shape).ravel()
        self.factors = _distinct(_factors({**e.values, **more}, e.shape))[:MOST]

    def fitting(self, base: Array, target: Array, most: int, *, divided: bool = False) -> str:
        """The product of at most so many that times a base is a target; empty if none is.

        It may be `divided` by the last.
        """
        if target.size < FEWEST_NUMBERS or not (self.limit > 0).all() or not self.factors:
            return ""
        own = [factor.text for factor in self.factors]
        table = np.stack([factor.numbers for factor in self.factors])
        divisors = (table != 0).all(axis=1) & divided
        below = [text for text, is_one in zip(own, divisors, strict=True) if is_one]
        for head in _heads(self.factors, most - 1):
            for last, sign, texts in ((table, "*", own), (1 / table[divisors], "/", below)):
                terms = base * head.numbers * last / self.limit
                found = _fitting(terms, target.ravel() / self.limit)
                if found is not None:
                    index, times = found
                    return _spelled(times, head.text, sign, texts[index])
        return ""


def _heads(factors: list[Factor], most: int) -> Iterator[Factor]:
    """1, each factor, and each product of two if there may be so many."""
    yield Factor("", np.ones(()))
    yield from (Factor(operand(one.text), one.numbers) for one in factors)
    for a, b in combinations_with_replacement(factors, 2) if most > 1 else ():
        yield Factor(f"{operand(a.text)}*{operand(b.text)}", a.numbers * b.numbers)


def _fitting(terms: Array, residual: Array) -> tuple[int, Fraction] | None:
    """Which of the terms, times a simple number, is the residual within 1 everywhere."""
    with np.errstate(all="ignore"):
        times = terms @ residual / (terms**2).sum(axis=1)
        apart = np.abs(residual - times[:, None] * terms).max(axis=1)
    for index in np.flatnonzero(apart <= 1):
        exact = Fraction(float(times[index])).limit_denominator(LARGEST)
        is_near = abs(float(exact) - times[index]) <= CLOSE * abs(times[index])
        if is_near and 0 < abs(exact.numerator) <= LARGEST:
            return int(index), exact
    return None


def _spelled(times: Fraction, head: str, sign: str, last: str) -> str:
    """`-2*a*b`, `a/b`, `x/2`."""
    parts = [text for text in (head, operand(last) if sign == "*" else "") if text]
    number = abs(times.numerator)
    above = "*".join([str(number), *parts] if number > 1 or not parts else parts)
    below = f"/{times.denominator}" if times.denominator > 1 else ""
    below += f"/{operand(last)}" if sign == "/" else ""
    return f"{'-' * (times < 0)}{above}{below}"


def _factors(values: Mapping[str, Array], shape: tuple[int, ...]) -> Iterator[Factor]:
    """Values, sums of them and of their products, and products of matrices, over the entries."""
    numbers = [(name, value) for name, value in values.items() if value.ndim == 1]
    powers = [(f"{name}**{n}", value**n) for name, value in numbers[:MOST_ALIKE] for n in (2, 3)]
    shares = [
        (f"1 - {operand(name)}", 1 - value)
        for name, value in values.items()
        if ((value >= 0) & (value <= 1)).all()
    ]
    matrices = _matrices(values, shape)
    for text, value in (*values.items(), *shares, *powers, *_sums(values), *matrices):
        for laid in lay(value, shape):
            if np.isfinite(laid).all() and not is_plain(laid):
                yield Factor(text, laid.ravel())


def _sums(values: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    wide = {name: value for name, value in values.items() if value.ndim > 1 and "/" not in name}
    few = list(wide.items())[:MOST_ALIKE]
    pairs = (
        (f"{operand(a)}*{operand(b)}", x * y)
        for (a, x), (b, y) in combinations_with_replacement(few, 2)
        if x.shape == y.shape
    )
    for text, value in (*few, *pairs):
        yield f"sum({text})", value.sum(axis=tuple(range(1, value.ndim)))
        if value.ndim > 2:
            for axis in range(1, value.ndim):
                total = value.sum(axis=axis, keepdims=True)
                wide_total = np.broadcast_to(total, value.shape)
                yield f"sum({text}, {axis - 1}, keepdim=True)", wide_total


def _matrices(values: Mapping[str, Array], shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Products of two matrices, each as it is and transposed; outer products of two vectors."""
    if len(shape) != 2:
        return
    if shape[0] == shape[1]:
        points = len(next(iter(values.values())))
        yield f"eye({shape[0]})", np.broadcast_to(np.eye(shape[0]), (points, *shape))
    vectors = [(name, value) for name, value in values.items() if value.ndim == 2][:MOST_ALIKE]
    for (a, x), (b, y) in product(vectors, repeat=2):
        yield f"outer({a}, {b})", x[:, :, None] * y[:, None, :]
    own = [(name, value) for name, value in values.items() if value.ndim == 3][:MOST_ALIKE]
    both = [*own, *((f"{operand(name)}.T", np.swapaxes(value, 1, 2)) for name, value in own)]
    for (a, x), (b, y) in product(both, repeat=2):
        if x.shape[2] == y.shape[1]:
            yield f"({operand(a)} @ {operand(b)})", x @ y


def _distinct(factors: Iterable[Factor]) -> list[Factor]:
    found: dict[bytes, Factor] = {}
    for factor in factors:
        found.setdefault(np.round(factor.numbers, 9).tobytes(), factor)
    return list(found.values())
