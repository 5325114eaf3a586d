"""Second derivatives: Hessians, mixed ones, and their products with a vector, at a place.

Differences of differences leave too few digits to accuse anybody: what the exact oracle cannot tell
is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.answers import FEW
from gradcheck.ball import Ball
from gradcheck.claims import Written
from gradcheck.conclusion import Fields, conclude
from gradcheck.diagnoses import Diagnoses
from gradcheck.entries import indexed
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.functions import Segment
from gradcheck.jacobians import Shape, as_jacobian
from gradcheck.oracles import exact, rounding
from gradcheck.oracles.exact import DeclinedError, Exactly
from gradcheck.place import CPU, Place
from gradcheck.published import expected_at, judge_published
from gradcheck.rigorous.rounded import LOSSES
from gradcheck.second_claim import SecondClaim
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.verdict import Proof, judge

_UNTOLD: Final = "the exact oracle cannot tell"
_LOSSY: Final = frozenset({"lgamma", "digamma", "polygamma"})
_LOSS: Final = float(LOSSES["polygamma"][1])
"""Of the largest entry: what torch's polygamma is off by, from which they are made."""


def judge_second(place: Place, claim: SecondClaim, diagnoses: Diagnoses) -> Iterator[Fields]:
    """One verdict for each way in which it was written, or on autograd's alone."""
    check = SecondCheck(place, claim)
    for formula in claim.formulas or (None,):
        for fields in check.verdicts(formula):
            if formula is not None and fields.get("blame") == "handwritten":
                fields = diagnoses.told(fields, place, claim, formula)
            yield fields


class SecondCheck:
    """One second derivative at one place; see `ClaimCheck`."""

    def __init__(self, place: Place, claim: SecondClaim) -> None:
        self.place = place
        self.claim = claim
        of = claim.of
        self.output = tuple(place.value(of.output).shape)
        first, second = (tuple(place.value(name).shape) for name in (of.first, of.second))
        self.input: Shape = first if of.vector else first + second
        if of.vector and tuple(place.value(of.vector).shape) != second:
            found = list(place.value(of.vector).shape)
            raise EvaluationError(
                f"`{of.vector}` has shape {found}, but it is multiplied by derivatives by "
                f"`{of.second}`, which has shape {list(second)}"
            )

    def verdicts(self, formula: Written | None) -> Iterator[Fields]:
        """The verdict on one way in which it was written, or on autograd's alone."""
        if self.place.is_complex:
            note = "second derivatives by complex values are not looked at: leave the dtype out"
            yield self._told(formula, verdict="inconclusive", notes=(note,))
        else:
            yield self._verdict(formula)

    def _verdict(self, formula: Written | None) -> Fields:
        place, claim = self.place, self.claim
        try:
            found = None if formula is None else self._written(formula)
        except (EvaluationError, ShapeError) as error:
            has = "no value: " if isinstance(error, EvaluationError) else ""
            note = f"the formula has {has}{error}"
            return self._told(formula, verdict="fail", blame="handwritten", notes=(note,))
        try:
            gradient = self._autograd
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            note = f"autograd: {line}"
            return self._told(formula, verdict="error", blame="autograd", notes=(note,))
        try:
            enclosure = self._exact
        except DeclinedError as reason:
            note = f"{_UNTOLD}: {reason}; second derivatives are not differentiated numerically"
            return self._told(formula, verdict="inconclusive", notes=(note,))
        truth, proof, notes = enclosure.ball(), None, []
        answers: dict[str, Ball] = {}
        if formula is not None and found is not None:
            answers["handwritten"] = self._ball(truth, found, lambda: self._written(formula))
            try:
                proof = self._proof(formula)
            except DeclinedError as reason:
                notes.append(f"the formula is not known exactly: {reason}")
        answers["autograd"] = self._ball(truth, gradient, self.hessian)
        required = place.case.required_resolution(place.dtype)
        judgement = judge(
            truth, answers, self._scale, required, proof=proof, waiver=self.place.waiver
        )
        computed = answers.get("handwritten", answers["autograd"])
        published = [
            judge_published(one, place, self._shaped, truth, computed, judgement.scale)
            for one in expected_at(place, claim.quantity)
        ]
        return conclude(
            claim.quantity,
            formula.line if formula else claim.line,
            truth,
            answers,
            judgement,
            published,
            demands=place.demands,
            label=self._label,
            formula=formula.text if formula else "",
            notes=notes,
        )

    def is_right(self, formula: Written) -> bool:
        """Whether a formula is right, by proof; see `ClaimCheck.is_right`."""
        return not self._proof(formula).wrong.any()

    def exactly(self, formula: Written) -> exact.Enclosure:
        """What a formula says where all values are exact; see `ClaimCheck.exactly`."""
        return self._formula(formula, self.place.computed_exactly)

    def _proof(self, formula: Written) -> Proof:
        proof = self._exact.proof(self._formula(formula))
        if not proof.wrong.any():
            return proof
        return self._exactly(formula) or proof

    def _told(self, formula: Written | None, **fields: object) -> Fields:
        return {
            "quantity": self.claim.quantity,
            "line": formula.line if formula else self.claim.line,
            "formula": formula.text if formula else "",
            **fields,
        }

    def _segment(self, held: Any) -> Segment:
        of = self.claim.of
        return Segment(self.claim.steps, of.first, of.output, held)

    @cached_property
    def _exact(self) -> exact.Enclosure:
        of = self.claim.of
        segment = self._segment(self.place.exact_environment)
        return exact.second_derivative(segment, of.second, of.vector, self._scale)

    def _formula(self, formula: Written, exactly: Exactly | None = None) -> exact.Enclosure:
        segment = self._segment(self.place.exact_environment)
        segment = replace(segment, steps=self.claim.formula_steps)
        return exact.formula(formula, segment, self.output, self._scale, self.input, exactly)

    def _exactly(self, formula: Written) -> Proof | None:
        """The proof that it is right if all values are exact; see `Truths.proof`."""
        of, exactly = self.claim.of, self.place.computed_exactly
        segment = self._segment(self.place.exact_environment)
        try:
            there = exact.second_derivative(segment, of.second, of.vector, self._scale, exactly)
            proof = there.proof(self.exactly(formula))
        except DeclinedError:
            return None
        return None if proof.wrong.any() else proof

    def _written(self, formula: Written) -> Tensor:
        place = self.place
        scope, meaning = dict(place.environment), place.meaning()
        value: Tensor = formula.jacobian(scope, self.output, self.input, meaning)
        return value if value.is_floating_point() else value.to(meaning.dtype)

    @cached_property
    def _autograd(self) -> Tensor:
        return self.hessian()

    def hessian(self) -> Tensor:
        """The second derivative by torch's reverse mode over reverse mode."""
        of, place = self.claim.of, self.place
        first = place.value(of.first).detach().clone().requires_grad_()
        second = first
        if of.second != of.first:
            second = place.value(of.second).detach().clone().requires_grad_()
        vector = place.value(of.vector).detach().reshape(-1) if of.vector else None
        with torch.enable_grad():
            segment = self._segment({**place.environment, of.second: second})
            output = segment.value(first, place.meaning())
            rows = []
            for entry in output.reshape(-1).unbind():
                (slope,) = _gradient(entry, second, create_graph=True)
                entries = slope.reshape(-1)
                chosen = entries.unbind() if vector is None else [entries @ vector]
                by = [_gradient(one, first)[0].reshape(-1) for one in chosen]
                rows.append(torch.stack(by, dim=1) if by else first.new_empty((first.numel(), 0)))
        whole = torch.stack(rows) if rows else first.new_empty((0, first.numel(), 1))
        return whole.detach().reshape((*self.output, *self.input))

    def _ball(self, truth: Ball, found: Tensor, again: Callable[[], Tensor]) -> Ball:
        """An answer with its error: a few units from the truth, or what rounding is seen to do.

        What some words of torch's are off by in themselves no noise shows.
        """
        answer = rounding.to_array(found)
        unit, smallest = rounding.precision_of(found.dtype)
        distance = truth.distance_to(answer)
        if (distance < FEW * (unit * np.abs(answer) + smallest)).all():
            return Ball(answer, distance + truth.radius, "proven")
        measured = rounding.measure(rounding.repeated(again, found), found.dtype)
        if not self._is_lossy:
            return measured
        return replace(measured, radius=measured.radius + _LOSS * np.abs(answer).max(initial=0.0))

    @cached_property
    def _is_lossy(self) -> bool:
        """Whether the function has a word of which torch's derivatives are worse than rounding."""
        return any(_LOSSY & step.words for step in self.claim.steps)

    def _scale(self) -> float:
        of, size = self.claim.of, self.place.size
        return size(of.output) / (max(1.0, size(of.first)) * max(1.0, size(of.second)))

    def _shaped(self, value: Any) -> Tensor:
        meaning = TorchMeaning(torch.float64, CPU)
        jacobian: Tensor = as_jacobian(value, self.output, self.input, meaning)
        return jacobian

    def _label(self, index: tuple[int, ...]) -> str:
        """`d2f[0]/dx[1] dy[2]`."""
        of = self.claim.of
        dimensions = [len(self.place.value(name).shape) for name in (of.output, of.first)]
        output, first = index[: dimensions[0]], index[dimensions[0] : sum(dimensions)]
        second = index[sum(dimensions) :]
        product = f" @ {of.vector}" if of.vector else ""
        over = f"{indexed(f'd2{of.output}', output)}/{indexed(f'd{of.first}', first)}"
        return f"{over} {indexed(f'd{of.second}', second)}{product}"


def _gradient(entry: Tensor, by: Tensor, *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradient of a number, zero where there is no path; the graph is kept."""
    if not entry.requires_grad:
        return (torch.zeros_like(by),)
    found = torch.autograd.grad(
        entry, by, create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return tuple(torch.zeros_like(by) if one is None else one for one in found)
