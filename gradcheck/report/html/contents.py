"""Results → what the page's script shows: rows of numbers, and pieces of HTML to be opened."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gradcheck.report.html.derivation import derivation
from gradcheck.report.html.evidence import evidence
from gradcheck.report.html.formulas import Formulas
from gradcheck.report.order import WORST_FIRST, worst_first
from gradcheck.report.terminal import blame_sentence
from gradcheck.results import Result, Standing

CLAIM: Final = ("file", "line", "case", "quantity", "formula", "derivation")
RESULT: Final = (
    *("claim", "standing", "blame", "kinds", "said", "dtype", "device", "point"),
    *("resolution", "required", "difference", "digits", "seconds", "notes", "evidence"),
)
"""What the columns of rows are called."""

Case = tuple[str, str]


def contents(results: Sequence[Result]) -> dict[str, Any]:
    """Claims, and their results from the worst to the best; both as rows of columns.

    A case's derivation, and the evidence of what is not right, are HTML; rows have their numbers.
    """
    pieces = _Pieces(results)
    ordered = sorted(results, key=worst_first)
    rows = [pieces.row(result) for result in ordered]
    return {
        "columns": {"claims": CLAIM, "results": RESULT},
        "claims": pieces.claims,
        "results": rows,
        "derivations": pieces.derivations,
        "evidence": pieces.evidence,
    }


def embedded(data: Any) -> str:
    """JSON within a script of HTML, which no text in it can end."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


class _Pieces:
    """Numbers claims, derivations and evidence as results come that have them."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.claims: list[list[Any]] = []
        self.derivations: list[str] = []
        self.evidence: list[str] = []
        self._marks = _marks(results)
        self._numbers: dict[tuple[str, ...], int] = {}
        self._cases: dict[Case, tuple[Formulas, int | None]] = {}

    def row(self, result: Result) -> list[Any]:
        said = [one.text for one in result.diagnosis] or [blame_sentence(result)]
        return [
            self._claim(result),
            result.standing,
            result.blame,
            [one.kind for one in result.diagnosis],
            said[0] or " ".join(result.notes[:1]),
            *(result.dtype, result.device, result.point),
            *map(_short, (result.resolution, result.required, result.difference)),
            result.digits,
            result.seconds,
            result.notes,
            self._evidence(result),
        ]

    def _claim(self, result: Result) -> int:
        key = (result.file, result.case, result.quantity, result.formula)
        if key not in self._numbers:
            self._numbers[key] = len(self.claims)
            file, case, quantity, formula = key
            self.claims.append([file, result.line, case, quantity, formula, None])
        number = self._numbers[key]
        if result.derivation:
            self.claims[number][-1] = self._case(result)[1]
        return number

    def _evidence(self, result: Result) -> int | None:
        if result.standing in ("pass", "skipped"):
            return None
        self.evidence.append(evidence(result, self._case(result)[0]))
        return len(self.evidence) - 1

    def _case(self, result: Result) -> tuple[Formulas, int | None]:
        """What reads a case's formulas, and the number of its derivation, if that is known."""
        key = (result.file, result.case)
        if key not in self._cases or (result.derivation and self._cases[key][1] is None):
            formulas, number = Formulas(result.derivation), None
            if result.derivation:
                number = len(self.derivations)
                shown = derivation(result.derivation, formulas, self._marks.get(key, {}))
                self.derivations.append(shown)
            self._cases[key] = formulas, number
        return self._cases[key]


def _marks(results: Sequence[Result]) -> Mapping[Case, Mapping[tuple[str, str], Standing]]:
    """What became of each formula of each case, at its worst."""
    found: dict[Case, dict[tuple[str, str], Standing]] = {}
    for result in results:
        of_case = found.setdefault((result.file, result.case), {})
        key = (result.quantity, result.formula)
        standings = [result.standing, *([of_case[key]] if key in of_case else [])]
        of_case[key] = min(standings, key=WORST_FIRST.index)
    return found


def _short(number: float | None) -> float | str | None:
    if number is None or math.isfinite(number):
        return number and float(f"{number:.3g}")
    return "any" if math.isinf(number) else "NaN"
