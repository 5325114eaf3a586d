"""A case is begun: its entry is added to a file, or to one that is made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gradcheck.casefile.document import Document
from gradcheck.casefile.files import SUFFIX
from gradcheck.casefile.load import definitions, read
from gradcheck.casefile.names import case_name_problem
from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.imports import Imports
from gradcheck.new.addition import addition
from gradcheck.new.draft import Draft
from gradcheck.new.given import check_python, read_inputs, read_steps

SCHEMA: Final = "gradcheck.schema.json"
"""What editors know the keys of case files by."""


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case that was added to a file; `is_first` where that was made, too.

    `left` is what the file's reader asks to be written.
    """

    path: Path
    is_first: bool
    left: tuple[Problem, ...]


def new_case(
    name: str,
    path: Path,
    formulas: Sequence[str],
    python: str,
    values: Iterable[str],
    imports: Imports,
) -> NewCase:
    """Adds a case to the file at `path`.

    Args:
        formulas: One formula, or steps `name: formula`; none where the function is in `python`.
        values: Inputs, each as `name=value`.
        imports: With what a function in Python is imported, for its parameters' names.

    Raises:
        UsageError: There is such a case, or what is given makes none; nothing was written.
        UserImportError: The function in Python is not to be had.
    """
    if problem := case_name_problem(name):
        raise UsageError(problem)
    if not path.name.endswith(SUFFIX):
        raise UsageError(f"`gradcheck run` finds *{SUFFIX}: {path} needs another name")
    if "::" in str(path):
        raise UsageError(f"`gradcheck run` takes `::` for a file's end: {path} needs another name")
    is_first = not path.exists()
    text = _head(path) if is_first else _text(path)
    known = Document.parse(text, path.as_posix())
    if name in known.mapping("cases"):
        raise UsageError(f"there is a case `{name}` in {path} already: choose another name")
    inputs = read_inputs(values)
    if python:
        check_python(python, inputs, imports)
    steps = () if python else read_steps(formulas, definitions(known), inputs)
    draft = Draft(name, steps, python, inputs)
    if wrong := _problems(name, path, _with(path, text, draft.text(derivative="0"))):
        raise UsageError("\n".join(replace(one, file="").with_caret() for one in wrong))
    text = _with(path, text, draft.text())
    _write(path, text)
    return NewCase(path, is_first, _problems(name, path, text))


def schema_for(path: Path) -> Path:
    """Where the schema for a case file is: where the command is run, if the file is below that."""
    here = Path.cwd()
    return (here if path.resolve().is_relative_to(here) else path.parent.resolve()) / SCHEMA


def _head(path: Path) -> str:
    """How a file begins, for editors."""
    schema = Path(os.path.relpath(schema_for(path), path.parent)).as_posix()
    return f"# yaml-language-server: $schema={schema}\n"


def _text(path: Path) -> str:
    document = Document.read(path)
    if document.data is None and document.problems:
        raise UsageError("\n".join(problem.with_caret() for problem in document.problems))
    return path.read_bytes().decode("utf-8")


def _with(path: Path, text: str, entry: str) -> str:
    found = addition(text, entry)
    if found is None:
        message = (
            "a case cannot be added to these: each has to be lines of its own, up to the file's "
            "end; or choose another --file"
        )
        document = Document.parse(text, path.as_posix())
        raise UsageError(document.problem(("cases",), message).with_caret())
    place, entry = found
    return text[:place] + entry + text[place:]


def _problems(name: str, path: Path, text: str) -> tuple[Problem, ...]:
    """What is wrong with one case of a file's text."""
    file = read(Document.parse(text, path.as_posix()))
    return tuple(problem for problem in file.problems if problem.case == name)


def _write(path: Path, text: str) -> None:
    """Writes the whole file, or leaves it as it was."""
    path = path.resolve()
    if path.exists() and not os.access(path, os.W_OK):
        raise UsageError(f"{path} cannot be written: it is read-only")
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(text.encode())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
