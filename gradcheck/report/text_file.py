"""A report that is written as a whole."""

from __future__ import annotations

from pathlib import Path

from gradcheck.errors import UsageError


def write_text(path: Path, text: str) -> None:
    """Writes a file; what is no text in UTF-8 is shown as it would be escaped.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
