"""Jobs, run in a process that may die of one, or be too slow, and takes no other with it."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import sys
import time
import warnings
from collections.abc import Generator, Iterator
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any, Final, Self

from gradcheck import devices, last_words
from gradcheck.casefile.case import Case
from gradcheck.devices import Devices
from gradcheck.errors import CheckerDiedError
from gradcheck.jobs import Job
from gradcheck.results import Result
from gradcheck.serving import UNTIMED, Line, Wanted, serve

_MOST: Final = 1 << 16
"""Bytes that are read: all that a pipe keeps."""
_PAUSE: Final = 0.1
"""Seconds after which it is looked what there is, though no bell was rung."""
_SMALL: Final = 1 << 14
"""Bytes that a pipe takes at once."""
_PATIENCE: Final = 2.0
"""Seconds that a process has to end by itself."""


class Checker:
    """Runs jobs one after another in a process of its own, and in another where that one dies.

    It starts at once, so that torch is imported there meanwhile; here it is not imported. `worker`
    is the number, from 0, of this process among several that share CUDA devices.

    A debugger, a profiler or a measure of coverage would see nothing of another process. Where one
    is at work, and where it is not to be `apart`, jobs are run in this one: no time is limited
    there, and no device dealt.
    """

    def __init__(self, worker: int = 0, *, apart: bool = True) -> None:
        self._worker = worker
        self._is_apart = apart and not _is_watched()
        self._process = _Process(worker) if self._is_apart else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def devices(self) -> Devices:
        """The devices that are there, by the names that the caller has for them.

        Raises:
            CheckerDiedError: The process died before it could say.
        """
        if self._is_apart:
            return self._started().devices
        return devices.available()

    def run(self, job: Job, then: Job | None = None) -> Generator[Result]:
        """The results of one job, each as soon as it is known. Nothing is raised.

        Where the process dies of it, or is ended as the time is up, the last result says so. `then`
        is the job after it, if that is known: the process goes on with it while the caller looks at
        what this one gave.
        """
        if job.skip:
            yield job.skipped()
        elif self._is_apart:
            yield from self._run_apart(job, then)
        else:
            from gradcheck.runner import run

            yield from run(job)

    def catch_up(self) -> None:
        """Sees to it that the process knows what this one has learnt since it was started.

        What was imported meanwhile it has where it can be a fork; then it needs no time to start.
        """
        if self._process is not None and _can_fork() and self._process.state != _state():
            self.close()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def _started(self) -> _Process:
        if self._process is None:
            self._process = _Process(self._worker)
        return self._process

    def _run_apart(self, job: Job, then: Job | None) -> Iterator[Result]:
        start = time.perf_counter()
        if self._process is not None and not self._process.is_free_for(job):
            self._drop()
        process = self._started()
        is_done = False
        try:
            yield from process.results(job, then)
            is_done = True
        except CheckerDiedError as error:
            seconds = time.perf_counter() - start
            yield job.result(verdict="error", notes=(str(error),), seconds=seconds)
        finally:
            if not is_done:
                self._drop()

    def _drop(self) -> None:
        """Ends the process hard."""
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Process:
    """A process that serves jobs."""

    def __init__(self, worker: int) -> None:
        can_fork = _can_fork()
        context: Any = multiprocessing.get_context("fork" if can_fork else "spawn")
        self._connection, theirs = context.Pipe()
        self._bell, rings = context.Pipe(duplex=False)
        self._last_words, told = context.Pipe(duplex=False)
        inherited = (self._connection, os.dup(0)) if can_fork else None
        line = Line(theirs, rings, told)
        self._process = context.Process(
            target=serve, args=(line, worker, inherited), name="gradcheck"
        )
        with warnings.catch_warnings():
            # Of threads, which are not there in a fork: nothing that it does waits for one.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        for end in (theirs, rings, told):
            end.close()
        if inherited:
            os.close(inherited[1])
        self._end = _end_of(self._process)
        self.state = _state()
        self._devices: Devices | None = None
        self._case: Case | None = None
        self._ahead: Job | None = None
        self._is_timed = True

    def is_free_for(self, job: Job) -> bool:
        """Whether it has not been asked for another job, which nobody wants any more."""
        return self._ahead is None or self._ahead is job

    @property
    def devices(self) -> Devices:
        """What it finds once it has imported torch."""
        if self._devices is None:
            self._devices = self._heard(None)
        return self._devices

    def results(self, job: Job, then: Job | None) -> Iterator[Result]:
        """What it finds of one job.

        Raises:
            CheckerDiedError: It died.
        """
        assert self.devices
        self._is_timed = True
        try:
            if job is not self._ahead:
                self._ask(job)
            self._ahead = None
            if then and not then.skip and not then.case.kernel:  # which may print, or be its death
                self._ask_ahead(then)
        except OSError:  # it died meanwhile
            raise self._death(job) from None
        # It ends itself in time, unless it is stopped or the user's code has taken its clock.
        until = time.monotonic() + job.case.timeout + _PATIENCE
        while (result := self._heard(job, until)) is not None:
            yield result

    def _ask(self, job: Job) -> None:
        self._connection.send_bytes(self._message(job))
        self._case = job.case

    def _ask_ahead(self, job: Job) -> None:
        """Unless it takes many bytes: they would wait to be read, and results to be heard."""
        message = self._message(job)
        if len(message) <= _SMALL:
            self._connection.send_bytes(message)
            self._case, self._ahead = job.case, job

    def _message(self, job: Job) -> memoryview:
        case = None if job.case is self._case else job.case
        wanted = Wanted(case, job.dtype, job.device, job.exact, job.imports)
        return ForkingPickler.dumps(wanted, pickle.HIGHEST_PROTOCOL)

    def end(self) -> None:
        """Waits for its end, but not for long."""
        self._connection.close()
        self._process.join(_PATIENCE)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        for end in (self._connection, self._bell, self._last_words):
            end.close()
        if self._end != self._process.sentinel:
            os.close(self._end)

    def _heard(self, job: Job | None, until: float = math.inf) -> Any:
        """What it says next; processes of its own may hold the pipe open when it is dead."""
        try:
            while not self._connection.poll(0):
                ready = wait([self._bell, self._end], _PAUSE)
                if self._bell in ready:
                    rings = os.read(self._bell.fileno(), _MOST)
                    self._is_timed = self._is_timed and UNTIMED not in rings
                elif self._end in ready and not self._connection.poll(0):
                    raise EOFError
                elif job and self._is_timed and time.monotonic() > until:
                    self._process.kill()
                    raise self._ended(job)
            return self._connection.recv()
        except (EOFError, OSError):
            raise self._death(job) from None

    def _death(self, job: Job | None) -> CheckerDiedError:
        """What it died of, and where in the user's code."""
        self._process.join(_PATIENCE)
        is_told = self._last_words.poll(0)
        told = os.read(self._last_words.fileno(), _MOST).decode(errors="replace") if is_told else ""
        where = last_words.where(told)
        if job and last_words.is_late(told):
            return self._ended(job, where)
        which = "the process that checked it" if job else "the process that checks cases"
        return CheckerDiedError(f"{which} {last_words.ending(self._process.exitcode)}{where}")

    def _ended(self, job: Job, where: str = "") -> CheckerDiedError:
        limit = f"it was ended after {job.case.timeout:g} s{where}"
        return CheckerDiedError(f"{limit}: it needs a longer `timeout`, or less to do")


def _end_of(process: Any) -> int:
    """What can be waited on until it ends: a sentinel is held open by what it forks as well."""
    return os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else process.sentinel


def _can_fork() -> bool:
    """Whether a fork can go on with what is here: not where CUDA has been started."""
    torch = sys.modules.get("torch")
    is_started = torch is not None and torch.cuda.is_initialized()
    return sys.platform.startswith("linux") and not is_started


def _state() -> tuple[object, ...]:
    """What users set for their functions, as in a conftest, and whether torch is there."""
    set_by_pytest = {"PYTEST_CURRENT_TEST": None}
    return "torch" in sys.modules, {**os.environ, **set_by_pytest}, list(sys.path)


def _is_watched() -> bool:
    """Whether a debugger, a profiler or a measure of coverage is at work in this process."""
    if sys.gettrace() or sys.getprofile():
        return True
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(map(monitoring.get_tool, range(6)))
