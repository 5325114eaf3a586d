"""Answers, a judgement and published numbers → what is said about one quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gradcheck.advice import advice
from gradcheck.ball import Ball
from gradcheck.casefile.case import DType
from gradcheck.entries import SHOWN, Label, worst_entries
from gradcheck.published import Published
from gradcheck.verdict import Judgement, Verdict, worst_of

WORST_FIRST: Final[tuple[Verdict, ...]] = ("fail", "inconclusive", "pass")

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
    if blame == ["expected"]:
        line, formula = wrong[0].line, ""
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
