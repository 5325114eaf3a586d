"""Where in a user's own code something happened; torch is not imported for it."""

from __future__ import annotations

import importlib.util
import os
import sysconfig
import traceback
from pathlib import Path
from typing import Final

_OURS: Final = str(Path(__file__).parent) + os.sep
_PYTHONS: Final = sysconfig.get_path("stdlib") + os.sep


def _folder_of(package: str) -> str:
    found = importlib.util.find_spec(package)
    return str(Path(found.origin).parent) + os.sep if found and found.origin else "\0"


_TORCHS: Final = _folder_of("torch")


def account_of(error: BaseException) -> str:
    """An exception in words, and the lines of the user's own code that led to it, last first."""
    lines = _text(error).strip().splitlines() or [""]
    what = f"{type(error).__name__}: {lines[0]}".removesuffix(": ")
    what = "; ".join([what, *getattr(error, "__notes__", ())])
    frames = [
        f"{shown(frame.filename)}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if is_the_users(frame.filename)
    ]
    return ", from ".join([what, *reversed(frames[-_MOST:])])


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # it is the user's own, and cannot say
        return ""


def is_ours(error: BaseException) -> bool:
    """Whether gradcheck's own code raised it, and none that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_OURS)


def is_the_users(filename: str) -> bool:
    """Whether a file is none of gradcheck's, torch's or Python's own."""
    if filename.startswith((_OURS, _TORCHS, "<")):
        return False
    return not filename.startswith(_PYTHONS) or "-packages" in filename


_MOST: Final = 3
"""Frames that are shown."""


def shown(filename: str) -> str:
    """A file's path, as seen from here."""
    return filename.removeprefix(os.getcwd() + os.sep)
