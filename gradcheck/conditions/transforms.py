"""Conditions that a case asks for: what torch's transforms make of the function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef
from torch._ops import OpOverload, OpOverloadPacket

from gradcheck.conditions.subject import Gradients, NotApplicableError, Subject
from gradcheck.frames import account_of
from gradcheck.oracles.autograd import Graph

_BATCH: Final = 3
_COMPILER: Final = "aot_eager"
"""Traces and differentiates as torch.compile does, and needs no compiler of C++."""
_NARROW: Final = torch.bfloat16
"""The dtype of autocast."""
_ROUNDINGS: Final = 8.0
"""Half units of that dtype, of the largest entry, that autocast may move a result by."""


def vmap(subject: Subject) -> Iterator[str]:
    """Over inputs that are stacked, each times another number."""
    at = subject.at
    factors = [1.0 + 2.0**-k for k in range(_BATCH)]
    each = [[x * factor for x in at.fresh()] for factor in factors]
    try:
        found = torch.func.vmap(lambda *inputs: tuple(at.outputs_of(inputs)))(
            *(torch.stack(parts) for parts in zip(*each, strict=True))
        )
    except Exception as error:
        yield f"torch.func.vmap raises: {account_of(error)}"
        return
    for number, inputs in enumerate(each):
        wanted = at.outputs_of(inputs)
        for problem in subject.value_differences([one[number] for one in found], wanted):
            yield f"under torch.func.vmap, {problem}"
            return


def func_grad(subject: Subject) -> Iterator[str]:
    """torch.func.vjp, which takes autograd.Functions with `setup_context` only."""
    at = subject.at
    positions = [i for i, output in enumerate(subject.graph.outputs) if output.requires_grad]

    def outputs(*inputs: Tensor) -> tuple[Tensor, ...]:
        found = at.outputs_of([x.clone() for x in inputs])
        return tuple(found[i] for i in positions)

    try:
        found = torch.func.vjp(outputs, *at.fresh())[1](tuple(subject.cotangents))
    except Exception as error:
        yield f"torch.func.vjp raises: {account_of(error)}"
        return
    yield from _same_gradients(subject, found, "under torch.func.vjp")


def compile(subject: Subject) -> Iterator[str]:
    """What torch.compile makes of it."""
    at = subject.at
    torch.compiler.reset()
    compiled = torch.compile(lambda *inputs: tuple(at.outputs_of(inputs)), backend=_COMPILER)
    inputs = [x.requires_grad_() for x in at.fresh()]
    try:
        passed = [x.clone() for x in inputs]  # which an operation in place may write into
        graph = Graph(compiled(*passed), inputs, at.outputs, at.inputs)
        found = graph.gradients(subject.cotangents)
    except Exception as error:
        yield f"torch.compile raises: {account_of(error)}"
        return
    finally:
        torch.compiler.reset()
    for problem in subject.value_differences(graph.outputs, subject.graph.outputs):
        yield f"under torch.compile, {problem}"
        return
    yield from _same_gradients(subject, found, "under torch.compile")


def _same_gradients(subject: Subject, found: Gradients, where: str) -> Iterator[str]:
    again = lambda: subject.gradients_anew(subject.cotangents)  # noqa: E731
    for problem in subject.differences(found, subject.gradients, again):
        yield f"{where}, {problem}"


def autocast(subject: Subject) -> Iterator[str]:
    """Forward under autocast to bfloat16, and backward after it."""
    at = subject.at
    if at.dtype is not torch.float32:
        raise NotApplicableError("autocast is for float32")
    inputs = [x.requires_grad_() for x in at.fresh()]
    try:
        with torch.autocast(at.device.type, dtype=_NARROW):
            outputs = at.tensors_of([x.clone() for x in inputs])
        tracked = [output for output in outputs if output.requires_grad]
        given = [u.to(y.dtype) for u, y in zip(subject.cotangents, tracked, strict=True)]
        found = torch.autograd.grad(tracked, inputs, given, allow_unused=True)
    except Exception as error:
        yield f"it raises under autocast: {account_of(error)}"
        return
    for leaf, gradient, wanted in zip(at.inputs, found, subject.gradients, strict=True):
        if gradient is None or wanted is None:
            if gradient is not wanted:
                yield f"under autocast, the gradient by {leaf.name} is undefined"
        elif gradient.dtype != leaf.dtype:
            yield f"under autocast, the gradient by {leaf.name} is {gradient.dtype}"
        elif not _is_near(gradient, wanted):
            yield f"under autocast, the gradient by {leaf.name} is off by more than its rounding"


def _is_near(found: Tensor, wanted: Tensor) -> bool:
    if found.layout is not torch.strided:
        found, wanted = found.to_dense(), wanted.to_dense()
    unit = torch.finfo(_NARROW).eps / 2
    size = float(wanted.abs().max()) if wanted.numel() else 0.0
    apart = float((found - wanted).abs().max()) if wanted.numel() else 0.0
    return not apart > _ROUNDINGS * unit * size


def opcheck(subject: Subject) -> Iterator[str]:
    """torch.library.opcheck, of a custom operator that is the function itself."""
    operator = _operator(subject.at.function)
    if operator is None:
        raise NotApplicableError("it is no custom operator")
    given = tuple(_tracked(one) for one in subject.at.named.values())
    found = torch.library.opcheck(operator, given, raise_exception=False)
    for test, outcome in found.items():
        if outcome != "SUCCESS":
            yield f"torch.library.opcheck: {test} {str(outcome).splitlines()[0]}"


def _operator(function: Any) -> Any:
    kinds = (CustomOpDef, OpOverload, OpOverloadPacket)
    return function if isinstance(function, kinds) else None


def _tracked(value: Any) -> Any:
    is_one = isinstance(value, Tensor) and value.is_floating_point()
    return value.detach().clone().requires_grad_() if is_one else value
