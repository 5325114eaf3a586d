"""What formulas mean in torch: tensors of one dtype on one device, within a budget of elements."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gradcheck.language.word import Parameter, Word
from gradcheck.torch_words import as_index

ELEMENT_BUDGET: Final = 2**24
"""The most elements that any intermediate of a formula may have (128 MiB in float64)."""


class TorchMeaning:
    """Words as torch functions.

    `detach` is a constant to every oracle: where `replay` is given, the values that `detach` had
    in an earlier evaluation of the same function, in order, are what it yields again.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        device: torch.device,
        replay: Sequence[Tensor] | None = None,
    ) -> None:
        self.dtype = dtype
        self.device = device
        self.detached: list[Tensor] = []
        self._replay = iter(replay) if replay is not None else None

    def number(self, value: int | Decimal) -> int | float:
        return value if isinstance(value, int) else float(value)

    def call(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:  # noqa: ANN401
        function = _function(word)
        if word.signature is None:
            return function
        values = [
            self._value(parameter, argument)
            for parameter, argument in zip(_positional(word, len(arguments)), arguments, strict=True)
        ]
        if word.creates:
            keywords = {**keywords, "dtype": self.dtype, "device": self.device}
        if word.creates or _elements(values) > ELEMENT_BUDGET:
            _check_budget(function, values, keywords)
        if word.name == "detach":
            return self._detach(values[0])
        return function(*values, **keywords)

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:  # noqa: ANN401
        if not isinstance(value, Tensor):  # a word with two results, such as slogdet
            (item,) = items
            return value[item]
        return value[tuple(self._index(item) for item in items)]

    def _index(self, item: Any) -> Any:  # noqa: ANN401
        if isinstance(item, list):
            item = torch.tensor(item, device=self.device)
        if isinstance(item, Tensor) and item.dtype != torch.bool:
            return as_index(item)
        return item

    def _detach(self, value: Tensor) -> Tensor:
        constant = value.detach() if self._replay is None else next(self._replay)
        self.detached.append(constant)
        return constant

    def _value(self, parameter: Parameter, value: Any) -> Any:  # noqa: ANN401
        """A tensor where a word wants one; `operand`s take plain numbers as they are.

        Masks and indices are counted with in the dtype of the check.
        """
        kind = parameter.kind
        if isinstance(value, Tensor):
            if value.dtype != self.dtype and kind != "raw":
                return value.to(self.dtype)
            return value
        if kind == "list":
            return [self.tensor(item) for item in value]
        if kind in ("tensor", "raw") or (kind == "operand" and isinstance(value, list)):
            return self.tensor(value)
        return value

    def tensor(self, value: Any) -> Any:  # noqa: ANN401
        """A number, a boolean or a nested list of them as a tensor; others as they are."""
        if isinstance(value, (Tensor, tuple)):
            return value
        if isinstance(value, bool):
            return torch.tensor(value, device=self.device)
        if isinstance(value, list) and value:
            return torch.stack([self.tensor(item) for item in value])
        return torch.tensor(value, dtype=self.dtype, device=self.device)


@functools.cache
def _function(word: Word) -> Any:  # noqa: ANN401
    module, _, name = word.torch.rpartition(".")
    if module.startswith("torch."):
        return functools.reduce(getattr, module.split(".")[1:] + [name], torch)
    return getattr(importlib.import_module(module), name)


@functools.cache
def _positional(word: Word, count: int) -> tuple[Parameter, ...]:
    """The parameters that `count` arguments by position belong to."""
    values = [p for p in word.parameters if p.variadic or (p.is_value and not p.optional)]
    return tuple(values + [values[-1]] * (count - len(values)))[:count]


def _elements(values: Sequence[Any]) -> int:
    """At least as many elements as the result of a word that does not create any can have."""
    return math.prod(
        sum(item.numel() for item in value) if isinstance(value, list) else value.numel()
        for value in values
        if isinstance(value, (Tensor, list)) and value != []
    )


def _check_budget(
    function: Callable[..., Any], values: Sequence[Any], keywords: Mapping[str, Any]
) -> None:
    """Runs the operation without data, to see how large its intermediates get.

    Raises:
        ValueError: Some intermediate has more than `ELEMENT_BUDGET` elements.
    """
    shadows = [_shadow(value) for value in values]
    if "device" in keywords:
        keywords = {**keywords, "device": torch.device("meta")}
    with torch.no_grad(), _Budget():
        function(*shadows, **keywords)


def _shadow(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_shadow(item) for item in value]
    if isinstance(value, Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="meta")
    return value


class _Budget(TorchDispatchMode):
    """Refuses any operation whose result is over the budget."""

    def __torch_dispatch__(  # type: ignore[override]
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.numel() > ELEMENT_BUDGET:
            raise ValueError(
                f"an intermediate of shape {list(result.shape)} has {result.numel():,} elements, "
                f"more than {ELEMENT_BUDGET:,}"
            )
        return result
