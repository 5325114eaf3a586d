"""The truths of a case's claims at a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.claims import Claim
from gradcheck.functions import Segment
from gradcheck.oracles import numeric
from gradcheck.oracles.differences import Effort
from gradcheck.oracles.monte_carlo import Disturbed, Noise
from gradcheck.oracles.numeric import Curve
from gradcheck.place import CPU, Place
from gradcheck.torch_meaning import TorchMeaning

JACOBIAN_BUDGET: Final = 2**20
"""The most entries that a Jacobian may have."""
VALUE_BUDGET: Final = 2**12
"""The most entries of an output or an input: each takes a pass of autograd, or many evaluations."""
EFFORTS: Final[tuple[Effort, ...]] = ("quick", "full")
"""Full effort is for what a quick look does not settle."""


def too_large(output: int, input: int) -> str:
    """Why a Jacobian of so many entries is not looked at; empty where it is."""
    if output * input > JACOBIAN_BUDGET:
        return f"the Jacobian has {output * input:,} entries, more than {JACOBIAN_BUDGET:,}"
    for name, entries in (("output", output), ("input", input)):
        if entries > VALUE_BUDGET:
            return f"the {name} has {entries:,} entries, more than {VALUE_BUDGET:,}"
    return ""


class Truths:
    """Answers of the numeric oracle, each found once.

    Derivatives of numbers by numbers are looked at together, as that costs little more than one.
    """

    def __init__(self, place: Place) -> None:
        self._case = place.case
        self._held = place.widened()
        self._found: dict[tuple[str, Effort], Ball] = {}
        self._looked = False

    def ask(self, claim: Claim, effort: Effort) -> Ball:
        """The claim's Jacobian. Raises what the function raises."""
        key = claim.quantity, effort
        if key not in self._found:
            segment = self._segment(claim)
            if segment.is_pointwise:
                self._found |= self._slopes(claim, effort)
            else:
                at = segment.held[segment.start]
                self._found[key] = numeric.jacobian(_function(segment), at, effort=effort)
        return self._found[key]

    def _segment(self, claim: Claim) -> Segment:
        return Segment(claim.steps, claim.input, claim.output, self._held)

    def _slopes(self, claim: Claim, effort: Effort) -> dict[tuple[str, Effort], Ball]:
        """The derivative that is asked for and, at the first quick look, all others like it."""
        if effort == "quick" and not self._looked:
            self._looked = True
            try:
                return self._together([claim, *self._case.claims], effort)
            except Exception:
                pass  # what raises is asked for by itself, and raises then
        return self._together([claim], effort)

    def _together(self, claims: Sequence[Claim], effort: Effort) -> dict[tuple[str, Effort], Ball]:
        segments = {claim.quantity: self._segment(claim) for claim in claims}
        curves = {name: _curve(one) for name, one in segments.items() if one.is_pointwise}
        balls = numeric.slopes(list(curves.values()), effort=effort)
        return {(name, effort): ball for name, ball in zip(curves, balls, strict=True)}


def _function(segment: Segment) -> Callable[[Tensor], Tensor]:
    """The segment in float64; what `detach` yields at the point is a constant around it too."""
    constants: list[Tensor] | None = None

    def function(value: Tensor) -> Tensor:
        nonlocal constants
        meaning = TorchMeaning(torch.float64, CPU, constants)
        result: Tensor = segment.value(value, meaning)
        if constants is None:  # this is the first call, at the point itself
            constants = meaning.detached
        return result

    return function


def _curve(segment: Segment) -> Curve:
    """A pointwise segment in float64, around the value of its start."""
    at = segment.held[segment.start]
    constants: list[Tensor] | None = None

    def value(points: Tensor) -> Tensor:
        nonlocal constants
        meaning = TorchMeaning(torch.float64, CPU, constants)
        result: Tensor = segment.value(points, meaning)
        if constants is None:  # this is the first call, and the first value is the point itself
            constants = [one.reshape(-1)[0] for one in meaning.detached]
            if constants:
                return value(points)
        return result.to(torch.float64).expand(points.shape)

    def disturb(count: int, noise: Noise) -> Tensor:
        result: Tensor = segment.value(
            at.expand(count), Disturbed(noise, count, torch.float64, CPU)
        )
        return result.expand(count)

    return Curve(at.item(), value, disturb)
