"""A Python function and its inputs → what a search varies of them, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from gradcheck.call import Call
from gradcheck.errors import UsageError
from gradcheck.results import Result
from gradcheck.search.domains import intervals
from gradcheck.search.judging import FOUND
from gradcheck.search.search import EXAMPLES, Search
from gradcheck.search.slots import Entries
from gradcheck.search.space import Space
from gradcheck.search.values import Values
from gradcheck.search.wrong import is_another_function, is_wrong_kernel

FEWER: Final = EXAMPLES // 2
"""Each takes longer than one of a formula."""
REAL: Final = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class FunctionSearch:
    """A search among the inputs of a function that have a domain; all others stay as they are.

    `judge` gives the results at other inputs.

    Raises:
        UsageError: The domain cannot be meant, or an input lies outside of its own.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Any,
        domain: Mapping[str, Any],
        judge: Callable[[Any], Iterable[Result]],
    ) -> None:
        names = list(Call(function, inputs).named)
        self._leaves, self._tree = _pytree.tree_flatten(inputs)
        self._positions = {name: i for i, name in enumerate(names) if _is_real(self._leaves[i])}
        self._judge = judge
        slots = []
        for name, interval in intervals(domain, self._positions).items():
            tensor = self._leaves[self._positions[name]]
            base = tensor.detach().to("cpu", torch.float64).numpy()
            outside = [number for number in base.reshape(-1) if not interval.contains(number)]
            if outside:
                where = f"the domain of `{name}`, {interval}"
                raise UsageError(f"{float(outside[0])} is outside of {where}")
            if base.size:
                slots.append(Entries.numerically(name, base, interval, tensor.dtype))
        wrong = is_wrong_kernel, is_another_function
        self._search = Search(Space(slots), self._judged, wrong, examples=FEWER)

    def results(self) -> Iterator[Result]:
        """What is wrong elsewhere in the domain, and at which inputs."""
        if not self._search.space.slots:
            return
        for finding in self._search.findings():
            inputs = [self._spelled(name, array) for name, array in finding.values.items()]
            for result in finding.results:
                yield replace(result, point=FOUND, notes=(*result.notes, *inputs), diagnosis=())

    def _judged(self, values: Values) -> Sequence[Result]:
        leaves = list(self._leaves)
        for name, array in values.items():
            at = self._positions[name]
            leaves[at] = _like(self._leaves[at], array)
        return list(self._judge(_pytree.tree_unflatten(leaves, self._tree)))

    def _spelled(self, name: str, array: np.ndarray[Any, Any]) -> str:
        dtype = self._leaves[self._positions[name]].dtype
        return f"{name} = torch.tensor({array.tolist()}, dtype={dtype})"


def _is_real(value: Any) -> bool:
    is_dense = isinstance(value, Tensor) and value.layout is torch.strided
    return is_dense and value.dtype in REAL and not value.is_meta


def _like(tensor: Tensor, array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor with other numbers."""
    made = torch.from_numpy(np.array(array)).to(tensor.device, tensor.dtype)
    return made.requires_grad_(tensor.requires_grad)
