"""A Python function whose Jacobian is too large: looked at along random directions, then bisected.

u · J d of random u and d is held against the numeric oracle's. An error in one entry of J shows in
each of them; where they differ, halves of u and then of d lead to the entry.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array, Ball, stacked
from gradcheck.conclusion import Fields, conclude
from gradcheck.demands import Demands
from gradcheck.function_answers import UNITS, Block, backward_varies, blocks
from gradcheck.oracles import forward_mode, rounding
from gradcheck.oracles.batched import Batched
from gradcheck.oracles.directional import (
    LEAST,
    Line,
    along_roughly,
    random_entries,
    slopes_along,
)
from gradcheck.python_function import PythonFunction
from gradcheck.results import Answer, EntryAnswers
from gradcheck.settings import Settings, demands_of
from gradcheck.verdict import judge

MOST_ENTRIES: Final = 2**14
"""Of a Jacobian that is looked at entry by entry."""
MOST_INPUTS: Final = 2**10
_COTANGENTS: Final = (3, 2)
_DIRECTIONS: Final = (2, 1)
"""How many are drawn, and how many where an input or an output has MANY entries."""
MANY: Final = 2**17
_SHIFT: Final = 4_099
"""Random vectors are parts of one, so far apart: drawing it is what takes time."""
_STEP: Final = 2.0**-9
"""Of one entry, to see how large a derivative by it is."""
_DENSITY: Final = 0.8
"""At most so dense is the sum of many random terms at 0, in terms of its deviation."""
_SHARP: Final = 1 / 8
"""The part of what has to be noticed that is left to a numeric radius."""


def is_large(function: PythonFunction) -> bool:
    inputs, outputs = (
        sum(leaf.count for leaf in leaves) for leaves in (function.inputs, function.outputs)
    )
    return inputs > MOST_INPUTS or inputs * outputs > MOST_ENTRIES


class Product:
    """u · J d as torch has it, in reverse mode from u or in forward mode from d.

    What the last u or d gave is kept.
    """

    def __init__(self, function: PythonFunction, mode: str) -> None:
        self.function = function
        self.mode = mode
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, cotangent: Tensor, direction: Tensor) -> float:
        if self.mode == "backward":
            return float(self._kept(cotangent) @ direction.cpu())
        return float(cotangent.cpu() @ self._kept(direction))

    def _kept(self, key: Tensor) -> Tensor:
        if self._last is None or self._last[0] is not key:
            self._last = key, self._anew(key)
        return self._last[1]

    def _anew(self, key: Tensor) -> Tensor:
        """The gradient (n,) for a cotangent, or the tangent (m,) for a direction."""
        if self.mode == "backward":
            return self.function.graph.pullback(key)
        return forward_mode.pushforward(self.function, key)

    def spread(self, cotangent: Tensor) -> tuple[float, float]:
        """How far two passes differ, and the size of what they give."""
        first, second = self._kept(cotangent), self._anew(cotangent)
        if torch.equal(first, second):
            return 0.0, 0.0
        apart = (first - second).abs().nan_to_num(0, 0, 0).max()
        return float(apart), float(first.abs().nan_to_num(0, 0, 0).max())

    def largest(self, cotangent: Tensor, columns: slice) -> int:
        """The entry of an input by which u · f changes most; in forward mode, the first."""
        if self.mode == "forward" or columns.start == columns.stop:
            return 0
        return int(self._kept(cotangent)[columns].abs().argmax())

    def measured(self, cotangent: Tensor, direction: Tensor) -> Ball:
        """With what rounding may have done to it."""

        def again() -> Tensor:
            if self.mode == "backward":
                return self.function.tracked().pullback(cotangent) @ direction.cpu()
            return cotangent.cpu() @ forward_mode.pushforward(self.function, direction)

        return rounding.measure(rounding.repeated(again), self.function.dtype)


def judge_large(
    function: PythonFunction, settings: Settings, mode: str, notes: Sequence[str]
) -> Iterator[Fields]:
    """One verdict for each output and input. Raises what the function and torch's mode raise."""
    check = _LargeCheck(function, settings, mode, tuple(notes))
    for block in blocks(function):
        yield check.verdict(block)


@dataclass(frozen=True, slots=True)
class _Draw:
    """The random cotangents and directions of a block, and the scale of an input's entries."""

    cotangents: Sequence[Tensor]
    directions: Sequence[Tensor]
    scale: float

    @property
    def looks(self) -> list[tuple[int, int]]:
        """Which cotangent goes with which direction."""
        return [(u, u % len(self.directions)) for u in range(len(self.cotangents))]


class _LargeCheck:
    def __init__(
        self, function: PythonFunction, settings: Settings, mode: str, notes: tuple[str, ...]
    ) -> None:
        self.function = function
        self.settings = settings
        self.demands: Demands = demands_of(function, settings)
        self.notes = notes
        self.product = Product(function, mode)
        self.suffix = " (forward mode)" if mode == "forward" else ""

    @cached_property
    def _batched(self) -> Batched:
        known = self.function.known_value if self.function.dtype is torch.float64 else None
        return Batched(self.function.real, self.function.point, self.function.precision, known)

    def verdict(self, block: Block) -> Fields:
        seed = zlib.crc32(block.quantity.encode())
        draw = self._draw(block, seed)
        entry = self._entry_scale(block, draw)
        noticed = LEAST**2 * entry  # of an error as large as that entry
        if problem := self._not_deterministic(draw.cotangents[0]):
            note = (*self.notes, problem)
            return {
                "quantity": block.quantity,
                "verdict": "fail",
                "blame": "autograd",
                "notes": note,
            }
        truth = self._numeric(draw, noticed * self.demands.resolution)
        answers = {"autograd": self._torchs(draw, truth, noticed)}
        allowance = self._allowance(draw, truth)
        judgement = judge(
            truth,
            answers,
            lambda: noticed,
            self.demands.resolution,
            scale=noticed,
            allowance=allowance,
        )
        fields = conclude(
            block.quantity,
            0,
            truth,
            answers,
            judgement,
            (),
            demands=self.demands,
            label=lambda index: f"u·({block.quantity})·d, look {index[0] + 1}",
            notes=(*self.notes, self._account(block, draw, seed, judgement.resolution)),
        )
        if fields["verdict"] == "fail":
            fields |= self._located(block, draw, judgement.worst_entry, fields, entry)
        return {**fields, "quantity": block.quantity + self.suffix}

    def _not_deterministic(self, cotangent: Tensor) -> str:
        if self.product.mode != "backward":
            return ""
        apart, size = self.product.spread(cotangent)
        unit, smallest = rounding.precision_of(self.function.dtype)
        explained = UNITS * unit * size + smallest
        asked = self.settings.nondet_tol
        return backward_varies(apart) if apart > (explained if asked is None else asked) else ""

    def _draw(self, block: Block, seed: int) -> _Draw:
        point = self.function.point
        longest = max(block.output.count, block.input.count)
        cotangents, directions = (few[longest >= MANY] for few in (_COTANGENTS, _DIRECTIONS))
        count = cotangents + directions
        source = random_entries(longest + (count - 1) * _SHIFT, seed, point.device)
        parts = [source[k * _SHIFT :][:longest] for k in range(count)]
        scale = _binade(point[block.columns])
        outputs = len(self._batched.value)
        return _Draw(
            [_placed(part, block.rows, outputs) for part in parts[:cotangents]],
            [_placed(part, block.columns, len(point)) * scale for part in parts[cotangents:]],
            scale,
        )

    def _line(self, direction: Tensor, cotangents: Sequence[Tensor]) -> Line:
        batched = self._batched
        value = torch.from_numpy(batched.value).to(direction.device)
        seen = torch.stack([*cotangents]) if cotangents else value.new_zeros((0, len(value)))
        return Line(batched, self.function.point, value, direction, seen)

    def _numeric(self, draw: _Draw, noticed: float) -> Ball:
        """u · J d of each look, by an input of scale 1."""
        found: dict[tuple[int, int], Ball] = {}
        for d, direction in enumerate(draw.directions):
            seen = [u for u, with_d in draw.looks if with_d == d]
            line = self._line(direction, [draw.cotangents[u] for u in seen])
            enough = _SHARP * noticed * draw.scale
            balls = slopes_along(line, enough=enough, subgradient=self.settings.subgradient)
            found |= {(u, d): ball for u, ball in zip(seen, balls, strict=True)}
        return stacked([found[look] for look in draw.looks], 1 / draw.scale)

    def _torchs(self, draw: _Draw, truth: Ball, noticed: float) -> Ball:
        found = [self._product_of(draw, look) for look in draw.looks]
        distance = truth.distance_to(np.array(found))
        error = distance + truth.radius
        if (distance <= truth.radius).all() and (
            2 * (error + truth.radius).max() <= noticed * self.demands.resolution
        ):
            return Ball(np.array(found), error, "estimated")
        # The worst is accused by itself, if at all.
        worst = int(np.argmax(np.nan_to_num(distance - truth.radius, nan=np.inf)))
        u, d = draw.looks[worst]
        measured = self.product.measured(draw.cotangents[u], draw.directions[d])
        error[worst] = measured.radius / draw.scale
        return Ball(np.array(found), error, "estimated")

    def _product_of(self, draw: _Draw, look: tuple[int, int]) -> float:
        u, d = look
        return self.product(draw.cotangents[u], draw.directions[d]) / draw.scale

    def _allowance(self, draw: _Draw, truth: Ball) -> Array | None:
        """A caller's tolerances are of entries; along a direction only the relative one says."""
        if not self.settings.atol and not self.settings.rtol:
            return None
        return self.settings.atol + self.settings.rtol * np.abs(truth.midpoint)

    def _entry_scale(self, block: Block, draw: _Draw) -> float:
        """The size of a large entry of the block: the largest by the input that moves most."""
        largest = self.product.largest(draw.cotangents[0], block.columns)
        axis = self._line(_unit(self.function.point, block.columns, largest, draw.scale), ())
        with torch.no_grad():
            (moved,) = axis.values([_STEP])
        change = (moved - axis.value)[block.rows] / (_STEP * draw.scale)
        size = float(change.abs().max())
        if size == 0 or not math.isfinite(size):
            moves = self._moves(draw.directions[0])[block.rows] / draw.scale
            size = float(moves.nan_to_num(0, 0, 0).square().mean().sqrt())
        return size or self._natural_scale(block)

    def _moves(self, direction: Tensor) -> Tensor:
        """J d, (m,), roughly."""
        return along_roughly(self._line(direction, ()))

    def _natural_scale(self, block: Block) -> float:
        """max|A| / max(1, max|B|)."""
        output = self.function.known_value[block.rows].abs().max()
        return float(output / self.function.point[block.columns].abs().max().clamp(min=1.0)) or 1.0

    def _account(self, block: Block, draw: _Draw, seed: int, achieved: float) -> str:
        entries = block.output.count * block.input.count
        said = (
            f"looked at along {len(draw.looks)} random cotangents and {len(draw.directions)} "
            f"directions (seed {seed}), "
            f"not at {entries:,} entries"
        )
        resolution = self.demands.resolution
        if achieved > resolution:
            return said
        # An error that is spread has a normal distribution along a direction.
        chance = (_DENSITY * LEAST**2 * achieved / resolution) ** len(draw.directions)
        return (
            f"{said}: an error of {resolution:g} of the largest entry shows in each where it is in "
            f"one entry, and in none, where it is spread, with a chance below {chance:.0e}"
        )

    def _located(
        self, block: Block, draw: _Draw, look: tuple[int, ...] | None, fields: Fields, scale: float
    ) -> Fields:
        """The wrong entry, in the place of the looks, where bisection leads to one."""
        u, d = draw.looks[look[0] if look else 0]
        cotangent, direction = draw.cotangents[u], draw.directions[d]
        moves = self._moves(direction)

        def by_rows(rows: slice) -> float:
            part = torch.zeros_like(cotangent)
            part[rows] = cotangent[rows]
            return float(part @ moves) - self.product(part, direction)

        row = _bisected(block.rows, by_rows)
        unit = torch.zeros_like(cotangent)
        unit[row] = 1.0

        def by_columns(columns: slice) -> float:
            part = torch.zeros_like(direction)
            part[columns] = direction[columns]
            return float(self._moves(part)[row]) - self.product(unit, part)

        column = _bisected(block.columns, by_columns)
        axis = _unit(self.function.point, slice(0, None), column, draw.scale)
        (ball,) = slopes_along(self._line(axis, [unit]), enough=0.0)
        numeric = stacked([ball], 1 / draw.scale)
        found = self.product(unit, axis) / draw.scale
        apart = float(numeric.distance_to(np.array([found]))[0])
        if not apart > 2 * float(numeric.radius[0]):
            note = "no single entry explains it: the error is spread over many"
            return {"notes": (*fields["notes"], note)}
        entry = _entry(block, row, column)
        answers = {
            "autograd": Answer(found, 0.0),
            "numeric": Answer(float(numeric.midpoint[0]), float(numeric.radius[0])),
        }
        return {
            "entries": (EntryAnswers(block.label(entry), entry, answers), *fields["entries"]),
            "difference": apart / scale,
        }


def _entry(block: Block, row: int, column: int) -> tuple[int, ...]:
    """Where in the block a row and a column of the whole Jacobian meet."""
    output = np.unravel_index(row - block.rows.start, block.output.entries_shape)
    input = np.unravel_index(column - block.columns.start, block.input.entries_shape)
    return tuple(int(i) for i in (*output, *input))


def _bisected(entries: slice, error: Callable[[slice], float]) -> int:
    """The entry to which the larger error of two halves leads."""
    start, stop = entries.start, entries.stop
    whole = error(entries)
    while stop - start > 1:
        middle = (start + stop) // 2
        first = error(slice(start, middle))
        if abs(first) >= abs(whole - first):
            stop, whole = middle, first
        else:
            start, whole = middle, whole - first
    return int(start)


def _placed(numbers: Tensor, where: slice, count: int) -> Tensor:
    """The first of these numbers at some of so many places, 0 at the others."""
    numbers = numbers[: where.stop - where.start]
    if len(numbers) == count:
        return numbers
    result = numbers.new_zeros(count)
    result[where] = numbers
    return result


def _unit(point: Tensor, columns: slice, entry: int, scale: float) -> Tensor:
    """The direction of one entry of an input."""
    direction = torch.zeros_like(point)
    direction[columns.start + entry] = scale
    return direction


def _binade(entries: Tensor) -> float:
    """The power of two below the root mean square; 1 where that is 0."""
    size = float(entries.square().mean().sqrt()) if len(entries) else 0.0
    return 2.0 ** math.floor(math.log2(size)) if 0 < size < math.inf else 1.0
