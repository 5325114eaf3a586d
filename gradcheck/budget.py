"""The budget of elements: how large an operation's results get, known before any is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

ELEMENT_BUDGET: Final = 2**24
"""The most elements that any intermediate of a formula may have (128 MiB in float64)."""


def is_surely_within(values: Sequence[Any], *, broadcast: bool = False) -> bool:
    """Whether no pairing of the values' elements, or their broadcast, can be over the budget."""
    if math.prod(_most(value) for value in values) <= ELEMENT_BUDGET:
        return True
    return broadcast and _broadcast(values) <= ELEMENT_BUDGET


def check(shape: Sequence[int]) -> None:
    """Raises a ValueError if a tensor of this shape is over the budget."""
    elements = math.prod(shape)
    if elements > ELEMENT_BUDGET and min(shape) > 0:
        raise ValueError(
            f"a tensor of shape {list(shape)} has {elements:,} elements, "
            f"more than {ELEMENT_BUDGET:,}"
        )


def dry_run(function: Callable[..., Any], *values: Any, **keywords: Any) -> None:
    """Runs the operation without data, to see how large its intermediates get.

    Raises:
        ValueError: Some intermediate has more than `ELEMENT_BUDGET` elements.
    """
    shadows, named = tree_map_only(Tensor, _shadow, (list(values), keywords))
    refusing = _Budget()  # type: ignore[no-untyped-call]
    with torch.no_grad(), _disable_current_modes(), refusing:
        function(*shadows, **named)


def _broadcast(values: Sequence[Any]) -> int:
    """The elements of what tensors broadcast to."""
    shapes = [reversed(value.shape) for value in values if isinstance(value, Tensor)]
    return math.prod(max(sizes) for sizes in zip_longest(*shapes, fillvalue=1))


def _most(value: Any) -> int:
    """The elements of a tensor or of a list of them, dimensions of size 0 taken as 1.

    A sum over an empty dimension is larger than what is summed.
    """
    if isinstance(value, Tensor):
        return math.prod(max(size, 1) for size in value.shape)
    if isinstance(value, list):
        return max(1, sum(_most(item) for item in value))
    return 1


def _shadow(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


class _Budget(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses any operation with a result over the budget."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing here is ever compiled, and importing torch._dynamo would take over a second.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                check(tensor.shape)
        return result
