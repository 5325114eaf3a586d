"""The autograd oracle: torch's reverse mode, in the check's dtype and on its device."""

from __future__ import annotations

import warnings
from typing import Final

import torch
from torch import Tensor

from gradcheck.functions import Segment
from gradcheck.language.expression import Meaning

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
        rows = _rows(output.reshape(-1), leaf)
    return rows.reshape((*output.shape, *value.shape))


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
    """The gradient of one entry, or those that a batch of cotangents selects."""
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
