"""Answers, a judgement and published numbers → what is said about one quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck.advice import advice
from gradcheck.ball import Ball
from gradcheck.casefile.case import DType
from gradcheck.entries import SHOWN, Label, worst_entries
from gradcheck.published import Published
from gradcheck.results import WORST_FIRST
from gradcheck.verdict import Judgement, Verdict, worst_of

Fields = dict[str, Any]
"""What a `Result` says beyond where it is."""


def conclude(
    quantity: str,
    line: int,
    truth: Ball,
    answers: Mapping[str, Ball],
    judgement: Judgement,
    published: Sequence[Published],
    *,
    label: Label,
    dtype: DType,
    required: float,
    formula: str = "",
) -> Fields:
    """The worst of the judgement and the verdicts on what was published, with the reasons."""
    verdicts = {judgement.verdict, *(one.verdict for one in published)}
    verdict = min(verdicts, key=WORST_FIRST.index)
    wrong = [one for one in published if one.verdict == "fail"]
    blame = _blame(verdict, truth, judgement, wrong)
    if blame == ["expected"]:
        line, formula = wrong[0].line, ""
    balls = {**answers, "numeric": truth}
    worst, difference = judgement.worst_entry, judgement.difference
    expected = next((one.ball for one in [*wrong, *published] if one.ball is not None), None)
    if expected is not None:
        balls["expected"] = expected
        if wrong and not judgement.blame:
            worst = worst_of(truth, expected)
            difference = truth.farthest(expected) / judgement.scale
    count = 1 if verdict == "pass" else SHOWN
    return {
        "quantity": quantity,
        "line": line,
        "formula": formula,
        "verdict": verdict,
        "blame": ",".join(blame),
        "truth": "numeric",
        "basis": truth.basis,
        "resolution": judgement.resolution,
        "required": required,
        "difference": difference,
        "entries": worst_entries(label, worst, balls, "numeric", count),
        "notes": (
            *truth.notes,
            *(one.note for one in published if one.note),
            *advice(verdict, truth, answers, judgement, dtype, required),
        ),
    }


def _blame(
    verdict: Verdict, truth: Ball, judgement: Judgement, wrong: Sequence[Published]
) -> list[str]:
    """Who is wrong; where nobody can be accused, the function if it has no derivative there."""
    if verdict == "inconclusive":
        return ["function"] if truth.notes else []
    return [*judgement.blame, *(["expected"] if wrong else [])]
