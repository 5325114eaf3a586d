"""Conditions that torch's own gradcheck can look at, beside those on cotangents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor
from torch._vmap_internals import _vmap  # as is_grads_batched of torch.autograd.grad has it

from gradcheck.conditions.subject import UNITS, NotApplicableError, Subject
from gradcheck.frames import account_of
from gradcheck.oracles import forward_mode
from gradcheck.python_function import PythonFunction

_TOGETHER: Final = 2
"""Passes that are compared with as many single ones."""
_SEED: Final = 7
_NO_GRADIENT: Final = "does not require grad"
"""What torch says to a function that asks for a gradient by what is not tracked."""


def batched_backward(subject: Subject) -> Iterator[str]:
    graph = subject.at.tracked()
    several = [subject.drawn(number) for number in range(_TOGETHER)]
    alone = [graph.gradients(cotangents) for cotangents in several]
    try:
        stacked = [torch.stack(parts) for parts in zip(*several, strict=True)]
        found = graph.gradients(stacked, batched=True)
    except Exception as error:
        yield f"the backward does not work under vmap: {account_of(error)}"
        return
    for number, single in enumerate(alone):
        parts = [None if gradient is None else gradient[number] for gradient in found]
        again = lambda n=number: subject.gradients_anew(several[n])  # noqa: E731
        if any(subject.differences(parts, single, again)):
            yield "backward passes under vmap give other gradients than one by one"
            return


def tangent_dtype(subject: Subject) -> Iterator[str]:
    function = subject.at
    for position in range(len(function.inputs)):
        tensors, tangents = _seeded(function, [position])
        found = _jvp(function, tensors, tangents)
        for leaf, tangent in zip(function.outputs, found, strict=True):
            if tangent is not None and tangent.is_complex() != leaf.dtype.is_complex:
                yield f"the tangent of {leaf.name} is {tangent.dtype}, the output {leaf.dtype}"


def batched_forward(subject: Subject) -> Iterator[str]:
    function = subject.at
    for position, leaf in enumerate(function.inputs):
        seeds = [_seeded(function, [position], n)[1][position] for n in range(_TOGETHER)]
        tangents = [seed for seed in seeds if seed is not None]
        alone = [_jvp_by(function, position, tangent) for tangent in tangents]
        try:
            together = _vmap(lambda tangent, at=position: _jvp_by(function, at, tangent))
            found = together(torch.stack(tangents))
        except Exception as error:
            yield f"the forward mode by {leaf.name} does not work under vmap: {account_of(error)}"
            continue
        wanted = map(torch.stack, zip(*alone, strict=True))
        if not all(map(_close, found, wanted)):
            yield f"the forward mode by {leaf.name} gives other tangents under vmap than one by one"


def _jvp(
    function: PythonFunction, tensors: Sequence[Tensor], tangents: Sequence[Tensor | None]
) -> list[Tensor | None]:
    try:
        return forward_mode.jvp(function, [one.clone() for one in tensors], tangents)
    except NotImplementedError:
        raise NotApplicableError("it has no forward mode") from None
    except RuntimeError as error:
        if _NO_GRADIENT in str(error):
            raise NotApplicableError("it asks for a gradient itself") from None
        raise


def _jvp_by(function: PythonFunction, position: int, tangent: Tensor) -> tuple[Tensor, ...]:
    """The outputs' tangents, for that of one input alone."""
    tensors, tangents = _seeded(function, [])
    tangents[position] = tangent
    found = _jvp(function, tensors, tangents)
    return tuple(
        torch.zeros(leaf.shape, dtype=leaf.dtype, device=function.device) if one is None else one
        for leaf, one in zip(function.outputs, found, strict=True)
    )


def _close(a: Tensor, b: Tensor) -> bool:
    """As torch has it, or to within rounding of the largest entry."""
    if torch.equal(a, b):
        return True
    size = float(b.abs().nan_to_num(0, 0, 0).max()) if b.numel() else 0.0
    slack = max(1e-8, UNITS * torch.finfo(b.dtype).eps / 2 * size)
    return torch.allclose(a, b, atol=slack, equal_nan=True)


def undefined_tangent(subject: Subject) -> Iterator[str]:
    function = subject.at
    everything = range(len(function.inputs))
    for position, leaf in enumerate(function.inputs):
        others = [i for i in everything if i != position]
        tensors, without = _seeded(function, others)
        zero = [torch.zeros_like(tensors[position]) if t is None else t for t in without]
        found, wanted = (
            forward_mode.joined(function, _jvp(function, tensors, tangents))
            for tangents in (without, zero)
        )
        if not _close(torch.where(wanted.isnan(), wanted, found), wanted):  # 0·∞ may be anything
            yield f"the forward mode does not take an undefined tangent of {leaf.name} for zero"


def _seeded(
    function: PythonFunction, positions: Sequence[int], number: int = 0
) -> tuple[list[Tensor], list[Tensor | None]]:
    """The inputs, and random tangents of some of them."""
    tensors = [tensor.detach() for tensor in function.graph.inputs]
    generator = torch.Generator().manual_seed(_SEED + number)
    tangents: list[Tensor | None] = [None] * len(tensors)
    for position in positions:
        leaf = function.inputs[position]
        entries = torch.randn(leaf.count, generator=generator, dtype=torch.float64)
        tangents[position] = leaf.tensor(entries.to(function.device), leaf.dtype)
    return tensors, tangents
