"""Tensors among nested arguments and results, each seen as a list of real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree

from gradcheck.casefile.case import DType
from gradcheck.entries import indexed
from gradcheck.sparse import Pattern, pattern, values_of

REAL: Final[dict[torch.dtype, torch.dtype]] = {
    torch.complex128: torch.float64,
    torch.complex64: torch.float32,
    torch.complex32: torch.float16,
}
"""The dtype of the two parts of a complex number."""
NAMES: Final[dict[torch.dtype, DType]] = {
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
    torch.float32: "float32",
    torch.float64: "float64",
}
"""The dtypes that can be differentiated in, from the coarsest on."""
_COARSEST_FIRST: Final = tuple(NAMES)


def is_differentiable(value: Any) -> bool:
    """Whether it is a tensor of floating-point or complex numbers."""
    return isinstance(value, Tensor) and REAL.get(value.dtype, value.dtype) in NAMES


def coarsest(dtypes: Sequence[torch.dtype]) -> torch.dtype:
    """The real dtype with the fewest digits."""
    return min((REAL.get(dtype, dtype) for dtype in dtypes), key=_COARSEST_FIRST.index)


def widened(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype.is_complex else torch.float64


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A tensor of this name, shape, dtype, layout and device, as real numbers: its entries.

    A complex number counts twice, first its real part. Of a sparse tensor the entries are the
    elements that `sparse` specifies.
    """

    name: str
    shape: torch.Size
    dtype: torch.dtype
    sparse: Pattern | None = None
    device: torch.device | None = None

    @classmethod
    def of(cls, name: str, tensor: Tensor, *, masked: bool = True) -> Leaf:
        """The leaf that this tensor is; unless `masked`, every element of a sparse one counts."""
        is_dense = tensor.layout is torch.strided
        found = None if is_dense else pattern(tensor, whole=not masked)
        return cls(name, tensor.shape, tensor.dtype, found, tensor.device)

    @property
    def entries_shape(self) -> tuple[int, ...]:
        """The shape in which its entries are told of: a last dimension of 2 for complex ones."""
        shape = self.shape if self.sparse is None else (len(self.sparse.positions),)
        return (*shape, 2) if self.dtype.is_complex else tuple(shape)

    @property
    def count(self) -> int:
        return math.prod(self.entries_shape)

    def entries(self, tensor: Tensor) -> Tensor:
        """The tensor's entries (count,), in its own real dtype."""
        if tensor.layout is not torch.strided:
            return self._selected(tensor.to_dense()).reshape(-1)
        return _parts(tensor).reshape(-1)

    def tensor(self, entries: Tensor, dtype: torch.dtype, *, copy: bool = True) -> Tensor:
        """A tensor of this dtype, real or complex as the leaf is, with these entries.

        It is a new one unless it may be a view of them.
        """
        # Pairs of numbers are not complex numbers wherever they stand in memory.
        is_new = copy or dtype.is_complex
        device = self.device or entries.device
        own = entries.to(device, REAL.get(dtype, dtype), copy=is_new).reshape(self.entries_shape)
        values = torch.view_as_complex(own) if dtype.is_complex else own
        if self.sparse is None:
            return values
        return self.sparse.build(values.reshape(self.sparse.values))

    def gradient(self, found: Tensor | None, count: int) -> Tensor:
        """So many gradients, stacked unless it is one, as rows (count, entries)."""
        if found is None:
            return torch.zeros((count, self.count), dtype=torch.float64)
        dense = found if found.layout is torch.strided else found.to_dense()
        if self.sparse is not None:
            dense = self._selected(dense.reshape(self.shape))
            return dense.reshape(1, -1).to("cpu", torch.float64)
        return _parts(dense).reshape(count, -1).to("cpu", torch.float64)

    def held(self, tensor: Tensor) -> Tensor:
        """The entries of the tensor that the leaf was made of; an element may be given twice."""
        if self.sparse is None or self.sparse.whole:
            return self.entries(tensor)
        return _parts(values_of(tensor)).reshape(-1)

    def _selected(self, dense: Tensor) -> Tensor:
        if self.sparse is None:
            return _parts(dense)
        return _parts(dense.reshape(-1)[self.sparse.positions])

    def label(self, index: tuple[int, ...]) -> str:
        """How a reader writes one of the entries: `x[0, 2]`, `Im z[1]`."""
        part = ""
        if self.dtype.is_complex:
            *index_of_number, which = index
            index, part = tuple(index_of_number), ("Re ", "Im ")[which]
        if self.sparse is not None:
            position = int(self.sparse.positions[index[0]])
            index = tuple(int(i) for i in np.unravel_index(position, tuple(self.shape)))
        return part + indexed(self.name, index)


def _parts(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def flattened(tree: Any, name: Callable[[tuple[Any, ...]], str]) -> list[tuple[str, Any]]:
    """The leaves of nested lists, tuples, dicts and the like, each with its name."""
    found, _ = _pytree.tree_flatten_with_path(tree)
    return [(name(path), leaf) for path, leaf in found]


def path_text(path: tuple[Any, ...]) -> str:
    """`[0]['weight']`, as Python writes it."""
    return _pytree.keystr(path)
