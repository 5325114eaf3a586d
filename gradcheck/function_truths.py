"""What the numeric oracle says of a Python function, as a whole and block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Ball, Between
from gradcheck.errors import ChangedOutputError
from gradcheck.function_answers import Block
from gradcheck.oracles import numeric
from gradcheck.oracles.differences import Effort
from gradcheck.python_function import PythonFunction

Real = Callable[[Tensor], Tensor]


class FunctionTruths:
    """The numeric Jacobian of a function at each effort, found once.

    Raises:
        ChangedOutputError: An output is another kind of thing near the point, so that there is no
            telling its derivative.
    """

    def __init__(self, function: PythonFunction, *, subgradient: bool) -> None:
        self._function = function
        self._subgradient = subgradient
        self._found: dict[Effort, Ball] = {}

    def of(self, block: Block, effort: Effort) -> Ball:
        """A block of it; where something is to be said, it is about the block's own entries."""
        whole = self._whole(effort)
        is_plain = not whole.notes and not isinstance(whole, Between)
        return block.ball(whole) if is_plain else self._numeric_alone(block, effort)

    def _whole(self, effort: Effort) -> Ball:
        """The Jacobian of all outputs by all inputs (m, n)."""
        if effort not in self._found:
            self._found[effort] = self._numeric(self._function.real, self._function.point, effort)
        return self._found[effort]

    def _numeric(self, function: Real, point: Tensor, effort: Effort) -> Ball:
        watched = _Watched(function)
        precision = self._function.precision
        found = numeric.jacobian(
            watched,
            point,
            effort=effort,
            precision=precision,
            subgradient=self._subgradient,
        )
        if watched.changed is not None and not np.isfinite(found.radius).all():
            raise watched.changed
        return found

    def _numeric_alone(self, block: Block, effort: Effort) -> Ball:
        function, columns = self._function, block.columns
        before, at, after = function.point.tensor_split((columns.start, columns.stop))

        def real(entries: Tensor) -> Tensor:
            outputs = function.real(torch.cat([before, entries.reshape(-1), after]))
            return outputs[block.rows].reshape(block.output.entries_shape)

        return self._numeric(real, at.reshape(block.input.entries_shape), effort)


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
