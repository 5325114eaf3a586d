"""The truths of a case's claims at a place."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.claims import Claim, Written
from gradcheck.diagnoses import Diagnoses
from gradcheck.functions import Environment, Segment
from gradcheck.oracles import exact, numeric
from gradcheck.oracles.differences import Effort
from gradcheck.oracles.exact import DeclinedError, Enclosure, TooManyColumnsError
from gradcheck.oracles.monte_carlo import Disturbed, Noise
from gradcheck.oracles.numeric import Curve
from gradcheck.place import CPU, Place
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.verdict import Proof

JACOBIAN_BUDGET: Final = 2**20
"""The most entries that a Jacobian may have."""
VALUE_BUDGET: Final = 2**12
"""The most entries of an output or an input: each takes a pass of autograd, or many evaluations."""
SCALE: Final = -2
"""Times the cotangents that were drawn: of another sign and size."""
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
    """Answers of the exact and of the numeric oracle, each found once.

    The numeric oracle looks at derivatives of numbers by numbers together, as that costs little
    more than one.
    """

    def __init__(self, place: Place, diagnoses: Diagnoses | None = None) -> None:
        self.place = place
        self.diagnoses = diagnoses or Diagnoses()
        self._claims = place.case.claims
        self._found: dict[tuple[tuple[str, ...], Effort], Ball] = {}
        self._wrong: dict[object, str] = {}
        self._exact: dict[tuple[tuple[str, ...], bool, bool], Enclosure | DeclinedError] = {}

    def add_wrong(self, formula: Written, root: str = "") -> None:
        """Keeps in mind that a formula is wrong, by itself or by the wrong one that it uses."""
        self._wrong[formula.key] = root

    def root_of(self, formula: Written) -> str:
        """The first wrong derivative that a formula rests on, of those judged so far, by name."""
        for name, key in formula.uses.items():
            if key in self._wrong:
                return self._wrong[key] or name
        return ""

    def exact(self, claim: Claim, *, whole: bool = True, exactly: bool = False) -> Enclosure:
        """The claim's Jacobian, proven; unless `whole`, a few directions where it is large.

        At the values that the dtype holds, unless they are to be computed `exactly`.

        Raises:
            DeclinedError: The exact oracle cannot tell.
        """
        key = claim.ends, whole, exactly
        found = self._exact.get(key)
        if found is None:
            try:
                found = self._ask_exact(claim, whole, exactly)
            except DeclinedError as error:
                found = error
            self._exact[key] = found
        if isinstance(found, DeclinedError):
            raise found
        return found

    def _ask_exact(self, claim: Claim, whole: bool, exactly: bool) -> Enclosure:
        segment, scale = self.place.exact_segment(claim), self._scale(claim)
        compute = self.place.computed_exactly if exactly else None
        try:
            return exact.jacobian(segment, scale, compute)
        except TooManyColumnsError:
            if whole:
                raise
        return exact.directional(segment, scale, self._seed(claim), compute)

    def _seed(self, claim: Claim) -> int:
        return zlib.crc32(f"{self.place.case.name}:{claim.quantity}".encode())

    def _scale(self, claim: Claim) -> Callable[[], float]:
        return lambda: self.place.natural_scale(claim.output, claim.input)

    def exact_formula(self, claim: Claim, formula: Written, *, exactly: bool = False) -> Enclosure:
        """What a formula says of the claim's Jacobian, proven; see `exact`.

        Raises:
            DeclinedError: The exact oracle cannot tell.
            ShapeError: It has no shape of a derivative.
        """
        segment = self.place.exact_formula_segment(claim)
        output = tuple(self.place.value(claim.output).shape)
        compute = self.place.computed_exactly if exactly else None
        return exact.formula(formula, segment, output, self._scale(claim), exactly=compute)

    def proof(self, claim: Claim, formula: Written, truth: Enclosure, written: Enclosure) -> Proof:
        """Whether a formula is right, where it and the truth were found to be this.

        Values are those that the dtype holds, so that identities between them hold to within its
        rounding only. A formula that needs one is right if it is right where all is exact.
        """
        proof = truth.proof(written)
        if not proof.wrong.any():
            return proof
        try:
            there = self.exact(claim, whole=truth.directions is None, exactly=True)
            better = there.proof(self.exact_formula(claim, formula, exactly=True))
        except DeclinedError:
            return proof
        return proof if better.wrong.any() else better

    def is_linear(self, claim: Claim, formula: Written, written: Enclosure) -> bool:
        """Whether a line of a pass is linear in the cotangents, or tangents, that are given.

        It is looked at once more with these times -2. True where that cannot be told.
        """
        place = self.place
        seeds = [seed.name for seed in place.case.extension.seeds if seed.is_random]
        segment = place.exact_formula_segment(claim)
        held = {**segment.held, **{name: segment.held[name] * SCALE for name in seeds}}
        output = tuple(place.value(claim.output).shape)
        try:
            again = exact.formula(formula, replace(segment, held=held), output, self._scale(claim))
        except DeclinedError:
            return True
        return written.scaled(SCALE).overlaps(again)

    def ask(self, claim: Claim, effort: Effort) -> Ball:
        """The claim's Jacobian. Raises what the function raises."""
        key = (claim.ends, effort)
        if key not in self._found:
            self._found[key] = self._ask(claim, effort)
        return self._found[key]

    def function(self, claim: Claim) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """From the claim's input to its output, in float64 on the CPU, and the input's value."""
        segment = self._segment(claim)
        return _function(segment), segment.held[segment.start]

    def _ask(self, claim: Claim, effort: Effort) -> Ball:
        segment, anywhere = self._segment(claim), self.place.case.subgradient
        if not segment.is_pointwise:
            at = segment.held[segment.start]
            return numeric.jacobian(_function(segment), at, effort=effort, subgradient=anywhere)
        if effort == "quick" and claim.ends in self._side_by_side:
            return self._side_by_side[claim.ends]
        return numeric.slopes([_curve(segment)], effort=effort, subgradient=anywhere)[0]

    @cached_property
    def _held(self) -> Environment:
        return self.place.widened()

    @cached_property
    def _side_by_side(self) -> dict[tuple[str, ...], Ball]:
        """A quick look at all claims of numbers by numbers; empty where one of them raises."""
        segments = {claim.ends: self._segment(claim) for claim in self._claims}
        curves = {name: _curve(one) for name, one in segments.items() if one.is_pointwise}
        try:
            anywhere = self.place.case.subgradient
            listed = list(curves.values())
            balls = numeric.slopes(listed, effort="quick", subgradient=anywhere) if curves else []
        except Exception:
            return {}  # what raises is asked for by itself, and raises then
        return dict(zip(curves, balls, strict=True))

    def _segment(self, claim: Claim) -> Segment:
        return Segment(claim.steps, claim.input, claim.output, self._held)


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
