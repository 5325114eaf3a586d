"""Mistakes in what a derivative gives, whatever it is made of: its Jacobian, with one in it.

A right pass is a linear map, so that what a wrong one gives follows from the right one's Jacobian:
nothing of the user's is called again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, Literal

import numpy as np

from gradcheck.ball import Array, Ball
from gradcheck.function_answers import RADII, Answer, Block, Reverse
from gradcheck.leaves import Leaf

NEIGHBOURS: Final = 2
"""Inputs whose gradients take the place of one."""

Kind = Literal["backward", "jvp", "derivative"]
"""Of what gives a derivative: two are passes, the other is written as a Jacobian."""
_GIVEN: Final[dict[Kind, str]] = {"backward": "cotangent", "jvp": "tangent", "derivative": "output"}
Rows = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A mistake; `what` says which, in a few words.

    `rows` are what is found with it for what is found without, (k, *shape) (see `Frame`). Where a
    pass with it is not linear, it is the right one of what `before` makes of a cotangent (k,), or
    gives what `after` makes of the right gradient (c,). With an `instead` the right rows are those
    of another block.
    """

    what: str
    rows: Rows
    before: Rows | None = None
    after: Rows | None = None
    instead: Block | None = None

    @property
    def is_linear(self) -> bool:
        return self.before is None and self.after is None

    def passed(self, cotangent: Array, pull: Callable[[Array], Array]) -> Array:
        """What a pass with it gives, where the right one is `pull`."""
        found = pull(cotangent if self.before is None else self.before(cotangent))
        return found if self.after is None else self.after(found)


@dataclass(frozen=True, slots=True)
class Frame:
    """A block as whoever wrote its derivative sees it: numbers of `found` for each of `given`.

    A backward is given a cotangent of the output and finds the gradient by the input, a jvp is
    given a tangent of the input. Of an elementwise derivative only the diagonal was written.
    """

    block: Block
    kind: Kind
    is_diagonal: bool = False

    @classmethod
    def of(cls, block: Block, kind: Kind, jacobian: Array) -> Frame:
        """That of a right Jacobian, which tells whether it is elementwise."""
        shape = block.input.entries_shape
        is_square = block.output.entries_shape == shape and math.prod(shape) > 1
        if kind != "derivative" or not is_square or block.input.dtype.is_complex:
            return cls(block, kind)
        flat = jacobian.reshape(math.prod(shape), -1)
        return cls(block, kind, not flat[~np.eye(len(flat), dtype=np.bool_)].any())

    @property
    def given(self) -> Leaf:
        return self.block.input if self.kind == "jvp" else self.block.output

    @property
    def found(self) -> Leaf:
        return self.block.output if self.kind == "jvp" else self.block.input

    @property
    def count(self) -> int:
        """k: how many numbers are given."""
        return 1 if self.is_diagonal else self.given.count

    def rows(self, jacobian: Array) -> Array:
        """What is found for each number that is given alone, (k, *shape)."""
        flat = jacobian.reshape(self.block.output.count, self.block.input.count)
        if self.is_diagonal:
            flat = flat.diagonal()
        rows = flat.T if self.kind == "jvp" else flat
        return rows.reshape(self.count, *self.found.entries_shape)

    def jacobian(self, rows: Array) -> Array:
        """The block, of shape output + input."""
        flat = rows.reshape(self.count, self.found.count)
        if self.is_diagonal:
            flat = np.diag(flat[0])
        return (flat.T if self.kind == "jvp" else flat).reshape(self.block.shape)


class Wrong:
    """An answer with a mistake in one of its blocks."""

    def __init__(self, answer: Answer, frame: Frame, change: Change) -> None:
        self.notes = answer.notes
        self._answer, self._frame, self._change = answer, frame, change

    def of(self, block: Block) -> Array:
        return self._found

    def rounded_of(self, block: Block) -> Ball:
        return self._rounded

    @cached_property
    def widened(self) -> Wrong | None:
        wide = self._answer.widened
        return None if wide is None else Wrong(wide, self._frame, self._change)

    @property
    def is_same_in_passes(self) -> bool:
        """Whether a pass with a random cotangent is the one without the mistake."""
        if self._change.is_linear or not isinstance(self._answer, Reverse):
            return True
        block = self._frame.block
        u, rows = self._answer.random[block.rows], self._flat(self._answer.of(block))
        with np.errstate(all="ignore"):
            return np.array_equal(self._pass(u, rows), u @ rows, equal_nan=True)

    @property
    def is_told_by_passes(self) -> bool:
        """Whether a pass with random cotangents tells a check that it is not linear."""
        reverse, block = self._answer, self._frame.block
        if self._change.is_linear or not isinstance(reverse, Reverse):
            return False
        rows, one = self._flat(reverse.of(block)), reverse.rounded_pass.radius[block.columns]
        radii = reverse.rounded.radius[:, block.columns].copy()
        radii[block.rows] = self._flat(self._rounded.radius)
        u = reverse.random[block.rows]
        with np.errstate(all="ignore"):
            apart = self._pass(u, rows) - u @ self._flat(self._found)
            radius = one + np.abs(reverse.random) @ radii
        return bool((np.isfinite(apart) & (np.abs(apart) > RADII * radius)).any())

    def _pass(self, cotangent: Array, rows: Array) -> Array:
        return self._change.passed(cotangent, lambda u: u @ rows)

    @cached_property
    def _found(self) -> Array:
        return self._changed(self._answer.of(self._source))

    @property
    def _source(self) -> Block:
        return self._change.instead or self._frame.block

    def _changed(self, right: Array) -> Array:
        with np.errstate(all="ignore"):
            return self._frame.jacobian(self._change.rows(self._frame.rows(right)))

    @cached_property
    def _rounded(self) -> Ball:
        """With what rounding does to what is right, as the mistake takes it over."""
        right = self._answer.rounded_of(self._source)
        found = self._changed(right.midpoint)
        with np.errstate(all="ignore"):
            ends = [self._changed(right.midpoint + s * right.radius) - found for s in (1, -1)]
            radius: Array = np.fmax(*np.abs(ends))
        return Ball(found, np.nan_to_num(radius, nan=0.0, posinf=np.inf), right.basis)

    def _flat(self, jacobian: Array) -> Array:
        """As (k, c)."""
        return self._frame.rows(jacobian).reshape(self._frame.count, -1)


def changes(frame: Frame, resolution: float, blocks: Sequence[Block] = ()) -> list[Change]:
    """The mistakes that can be made in a block, but for those that its shape makes the same.

    One is off by ten times the `resolution`, relative. `blocks` are all that there are.
    """
    if not frame.count or not frame.found.count:
        return []
    return list(_Changes(frame).all(resolution, blocks))


class _Changes:
    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.word = _GIVEN[frame.kind]
        self.is_pass = frame.kind != "derivative"
        self.is_backward = frame.kind == "backward"
        self.shape = _numbers(frame.found)
        """Of what is found; a complex number's parts are no axis of it."""

    def all(self, resolution: float, blocks: Sequence[Block]) -> Iterator[Change]:
        yield from self.scaled(resolution)
        yield from self.constant()
        yield from self.entrywise()
        if self.is_pass:
            yield from self.given_otherwise()
            yield from self.neighbours(blocks)
        yield from self.moved()
        yield from self.lost()
        yield from self.conjugates()

    def scaled(self, resolution: float) -> Iterator[Change]:
        yield Change("the sign is changed", np.negative)
        yield Change("twice as much", partial(np.multiply, 2.0))
        yield Change("half as much", partial(np.multiply, 0.5))
        little = 10 * resolution
        yield Change(f"off by {little:.0e}", partial(np.multiply, 1 + little))
        count = max(self.frame.count, self.frame.found.count)
        if self.sums:
            count = self.frame.count // self.frame.found.count
        if count > 2:
            yield Change("a mean in place of the sum", partial(np.multiply, 1 / count))

    def constant(self) -> Iterator[Change]:
        """What does not look at the values."""
        yield Change("zero", np.zeros_like)
        unit = None if self.frame.is_diagonal else _passed_on(self.frame)
        if unit is None or unit.all():
            yield Change("ones", np.ones_like)
        else:
            what = f"the {self.word} is passed on" if self.is_pass else "the identity"
            yield Change(what, lambda rows: unit)

    def entrywise(self) -> Iterator[Change]:
        named: dict[str, Rows] = {
            "the absolute value": np.abs,
            "clipped to [-1, 1]": partial(np.clip, a_min=-1.0, a_max=1.0),
            "1 is added": partial(np.add, 1.0),
            "squared": np.square,
        }
        for what, rows in named.items():
            yield Change(what, rows, after=rows if self.is_backward else None)

    def given_otherwise(self) -> Iterator[Change]:
        """What a pass takes in another way than as it is given.

        Squares and signs of unit vectors are what those are: only other cotangents tell, and a jvp
        is given no other tangents.
        """
        if self.is_backward or self.frame.count > 1:
            ones = np.ones_like if self.is_backward else None
            yield Change(f"the {self.word} is ignored", _sum_of_rows, ones)
        if self.is_backward:
            yield Change("the cotangent is squared", _as_it_is, np.square)
            yield Change("only the cotangent's sign counts", _as_it_is, np.sign)

    def neighbours(self, blocks: Sequence[Block]) -> Iterator[Change]:
        """What belongs to the next inputs of the same shape."""
        own = self.frame.block
        alike = [
            block
            for block in blocks
            if block.rows == own.rows and block.columns != own.columns and block.shape == own.shape
        ]
        alike.sort(key=lambda block: abs(block.columns.start - own.columns.start))
        for block in alike[:NEIGHBOURS]:
            yield Change(f"that by {block.input.name} in its place", _as_it_is, instead=block)

    def moved(self) -> Iterator[Change]:
        """The entries in another order, or added up."""
        for axis, size in enumerate(self.shape):
            along = f"along axis {axis}"
            if size > 1:
                yield Change(f"reversed {along}", partial(np.flip, axis=axis + 1))
            if size > 2:
                yield Change(f"rolled by one {along}", partial(np.roll, shift=1, axis=axis + 1))
            if size > 1:
                yield Change(f"summed {along}", partial(_summed, axis=axis + 1))
        *_, rows, columns = (0, 0, *self.shape)
        if rows == columns > 1:
            last = len(self.shape)
            yield Change("transposed", partial(np.swapaxes, axis1=last - 1, axis2=last))

    def lost(self) -> Iterator[Change]:
        """Some entries are not there, or not looked at."""
        shape, given = self.shape, _numbers(self.frame.given)
        entries = math.prod(shape)
        if entries > 1:
            last = (slice(None), *(-1 for _ in shape))
            yield Change("the last entry is zero", partial(_without, at=last))
        if shape and 1 < shape[0] < entries:
            yield Change("the last row is zero", partial(_without, at=(slice(None), -1)))
        if self.frame.is_diagonal:
            return
        full = (*self.frame.given.entries_shape, *self.frame.found.entries_shape)
        if math.prod(given) > 1:
            last = tuple(-1 for _ in given)
            what = f"the last entry of the {self.word} does not count"
            yield Change(what, partial(_without, at=last, shape=full))
        for axis in self.sums:
            others = (*(slice(None) for _ in range(axis)), slice(1, None))
            what = f"of the {self.word} only the first along axis {axis} counts"
            yield Change(what, partial(_without, at=others, shape=full))

    def conjugates(self) -> Iterator[Change]:
        found, given = self.frame.found.dtype, self.frame.given.dtype
        if found.is_complex:
            yield Change("the complex conjugate", partial(np.multiply, _CONJUGATE))
            yield Change("without its imaginary part", partial(np.multiply, _REAL))
        if found.is_complex and given.is_complex:
            what = "the derivative's factor is conjugated"
            signs = np.resize(_CONJUGATE, self.frame.count)
            signs = signs.reshape(-1, *(1 for _ in self.frame.found.entries_shape)) * _CONJUGATE
            yield Change(what, partial(np.multiply, signs))

    @cached_property
    def sums(self) -> list[int]:
        """The axes of what is given that are summed over, as what is found was broadcast."""
        given, found = _numbers(self.frame.given), self.shape
        if self.frame.is_diagonal or _broadcast(given, found) != given:
            return []
        more = len(given) - len(found)
        return [i for i, n in enumerate(given) if n > 1 and (i < more or found[i - more] == 1)]


_CONJUGATE: Final = np.array([1.0, -1.0])
_REAL: Final = np.array([1.0, 0.0])


def _numbers(leaf: Leaf) -> tuple[int, ...]:
    """The shape, in which a complex number is one."""
    shape = leaf.entries_shape
    return shape[:-1] if leaf.dtype.is_complex else shape


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of all together; None where they do not go together."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _passed_on(frame: Frame) -> Array | None:
    """What is given in the shape of what is found, (k, *shape): summed, or broadcast.

    None where it has none.
    """
    given, found = frame.given.entries_shape, frame.found.entries_shape
    full = _broadcast(given, found)
    if frame.given.dtype.is_complex != frame.found.dtype.is_complex or full not in (given, found):
        return None
    unit = np.eye(frame.count).reshape(frame.count, *(1 for _ in found[len(given) :]), *given)
    if full == found:
        wide: Array = np.broadcast_to(unit, (frame.count, *found))
        return wide
    more = len(given) - len(found)
    ones = [i for i, size in enumerate(given) if i < more or found[i - more] == 1]
    summed: Array = unit.sum(axis=tuple(i + 1 for i in ones)).reshape(frame.count, *found)
    return summed


def _as_it_is(rows: Array) -> Array:
    return rows


def _sum_of_rows(rows: Array) -> Array:
    return _summed(rows, axis=0)


def _summed(rows: Array, axis: int) -> Array:
    """The sum along an axis, in each of its places."""
    found: Array = np.zeros_like(rows) + rows.sum(axis=axis, keepdims=True)
    return found


def _without(rows: Array, at: Any, shape: tuple[int, ...] | None = None) -> Array:
    """Zero at an index, where rows have another shape if one is given."""
    found = rows.reshape(rows.shape if shape is None else shape).copy()
    found[at] = 0.0
    return found.reshape(rows.shape)
