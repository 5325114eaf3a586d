"""Results → what the page's script shows: rows of numbers, and pieces of HTML to be opened."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gradcheck.report.html.derivation import derivation
from gradcheck.report.html.evidence import evidence, repeat
from gradcheck.report.html.formulas import Formulas
from gradcheck.report.html.marks import marks_of
from gradcheck.report.order import worst_first
from gradcheck.report.terminal import blame_sentence
from gradcheck.results import Result

CLAIM: Final = ("file", "line", "case", "quantity", "formula", "derivation")
RESULT: Final = (
    *("claim", "standing", "blame", "kinds", "notices", "said", "dtype", "device", "point"),
    *("resolution", "required", "difference", "digits", "seconds", "notes", "evidence"),
)
"""What the columns of rows are called."""

PACK: Final = 50
"""Pieces that are compressed, and read, together."""

Case = tuple[str, str]


def contents(results: Sequence[Result]) -> tuple[dict[str, Any], list[str]]:
    """Claims, and their results from the worst to the best, as rows of columns; and pieces.

    A case's derivation, and the evidence of what is not right, are pieces of HTML, which rows have
    the number of: they are many times as long, and needed only where something is opened.
    """
    pieces = _Pieces(results)
    rows = [pieces.row(result) for result in sorted(results, key=worst_first)]
    columns = {"claims": CLAIM, "results": RESULT}
    table = {"columns": columns, "claims": pieces.claims, "results": rows, "pack": PACK}
    return table, pieces.html


def notices(result: Result) -> Iterator[str]:
    """What is to be looked at also where it passes."""
    if result.is_unstable:
        yield "unstable"
    if result.is_partial:
        yield "inputs not covered"
    if result.change is not None and result.change.kind == "better":
        yield "better than in the baseline"


def embedded(data: Any) -> str:
    """JSON within a script of HTML, which no text in it can end."""
    return _json(data).replace("<", "\\u003c")


def packed(pieces: Sequence[str]) -> str:
    """A line for each `PACK` of them: JSON, compressed, as what is alike in pieces is most."""
    packs = (pieces[start : start + PACK] for start in range(0, len(pieces), PACK))
    return "\n".join(base64.b64encode(zlib.compress(_json(p).encode())).decode() for p in packs)


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class _Pieces:
    """Numbers claims, and pieces, as results come that have them."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.claims: list[list[Any]] = []
        self.html: list[str] = []
        self._marks = marks_of(results)
        self._numbers: dict[tuple[str, ...], int] = {}
        self._cases: dict[Case, tuple[Formulas, int | None]] = {}

    def row(self, result: Result) -> list[Any]:
        return [
            self._claim(result),
            result.standing,
            result.blame,
            [one.kind for one in result.diagnosis],
            list(notices(result)),
            _said(result),
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
        return self._add(evidence(result, self._case(result)[0]) + repeat(result))

    def _add(self, html: str) -> int:
        self.html.append(html)
        return len(self.html) - 1

    def _case(self, result: Result) -> tuple[Formulas, int | None]:
        """What reads a case's formulas, and the number of its derivation, if that is known."""
        key = (result.file, result.case)
        if key not in self._cases or (result.derivation and self._cases[key][1] is None):
            formulas, number = Formulas(result.derivation), None
            if result.derivation:
                shown = derivation(result.derivation, formulas, self._marks.get(key, {}))
                number = self._add(shown)
            self._cases[key] = formulas, number
        return self._cases[key]


def _said(result: Result) -> str:
    """In a sentence: what the mistake looks like, else what was found, else by how much."""
    texts = [one.text for one in result.diagnosis]
    if not texts and not (result.is_bad and result.entries):
        texts = list(result.notes)
    return texts[0] if texts else blame_sentence(result)


def _short(number: float | None) -> float | str | None:
    if number is None or math.isfinite(number):
        return number and float(f"{number:.3g}")
    return "any" if math.isinf(number) else "NaN"
