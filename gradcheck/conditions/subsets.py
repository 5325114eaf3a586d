"""The condition on which of the inputs require a gradient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

import torch
from torch import Tensor

from gradcheck.conditions.subject import Gradients, NotApplicableError, Subject
from gradcheck.frames import account_of
from gradcheck.oracles.autograd import gradients_of

ALL_SUBSETS: Final = 3
"""Inputs up to which each subset of them is looked at; of more, each alone and all but each."""
MOST_SUBSETS: Final = 6
"""Inputs up to which that is so; of more, halves of them that tell any two apart."""


def needs_input_grad(subject: Subject) -> Iterator[str]:
    """Each part of the inputs alone, against the whole."""
    at = subject.at
    count = len(at.inputs)
    if count < 2:
        raise NotApplicableError("there is one input")
    if any(at.are_captured):
        raise NotApplicableError("it reads inputs from around it")
    for subset in _subsets(count, subject.is_large):
        names = _names_of(at.inputs[i].name for i in subset)
        where = (
            f"where {names} alone requires a gradient"
            if len(subset) == 1
            else (f"where only {names} require a gradient")
        )
        try:
            found = _of_subset(subject, subset)
        except Exception as error:
            yield f"it raises {where}: {account_of(error)}"
            continue
        wanted = [subject.gradients[i] if i in subset else None for i in range(count)]

        def again(subset: Sequence[int] = subset) -> Gradients:
            gradients = subject.gradients_anew(subject.cotangents)
            return [gradients[i] if i in subset else None for i in range(count)]

        for problem in subject.differences(found, wanted, again):
            yield f"{where}, {problem}"


def _names_of(names: Iterable[str]) -> str:
    first, *others = names
    return " and ".join([first, *others] if len(others) < 3 else [first, f"{len(others)} others"])


def _subsets(count: int, is_large: bool) -> Iterator[tuple[int, ...]]:
    everything = range(count)
    if count > (ALL_SUBSETS if is_large else MOST_SUBSETS):
        yield from _halves(count, is_large)
        return
    sizes = (1,) if is_large else range(1, count) if count <= ALL_SUBSETS else (1, count - 1)
    for size in sizes:
        yield from combinations(everything, size)


def _halves(count: int, is_large: bool) -> Iterator[tuple[int, ...]]:
    """Those whose number has a bit, and those whose number has not; one of both if it is large."""
    for bit in range((count - 1).bit_length()):
        for value in (bit % 2,) if is_large else (0, 1):
            yield tuple(i for i in range(count) if i >> bit & 1 == value)


def _of_subset(subject: Subject, subset: Sequence[int]) -> Gradients:
    """The gradients where these inputs require one; None by the others."""
    at = subject.at
    inputs = [x.requires_grad_(i in subset) for i, x in enumerate(at.fresh())]
    with torch.enable_grad():
        outputs = at.recorded_from(inputs, [x.clone() for x in inputs]).outputs
    known = {
        leaf.name: u for leaf, u in zip(subject.output_leaves, subject.cotangents, strict=True)
    }
    pairs = [
        (output, known[leaf.name])
        for output, leaf in zip(outputs, at.outputs, strict=True)
        if output.requires_grad and leaf.name in known
    ]
    result: list[Tensor | None] = [None] * len(inputs)
    if not pairs:
        return result
    tracked, cotangents = zip(*pairs, strict=True)
    found = gradients_of(tracked, [inputs[i] for i in subset], cotangents)
    for i, gradient in zip(subset, found, strict=True):
        result[i] = gradient
    return result
