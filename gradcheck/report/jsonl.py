"""Results → JSON Lines: one record a line, complete up to the last result at any moment."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from gradcheck.results import Result


class JsonLines:
    """Writes records to a file; use as a context manager.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        record = json.dumps(result.record(), ensure_ascii=False, allow_nan=False)
        self._file.write(record + "\n")
        self._file.flush()
