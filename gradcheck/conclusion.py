"""Answers, a judgement and published numbers → what is said about one quantity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gradcheck.accuracy import digits_kept
from gradcheck.advice import advice
from gradcheck.ball import Ball, Basis
from gradcheck.casefile.case import DIGITS
from gradcheck.demands import Demands
from gradcheck.diagnosis.of_function import diagnoses_of
from gradcheck.entries import SHOWN, Label, worst_entries
from gradcheck.error_map import error_map
from gradcheck.published import Published
from gradcheck.results import UNSTABLE, WORST_FIRST, ErrorMap
from gradcheck.verdict import Judgement, Verdict, excludes, worst_of

Fields = dict[str, Any]
"""What a `Result` says beyond where it is."""

TOO_SURE: Final = "the numeric oracle contradicts the proof: its bound is too small here"

Digits = Mapping[str, tuple[float, float]]
"""At least and at most how many digits each answer keeps."""

_WEAKEST_FIRST: Final[tuple[Basis, ...]] = ("estimated", "bounded", "proven")


def conclude(
    quantity: str,
    line: int,
    truth: Ball,
    answers: Mapping[str, Ball],
    judgement: Judgement,
    published: Sequence[Published],
    *,
    demands: Demands,
    label: Label,
    formula: str = "",
    notes: Sequence[str] = (),
    others: Mapping[str, Ball] | None = None,
    source: str = "",
) -> Fields:
    """The worst of the judgement, of the accuracy and of the verdicts on what was published.

    `others` are balls for the reader, beside those that were judged, and `notes` what is to be said
    about who was asked. `source` is the truth's name, where that is not the oracle's.
    """
    dtype, required = demands.dtype, demands.resolution
    digits = {
        name: digits_kept(distance, truth.radius, judgement.scale, dtype)
        for name, distance in judgement.distances.items()
        if name not in judgement.blame and judgement.resolution < math.inf
    }
    inaccurate, accuracy = _accuracy(digits, demands.digits)
    verdicts = {judgement.verdict, accuracy, *(one.verdict for one in published)}
    verdict = min(verdicts, key=WORST_FIRST.index)
    wrong = [one for one in published if one.verdict == "fail"]
    difference: float | None = judgement.difference
    if verdict == "fail" and inaccurate and not judgement.blame and not wrong:
        difference, notes = None, ("it is right, but keeps fewer digits than are asked for", *notes)
    numeric = (others or {}).get("numeric")
    too_sure = ["numeric"] if numeric is not None and excludes(numeric, truth) else []
    blame = _blame(verdict, truth, [*judgement.blame, *inaccurate, *too_sure], wrong)
    if blame == ["expected"]:
        line, formula = wrong[0].line, ""
    name = source or truth_name(truth)
    balls = {**answers, **(others or {}), name: truth}
    worst = judgement.worst_entry
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
        "truth": name,
        "basis": min((ball.basis for ball in (truth, *answers.values())), key=_WEAKEST_FIRST.index),
        "resolution": judgement.resolution,
        "required": required,
        "difference": difference,
        "digits": {name: least for name, (least, _) in digits.items()},
        "entries": worst_entries(label, worst, balls, name, count),
        "errors": _errors(verdict, truth, balls, judgement),
        **({"diagnosis": tuple(diagnoses_of(truth.notes))} if blame == ["function"] else {}),
        "notes": (
            *truth.notes,
            *notes,
            *([TOO_SURE] if too_sure else []),
            *([_waived(judgement)] if judgement.waived else []),
            *(one.note for one in published if one.note),
            *_accuracy_notes(truth, answers, judgement, digits, demands),
            *advice(judgement.verdict, truth, answers, judgement, dtype, required),
        ),
    }


def _errors(
    verdict: str, truth: Ball, balls: Mapping[str, Ball], judgement: Judgement
) -> ErrorMap | None:
    """Where those that are blamed are wrong; what an evaluation does not show, the formula does."""
    if verdict != "fail":
        return None
    names = ["formula"] if judgement.is_hidden and "formula" in balls else judgement.blame
    return error_map(truth, [balls[name] for name in names if name in balls], judgement.scale)


def _waived(judgement: Judgement) -> str:
    return f"{judgement.waived}, off by {judgement.difference:.2g} of the largest entry"


def truth_name(truth: Ball) -> str:
    """Which oracle a truth is from."""
    return "exact" if truth.basis == "proven" else "numeric"


def _accuracy(digits: Digits, asked: float) -> tuple[list[str], Verdict]:
    """Whether what was written by hand, else autograd, keeps the digits that were asked for."""
    name = next(iter(digits), "")
    if not asked or not name:
        return [], "pass"
    least, most = digits[name]
    if most < asked:
        return [name], "fail"
    return [], "pass" if least >= asked else "inconclusive"


def _accuracy_notes(
    truth: Ball,
    answers: Mapping[str, Ball],
    judgement: Judgement,
    digits: Digits,
    demands: Demands,
) -> Iterator[str]:
    """Who loses more digits than the resolution leaves, or than the rounding bound explains."""
    dtype, asked = demands.dtype, demands.digits
    for name, (least, most) in digits.items():
        ball = answers[name]
        if 10**-most > demands.resolution or most < asked:
            at = worst_of(truth, ball) or ()
            kept = f"{name} keeps {least:.1f} of {DIGITS[dtype]:.1f} digits in {dtype}"
            wanted = f" ({asked:g} are asked for)" if most < asked else ""
            values = f"{ball.midpoint[at]:.6g} against {truth.midpoint[at]:.6g}"
            yield f"{UNSTABLE}: {kept}{wanted}, {values}"
        is_apart = (judgement.distances[name] > truth.radius + ball.radius).any()
        if truth.basis == "proven" and is_apart and not judgement.waived:
            yield f"{name} is further off than rounding explains, though less than ten times"


def _blame(
    verdict: Verdict, truth: Ball, blamed: Sequence[str], wrong: Sequence[Published]
) -> list[str]:
    """Who is wrong; where nobody can be accused, the function if it has no derivative there."""
    if verdict == "pass":
        return []
    if verdict == "inconclusive":
        return ["function"] if truth.notes else []
    return [*blamed, *(["expected"] if wrong else [])]
