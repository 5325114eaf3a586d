"""Results → GitHub Actions: annotations on the lines of case files, and the step's summary.

GitHub shows ten annotations of a level from one step, so the worst come first, and each quantity
of a case has one: what fails in other dtypes and at other points is counted. All are in the
summary, unless it would be longer than a step's may be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.report.actions import is_told
from gradcheck.report.counting import counted
from gradcheck.report.order import WORST_FIRST, worst_first
from gradcheck.report.terminal import blame_sentence, block, heading, repeat_command
from gradcheck.results import Result

MOST: Final = 10
"""Annotations of a level that GitHub shows of one step."""
LARGEST: Final = 512 * 1024
"""Bytes of a step's summary; GitHub refuses one of more than twice as many."""
LONGEST: Final = 2_000
"""Characters of an annotation's message."""
_ROOM: Final = 256
"""Bytes for the sentence that says what is left out."""
Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at one place: how bad that is, in a few lines, and in full."""

    order: tuple[int, float]
    level: Level
    file: str
    line: int
    column: int
    title: str
    message: str
    full: str


class GitHub:
    """Collects what is wrong, and tells it at the end; `write` prints a line of the log."""

    def __init__(
        self, write: Callable[[str], object], environment: Mapping[str, str] = os.environ
    ) -> None:
        self._write = write
        self._environment = environment
        self._problems: list[Problem] = []
        self._bad: list[Result] = []
        self._known: list[Result] = []

    @classmethod
    def of_problems(cls, write: Callable[[str], object], problems: Iterable[Problem]) -> GitHub:
        """That of files which are only read."""
        github = cls(write)
        for problem in problems:
            github.problem(problem)
        return github

    def problem(self, problem: Problem) -> None:
        self._problems.append(problem)

    def result(self, result: Result) -> None:
        if result.is_bad:
            self._bad.append(result)
        elif result.standing == "known":
            self._known.append(result)

    def finish(self, *told: str) -> None:
        """Annotates, and appends to the step's summary, which begins with what is `told`.

        Raises:
            UsageError: The summary cannot be written.
        """
        found = sorted(
            [*map(_invalid, self._problems), *map(_wrong, _alike(self._bad))],
            key=lambda finding: (finding.order, finding.file, finding.line),
        )
        path = self._environment.get("GITHUB_STEP_SUMMARY")
        for line in self._annotations(found, "in the step's summary" if path else "in the log"):
            self._write(line)
        if path:
            known = [f"- <code>{escape(heading(one).plain)}</code>" for one in self._known]
            self._append(Path(path), _head(*told), [*map(self._section, found), *known])

    def _annotations(self, found: Sequence[Finding], where: str) -> Iterator[str]:
        left = len(found)
        for level in ("error", "warning"):
            for one in [one for one in found if one.level == level][:MOST]:
                left -= 1
                place = {"file": self._path(one.file), "line": one.line, "col": one.column}
                yield _command(level, {**place, "title": one.title}, one.message)
        if left:
            more = f"{counted(left, 'place')} more where something is wrong: {where}"
            yield _command("notice", {"title": "gradcheck"}, more)

    def _path(self, file: str) -> str:
        """As the repository has it, wherever the command is run."""
        root = self._environment.get("GITHUB_WORKSPACE")
        with suppress(ValueError):  # on Windows, on another drive
            inside = os.path.relpath(os.path.realpath(file), os.path.realpath(root or "."))
            if root and not inside.startswith(os.pardir):
                return Path(inside).as_posix()
        return file

    def _section(self, one: Finding) -> str:
        """A line that can be opened: what and where, and below it all that is known."""
        where = escape(f"{one.file}:{one.line}")
        if url := self._url(one):
            where = f'<a href="{escape(url)}">{where}</a>'
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", one.full)), default=0))
        head = f"<details><summary>{where} {escape(one.title)}</summary>"
        return f"{head}\n\n{fence}text\n{one.full}\n{fence}\n</details>"

    def _url(self, one: Finding) -> str:
        known = [self._environment.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY")]
        commit = self._environment.get("GITHUB_SHA")
        if not all(known) or not commit:
            return ""
        server, repository = known
        path = quote(self._path(one.file), errors="replace")
        return f"{server}/{repository}/blob/{commit}/{path}#L{one.line}"

    def _append(self, path: Path, head: str, sections: Sequence[str]) -> None:
        """Adds as much as there is room for to what the step has in its summary already."""
        try:
            with path.open("ab") as file:
                used = file.tell()
                file.write(b"\n".join(_fitting(head, sections, LARGEST - used)))
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def refusing(choice: str, write: Callable[[str], object]) -> Iterator[None]:
    """Annotates the step as a whole where what is done within cannot be done."""
    try:
        yield
    except UsageError as error:
        if is_told(choice):
            write(_command("error", {"title": "gradcheck"}, str(error)))
        raise


def _alike(results: Iterable[Result]) -> list[list[Result]]:
    """Those of one line and quantity, the worst first."""
    found: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        place = (result.file, str(result.line), result.case, result.quantity)
        found.setdefault(place, []).append(result)
    return [sorted(listed, key=worst_first) for listed in found.values()]


def _wrong(alike: Sequence[Result]) -> Finding:
    worst, *others = alike
    inconclusive = worst.standing == "inconclusive"
    return Finding(
        worst_first(worst),
        "warning" if inconclusive else "error",
        worst.file,
        worst.line,
        0,
        f"{worst.standing}: {worst.case} {worst.quantity}".rstrip(),
        _clipped("\n".join(_message(worst, len(others)))),
        "\n".join(line.plain for line in [*list(block(worst))[1:], *map(heading, others)]),
    )


def _message(worst: Result, others: int) -> Iterator[str]:
    """What is said of it on the line where it stands."""
    if sentence := blame_sentence(worst):
        yield sentence
    yield from dict.fromkeys([one.text for one in worst.diagnosis] + list(worst.notes))
    if worst.change is not None:
        yield worst.change.text
    where = f"{worst.dtype}, {worst.device}" + (f", point {worst.point}" if worst.point else "")
    also = f", and {counted(others, 'time')} more at other points or in other dtypes"
    yield f"in {where}{also if others else ''}"
    yield f"repeat: {repeat_command(worst)}"


def _invalid(problem: Problem) -> Finding:
    order = WORST_FIRST.index("invalid"), 0.0
    title = f"invalid: {problem.case}" if problem.case else "invalid"
    place = problem.file, problem.line, problem.column
    return Finding(order, "error", *place, title, _clipped(problem.message), problem.with_caret())


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _head(first: str, *others: str) -> str:
    return "".join(f"{line}\n\n" for line in (f"### gradcheck: {first}", *map(escape, others)))


def _fitting(head: str, sections: Sequence[str], room: int) -> list[bytes]:
    """The first sections that have room, and how many have not."""
    texts = [text.encode("utf-8", "backslashreplace") for text in (head, *sections)]
    kept: list[bytes] = []
    for text in texts:
        room -= len(text) + 1
        if room < _ROOM:
            break
        kept.append(text)
    if left := len(texts) - max(len(kept), 1):
        are = "is" if left == 1 else "are"
        said = f"\n{left:,} more {are} left out, as a step's summary has a limit: see the log."
        kept.append(said.encode())
    return [*kept, b""]


def _command(level: str, properties: Mapping[str, object], message: str) -> str:
    """A workflow command; a column of 0 is none."""
    said = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value)
    return f"::{level} {said}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
