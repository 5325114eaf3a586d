"""Outcomes of wrong versions → the terminal: what survived, and what each file scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from rich.console import Console
from rich.text import Text

from gradcheck.mutation.outcome import Fate, Outcome, Score
from gradcheck.report.points_entry import constants_line, points_entry

MOST_NUMBERS: Final = 64
"""Of a point that is printed."""


class MutationReport:
    """Prints outcomes as they come; `verbosity` is -1 (-q), 0 or 1 (-v).

    `total` is the score of all, `wrong` counts the cases that do not pass as they are.
    """

    def __init__(self, console: Console, verbosity: int = 0) -> None:
        self.console = console
        self.verbosity = verbosity
        self.total = Score()
        self.wrong = 0
        self._left = 0
        self._of_file = Score()
        self._of_case = Score()

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to look at."""
        return not self.total.cases and not self._left

    def outcome(self, outcome: Outcome) -> None:
        """A block for what survived."""
        for score in (self.total, self._of_file, self._of_case):
            score.add(outcome)
        if outcome.fate == "survived" and self.verbosity >= 0:
            for text in survivor(outcome):
                self._print(text)

    def case(self, file: str, name: str) -> None:
        """What became of one case, which ends here."""
        if self.verbosity > 0 and self._of_case.fates:
            self._print(Text(f"  {file}::{name}  ") + _tally(self._of_case))
        self._of_case = Score()

    def file(self, name: str) -> None:
        """What became of one file, which ends here."""
        if self.verbosity >= 0:
            self._print(Text(f"{name}  {len(self._of_file.cases)} cases  ") + _tally(self._of_file))
        self._of_file = Score()

    def left_out(self, file: str, name: str, reason: str, *, is_wrong: bool) -> None:
        """A case of which nothing can be said, as where it `is_wrong` itself."""
        self._left += 1
        self.wrong += is_wrong
        self._print(Text(f"left out  {file}::{name}: {reason}", "yellow"))

    def summary(self, seconds: float) -> None:
        """What became of all."""
        text = f"{len(self.total.formulas):,} formulas of {len(self.total.cases)} cases, "
        self._print(Text(text) + _tally(self.total) + Text(f"  ({seconds:.1f} s)"))

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True, highlight=False)


def survivor(outcome: Outcome) -> Iterator[Text]:
    """What survived, why, and where it would not have."""
    yield Text()
    heading = Text("SURVIVED", "bold red")
    heading.append(f"  {outcome.file}:{outcome.line}  ")
    yield heading.append(f"{outcome.case}  {outcome.quantity}", "bold")
    yield Text(f"  {outcome.line:5} | {outcome.formula}")
    yield Text(f"  wrong | {outcome.wrong}", "bold")
    is_named = outcome.mistake != outcome.wrong
    yield Text(f"  {outcome.mistake}: {outcome.reason}" if is_named else f"  {outcome.reason}")
    if not outcome.inputs:
        return
    values = [*outcome.inputs.values(), *outcome.constants.values()]
    count = sum(value.array("", 0).size for value in values)
    if count > MOST_NUMBERS:
        yield Text(f"  it is noticed at a point of {count} numbers, which --jsonl writes down")
        return
    yield Text("  it is noticed at this point:")
    yield Text(f"    {points_entry(outcome.inputs)}")
    if outcome.constants:
        yield Text(f"    {constants_line(outcome.constants)}")


def _tally(score: Score) -> Text:
    """`98.9 %  (2,960 noticed, 34 survived, 15 equivalent)`."""
    if not score.fates:
        return Text("nothing looked at")
    style = "bold red" if score.fates.get("survived") else "green"
    found = ((fate, score.fates.get(fate, 0)) for fate in get_args(Fate))
    counts = ", ".join(f"{count:,} {fate}" for fate, count in found if count)
    return Text(f"{_percent(score)}", style) + Text(f"  ({counts})")


def _percent(score: Score) -> str:
    """Rounded down: 100 % is all of them."""
    tenths = int(score.percent * 10)
    return f"{tenths // 10}.{tenths % 10} %"
