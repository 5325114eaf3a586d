"""What a derivative is and what was written of it, side by side at some points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array
from gradcheck.verdict import Flags

CLOSE: Final = 1e-9
"""Of the largest entry at a point: what is nearer is taken for the same."""
NOTHING: Final = 1e-3
"""Of what is largest at most points: at one where all is less, it is what is near that counts."""
MOST_PLACES: Final = 4
"""In so many ways at most one value is laid over the entries of another."""


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A named value as it lies over the entries of a derivative: (points, *output, *input)."""

    name: str
    array: Array


@dataclass(frozen=True, eq=False)
class Evidence:
    """The right derivative and what was written by hand of it, both (points, *output, *input).

    `outputs` is how many dimensions the output has. `values` are what a reader knows by name, each
    (points, *its own shape): inputs, steps, and links such as `dy/dx`. `conditions` are choices
    that the function makes, as they are written. `limits`, of the entries' shape, are how far apart
    the same may be beside rounding.
    """

    truth: Array
    found: Array
    outputs: int
    values: Mapping[str, Array] = field(default_factory=dict)
    conditions: Mapping[str, Flags] = field(default_factory=dict)
    limits: Array | None = None

    @property
    def points(self) -> int:
        return len(self.truth)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the derivative: output + input."""
        return self.truth.shape[1:]

    @cached_property
    def limit(self) -> Array:
        """How near is the same, point by point: (points, 1, …)."""
        flat = np.abs(np.stack([self.truth, self.found])).reshape(2, self.points, -1)
        largest = flat.max(axis=(0, 2), initial=0.0)
        largest = np.fmax(largest, NOTHING * usual(largest))
        limit: Array = CLOSE * largest.reshape(-1, *[1] * len(self.shape))
        return limit if self.limits is None else limit + self.limits.max(initial=0.0)

    def near(self, a: Array, b: Array) -> Flags:
        """Where two arrays of entries are the same."""
        with np.errstate(invalid="ignore", over="ignore"):
            flags: Flags = np.abs(a - b) <= self.limit
        return flags

    def is_same(self, a: Array, b: Array) -> bool:
        return bool(self.near(a, b).all())

    def is_truth(self, a: Array) -> bool:
        return self.is_same(a, self.truth)

    def is_found(self, a: Array) -> bool:
        return self.is_same(a, self.found)

    @cached_property
    def wrong(self) -> Flags:
        """The entries that are wrong."""
        return ~self.near(self.found, self.truth)

    @cached_property
    def zero(self) -> Flags:
        """Where the right derivative is 0."""
        return np.abs(self.truth) <= self.limit

    def laid(self) -> Iterator[Laid]:
        """Every named value in every way in which it lies over the derivative's entries."""
        for name, value in self.values.items():
            for array in lay(value, self.shape):
                yield Laid(name, array)

    def laid_conditions(self) -> Iterator[tuple[str, Flags]]:
        for text, flags in self.conditions.items():
            for array in lay(flags, self.shape):
                yield text, array

    def diagonal(self) -> Evidence | None:
        """The same of an elementwise derivative, entry by entry; None where it is another one."""
        output, input = self.shape[: self.outputs], self.shape[self.outputs :]
        if not output or output != input:
            return None
        count = int(np.prod(output))
        square = [part.reshape(self.points, count, count) for part in (self.truth, self.found)]
        off = ~np.eye(count, dtype=bool)
        if any(np.abs(part[:, off]).any() for part in square):
            return None
        truth, found = (
            np.diagonal(part, axis1=1, axis2=2).reshape(self.points, *output) for part in square
        )
        return Evidence(truth, found, len(output), self.values, self.conditions, self.limits)


def usual(largest: Array) -> float:
    """The largest entry at most points, of which each has one: some may be huge, or 0."""
    positive = largest[largest > 0]
    return float(np.median(positive)) if positive.size else 0.0


def lay(value: NDArray[Any], shape: Sequence[int]) -> Iterator[NDArray[Any]]:
    """A value (points, *own) over entries (points, *shape), its dimensions kept in order.

    A dimension of it lies along one of the same size.
    """
    own = value.shape[1:]
    ways = 0
    for axes in combinations(range(len(shape)), len(own)):
        if all(shape[axis] == size for axis, size in zip(axes, own, strict=True)):
            wide = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
            yield np.broadcast_to(value.reshape(len(value), *wide), (len(value), *shape))
            ways += 1
            if ways == MOST_PLACES:
                return
