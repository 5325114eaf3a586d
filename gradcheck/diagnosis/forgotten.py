"""What a derivative lacks as if a use of a value, or the value, were a constant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from gradcheck.ball import Array
from gradcheck.claims import Claim
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.diagnosis.suspect import MOST_OPERATIONS, Suspect
from gradcheck.diagnosis.uses import Use, uses, without, without_value
from gradcheck.modes import PARAMETER
from gradcheck.results import Diagnosis


def forgotten(suspect: Suspect, e: Evidence, claim: Claim) -> Iterator[Diagnosis]:
    """A use of a value that is taken for a constant, or the only one that is not."""
    dearest = MOST_OPERATIONS // (suspect.cost * len(suspect.spots))
    listed = uses(claim)[: max(1, dearest // 8)]
    own = [use for use in listed if use.name == claim.input]
    shares: list[Array] = []
    for use in listed:
        is_own = use in own
        if is_own and len(own) < 2 and use.name != PARAMETER:
            continue
        less = without(suspect, claim, use)
        if less is None or e.is_truth(rest := np.stack(less)):
            continue
        if is_own:
            shares.append(e.truth - rest)
        if e.is_found(rest):
            yield _told(use, is_own=is_own)
        elif is_own and _is_of_value(use) and e.is_found(e.truth - rest):
            text = f"only the use of `{use.name}` in {_place(use)} counts"
            yield Diagnosis("missing_term", f"{text}, what others add is missing")
    has_matrix = any(array.ndim == 3 for array in suspect.named.values())
    for one, other in permutations(shares, 2) if has_matrix else ():
        if e.is_found(e.truth + one - other) and not e.is_same(one, other):
            text = f"one use of `{claim.input}` counts twice and another not at all"
            yield Diagnosis("transposed", f"{text}, as if a matrix were symmetric")


def _told(use: Use, *, is_own: bool) -> Diagnosis:
    """What is said of a use that is forgotten, of the claim's own input or of another value."""
    if use.inner:
        text = f"{use.inner} in `{use.name}` is taken for a constant"
        return Diagnosis("missing_term", text)
    if use.name == PARAMETER:
        return Diagnosis("missing_term", f"the term with `d{use.of}` is missing")
    if is_own:
        text = f"the use of `{use.name}` in {_place(use)} is forgotten"
        return Diagnosis("forgotten_use", text)
    text = f"what goes through `{use.name}` in {_place(use)} is missing"
    return Diagnosis("missing_term", text)


def _is_of_value(use: Use) -> bool:
    return not use.inner and use.name != PARAMETER


def _place(use: Use) -> str:
    return f"`{use.of} = {use.formula.text}`"


def without_values(suspect: Suspect, e: Evidence, claim: Claim) -> Iterator[Diagnosis]:
    """What would be right if an input or a constant were 0."""
    for name in suspect.case.function.given:
        if name != claim.input and suspect.cost < MOST_OPERATIONS // 64:
            less = without_value(suspect, claim, name)
            if less is not None and e.is_found(np.stack(less)):
                text = f"what `{name}` adds is missing: it is right where that is 0"
                yield Diagnosis("missing_term", text)
