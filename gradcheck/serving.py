"""The process in which jobs are run: what it is asked for, and what it answers."""

from __future__ import annotations

import bdb
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import Any, Final, NamedTuple

from gradcheck import devices
from gradcheck.casefile.case import Case, DType
from gradcheck.devices import Dealt, count_devices
from gradcheck.frames import account_of
from gradcheck.imports import Imports
from gradcheck.jobs import Job
from gradcheck.processes import die_with_parent
from gradcheck.results import Result

_SHORTEST: Final = 1e-3
"""Seconds."""
_ENOUGH: Final = 1 << 14
"""Bytes that may wait to be heard: a pipe takes more."""
UNTIMED: Final = b"!"
"""A ring of the bell by which somebody may take as long as they like, as with a debugger."""


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

    def is_ours_alone(self) -> None:
        """Sees to it that no process that a user's function forks says anything, or keeps it open.

        Such a process goes on where the function returns, as if it had been asked as well.
        """
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.connection.close)

    def say(self, what: Any) -> None:
        """Part of an answer, or None at its end."""
        message = ForkingPickler.dumps(what)
        self.connection.send_bytes(message)
        self._unheard += len(message)
        if what is None or self._unheard > _ENOUGH:
            self._unheard = 0
            self.ring()

    def ring(self, how: bytes = b".") -> None:
        os.write(self.bell.fileno(), how)


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
    _leave_debuggers_their_time(line)
    line.is_ours_alone()
    last_words = line.last_words.fileno()
    faulthandler.enable(last_words)
    dealt, here = _dealt(worker)
    with suppress(EOFError, OSError):  # nobody asks any more
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


def _dealt(worker: int) -> tuple[Dealt, devices.Devices]:
    """The devices as this process has them, which it learns before CUDA is started."""
    name = "CUDA_VISIBLE_DEVICES"
    before, dealt = os.environ.get(name), Dealt.to(worker, os.environ, count_devices)
    if not dealt.turn:
        return dealt, devices.available()
    os.environ[name] = dealt.setting()
    here = devices.available()
    if len(here) - 1 == len(dealt.visible):
        return dealt, here
    # Some in the caller's list are not there, and hide those that would be after them.
    os.environ.pop(name)
    os.environ |= {} if before is None else {name: before}
    return Dealt(), devices.available()


def _answer(job: Job, say: Callable[[Any], None]) -> None:
    from gradcheck.runner import run

    for result in iter(partial(_next, run(job), job), None):
        say(result)
    with suppress(Exception):  # a function may have closed it, or put something else in its place
        sys.stdout.flush()
    say(None)


def _next(results: Iterator[Result], job: Job) -> Result | None:
    """The next result, or None at the end."""
    try:
        return next(results, None)
    except BaseException as error:  # as a function raises that ends a test
        report = "; please report it" if isinstance(error, Exception) else ""
        return job.result(verdict="error", notes=(account_of(error) + report,))


def _leave_debuggers_their_time(line: Line) -> None:
    """Sees to it that a `breakpoint()` may take as long as somebody likes."""
    set_trace = bdb.Bdb.set_trace

    def untimed(self: bdb.Bdb, frame: FrameType | None = None, *others: Any) -> None:
        faulthandler.cancel_dump_traceback_later()
        line.ring(UNTIMED)
        set_trace(self, frame or sys._getframe(1), *others)

    bdb.Bdb.set_trace = untimed  # type: ignore[method-assign]
