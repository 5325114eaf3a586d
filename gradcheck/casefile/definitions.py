"""`definitions:` → helpers that formulas may call; each may use those above it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.names import Reader, name_problem
from gradcheck.language.expression import Definition, Expression

MOST_DEFINITIONS: Final = 1_000

_HEADER: Final = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*", re.ASCII)
_NAME: Final = re.compile(r"\s*(\w+)", re.ASCII)
_REPORTED: Final = ""


def named_by(key: str) -> str:
    """The name that a key of `definitions` means to define."""
    match = _NAME.match(key)
    return match[1] if match else key


class DefinitionReader:
    """Reads the definitions of one document; problems are kept in `read`.

    `known` are those that can be used, `unusable` the others, with the reason if it has not been
    reported.
    """

    def __init__(self, document: Document) -> None:
        self.known: dict[str, Definition] = {}
        self.unusable: dict[str, str] = {}
        self.read = Reader(document, self.known, self.unusable)

    def read_all(self, written: Mapping[str, Any], unread: Mapping[str, Any]) -> None:
        """Reads what is `written`; the `unread` were reported as no definitions at all."""
        if len(written) > MOST_DEFINITIONS:
            message = f"a file has at most {MOST_DEFINITIONS:,} definitions: split it"
            self.read.report(("definitions",), message, key=True)
            unread, written = written, {}
        for key in written:
            name = named_by(key)
            self.unusable[name] = f"`{name}` is defined below: a definition uses those above it"
        for key, body in written.items():
            self._read_one(key, body)
        self.unusable.update(dict.fromkeys(map(named_by, unread), _REPORTED))

    def _read_one(self, key: str, body: Any) -> None:
        path: Path = ("definitions", key)
        name = named_by(key)
        is_new = name not in self.known
        self.unusable[name] = f"`{name}` is what is defined here: a definition cannot use itself"
        definition = self._definition(key, body, path)
        self.unusable[name] = _REPORTED
        if definition is None:
            self.known.pop(name, None)
        elif is_new:
            self.known[name] = definition
            del self.unusable[name]

    def _definition(self, key: str, body: Any, path: Path) -> Definition | None:
        match = _HEADER.fullmatch(key)
        if match is None:
            message = "a definition is written `name(argument, …): formula`"
            self.read.report(path, message, key=True)
            return None
        name = match[1]
        parameters = [part.strip() for part in match[2].split(",") if part.strip()]
        taken = dict.fromkeys(self.known, "a definition")
        self.read.failed = False
        for new in (name, *parameters):
            if problem := name_problem(new, taken):
                self.read.report(path, problem, key=True)
            taken[new] = "an argument" if new != name else "this definition"
        if self.read.failed:
            return None
        steps = tuple(self._steps(path, body, parameters, taken))
        return None if self.read.failed else Definition(name, tuple(parameters), steps)

    def _steps(
        self, path: Path, body: Any, parameters: list[str], taken: dict[str, str]
    ) -> Iterator[tuple[str, Expression]]:
        if not isinstance(body, dict):
            expression = self.read.formula(path, parameters)
            if expression is not None:
                yield "out", expression
            return
        scope = dict.fromkeys(parameters)
        later = dict.fromkeys(body)
        for step in body:
            if problem := name_problem(step, taken):
                self.read.report((*path, step), problem, key=True)
            taken[step] = "a step"
            expression = self.read.formula((*path, step), scope, later=later)
            scope[step] = later.pop(step)
            if expression is not None:
                yield step, expression
