"""The autograd oracle: torch's reverse mode, in the check's dtype and on its device."""

from __future__ import annotations

import torch
from torch import Tensor

from gradcheck.functions import Segment
from gradcheck.language.expression import Meaning


def jacobian(segment: Segment, value: Tensor, meaning: Meaning) -> Tensor:
    """The Jacobian of the segment at `value`, one backward pass for each entry of its output.

    Shape of the output + shape of the input; an output that autograd sees no path to has 0.

    Raises:
        EvaluationError: The function has no value here.
    """
    leaf = value.detach().clone().requires_grad_()
    with torch.enable_grad():
        output = segment.value(leaf, meaning)
        if not output.requires_grad:
            return value.new_zeros((*output.shape, *value.shape))
        entries = output.reshape(-1)
        # One by one: a backward pass through `unbind` fills in a zero for every other entry.
        rows = [_gradient(entries[index], leaf) for index in range(len(entries))]
    stacked = torch.stack(rows) if rows else value.new_zeros((0, *value.shape))
    return stacked.reshape((*output.shape, *value.shape))


def _gradient(entry: Tensor, leaf: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(
        entry, leaf, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return gradient
