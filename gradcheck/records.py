"""JSON Lines that `gradcheck run --jsonl` wrote → results, and what a shard says at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.results import SCHEMA_VERSION, Result

END: Final = "run"
"""The only key, beside the schema's version, of the record that a finished shard ends with."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What a shard's file ends with, as soon as all of the shard has been run.

    `shard` is one of `shards`, from 1. `selection` is the same for all shards of one selection.
    `records` are those that come before. `problems` are those of the case files.
    """

    version: str
    shard: int
    shards: int
    selection: str
    records: int
    problems: tuple[Problem, ...]
    seconds: float

    def record(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, END: asdict(self)}


@dataclass(frozen=True, slots=True)
class Records:
    """The results in a file, and its end where it has one."""

    path: Path
    results: tuple[Result, ...]
    end: RunEnd | None


_RESULT: Final = TypeAdapter(Result)
_END: Final = TypeAdapter(RunEnd)


def read(path: Path) -> Records:
    """The records in a file.

    Raises:
        UsageError: It cannot be read, is cut off, or holds something else; with path and line.
    """
    results: list[Result] = []
    end: RunEnd | None = None
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            if end is not None:
                raise UsageError("nothing may follow the record that ends a run")
            record = _record(line)
            if END in record:
                end = _valid(_END, record[END])
            else:
                results.append(result_of(record))
        except UsageError as error:
            raise UsageError(f"{path}:{number}: {error}") from None
    return Records(path, tuple(results), end)


def result_of(record: dict[str, Any]) -> Result:
    """The result that a record is of, as far as it is written there.

    Raises:
        UsageError: It is of something else.
    """
    return _valid(_RESULT, {**record, "entries": list(_entries(record))})


def _lines(path: Path) -> list[str]:
    """With their ends, which the last has not where the file is cut off."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}:1: this is no JSON") from None
    if not lines:
        raise UsageError(f"{path} is empty")
    return lines


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = f"this is no JSON: {error}" if line.endswith("\n") else "the record is cut off"
        raise UsageError(what) from None
    version = record.get("schema_version") if isinstance(record, dict) else None
    if version is None:
        raise UsageError("this is no record of `gradcheck run --jsonl`")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"this record has schema_version {version}, this gradcheck reads {SCHEMA_VERSION}: "
            "write the file anew"
        )
    return dict(record)


def _entries(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The worst entry, which a record has by itself, and those after it."""
    index = record.get("worst_entry")
    if index is not None:
        label = record.get("entry") or record.get("quantity")
        yield {"label": label, "index": index, "answers": record.get("oracles")}
    for one in record.get("more_entries") or ():
        if not isinstance(one, dict):
            raise UsageError("this is no record of `gradcheck run --jsonl`: `more_entries`")
        label, index = one.get("entry"), one.get("index")
        yield {"label": label, "index": index, "answers": one.get("oracles")}


def _valid(adapter: TypeAdapter[_T], data: Any) -> _T:
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"`{where}`: {first['msg']}" if where else first["msg"]
        raise UsageError(f"this is no record of `gradcheck run --jsonl`: {what}") from None
