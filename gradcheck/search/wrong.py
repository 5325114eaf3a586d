"""Which results say that a derivative is wrong, and not that a point is an odd one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from gradcheck.function_problems import ONE
from gradcheck.oracles.findings import WORDS
from gradcheck.results import Result

Is = Callable[[Result], bool]

_NO_VALUE: Final = ("the formula has no value: ", "the formula is not known exactly: ")
_INACCURATE: Final = "it is right, but keeps fewer digits"
SMALLEST: Final = {"float64": 1e-290, "complex128": 1e-290, "float16": 1e-4}
"""Numbers below have lost digits, or what they are made of has; 1e-30 in other dtypes."""
GROSS: Final = 1e-2
_SINGULAR: Final = tuple(WORDS.values())


def is_wrong_formula(result: Result, *, has_domain: bool) -> bool:
    """Whether a result on formulas shows a wrong derivative.

    A formula is wrong by proof, or by an estimate that autograd confirms and no kink is near: a
    numeric derivative sees nothing that is smaller than its steps. An error below the resolution
    asked for is a matter of rounding. A formula that has no value, where the function has a
    derivative, counts where it is said that the point is one of its domain.

    Autograd is wrong where it is so by far, beyond a bound and no mere estimate: of a second
    derivative, which has no other, unless it overflows or is hardly any number in the dtype.
    """
    blamed = _blamed(result)
    if not blamed or any(note.startswith(_INACCURATE) for note in result.notes):
        return False
    if result.difference is not None and math.isfinite(result.difference):
        if result.difference <= (result.required or 0.0):
            return False
        if blamed == {"autograd"} and not _is_far_off(result, result.difference):
            return False
        return result.truth == "exact" or (
            blamed == {"handwritten"} and not _is_singular(result) and _has_autograd(result)
        )
    if "autograd" in blamed and result.truth == "exact" and not _is_second(result):
        return True
    if any(note.startswith(_NO_VALUE) for note in result.notes):
        return has_domain and not _is_singular(result)
    # Without a distance it is no evaluation that is wrong: its shape, or it is not linear.
    return result.difference is None


def is_wrong_kernel(result: Result) -> bool:
    """Whether a result on a function in Python shows a wrong derivative of it.

    What a backward has to be beside, such as linear, is so at every point or at none.
    """
    if not _blamed(result) or _is_singular(result) or result.quantity.startswith(ONE):
        return False
    is_small = result.difference is not None and result.difference <= (result.required or 0.0)
    return not is_small


def is_another_function(result: Result) -> bool:
    """Whether it shows that a function in Python is not what it has to be."""
    return result.verdict == "fail" and result.blame == "function"


def _blamed(result: Result) -> set[str]:
    """Whose derivatives are wrong."""
    if result.verdict != "fail":
        return set()
    return {*result.blame.split(",")} & {"handwritten", "autograd"}


def _is_singular(result: Result) -> bool:
    return any(note.startswith(_SINGULAR) for note in result.notes)


def _is_second(result: Result) -> bool:
    return result.quantity.startswith("d2")


def _is_far_off(result: Result, difference: float) -> bool:
    """Whether autograd is, however much rounding may do to it."""
    if difference < GROSS or _is_tiny(result):
        return False
    return _is_second(result) or result.entries[0].answers["autograd"].basis != "estimated"


def _is_tiny(result: Result) -> bool:
    """Whether entries are nearly too small for the dtype, so that few of their digits are left."""
    entries = (one.answers[result.truth].value for one in result.entries)
    return max(map(abs, entries), default=1.0) < SMALLEST.get(result.dtype, 1e-30)


def _has_autograd(result: Result) -> bool:
    return bool(result.entries) and "autograd" in result.entries[0].answers
