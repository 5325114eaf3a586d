"""Gradients for random cotangents, entry by entry, against a reference's in float64.

In a narrow dtype the rounding of many entries hides an error in one of them along a direction, but
not in a gradient, each entry of which is rounded by itself. That the reference's gradient is its
derivative is seen along directions, by numeric differentiation.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.conclusion import Fields, conclude
from gradcheck.demands import Demands
from gradcheck.function_answers import Block
from gradcheck.large_check import MANY, Large, Others, judge_large, no_others
from gradcheck.oracles import rounding
from gradcheck.oracles.batched import Batched
from gradcheck.oracles.directional import random_entries
from gradcheck.products import Pullback
from gradcheck.reference import NAME, Reference
from gradcheck.verdict import Waiver, judge

_COTANGENTS: Final = (3, 1)
"""How many are drawn, and how many where there are MANY outputs."""
_UNITS: Final = 2.0**10
"""Units of float64, of its largest entry, that the reference's gradient may be off by."""


@dataclass(eq=False)
class Gradients:
    """A block of a function's Jacobian, the reference, and the passes that answer for it."""

    block: Block
    reference: Reference
    answers: Mapping[str, Pullback]
    demands: Demands
    waiver: Waiver | None = None
    notes: tuple[str, ...] = ()
    others: Others = no_others

    def judge(self) -> Fields:
        """The verdict on all who answer. Raises what the functions raise."""
        own = self._on_the_reference()
        if own["verdict"] != "pass":
            note = "the reference's gradient is not known to be its derivative"
            return {**own, "verdict": "inconclusive", "blame": "", "notes": (note, *own["notes"])}
        truth = self._stacked(self._truths)
        answers = {name: self._answer(product, truth) for name, product in self.answers.items()}
        judgement = judge(truth, answers, lambda: 1.0, self.demands.resolution, waiver=self.waiver)
        return conclude(
            self.block.quantity,
            0,
            truth,
            answers,
            judgement,
            (),
            demands=self.demands,
            label=self._label,
            notes=(*self.notes, self._account()),
            others=self.others(self._gradients) if judgement.verdict != "pass" else {},
            source=NAME,
        )

    def _on_the_reference(self) -> Fields:
        true = self.reference.function
        batched = Batched(true.real, true.point, true.precision, true.known_real)
        demands = Demands("float64", max(self.demands.resolution / 64, 1e-6))
        answers = {"autograd": self._pullback}
        return judge_large(Large(self.block, batched, true.point, answers, demands))

    @cached_property
    def _pullback(self) -> Pullback:
        return Pullback.of(self.reference.function)

    @cached_property
    def _cotangents(self) -> list[Tensor]:
        """Of all outputs, 0 but for the block's; every dtype has their entries."""
        function, rows = self.reference.function, self.block.rows
        total = sum(leaf.count for leaf in function.outputs)
        found = []
        for number in range(_COTANGENTS[self.block.output.count >= MANY]):
            seed = zlib.crc32(f"{self.block.quantity}:{number}".encode())
            drawn = random_entries(self.block.output.count, seed, function.device)
            cotangent = torch.zeros(total, dtype=torch.float64, device=function.device)
            cotangent[rows] = (64 * drawn).round() / 64
            found.append(cotangent)
        return found

    @property
    def _truths(self) -> list[Ball]:
        balls = []
        for cotangent in self._cotangents:
            found = self._part(self._pullback.gradient(cotangent))
            size = float(np.abs(found).max(initial=0.0))
            radius = np.full(found.shape, _UNITS * np.finfo(np.float64).eps * size)
            balls.append(Ball(found, radius, "estimated"))
        return balls

    def _part(self, gradient: Tensor) -> Array:
        return rounding.to_array(gradient)[self.block.columns]

    @staticmethod
    def _stacked(balls: list[Ball]) -> Ball:
        return Ball(
            np.stack([ball.midpoint for ball in balls]),
            np.stack([ball.radius for ball in balls]),
            "estimated",
        )

    def _answer(self, product: Pullback, truth: Ball) -> Ball:
        """With its error: the distance to the truth, where that is small, else what is measured."""
        found = np.stack([self._part(product.gradient(u)) for u in self._cotangents])
        apart = truth.distance_to(found)
        scale = truth.largest() or 1.0
        if (apart + 2 * truth.radius <= self.demands.resolution * scale / 2).all():
            return Ball(found, apart + truth.radius, "estimated")
        return self._stacked([self._measured(product, u) for u in self._cotangents])

    def _measured(self, product: Pullback, cotangent: Tensor) -> Ball:
        """Rounding of the pass, or of the reference's where that is more."""
        own = product.measured_gradient(cotangent)
        narrow = Pullback.of(self.reference.narrow).measured_gradient(cotangent)
        radius = np.maximum(own.radius, narrow.radius)[self.block.columns]
        return Ball(own.midpoint[self.block.columns], radius, "estimated")

    def _gradients(self, product: Pullback) -> Ball:
        found = [product.measured_gradient(u) for u in self._cotangents]
        columns = self.block.columns
        return self._stacked(
            [Ball(one.midpoint[columns], one.radius[columns], "estimated") for one in found]
        )

    def _label(self, index: tuple[int, ...]) -> str:
        number, flat = index
        shape = self.block.input.entries_shape
        place = tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()
        return f"(u·{self.block.quantity}){list(place)}, look {number + 1}"

    def _account(self) -> str:
        count = len(self._cotangents)
        return (
            f"gradients for {count} random cotangent{'s'[: count != 1]} were compared entry by "
            "entry with the reference's in float64"
        )
