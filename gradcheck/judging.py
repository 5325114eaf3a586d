"""A claim at a place: every oracle is asked, and the answers are held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.answers import Along, Answers, entries
from gradcheck.ball import Ball
from gradcheck.claims import Claim, Written
from gradcheck.complex_claim import judge_complex
from gradcheck.conclusion import Fields, conclude
from gradcheck.entries import claim_label, direction_label
from gradcheck.errors import EvaluationError, ShapeError, TooManyStepsError
from gradcheck.jacobians import as_jacobian
from gradcheck.large_claim import judge_along
from gradcheck.lines import PassFormula
from gradcheck.oracles import rounding
from gradcheck.oracles.exact import DeclinedError, Enclosure, TooLargeError, TooLongError
from gradcheck.place import CPU, Place
from gradcheck.published import Published, expected_at, judge_published
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.truths import EFFORTS, Truths, too_large
from gradcheck.verdict import Judgement, Proof, excludes, judge


def judge_claim(
    place: Place, claim: Claim, truths: Truths, thorough: bool = False
) -> Iterator[Fields]:
    """One verdict for each way in which the claim's derivative was written.

    The numeric oracle is asked where the exact one cannot tell, where something is not right, and
    where it is to be `thorough`.
    """
    check = ClaimCheck(place, claim, truths, thorough)
    for formula in claim.formulas or (None,):
        for fields in check.verdicts(formula):
            if formula is not None and fields["verdict"] == "fail":
                fields = _explained(claim, formula, fields, truths)
            yield fields


def _explained(claim: Claim, formula: Written, fields: Fields, truths: Truths) -> Fields:
    """A failure of a formula, with where it begins, and what mistake it looks like."""
    if "handwritten" not in fields["blame"]:
        return fields
    root = truths.root_of(formula) if "entries" in fields else ""  # else the block shows a line
    if "autograd" not in fields["blame"]:
        fields = truths.diagnoses.told(fields, truths.place, claim, formula, root)
    is_consequence = any(one.kind == "consequence" for one in fields.get("diagnosis", ()))
    truths.add_wrong(formula, root if is_consequence else "")
    if not root or is_consequence:
        return fields
    note = f"it uses `{root}`, which is wrong: look there first"
    return {**fields, "notes": (note, *fields.get("notes", ()))}


def _along(
    place: Place,
    claim: Claim,
    formula: Written | None,
    truths: Truths,
    reason: str,
    notes: tuple[str, ...],
) -> Fields:
    """The verdict along random directions, which know no steps and no published entries.

    Where those are asked for, `reason` says why there is none.
    """
    if (formula is not None and formula.is_stepwise) or expected_at(place, claim.quantity):
        return _fields(claim, formula, verdict="inconclusive", notes=(reason,))
    try:
        return judge_along(place, claim, formula, truths, notes)
    except (EvaluationError, ShapeError) as error:
        if formula is None:
            raise
        return _unusable(claim, formula, error)


def _unusable(claim: Claim, formula: Written, error: EvaluationError | ShapeError) -> Fields:
    if isinstance(error, TooManyStepsError):
        return _fields(claim, formula, verdict="inconclusive", notes=(f"the formula: {error}",))
    has = "no value" if isinstance(error, EvaluationError) else ""
    note = f"the formula has {has}: {error}" if has else f"the formula has {error}"
    told = {"verdict": "fail", "blame": "handwritten", "truth": "numeric", "notes": (note,)}
    fields = _fields(claim, formula, **told)
    origin = error.expression if isinstance(error, EvaluationError) else None
    if isinstance(formula, PassFormula) and origin is not None and origin.line:
        return {**fields, "line": origin.line, "formula": origin.text}  # a line that it takes
    return fields


MANY: Final = 64
"""Entries of an input: by more, what is too long for one evaluation in balls is too long for the
numeric oracle, which takes 25 of them or more for each."""
_CONTRADICTION: Final = (
    "the exact oracle is alone against torch's evaluations and the numeric oracle, which one of "
    "them must have wrong: please report it"
)


class ClaimCheck:
    """One claim at one place, held against its truth.

    What ways of writing its derivative have in common is computed once.
    """

    def __init__(self, place: Place, claim: Claim, truths: Truths, thorough: bool = False) -> None:
        self.thorough = thorough
        self.place = place
        self.claim = claim
        self.truths = truths
        self.answers = Answers(place, claim)
        self.required = place.case.required_resolution(place.dtype)

    def verdicts(self, formula: Written | None) -> Iterator[Fields]:
        """The verdict on one way in which the derivative was written, or on autograd's alone.

        By a complex value there may be several.
        """
        place, claim = self.place, self.claim
        sizes = (place.value(name).numel() for name in (claim.output, claim.input))
        if problem := too_large(*sizes):
            yield _along(place, claim, formula, self.truths, problem, ())
        elif place.is_complex:
            yield from judge_complex(place, claim, formula)
        else:
            yield self._verdict(formula)

    def is_right(self, formula: Written) -> bool:
        """Whether a formula is right, by proof.

        Raises:
            DeclinedError: The exact oracle cannot tell.
        """
        truth = self.truths.exact(self.claim, whole=False)
        written = self.truths.exact_formula(self.claim, formula)
        return not self.truths.proof(self.claim, formula, truth, written).wrong.any()

    def exactly(self, formula: Written) -> Enclosure:
        """What a formula says where all values are exact from the inputs.

        Raises:
            DeclinedError: The exact oracle cannot tell.
        """
        return self.truths.exact_formula(self.claim, formula, exactly=True)

    def _verdict(self, formula: Written | None) -> Fields:
        try:
            _ = self.answers.gradient
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            told = {"verdict": "error", "blame": "autograd", "notes": (f"autograd: {line}",)}
            return _fields(self.claim, None, **told)
        found = None
        if formula is not None:
            try:
                found = self.answers.evaluate(formula)
            except (EvaluationError, ShapeError) as error:
                return _unusable(self.claim, formula, error)
        try:
            published = expected_at(self.place, self.claim.quantity)
            enclosure = self.truths.exact(self.claim, whole=bool(published))
        except TooLongError as reason:
            entries = self.answers.value.numel()
            if entries > MANY:
                note = f"{reason}, and numeric differentiation by {entries:,} entries too"
                return _along(self.place, self.claim, formula, self.truths, note, (note,))
            return self._held_to_numeric(formula, found, f"the exact oracle cannot tell: {reason}")
        except DeclinedError as reason:
            return self._held_to_numeric(formula, found, f"the exact oracle cannot tell: {reason}")
        return self._held_to_exact(formula, found, enclosure)

    def _held_to_exact(
        self, formula: Written | None, found: Tensor | None, enclosure: Enclosure
    ) -> Fields:
        """Whether the formula is right is proven; how it and autograd are evaluated is bounded."""
        truth, others, notes = enclosure.ball(), {}, []
        proof, written = None, None
        if formula is not None:
            try:
                written = self.truths.exact_formula(self.claim, formula)
                proof = self.truths.proof(self.claim, formula, enclosure, written)
            except TooLargeError as reason:
                if enclosure.directions is not None:
                    notes.append(f"the formula is not known exactly: {reason}")
                    return self._held_to_numeric(formula, found, notes[-1])
                note = f"the formula has no value that could be right: {reason}"
                return _fields(
                    self.claim,
                    formula,
                    verdict="fail",
                    blame="handwritten",
                    truth="exact",
                    notes=(note,),
                )
            except DeclinedError as reason:
                notes.append(f"the formula is not known exactly: {reason}")
        is_whole = enclosure.directions is None
        along = entries if is_whole else enclosure.along
        answers = self._answers(formula, found, truth, along)
        if formula is not None and found is not None and proof is None:
            # Its evaluation may be right by chance, as where rounding makes a choice.
            answers["handwritten"] = along(self.answers.rounded_formula(formula, found))
        judgement = self._judged(truth, answers, proof, along)
        if (
            isinstance(formula, PassFormula)
            and written is not None
            and judgement.verdict == "pass"
            and not self.truths.is_linear(self.claim, formula, written)
        ):
            given = " or ".join(f"`{name}`" for name in formula.given)
            note = f"it is right for what was drawn, but it is not linear in {given}"
            told = {"verdict": "fail", "blame": "handwritten", "truth": "exact", "notes": (note,)}
            return _fields(self.claim, formula, **told)
        if written is not None and judgement.is_hidden:
            others["formula"] = written.seen_along(enclosure.directions).ball()
        if not is_whole:
            notes.append(f"looked at in {len(truth.midpoint)} directions, not entry by entry")
        elif self.thorough or judgement.verdict != "pass":
            others["numeric"] = self.truths.ask(self.claim, "full")
            if set(judgement.blame) == set(answers) and excludes(others["numeric"], truth):
                fields = self._held_to_numeric(formula, found, _CONTRADICTION)
                if fields["verdict"] != "fail":
                    return {**fields, "verdict": "inconclusive", "blame": ""}
        return self._conclude(formula, truth, answers, judgement, notes, others, is_whole=is_whole)

    def _held_to_numeric(
        self, formula: Written | None, found: Tensor | None, reason: str
    ) -> Fields:
        for effort in EFFORTS:
            truth = self.truths.ask(self.claim, effort)
            answers = self._answers(formula, found, truth)
            judgement = self._judged(truth, answers, None)
            fields = self._conclude(formula, truth, answers, judgement, [reason], {})
            if fields["verdict"] == "pass":
                break
        return fields

    def _answers(
        self, formula: Written | None, found: Tensor | None, truth: Ball, along: Along = entries
    ) -> dict[str, Ball]:
        answers = {}
        if formula is not None and found is not None:
            answers["handwritten"] = self.answers.handwritten(formula, found, truth, along)
        answers["autograd"] = self.answers.autograd(truth, along)
        return answers

    def _conclude(
        self,
        formula: Written | None,
        truth: Ball,
        answers: Mapping[str, Ball],
        judgement: Judgement,
        notes: Sequence[str],
        others: Mapping[str, Ball],
        *,
        is_whole: bool = True,
    ) -> Fields:
        claim = self.claim
        return conclude(
            self.claim.quantity,
            formula.line if formula else self.claim.line,
            truth,
            answers,
            judgement,
            self._published(truth, answers, judgement),
            demands=self.place.demands,
            label=claim_label(claim, self.answers.output.ndim)
            if is_whole
            else direction_label(claim),
            formula=formula.text if formula else "",
            notes=notes,
            others=others,
        )

    def _judged(
        self,
        truth: Ball,
        answers: Mapping[str, Ball],
        proof: Proof | None,
        along: Along = entries,
    ) -> Judgement:
        waiver = self.place.waiver
        judgement = judge(truth, answers, self._scale, self.required, proof=proof, waiver=waiver)
        is_accurate = judgement.difference <= self.required
        if judgement.verdict == "fail" or (judgement.verdict == "pass" and is_accurate):
            return judgement
        # Perhaps it is a minimum, which the dtype misses by a rounding of the input.
        negligible = float(along(self._input_rounding()).radius.max(initial=0.0))
        return judge(truth, answers, self._scale, self.required, negligible, proof, waiver)

    def _scale(self) -> float:
        return self.place.natural_scale(self.claim.output, self.claim.input)

    def _input_rounding(self) -> Ball:
        """How far each entry of the derivative moves with the input's last digit, around 0."""
        value = self.answers.value
        limits = torch.full_like(value, torch.inf)
        moved = [torch.nextafter(value, limit) for limit in (limits, -limits)]
        found = [rounding.to_array(self.answers.gradient_at(value)) for value in moved]
        moves = np.abs(np.stack(found) - rounding.to_array(self.answers.gradient))
        # Where a side is not finite it tells nothing: an edge makes no derivative zero.
        moves = np.max(moves, axis=0, initial=0.0, where=np.isfinite(moves))
        return Ball(np.zeros_like(moves), moves, "estimated")

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
        output, input = tuple(self.answers.output.shape), tuple(self.answers.value.shape)
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
