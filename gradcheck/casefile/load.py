"""Case files → cases; every problem of a file is found in one pass, and stops only its own case."""

from __future__ import annotations

import bisect
import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gradcheck.casefile import model_errors, models, names
from gradcheck.casefile.build import CaseBuilder
from gradcheck.casefile.case import WIDTH, Case
from gradcheck.casefile.definitions import DefinitionReader
from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.names import Reader
from gradcheck.casefile.problems import Problem
from gradcheck.language.expression import Definition

MOST_CASES: Final = 10_000  # in a file
MOST_PROBLEMS: Final = 1_000
LONGEST_MESSAGE: Final = 500
Model = TypeVar("Model", bound=BaseModel)
_SETTINGS: Final = frozenset(models.Defaults.model_fields).union(
    ("about", "autograd", "domain", "forward_mode", "known", "rng", "skip", "xfail")
)


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What a file holds: the cases that can run, and all that is wrong with the others."""

    name: str
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]


def load(path: FilePath, name: str | None = None) -> CaseFile:
    """Reads a case file, called `name` in messages; nothing is raised for what it holds."""
    with _collecting_later():
        return read(Document.read(path, name or path.as_posix()))


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Reading makes many objects and no cycles: to look for some takes a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read(document: Document) -> CaseFile:
    """The cases of a document."""
    reader = _FileReader(document)
    cases = tuple(reader.cases())
    problems = {*document.problems, *map(_clipped, reader.told())}
    return CaseFile(document.name, cases, tuple(map(reader.placed, sorted(problems))))


def definitions(document: Document) -> Mapping[str, Definition]:
    """The definitions of a document that cases can use."""
    reader = _FileReader(document)
    data = reader.head()
    return {} if data is None else reader.definitions_of(data["definitions"]).known


def _clipped(problem: Problem) -> Problem:
    if len(problem.message) <= LONGEST_MESSAGE:
        return problem
    return replace(problem, message=f"{problem.message[:LONGEST_MESSAGE]}…")


class _FileReader:
    """Reads one document: its head, its definitions, then case after case."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.known_places = {(problem.line, problem.column) for problem in document.problems}

    def cases(self) -> Iterator[Case]:
        data = self.head()
        if data is None:
            return
        self.defaults, _ = self._valid(models.Defaults, data["defaults"], ("defaults",))
        self.definitions = self.definitions_of(data["definitions"])
        if len(data["cases"]) > MOST_CASES:
            message = f"a file has at most {MOST_CASES:,} cases: split it"
            self._report(("cases",), message)
            return
        yield from self._all_cases(data["cases"])

    def _all_cases(self, written: dict[str, Any]) -> Iterator[Case]:
        known: set[str] = set()
        for name, data in written.items():
            cases = self._case(name, data)
            clash = next((case.name for case in cases if case.name in known), None)
            if clash is not None:
                self._report(("cases", name), f"there is a case `{clash}` already")
                continue
            known.update(case.name for case in cases)
            if len(known) > MOST_CASES:
                message = f"a file has at most {MOST_CASES:,} cases, sizes included: split it"
                self._report(("cases", name), message)
                return
            yield from cases
            if len(self.problems) > MOST_PROBLEMS:
                message = f"more than {MOST_PROBLEMS:,} problems: nothing after this case was read"
                self._report(("cases", name), message)
                return

    def told(self) -> Iterator[Problem]:
        """The problems, but nothing where the YAML itself is wrong: one mistake is said once."""
        for problem in self.problems:
            if (problem.line, problem.column) not in self.known_places:
                yield problem

    def _report(self, path: Path, message: str) -> None:
        self.problems.append(self.document.problem(path, message, key=True))

    def _case(self, name: str, data: Any) -> list[Case]:
        """The cases of one entry; none if anything is wrong with it."""
        path: Path = ("cases", name)
        before = len(self.problems)
        if message := names.case_name_problem(name):
            self._report(path, message)
        clean = self._is_clean(path)
        model = self._validated(models.Case, data, path) or self._without_settings(data)
        if model is None or not clean:
            return []
        reader = Reader(self.document, self.definitions.known, self.definitions.unusable)
        cases = CaseBuilder(name, model, self.defaults, reader).build()
        self.problems += reader.problems
        if len(reader.problems) == names.MOST_PROBLEMS:
            self._report(path, "this case has more problems than are shown")
        return cases if len(self.problems) == before and not reader.failed else []

    def _without_settings(self, data: Any) -> models.Case | None:
        """A case in whose settings something is wrong, without them: its formulas can be read.

        None where more is wrong than the settings.
        """
        if not isinstance(data, dict):
            return None
        kept = {key: value for key, value in data.items() if key not in _SETTINGS}
        if "autograd" in data:
            kept["autograd"] = {}  # so that there is something to check
        try:
            # It is in all dtypes, so that nothing follows from those that it has not.
            return models.Case.model_validate({**kept, "dtypes": list(WIDTH)})
        except ValidationError as error:
            unknown = model_errors.unknown_keys(error)
        meant = {model_errors.meant(key, models.Case.model_fields) for key in unknown}
        if not meant or not meant <= _SETTINGS:
            return None
        return self._without_settings({k: v for k, v in kept.items() if k not in unknown})

    def _is_clean(self, path: Path) -> bool:
        """Whether reading the YAML itself found nothing wrong inside of the case."""
        if not self.known_places:
            return True
        first = self.document.position(path, key=True)
        found = min((place for place in self.known_places if place >= first), default=None)
        later = bisect.bisect(self._case_places, first)
        if found is None:
            return True
        if later < len(self._case_places):
            return self._case_places[later] <= found
        # What stands below the last case, but not further in, is not part of it.
        return found[0] > first[0] and found[1] <= first[1]

    def placed(self, problem: Problem) -> Problem:
        """The problem, with the case that it stands in."""
        before = bisect.bisect(self._case_places, (problem.line, problem.column))
        if not before:
            return problem
        last = self._case_places[before - 1]
        inside = problem.column >= last[1] or problem.line == last[0]
        return replace(problem, case=self._case_names[last]) if inside else problem

    @cached_property
    def _case_names(self) -> dict[tuple[int, int], str]:
        cases = self.document.data.get("cases") if isinstance(self.document.data, dict) else None
        names = cases if isinstance(cases, dict) else ()
        return {self.document.position(("cases", name), key=True): name for name in names}

    @cached_property
    def _case_places(self) -> list[tuple[int, int]]:
        return sorted(self._case_names)

    def head(self) -> dict[str, dict[str, Any]] | None:
        """The parts of the file, each of which can be read whatever is wrong with the others."""
        data = self.document.data
        if data is None:
            if not self.document.problems:
                self._report((), "the file is empty: write cases under `cases:`")
            return None
        if not isinstance(data, dict):
            self._report((), "a case file is a mapping: write cases under `cases:`")
            return None
        self._validated(models.Head, data, (), shown=models.File)
        parts = {key: data.get(key) for key in models.Head.model_fields}
        return {key: part if isinstance(part, dict) else {} for key, part in parts.items()}

    def _validated(
        self, model: type[Model], data: Any, path: Path, *, shown: type[BaseModel] | None = None
    ) -> Model | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self._add(model_errors.problems(error, shown or model, self.document, path), path)
            return None

    def _add(self, problems: Iterable[Problem], path: Path) -> None:
        """Adds what does not merely follow from what was wrong with the YAML."""
        clean = self._is_clean(path) if path else not self.known_places
        self.problems += [
            problem for problem in problems if clean or not problem.message.endswith(" is missing")
        ]

    def _valid(
        self, model: type[Model], written: dict[str, Any], path: Path
    ) -> tuple[Model, dict[str, Any]]:
        """The model of what is right, and the rest, which is reported."""
        try:
            return model.model_validate(written), {}
        except ValidationError as error:
            self._add(model_errors.problems(error, model, self.document, path), path)
            wrong = {one["loc"][0] for one in error.errors()}
        right = {key: value for key, value in written.items() if key not in wrong}
        return model.model_validate(right), {key: written[key] for key in written if key in wrong}

    def definitions_of(self, written: dict[str, Any]) -> DefinitionReader:
        right, wrong = self._valid(models.Definitions, written, ("definitions",))
        reader = DefinitionReader(self.document)
        reader.read_all(right.named, wrong)
        self.problems += reader.read.problems
        return reader
