"""What torch's modes must also do right, beside the derivative: each is one yes-or-no question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch._vmap_internals import _vmap  # as is_grads_batched of torch.autograd.grad has it

from gradcheck.leaves import Leaf
from gradcheck.oracles import forward_mode
from gradcheck.oracles.autograd import Graph
from gradcheck.python_function import PythonFunction
from gradcheck.user_code import account_of

Condition = Callable[[PythonFunction], Iterator[str]]
"""Yields what is wrong."""

_SEED: Final = 7
_TOGETHER: Final = 2
"""Passes that are compared with as many single ones."""


class _Undefined(torch.autograd.Function):
    """The identity, whose gradient is undefined."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        return None


def undefined_cotangents(function: PythonFunction) -> Iterator[str]:
    """A cotangent that is undefined counts as zero, whichever outputs have one."""
    graph = function.graph
    outputs = graph.tracked
    everything = set(range(len(outputs)))
    zeros = [torch.zeros_like(output) for output in outputs]
    if problem := _taken_amiss(graph, everything, zeros, graph.at_zero):
        yield problem
    for position in everything if len(outputs) > 1 else ():
        for cotangents in (zeros, _cotangents(outputs, _generator())):
            if problem := _taken_amiss(graph, {position}, cotangents):
                yield problem
                break


def _taken_amiss(
    graph: Graph,
    undefined: set[int],
    cotangents: Sequence[Tensor],
    wanted: Sequence[Tensor | None] | None = None,
) -> str:
    """What is wrong where some of these cotangents are undefined; empty where nothing is.

    The gradients that are `wanted` are those of zeros in their place.
    """
    names = " and ".join(_names(graph, undefined))
    try:
        found = _pass_with_undefined(graph, undefined, cotangents)
    except Exception as error:
        return f"the backward raises where {names} has no cotangent: {account_of(error)}"
    if wanted is None:
        zeroed = [torch.zeros_like(c) if i in undefined else c for i, c in enumerate(cotangents)]
        wanted = graph.gradients(zeroed)
    if not _are_close(found, wanted, graph, but_nan=True):
        return f"the backward does not take an undefined cotangent of {names} for zero"
    return ""


def zero_cotangents(function: PythonFunction) -> Iterator[str]:
    """A cotangent of zero gives a gradient of zero, in the input's layout."""
    graph = function.graph
    found = graph.at_zero
    for leaf, input, gradient in zip(graph.input_leaves, graph.inputs, found, strict=True):
        if gradient is None:
            continue
        if gradient.layout not in (torch.strided, input.layout):
            yield f"the gradient by {leaf.name} is {gradient.layout}, the input {input.layout}"
        elif not _is_zero(leaf.gradient(gradient, 1), graph, leaf):
            yield f"the gradient by {leaf.name} is not zero where every cotangent is"


def _is_zero(entries: Tensor, graph: Graph, leaf: Leaf) -> bool:
    """Whether they are zero, or NaN where the derivative is infinite: that times 0."""
    if bool((entries == 0).all()):
        return True
    found = graph.gradients(_cotangents(graph.tracked, _generator()))
    gradients = dict(zip(graph.input_leaves, found, strict=True))
    infinite = ~leaf.gradient(gradients[leaf], 1).isfinite()
    return bool(((entries == 0) | (entries.isnan() & infinite)).all())


def gradient_dtypes(function: PythonFunction) -> Iterator[str]:
    """A gradient has the dtype of its input."""
    graph = function.tracked()
    found = graph.gradients(_cotangents(graph.tracked, _generator()))
    for leaf, gradient in zip(graph.input_leaves, found, strict=True):
        if gradient is not None and gradient.dtype != leaf.dtype:
            yield f"the gradient by {leaf.name} is {gradient.dtype}, the input {leaf.dtype}"


def tangent_dtypes(function: PythonFunction) -> Iterator[str]:
    """A tangent is complex where its output is."""
    for position in range(len(function.inputs)):
        tensors, tangents = _seeded(function, [position])
        found = forward_mode.jvp(function, tensors, tangents)
        for leaf, tangent in zip(function.outputs, found, strict=True):
            if tangent is not None and tangent.is_complex() != leaf.dtype.is_complex:
                yield f"the tangent of {leaf.name} is {tangent.dtype}, the output {leaf.dtype}"


def batched_backward(function: PythonFunction) -> Iterator[str]:
    """Backward passes under vmap are what they are one by one."""
    graph, generator = function.tracked(), _generator()
    several = [_cotangents(graph.tracked, generator) for _ in range(_TOGETHER)]
    alone = [graph.gradients(cotangents) for cotangents in several]
    try:
        stacked = [torch.stack(parts) for parts in zip(*several, strict=True)]
        found = graph.gradients(stacked, batched=True)
    except Exception as error:
        yield f"the backward does not work under vmap: {account_of(error)}"
        return
    for number, single in enumerate(alone):
        parts = [None if gradient is None else gradient[number] for gradient in found]
        if not _are_close(parts, single, graph):
            yield "backward passes under vmap give other gradients than one by one"
            return


def batched_forward(function: PythonFunction) -> Iterator[str]:
    """Forward passes under vmap are what they are one by one."""
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


def _jvp_by(function: PythonFunction, position: int, tangent: Tensor) -> tuple[Tensor, ...]:
    """The outputs' tangents, for that of one input alone."""
    tensors, tangents = _seeded(function, [])
    tangents[position] = tangent
    found = forward_mode.jvp(function, tensors, tangents)
    return tuple(
        torch.zeros(leaf.shape, dtype=leaf.dtype, device=function.device) if one is None else one
        for leaf, one in zip(function.outputs, found, strict=True)
    )


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a, b) or torch.allclose(a, b, equal_nan=True)


def undefined_tangents(function: PythonFunction) -> Iterator[str]:
    """An input without a tangent is one whose tangent is zero."""
    everything = range(len(function.inputs))
    for position, leaf in enumerate(function.inputs):
        others = [i for i in everything if i != position]
        tensors, without = _seeded(function, others)
        zero = [torch.zeros_like(tensors[position]) if t is None else t for t in without]
        found, wanted = (
            forward_mode.joined(function, forward_mode.jvp(function, tensors, tangents))
            for tangents in (without, zero)
        )
        if not _close(found, wanted):
            yield f"the forward mode does not take an undefined tangent of {leaf.name} for zero"


def _pass_with_undefined(
    graph: Graph, undefined: set[int], cotangents: Sequence[Tensor]
) -> Sequence[Tensor | None]:
    outputs = [
        _Undefined.apply(output) if i in undefined else output  # type: ignore[no-untyped-call]
        for i, output in enumerate(graph.tracked)
    ]
    return torch.autograd.grad(
        outputs, graph.inputs, cotangents, retain_graph=True, allow_unused=True
    )


def _names(graph: Graph, positions: set[int]) -> list[str]:
    leaves = [
        leaf.name
        for leaf, output in zip(graph.output_leaves, graph.outputs, strict=True)
        if output.requires_grad
    ]
    return [leaves[position] for position in sorted(positions)]


def _seeded(
    function: PythonFunction, positions: Sequence[int], number: int = 0
) -> tuple[list[Tensor], list[Tensor | None]]:
    """The inputs, and random tangents of some of them."""
    tensors = [tensor.detach() for tensor in function.graph.inputs]
    generator = _generator(number)
    tangents: list[Tensor | None] = [None] * len(tensors)
    for position in positions:
        leaf = function.inputs[position]
        entries = torch.randn(leaf.count, generator=generator, dtype=torch.float64)
        tangents[position] = leaf.tensor(entries.to(function.device), leaf.dtype)
    return tensors, tangents


def _cotangents(outputs: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    return [
        torch.randn(
            output.shape,
            generator=generator,
            dtype=torch.complex128 if output.is_complex() else torch.float64,
        ).to(output.device, output.dtype)
        for output in outputs
    ]


def _generator(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(_SEED + number)


def _are_close(
    found: Sequence[Tensor | None],
    wanted: Sequence[Tensor | None],
    graph: Graph,
    *,
    but_nan: bool = False,
) -> bool:
    """Whether two lists of gradients are the same to within rounding, None being zero.

    With `but_nan`, what is wanted to be NaN may be anything: zero times an infinite derivative.
    """
    for leaf, gradient, other in zip(graph.input_leaves, found, wanted, strict=True):
        a, b = leaf.gradient(gradient, 1), leaf.gradient(other, 1)
        if not _close(torch.where(b.isnan(), b, a) if but_nan else a, b):
            return False
    return True
