"""A run → an HTML file, written at its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gradcheck.casefile.problems import Problem
from gradcheck.records import result_of
from gradcheck.report.text_file import write_text
from gradcheck.results import Result


class Html:
    """Collects what a run finds, and writes the page at the end.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: list[Result] = []
        self._problems: list[Problem] = []
        write_text(path, "")  # it is known before the run whether that can be

    def problem(self, problem: Problem) -> None:
        self._problems.append(problem)

    def result(self, result: Result) -> None:
        self._results.append(result)

    def finish(self, *told: str) -> None:
        from gradcheck.report.html.page import page

        write_text(self._path, page([*map(_recorded, self._results)], self._problems, told))


def _recorded(result: Result) -> Result:
    """As its record has it, so that shards make the page that one run would have made."""
    return replace(result_of(result.record()), change=result.change)
