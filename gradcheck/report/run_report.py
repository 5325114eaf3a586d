"""A run → all who read of it: the terminal, files of records, GitHub, JUnit, a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import click
from rich.console import Console

from gradcheck.baseline import Baseline
from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.records import RunEnd
from gradcheck.report.actions import is_told
from gradcheck.report.github import GitHub
from gradcheck.report.jsonl import JsonLines
from gradcheck.report.junit import JUnit
from gradcheck.report.terminal import Terminal, total, unseen
from gradcheck.results import Result, Summary

STOPPED: Final = "the run was stopped before its end: not all was looked at"


@contextmanager
def run_report(
    console: Console,
    *,
    jsonl: Path | None,
    junit: Path | None,
    html: Path | None,
    github: str,
    baseline: Path | None,
    quiet: bool,
    verbose: bool,
) -> Iterator[RunReport]:
    """The report that a command's options ask for.

    Raises:
        UsageError: A file cannot be written, or the baseline cannot be read.
    """
    if junit and junit.resolve() in {path.resolve() for path in (jsonl, baseline) if path}:
        raise UsageError(f"--junit would write over the records in {junit}")
    known = Baseline.read(baseline) if baseline else None  # before `jsonl` takes its place
    readers: list[Reader] = [JUnit(junit)] if junit else []
    if html:
        from gradcheck.report.html.reader import Html

        readers.append(Html(html))
    if is_told(github):
        readers.append(GitHub(click.echo))
    terminal = Terminal(console, verbosity=int(verbose) - int(quiet))
    with ExitStack() as stack:
        lines = stack.enter_context(JsonLines(jsonl)) if jsonl else None
        yield RunReport(terminal, lines, readers, known)


class Reader(Protocol):
    """Who collects what a run finds, and tells it at the end."""

    def problem(self, problem: Problem) -> None: ...

    def result(self, result: Result) -> None: ...

    def finish(self, *told: str) -> None: ...


@dataclass(slots=True)
class RunReport:
    """Tells what a run finds as it comes, against a `baseline` where there is one.

    A record in `lines` says what was found; what a baseline makes of it is for the others.
    """

    terminal: Terminal
    lines: JsonLines | None = None
    readers: Sequence[Reader] = ()
    baseline: Baseline | None = None
    total: Summary = field(default_factory=Summary)
    count: int = 0

    @property
    def console(self) -> Console:
        return self.terminal.console

    def problems(self, problems: Iterable[Problem]) -> None:
        """What is wrong with files, which has been shown."""
        for problem in problems:
            self.total.problems += 1
            for reader in self.readers:
                reader.problem(problem)

    def result(self, result: Result) -> Result:
        """Tells of a result; returns it as the baseline lets it be seen."""
        self.count += 1
        if self.lines:
            self.lines.add(result)
        shown = self.baseline.judged(result) if self.baseline else result
        self.total.add(shown)
        self.terminal.result(shown)
        for reader in self.readers:
            reader.result(shown)
        return shown

    def file(self, name: str, summary: Summary) -> None:
        """What became of one file, which ends here."""
        self.terminal.file(name, summary)

    def files(self, files: Mapping[str, Sequence[Result]]) -> None:
        """Tells of results that are all there already."""
        for name, results in files.items():
            summary = Summary()
            for result in results:
                summary.add(self.result(result))
            self.file(name, summary)

    def ends(self, end: RunEnd) -> None:
        """Leaves a record that all has been run."""
        if self.lines:
            self.lines.add(end)

    def nothing(self) -> None:
        """Nothing was selected: what is wrong with files is all that there is to tell."""
        self._finish("nothing selected")

    def summary(self, seconds: float, *, is_part: bool = False, is_whole: bool = True) -> None:
        """What became of all; of a part nobody asks what it did not look at.

        Of a run that is not whole, readers are told so.
        """
        left = self.baseline.unseen() if self.baseline and not is_part else []
        told = [unseen(left)] if left else []
        try:
            self.terminal.summary(self.total, seconds, told)
        finally:  # files are written though nobody reads the terminal any more
            stopped = [] if is_whole else [STOPPED]
            self._finish(total(self.total).plain, *stopped, *told)

    def _finish(self, *told: str) -> None:
        """Lets every reader finish, also where another cannot."""
        with ExitStack() as stack:
            for reader in reversed(self.readers):
                stack.callback(reader.finish, *told)
