"""A look that may end the process, as kernels do that rely on sizes: made in a child of it."""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from gradcheck.conditions.backward import nodes_of
from gradcheck.conditions.subject import NotApplicableError, Subject
from gradcheck.frames import account_of, is_ours
from gradcheck.processes import die_with_parent

Look = Callable[[Subject], Iterator[str]]
_HELD, _NOT_APPLICABLE, _RAISED, _NO_ENGINE = range(4)
_SECONDS: Final = 60
_CPP: Final = "CppNode"
"""In the name of a backward that is written in C++ outside of torch."""
_CAN_FORK: Final = sys.platform.startswith("linux")
_FORKED: Final = "fork-based multiprocessing"
"""In what torch's engine says in a fork, where the machine has a GPU and it has run before."""


class _NoEngine(BaseException):
    """Says that the forward is survived, which nothing that a look expects may catch."""


def isolated(look: Look) -> Look:
    """The same look at a backward that is not torch's own, in a forked process.

    Where the function is on a CUDA device it is made here: a fork cannot go on with that. Where the
    machine has one, it is made here once the forward is survived there.
    """

    def looked(subject: Subject) -> Iterator[str]:
        if not is_somebodys(subject.outputs):
            raise NotApplicableError("its backward is torch's own")
        if subject.is_large:
            raise NotApplicableError("it has many entries: a smaller one tells as much")
        if not _CAN_FORK or subject.at.device.type != "cpu":
            yield from look(subject)
            return
        kind, told = _in_a_child(lambda: look(subject))
        if kind == _NO_ENGINE:
            yield from look(subject)
            return
        if kind == _NOT_APPLICABLE:
            raise NotApplicableError(told[0])
        if kind == _RAISED:
            raise RuntimeError(told[0])
        yield from told

    return looked


def is_somebodys(outputs: Sequence[Tensor]) -> bool:
    """Whether there is a backward on the way to them that is not torch's own."""
    nodes = nodes_of(outputs)
    return any(hasattr(one, "_forward_cls") or _CPP in one.name() for one in nodes)


def survives(look: Callable[[], Iterator[str]]) -> bool:
    """Whether a look finds nothing, raises nothing and ends nothing in a forked process."""
    if not _CAN_FORK:
        return True
    kind, told = _in_a_child(look)
    return kind == _NO_ENGINE or (kind == _HELD and not told)


def _in_a_child(look: Callable[[], Iterator[str]]) -> tuple[int, list[str]]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(look, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        if not select.select([pipe], [], [], _SECONDS)[0]:
            os.kill(child, signal.SIGKILL)  # as where threads of a kernel were left behind
            os.waitpid(child, 0)
            raise NotApplicableError(f"no answer in {_SECONDS} s from a process of its own")
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return _HELD, [f"the process is ended by {name} there"]
    if not answer:
        return _HELD, [f"the process exits there, with code {os.waitstatus_to_exitcode(status)}"]
    kind, told = json.loads(answer)
    return kind, told


def _answer(look: Callable[[], Iterator[str]], writing: int) -> None:
    """Writes what is told into the pipe, and ends this process."""
    die_with_parent()
    faulthandler.disable()  # an end that is looked for is no news
    torch.autograd.grad = _if_it_runs(torch.autograd.grad)
    torch.cuda.device_count = lambda: 0  # where random states are kept that no fork can read
    try:
        answer: tuple[int, list[Any]] = _HELD, list(look())
    except _NoEngine:
        answer = _NO_ENGINE, []
    except NotApplicableError as reason:
        answer = _NOT_APPLICABLE, [str(reason)]
    except BaseException as error:
        kind = _RAISED if is_ours(error) else _HELD
        answer = kind, [f"it raises there: {account_of(error)}"]
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(answer).encode())
    finally:
        os._exit(0)


def _if_it_runs(grad: Callable[..., Any]) -> Callable[..., Any]:
    """Raises _NoEngine where torch's engine does not."""

    def asked(*arguments: Any, **keywords: Any) -> Any:
        try:
            return grad(*arguments, **keywords)
        except RuntimeError as error:
            if _FORKED in str(error):
                raise _NoEngine from None
            raise

    return asked
