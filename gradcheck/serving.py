"""The process in which jobs are run: what it is asked for, and what it answers."""

from __future__ import annotations

import bdb
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import Any, Final, NamedTuple

from gradcheck import devices
from gradcheck.casefile.case import Case, DType
from gradcheck.devices import Dealt, count_devices
from gradcheck.imports import Imports
from gradcheck.jobs import Job
from gradcheck.processes import die_with_parent

_SHORTEST: Final = 1e-3
"""Seconds."""
_ENOUGH: Final = 1 << 14
"""Bytes that may wait to be heard: a pipe takes more."""


class Wanted(NamedTuple):
    """A job as it is asked for; without a case it is of the case before."""

    case: Case | None
    dtype: DType
    device: str
    exact: bool
    imports: Imports


@dataclass(slots=True)
class Line:
    """The connection with who asks, and a pipe whose `bell` is rung where an answer is whole.

    To be woken for each part of it would cost the other side more than the part. The process leaves
    its `last_words` behind: where it was when it died, or was out of time.
    """

    connection: Connection
    bell: Connection
    last_words: Connection
    _unheard: int = 0

    def say(self, what: Any) -> None:
        """Part of an answer, or None at its end."""
        message = ForkingPickler.dumps(what)
        self.connection.send_bytes(message)
        self._unheard += len(message)
        if what is None or self._unheard > _ENOUGH:
            self._unheard = 0
            os.write(self.bell.fileno(), b".")


def serve(line: Line, worker: int, inherited: tuple[Connection, int] | None) -> None:
    """Says which devices there are, then runs what is asked for until nobody asks any more.

    After the results of a job comes None. A fork has `inherited` the other end of the connection,
    which it closes, and what its caller reads, for a debugger in the user's code to go on with.
    """
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller is told as well, and ends this one
    if inherited:
        inherited[0].close()
        os.dup2(inherited[1], 0)
        sys.stdin = os.fdopen(0, closefd=False)
    _leave_debuggers_their_time()
    dealt = Dealt.to(worker, os.environ, count_devices)
    if dealt.turn:
        os.environ["CUDA_VISIBLE_DEVICES"] = dealt.setting()
    last_words = line.last_words.fileno()
    faulthandler.enable(last_words)
    with suppress(EOFError, BrokenPipeError):
        here = devices.available()
        line.say(dealt.named(here))
        case: Case | None = None
        while wanted := line.connection.recv():
            case = wanted.case or case
            assert case is not None
            on = dealt.on(wanted.device, here, exact=wanted.exact)
            job = Job(case, wanted.dtype, wanted.device, imports=wanted.imports, on=on)
            limit = min(max(job.case.timeout, _SHORTEST), threading.TIMEOUT_MAX)
            # It needs no interpreter: native code may hold that for ever.
            faulthandler.dump_traceback_later(limit, exit=True, file=last_words)
            _answer(job, line.say)
            faulthandler.cancel_dump_traceback_later()


def _answer(job: Job, say: Callable[[Any], None]) -> None:
    from gradcheck.runner import run

    try:
        for result in run(job):
            say(result)
    except BrokenPipeError:
        raise
    except BaseException as error:
        note = f"{type(error).__name__}: {error}; please report it"
        say(job.result(verdict="error", notes=(note,)))
    sys.stdout.flush()
    say(None)


def _leave_debuggers_their_time() -> None:
    """Sees to it that a `breakpoint()` may take as long as somebody likes."""
    set_trace = bdb.Bdb.set_trace

    def untimed(self: bdb.Bdb, frame: FrameType | None = None, *others: Any) -> None:
        faulthandler.cancel_dump_traceback_later()
        set_trace(self, frame or sys._getframe(1), *others)

    bdb.Bdb.set_trace = untimed  # type: ignore[method-assign]
