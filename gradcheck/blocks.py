"""Sliding blocks of images: what `unfold` takes out as columns, and `fold` adds up again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

Pair = tuple[int, int]

LARGEST: Final = 2**24
"""Of sizes, steps and padding: no image has more entries."""


class Blocks(NamedTuple):
    """Blocks of `kernel` entries that lie `dilation` apart, one at every `stride` entries.

    The first starts `padding` entries outside of the image, where all is 0, as it is at the end.
    Each is told along the height and along the width.
    """

    kernel: Pair
    dilation: Pair
    padding: Pair
    stride: Pair

    @classmethod
    def of(cls, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Blocks:
        """As torch calls it.

        Raises:
            ValueError: Some setting is not a whole number within its range, or two of them.
        """
        return cls(
            pair("kernel_size", kernel_size),
            pair("dilation", dilation),
            pair("padding", padding, least=0),
            pair("stride", stride),
        )

    def counts(self, sizes: Sequence[int]) -> list[int]:
        """How many blocks an image of these sizes has, along the height and along the width."""
        spans = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        room = [n + 2 * p - s for n, p, s in zip(sizes, self.padding, spans, strict=True)]
        return [max(0, r // step + 1) for r, step in zip(room, self.stride, strict=True)]

    def columns(self, shape: Sequence[int]) -> list[int]:
        """The shape (N, C·kernel, blocks) of the columns of images (N, C, H, W), or of one."""
        if len(shape) not in (3, 4):
            raise ValueError(f"images are (N, C, H, W), or one of them, not {[*shape]}")
        *batch, channels, height, width = shape
        return [*batch, channels * math.prod(self.kernel), math.prod(self.counts((height, width)))]

    def images(self, shape: Sequence[int], size: Pair) -> list[int]:
        """The shape (N, C, *size) of the images of columns (N, C·kernel, blocks), or of one."""
        if len(shape) not in (2, 3):
            raise ValueError(
                f"columns are (N, C*kernel, blocks), or those of one image, not {[*shape]}"
            )
        *batch, rows, _ = shape
        return [*batch, rows // math.prod(self.kernel), *size]


def pair(name: str, value: Any, least: int = 1) -> Pair:
    """A setting for the height and for the width: two whole numbers, or one for both.

    Raises:
        ValueError: It is something else, or not within `least` and `LARGEST`.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    both = [*items, *items] if len(items) == 1 else [*items]
    if len(both) == 2 and all(isinstance(n, int) and least <= n <= LARGEST for n in both):
        return both[0], both[1]
    raise ValueError(f"`{name}` is a whole number from {least} to {LARGEST:,}, or two of them")
