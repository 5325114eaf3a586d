"""What became of wrong versions of what was written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gradcheck.casefile.case import Case, Point
from gradcheck.casefile.inputs import Given
from gradcheck.conclusion import Fields
from gradcheck.function_problems import ONE

Fate = Literal["noticed", "survived", "equivalent"]

SCHEMA_VERSION: Final = 1
EQUAL: Final = "the same at every point of the case"
"""Why a version survives that gives the same numbers."""
_SAID: Final = {"fail": "wrong", "error": "in error"}
"""What a verdict is called of what does not pass."""


class NotPassingError(Exception):
    """A case does not pass as it is, so that nothing can be learnt from its wrong versions."""


class LeftOutError(Exception):
    """A case that may pass, but in which nothing can be changed."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one wrong version of a formula, or of a function in Python.

    `formula` is what was written of `quantity`, `wrong` the version of it in which `mistake` was
    made; of a function those are its name, and the mistake itself. It is `noticed` if the case
    fails with it, `equivalent` if it is proven to be the same wherever that was looked at. Else it
    `survived`, for a `reason`; `inputs` are values at which it would not have, where some were
    found, and `constants`, where those of the case do not serve.
    """

    file: str
    line: int
    case: str
    quantity: str
    formula: str
    wrong: str
    mistake: str
    fate: Fate
    reason: str = ""
    inputs: Mapping[str, Given] = field(default_factory=dict)
    constants: Mapping[str, Given] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The outcome as one JSON object."""
        return {
            "schema_version": SCHEMA_VERSION,
            "file": self.file,
            "line": self.line,
            "case": self.case,
            "quantity": self.quantity,
            "formula": self.formula,
            "wrong": self.wrong,
            "mistake": self.mistake,
            "fate": self.fate,
            "reason": self.reason,
            "inputs": _plain(self.inputs),
            "constants": _plain(self.constants),
        }


def said_of(fields: Fields) -> str:
    """What does not pass, and how: `dz/dx is wrong`."""
    verdict, quantity = fields["verdict"], fields.get("quantity") or "the function"
    if quantity.startswith(ONE):
        return f"{quantity} does not hold"
    return f"{quantity} is {_SAID.get(verdict, verdict)}"


def given_at(case: Case, point: Point) -> tuple[dict[str, Given], dict[str, Given]]:
    """The inputs at a point as numbers, and the constants where they are not the case's."""
    own = {name: value for one in case.points for name, value in one.values.items()}
    given = {
        name: value
        if isinstance(value, Given)
        else Given.of(value.array(f"{case.name}.{name}", point.draw))
        for name, value in point.values.items()
    }
    inputs = {name: value for name, value in given.items() if name in case.inputs}
    others = {name: value for name, value in given.items() if name not in inputs}
    is_same = all(point.values[name] == own[name] for name in others)
    return inputs, {} if is_same else others


def _plain(values: Mapping[str, Given]) -> dict[str, Any]:
    return {name: value.array("", 0).tolist() for name, value in values.items()}


@dataclass(slots=True)
class Score:
    """How many wrong versions were noticed, of how many formulas of how many cases."""

    fates: dict[Fate, int] = field(default_factory=lambda: dict[Fate, int]())
    formulas: set[tuple[str, str, int, str, str]] = field(default_factory=set)
    cases: set[tuple[str, str]] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        self.fates[outcome.fate] = self.fates.get(outcome.fate, 0) + 1
        self.cases.add((outcome.file, outcome.case))
        where = outcome.file, outcome.case, outcome.line
        self.formulas.add((*where, outcome.quantity, outcome.formula))

    @property
    def wrong(self) -> int:
        """How many are wrong, noticed or not."""
        return self.fates.get("noticed", 0) + self.fates.get("survived", 0)

    @property
    def percent(self) -> float:
        """Of those that are wrong, how many in a hundred were noticed; 100 where there is none."""
        return 100 * self.fates.get("noticed", 0) / self.wrong if self.wrong else 100.0
