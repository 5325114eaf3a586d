"""A derivative whose Jacobian is too large: looked at along random directions, then bisected.

u · J d of random u and d is held against the numeric oracle's. An error in one entry of J shows in
each of them; where they differ, halves of u and then of d lead to the entry.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Ball, stacked
from gradcheck.conclusion import Fields, conclude
from gradcheck.demands import Demands
from gradcheck.function_answers import Block, backward_varies
from gradcheck.oracles.batched import Batched
from gradcheck.oracles.directional import (
    LEAST,
    Line,
    along_roughly,
    random_entries,
    slopes_along,
)
from gradcheck.products import Product, Pullback
from gradcheck.results import Answer, EntryAnswers
from gradcheck.verdict import Waiver, judge

MOST_ENTRIES: Final = 2**14
"""Of a Jacobian that is looked at entry by entry."""
MOST_INPUTS: Final = 2**10
_COTANGENTS: Final = (3, 1)
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


def is_large(outputs: int, inputs: int) -> bool:
    """Whether a Jacobian of so many entries is too large to look at each."""
    return inputs > MOST_INPUTS or inputs * outputs > MOST_ENTRIES


Others = Callable[[Callable[[Pullback], Ball]], dict[str, Ball]]
"""Who else answers, by name, what is asked of a backward."""


def no_others(ask: Callable[[Pullback], Ball]) -> dict[str, Ball]:
    return {}


@dataclass(frozen=True, slots=True, eq=False)
class Large:
    """A block of the Jacobian of a function R^n → R^m at a point, and who answers for it.

    The `waiver` says what the caller accepts beside all error bounds, and `accepted_spread` how far
    two backward passes may differ that give so much; None where that is not asked. `source` is the
    truth's name, where that is not the function's own derivative, and `others` are for the reader.
    """

    block: Block
    function: Batched
    point: Tensor
    answers: Mapping[str, Product]
    demands: Demands
    subgradient: bool = False
    waiver: Waiver | None = None
    accepted_spread: Callable[[float], float] | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    line: int = 0
    formula: str = ""
    others: Others = no_others


def judge_large(large: Large) -> Fields:
    """The verdict on all who answer. Raises what the function and those raise."""
    return _LargeCheck(large).fields()


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
    def __init__(self, large: Large) -> None:
        self.large = large
        self.block = large.block
        self.seed = zlib.crc32(large.block.quantity.encode())
        self.draw = self._drawn()

    def fields(self) -> Fields:
        for name, product in self.large.answers.items():
            if problem := self._pass_varies(product):
                told = {"verdict": "fail", "blame": name, "notes": (problem,)}
                return {"quantity": self.block.quantity, **told}
        large, entry = self.large, self._entry_scale()
        noticed = LEAST**2 * entry  # of an error as large as that entry
        truth = self._truth(noticed * large.demands.resolution)
        answers = {
            name: self._answer(product, truth, noticed) for name, product in large.answers.items()
        }
        judgement = judge(
            truth,
            answers,
            lambda: noticed,
            large.demands.resolution,
            scale=noticed,
            waiver=large.waiver,
        )
        fields = conclude(
            self.block.quantity,
            large.line,
            truth,
            answers,
            judgement,
            (),
            demands=large.demands,
            label=lambda index: f"u·({self.block.quantity})·d, look {index[0] + 1}",
            formula=large.formula,
            notes=(*large.notes, self._account(judgement.resolution)),
            others=large.others(self._looked) if judgement.verdict != "pass" else {},
            source=large.source,
        )
        if fields["verdict"] == "fail" and judgement.worst_entry and judgement.blame:
            fields |= self._located(judgement.blame[0], judgement.worst_entry[0], fields, entry)
        return fields

    def _looked(self, product: Pullback) -> Ball:
        """Each look, as that has it."""
        draw = self.draw
        pairs = [(draw.cotangents[u], draw.directions[d]) for u, d in draw.looks]
        return stacked([product.measured(*pair) for pair in pairs], 1 / draw.scale)

    def _pass_varies(self, product: Product) -> str:
        """What is wrong with the backward if two passes differ; empty where they do not."""
        accepted = self.large.accepted_spread
        if accepted is None or not isinstance(product, Pullback):
            return ""
        spread, size = product.spread(self.draw.cotangents[0])
        return backward_varies(spread) if spread > accepted(size) else ""

    def _drawn(self) -> _Draw:
        point, block = self.large.point, self.block
        longest = max(block.output.count, block.input.count)
        cotangents, directions = (few[longest >= MANY] for few in (_COTANGENTS, _DIRECTIONS))
        count = cotangents + directions
        source = random_entries(longest + (count - 1) * _SHIFT, self.seed, point.device)
        if any(product.dtype is not torch.float64 for product in self.large.answers.values()):
            source = (64 * source).round() / 64  # which every dtype holds
        parts = [source[k * _SHIFT :][:longest] for k in range(count)]
        scale = _scale(point[block.columns])
        outputs = self.large.function.outputs
        return _Draw(
            [_placed(part, block.rows, outputs) for part in parts[:cotangents]],
            [_placed(part, block.columns, len(point)) * scale for part in parts[cotangents:]],
            scale,
        )

    def _line(self, direction: Tensor, cotangents: Sequence[Tensor]) -> Line:
        function = self.large.function
        value = torch.from_numpy(function.value).to(direction.device)
        seen = torch.stack([*cotangents]) if cotangents else value.new_zeros((0, len(value)))
        return Line(function, self.large.point, value, direction, seen)

    def _truth(self, noticed: float) -> Ball:
        """u · J d of each look, by an input of scale 1."""
        draw = self.draw
        found: dict[tuple[int, int], Ball] = {}
        for d, direction in enumerate(draw.directions):
            seen = [u for u, with_d in draw.looks if with_d == d]
            line = self._line(direction, [draw.cotangents[u] for u in seen])
            enough = _SHARP * noticed * draw.scale
            balls = slopes_along(line, enough=enough, subgradient=self.large.subgradient)
            found |= {(u, d): ball for u, ball in zip(seen, balls, strict=True)}
        return stacked([found[look] for look in draw.looks], 1 / draw.scale)

    def _answer(self, product: Product, truth: Ball, noticed: float) -> Ball:
        draw = self.draw
        pairs = [(draw.cotangents[u], draw.directions[d]) for u, d in draw.looks]
        found = np.array([product(u, d) for u, d in pairs]) / draw.scale
        distance = truth.distance_to(found)
        error = distance + truth.radius
        is_sharp = 2 * (error + truth.radius).max() <= noticed * self.large.demands.resolution
        if not is_sharp or not (distance <= truth.radius).all():
            # The worst is accused by itself, if at all.
            worst = int(np.argmax(np.nan_to_num(distance - truth.radius, nan=np.inf)))
            radius = float(product.measured(*pairs[worst]).radius) / draw.scale
            # What rounding explains, and is below what has to be noticed, is no more than it is.
            if not is_sharp or distance[worst] > radius + truth.radius[worst]:
                error[worst] = radius
        return Ball(found, error, "estimated")

    def _entry_scale(self) -> float:
        """The size of a large entry of the block: the largest by the input that moves most."""
        block, scale = self.block, self.draw.scale
        axis = self._line(_unit(self.large.point, block.columns, self._most_moving(), scale), ())
        with torch.no_grad():
            (moved,) = axis.values([_STEP])
        size = float(((moved - axis.value)[block.rows] / (_STEP * scale)).abs().max())
        if size == 0 or not math.isfinite(size):
            moves = self._moves(self.draw.directions[0])[block.rows] / scale
            size = float(moves.nan_to_num(0, 0, 0).square().mean().sqrt())
        return size or self._natural_scale()

    def _most_moving(self) -> int:
        """The entry of the input by which u · f changes most, where a gradient tells."""
        answers = self.large.answers.values()
        product = next((one for one in answers if isinstance(one, Pullback)), None)
        if product is None:
            return 0
        return int(product.gradient(self.draw.cotangents[0])[self.block.columns].abs().argmax())

    def _moves(self, direction: Tensor) -> Tensor:
        """J d, (m,), roughly."""
        return along_roughly(self._line(direction, ()))

    def _natural_scale(self) -> float:
        """max|A| / max(1, max|B|)."""
        output = np.abs(self.large.function.value[self.block.rows]).max()
        input = float(self.large.point[self.block.columns].abs().max())
        return float(output) / max(1.0, input) or 1.0

    def _account(self, achieved: float) -> str:
        draw, resolution = self.draw, self.large.demands.resolution
        entries = self.block.output.count * self.block.input.count
        said = (
            f"looked at along {len(draw.looks)} random cotangents and {len(draw.directions)} "
            f"directions (seed {self.seed}), not at {entries:,} entries"
        )
        if achieved > resolution:
            return said
        # An error that is spread has a normal distribution along a direction.
        chance = (_DENSITY * LEAST**2 * achieved / resolution) ** len(draw.directions)
        return (
            f"{said}: an error of {resolution:g} of the largest entry shows where it is in one "
            f"entry; where it is spread over many, it hides with a chance below {chance:.0e}"
        )

    def _located(self, wrong: str, look: int, fields: Fields, scale: float) -> Fields:
        """The wrong entry, in the place of the looks, where bisection leads to one."""
        draw, block, product = self.draw, self.block, self.large.answers[wrong]
        u, d = draw.looks[look]
        cotangent, direction = draw.cotangents[u], draw.directions[d]
        moves = self._moves(direction)

        def by_rows(rows: slice) -> float:
            part = torch.zeros_like(cotangent)
            part[rows] = cotangent[rows]
            return float(part @ moves) - product(part, direction)

        row = _bisected(block.rows, by_rows)
        unit = torch.zeros_like(cotangent)
        unit[row] = 1.0

        def by_columns(columns: slice) -> float:
            part = torch.zeros_like(direction)
            part[columns] = direction[columns]
            return float(self._moves(part)[row]) - product(unit, part)

        column = _bisected(block.columns, by_columns)
        axis = _unit(self.large.point, slice(0, None), column, draw.scale)
        (ball,) = slopes_along(self._line(axis, [unit]), enough=0.0)
        numeric = stacked([ball], 1 / draw.scale)
        answers = {
            name: product(unit, axis) / draw.scale for name, product in self.large.answers.items()
        }
        apart = float(numeric.distance_to(np.array([answers[wrong]]))[0])
        if not apart > 2 * float(numeric.radius[0]):
            note = "no single entry explains it: the error is spread over many"
            return {"notes": (*fields["notes"], note)}
        entry = _entry(block, row, column)
        others = self.large.others(lambda one: one.measured(unit, axis))
        said = {
            **{name: Answer(value, 0.0) for name, value in answers.items()},
            **{
                name: Answer(float(ball.midpoint) / draw.scale, 0.0)
                for name, ball in others.items()
                if name in fields["entries"][0].answers
            },
            fields["truth"]: Answer(float(numeric.midpoint[0]), float(numeric.radius[0])),
        }
        return {
            "entries": (EntryAnswers(block.label(entry), entry, said), *fields["entries"]),
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


def _scale(entries: Tensor) -> float:
    """The power of two nearest to half the root mean square; 1 where that is 0."""
    size = float(entries.square().mean().sqrt()) / 2 if len(entries) else 0.0
    return 2.0 ** round(math.log2(size)) if 0 < size < math.inf else 1.0
