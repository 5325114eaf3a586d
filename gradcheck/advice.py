"""What the reader of a result can do about it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.ball import SIDED, Ball
from gradcheck.casefile.case import DType
from gradcheck.verdict import Entry, Judgement, Verdict


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
    elif verdict == "inconclusive":
        at = judgement.worst_entry
        if not np.isfinite(truth.radius[at]):
            sided = any(SIDED in note for note in truth.notes)
            accept = ", or accept what lies between those: `subgradient`" if sided else ""
            yield f"the numeric oracle cannot tell the derivative here: try another point{accept}"
        elif judgement.resolution <= required:
            yield "their error bounds are estimates: another point may decide"
        else:
            yield _who_blurs(truth, answers, at, dtype) + _ask_for(judgement.resolution)


def _who_blurs(truth: Ball, answers: Mapping[str, Ball], at: Entry, dtype: DType) -> str:
    """Who is the least sharp, and what would make it sharper."""
    blurriest = max(answers, key=lambda name: float(answers[name].radius[at]))
    if truth.radius[at] >= answers[blurriest].radius[at]:
        return (
            "the numeric oracle is not sharp enough here: try a point where the function is "
            "smoother or larger"
        )
    return (
        f"rounding in {dtype} blurs {blurriest} here: use a wider dtype or a point with less "
        "cancellation"
    )


def _ask_for(resolution: float) -> str:
    """The next power of ten, as a setting, where that would still be a check."""
    if not 0 < resolution <= 0.1:
        return ""
    return f", or ask for `resolution: 1e{int(np.ceil(np.log10(resolution)))}`"
