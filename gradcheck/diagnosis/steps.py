"""Steps of a recurrence: at which one it goes wrong, and whether one too many was taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from gradcheck.ball import Array
from gradcheck.claims import Claim
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.diagnosis.suspect import MOST_OPERATIONS, Suspect
from gradcheck.functions import Recurrence
from gradcheck.language.editing import Editor, binary, number
from gradcheck.language.expression import Expression
from gradcheck.results import Diagnosis


def with_step(suspect: Suspect, found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """In a recurrence, with the step at which it first goes wrong."""
    step = _first_wrong(suspect)
    for one in found:
        yield Diagnosis(one.kind, f"{one.text} (first wrong at step {step})") if step else one


def _first_wrong(suspect: Suspect) -> int:
    """The first step that is wrong, in the order in which they are computed; 0: no steps."""
    e, claim = suspect.evidence, suspect.claim
    if e is None or not suspect.written.is_stepwise:
        return 0
    is_reverse = isinstance(claim, Claim) and not claim.is_stepwise
    wrong = e.wrong
    each = wrong.reshape(*wrong.shape[:2], -1).any(axis=(0, 2)) if wrong.ndim > 1 else wrong
    at = np.flatnonzero(each)
    return int(at[-1 if is_reverse else 0]) + 1 if len(at) else 0


def of_other_steps(suspect: Suspect, e: Evidence, claim: Claim) -> Iterator[Diagnosis]:
    """The derivative of the step beside, or after one step less or more."""
    if claim.is_stepwise and len(e.shape) and e.shape[0] > 2:
        for step, which in ((1, "before"), (-1, "after")):
            moved = np.roll(e.truth, step, axis=1)
            there = slice(1, None) if step > 0 else slice(None, -1)
            if e.near(moved, e.found)[:, there].all():
                text = f"at every step it is the derivative of the step {which}"
                yield Diagnosis("off_by_one_step", text)
    for more in (-1, 1) if suspect.cost < MOST_OPERATIONS // 64 else ():
        truth = _truth_after(suspect, claim, more)
        if truth is not None and e.is_found(truth) and not e.is_truth(truth):
            word = "less" if more < 0 else "more"
            text = f"it is the derivative after one step {word}"
            yield Diagnosis("off_by_one_step", text)


def _truth_after(suspect: Suspect, claim: Claim, more: int) -> Array | None:
    """The truth for a recurrence of so many more steps."""
    if not any(isinstance(step, Recurrence) for step in claim.steps):
        return None
    steps = tuple(
        replace(step, steps=_plus(step.steps, more)) if isinstance(step, Recurrence) else step
        for step in claim.steps
    )
    found = []
    for spot in suspect.spots:
        truth = suspect.truth_with(spot, steps)
        if truth is None or truth.shape != spot.truth.shape:
            return None
        found.append(truth)
    return np.stack(found)


def _plus(steps: Expression, more: int) -> Expression:
    """So many steps more."""
    editor = Editor(steps)
    part = binary("+" if more > 0 else "-", editor.whole, number(abs(more)))
    return Expression(part.text, part.node)
