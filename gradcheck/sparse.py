"""Sparse tensors as the numbers that they hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

COMPRESSED: Final = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
_BY_ROW: Final = (torch.sparse_csr, torch.sparse_bsr)
_BLOCKED: Final = (torch.sparse_bsr, torch.sparse_bsc)


def dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Which elements of a sparse tensor are specified.

    `positions` (k,) says where each of its values stands in the flat dense tensor; `build` makes
    the sparse tensor of values of shape `values`. All are specified where it is `whole`.
    """

    values: torch.Size
    positions: Tensor
    build: Callable[[Tensor], Tensor]
    whole: bool


def pattern(tensor: Tensor, *, whole: bool) -> Pattern:
    """The pattern of a sparse tensor; of one that specifies every element, if it is `whole`."""
    if whole:
        tensor = _with_all_elements(tensor)
    values, build = values_of(tensor), _builder(tensor)
    return Pattern(values.shape, _positions(build, values), build, whole)


def values_of(tensor: Tensor) -> Tensor:
    """The values that are specified, in the order of the pattern."""
    found = tensor.detach()
    return found._values() if found.layout is torch.sparse_coo else found.values()


def _with_all_elements(tensor: Tensor) -> Tensor:
    ones = torch.ones(tensor.shape, dtype=torch.float64, device=tensor.device)
    if tensor.layout is torch.sparse_coo:
        return ones.to_sparse(tensor.sparse_dim())
    blocks = tuple(tensor.values().shape[1:3]) if tensor.layout in _BLOCKED else None
    return ones.to_sparse(layout=tensor.layout, blocksize=blocks)


def _builder(tensor: Tensor) -> Callable[[Tensor], Tensor]:
    shape, layout = tensor.shape, tensor.layout
    if layout is torch.sparse_coo:
        indices, is_coalesced = tensor.detach()._indices(), tensor.is_coalesced()
        return lambda values: torch.sparse_coo_tensor(
            indices, values, shape, is_coalesced=is_coalesced
        )
    if layout in _BY_ROW:
        compressed, plain = tensor.crow_indices(), tensor.col_indices()
    else:
        compressed, plain = tensor.ccol_indices(), tensor.row_indices()
    return lambda values: torch.sparse_compressed_tensor(
        compressed, plain, values, shape, layout=layout
    )


def _positions(build: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Where the values stand, found by numbering them."""
    count = torch.arange(values.numel(), dtype=torch.float64, device=values.device)
    numbered = build(count.reshape(values.shape) + 1)
    if numbered.layout is not torch.sparse_coo:
        numbered = numbered.to_sparse(layout=torch.sparse_coo)
    dimensions = numbered.sparse_dim()
    inner = math.prod(numbered.shape[dimensions:])
    outer = torch.zeros_like(numbered._indices()[0])
    for size, index in zip(numbered.shape, numbered._indices(), strict=False):
        outer = outer * size + index
    flat = outer[:, None] * inner + torch.arange(inner, device=values.device)
    positions = torch.empty(values.numel(), dtype=torch.int64, device=values.device)
    positions[numbered._values().reshape(-1).long() - 1] = flat.reshape(-1)
    return positions
