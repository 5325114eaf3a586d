"""Case files → cases; every problem of a file is found in one pass, and stops only its own case."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gradcheck.casefile import model_errors, models
from gradcheck.casefile.build import CaseBuilder
from gradcheck.casefile.case import Case
from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.names import Reader, name_problem
from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.language.expression import Definition, Expression

SUFFIX: Final = ".grad.yaml"
Model = TypeVar("Model", bound=BaseModel)
_CASE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_DEFINITION: Final = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What a file holds: the cases that can run, and all that is wrong with the others."""

    name: str
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]


def find(paths: Iterable[str]) -> Iterator[FilePath]:
    """The case files at `paths`: files as they are, directories searched for `*.grad.yaml`.

    Raises:
        UsageError: A path does not exist.
    """
    for path in map(FilePath, paths):
        if path.is_dir():
            yield from sorted(file for file in path.rglob(f"*{SUFFIX}") if file.is_file())
        elif path.exists():
            yield path
        else:
            raise UsageError(f"there is no file or directory {path}")


def load(path: FilePath) -> CaseFile:
    """Reads a case file; nothing is raised for what it holds."""
    return read(Document.read(path, path.as_posix()))


def read(document: Document) -> CaseFile:
    """The cases of a document."""
    reader = _FileReader(document)
    cases = tuple(reader.cases())
    return CaseFile(document.name, cases, tuple(sorted(set(reader.problems))))


class _FileReader:
    """Reads one document: its head, its definitions, then case after case."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = list(document.problems)

    def cases(self) -> Iterator[Case]:
        head = self._head()
        if head is None:
            return
        definitions = self._definitions(head.definitions)
        names: set[str] = set()
        for name, data in head.cases.items():
            path: Path = ("cases", name)
            if not _CASE_NAME.fullmatch(name):
                message = f"`{name}` is no name of a case: use letters, digits, _, . and -"
                self.problems.append(self.document.problem(path, message, key=True))
            for case in self._case(name, data, head.defaults, definitions):
                if case.name in names:
                    message = f"there are two cases named `{case.name}`"
                    self.problems.append(self.document.problem(path, message, key=True))
                    continue
                names.add(case.name)
                yield case

    def _case(
        self,
        name: str,
        data: Any,  # noqa: ANN401
        defaults: models.Defaults,
        definitions: dict[str, Definition],
    ) -> list[Case]:
        """The cases of one entry; none if anything is wrong with it."""
        path: Path = ("cases", name)
        before = len(self.problems)
        model = self._validated(models.Case, data, path)
        if model is None or not self._is_clean(path):
            return []
        builder = CaseBuilder(self.document, name, model, defaults, definitions)
        cases = builder.build()
        self.problems += builder.read.problems
        return cases if len(self.problems) == before else []

    def _is_clean(self, path: Path) -> bool:
        """Whether reading the YAML itself found nothing wrong inside of the case."""
        first, _ = self.document.position(path, key=True)
        after = min((line for line in self._case_lines if line > first), default=sys.maxsize)
        return not any(first <= problem.line < after for problem in self.document.problems)

    @cached_property
    def _case_lines(self) -> list[int]:
        names = self.document.data["cases"]
        return [self.document.position(("cases", name), key=True)[0] for name in names]

    def _head(self) -> models.Head | None:
        data = self.document.data
        if data is None:
            if not self.problems:
                message = "the file is empty: write cases under `cases:`"
                self.problems.append(self.document.problem((), message))
            return None
        if not isinstance(data, dict):
            message = "a case file is a mapping: write cases under `cases:`"
            self.problems.append(self.document.problem((), message))
            return None
        head = self._validated(models.Head, data, ())
        if head is not None or not isinstance(data.get("cases"), dict):
            return head
        # What is wrong in the head does not keep the cases from being read.
        return models.Head(cases=data["cases"])

    def _validated(self, model: type[Model], data: Any, path: Path) -> Model | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self.problems += model_errors.problems(error, model, self.document, path)
            return None

    def _definitions(self, written: dict[str, Any]) -> dict[str, Definition]:
        """The definitions, each of which may use those before it."""
        known: dict[str, Definition] = {}
        reader = Reader(self.document, known)
        for key, body in written.items():
            definition = self._definition(key, body, reader, known)
            if definition is not None:
                reader.definitions[definition.name] = known[definition.name] = definition
        self.problems += reader.problems
        return known

    def _definition(
        self,
        key: str,
        body: Any,  # noqa: ANN401
        reader: Reader,
        known: dict[str, Definition],
    ) -> Definition | None:
        path: Path = ("definitions", key)
        match = _DEFINITION.fullmatch(key)
        if match is None:
            reader.report(path, "a definition is written `name(argument, …): formula`", key=True)
            return None
        name = match[1]
        parameters = [part.strip() for part in match[2].split(",") if part.strip()]
        taken = dict.fromkeys(known, "a definition")
        before = len(reader.problems)
        for new in (name, *parameters):
            if problem := name_problem(new, taken):
                reader.report(path, problem, key=True)
            taken[new] = "an argument" if new != name else "this definition"
        steps = self._steps(path, body, parameters, taken, reader)
        if len(reader.problems) > before:
            return None
        return Definition(name, tuple(parameters), tuple(steps))

    def _steps(
        self,
        path: Path,
        body: Any,  # noqa: ANN401
        parameters: list[str],
        taken: dict[str, str],
        reader: Reader,
    ) -> Iterator[tuple[str, Expression]]:
        if not isinstance(body, dict):
            expression = reader.formula(path, parameters)
            if expression:
                yield "out", expression
            return
        scope = list(parameters)
        for step in body:
            if problem := name_problem(step, taken):
                reader.report((*path, step), problem, key=True)
            taken[step] = "a step"
            expression = reader.formula((*path, step), scope, later=set(body) - set(scope))
            scope.append(step)
            if expression:
                yield step, expression


