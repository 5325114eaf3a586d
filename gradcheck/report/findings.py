"""What a search finds → the terminal: a block for each finding, a line for each file, a sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from gradcheck.jobs import Job
from gradcheck.report.counting import counted
from gradcheck.report.terminal import STYLE, problem
from gradcheck.results import Verdict
from gradcheck.search.cases import MODERATE, CaseFinding, CaseSearch
from gradcheck.search.search import SECONDS

LONGEST: Final = 4_000
"""Characters of a point that is printed."""


@dataclass(slots=True)
class Tally:
    """How much was looked at and found."""

    cases: int = 0
    points: int = 0
    findings: int = 0
    failures: int = 0
    without_domain: int = 0

    def text(self) -> Text:
        text = Text(f"{counted(self.cases, 'case')}  ")
        if self.findings:
            text.append(counted(self.findings, "finding"), STYLE["fail"])
        else:
            text.append("nothing found", STYLE["pass"])
        if self.failures:
            text.append(", ")
            text.append(f"{self.failures} in error", STYLE["error"])
        return text.append(f", looked at {counted(self.points, 'point')}")


class FindingsReport:
    """Prints findings as they come; when it `is_quiet`, the sum alone."""

    def __init__(self, console: Console, *, is_quiet: bool = False) -> None:
        self.console = console
        self.total = Tally()
        self._is_quiet = is_quiet
        self._of_file = Tally()

    def finding(self, finding: CaseFinding) -> None:
        """What is wrong first in full, what else is wrong there in a line, and where that is."""
        for tally in (self.total, self._of_file):
            tally.findings += 1
        first, *others = finding.results
        texts = [Text(), *problem(first), *(next(problem(other)) for other in others)]
        for text in texts:
            self._print(text)
        for line in finding.lines:
            too_long = f"  a point of {len(line):,} characters, which --jsonl writes down"
            self._print(Text(too_long if len(line) > LONGEST else f"  {line}"))

    def case(self, search: CaseSearch) -> None:
        """A case that was looked at; what keeps that from being all is told."""
        looked = search.search
        for tally in (self.total, self._of_file):
            tally.cases += 1
            tally.points += looked.points
            tally.without_domain += bool(search.without_domain)
        if looked.is_cut_short:
            points = counted(looked.points, "point")
            what = f"stopped after {SECONDS:g} s of computing, at {points}"
            self._tell("cut short", "inconclusive", search.job, what)

    def failed(self, job: Job, reason: str) -> None:
        """A case of which nothing can be said."""
        for tally in (self.total, self._of_file):
            tally.cases += 1
            tally.failures += 1
        self._tell("ERROR", "error", job, reason)

    def skipped(self, job: Job, reason: str) -> None:
        """A case that is not looked at."""
        self._tell("skipped", "skipped", job, reason)

    def file(self, name: str) -> None:
        """What became of one file, which ends here."""
        if self._of_file.cases:
            self._print(Text(f"{name}  ") + self._of_file.text())
        self._of_file = Tally()

    def summary(self, seconds: float) -> None:
        """What became of all, and what was assumed of inputs."""
        if self.total.without_domain:
            assumed = (
                f"not every input has a `domain` in {counted(self.total.without_domain, 'case')}: "
                f"what has none was looked for up to {MODERATE:,.0f} in size, or as it is drawn"
            )
            self.console.print(Text(assumed), soft_wrap=True, highlight=False)
        text = self.total.text().append(f"  ({seconds:.1f} s)")
        self.console.print(text, soft_wrap=True, highlight=False)

    def _tell(self, what: str, style: Verdict, job: Job, reason: str) -> None:
        where = f"  {job.case.file}::{job.case.name}: {reason}"
        self._print(Text().append(what, STYLE[style]).append(where))

    def _print(self, text: Text) -> None:
        if not self._is_quiet:
            self.console.print(text, soft_wrap=True, highlight=False)
