"""A term that a formula lacks, looked for among products of what the case computes."""

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
from gradcheck.language.editing import Editor, Part, all_instead, operand
from gradcheck.language.expression import Expression
from gradcheck.language.parser import parse
from gradcheck.language.tree import Call, Name, values_of
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


def missing_terms(e: Evidence, more: Mapping[str, Array]) -> Iterator[Diagnosis]:
    """The term that is missing: at most three values times a simple number, one of them divided by.

    `more` are values beside those of the evidence, each (points, *its own shape).
    """
    residual = (e.truth - e.found).ravel()
    limit = np.broadcast_to(e.limit, e.truth.shape).ravel()
    if residual.size < FEWEST_NUMBERS or not e.found.any() or not (limit > 0).all():
        return
    factors = _distinct(_factors({**e.values, **more}, e.shape))[:MOST]
    own = [factor.text for factor in factors]
    table = np.stack([factor.numbers for factor in factors]) if factors else np.ones((0, 1))
    divisors = (table != 0).all(axis=1)
    below = [text for text, is_one in zip(own, divisors, strict=True) if is_one]
    for head in _heads(factors):
        for last, sign, texts in ((table, "*", own), (1 / table[divisors], "/", below)):
            found = _fitting(head.numbers * last / limit, residual / limit)
            if found is not None:
                index, times = found
                text = _spelled(times, head.text, sign, texts[index])
                yield Diagnosis("missing_term", f"the term `{text}` is missing")
                return


def _heads(factors: list[Factor]) -> Iterator[Factor]:
    """1, each factor, and each product of two."""
    yield Factor("", np.ones(()))
    yield from factors
    for a, b in combinations_with_replacement(factors, 2):
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


def companions(formula: Expression) -> Iterator[Part]:
    """The derivatives of a formula's words, as the vocabulary states them: cos(x) of sin(x)."""
    editor = Editor(formula)
    for node in values_of(formula.tree):
        if not isinstance(node, Call) or node.word.is_pulled_back:
            continue
        parts = {
            parameter.name: editor.part(argument)
            for parameter, argument in zip(node.word.parameters, node.arguments, strict=False)
        }
        parts["out"] = editor.part(node)
        for text in node.word.derivatives.values():
            stated = parse(text)
            names = [one for one in values_of(stated.tree) if isinstance(one, Name)]
            if names and all(one.name in parts for one in names):
                own = all_instead(stated, [(one, parts[one.name]) for one in names])
                yield Part(own.tree, own.text)


def _factors(values: Mapping[str, Array], shape: tuple[int, ...]) -> Iterator[Factor]:
    """Values, sums of them and of their products, and products of matrices, over the entries."""
    numbers = [(name, value) for name, value in values.items() if value.ndim == 1]
    powers = [(f"{name}**{n}", value**n) for name, value in numbers[:MOST_ALIKE] for n in (2, 3)]
    matrices = _matrices(values, shape)
    for text, value in (*values.items(), *powers, *_sums(values), *matrices):
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
