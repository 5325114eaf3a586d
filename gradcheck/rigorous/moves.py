"""Words that move entries: which entry of the arguments each entry of the result is.

A word is told by where it takes positions: its arguments are arrays of numbers, one for each entry,
and its result is an array of them; `NOTHING` stands for an entry that is 0 whatever the arguments.
That serves values, tangents and, read backwards, cotangents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradcheck.blocks import Blocks, pair
from gradcheck.rigorous.numbers import MOST_ENTRIES, OverBudgetError

Positions = NDArray[np.intp]

NOTHING: Final = -1


def _transpose(x: Positions, dim0: int, dim1: int) -> Positions:
    return np.swapaxes(x, dim0, dim1) if x.ndim else x


def _reshape(x: Positions, shape: Sequence[int]) -> Positions:
    return x.reshape(shape)


def _flatten(x: Positions, start_dim: int = 0, end_dim: int = -1) -> Positions:
    if x.ndim == 0:
        return x.reshape(1)
    start, end = start_dim % x.ndim, end_dim % x.ndim
    joined = int(np.prod(x.shape[start : end + 1]))
    return x.reshape(*x.shape[:start], joined, *x.shape[end + 1 :])


def _squeeze(x: Positions, dim: int | Sequence[int] | None = None) -> Positions:
    if dim is None:
        return np.squeeze(x)
    dims = [dim] if isinstance(dim, int) else dim
    return np.squeeze(x, tuple(d for d in dims if x.ndim and x.shape[d] == 1))


def _expand(x: Positions, *size: Any) -> Positions:
    sizes = list(size[0]) if len(size) == 1 and not isinstance(size[0], int) else list(size)
    new = len(sizes) - x.ndim
    kept = [x.shape[i - new] if n == -1 else n for i, n in enumerate(sizes)]
    return np.broadcast_to(x, kept)


def _flip(x: Positions, dims: int | Sequence[int]) -> Positions:
    return np.flip(x, dims if isinstance(dims, int) else tuple(dims))


def _roll(x: Positions, shifts: Any, dims: Any = None) -> Positions:
    return np.roll(x, shifts, None if dims is None or dims == [] else dims)


def _gather(x: Positions, index: Positions, dim: int) -> Positions:
    if x.ndim == 0:
        return np.broadcast_to(x, index.shape)
    dim %= x.ndim
    grid: list[Any] = list(np.indices(index.shape, sparse=True))
    grid[dim] = index
    picked: Positions = x[tuple(grid)]
    return picked


def _index_select(x: Positions, index: Positions, dim: int) -> Positions:
    picked: Positions = np.take(x.reshape(-1) if x.ndim == 0 else x, np.atleast_1d(index), dim)
    return picked


def _diag(x: Positions, diagonal: int = 0) -> Positions:
    if x.ndim == 2:
        return np.diagonal(x, diagonal)
    size = len(x) + abs(diagonal)
    matrix = np.full((size, size), NOTHING)
    rows = np.arange(len(x))
    matrix[rows - min(diagonal, 0), rows + max(diagonal, 0)] = x
    return matrix


def _triangle(kept: Callable[..., Any]) -> Callable[..., Positions]:
    def triangle(x: Positions, diagonal: int = 0) -> Positions:
        mask = kept(np.ones(x.shape[-2:], dtype=bool), diagonal)
        return np.where(mask, x, NOTHING)

    return triangle


def _unfold(x: Positions, **settings: Any) -> Positions:
    """(…, C, H, W) → (…, C·kernel, blocks)."""
    blocks, sizes = Blocks.of(**settings), x.shape[-2:]
    columns = _affordable(blocks.columns(x.shape))
    along = zip(sizes, blocks.counts(sizes), *blocks, strict=True)
    rows, places = (_along(*each) for each in along)
    framed = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, 1)] * 2, constant_values=NOTHING)
    return framed[..., rows[:, None, :, None], places[None, :, None, :]].reshape(columns)


def _along(
    size: int, count: int, kernel: int, dilation: int, padding: int, stride: int
) -> Positions:
    """Where the entries of blocks lie along one dimension, (kernel, count): `size` if outside."""
    at = np.arange(kernel)[:, None] * dilation + np.arange(count) * stride - padding
    return np.where((at >= 0) & (at < size), at, size)


def _fold(x: Positions, output_size: Any, **settings: Any) -> Positions:
    """(…, C·kernel, blocks) → (…, C, *output_size, terms)."""
    shape = Blocks.of(**settings).images(x.shape, pair("output_size", output_size))
    count = math.prod(_affordable(shape))
    targets = _unfold(np.arange(count).reshape(shape), **settings)
    terms = _collected(x.reshape(-1), targets.reshape(-1), count)
    return terms.reshape(*shape, terms.shape[-1])


def _collected(x: Positions, targets: Positions, count: int) -> Positions:
    """The entries of `x` (n,) that go to each of `count` targets, (count, most of one target).

    `targets` (n,) says where each goes, `NOTHING` if nowhere; where a target has fewer, so it says.
    """
    order = np.argsort(targets, kind="stable")
    order = order[targets[order] != NOTHING]
    ordered = targets[order]
    rank = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    terms = np.full(_affordable([count, int(rank.max(initial=0)) + 1]), NOTHING)
    terms[ordered, rank] = x[order]
    return terms


def _affordable(shape: list[int]) -> list[int]:
    """The shape, where it has not too many entries; an empty one has those of its other sizes."""
    entries = math.prod(max(size, 1) for size in shape)
    if entries > MOST_ENTRIES:
        raise OverBudgetError(f"{entries:,} entries are more than ball arithmetic takes")
    return shape


MOVES: Final[Mapping[str, Callable[..., Positions]]] = {
    "T": lambda x: x.T,
    "mT": lambda x: np.swapaxes(x, -1, -2),
    "transpose": _transpose,
    "permute": lambda x, dims: np.transpose(x, dims),
    "reshape": _reshape,
    "flatten": _flatten,
    "squeeze": _squeeze,
    "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
    "expand": _expand,
    "concatenate": lambda tensors, dim=0: np.concatenate(tensors, dim),
    "stack": lambda tensors, dim=0: np.stack(tensors, dim),
    "flip": _flip,
    "roll": _roll,
    "gather": _gather,
    "index_select": _index_select,
    "diag": _diag,
    "tril": _triangle(np.tril),
    "triu": _triangle(np.triu),
    "unfold": _unfold,
}

SUMS: Final[Mapping[str, Callable[..., Positions]]] = {"fold": _fold}
"""Words that sum the entries which they move, along the last dimension of these positions."""


def positions_of(values: Sequence[Any]) -> list[Positions]:
    """The entries of all values, counted through, in the values' shapes."""
    arrays, start = [], 0
    for value in values:
        shape = value.shape if isinstance(value, np.ndarray) else ()
        count = math.prod(shape)
        arrays.append(np.arange(start, start + count).reshape(shape))
        start += count
    return arrays
