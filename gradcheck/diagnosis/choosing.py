"""Of all that fits, what is said."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from gradcheck.diagnosis.kinds import KINDS
from gradcheck.results import Diagnosis

SHOWN: Final = 2
"""Diagnoses of one mistake at most."""
PLACES: Final = ("row", "column", "block", "entry")
"""Kinds that say where it is wrong."""
_ALIKE: Final = {
    kind: kinds[0]
    for kinds in (
        ("sign", "wrong_sign_of_a_term"),
        ("mean_for_sum", "sum_for_mean", "constant_factor", "wrong_constant"),
        ("missing_factor", "extra_factor"),
        ("missing_term", "extra_term"),
        PLACES,
    )
    for kind in kinds
}
"""Kinds that say the same in other words, where both fit."""


def best(found: Iterable[Diagnosis], first: Collection[str] = ()) -> tuple[Diagnosis, ...]:
    """The two most telling; kinds that come `first` do so out of their turn."""

    def rank(one: Diagnosis) -> tuple[bool, int]:
        return one.kind not in first, KINDS.index(one.kind)

    kept: dict[str, Diagnosis] = {}
    for one in sorted(found, key=rank):
        kept.setdefault(_ALIKE.get(one.kind, one.kind), one)
    if "constant_factor" in (one.kind for one in kept.values()):
        kept.pop("missing_term", None)  # half of something lacks the other half as a term
    return tuple(kept.values())[:SHOWN]
