"""What a run says: one result for each claim at each point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

Verdict = Literal["pass", "fail", "inconclusive", "error", "skipped", "xfailed", "xpassed"]

Standing = Verdict | Literal["known", "worse"]

Kind = Literal["definition", "step", "repeat", "derivative", "backward", "jvp", "python"]
"""What a line of a derivation is of."""

SCHEMA_VERSION: Final = 1
UNCOVERED: Final = "no line covers"
"""How a note begins that says of which inputs a backward pass tells nothing."""
UNSTABLE: Final = "unstable"
"""How a note begins that says how few digits an evaluation keeps."""
BAD: Final[frozenset[Verdict]] = frozenset({"fail", "inconclusive", "error", "xpassed"})
"""Verdicts that fail a run."""
WORST_FIRST: Final[tuple[Verdict, ...]] = (
    "error",
    "fail",
    "inconclusive",
    "xpassed",
    "xfailed",
    "pass",
    "skipped",
)
"""The verdict on several results is that of the worst."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one oracle says about one entry: `value ± radius`, and what the radius is worth."""

    value: float
    radius: float
    basis: str = "estimated"


@dataclass(frozen=True, slots=True)
class EntryAnswers:
    """One entry of a quantity, written as `dz[1]/dx[0]` or `dloss/dw[0, 1]`, with every answer."""

    label: str
    index: tuple[int, ...]
    answers: Mapping[str, Answer]


def dimensions_down(shape: Sequence[int]) -> int:
    """How many dimensions lie down the rows of a picture, for it to be as square as can be.

    A Jacobian, of dimensions of the output and then of the input, is no strip so.
    """

    def oblong(down: int) -> float:
        rows, columns = math.prod(shape[:down]), math.prod(shape[down:])
        return max(rows, columns) / min(rows, columns)

    return min(reversed(range(len(shape))), key=oblong)


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """How wrong an answer is by entry, of the largest entry; 0 where it overlaps the truth.

    `shape` is that of the quantity, whose first dimensions, `dimensions_down(shape)` of them, lie
    down the rows, and whose others across. `cells` are as many as its entries, or fewer, each with
    the largest error of those in it. `wrong` counts the entries.
    """

    shape: tuple[int, ...]
    cells: tuple[tuple[float, ...], ...]
    wrong: int

    def record(self) -> dict[str, Any]:
        """As one JSON object, each error to two significant digits."""
        cells = [[_json(float(f"{cell:.2g}")) or 0 for cell in row] for row in self.cells]
        return {"shape": list(self.shape), "wrong": self.wrong, "cells": cells}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What kind of mistake it looks like, and in a sentence how that shows."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """One line of a case's derivation, as it was written: what `name` is, and in which line.

    A definition's name has its parameters, and comes after the names of its steps. What is carried
    along a recurrence has the formula `start: …, next: …`, and the recurrence one of how often it
    is `repeat`ed, whose name is the index. The formula of what is in Python is `module:name`.
    """

    kind: Kind
    name: str
    formula: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """How a result compares with what a baseline has of the same claim, and a sentence on that."""

    kind: Literal["known", "new", "worse", "better"]
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one quantity at one point, in one dtype on one device.

    `resolution` is relative, achieved, and infinite where nothing could be told; `difference` is
    the largest relative distance of an answer from the truth. `digits` are the decimal digits of
    the truth that an evaluation keeps, at least. `entries` are the worst ones first. `formula` is
    what was written by hand, `line` where. `diagnosis` is empty where no mistake that is known
    fits, the likeliest first where two do. `errors` are there where a tensor failed, and the case's
    `derivation` where the verdict is bad. `imports` are the modules that the run had to allow.
    `change` is there where a baseline says something else, or knows of a failure.
    """

    case: str
    file: str
    line: int
    quantity: str
    point: str
    dtype: str
    device: str
    verdict: Verdict
    blame: str = ""
    formula: str = ""
    truth: str = ""
    basis: str = ""
    resolution: float | None = None
    required: float | None = None
    difference: float | None = None
    digits: Mapping[str, float] = field(default_factory=dict)
    entries: tuple[EntryAnswers, ...] = ()
    notes: tuple[str, ...] = ()
    diagnosis: tuple[Diagnosis, ...] = ()
    errors: ErrorMap | None = None
    seconds: float = 0.0
    imports: tuple[str, ...] = ()
    derivation: tuple[Written, ...] = ()
    change: Change | None = None

    @property
    def place(self) -> tuple[str, ...]:
        """Which quantity it is of, and where it was looked at."""
        return (self.file, self.case, self.quantity, self.point, self.dtype, self.device)

    @property
    def claim(self) -> tuple[str, ...]:
        """What no two results of a run have in common: the place, and the formula there."""
        return (*self.place, self.formula)

    @property
    def is_bad(self) -> bool:
        """Whether it fails the run: what a baseline knows does not, what got worse does."""
        if self.change is not None and self.change.kind in ("known", "worse"):
            return self.change.kind == "worse"
        return self.verdict in BAD

    @property
    def standing(self) -> Standing:
        """The verdict; beside a baseline `known`, or `worse` where it would be no failure else."""
        if self.change is not None and self.change.kind == "known":
            return "known"
        return "worse" if self.is_bad and self.verdict not in BAD else self.verdict

    @property
    def is_unstable(self) -> bool:
        """Whether an evaluation loses more digits than the resolution asked for leaves."""
        return any(note.startswith(UNSTABLE) for note in self.notes)

    @property
    def is_partial(self) -> bool:
        """Whether its case's backward pass tells nothing of some inputs."""
        return any(note.startswith(UNCOVERED) for note in self.notes)

    def record(self) -> dict[str, Any]:
        """The result as one JSON object; a number that is not finite becomes a string.

        What only some results have is left out of the others' records.
        """
        worst = self.entries[0] if self.entries else None
        return {
            "schema_version": SCHEMA_VERSION,
            "case": self.case,
            "file": self.file,
            "line": self.line,
            "quantity": self.quantity,
            "formula": self.formula,
            "point": self.point,
            "dtype": self.dtype,
            "device": self.device,
            "verdict": self.verdict,
            "blame": self.blame,
            "truth": self.truth,
            "basis": self.basis,
            "resolution": _json(self.resolution),
            "required": _json(self.required),
            "difference": _json(self.difference),
            "digits": {name: round(kept, 2) for name, kept in self.digits.items()},
            "worst_entry": worst and list(worst.index),
            "entry": worst.label if worst else "",
            "oracles": _oracles(worst),
            "notes": list(self.notes),
            "diagnosis": [{"kind": one.kind, "text": one.text} for one in self.diagnosis],
            "imports": list(self.imports),
            "seconds": round(self.seconds, 6),
            **self._evidence(),
        }

    def _evidence(self) -> dict[str, Any]:
        """What only a result that is not right has."""
        others = [
            {"entry": one.label, "index": list(one.index), "oracles": _oracles(one)}
            for one in self.entries[1:]
        ]
        found = {
            "more_entries": others,
            "errors": self.errors and self.errors.record(),
            "derivation": [asdict(one) for one in self.derivation],
        }
        return {name: value for name, value in found.items() if value}


@dataclass(slots=True)
class Summary:
    """How many results had each verdict, or other standing, and what else went wrong."""

    counts: dict[Standing, int] = field(default_factory=dict)
    cases: set[tuple[str, str]] = field(default_factory=set)
    problems: int = 0
    unstable: int = 0
    partial: set[tuple[str, str]] = field(default_factory=set)
    better: int = 0
    has_failed: bool = False

    def add(self, result: Result) -> None:
        self.unstable += result.is_unstable
        if result.is_partial:
            self.partial.add((result.file, result.case))
        self.has_failed |= result.is_bad
        self.better += result.change is not None and result.change.kind == "better"
        self.counts[result.standing] = self.counts.get(result.standing, 0) + 1
        self.cases.add((result.file, result.case))

    @property
    def exit_code(self) -> int:
        """2 where something was invalid, 1 where something was not right, else 0."""
        if self.problems:
            return 2
        return 1 if self.has_failed else 0


def _oracles(entry: EntryAnswers | None) -> dict[str, dict[str, Any]]:
    if entry is None:
        return {}
    return {
        name: {
            "value": _json(answer.value),
            "radius": _json(answer.radius),
            "basis": answer.basis,
        }
        for name, answer in entry.answers.items()
    }


def _json(number: float | None) -> float | str | None:
    if number is None or math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
