"""Words whose torch function takes its arguments in another form than the language does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gradcheck import budget
from gradcheck.blocks import Blocks, pair

Number = int | float
Operand = Tensor | Number
Size = int | Sequence[int]


def floor_divide(input: Operand, other: Operand) -> Operand:
    """input // other; torch's own `//` has no derivative, not even 0."""
    if isinstance(input, Tensor):
        return torch.div(input, other, rounding_mode="floor")
    if isinstance(other, Tensor):
        return torch.div(torch.full_like(other, input), other, rounding_mode="floor")
    return input // other


def power(base: Operand, exponent: Operand) -> Operand:
    """base**exponent; a power of two whole numbers is exact while it is small."""
    if isinstance(base, Tensor) or isinstance(exponent, Tensor):
        return base**exponent
    if isinstance(base, int) and isinstance(exponent, int) and _is_short(base, exponent):
        exact: int = base**exponent
        return exact
    return _real_power(base, exponent)


def _is_short(base: int, exponent: int) -> bool:
    """Whether base**exponent is whole and surely below 2**128."""
    return exponent >= 0 and exponent * (base.bit_length() - 1) < 64


def _real_power(base: Number, exponent: Number) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        raise ValueError("this power is larger than any float64") from None
    except ValueError:
        raise ValueError(
            "division by zero" if base == 0 else "this power of a negative number is not real"
        ) from None


def clamp(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    if isinstance(min, Tensor) != isinstance(max, Tensor):
        min = _like(min, input)
        max = _like(max, input)
    return torch.clamp(input, min, max)  # type: ignore[arg-type, misc]


def polygamma(input: Tensor, *, n: int) -> Tensor:
    return torch.polygamma(n, input)


def cholesky(input: Tensor) -> Tensor:
    """The factor of the symmetric part: torch reads one triangle, and differentiates by both."""
    factor: Tensor = torch.linalg.cholesky((input + input.mT) / 2)
    return factor


def norm(
    input: Tensor,
    p: Number = 2,
    dim: Size | None = None,
    keepdim: bool = False,
) -> Tensor:
    result: Tensor = torch.linalg.vector_norm(input, p, dim, keepdim)
    return result


def transpose_all(input: Tensor) -> Tensor:
    if input.ndim > 2:
        raise ValueError(f".T is for matrices, this has {input.ndim} dimensions: use .mT")
    return input.T if input.ndim == 2 else input


def transpose_matrix(input: Tensor) -> Tensor:
    if input.ndim < 2:
        raise ValueError(f".mT is for matrices, this has {input.ndim} dimensions")
    return input.mT


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    if input.ndim == 1:
        budget.check([len(input) + abs(diagonal)] * 2)
    return torch.diag(input, diagonal)


def einsum(*operands: Tensor, equation: str) -> Tensor:
    result: Tensor = torch.einsum(equation, *operands)
    return result


def expand(input: Tensor, *size: Size) -> Tensor:
    expanded = input.expand(_sizes(size))
    budget.check(expanded.shape)
    return expanded


def imag(input: Tensor) -> Tensor:
    return torch.imag(input) if input.is_complex() else torch.zeros_like(input)


def kron(input: Tensor, other: Tensor) -> Tensor:
    # torch's own asks for a view that transposed values do not have.
    return torch.kron(input.contiguous(), other.contiguous())


def trace(input: Tensor) -> Tensor:
    # torch 2.11's own takes neither float16 nor bfloat16 on the CPU.
    return input.diagonal().sum() if input.ndim == 2 else torch.trace(input)  # which says why not


def gather(input: Tensor, index: Tensor, dim: int) -> Tensor:
    return pick(lambda source, at: torch.gather(source, dim, at), input, as_index(index))


def index_select(input: Tensor, index: Tensor, dim: int) -> Tensor:
    return pick(lambda source, at: torch.index_select(source, dim, at), input, as_index(index))


def pick(picking: Callable[[Tensor, Any], Tensor], source: Tensor, at: Any) -> Tensor:
    """picking(source, at), tried on the CPU first where the source is on another device.

    A GPU that meets an index out of bounds is lost to the process.
    """
    if source.device.type == "cuda":
        stand_in = torch.zeros((), dtype=torch.uint8).expand(source.shape)
        picking(stand_in, tree_map_only(Tensor, Tensor.cpu, at))
    return picking(source, at)


def unfold(
    input: Tensor,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    blocks = Blocks.of(kernel_size, dilation, padding, stride)
    budget.check(blocks.columns(input.shape))
    return torch.nn.functional.unfold(input, *blocks)


def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    size = pair("output_size", output_size)
    blocks = Blocks.of(kernel_size, dilation, padding, stride)
    budget.check(blocks.images(input.shape, size))
    return torch.nn.functional.fold(input, size, *blocks)


def one_hot(input: Tensor, num_classes: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    budget.check([*input.shape, num_classes])
    index = as_index(input).to(device)
    classes = torch.arange(num_classes, device=device)
    if ((index < 0) | (index >= num_classes)).any():
        raise ValueError(f"a class is a whole number from 0 to {num_classes - 1}")
    return (index[..., None] == classes).to(dtype)


def zeros(*size: Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    budget.check(_sizes(size))
    return torch.zeros(_sizes(size), dtype=dtype, device=device)


def ones(*size: Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    budget.check(_sizes(size))
    return torch.ones(_sizes(size), dtype=dtype, device=device)


def eye(n: int, m: int | None = None, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    columns = n if m is None else m
    budget.check([n, columns])
    return torch.eye(n, columns, dtype=dtype, device=device)


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
    if step and (end - start) / step > budget.ELEMENT_BUDGET:
        raise ValueError(f"this range has more than {budget.ELEMENT_BUDGET:,} elements")
    return torch.arange(start, end, step, dtype=dtype, device=device)


def as_index(value: Tensor) -> Tensor:
    """The value as int64, if it is made of whole numbers that the dtype tells apart.

    Raises:
        ValueError: Some entry is not a whole number, or may have been rounded to one.
    """
    if not value.is_floating_point() or value.device.type == "meta":
        return value.long()
    index = value.detach().long()
    if not torch.equal(index.to(value.dtype), value.detach()):
        raise ValueError("an index is made of whole numbers")
    if (value.detach().abs() * torch.finfo(value.dtype).eps >= 2).any():
        raise ValueError(f"an index this large is not exact in {str(value.dtype)[6:]}")
    return index


def _sizes(size: tuple[Size, ...]) -> tuple[int, ...]:
    """`zeros(2, 3)` and `zeros([2, 3])` mean the same."""
    sizes = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    whole = tuple(size for size in sizes if isinstance(size, int))
    if len(whole) < len(sizes):
        raise ValueError("`size` is a whole number or a list of them")
    return whole


def _like(bound: Operand | None, input: Tensor) -> Tensor | None:
    if bound is None:
        return None
    return torch.as_tensor(bound, dtype=input.dtype, device=input.device)
