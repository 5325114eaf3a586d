"""Which cases a command means: `PATH[::CASE]`, `-k`, `--tag`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradcheck.casefile.case import Case
from gradcheck.casefile.files import find
from gradcheck.casefile.load import CaseFile, load
from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.language.spelling import suggestion


@dataclass(frozen=True, slots=True)
class Selection:
    """Files as they were read, the cases of each that were asked for, and what is wrong there."""

    files: tuple[CaseFile, ...]
    cases: dict[str, list[Case]]
    problems: tuple[Problem, ...]

    @property
    def count(self) -> int:
        return sum(map(len, self.cases.values()))


def select(paths: Iterable[str], keyword: str = "", tags: Sequence[str] = ()) -> Selection:
    """Reads the files at `paths` and picks cases.

    A path may be followed by `::` and a case's name. `keyword` is a part of `FILE::CASE`, in any
    case of letters; of several `tags` one has to be there.

    Raises:
        UsageError: A path or a named case does not exist.
    """
    files: dict[str, CaseFile] = {}
    chosen: dict[str, list[Case]] = {}
    problems: dict[Problem, None] = {}
    for path in paths:
        base, _, name = path.partition("::")
        for found in find([base]):
            file = files.get(found.as_posix()) or load(found)
            files[file.name] = file
            listed = chosen.setdefault(file.name, [])
            cases = _named(file, name) if name else file.cases
            listed += [case for case in cases if case not in listed]
            problems |= dict.fromkeys(_problems(file, name))
    return Selection(
        tuple(files.values()),
        {
            file: [case for case in cases if _is_wanted(case, keyword, tags)]
            for file, cases in chosen.items()
        },
        tuple(problems),
    )


def _problems(file: CaseFile, name: str) -> list[Problem]:
    """What is wrong with the file; with a case named, what concerns that one."""
    wanted = [case.entry for case in file.cases if case.name == name]
    return [p for p in file.problems if not name or p.case in ("", name, *wanted)]


def _named(file: CaseFile, name: str) -> list[Case]:
    """The case of that name, or all that one entry with listed sizes stands for."""
    found = [case for case in file.cases if name in (case.name, case.entry)]
    if not found and not _problems(file, name):
        invalid = [problem.case for problem in file.problems]
        close = suggestion(name, [*(case.name for case in file.cases), *filter(None, invalid)])
        raise UsageError(f"there is no case `{name}` in {file.name}{close}")
    return found


def _is_wanted(case: Case, keyword: str, tags: Sequence[str]) -> bool:
    if keyword.lower() not in f"{case.file}::{case.name}".lower():
        return False
    return not tags or not case.tags.isdisjoint(tags)
