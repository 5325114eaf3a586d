"""What the numeric oracle says of a Python function, block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.errors import ChangedOutputError
from gradcheck.function_answers import Block
from gradcheck.oracles import compressed
from gradcheck.oracles.differences import Effort, Flags
from gradcheck.oracles.numeric import Search
from gradcheck.python_function import PythonFunction

Real = Callable[[Tensor], Tensor]


class FunctionTruths:
    """The numeric Jacobian of a function, all of it searched for together.

    `nonzero` (m, n) says which of its entries torch has as other than 0.
    """

    def __init__(self, function: PythonFunction, nonzero: Flags, *, subgradient: bool) -> None:
        self._function = function
        self._nonzero = nonzero
        self._subgradient = subgradient
        self._watched = _Watched(function.real)

    def compressed(self, block: Block) -> Ball | None:
        """A block of it by few evaluations; None where they do not tell all."""
        whole = self._compressed
        part = None if whole is None else block.ball(whole)
        return part if part is not None and np.isfinite(part.radius).all() else None

    def of(self, block: Block, effort: Effort, column: int | None = None) -> Ball:
        """A block of it; unless for all, the effort is made for one column of the block.

        Raises:
            ChangedOutputError: An output is another kind of thing near the point, so that there is
                no telling its derivative.
        """
        inputs = None if column is None else np.array([block.columns.start + column])
        found = self._search.findings(effort, inputs)
        changed = self._watched.changed
        if changed is not None and not np.isfinite(found.radius).all():
            raise changed
        part = found.block(len(self._function.point), block.rows, block.columns)
        output, input = block.output.entries_shape, block.input.entries_shape
        return part.ball(output, input, subgradient=self._subgradient)

    @cached_property
    def _compressed(self) -> Ball | None:
        function = self._function
        if function.precision is not torch.float64:
            return None
        return compressed.jacobian(
            function.real, function.point, self._nonzero, function.known_real
        )

    @cached_property
    def _search(self) -> Search:
        function = self._function
        return Search(self._watched, function.point, function.precision, function.known_real)


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
