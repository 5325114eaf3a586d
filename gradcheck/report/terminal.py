"""Results → the terminal: a line for each file, a block for what is wrong, a line to sum up."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from rich.console import Console
from rich.text import Text

from gradcheck.entries import SHOWN
from gradcheck.report.picture import picture
from gradcheck.results import Answer, EntryAnswers, Result, Standing, Summary

STYLE: Final[dict[str, str]] = {
    "pass": "green",
    "fail": "bold red",
    "error": "bold red",
    "inconclusive": "yellow",
    "xpassed": "bold red",
    "skipped": "cyan",
    "xfailed": "cyan",
}
_STYLES: Final = {**STYLE, "worse": "bold red", "known": "yellow"}
WORDS: Final[dict[Standing, str]] = {
    "pass": "passed",
    "fail": "failed",
    "error": "in error",
    "inconclusive": "inconclusive",
    "xpassed": "passed unexpectedly",
    "worse": "worse than in the baseline",
    "known": "known from the baseline",
    "skipped": "skipped",
    "xfailed": "failed as expected",
}
_NAMED: Final = 5
"""Claims that a line names."""
ORDER: Final = (
    *("function", "formula", "handwritten", "expected", "autograd", "cpu"),
    *("numeric", "exact", "reference"),
)


class Terminal:
    """Prints results as they come; `verbosity` is -1 (-q), 0 or 1 (-v)."""

    def __init__(self, console: Console, verbosity: int = 0) -> None:
        self.console = console
        self.verbosity = verbosity
        self._shown: set[tuple[str, ...]] = set()
        self._skipped: Counter[str] = Counter()

    def result(self, result: Result) -> None:
        """A block for a result that fails the run; with -v a line for any other.

        What fails likewise at further points is one line each.
        """
        if result.verdict == "skipped":
            self._skipped.update(result.notes)
        if result.is_bad and self.verbosity >= 0:
            is_known = self._is_known(result) and self.verbosity == 0
            for text in [heading(result)] if is_known else block(result):
                self._print(text)
        elif result.standing == "known" and self.verbosity >= 0:
            self._print(heading(result).append(f"  {_change(result)}"))
        elif self.verbosity > 0:
            self._print(line(result))

    def _is_known(self, result: Result) -> bool:
        """Whether the like of it has been shown, at another point."""
        kind = kind_of(result)
        known = kind in self._shown
        self._shown.add(kind)
        return known

    def file(self, name: str, summary: Summary) -> None:
        """What became of one file."""
        if self.verbosity >= 0:
            text = Text(f"{name}  {_count(len(summary.cases), 'case')}  ")
            self._print(text + _tally(summary))

    def summary(self, summary: Summary, seconds: float, told: Sequence[str] = ()) -> None:
        """What became of all, why some were skipped, and what else is to be `told`."""
        for reason, count in self._skipped.items():
            self._print(Text(f"skipped {count}: {reason}"))
        for sentence in told:
            self._print(Text(sentence))
        self._print(total(summary).append(f"  ({seconds:.1f} s)"))

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True, highlight=False)


def total(summary: Summary) -> Text:
    """What became of all, in a line."""
    text = Text(f"{_count(len(summary.cases), 'case')}, ") + _tally(summary)
    if summary.problems:
        text.append(", ")
        text.append(_count(summary.problems, "problem") + " in the files", "bold red")
    return text


def unseen(results: Sequence[Result]) -> str:
    """How much of a baseline was not looked at, and what of that had failed."""
    bad = [f"{r.file}::{r.case} {r.quantity}".rstrip() for r in results if r.is_bad]
    failed = list(dict.fromkeys(bad))
    text = f"{_count(len(results), 'result')} of the baseline not looked at"
    if not failed:
        return text
    others = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return f"{text}, of which failed: {', '.join(failed[:_NAMED])}{others}"


def kind_of(result: Result) -> tuple[str, ...]:
    """What a result has in common with its like at other points."""
    where = (result.file, str(result.line), result.case, result.quantity, result.formula)
    return (*where, result.dtype, result.device, result.verdict, result.blame)


def block(result: Result) -> Iterator[Text]:
    """What went wrong, who is wrong, where, by how much, and how to see it again."""
    yield Text()
    yield from problem(result)
    yield Text(f"  repeat: {repeat_command(result)}", "dim")


def problem(result: Result) -> Iterator[Text]:
    """What went wrong, who is wrong, where and by how much."""
    yield heading(result)
    if sentence := blame_sentence(result):
        yield Text("  " + sentence)
    yield from evidence(result)


def evidence(result: Result) -> Iterator[Text]:
    """The formula, the worst entries with every answer, and what is to be said about them."""
    if result.formula:
        yield Text(f"  {result.line or '':5} | {result.formula}", "bold")
    for one in result.diagnosis:
        if one.text not in result.notes:
            yield Text(f"  {one.text}", "italic")
    for cells in _table(result):
        yield Text("  " + cells)
    if result.errors is not None and result.errors.wrong and math.prod(result.errors.shape) > SHOWN:
        for shades in picture(result.errors):
            yield Text("  " + shades)
    for note in result.notes:
        yield Text(f"  {note}")
    if result.change is not None:
        yield Text(f"  {result.change.text}", "bold")


def heading(result: Result) -> Text:
    """What became of it, of what, and where."""
    text = Text()
    text.append(result.standing.upper(), _STYLES[result.standing])
    text.append(f"  {result.file}:{result.line}  " if result.file else "  ")
    text.append(f"{result.case}  {result.quantity}".rstrip(), "bold")
    point = f"point {result.point}" if result.point else ""
    where = ", ".join(filter(None, [result.dtype, result.device, point]))
    return text.append(f"  [{where}]" if where else "")


def _change(result: Result) -> str:
    """What became of it since the baseline; of what is known also what that is."""
    said = result.change.text if result.change else ""
    return f"{result.verdict}, {said}" if result.standing == "known" else said


def blame_sentence(result: Result) -> str:
    """Who is wrong and by how much, in words."""
    if result.verdict == "inconclusive":
        return (f"blame: {result.blame}; " if result.blame else "") + _what_hides(result)
    if result.verdict != "fail":
        return f"blame: {result.blame}" if result.blame else ""
    names = result.blame.split(",")
    sentence = f"blame: {' and '.join(names)}"
    if result.difference and math.isfinite(result.difference):
        sentence += f", off by {percent(result.difference)} of the largest entry"
    first = result.entries[0].answers if result.entries else {}
    right = [name for name in ("handwritten", "autograd") if name in first and name not in names]
    if right and result.difference is not None:
        sentence += f"; {' and '.join(right)} agree{'s' * (len(right) == 1)} with the truth"
    return sentence


def _what_hides(result: Result) -> str:
    """Why an inconclusive result is not a pass."""
    if result.resolution is None or result.required is None or math.isinf(result.resolution):
        return "the derivative cannot be told"
    if result.resolution > result.required:
        reached, required = percent(result.resolution), percent(result.required)
        return f"errors below {reached} would not be noticed, {required} is asked for"
    return "the answers differ by more than their error bounds, which accuses nobody"


def repeat_command(result: Result) -> str:
    """The command that repeats just this case."""
    case = shlex.quote(f"{result.file}::{result.case}")
    allowed = "".join(f" --allow-import {module}" for module in result.imports)
    return f"gradcheck run {case} --dtype {result.dtype} --device {result.device}{allowed}"


def _table(result: Result) -> Iterator[str]:
    """The worst entries, a row each, a column for each oracle."""
    if not result.entries:
        return
    names = [name for name in ORDER if name in result.entries[0].answers]
    header = ["entry", *(f"{n} (truth)" if n == result.truth else n for n in names)]
    rows = [header, *(row(entry, names) for entry in result.entries)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(header))]
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()


def row(entry: EntryAnswers, names: Sequence[str]) -> list[str]:
    """What each says of one entry, to so many digits that answers which differ look different."""
    answers = [entry.answers.get(name) for name in names]
    known = [answer for answer in answers if answer is not None]
    for digits in (12, 17):
        cells = ["" if answer is None else answer_text(answer, digits) for answer in answers]
        if not any(_look_alike(*pair, digits) for pair in combinations(known, 2)):
            break
    return [entry.label, *cells]


def _look_alike(a: Answer, b: Answer, digits: int) -> bool:
    """Whether two answers that do not overlap are the same when they are printed."""
    if not abs(a.value - b.value) > a.radius + b.radius:
        return False
    return f"{a.value:.{digits}g}" == f"{b.value:.{digits}g}"


def answer_text(answer: Answer, digits: int) -> str:
    """`value ± radius`."""
    if math.isinf(answer.radius):
        return "cannot tell"
    radius = f"{answer.radius:.1e}" if answer.radius else "0"
    return f"{answer.value:.{digits}g} ± {radius}"


def percent(ratio: float | None) -> str:
    if ratio is None or not math.isfinite(ratio):
        return "any size"
    return f"{ratio:.2%}" if 1e-3 <= ratio < 10 else f"{ratio:.1e}"


def line(result: Result) -> Text:
    """What became of a result, in one line."""
    text = Text("  ")
    text.append(result.verdict, STYLE[result.verdict])
    where = f"{result.dtype} {result.device} point {result.point}" if result.point else ""
    text.append(f"  {result.case}  {result.quantity}  {where}".rstrip())
    if result.resolution is not None:
        text.append(f"  resolution {result.resolution:.0e}")
    if result.digits:
        kept = ", ".join(f"{name} {digits:.1f}" for name, digits in result.digits.items())
        text.append(f"  digits {kept}")
    for note in result.notes:
        text.append(f"  {note}")
    return text.append(f"  {_change(result)}" if result.change else "")


def _tally(summary: Summary) -> Text:
    parts = [
        Text(f"{summary.counts[standing]} {words}", _STYLES[standing])
        for standing, words in WORDS.items()
        if summary.counts.get(standing)
    ]
    if summary.better:
        better = f"{summary.better} better than in the baseline (-v shows them)"
        parts.append(Text(better, "green"))
    if summary.unstable:
        parts.append(Text(f"{summary.unstable} unstable (-v shows them)", "yellow"))
    if summary.partial:
        cases = f"{len(summary.partial)} case{'s'[: len(summary.partial) != 1]}"
        parts.append(Text(f"inputs not covered in {cases} (-v shows them)", "yellow"))
    return Text(", ").join(parts) if parts else Text("nothing run")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
