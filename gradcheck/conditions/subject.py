"""What conditions are looked at on: a function at a point, its graph, and one backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.errors import GradcheckError
from gradcheck.leaves import Leaf
from gradcheck.oracles import rounding
from gradcheck.oracles.autograd import Graph
from gradcheck.oracles.directional import random_entries
from gradcheck.python_function import PythonFunction

Gradients = Sequence[Tensor | None]

UNITS: Final = 64.0
"""Half units in the last place, of a gradient's largest entry, that two of them may differ by."""
PER_ROOT: Final = 4.0
"""Half units more, of float32 at most, for the root of the number of entries that may be summed."""
RADII: Final = 10.0
"""Measured rounding radii that they may differ by where that is more."""
MANY: Final = 2**17
"""Entries from which every pass counts."""
_SEED: Final = 7
_MOST_NUMBERS: Final = 8
_SHIFT: Final = 4_099


class NotApplicableError(GradcheckError):
    """A condition that says nothing of this function; the message says why."""


class Subject:
    """A function at a point, with cotangents of all outputs that a derivative reaches.

    `cotangents` are random, of a random sign and a size from ½ to 1½, dense and contiguous;
    `gradients` are what one backward pass gives for them. That of a dense input
    `may_be_sparse`, as that of an embedding.
    """

    def __init__(self, at: PythonFunction, *, may_be_sparse: bool = False) -> None:
        self.at = at
        self.may_be_sparse = may_be_sparse

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
        return self._count > MANY

    @property
    def _count(self) -> int:
        """Of all entries."""
        return sum(leaf.count for leaf in (*self.at.inputs, *self.at.outputs))

    @property
    def cotangents(self) -> list[Tensor]:
        """New ones each time: a backward may write into them."""
        return [cotangent.clone() for cotangent in self._cotangents]

    @cached_property
    def _cotangents(self) -> list[Tensor]:
        return self.drawn(0)

    def drawn(self, number: int) -> list[Tensor]:
        """Random cotangents, others for every number."""
        return random_tensors(self.output_leaves, self.at.device, number)

    @cached_property
    def gradients(self) -> Gradients:
        found = self.graph.gradients(self.cotangents)
        return [None if one is None else one.clone() for one in found]  # which may be used again

    def differences(
        self,
        found: Gradients,
        wanted: Gradients,
        again: Callable[[], Gradients],
        *,
        found_again: Callable[[], Gradients] | None = None,
        parts: Callable[[], Sequence[Gradients]] | None = None,
    ) -> Iterator[str]:
        """Where gradients are not the same to within rounding: by which input, and how far.

        `again` evaluates what is wanted anew, to measure what rounding does to it, `found_again`
        what is found, where rounding may do more to that; `parts` gives what is wanted the sum of.
        """
        leaves = self.graph.input_leaves
        for index, (leaf, a, b) in enumerate(zip(leaves, found, wanted, strict=True)):
            if a is not None and a.shape != leaf.shape:
                yield f"the gradient by {leaf.name} has shape {list(a.shape)}"
                continue
            one, other = _entries(leaf, a), _entries(leaf, b)
            repeat = partial(_entries_of, leaf, again, index)
            own = found_again and partial(_entries_of, leaf, found_again, index)
            least = parts and partial(_largest_of, leaf, parts, index)
            if apart := self.apart(one, other, repeat, own, least):
                yield f"the gradient by {leaf.name} is {apart}"

    def apart(
        self,
        found: Tensor,
        wanted: Tensor,
        again: Callable[[], Tensor],
        found_again: Callable[[], Tensor] | None = None,
        least: Callable[[], float] | None = None,
    ) -> str:
        """How far two arrays are apart, in words; empty where rounding explains it.

        Both are rounded as numbers are that are no smaller than `least`.
        """
        if self._is_close(found, wanted):
            return ""
        a, b = rounding.to_array(found), rounding.to_array(wanted)
        distance, size = _distance(a, b), _size(b)
        floor = least() if least else 0.0
        unit, smallest = rounding.precision_of(self.at.dtype)
        normal = 16 * smallest / (2 * unit)  # what is made of less has fewer digits
        if (distance <= self._slack * max(size, floor, normal)).all():
            return ""
        try:
            radius = self._radius(again, wanted)
            if found_again is not None and not (distance <= RADII * radius).all():
                radius = radius + self._radius(found_again, found)
        except Exception:
            return _told(distance, size)
        return "" if (distance <= RADII * radius).all() else _told(distance, size)

    def _is_close(self, found: Tensor, wanted: Tensor) -> bool:
        """Whether all is finite, and near to within the slack; a quick look that settles most."""
        if torch.equal(found, wanted):
            return True
        if not found.numel() or found.shape != wanted.shape:
            return False
        return largest(found - wanted) <= self._slack * largest(wanted)

    @property
    def _slack(self) -> float:
        """By how much of its size a sum may differ that is formed in another order."""
        unit, _ = rounding.precision_of(self.at.dtype)
        inside = min(unit, rounding.precision_of(torch.float32)[0])
        return UNITS * unit + PER_ROOT * inside * math.sqrt(self._count)

    def _radius(self, again: Callable[[], Tensor], known: Tensor) -> Array:
        """What rounding does to an evaluation that gave this, as it is measured."""
        return rounding.measure(rounding.repeated(again, known), self.at.dtype).radius

    def value_differences(
        self,
        found: Sequence[Tensor],
        wanted: Sequence[Tensor],
        again: Callable[[], Graph] | None = None,
    ) -> Iterator[str]:
        """Where outputs are not the same to within rounding; `again` is as in `differences`."""
        anew = again or self.anew
        for index, (leaf, a, b) in enumerate(zip(self.at.outputs, found, wanted, strict=True)):
            one, other = leaf.entries(a.detach()), leaf.entries(b.detach())
            if apart := self.apart(one, other, partial(_value_of, leaf, anew, index)):
                yield f"{leaf.name} is {apart}"

    def anew(self) -> Graph:
        """One more evaluation; where rounding is measured, of inputs that it has moved."""
        triples = zip(self.at.fresh(), self.graph.inputs, self.at.are_captured, strict=True)
        inputs = [own if captured else new.requires_grad_() for new, own, captured in triples]
        pairs = zip(inputs, self.at.are_captured, strict=True)
        with torch.enable_grad():
            given = [x if captured else rounded(x) for x, captured in pairs]
        return self.at.recorded_from(inputs, given)

    def gradients_anew(self, cotangents: Sequence[Tensor]) -> Gradients:
        """Those of one more evaluation, likewise."""
        return self.anew().gradients([rounded(u) for u in cotangents])


def largest(entries: Tensor) -> float:
    """The largest |entry| of some, NaN if there is a NaN."""
    low, high = torch.aminmax(entries)
    return max(-float(low), float(high))


def rounded(tensor: Tensor) -> Tensor:
    """The tensor anew: moved where rounding is measured, inside of what torch cannot see too."""
    return tensor * 1 if tensor.layout is torch.strided else tensor.clone()


def random_tensors(leaves: Sequence[Leaf], device: torch.device, number: int) -> list[Tensor]:
    """A tensor for each leaf, of entries of random sign from ½ to 1½.

    Those of other numbers are other parts of one stream: drawing it is what takes time.
    """
    counts = [leaf.count for leaf in leaves]
    stream = _stream(sum(counts) + _MOST_NUMBERS * _SHIFT)[number * _SHIFT :]
    parts = torch.split(stream[: sum(counts)], counts)
    pairs = zip(leaves, parts, strict=True)
    return [leaf.tensor(part.to(device), leaf.dtype) for leaf, part in pairs]


@lru_cache(maxsize=4)
def _stream(count: int) -> Tensor:
    return random_entries(count, _SEED, torch.device("cpu"))


def _entries(leaf: Leaf, gradient: Tensor | None) -> Tensor:
    found = leaf.gradient(gradient, 1)[0]
    return found.clone() if torch._is_zerotensor(found) else found  # which has no memory


def _entries_of(leaf: Leaf, again: Callable[[], Gradients], index: int) -> Tensor:
    return _entries(leaf, again()[index])


def _largest_of(leaf: Leaf, parts: Callable[[], Sequence[Gradients]], index: int) -> float:
    return max(_size(rounding.to_array(_entries(leaf, part[index]))) for part in parts())


def _value_of(leaf: Leaf, again: Callable[[], Graph], index: int) -> Tensor:
    return leaf.entries(again().outputs[index].detach())


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
