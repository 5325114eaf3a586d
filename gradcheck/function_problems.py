"""What is said where a function, or what was written of it, is not even a derivative's."""

from __future__ import annotations

from typing import Final

from gradcheck.conclusion import Fields
from gradcheck.errors import GradcheckError, ShapeError
from gradcheck.frames import account_of
from gradcheck.results import Diagnosis

ONE: Final = "condition "
"""Before its name, the quantity of a condition that does not hold."""


class RaisedError(GradcheckError):
    """An exception of the user's own code, `cause`; `blame` is whose code that was."""

    def __init__(self, cause: Exception, blame: str, quantity: str = "") -> None:
        super().__init__(blame)
        self.cause = cause
        self.blame = blame
        self.quantity = quantity

    def fields(self) -> Fields:
        told = {"verdict": "error", "blame": self.blame, "notes": (account_of(self.cause),)}
        return {"quantity": self.quantity, **told}


def wrong(blame: str, note: str, quantity: str = "", kind: str = "") -> Fields:
    """A failure; the note says what `kind` of mistake it is, if that is known."""
    told: Fields = {"quantity": quantity, "verdict": "fail", "blame": blame, "notes": (note,)}
    return {**told, "diagnosis": (Diagnosis(kind, note),)} if kind else told


def misshapen(quantity: str, error: ShapeError) -> Fields:
    return wrong("handwritten", f"what was written has {error}", quantity)
