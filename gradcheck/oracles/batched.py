"""A function of one point, evaluated at many of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.oracles.monte_carlo import MonteCarlo, Noise
from gradcheck.oracles.rounding import deviation, repeated, to_array

Function = Callable[[Tensor], Tensor]

CHUNK_ELEMENTS: Final = 2**20
"""The most elements, of inputs or of outputs, that a function is given in one batch."""

_SAME: Final = 2.0**16
"""Times the rounding of the largest value: values that are no further apart are the same."""


class Batched:
    """A function of one point, applied to many: by `vmap`, or one by one if that does not work."""

    def __init__(
        self,
        function: Function,
        point: Tensor,
        precision: torch.dtype,
        value: Tensor | None = None,
    ) -> None:
        self._function = function
        self._point = point
        self._precision = precision
        value = function(point.detach().clone()) if value is None else value
        self.value = to_array(value).reshape(-1)
        self.output = tuple(value.shape)
        self.x = to_array(point).reshape(-1)
        self.epsilon = float(torch.finfo(precision).eps)
        self.bits = 1 - round(math.log2(self.epsilon))
        self._vmap = True
        self._is_tried = False

    @property
    def inputs(self) -> int:
        return self.x.size

    @property
    def outputs(self) -> int:
        return self.value.size

    @property
    def chunk(self) -> int:
        """How many points it is given in one batch."""
        return max(1, CHUNK_ELEMENTS // max(1, self.inputs, self.outputs))

    def rounded(self, numbers: Array) -> Array:
        """Numbers that the function's dtype holds."""
        if self._precision is torch.float64:
            return numbers
        rounded: Array = torch.from_numpy(numbers).to(self._precision).to(torch.float64).numpy()
        return rounded

    @cached_property
    def rounding(self) -> Array:
        """How far rounding moves each entry of its value at the point."""
        disturb = repeated(lambda: self._function(self._point.detach().clone()).to(torch.float64))
        return deviation(disturb, self.epsilon / 2, samples=2)[1].reshape(-1)

    def disturbed(self, points: Array) -> Array:
        """Its values under noise at points (count, inputs): (count, outputs)."""
        can_vmap = self._vmap
        with MonteCarlo(Noise(self.epsilon / 2, 0)):
            values = self(points)
        self._vmap = can_vmap  # though it may refuse what noise makes of a value
        return values

    def __call__(self, points: Array) -> Array:
        """Its values at points (count, inputs): (count, outputs)."""
        tensors = torch.from_numpy(points).to(self._point.device)
        return to_array(self.values(tensors))

    def values(self, points: Tensor) -> Tensor:
        """Its values at points (count, inputs): (count, outputs)."""
        tensors = points.reshape(-1, *self._point.shape)
        if self._vmap and self.chunk > 1:
            values = self._together(tensors) if self._is_tried else self._tried(tensors)
            if values is not None:
                return values.detach().reshape(len(points), -1)
            self._vmap = False
        return self._one_by_one(tensors).detach().reshape(len(points), -1)

    def _tried(self, tensors: Tensor) -> Tensor | None:
        """All values from vmap; None if it cannot, or gives another value than a call does.

        The first and the last are looked at: a rule that is wrong may be right for one.
        """
        self._is_tried = True
        own = self._point.detach().to(torch.float64)[None]
        values = self._together(torch.cat([own, tensors]))
        if values is None:
            return None
        first, others = to_array(values[0]).reshape(-1), values[1:]
        if not self._is_same(first, self.value):
            return None
        if len(tensors):
            last = to_array(self._one_by_one(tensors[-1:])).reshape(-1)
            if not self._is_same(to_array(values[-1]).reshape(-1), last):
                return None
        return others

    def _is_same(self, found: Array, wanted: Array) -> bool:
        """To within a few roundings of the largest entry."""
        largest = np.abs(wanted).max(initial=0.0, where=np.isfinite(wanted))
        slack = _SAME * self.epsilon * largest
        return bool(np.isclose(found, wanted, rtol=0.0, atol=slack, equal_nan=True).all())

    def _one_by_one(self, tensors: Tensor) -> Tensor:
        """All values from a loop: NaN where the function raises, as it did not at the point.

        Some functions say so where they are not defined, as a Cholesky factor does.
        """
        values = []
        for tensor in tensors:
            try:
                values.append(self._function(tensor.clone()))  # alone in its memory
            except Exception:
                values.append(torch.full(self.output, torch.nan, dtype=torch.float64))
        return torch.stack(values) if len(values) > 1 else values[0][None]

    def _together(self, tensors: Tensor) -> Tensor | None:
        """All values from vmap, which may loop inside; None if it cannot."""
        size = self.chunk if self.chunk < len(tensors) else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*batching rule")
            try:
                return torch.func.vmap(self._function, chunk_size=size, randomness="same")(tensors)
            except Exception:
                # Whatever is wrong with the function itself is raised by the loop.
                return None
