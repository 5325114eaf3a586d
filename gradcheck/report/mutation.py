"""Outcomes of wrong versions → the terminal: what survived, and what each file scores."""

from __future__ import annotations

from typing import get_args

from rich.console import Console
from rich.text import Text

from gradcheck.casefile.case import Case
from gradcheck.mutation.outcome import Fate, Outcome, Score
from gradcheck.report.counting import counted
from gradcheck.report.survivors import survivors


class MutationReport:
    """Prints what becomes of cases as they end; `verbosity` is -1 (-q), 0 or 1 (-v).

    `total` is the score of all, `wrong` counts the cases that do not pass as they are, `left` all
    that can tell nothing, and `skipped` those that are not looked at.
    """

    def __init__(self, console: Console, verbosity: int = 0) -> None:
        self.console = console
        self.verbosity = verbosity
        self.total = Score()
        self.wrong = self.left = self.skipped = 0
        self._of_file = Score()
        self._of_case = Score()
        self._survived: list[Outcome] = []

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to look at."""
        return not self.total.cases and not self.left

    def outcome(self, outcome: Outcome) -> None:
        """What became of one wrong version; what survived is told where its case ends."""
        for score in (self.total, self._of_file, self._of_case):
            score.add(outcome)
        if outcome.fate == "survived":
            self._survived.append(outcome)

    def case(self, case: Case) -> None:
        """What became of a case, which ends here."""
        score, survived = self._of_case, self._survived
        self._of_case, self._survived = Score(), []
        if survived and self.verbosity >= 0:
            in_full = self.verbosity > 0
            for text in survivors(case, survived, score.wrong, in_full=in_full):
                self._print(text)
        if score.fates and self.verbosity > 0:
            self._print(Text(f"  {_name(case)}  ") + _tally(score))

    def file(self, name: str) -> None:
        """What became of one file, which ends here."""
        if self._of_file.cases and self.verbosity >= 0:
            cases = counted(len(self._of_file.cases), "case")
            self._print(Text(f"{name}  {cases}  ") + _tally(self._of_file))
        self._of_file = Score()

    def left_out(self, case: Case, reason: str, *, is_wrong: bool) -> None:
        """A case of which nothing can be said, as where it `is_wrong` itself."""
        self.left += 1
        self.wrong += is_wrong
        self._print(Text(f"left out  {_name(case)}: {reason}", "yellow"))

    def skip(self, case: Case, reason: str) -> None:
        """A case that is not looked at."""
        self.skipped += 1
        if self.verbosity > 0:
            self._print(Text(f"skipped  {_name(case)}: {reason}", "cyan"))

    def summary(self, seconds: float) -> None:
        """What became of all."""
        formulas, cases = len(self.total.formulas), len(self.total.cases)
        text = Text(f"{counted(formulas, 'formula')} of {counted(cases, 'case')}, ")
        text += _tally(self.total)
        for number, what in ((self.left, "left out"), (self.skipped, "skipped")):
            text.append(f", {number} {what}" if number else "")
        self._print(text.append(f"  ({seconds:.1f} s)"))

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True, highlight=False)


def _name(case: Case) -> str:
    return f"{case.file}::{case.entry}"


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
