"""What keeps a function from having a derivative, in words that the numeric oracle found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gradcheck.results import Diagnosis

_BEGINNINGS: Final = {
    "a kink": "kink",
    "a cusp": "kink",
    "neither smooth nor a kink": "kink",
    "a jump": "jump",
    "at the edge of the domain": "domain_edge",
    "not finite": "domain_edge",
    "nothing but noise": "random",
}


def diagnoses_of(notes: Iterable[str]) -> Iterator[Diagnosis]:
    """What notes say of a point: a kink with its one-sided derivatives, a jump, an edge."""
    for note in notes:
        for beginning, kind in _BEGINNINGS.items():
            if note.startswith(beginning):
                yield Diagnosis(kind, note)
                break
