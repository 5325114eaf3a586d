"""What formulas mean in ball arithmetic: elements, and numpy arrays of them.

The precision is flint's: run under `numbers.precision(bits)`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
from flint import arb, arb_series, fmpq

from gradcheck.language.vocabulary import ARITHMETIC, WORDS
from gradcheck.language.word import Parameter, Word
from gradcheck.rigorous.arguments import SETTINGS, index_of, raw
from gradcheck.rigorous.creation import CREATION
from gradcheck.rigorous.elements import ONE, ZERO, Elements, as_array, as_value, boxed
from gradcheck.rigorous.matrices import MATRICES
from gradcheck.rigorous.moves import MOVES, SUMS, Positions, positions_of
from gradcheck.rigorous.numbers import (
    Constant,
    Omitted,
    OverBudgetError,
    each_exactly,
    plain,
    rational,
)
from gradcheck.rigorous.pointwise import POINTWISE
from gradcheck.rigorous.products import PRODUCTS
from gradcheck.rigorous.reductions import REDUCTIONS, SCANS

BUDGET: Final = 2**21
"""Operations on elements that one evaluation may take: one or two seconds."""

_ELEMENTS: Final = frozenset({arb, arb_series})
_ARITHMETIC: Final = frozenset(word.name for word in ARITHMETIC)


class BallMeaning:
    """Words as operations on balls, or on series of them; plain numbers are exact.

    A value is an element (`arb`, `arb_series`), an array of them with a dimension at least, or a
    mask: a bool, or an array of bools. A plain number is an int, an `fmpq` or a `Constant`.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.left = budget

    def number(self, value: int | Decimal) -> Any:
        return value if isinstance(value, int) else rational(value)

    def call(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        plan = _plan(word)
        if plan.pointwise is None:
            return self._other(word, arguments, keywords)
        if plan.is_simple and not keywords:
            kinds = set(map(type, arguments))
            if kinds <= _ELEMENTS or (plan.is_arithmetic and kinds <= _SINGLE):
                if kinds & _ELEMENTS:
                    return self.single(word, arguments)
                return self.plain(word, arguments)
        counted = [
            self._argument(*pair)
            for pair in zip(word.positional(len(arguments)), arguments, strict=True)
        ]
        named = {
            name: self._argument(word.named[name], value)
            for name, value in keywords.items()
            if value is not None
        }
        return self.pointwise(word, counted, named)

    def plain(self, word: Word, numbers: Sequence[Any]) -> Any:
        """Arithmetic of plain numbers, exact where they are rational and stay short."""
        return plain(word.name, numbers)

    def single(self, word: Word, arguments: Sequence[Any]) -> Any:
        """A pointwise word of elements, among which there may be plain numbers."""
        self.left -= 1
        return POINTWISE[word.name](*arguments)

    def pointwise(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """A pointwise word of values that are as it wants them."""
        every = [*arguments, *keywords.values()]
        shapes = [value.shape for value in every if type(value) is np.ndarray]
        if not shapes:
            return POINTWISE[word.name](*arguments, **keywords)
        self.spend(math.prod(np.broadcast_shapes(*shapes)))
        if keywords:
            function, count, names = POINTWISE[word.name], len(arguments), tuple(keywords)

            def named(*values: Any) -> Any:
                return function(*values[:count], **dict(zip(names, values[count:], strict=True)))

            return _mask(np.frompyfunc(named, len(every), 1)(*map(_operand, every)))
        return _mask(_lifted(word)(*map(_operand, every)))

    def reduction(self, word: Word, x: Any, dims: tuple[int, ...], settings: Any) -> Any:
        """A reduction over `dims`, which keep size 1."""
        whole = as_array(x)
        self.spend(whole.size)
        return as_value(REDUCTIONS[word.name](self.total, whole, dims, **settings))

    def scan(self, word: Word, x: Elements, dim: int) -> Any:
        """A word that works along one dimension."""
        self.spend(x.size)
        return SCANS[word.name](self.running if word.name == "cumsum" else self.total, x, dim)

    def matrix(self, word: Word, *matrices: Elements) -> Any:
        """Linear algebra on square matrices, the last two dimensions."""
        self.spend(math.prod(matrices[0].shape) * matrices[-1].shape[-1])
        return as_value(MATRICES[word.name](*matrices))

    def move(self, values: Sequence[Any], positions: Positions) -> Any:
        """The entries of all `values` at these positions, counted through; 0 for `NOTHING`."""
        self.spend(positions.size)
        pool = [as_array(value).reshape(-1) for value in values]
        return np.concatenate([*pool, boxed(ZERO).reshape(1)])[positions]

    def total(self, rows: Elements) -> Elements:
        """The sums of rows, (rows, entries) → (rows,)."""
        if rows.size == 0:
            return np.full(len(rows), ZERO)
        sums: Elements = np.add.reduce(rows, axis=-1)
        return sums

    def running(self, rows: Elements) -> Elements:
        """The sums up to each entry of rows, (rows, entries) → (rows, entries)."""
        sums: Elements = np.add.accumulate(rows, axis=-1)
        return sums

    def spend(self, operations: int) -> None:
        self.left -= operations
        if self.left < 0:
            raise OverBudgetError("this takes more operations than ball arithmetic is given")

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        if isinstance(value, tuple):
            return value[items[0]]
        source = self.tensor(value)
        at = tuple(index_of(item) for item in items)
        if isinstance(source, np.ndarray) and source.dtype == bool:
            return source[at]
        return self.move([source], positions_of([source])[0][at])

    def tensor(self, value: Any) -> Any:
        if isinstance(value, Omitted):
            raise OverBudgetError(f"{value.entries:,} entries are more than ball arithmetic takes")
        if isinstance(value, list):
            return self.call(WORDS["stack"], [value], {}) if value else np.empty(0, dtype=object)
        if isinstance(value, (bool, tuple, arb, arb_series, np.ndarray)):
            return value + 0 if type(value) is Constant else value
        return arb(value)

    def shape(self, value: Any) -> tuple[int, ...] | None:
        if isinstance(value, np.ndarray):
            return tuple(value.shape)
        return () if type(value) in _SHAPED else None

    def _other(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """A word that is not pointwise."""
        name = word.name
        if word.signature is None:
            return Constant(arb.pi() if name == "pi" else arb.const_e())
        values = [
            self._argument(*pair)
            for pair in zip(word.positional(len(arguments)), arguments, strict=True)
        ]
        settings = {
            key: self._argument(word.named[key], value)
            for key, value in keywords.items()
            if value is not None
        }
        if name in REDUCTIONS:
            return self._reduced(word, values[0], **settings)
        if name in SCANS:
            whole = as_array(values[0])
            return (
                self.scan(word, whole, settings["dim"])
                if whole.ndim
                else self._line(word, values[0])
            )
        if name in MOVES:
            return self._moved(MOVES[name], values, settings)
        if name in SUMS:
            return self._named("sum", self._moved(SUMS[name], values, settings), dim=-1)
        if name in MATRICES:
            return self._of_matrices(word, *values)
        if name in PRODUCTS:
            return PRODUCTS[name](self._named, *values, **settings)
        made = CREATION[name](*values, **settings)
        self.spend(as_array(made).size)
        return made

    def _named(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        return self.call(WORDS[name], arguments, keywords)

    def _line(self, word: Word, x: Any) -> Any:
        """What works along a dimension, of a single number."""
        made = self._named(word.name, self._named("reshape", x, shape=[1]), dim=0)
        return self._named("reshape", made, shape=[])

    def _reduced(
        self, word: Word, x: Any, dim: Any = None, keepdim: bool = False, **settings: Any
    ) -> Any:
        if (unbiased := settings.pop("unbiased", None)) is not None:
            settings["correction"] = int(unbiased)
        whole = as_array(x)
        given = [dim] if isinstance(dim, int) else dim or range(whole.ndim)
        dims = tuple(sorted(d % max(1, whole.ndim) for d in given)) if whole.ndim else ()
        kept = self.reduction(word, x, dims, settings)
        if keepdim or not whole.ndim:
            return kept
        left = [n for d, n in enumerate(whole.shape) if d not in dims]
        return self._named("reshape", kept, shape=left)

    def _moved(
        self, word: Callable[..., Positions], values: Sequence[Any], settings: Mapping[str, Any]
    ) -> Any:
        """A word that moves entries, by its sending their positions through it."""
        first = values[0]
        if isinstance(first, list):
            return self.move(first, word(positions_of(first), **settings))
        return self.move([first], word(positions_of([first])[0], *values[1:], **settings))

    def _of_matrices(self, word: Word, a: Any, *right: Any) -> Any:
        """`solve` takes a vector, or a stack of them, too."""
        if not right:
            return self.matrix(word, a)
        (b,) = right
        if b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1]):
            columns = self._named("unsqueeze", b, dim=-1)
            return self._named("squeeze", self.matrix(word, a, columns), dim=-1)
        return self.matrix(word, a, b)

    def _argument(self, parameter: Parameter, value: Any) -> Any:
        """What a word wants for an argument."""
        kind = parameter.kind
        if kind == "raw":
            return raw(self.tensor(value))
        if kind == "list":
            return [self.counted(item) for item in value]
        if kind in ("tensor", "operand"):
            return self.counted(value)
        return SETTINGS[kind](value)

    def counted(self, value: Any) -> Any:
        """A value whose masks count as 1 where they are true."""
        value = self.tensor(value)
        if isinstance(value, bool):
            return ONE if value else ZERO
        if isinstance(value, np.ndarray) and value.dtype != object:
            return each_exactly(value.astype(int))
        return value


class _Plan(NamedTuple):
    """What is known of a word's arguments beforehand."""

    pointwise: Callable[..., Any] | None
    is_simple: bool
    is_arithmetic: bool


@functools.cache
def _plan(word: Word) -> _Plan:
    values = word.positional(0)
    is_simple = all(p.kind in ("tensor", "operand") for p in values)
    is_arithmetic = word.name in _ARITHMETIC and all(p.kind == "operand" for p in values)
    return _Plan(POINTWISE.get(word.name), is_simple, is_arithmetic)


@functools.cache
def _lifted(word: Word) -> Any:
    return np.frompyfunc(POINTWISE[word.name], len(word.positional(0)), 1)


_SINGLE: Final = _ELEMENTS | {int, fmpq, Constant}
_SHAPED: Final = _ELEMENTS | {bool}


def _operand(value: Any) -> Any:
    """An element as numpy takes it for one; arrays and plain numbers as they are."""
    return boxed(value) if type(value) is arb_series or isinstance(value, str) else value


def _mask(result: Any) -> Any:
    """An array of bools where a word decided something entry by entry."""
    if result.size and isinstance(result.flat[0], bool):
        return result.astype(bool)
    return result
