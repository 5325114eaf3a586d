"""The autograd oracle: torch's reverse mode, in the check's dtype and on its device."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from typing import Final

import torch
from torch import Tensor

from gradcheck.errors import EvaluationError
from gradcheck.functions import Environment, Function, Segment
from gradcheck.language.expression import Meaning
from gradcheck.passes import Passes

FEW: Final = 8
"""Up to so many entries of the output take a backward pass each; more go together."""
TOGETHER: Final = 256
"""Entries of the output that go through one batched backward pass."""


def jacobian(segment: Segment, value: Tensor, meaning: Meaning) -> Tensor:
    """The Jacobian of the segment at `value`: the gradient of each entry of its output.

    Shape of the output + shape of the input; an output that autograd sees no path to has 0.

    Raises:
        EvaluationError: The function has no value here.
    """
    leaf = value.detach().clone().requires_grad_()
    with torch.enable_grad():
        output = segment.value(leaf, meaning)
        if not output.requires_grad:
            return value.new_zeros((*output.shape, *value.shape))
        if output.ndim == 0:
            return _gradient(output, leaf)
        rows = _rows(output.reshape(-1), leaf)
    return rows.reshape((*output.shape, *value.shape))


def gradients(
    function: Function,
    given: Environment,
    inputs: Collection[str],
    passes: Passes,
    meaning: Meaning,
) -> dict[str, Tensor | None]:
    """What backward passes leave in `.grad` of every value of the function that torch tracks.

    `given` holds the values of inputs and constants. None is left in a value whose gradient is not
    kept; what is not tracked, since no derivative by an input could reach it, is not listed.

    Raises:
        EvaluationError: The function has no value here, or one that backward cannot start from.
    """
    leaves = {name: given[name].detach().clone().requires_grad_() for name in inputs}
    if passes.disabled_by == "requires_grad_":
        for leaf in leaves.values():
            leaf.requires_grad_(False)
    used = {n: x.detach() for n, x in leaves.items()} if passes.disabled_by == "detach" else leaves
    for number in range(passes.count):
        if number and passes.zero_grad:
            for leaf in leaves.values():
                leaf.grad = None if leaf.grad is None else torch.zeros_like(leaf)
        with _UNTRACKED.get(passes.disabled_by or "", nullcontext)():
            values = function.run({**given, **used}, meaning)
        _backward(values, function.output, passes.retained)
    return {
        name: _left(value)
        for name, value in {**values, **leaves}.items()
        if isinstance(value, Tensor) and value.requires_grad
    }


_UNTRACKED: Final = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}


def _backward(values: Environment, output: str, retained: Iterable[str]) -> None:
    """One pass; none where nothing is tracked, since there torch has nothing to begin with."""
    end = values[output]
    if not isinstance(end, Tensor) or end.numel() != 1:
        found = f"shape {list(end.shape)}" if isinstance(end, Tensor) else f"{len(end)} results"
        raise EvaluationError(
            f"backward starts from one number, but `{output}` has {found}: add it up, as by sum()"
        )
    for value in (values[name] for name in retained):
        if isinstance(value, Tensor) and value.requires_grad:
            value.retain_grad()
    if end.requires_grad:
        end.backward()  # type: ignore[no-untyped-call]


def _left(value: Tensor) -> Tensor | None:
    """`.grad`, which torch warns to read where it cannot be."""
    return value.grad if value.is_leaf or value.retains_grad else None


def _rows(entries: Tensor, leaf: Tensor) -> Tensor:
    """The gradients of all entries, stacked."""
    if len(entries) > FEW:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a batched pass that would loop inside says so
            try:
                return _batched(entries, leaf)
            except Exception:
                pass  # whatever is wrong with the function itself is raised below
    # One by one: a backward pass through `unbind` fills in a zero for every other entry.
    rows = [_gradient(entries[index], leaf) for index in range(len(entries))]
    return torch.stack(rows) if rows else leaf.new_zeros((0, *leaf.shape))


def _batched(entries: Tensor, leaf: Tensor) -> Tensor:
    cotangents = torch.eye(len(entries), dtype=entries.dtype, device=entries.device)
    batches = torch.split(cotangents, TOGETHER)
    return torch.cat([_gradient(entries, leaf, batch) for batch in batches])


def _gradient(output: Tensor, leaf: Tensor, cotangents: Tensor | None = None) -> Tensor:
    """The gradient of one number, or those that a batch of cotangents selects."""
    (gradient,) = torch.autograd.grad(
        output,
        leaf,
        cotangents,
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
        is_grads_batched=cotangents is not None,
    )
    return gradient
