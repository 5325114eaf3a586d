"""Where case files are: `*.grad.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from gradcheck.errors import UsageError

SUFFIX: Final = ".grad.yaml"


def find(paths: Iterable[str]) -> Iterator[Path]:
    """The case files at `paths`: files as they are, directories searched for `*.grad.yaml`.

    Raises:
        UsageError: A path does not exist.
    """
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(file for file in path.rglob(f"*{SUFFIX}") if file.is_file())
        elif path.exists():
            yield path
        else:
            raise UsageError(f"there is no file or directory {path}")
