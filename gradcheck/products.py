"""u · J d for a cotangent u and a direction d, as those have it whose derivatives are checked.

Cotangents (m,) and directions (n,) are of all outputs' and all inputs' entries, in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.oracles import forward_mode, rounding
from gradcheck.oracles.autograd import Pull
from gradcheck.python_function import PythonFunction


class Product(ABC):
    """u · J d, and what rounding may have done to it; `dtype` is that of its evaluation."""

    dtype: torch.dtype

    @abstractmethod
    def __call__(self, cotangent: Tensor, direction: Tensor) -> float: ...

    @abstractmethod
    def again(self, cotangent: Tensor, direction: Tensor) -> Tensor:
        """The same, from an evaluation of its own."""

    def measured(self, cotangent: Tensor, direction: Tensor) -> Ball:
        """With its rounding radius, as it is measured."""
        disturb = rounding.repeated(lambda: self.again(cotangent, direction))
        return rounding.measure(disturb, self.dtype)


class Pullback(Product):
    """torch's reverse mode; the gradient for the last u is kept for the next d.

    `pull` is that of an evaluation at hand, `record` gives that of a new one.
    """

    def __init__(self, pull: Pull, record: Callable[[], Pull], dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._pull = pull
        self._record = record
        self._last: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(cls, function: PythonFunction) -> Pullback:
        return cls(function.graph.pullback, lambda: function.tracked().pullback, function.dtype)

    def __call__(self, cotangent: Tensor, direction: Tensor) -> float:
        return float(self.gradient(cotangent) @ direction.cpu())

    def again(self, cotangent: Tensor, direction: Tensor) -> Tensor:
        return self._record()(cotangent) @ direction.cpu()

    def gradient(self, cotangent: Tensor) -> Tensor:
        if self._last is None or self._last[0] is not cotangent:
            self._last = cotangent, self._pull(cotangent)
        return self._last[1]

    def measured_gradient(self, cotangent: Tensor) -> Ball:
        """The gradient (n,) with its rounding radius, as it is measured."""
        disturb = rounding.repeated(lambda: self._record()(cotangent), self.gradient(cotangent))
        return rounding.measure(disturb, self.dtype)

    def spread(self, cotangent: Tensor) -> tuple[float, float]:
        """How far two passes differ, and the size of what they give."""
        return rounding.spread(self.gradient(cotangent), self._pull(cotangent))


class Pushforward(Product):
    """torch's forward mode; the tangent for the last d is kept for the next u."""

    def __init__(self, function: PythonFunction) -> None:
        self.dtype = function.dtype
        self._function = function
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, cotangent: Tensor, direction: Tensor) -> float:
        if self._last is None or self._last[0] is not direction:
            self._last = direction, forward_mode.pushforward(self._function, direction)
        return float(cotangent.cpu() @ self._last[1])

    def again(self, cotangent: Tensor, direction: Tensor) -> Tensor:
        return cotangent.cpu() @ forward_mode.pushforward(self._function, direction)


class Contracted(Product):
    """A hand-written derivative: `contract` evaluates it, and multiplies it by u and d."""

    def __init__(self, contract: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._contract = contract

    def __call__(self, cotangent: Tensor, direction: Tensor) -> float:
        return float(self._contract(cotangent, direction))

    def again(self, cotangent: Tensor, direction: Tensor) -> Tensor:
        return self._contract(cotangent, direction)
