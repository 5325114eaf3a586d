"""A claim at a place: every oracle is asked, and the answers are held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.advice import advice
from gradcheck.ball import Ball
from gradcheck.casefile.case import Expectation
from gradcheck.claims import Claim, Written, as_jacobian
from gradcheck.entries import SHOWN, claim_label, indexed, worst_entries
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.functions import Segment
from gradcheck.oracles import autograd, handwritten, numeric, rounding
from gradcheck.oracles.differences import Effort
from gradcheck.place import CPU, Place
from gradcheck.published import Published, applies, filled, judge_published
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.verdict import Judgement, Verdict, judge, worst_of

JACOBIAN_BUDGET: Final = 2**20
"""The most entries that a Jacobian may have."""
VALUE_BUDGET: Final = 2**12
"""The most entries of an output or an input: each takes a pass of autograd, or many evaluations."""
EFFORTS: Final[tuple[Effort, ...]] = ("quick", "full")
WORST_FIRST: Final[tuple[Verdict, ...]] = ("fail", "inconclusive", "pass")

Fields = dict[str, Any]
"""What a `Result` says beyond where it is."""


def judge_claim(place: Place, claim: Claim) -> Iterator[Fields]:
    """One verdict for each way in which the claim's derivative was written."""
    if problem := _too_large(place.value(claim.output).numel(), place.value(claim.input).numel()):
        yield _fields(claim, None, verdict="inconclusive", notes=(problem,))
        return
    check = _Check(place, claim)
    try:
        check.ask_autograd()
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield _fields(claim, None, verdict="error", blame="autograd", notes=(f"autograd: {line}",))
        return
    for formula in claim.formulas or (None,):
        yield check.judge(formula)


def _too_large(output: int, input: int) -> str:
    if output * input > JACOBIAN_BUDGET:
        return f"the Jacobian has {output * input:,} entries, more than {JACOBIAN_BUDGET:,}"
    for name, entries in (("output", output), ("input", input)):
        if entries > VALUE_BUDGET:
            return f"the {name} has {entries:,} entries, more than {VALUE_BUDGET:,}"
    return ""


def judge_value(place: Place, expectation: Expectation) -> Iterator[Fields]:
    """The verdict on a published value of the function itself; a link's belongs to its claim."""
    if not applies(expectation, place.case, place.dtype) or "/" in expectation.quantity:
        return
    name = expectation.quantity
    truth = _value_ball(place, name)
    scale = truth.largest() or 1.0
    published = judge_published(
        expectation, place, lambda value: filled(value, truth.shape), truth, truth, scale
    )
    fields: Fields = {
        "quantity": name,
        "line": expectation.line,
        "verdict": published.verdict,
        "blame": "expected" if published.verdict == "fail" else "",
        "truth": "numeric",
        "basis": truth.basis,
        "resolution": 2 * float(np.max(truth.radius, initial=0.0)) / scale,
        "required": place.case.required_resolution(place.dtype),
        "notes": (published.note,) if published.note else (),
    }
    if published.ball is not None:
        balls = {"expected": published.ball, "numeric": truth}
        count = 1 if published.verdict == "pass" else SHOWN
        worst = worst_of(truth, published.ball)
        fields["difference"] = truth.farthest(published.ball) / scale
        fields["entries"] = worst_entries(
            lambda index: indexed(name, index), worst, balls, "numeric", count
        )
    yield fields


def _value_ball(place: Place, name: str) -> Ball:
    """A value of the function, as the check's dtype has it; a mask is 1 where it is true."""
    function = place.case.function
    given = {name: place.environment[name] for name in (*place.case.sizes, *function.given)}
    dtype = place.meaning().dtype
    return rounding.measure(
        lambda: function.run(given, place.meaning())[name].to(dtype), place.value(name).to(dtype)
    )


class _Check:
    """One claim at one place; what several formulas share is computed once."""

    def __init__(self, place: Place, claim: Claim) -> None:
        self.place = place
        self.claim = claim
        self.value = place.value(claim.input)
        self.output = place.value(claim.output)
        self.required = place.case.required_resolution(place.dtype)
        self.truths: dict[Effort, Ball] = {}

    def ask_autograd(self) -> None:
        segment = self.place.segment(self.claim)

        def evaluate() -> Tensor:
            return autograd.jacobian(segment, self.value, self.place.meaning())

        self.autograd = rounding.measure(evaluate, evaluate())

    def ask_handwritten(self, formula: Written) -> Ball:
        """The formula's ball.

        Raises:
            EvaluationError, ShapeError: The formula has no value, or no derivative's shape.
        """
        segment = self.place.formula_segment(self.claim)

        def evaluate() -> Tensor:
            meaning = self.place.meaning()
            return handwritten.jacobian(self.claim, formula, segment, self.value, meaning)

        return rounding.measure(evaluate, evaluate())

    def ask_numeric(self, effort: Effort) -> Ball:
        """The truth; asked with full effort only where a quick look does not settle the claim."""
        if effort not in self.truths:
            segment = self.place.true_segment(self.claim)
            self.truths[effort] = _numeric(segment, effort)
        return self.truths[effort]

    def judge(self, formula: Written | None) -> Fields:
        answers = {"autograd": self.autograd}
        if formula is not None:
            try:
                answers = {"handwritten": self.ask_handwritten(formula), **answers}
            except (EvaluationError, ShapeError) as error:
                return self._unusable(formula, error)
        for effort in EFFORTS:
            truth = self.ask_numeric(effort)
            judgement = self._judged(truth, answers)
            published = self._published(truth, answers, judgement)
            if {judgement.verdict, *(one.verdict for one in published)} == {"pass"}:
                break
        return self._fields(formula, truth, answers, judgement, published)

    def _judged(self, truth: Ball, answers: Mapping[str, Ball]) -> Judgement:
        judgement = judge(truth, answers, self._fallback_scale(), self.required)
        if judgement.verdict != "inconclusive":
            return judgement
        # Perhaps it is a minimum, which the dtype misses by a rounding of the input.
        negligible = self._input_rounding()
        return judge(truth, answers, self._fallback_scale(), self.required, negligible)

    def _input_rounding(self) -> float:
        """How far the largest entry of the derivative moves with the input's last digit."""
        limits = torch.full_like(self.value, torch.inf)
        moved = [torch.nextafter(self.value, limit) for limit in (limits, -limits)]
        segment = self.place.segment(self.claim)
        found = [autograd.jacobian(segment, value, self.place.meaning()) for value in moved]
        moves = np.abs(np.stack([rounding.to_array(one) for one in found]) - self.autograd.midpoint)
        # Where a side is not finite it tells nothing: an edge makes no derivative zero.
        return float(np.max(moves, initial=0.0, where=np.isfinite(moves)))

    def _unusable(self, formula: Written, error: EvaluationError | ShapeError) -> Fields:
        has = "no value" if isinstance(error, EvaluationError) else ""
        note = f"the formula has {has}: {error}" if has else f"the formula has {error}"
        return _fields(
            self.claim, formula, verdict="fail", blame="handwritten", truth="numeric", notes=(note,)
        )

    def _fallback_scale(self) -> float:
        """max|A| / max(1, max|B|), the size of dA/dB where nothing else tells it."""
        return _largest(self.output) / max(1.0, _largest(self.value))

    def _published(
        self, truth: Ball, answers: Mapping[str, Ball], judgement: Judgement
    ) -> list[Published]:
        """Every published value of the quantity that belongs here.

        What somebody's evaluation gave says nothing about a formula that is wrong, and a truth
        that stands alone says nothing about anybody.
        """
        if judgement.is_truth_alone:
            return []
        wrong = "handwritten" in judgement.blame
        computed = answers.get("handwritten", self.autograd)
        return [
            judge_published(e, self.place, self._shaped, truth, computed, judgement.scale)
            for e in self.place.point.expectations
            if e.quantity == self.claim.quantity
            and applies(e, self.place.case, self.place.dtype)
            and not (wrong and e.of == "handwritten")
        ]

    def _shaped(self, value: Any) -> Tensor:
        """A published derivative in the Jacobian's shape; of a recurrence, step by step."""
        output, input = tuple(self.output.shape), tuple(self.value.shape)
        meaning = TorchMeaning(torch.float64, CPU)
        if not self.claim.is_stepwise:
            jacobian: Tensor = as_jacobian(value, output, input, meaning)
            return jacobian
        if not isinstance(value, Tensor) or len(value) != output[0]:
            raise ShapeError(f"not {output[0]} steps, a recurrence's values are listed by step")
        return torch.stack([as_jacobian(step, output[1:], input, meaning) for step in value])

    def _fields(
        self,
        formula: Written | None,
        truth: Ball,
        answers: Mapping[str, Ball],
        judgement: Judgement,
        published: list[Published],
    ) -> Fields:
        verdicts = {judgement.verdict, *(one.verdict for one in published)}
        verdict = next(v for v in WORST_FIRST if v in verdicts)
        wrong = [one for one in published if one.verdict == "fail"]
        shown = next((one.ball for one in [*wrong, *published] if one.ball is not None), None)
        balls = {**answers, "numeric": truth}
        worst, difference = judgement.worst_entry, judgement.difference
        if shown is not None:
            balls["expected"] = shown
            if wrong and not judgement.blame:
                worst = worst_of(truth, shown)
                difference = truth.farthest(shown) / judgement.scale
        blame = [*judgement.blame, *(["expected"] if wrong else [])]
        if verdict == "inconclusive":
            blame = ["function"] if truth.notes else []
        where = {"line": wrong[0].line, "formula": ""} if blame == ["expected"] else {}
        fields = _fields(
            self.claim,
            formula,
            verdict=verdict,
            blame=",".join(blame),
            truth="numeric",
            basis=truth.basis,
            resolution=judgement.resolution,
            required=self.required,
            difference=difference,
            entries=worst_entries(
                claim_label(self.claim, self.output.ndim),
                worst,
                balls,
                "numeric",
                1 if verdict == "pass" else SHOWN,
            ),
            notes=(
                *truth.notes,
                *(one.note for one in published if one.note),
                *advice(verdict, truth, answers, judgement, self.place.dtype, self.required),
            ),
        )
        return {**fields, **where}


def _numeric(segment: Segment, effort: Effort) -> Ball:
    """The numeric Jacobian; what `detach` yields at the point is a constant around it too."""
    at = segment.held[segment.start]
    first = TorchMeaning(torch.float64, CPU)
    with torch.no_grad():
        segment.value(at, first)
    replay = first.detached or None

    def function(value: Tensor) -> Tensor:
        result: Tensor = segment.value(value, TorchMeaning(torch.float64, CPU, replay))
        return result

    return numeric.jacobian(function, at, effort=effort)


def _fields(claim: Claim, formula: Written | None, **fields: object) -> Fields:
    return {
        "quantity": claim.quantity,
        "line": formula.line if formula else claim.line,
        "formula": formula.text if formula else "",
        **fields,
    }


def _largest(tensor: Tensor) -> float:
    return float(tensor.detach().to(torch.float64).abs().max()) if tensor.numel() else 0.0
