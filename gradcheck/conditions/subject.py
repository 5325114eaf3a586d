"""What conditions are looked at on: a function at a point, its graph, and one backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.errors import GradcheckError
from gradcheck.leaves import Leaf
from gradcheck.oracles import rounding
from gradcheck.oracles.autograd import Graph
from gradcheck.python_function import PythonFunction

Gradients = Sequence[Tensor | None]

UNITS: Final = 64.0
"""Half units in the last place, of a gradient's largest entry, that two of them may differ by."""
RADII: Final = 10.0
"""Measured rounding radii that they may differ by where that is more."""
MANY: Final = 2**17
"""Entries from which every pass counts."""
_SEED: Final = 7


class NotApplicableError(GradcheckError):
    """A condition that says nothing of this function; the message says why."""


class Subject:
    """A function at a point, with cotangents of all outputs that a derivative reaches.

    `cotangents` are random, of a random sign and a size from ½ to 1½ that every dtype has, dense
    and contiguous; `gradients` are what one backward pass gives for them.
    """

    def __init__(self, at: PythonFunction) -> None:
        self.at = at

    @property
    def graph(self) -> Graph:
        return self.at.graph

    @property
    def outputs(self) -> list[Tensor]:
        """Those that a derivative reaches."""
        return self.graph.tracked

    @property
    def output_names(self) -> list[str]:
        return [leaf.name for leaf in self.output_leaves]

    @property
    def output_leaves(self) -> list[Leaf]:
        pairs = zip(self.graph.output_leaves, self.graph.outputs, strict=True)
        return [leaf for leaf, output in pairs if output.requires_grad]

    @property
    def is_large(self) -> bool:
        return sum(leaf.count for leaf in (*self.at.inputs, *self.at.outputs)) > MANY

    @property
    def cotangents(self) -> list[Tensor]:
        """New ones each time: a backward may write into them."""
        return [cotangent.clone() for cotangent in self._cotangents]

    @cached_property
    def _cotangents(self) -> list[Tensor]:
        return self.drawn(0)

    def drawn(self, number: int) -> list[Tensor]:
        """Random cotangents, others for every number."""
        generator = torch.Generator().manual_seed(_SEED + number)
        leaves, outputs = self.output_leaves, self.outputs
        return [_random(*pair, generator) for pair in zip(leaves, outputs, strict=True)]

    @cached_property
    def gradients(self) -> Gradients:
        return self.graph.gradients(self.cotangents)

    def differences(
        self,
        found: Gradients,
        wanted: Gradients,
        again: Callable[[], Gradients],
        *,
        found_again: Callable[[], Gradients] | None = None,
        graph: Graph | None = None,
    ) -> Iterator[str]:
        """Where gradients are not the same to within rounding: by which input, and how far.

        `again` evaluates what is wanted anew, to measure what rounding does to it, `found_again`
        what is found, where rounding may do more to that.
        """
        leaves = (graph or self.graph).input_leaves
        for index, (leaf, a, b) in enumerate(zip(leaves, found, wanted, strict=True)):
            if a is not None and a.shape != leaf.shape:
                yield f"the gradient by {leaf.name} has shape {list(a.shape)}"
                continue
            one, other = _entries(leaf, a), _entries(leaf, b)
            repeat = partial(_entries_of, leaf, again, index)
            own = found_again and partial(_entries_of, leaf, found_again, index)
            if apart := self.apart(one, other, repeat, own):
                yield f"the gradient by {leaf.name} is {apart}"

    def apart(
        self,
        found: Tensor,
        wanted: Tensor,
        again: Callable[[], Tensor],
        found_again: Callable[[], Tensor] | None = None,
    ) -> str:
        """How far two arrays are apart, in words; empty where rounding explains it."""
        if torch.equal(found, wanted):
            return ""
        a, b = rounding.to_array(found), rounding.to_array(wanted)
        distance, size = _distance(a, b), _size(b)
        unit, smallest = rounding.precision_of(self.at.dtype)
        if (distance <= UNITS * unit * size + smallest).all():
            return ""
        try:
            radius = self._radius(again, wanted)
            if found_again is not None and not (distance <= RADII * radius).all():
                radius = radius + self._radius(found_again, found)
        except Exception:
            return _told(distance, size)
        return "" if (distance <= RADII * radius).all() else _told(distance, size)

    def _radius(self, again: Callable[[], Tensor], known: Tensor) -> Array:
        """What rounding does to an evaluation that gave this, as it is measured."""
        return rounding.measure(rounding.repeated(again, known), self.at.dtype).radius

    def value_differences(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Iterator[str]:
        """Where outputs are not the same to within rounding."""
        for leaf, a, b in zip(self.at.outputs, found, wanted, strict=True):
            one, other = leaf.entries(a.detach()), leaf.entries(b.detach())
            if apart := self.apart(one, other, partial(self._value_again, leaf)):
                yield f"{leaf.name} is {apart}"

    def _value_again(self, leaf: Leaf) -> Tensor:
        outputs = self.at.tensors_of(self.at.fresh())
        return leaf.entries(outputs[self.at.outputs.index(leaf)].detach())


def _random(leaf: Leaf, like: Tensor, generator: torch.Generator) -> Tensor:
    sizes = torch.randint(32, 97, (leaf.count,), generator=generator, dtype=torch.float64) / 64
    signs = 2.0 * torch.randint(0, 2, (leaf.count,), generator=generator) - 1
    return leaf.tensor((signs * sizes).to(like.device), leaf.dtype)


def _entries(leaf: Leaf, gradient: Tensor | None) -> Tensor:
    return leaf.gradient(gradient, 1)[0]


def _entries_of(leaf: Leaf, again: Callable[[], Gradients], index: int) -> Tensor:
    return _entries(leaf, again()[index])


def _distance(a: Array, b: Array) -> Array:
    """Entry by entry; of what is not finite, what is the same is 0 apart, all else infinitely."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    result: Array = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return result


def _size(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0, where=np.isfinite(values)))


def _told(distance: Array, size: float) -> str:
    apart = float(distance.max())
    return (
        f"off by {apart / size:.2g} of its largest entry" if size else f"{apart:.2g} in place of 0"
    )
