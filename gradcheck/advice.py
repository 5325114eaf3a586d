"""What the reader of a result can do about it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from gradcheck.ball import SIDED, Ball
from gradcheck.casefile.case import DType
from gradcheck.verdict import Entry, Judgement, Verdict

_MOST: Final = 0.1
"""A resolution above it is no check."""
ZERO_TIMES_INFINITY: Final = (
    "autograd's nan is 0·∞, as a rule: torch multiplies also a cotangent of 0, that of another "
    "entry or of what a `where` does not choose, by an operation's infinite derivative; keep such "
    "entries from the operation, as in sqrt(where(x > 0, x, 1)), or try another point"
)


def advice(
    verdict: Verdict,
    truth: Ball,
    answers: Mapping[str, Ball],
    judgement: Judgement,
    dtype: DType,
    required: float,
) -> Iterator[str]:
    """Nothing where the verdict speaks for itself; `required` is the resolution asked for."""
    if judgement.worst_entry is None:
        yield "there is no entry: nothing but shapes was compared"
    elif judgement.is_truth_alone:
        yield (
            "handwritten and autograd agree with each other, not with the numeric oracle: "
            "it does not see this function's rounding, or both make the same mistake"
        )
    elif "autograd" in judgement.blame and _is_nan(answers["autograd"], truth):
        yield ZERO_TIMES_INFINITY
    elif verdict == "inconclusive":
        at = judgement.worst_entry
        if not np.isfinite(truth.radius[at]):
            sided = any(SIDED in note for note in truth.notes)
            accept = ", or accept what lies between those: `subgradient`" if sided else ""
            yield f"the numeric oracle cannot tell the derivative here: try another point{accept}"
        elif judgement.resolution <= required:
            yield "their error bounds are estimates: another point may decide"
        else:
            yield _who_blurs(truth, answers, at, dtype, judgement.resolution)


def _is_nan(answer: Ball, truth: Ball) -> bool:
    """Whether an entry is NaN where the truth is a number."""
    return bool((np.isnan(answer.midpoint) & np.isfinite(truth.radius)).any())


def _who_blurs(
    truth: Ball, answers: Mapping[str, Ball], at: Entry, dtype: DType, resolution: float
) -> str:
    """Who is the least sharp, and what would make it sharper, or a resolution that can be had."""
    ask = ""
    if 0 < resolution <= _MOST:  # the next power of ten, as a setting
        ask = f", or ask for `resolution: 1e{int(np.ceil(np.log10(resolution)))}`"
    blurriest = max(answers, key=lambda name: float(answers[name].radius[at]))
    if truth.radius[at] < answers[blurriest].radius[at]:
        use = "use a wider dtype or a point with less cancellation"
        return f"rounding in {dtype} blurs {blurriest} here: {use}{ask}"
    smoother = "try a point where the function is smoother or larger"
    if ask:
        return f"the numeric oracle is not sharp enough here: {smoother}{ask}"
    return (
        "the numeric oracle cannot tell: its steps show no one slope, as where a function rounds "
        "(round, floor, a cast, terms that cancel); check it without that or against a "
        f"`reference`, or {smoother}"
    )
