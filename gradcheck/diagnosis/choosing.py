"""Of all that fits, what is said."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from gradcheck.diagnosis.kinds import KINDS, OF_AUTOGRAD
from gradcheck.results import Diagnosis

PLACES: Final = ("row", "column", "block", "entry")
"""Kinds that say where it is wrong."""


def best(found: Iterable[Diagnosis], first: Collection[str] = ()) -> tuple[Diagnosis, ...]:
    """The most telling, and another one where one of the two says where and the other why.

    Kinds that come `first` do so out of their turn.
    """

    def rank(one: Diagnosis) -> tuple[bool, int]:
        return one.kind not in first, KINDS.index(one.kind)

    ordered = sorted(found, key=rank)
    if not ordered:
        return ()
    told, *others = ordered
    second = next((one for one in others if _says_where(one) != _says_where(told)), None)
    return (told,) if second is None else (told, second)


def _says_where(one: Diagnosis) -> bool:
    """Whether it says where something is wrong, and not how."""
    return one.kind in PLACES or one.kind in OF_AUTOGRAD
