"""What pytest tells at the end of all that the items found: GitHub, and a page to look at."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gradcheck.errors import UsageError
from gradcheck.report.actions import is_told

if TYPE_CHECKING:
    from gradcheck.report.html.reader import Html
    from gradcheck.report.run_report import Reader

GITHUB: Final = "--gradcheck-github"
HTML: Final = "--gradcheck-html"
_ITEM: Final = re.compile(r"(?P<case>.+)\[(?P<dtype>\w+)-(?P<device>[\w:]+)\]")
"""The name of a case's item."""


def shown(path: Path, config: pytest.Config) -> str:
    """The path as messages have it: from where pytest was started, if that is on the same drive."""
    try:
        return Path(os.path.relpath(path, config.invocation_params.dir)).as_posix()
    except ValueError:
        return path.as_posix()


class Teller:
    """Collects what items found, in whichever process, and tells it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.records: list[dict[str, Any]] = []
        self.problems: list[dict[str, Any]] = []
        self._tells_github = is_told(config.getoption(GITHUB))
        self._html = _page(config.getoption(HTML))

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.records += getattr(report, "gradcheck_records", [])
        self.problems += getattr(report, "gradcheck_problems", [])

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """What pytest-xdist says of an item whose worker died of it, or was killed meanwhile."""
        file, _, name = crashitem.partition("::")
        found = _ITEM.fullmatch(name)
        if found:
            from gradcheck.casefile.load import load
            from gradcheck.results import Result

            path = self._config.rootpath / file
            cases = load(path, shown(path, self._config)).cases
            case = next((case for case in cases if case.name == found["case"]), None)
            if case:
                where = (case.name, case.file, case.line, "", "", found["dtype"], found["device"])
                crashed = Result(*where, "error", notes=(str(report.longrepr),))
                report.gradcheck_records = [crashed.record()]  # type: ignore[attr-defined]

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode
    ) -> None:
        readers: list[Reader] = [self._html] if self._html else []
        if self._tells_github and (self.records or self.problems):
            from gradcheck.report.github import GitHub

            terminalreporter.ensure_newline()
            readers.append(GitHub(terminalreporter.write_line))
        if readers:
            is_whole = exitstatus != pytest.ExitCode.INTERRUPTED
            self._tell(readers, terminalreporter, is_whole=is_whole)

    def _tell(
        self, readers: Sequence[Reader], terminal: pytest.TerminalReporter, *, is_whole: bool
    ) -> None:
        from gradcheck.casefile.problems import Problem
        from gradcheck.records import result_of
        from gradcheck.report.run_report import STOPPED
        from gradcheck.report.terminal import total
        from gradcheck.results import Summary

        problems = [Problem(**problem) for problem in self.problems]
        results = list(map(result_of, self.records))
        summary = Summary(problems=len(problems))
        for result in results:
            summary.add(result)
        for reader in readers:
            for problem in problems:
                reader.problem(problem)
            for result in results:
                reader.result(result)
            try:
                reader.finish(total(summary).plain, *([] if is_whole else [STOPPED]))
            except UsageError as error:
                terminal.write_line(f"ERROR: {error}", red=True)
                self.session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _page(path: Path | None) -> Html | None:
    """What makes the page, where one is asked for."""
    if path is None:
        return None
    from gradcheck.report.html.reader import Html

    if path.name.endswith(".grad.yaml"):
        raise pytest.UsageError(f"{HTML} would write over the case file {path}")
    try:
        return Html(path)
    except UsageError as error:
        raise pytest.UsageError(f"{HTML}: {error}") from None
