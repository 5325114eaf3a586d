"""What a process that ended leaves behind: what faulthandler told, and its exit code, in words."""

from __future__ import annotations

import re
import signal
from itertools import takewhile
from typing import Final

from gradcheck import serving
from gradcheck.frames import is_the_users, shown

_FRAME: Final = re.compile(r'  File "(.+)", line (\d+) in (.+)')
_THREAD: Final = re.compile(r"^(?=(?:Current thread|Thread) 0x)", re.MULTILINE)
"""Where it begins with a thread: the first one of a process comes last."""


def is_late(told: str) -> bool:
    """Whether time was up."""
    return told.startswith("Timeout (")


def where(told: str) -> str:
    """The innermost of the user's own lines, in the thread that died or else in the first one."""
    threads = _THREAD.split(told)
    thread = next((one for one in threads if one.startswith("Current")), threads[-1])
    lines = takewhile(lambda line: f'"{serving.__file__}"' not in line, thread.splitlines())
    frames = (found for found in map(_FRAME.fullmatch, lines) if found)
    own = next((one for one in frames if is_the_users(one[1])), None)
    return f" at {shown(own[1])}:{own[2]} in {own[3]}" if own else ""


def ending(code: int | None) -> str:
    """How a process ended, by its exit code."""
    if code is None:
        return "no longer answers"
    if code >= 0:
        return f"exited with code {code}"
    named = {one.value: one.name for one in signal.Signals}
    name = named.get(-code, f"signal {-code}")
    if -code == signal.SIGKILL:
        return f"was killed ({name}), as it is where memory runs out"
    return f"died of {name}"
