"""The function on the CPU, whose answers are seen beside those of another device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final

from gradcheck.ball import Ball
from gradcheck.conditions.backward import calls
from gradcheck.conditions.isolated import survives
from gradcheck.conditions.subject import NotApplicableError
from gradcheck.python_function import PythonFunction

NAME: Final = "cpu"
"""What reports call its answers."""

Making = Callable[[], PythonFunction]


class Beside:
    """The function of what `prepare` brings to the CPU, made where an answer of it is asked for.

    What launches a kernel there, without a look at where its data are, would end CUDA for this
    process: it is tried in a fork first, which has none.
    """

    def __init__(self, prepare: Callable[[], Making]) -> None:
        self._prepare = prepare

    def answers(
        self, like: PythonFunction, ask: Callable[[PythonFunction], Ball]
    ) -> dict[str, Ball]:
        """What is asked of it, by its name; empty where it has no such outputs, or raises."""
        function = self.function
        if function is None or _shapes(function) != _shapes(like):
            return {}
        try:
            return {NAME: ask(function)}
        except Exception:
            return {}

    @cached_property
    def function(self) -> PythonFunction | None:
        """None where it does not run there."""
        try:
            make = self._prepare()
            return make() if survives(lambda: _tried(make)) else None
        except Exception:
            return None


def _tried(make: Making) -> Iterator[str]:
    """What is wrong with each backward in it that somebody wrote; raises what the forward does."""
    try:
        for _, gradients, _ in calls(make().graph.tracked):
            if isinstance(gradients, str):
                yield gradients
    except NotApplicableError:
        return  # there is none


def _shapes(function: PythonFunction) -> list[tuple[int, ...]]:
    return [leaf.entries_shape for leaf in (*function.outputs, *function.inputs)]
