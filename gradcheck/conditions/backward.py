"""Conditions on a backward that somebody wrote: called by itself, its gradients are its inputs'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from gradcheck.conditions.subject import NotApplicableError, Subject
from gradcheck.frames import account_of

_MOST: Final = 1_000
"""Nodes of a graph that are looked through."""


class _Like(NamedTuple):
    """What a gradient should be like."""

    shape: torch.Size
    dtype: torch.dtype


def direct_backward(subject: Subject) -> Iterator[str]:
    """Of every autograd.Function in the graph: as many gradients as inputs, each in its shape."""
    for name, gradients, like in calls(subject.outputs):
        if isinstance(gradients, str):
            yield gradients
        elif len(gradients) < len(like):
            found = f"{len(gradients)} gradients for {len(like)} arguments"
            yield f"called by itself, the backward of {name} gives {found}"
        else:
            for i, (gradient, wanted) in enumerate(zip(gradients, like, strict=False)):
                if gradient is None or wanted is None or gradient.shape == wanted.shape:
                    continue
                shapes = (
                    f"shape {list(gradient.shape)} for argument {i}, which has {list(wanted.shape)}"
                )
                yield (
                    f"called by itself, the backward of {name} gives {shapes}: torch's engine adds "
                    "up what is broadcast, not every caller does"
                )


def gradient_dtype(subject: Subject) -> Iterator[str]:
    """As the engine passes it on, and as an autograd.Function's backward gives it."""
    graph = subject.graph
    for leaf, gradient in zip(graph.input_leaves, subject.gradients, strict=True):
        if gradient is not None and gradient.dtype != leaf.dtype:
            yield f"the gradient by {leaf.name} is {gradient.dtype}, the input {leaf.dtype}"
    try:
        found = list(calls(subject.outputs))
    except NotApplicableError:
        return
    for name, gradients, like in found:
        if isinstance(gradients, str):
            continue
        for i, (gradient, wanted) in enumerate(zip(gradients, like, strict=False)):
            if gradient is not None and wanted is not None and gradient.dtype != wanted.dtype:
                dtypes = f"{gradient.dtype} for argument {i}, which is {wanted.dtype}"
                yield f"called by itself, the backward of {name} gives {dtypes}"


def calls(outputs: Sequence[Tensor]) -> Iterator[tuple[str, Any, list[_Like | None]]]:
    """Every autograd.Function: its name, what its backward gives, and what that should be like.

    Where it raises, that is told in place of what it gives.

    Raises:
        NotApplicableError: There is none.
    """
    nodes = [node for node in nodes_of(outputs) if hasattr(node, "_forward_cls")]
    if not nodes:
        raise NotApplicableError("there is no autograd.Function in it")
    generator = torch.Generator().manual_seed(0)
    for node in nodes:
        owner = node._forward_cls
        name = owner.__name__
        like = _like_arguments(node)
        cotangents = [_drawn(one, generator) for one in node._input_metadata]
        try:
            with torch.no_grad():
                found = _backward_of(owner)(node, *cotangents)
        except Exception as error:
            yield (
                name,
                f"called by itself, the backward of {name} raises: {account_of(error)}",
                like,
            )
            continue
        yield name, list(found) if isinstance(found, tuple) else [found], like


def nodes_of(outputs: Sequence[Tensor], most: float = _MOST) -> list[Any]:
    """Those of the graph, from the outputs back."""
    waiting: list[Any] = [output.grad_fn for output in outputs if output.grad_fn is not None]
    known = dict.fromkeys(waiting)
    while waiting and len(known) < most:
        node = waiting.pop()
        for after, _ in node.next_functions:
            if after is not None and after not in known:
                known[after] = None
                waiting.append(after)
    return list(known)


def _backward_of(owner: Any) -> Any:
    is_own = owner.backward is not torch.autograd.Function.backward
    return owner.backward if is_own else owner.vjp


def _like_arguments(node: Any) -> list[_Like | None]:
    """What the gradient by each argument should be like; None where none is needed."""
    needed = (_like(*after) for after in node.next_functions if after[0] is not None)
    return [next(needed, None) if is_needed else None for is_needed in node.needs_input_grad]


def _like(node: Any, index: int) -> _Like:
    if hasattr(node, "variable"):
        return _Like(node.variable.shape, node.variable.dtype)
    metadata = node._input_metadata[index]
    return _Like(torch.Size(metadata.shape), metadata.dtype)


def _drawn(metadata: Any, generator: torch.Generator) -> Tensor:
    numbers = torch.rand(tuple(metadata.shape), generator=generator, dtype=torch.float64) + 0.5
    return numbers.to(metadata.device, metadata.dtype)
