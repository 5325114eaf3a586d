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
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, Final, NamedTuple

from gradcheck import devices
from gradcheck.casefile.case import Case, DType
from gradcheck.devices import Dealt, count_devices
from gradcheck.imports import Imports
from gradcheck.jobs import Job
from gradcheck.processes import die_with_parent

_SHORTEST: Final = 1e-3


class Wanted(NamedTuple):
    """A job as it is asked for; without a case it is of the case before."""

    case: Case | None
    dtype: DType
    device: str
    exact: bool
    imports: Imports


def serve(
    connection: Connection,
    last_words: Connection,
    worker: int,
    inherited: tuple[Connection, int] | None,
) -> None:
    """Says which devices there are, then runs what is asked for until nobody asks any more.

    After the results of a job comes None. Where the process dies, or is out of time, its
    `last_words` are where that was. A fork has `inherited` the other end of the connection, which
    it closes, and what its caller reads, for a debugger in the user's code to go on with.
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
    faulthandler.enable(last_words.fileno())
    with suppress(EOFError, BrokenPipeError):
        here = devices.available()
        connection.send(dealt.named(here))
        case: Case | None = None
        while wanted := connection.recv():
            case = wanted.case or case
            assert case is not None
            on = dealt.on(wanted.device, here, exact=wanted.exact)
            job = Job(case, wanted.dtype, wanted.device, imports=wanted.imports, on=on)
            limit = min(max(job.case.timeout, _SHORTEST), threading.TIMEOUT_MAX)
            # It needs no interpreter: native code may hold that for ever.
            faulthandler.dump_traceback_later(limit, exit=True, file=last_words.fileno())
            _answer(job, connection.send)
            faulthandler.cancel_dump_traceback_later()


def _answer(job: Job, send: Callable[[Any], None]) -> None:
    from gradcheck.runner import run

    try:
        for result in run(job):
            send(result)
    except BrokenPipeError:
        raise
    except BaseException as error:
        note = f"{type(error).__name__}: {error}; please report it"
        send(job.result(verdict="error", notes=(note,)))
    sys.stdout.flush()
    send(None)


def _leave_debuggers_their_time() -> None:
    """Sees to it that a `breakpoint()` may take as long as somebody likes."""
    set_trace = bdb.Bdb.set_trace

    def untimed(self: bdb.Bdb, frame: FrameType | None = None, *others: Any) -> None:
        faulthandler.cancel_dump_traceback_later()
        set_trace(self, frame or sys._getframe(1), *others)

    bdb.Bdb.set_trace = untimed  # type: ignore[method-assign]
