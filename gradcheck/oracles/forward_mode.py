"""The forward-mode oracle: torch's dual numbers, in the check's dtype and on its device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradcheck.python_function import PythonFunction


def jacobian(function: PythonFunction) -> Tensor:
    """The Jacobian of all outputs' entries by all inputs' (m, n), in float64, column by column.

    Raises what torch raises where an operation has no forward mode.
    """
    columns = []
    tensors = [tensor.detach() for tensor in function.graph.inputs]
    for position, leaf in enumerate(function.inputs):
        for entry in range(leaf.count):
            unit = torch.zeros(leaf.count, dtype=torch.float64, device=function.device)
            unit[entry] = 1.0
            tangents: list[Tensor | None] = [None] * len(tensors)
            tangents[position] = leaf.tensor(unit, leaf.dtype)
            columns.append(joined(function, jvp(function, tensors, tangents)))
    rows = sum(leaf.count for leaf in function.outputs)
    return torch.stack(columns, dim=1) if columns else torch.zeros((rows, 0), dtype=torch.float64)


def pushforward(function: PythonFunction, entries: Tensor) -> Tensor:
    """The tangent (m,) of all outputs for a tangent of all inputs' entries (n,), in float64."""
    parts = torch.split(entries, [leaf.count for leaf in function.inputs])
    tangents = [
        leaf.tensor(part, leaf.dtype) for leaf, part in zip(function.inputs, parts, strict=True)
    ]
    tensors = [tensor.detach() for tensor in function.graph.inputs]
    return joined(function, jvp(function, tensors, tangents))


def jvp(
    function: PythonFunction, tensors: Sequence[Tensor], tangents: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The outputs' tangents at these inputs; an input without a tangent is a constant."""
    with forward_ad.dual_level():
        duals = [
            tensor if tangent is None else _dual(tensor, tangent)
            for tensor, tangent in zip(tensors, tangents, strict=True)
        ]
        outputs = function.outputs_of(duals)
        return [_tangent(output) for output in outputs]


def _dual(tensor: Tensor, tangent: Tensor) -> Tensor:
    dual: Tensor = forward_ad.make_dual(tensor, tangent)  # type: ignore[no-untyped-call]
    return dual


def _tangent(dual: Tensor) -> Tensor | None:
    found: Tensor | None = forward_ad.unpack_dual(dual).tangent  # type: ignore[no-untyped-call]
    return found


def joined(function: PythonFunction, tangents: Sequence[Tensor | None]) -> Tensor:
    """The entries (m,) of the outputs' tangents, in float64; 0 where there is none."""
    parts = [
        leaf.gradient(tangent, 1)[0]
        for leaf, tangent in zip(function.outputs, tangents, strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)
