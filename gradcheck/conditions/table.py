"""The conditions: what is looked at under each name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from gradcheck.conditions import (
    backward,
    cotangents,
    layouts,
    memory,
    second,
    sizes,
    subsets,
    torchs,
    transforms,
)
from gradcheck.conditions.subject import Subject

Condition = Callable[[Subject], Iterator[str]]
"""Yields what is wrong.

Raises:
    NotApplicableError: It says nothing of this function.
"""

TABLE: Final[dict[str, Condition]] = {
    condition.__name__: condition
    for condition in (
        cotangents.zero_cotangent,
        cotangents.one_hot_cotangent,
        cotangents.expanded_cotangent,
        cotangents.transposed_cotangent,
        cotangents.sliced_cotangent,
        cotangents.noncontiguous_cotangent,
        cotangents.undefined_cotangent,
        cotangents.linear,
        layouts.transposed_inputs,
        layouts.sliced_inputs,
        layouts.noncontiguous_inputs,
        layouts.expanded_inputs,
        sizes.broadcast_inputs,
        sizes.empty_inputs,
        layouts.aliased_inputs,
        subsets.needs_input_grad,
        memory.inputs_unchanged,
        memory.cotangent_unchanged,
        memory.saved_tensors,
        memory.separate_calls,
        memory.deterministic,
        backward.direct_backward,
        backward.gradient_dtype,
        second.double_backward,
        second.forward_over_reverse,
        torchs.batched_backward,
        torchs.batched_forward,
        torchs.undefined_tangent,
        torchs.tangent_dtype,
        transforms.vmap,
        transforms.func_grad,
        transforms.compile,
        transforms.autocast,
        transforms.opcheck,
    )
}
"""By the names in `names.CONDITIONS`."""
