"""The pytest plugin: collects case files; an item is a case in one dtype on one device.

Nothing heavy is imported before a case file is met.
"""

from __future__ import annotations

import atexit
import functools
import gc
import re
import shlex
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gradcheck.errors import (
    CaseFailedError,
    ExpectedFailureError,
    InvalidCaseError,
    UsageError,
)
from gradcheck.pytest_teller import GITHUB, HTML, Teller, shown
from gradcheck.report.actions import CHOICES, is_told

if TYPE_CHECKING:
    from gradcheck.casefile.problems import Problem
    from gradcheck.checker import Checker
    from gradcheck.imports import Imports
    from gradcheck.jobs import Job

_ALLOW_IMPORT: Final = "--gradcheck-allow-import"
_CHECKER: Final = pytest.StashKey["Checker"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradcheck", "derivatives written by hand, in case files")
    group.addoption(
        "--gradcheck-device",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1 or all: run on these devices, in place of the cases' own.",
    )
    group.addoption(
        _ALLOW_IMPORT,
        metavar="MODULE",
        action="append",
        default=[],
        help="let cases import functions from this module, and from all below it.",
    )
    group.addoption(
        GITHUB,
        choices=CHOICES,
        default="auto",
        help="annotations and a step's summary in GitHub Actions.",
    )
    group.addoption(
        HTML,
        metavar="FILE",
        type=Path,
        help="write a page to look at here too.",
    )
    parser.addini(
        "gradcheck_allow_import",
        "Modules from which, with all below them, cases may import functions.",
        type="args",
        default=[],
    )
    parser.addini(
        "gradcheck_files",
        "Patterns for the names of case files (*.grad.yaml).",
        type="args",
        default=["*.grad.yaml"],
    )


def pytest_configure(config: pytest.Config) -> None:
    device = config.getoption("--gradcheck-device")
    if device is not None:
        from gradcheck.devices import check_name

        try:
            check_name(device)
        except UsageError as error:
            raise pytest.UsageError(f"--gradcheck-device: {error}") from None
    if _allowed(config):
        try:
            _imports(config)
        except UsageError as error:
            raise pytest.UsageError(f"--gradcheck-allow-import: {error}") from None
    if _is_told(config) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Teller(config))


def _is_told(config: pytest.Config) -> bool:
    """Whether anybody is to be told of all that was found."""
    return is_told(config.getoption(GITHUB)) or config.getoption(HTML) is not None


def _allowed(config: pytest.Config) -> list[str]:
    """The modules that may be imported: those of the option and those of the ini file."""
    return [*config.getoption(_ALLOW_IMPORT), *config.getini("gradcheck_allow_import")]


def _checker(config: pytest.Config) -> Checker:
    """What runs the cases of this process; with pytest's debugger, in the process itself."""
    if _CHECKER not in config.stash:
        from gradcheck.checker import Checker

        number = getattr(config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw")
        has_debugger = config.getoption("usepdb") or config.getoption("trace")
        config.stash[_CHECKER] = Checker(int(number), apart=not has_debugger)
        config.add_cleanup(config.stash[_CHECKER].close)
    return config.stash[_CHECKER]


def _imports(config: pytest.Config) -> Imports:
    from gradcheck.imports import Imports

    return Imports.of(_allowed(config), str(config.rootpath))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CaseFile | None:
    if any(map(file_path.match, parent.config.getini("gradcheck_files"))):
        return CaseFile.from_parent(parent, path=file_path)
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Modules and conftests that were read after the first case files may matter to functions."""
    if _CHECKER in session.config.stash:
        session.config.stash[_CHECKER].catch_up()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Lets the cases go one by one: in a search for garbage they are a great many objects."""
    for item in session.items:
        if isinstance(item, CaseItem):
            del item.job


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if isinstance(item, CaseItem) and isinstance(nextitem, CaseItem):
        item.then = nextitem.job


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Gives an item's last report what was found: workers of xdist hand on nothing else."""
    report = yield
    if call.when == "teardown" and _is_told(item.config):
        if isinstance(item, CaseItem):
            report.gradcheck_records = item.records  # type: ignore[attr-defined]
        elif isinstance(item, InvalidItem):
            report.gradcheck_problems = [asdict(one) for one in item.problems]  # type: ignore[attr-defined]
    return report


class CaseFile(pytest.File):
    """A case file; each of its cases is an item for each dtype and device that it runs in."""

    def collect(self) -> Iterator[pytest.Item]:
        from gradcheck.casefile.load import load
        from gradcheck.jobs import jobs

        _leave_quickly()
        _checker(self.config)  # which gets ready while files are read
        file = load(self.path, shown(self.path, self.config))
        _register(self.config, {tag for case in file.cases for tag in case.tags})
        for name, problems in _by_case(file.problems).items():
            yield self._item(InvalidItem, f"{name}[invalid]", problems=problems)
        device = self.config.getoption("--gradcheck-device")
        there = _checker(self.config).devices if file.cases else None
        for job in jobs(file.cases, device=device, there=there, imports=_imports(self.config)):
            yield self._item(CaseItem, job.id, job=job)

    def _item(self, kind: type[pytest.Item], name: str, **arguments: Any) -> pytest.Item:
        """An item with its node id spelled out.

        pytest would take the brackets for a part of the name, and not know it again for --lf.
        """
        node_id = f"{self.nodeid}::{name}"
        item: pytest.Item = kind.from_parent(self, name=name, nodeid=node_id, **arguments)
        return item


@functools.cache
def _leave_quickly() -> None:
    """Spares the interpreter its last search for garbage, once pytest has made its own.

    Among torch's objects it takes half a second, and finds what ends with the process anyway.
    """
    atexit.register(gc.freeze)


def _register(config: pytest.Config, tags: Iterable[str]) -> None:
    """Makes the tags known as markers, so that `-m` finds them and nobody warns of them."""
    lines = config.getini("markers")
    known = {line.partition(":")[0].partition("(")[0].strip() for line in lines}
    for tag in sorted(set(tags) - known):
        config.addinivalue_line("markers", f"{tag}: a tag of case files")


def _by_case(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """The problems by the case that they stand in; by "" what concerns the file as a whole."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(re.sub(r"[^A-Za-z0-9_.-]", "_", problem.case), []).append(problem)
    return found


def _properties(item: pytest.Item, **others: str) -> list[tuple[str, object]]:
    """What JUnit XML says of an item: where it stands, and what became of it."""
    return [("file", item.nodeid.partition("::")[0]), *others.items()]


class CaseItem(pytest.Item):
    """A case in one dtype on one device."""

    def __init__(self, *, job: Job, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.job = job
        self.then: Job | None = None
        self.records = [job.result(verdict="skipped").record()] if job.skip else []
        for tag in sorted(job.case.tags):
            self.add_marker(tag)
        if job.skip:
            self.add_marker(pytest.mark.skip(reason=job.skip))
            self.user_properties = _properties(self, line=str(job.case.line), verdict="skipped")
        if job.case.xfail:
            reason = job.case.xfail.reason
            self.add_marker(
                pytest.mark.xfail(reason=reason, strict=True, raises=ExpectedFailureError)
            )

    def runtest(self) -> None:
        from gradcheck.report.item import properties

        results = list(_checker(self.config).run(self.job, self.then))
        found = properties(results, self.job.case.line)
        self.user_properties = _properties(self, **found)
        self.records = [result.record() for result in results]
        if found["verdict"] in ("error", "fail", "inconclusive"):
            raise CaseFailedError(results)
        if found["verdict"] == "xfailed":
            raise ExpectedFailureError(results)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, CaseFailedError):
            from gradcheck.report.item import failure_text

            results = excinfo.value.results
            return failure_text(results, self._repeat(results[0].imports))
        return super().repr_failure(excinfo, style)

    def _repeat(self, imports: Iterable[str]) -> str:
        """The command that runs just this item."""
        device = self.config.getoption("--gradcheck-device")
        option = ["--gradcheck-device", device] if device else []
        allowed = self.config.getoption(_ALLOW_IMPORT)
        for module in (one for one in imports if one in allowed):
            option += [_ALLOW_IMPORT, module]
        return shlex.join(["pytest", *option, f"{self.job.case.file}::{self.name}"])

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.job.case.line - 1, self.name


class InvalidItem(pytest.Item):
    """What is wrong with a case, or with a file as a whole: it fails, and the rest runs."""

    def __init__(self, *, problems: list[Problem], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.problems = problems
        self.user_properties = _properties(self, line=str(problems[0].line), verdict="invalid")

    def runtest(self) -> None:
        raise InvalidCaseError(self.problems)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, InvalidCaseError):
            return "\n".join(problem.with_caret() for problem in self.problems)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.problems[0].line - 1, self.name
