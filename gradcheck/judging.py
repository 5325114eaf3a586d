"""A claim at a place: every oracle is asked, and the answers are held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.casefile.case import Expectation
from gradcheck.claims import Claim, Written, as_jacobian
from gradcheck.conclusion import Fields, conclude
from gradcheck.entries import SHOWN, claim_label, indexed, worst_entries
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.oracles import autograd, handwritten, rounding
from gradcheck.oracles.monte_carlo import Disturbed, Noise
from gradcheck.passes import GRAD
from gradcheck.place import CPU, Place
from gradcheck.published import Published, applies, expected_at, filled, judge_published
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.truths import EFFORTS, Truths, too_large
from gradcheck.verdict import Judgement, judge, worst_of


def judge_claim(place: Place, claim: Claim, truths: Truths) -> Iterator[Fields]:
    """One verdict for each way in which the claim's derivative was written."""
    if problem := too_large(place.value(claim.output).numel(), place.value(claim.input).numel()):
        yield _fields(claim, None, verdict="inconclusive", notes=(problem,))
        return
    check = _Check(place, claim, truths)
    try:
        check.differentiate()
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield _fields(claim, None, verdict="error", blame="autograd", notes=(f"autograd: {line}",))
        return
    for formula in claim.formulas or (None,):
        yield check.judge(formula)


def judge_value(place: Place, expectation: Expectation) -> Iterator[Fields]:
    """The verdict on a published value of the function itself.

    That of a link or a gradient is judged with it.
    """
    name = expectation.quantity
    if not applies(expectation, place.case, place.dtype) or "/" in name or name.endswith(GRAD):
        return
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
        rounding.repeated(
            lambda: function.run(given, place.meaning())[name].to(dtype),
            place.value(name).to(dtype),
        ),
        dtype,
    )


class _Check:
    """One claim at one place; what several formulas share is computed once."""

    def __init__(self, place: Place, claim: Claim, truths: Truths) -> None:
        self.place = place
        self.claim = claim
        self.truths = truths
        self.value = place.value(claim.input)
        self.output = place.value(claim.output)
        self.required = place.case.required_resolution(place.dtype)
        self.segment = place.segment(claim)
        self.measured: Ball | None = None

    def differentiate(self) -> None:
        """Asks torch for its gradient; raises what torch raises."""
        self.gradient = self._gradient(self.value)

    def _gradient(self, value: Tensor) -> Tensor:
        return autograd.jacobian(self.segment, value, self.place.meaning())

    def ask_autograd(self, truth: Ball) -> Ball:
        """Autograd's gradient. Where it lies within the radius of a truth that is sharp enough, the
        truth bounds its error; else what rounding may do to it is measured.
        """
        bounded = truth.bounding(rounding.to_array(self.gradient), self.required)
        if bounded is not None:
            return bounded
        if self.measured is None:
            disturb = rounding.repeated(lambda: self._gradient(self.value), self.gradient)
            self.measured = rounding.measure(disturb, self.value.dtype)
        return self.measured

    def ask_handwritten(self, formula: Written) -> Ball:
        """The formula's ball.

        Raises:
            EvaluationError, ShapeError: The formula has no value, or no derivative's shape.
        """
        segment = self.place.formula_segment(self.claim)
        if self.output.ndim == 0 and handwritten.is_pointwise(formula, segment):

            def disturb(count: int, noise: Noise) -> Tensor:
                meaning = Disturbed(noise, count, self.value.dtype, self.place.device)
                return handwritten.slopes(formula, segment, self.value.expand(count), meaning)

            return rounding.measure(disturb, self.value.dtype, rounding.BESIDE)

        def jacobian() -> Tensor:
            output, meaning = tuple(self.output.shape), self.place.meaning()
            return handwritten.jacobian(formula, segment, self.value, output, meaning)

        return rounding.measure(rounding.repeated(jacobian), self.value.dtype)

    def judge(self, formula: Written | None) -> Fields:
        written: dict[str, Ball] = {}
        if formula is not None:
            try:
                written["handwritten"] = self.ask_handwritten(formula)
            except (EvaluationError, ShapeError) as error:
                return self._unusable(formula, error)
        for effort in EFFORTS:
            truth = self.truths.ask(self.claim, effort)
            answers = {**written, "autograd": self.ask_autograd(truth)}
            judgement = self._judged(truth, answers)
            published = self._published(truth, answers, judgement)
            if {judgement.verdict, *(one.verdict for one in published)} == {"pass"}:
                break
        return conclude(
            self.claim.quantity,
            formula.line if formula else self.claim.line,
            truth,
            answers,
            judgement,
            published,
            formula=formula.text if formula else "",
            label=claim_label(self.claim, self.output.ndim),
            dtype=self.place.dtype,
            required=self.required,
        )

    def _judged(self, truth: Ball, answers: Mapping[str, Ball]) -> Judgement:
        scale = self.place.natural_scale(self.claim.output, self.claim.input)
        judgement = judge(truth, answers, scale, self.required)
        if judgement.verdict != "inconclusive":
            return judgement
        # Perhaps it is a minimum, which the dtype misses by a rounding of the input.
        negligible = self._input_rounding()
        return judge(truth, answers, scale, self.required, negligible)

    def _input_rounding(self) -> float:
        """How far the largest entry of the derivative moves with the input's last digit."""
        limits = torch.full_like(self.value, torch.inf)
        moved = [torch.nextafter(self.value, limit) for limit in (limits, -limits)]
        found = [rounding.to_array(self._gradient(value)) for value in moved]
        moves = np.abs(np.stack(found) - rounding.to_array(self.gradient))
        # Where a side is not finite it tells nothing: an edge makes no derivative zero.
        return float(np.max(moves, initial=0.0, where=np.isfinite(moves)))

    def _unusable(self, formula: Written, error: EvaluationError | ShapeError) -> Fields:
        has = "no value" if isinstance(error, EvaluationError) else ""
        note = f"the formula has {has}: {error}" if has else f"the formula has {error}"
        return _fields(
            self.claim, formula, verdict="fail", blame="handwritten", truth="numeric", notes=(note,)
        )

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
        computed = answers.get("handwritten", answers["autograd"])
        return [
            judge_published(e, self.place, self._shaped, truth, computed, judgement.scale)
            for e in expected_at(self.place, self.claim.quantity)
            if not (wrong and e.of == "handwritten")
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


def _fields(claim: Claim, formula: Written | None, **fields: object) -> Fields:
    return {
        "quantity": claim.quantity,
        "line": formula.line if formula else claim.line,
        "formula": formula.text if formula else "",
        **fields,
    }
