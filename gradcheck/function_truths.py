"""What the numeric oracle says of a Python function, block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.errors import ChangedOutputError
from gradcheck.function_answers import Block
from gradcheck.oracles.differences import Effort
from gradcheck.oracles.numeric import Search
from gradcheck.python_function import PythonFunction

Real = Callable[[Tensor], Tensor]


class FunctionTruths:
    """The numeric Jacobian of a function, all of it searched for together."""

    def __init__(self, function: PythonFunction, *, subgradient: bool) -> None:
        self._function = function
        self._subgradient = subgradient
        self._watched = _Watched(function.real)

    def of(self, block: Block, effort: Effort) -> Ball:
        """A block of it.

        Raises:
            ChangedOutputError: An output is another kind of thing near the point, so that there is
                no telling its derivative.
        """
        found = self._search.findings(effort)
        changed = self._watched.changed
        if changed is not None and not np.isfinite(found.radius).all():
            raise changed
        part = found.block(len(self._function.point), block.rows, block.columns)
        output, input = block.output.entries_shape, block.input.entries_shape
        return part.ball(output, input, subgradient=self._subgradient)

    @cached_property
    def _search(self) -> Search:
        function = self._function
        return Search(self._watched, function.point, function.precision)


class _Watched:
    """A function that remembers its output to have changed, as the numeric oracle goes on."""

    def __init__(self, function: Real) -> None:
        self._function = function
        self.changed: ChangedOutputError | None = None

    def __call__(self, entries: Tensor) -> Tensor:
        try:
            return self._function(entries)
        except ChangedOutputError as error:
            self.changed = error
            raise
