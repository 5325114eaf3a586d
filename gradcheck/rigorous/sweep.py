"""A reverse sweep in ball arithmetic, by the derivatives that the words state.

What torch's autograd does, operation by operation: at the precision of a dtype its balls show what
rounding may do to a gradient; at a high one they prove the statements.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from flint import arb, fmpq

from gradcheck.language.expression import Expression
from gradcheck.language.parser import parse
from gradcheck.language.vocabulary import WORDS
from gradcheck.language.word import Word
from gradcheck.rigorous.elements import ONE, ZERO, Elements, as_array
from gradcheck.rigorous.moves import NOTHING, Positions
from gradcheck.rigorous.rounded import Rounded

_MUL: Final = WORDS["mul"]


class _Entry(NamedTuple):
    """A recorded operation: its result and how the result's cotangent becomes its arguments'."""

    result: Any
    pull: Callable[[Any], Iterator[tuple[Any, Any]]]


class Recording(Rounded):
    """Rounded arithmetic that remembers every operation on what depends on `start`."""

    def __init__(self, arithmetic: Rounded, start: Any) -> None:
        super().__init__(arithmetic.format, arithmetic.left)
        self.arithmetic = arithmetic
        """What rules are evaluated in: it records nothing."""
        self._tracked = {id(start): start}
        self._entries: list[_Entry] = []

    def single(self, word: Word, arguments: Sequence[Any]) -> Any:
        return self._pointwise(word, arguments, {}, super().single(word, arguments))

    def pointwise(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        result = super().pointwise(word, arguments, keywords)
        return self._pointwise(word, arguments, keywords, result)

    def reduction(self, word: Word, x: Any, dims: tuple[int, ...], settings: Any) -> Any:
        result = super().reduction(word, x, dims, settings)
        count = as_array(x).size // max(1, as_array(result).size)
        scope = {**_defaults(word), **settings, "dim": list(dims), "count": count, "input": x}
        return self._record(result, {"input": x}, functools.partial(self._cotangents, word, scope))

    def scan(self, word: Word, x: Elements, dim: int) -> Any:
        result = super().scan(word, x, dim)
        scope = {"input": x, "dim": dim}
        return self._record(result, {"input": x}, functools.partial(self._cotangents, word, scope))

    def matrix(self, word: Word, *matrices: Elements) -> Any:
        result = super().matrix(word, *matrices)
        scope = dict(zip((p.name for p in word.parameters), matrices, strict=True))
        return self._record(result, scope, functools.partial(self._cotangents, word, scope))

    def move(self, values: Sequence[Any], positions: Positions) -> Any:
        result = super().move(values, positions)
        arguments = {str(n): value for n, value in enumerate(values)}
        return self._record(
            result, arguments, lambda _, cotangent: self._moved_back(values, positions, cotangent)
        )

    @property
    def entries(self) -> int:
        """How many entries of intermediates a sweep goes through."""
        return sum(as_array(entry.result).size for entry in self._entries)

    def pull(self, output: Any, cotangent: Any) -> Any:
        """The cotangent of `start`, in its shape, given that of `output`."""
        found = {id(output): cotangent}
        for entry in reversed(self._entries):
            own = found.pop(id(entry.result), None)
            if own is None:
                continue
            for argument, contribution in entry.pull(own):
                fitted = self._fitted(contribution, as_array(argument).shape)
                known = found.get(id(argument))
                found[id(argument)] = (
                    fitted if known is None else self.arithmetic.added(known, fitted)
                )
        start = next(iter(self._tracked.values()))
        if id(start) in found:
            return found[id(start)]
        return _zeros(as_array(start).shape)

    def _pointwise(
        self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any], result: Any
    ) -> Any:
        if not word.derivative:
            return result
        positional = (parameter.name for parameter in word.positional(len(arguments)))
        named = {**dict(zip(positional, arguments, strict=True)), **keywords}
        texts = {name: text != "none" for name, text in keywords.items() if isinstance(text, str)}
        scope = {**_defaults(word), **named, **texts}
        return self._record(result, named, functools.partial(self._products, word, scope))

    def _products(
        self, word: Word, scope: Mapping[str, Any], result: Any, cotangent: Any
    ) -> Iterator[tuple[Any, Any]]:
        """Cotangent × partial derivative, for each argument."""
        for name, partial in self._stated(word, {**scope, "out": result}):
            if isinstance(partial, int) and not isinstance(partial, bool):
                if partial:
                    product = cotangent if partial > 0 else -cotangent
                    yield scope[name], product
            else:
                yield scope[name], self.arithmetic.call(_MUL, [cotangent, partial], {})

    def _cotangents(
        self, word: Word, scope: Mapping[str, Any], result: Any, cotangent: Any
    ) -> Iterator[tuple[Any, Any]]:
        for name, value in self._stated(word, {**scope, "out": result, "cotangent": cotangent}):
            yield scope[name], value

    def _stated(self, word: Word, scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """What the word states for each argument that depends on `start`."""
        for name, expression in _statements(word):
            if self._is_tracked(scope.get(name)):
                yield name, expression.evaluate(scope, self.arithmetic)

    def _moved_back(
        self, values: Sequence[Any], positions: Positions, cotangent: Any
    ) -> Iterator[tuple[Any, Any]]:
        """Each entry's cotangent, where the entry came from."""
        shapes = [as_array(value).shape for value in values]
        sizes = [int(np.prod(shape)) for shape in shapes]
        pool = np.full(sum(sizes), None)
        moved = zip(np.ravel(positions), as_array(cotangent).reshape(-1), strict=True)
        for position, own in moved:
            if position != NOTHING:
                known = pool[position]
                pool[position] = own if known is None else self.arithmetic.added(known, own)
        pool[pool == None] = ZERO  # noqa: E711
        parts = np.split(pool, np.cumsum(sizes)[:-1])
        for value, shape, part in zip(values, shapes, parts, strict=True):
            if self._is_tracked(value):
                yield value, part.reshape(shape) if shape else part[0]

    def _fitted(self, value: Any, shape: tuple[int, ...]) -> Any:
        """The value in this shape: summed over dimensions that were broadcast, or spread."""
        array = as_array(value)
        if array.shape == shape:
            return value
        extra = max(0, array.ndim - len(shape))
        wide = (1,) * extra + shape
        dims = [d for d, n in enumerate(array.shape) if d < extra or (wide[d] == 1 and n != 1)]
        if dims:
            array = self.arithmetic.reduction(WORDS["sum"], array, tuple(dims), {})
        fitted = np.broadcast_to(array.reshape(array.shape[extra:]), shape)
        return fitted if shape else fitted[()]

    def _record(
        self, result: Any, arguments: Mapping[str, Any], pull: Callable[[Any, Any], Any]
    ) -> Any:
        """The result, remembered if it is a number that depends on `start`."""
        if not any(self._is_tracked(value) for value in arguments.values()):
            return result
        if not (type(result) is arb or (isinstance(result, np.ndarray) and result.dtype == object)):
            return result
        if self._is_tracked(result):  # one object stands for one value
            result = result.copy() if isinstance(result, np.ndarray) else arb(result)
        self._tracked[id(result)] = result
        self._entries.append(_Entry(result, functools.partial(pull, result)))
        return result

    def _is_tracked(self, value: Any) -> bool:
        return id(value) in self._tracked


def _zeros(shape: tuple[int, ...]) -> Any:
    return np.full(shape, ZERO) if shape else ZERO


@functools.cache
def _statements(word: Word) -> tuple[tuple[str, Expression], ...]:
    return tuple((name, parse(text)) for name, text in word.derivatives.items())


@functools.cache
def _defaults(word: Word) -> Mapping[str, Any]:
    """What a statement reads where an argument is not given; a text as whether it is another."""
    return _DEFAULTS.get(word.name, {})


_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "softplus": {"beta": ONE, "threshold": arb(20)},
    "leaky_relu": {"negative_slope": fmpq(1, 100)},
    "elu": {"alpha": ONE},
    "gelu": {"approximate": False},
    "clamp": {"min": arb.neg_inf(), "max": arb.pos_inf()},
    "var": {"correction": ONE},
    "std": {"correction": ONE},
    "norm": {"p": fmpq(2)},
}
