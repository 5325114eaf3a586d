"""Words whose torch function takes its arguments in another form than the language does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Number = int | float
Operand = Tensor | Number
Size = int | Sequence[int]


def power(base: Operand, exponent: Operand) -> Operand:
    """base**exponent; a power of two numbers stays exact while it is a 64-bit integer."""
    if isinstance(base, Tensor) or isinstance(exponent, Tensor):
        result: Tensor = base**exponent
        return result
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if exponent * base.bit_length() <= 63:
            exact: int = base**exponent
            return exact
        return math.pow(base, exponent)
    return math.pow(base, exponent)


def clamp(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    if isinstance(min, Tensor) != isinstance(max, Tensor):
        min = _like(min, input)
        max = _like(max, input)
    return torch.clamp(input, min, max)  # type: ignore[arg-type]


def norm(
    input: Tensor,
    p: Number = 2,
    dim: Size | None = None,
    keepdim: bool = False,
) -> Tensor:
    return torch.linalg.vector_norm(input, p, dim, keepdim)


def transpose_all(input: Tensor) -> Tensor:
    if input.ndim > 2:
        raise ValueError(f".T is for matrices, this has {input.ndim} dimensions: use .mT")
    return input.T


def transpose_matrix(input: Tensor) -> Tensor:
    return input.mT


def expand(input: Tensor, *size: Size, **_: object) -> Tensor:
    return input.expand(*_sizes(size))


def gather(input: Tensor, index: Tensor, dim: int) -> Tensor:
    return torch.gather(input, dim, as_index(index))


def index_select(input: Tensor, index: Tensor, dim: int) -> Tensor:
    return torch.index_select(input, dim, as_index(index))


def one_hot(
    input: Tensor, num_classes: int, *, dtype: torch.dtype, device: torch.device
) -> Tensor:
    classes = torch.arange(num_classes, device=device)
    return (as_index(input).to(device)[..., None] == classes).to(dtype)


def zeros(*size: Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.zeros(_sizes(size), dtype=dtype, device=device)


def ones(*size: Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(_sizes(size), dtype=dtype, device=device)


def eye(n: int, m: int | None = None, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.eye(n, n if m is None else m, dtype=dtype, device=device)


def arange(
    start: Number,
    end: Number | None = None,
    step: Number = 1,
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    if end is None:
        start, end = 0, start
    return torch.arange(start, end, step, dtype=dtype, device=device)


def as_index(value: Tensor) -> Tensor:
    """The value as int64, if it is made of whole numbers.

    Raises:
        ValueError: Some entry is not a whole number.
    """
    if value.dtype in (torch.int64, torch.bool) or value.device.type == "meta":
        return value.long()
    index = value.detach().long()
    if not torch.equal(index.to(value.dtype), value.detach()):
        raise ValueError("an index is made of whole numbers")
    return index


def _sizes(size: tuple[Size, ...]) -> tuple[int, ...]:
    """`zeros(2, 3)` and `zeros([2, 3])` mean the same."""
    if len(size) == 1 and not isinstance(size[0], int):
        return tuple(size[0])
    return size  # type: ignore[return-value]


def _like(bound: Operand | None, input: Tensor) -> Tensor | None:
    if bound is None:
        return None
    return torch.as_tensor(bound, dtype=input.dtype, device=input.device)
