"""Records → JSON Lines: one record a line, complete up to the last one at any moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from gradcheck.errors import UsageError


class Recorded(Protocol):
    """What can be said as one JSON object."""

    def record(self) -> dict[str, Any]: ...


class JsonLines:
    """Writes records to a file; use as a context manager.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._usable():
            self._file = path.open("w", encoding="ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # what `add` could not write
            self._file.close()

    def add(self, result: Recorded) -> None:
        # In ASCII, so that neither U+2028 ends a line nor a file name that is no UTF-8 a run.
        record = json.dumps(result.record(), ensure_ascii=True, allow_nan=False)
        with self._usable():
            self._file.write(record + "\n")
            self._file.flush()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self._path} cannot be written: {error.strerror}") from error
