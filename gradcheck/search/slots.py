"""What a search varies: one input, with all that it may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch

from gradcheck.casefile.domain import Interval
from gradcheck.search.grid import FAR, Coarse, Grid
from gradcheck.search.values import Array

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

FACTORS: Final = (-1.0, 1e-3, 1e3)
"""What a value is multiplied by."""
FEW: Final = 3
"""Entries of an input that are looked at one by one."""
DRAWS: Final = 4
MOST_DRAWS: Final = 1_000
LONGEST: Final = 16
"""Numbers that an example has for one input: they are repeated where it has more entries."""
SIMPLE: Final = ((10, 1), (300, 100))
"""Kinds of simple numbers: whole ones up to the first in size, divided by the second."""
USUAL: Final = 100.0
"""How large moderate numbers are."""
SMALLEST: Final = 1e-15
LARGEST: Final = 1e15
"""Sizes of numbers, but 0 and what is next to an end: beyond, products leave a float's range."""


class Slot(Protocol):
    """One input; `base` is its value where the search begins."""

    @property
    def name(self) -> str: ...

    @property
    def base(self) -> Array: ...

    @property
    def numbers(self) -> Iterator[float]:
        """Numbers of its own that are worth a look."""

    def admitted(self, array: Array) -> Array | None:
        """A value as the input can have it; None where it cannot."""

    def filled(self, number: float) -> Array | None:
        """The value with all entries the same; None where it cannot be so."""

    def others(self) -> Iterator[Array]:
        """Values like the one that it has, and others that are worth a look."""

    def strategy(self) -> SearchStrategy[Array]:
        """All that it may be, for hypothesis."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """An input whose entries may be any numbers of an interval that the grid has.

    `special` are numbers at which its function may change.
    """

    name: str
    base: Array
    interval: Interval
    grid: Grid
    special: Sequence[float] = ()

    @classmethod
    def numerically(cls, name: str, base: Array, interval: Interval, dtype: torch.dtype) -> Entries:
        """Where derivatives are taken numerically, which sees nothing that is smaller than a step.

        `base` stays as it is, if that is not on the grid.
        """
        size = max(FAR, float(np.abs(base).max(initial=0.0)))
        clipped = interval.clipped(size)
        return cls(name, base, clipped, Coarse.of(dtype, clipped))

    @property
    def numbers(self) -> Iterator[float]:
        """The ends of its interval, or what is next to them inside, and around what is special."""
        for end in (self.interval.low, self.interval.high):
            if math.isfinite(end):
                yield self.grid.end(end, self.interval)
        for number in self.special:
            for side in (number, -number):
                yield from (side, *self.grid.neighbours(side))

    def admitted(self, array: Array) -> Array | None:
        held = self.grid.rounded(array)
        inside = (held >= self.interval.first) & (held <= self.interval.last)
        return held if bool(inside.all()) else None

    def filled(self, number: float) -> Array | None:
        return self.admitted(np.full(self.base.shape, number))

    def others(self) -> Iterator[Array]:
        """Equal entries, single ones that are 0 or 1, another sign, another size."""
        flat = self.base.reshape(-1)
        if len(flat) > 1:
            yield np.full(self.base.shape, flat[0])
            for i in range(min(len(flat), FEW)):
                for number in (flat[i - 1], 0.0, 1.0):
                    yield np.where(np.arange(len(flat)) == i, number, flat).reshape(self.base.shape)
        for factor in FACTORS:
            yield self.base * factor

    def strategy(self) -> SearchStrategy[Array]:
        from hypothesis import strategies as st

        shape = self.base.shape
        listed = st.lists(self._number(), min_size=1, max_size=min(self.base.size, LONGEST))
        return listed.map(lambda numbers: np.resize(np.array(numbers), shape))

    def _number(self) -> SearchStrategy[float]:
        """A number of the interval: small and simple ones, any moderate ones, and of any size."""
        from hypothesis import strategies as st

        first, last = self.interval.first, self.interval.last
        kinds: list[SearchStrategy[float]] = []
        for largest, parts in SIMPLE:
            low, high = max(first * parts, -largest), min(last * parts, largest)
            if math.ceil(low) <= math.floor(high):
                whole = st.integers(math.ceil(low), math.floor(high))
                kinds.append(whole.map(partial(_part, parts)))
        if max(first, -USUAL) <= min(last, USUAL):
            kinds.append(st.floats(max(first, -USUAL), min(last, USUAL)))
        kinds += [_sized(1, *_sizes(first, last)), _sized(-1, *_sizes(-last, -first))]
        return st.one_of(*kinds)


def _sizes(first: float, last: float) -> tuple[float, float]:
    """The sizes of the positive numbers of an interval, but those of hardly any use."""
    return max(first, min(SMALLEST, last)), min(last, max(LARGEST, first))


def _sized(sign: int, low: float, high: float) -> SearchStrategy[float]:
    """Numbers of two digits and of all sizes from `low` to `high`; nothing where there is none."""
    from hypothesis import strategies as st

    if not 0 < low <= high:
        return st.nothing()
    exponents = st.integers(math.floor(math.log10(low)), math.floor(math.log10(high)))
    numbers = st.tuples(st.integers(10, 99), exponents)
    return numbers.map(lambda one: sign * min(max(float(f"{one[0]}e{one[1] - 1}"), low), high))


def _part(parts: int, number: int) -> float:
    return number / parts


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """An input that is drawn as a whole: `draw` gives the one of a number, `simple` are some."""

    name: str
    base: Array
    draw: Callable[[int], Array]
    simple: Sequence[Array] = ()

    @property
    def numbers(self) -> Iterator[float]:
        return iter(())

    def admitted(self, array: Array) -> Array | None:
        return array

    def filled(self, number: float) -> Array | None:
        return None

    def others(self) -> Iterator[Array]:
        yield from self.simple
        yield from map(self.draw, range(1, DRAWS))

    def strategy(self) -> SearchStrategy[Array]:
        from hypothesis import strategies as st

        return st.integers(0, MOST_DRAWS - 1).map(self.draw)
