"""Conditions on cotangents: whatever they are and however they lie in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from gradcheck.conditions.subject import Gradients, NotApplicableError, Subject
from gradcheck.frames import account_of
from gradcheck.function_answers import LARGE, LARGE_OF_HALF
from gradcheck.leaves import Leaf
from gradcheck.oracles.autograd import Graph, gradients_of
from gradcheck.sparse import dense

_HALVES: Final = (torch.float16, torch.bfloat16)
_AT_ONCE: Final = 16
"""Bytes that one instruction of a GPU reads at most."""
FIRST, SECOND = 3.0, -5.0


def zero_cotangent(subject: Subject) -> Iterator[str]:
    graph = subject.graph
    found = graph.at_zero
    for leaf, input, gradient in zip(graph.input_leaves, graph.inputs, found, strict=True):
        if gradient is None:
            continue
        is_sparse = gradient.layout is torch.sparse_coo and subject.may_be_sparse
        if gradient.layout not in (torch.strided, input.layout) and not is_sparse:
            yield f"the gradient by {leaf.name} is {gradient.layout}, the input {input.layout}"
        elif not _is_zero(leaf.gradient(gradient, 1), subject, leaf):
            yield f"the gradient by {leaf.name} is not zero where every cotangent is"


def _is_zero(entries: Tensor, subject: Subject, leaf: Leaf) -> bool:
    """Whether they are zero, or NaN where the derivative is infinite: that times 0."""
    if bool((entries == 0).all()):
        return True
    gradients = dict(zip(subject.graph.input_leaves, subject.gradients, strict=True))
    infinite = ~leaf.gradient(gradients[leaf], 1).isfinite()
    return bool(((entries == 0) | (entries.isnan() & infinite)).all())


def one_hot_cotangent(subject: Subject) -> Iterator[str]:
    """g(e) = g(u + e) − g(u), for one entry e of each output."""
    graph = subject.graph
    units = [
        _one_hot(leaf, u) for leaf, u in zip(subject.output_leaves, subject.drawn(1), strict=True)
    ]
    summed = graph.gradients(_added(units, subject.cotangents))
    wanted = _combined(summed, subject.gradients, 1.0, -1.0)
    found = graph.gradients(units)

    def again() -> Gradients:
        fresh = subject.anew()
        sums = fresh.gradients(_added(units, subject.cotangents))
        return _combined(sums, fresh.gradients(subject.cotangents), 1.0, -1.0)

    yield from _about(
        "where the cotangent has one entry",
        subject.differences(
            _comparable(subject, found, wanted),
            wanted,
            again,
            parts=lambda: (summed, subject.gradients),
        ),
    )


def _one_hot(leaf: Leaf, like: Tensor) -> Tensor:
    unit = torch.zeros(leaf.count, dtype=torch.float64, device=like.device)
    if leaf.count:
        unit[leaf.count // 2] = 1.0
    return leaf.tensor(unit, leaf.dtype)


def _added(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    return [a + b for a, b in zip(first, second, strict=True)]


def _combined(first: Gradients, second: Gradients, a: float, b: float) -> list[Tensor | None]:
    """a·g + b·h, in double precision."""
    return [
        None if g is None or h is None else torch.add(a * _double(g), _double(h), alpha=b)
        for g, h in zip(first, second, strict=True)
    ]


def _double(gradient: Tensor) -> Tensor:
    return dense(gradient).to(torch.complex128 if gradient.is_complex() else torch.float64)


def linear(subject: Subject) -> Iterator[str]:
    """g(3u − 5v) = 3g(u) − 5g(v), and g(2ᵏu) = 2ᵏg(u), also for a negative k."""
    graph, u, v = subject.graph, subject.cotangents, subject.drawn(2)
    mixed = [torch.add(FIRST * a, b, alpha=SECOND) for a, b in zip(u, v, strict=True)]

    def apart(graph: Graph) -> Gradients:
        return _combined(graph.gradients(u), graph.gradients(v), FIRST, SECOND)

    wanted = _combined(subject.gradients, graph.gradients(v), FIRST, SECOND)
    found = graph.gradients(mixed)
    told = list(
        subject.differences(
            _comparable(subject, found, wanted),
            wanted,
            lambda: apart(subject.anew()),
            found_again=lambda: subject.gradients_anew(mixed),
        )
    )
    if told:
        yield f"it is not linear in its cotangent: for 3u − 5v {told[0]}"
        return
    large = LARGE_OF_HALF if subject.at.dtype in _HALVES else LARGE
    for times in (large,) if subject.is_large else (large, 1 / large):
        yield from _scaled(subject, times)


def _scaled(subject: Subject, times: float) -> Iterator[str]:
    """What is wrong where the cotangent is as many times as large."""
    u = subject.cotangents

    def scaled(graph: Graph) -> Gradients:
        found = graph.gradients([times * a for a in u])
        pairs = zip(found, subject.gradients, strict=True)
        return [
            one if one is None else known if _is_lost(known, times) else _double(one) / times
            for one, known in pairs
        ]

    for problem in subject.differences(
        _comparable(subject, scaled(subject.graph), subject.gradients),
        subject.gradients,
        lambda: subject.gradients_anew(u),
        found_again=lambda: scaled(subject.anew()),
    ):
        yield f"it is not linear in its cotangent: for {times:g}·u, divided by {times:g}, {problem}"


def _is_lost(gradient: Tensor | None, times: float) -> bool:
    """Whether as many times as much is so small that its dtype has few digits for it."""
    if gradient is None or not gradient.numel():
        return False
    limits = torch.finfo(gradient.dtype)
    size = float(_double(gradient).abs().max())
    return size * times < limits.smallest_normal / limits.eps


def _comparable(subject: Subject, found: Gradients, wanted: Gradients) -> Gradients:
    """What is found, but where NaN is wanted, or where either overflows in float16."""
    if all(one is None or math.isfinite(float(_double(one).abs().sum())) for one in wanted):
        return found
    if subject.at.dtype is not torch.float16:
        return _but_nan(found, wanted)
    return [
        a if a is None or b is None else _but_overflown(_double(a), _double(b))
        for a, b in zip(found, wanted, strict=True)
    ]


def _but_overflown(found: Tensor, wanted: Tensor) -> Tensor:
    return torch.where(found.isfinite() & wanted.isfinite(), found, wanted)


def expanded_cotangent(subject: Subject) -> Iterator[str]:
    """Of one number, as of a sum, and of one row, as of a sum over the first dimension."""
    if all(output.numel() < 2 for output in subject.outputs):
        raise NotApplicableError("no output has two entries")
    shapes: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        (
            "a single number, expanded (stride 0)",
            lambda u: u.flatten()[:1].expand(u.numel()).view_as(u),
        ),
        ("one row, expanded (stride 0)", lambda u: u[:1].expand_as(u)),
        ("one column, expanded (stride 0)", lambda u: u[..., :1].expand_as(u)),
    ]
    is_deep = any(_is_matrix(output) for output in subject.outputs)
    first, last = (is_deep, is_deep + 1) if subject.is_large else (0, 3 if is_deep else 1)
    for what, expand in shapes[first:last]:
        given = [expand(u) if u.ndim and u.numel() else u for u in subject.cotangents]
        copies = [u.contiguous() for u in given]
        yield from _lying(subject, f"where the cotangent is {what}", given, copies)


def transposed_cotangent(subject: Subject) -> Iterator[str]:
    if not any(_is_matrix(output) for output in subject.outputs):
        raise NotApplicableError("no output is a matrix")
    given = [transposed(u) if _is_matrix(u) else u for u in subject.cotangents]
    yield from _lying(subject, "where the cotangent is transposed in memory", given)


def sliced_cotangent(subject: Subject) -> Iterator[str]:
    for which, cut in (("", sliced), (", contiguous itself", cut_off)):
        given = [cut(u) for u in subject.cotangents]
        yield from _lying(
            subject, f"where the cotangent is a slice of a larger tensor{which}", given
        )


def noncontiguous_cotangent(subject: Subject) -> Iterator[str]:
    given = [with_gaps(u) for u in subject.cotangents]
    yield from _lying(subject, "where the cotangent is not contiguous", given)


def _is_matrix(tensor: Tensor) -> bool:
    return has_order(tensor.shape)


def has_order(shape: torch.Size) -> bool:
    """Whether entries may lie in memory in another order of dimensions."""
    return sum(size > 1 for size in shape) > 1


def transposed(tensor: Tensor) -> Tensor:
    """The same numbers, its dimensions the other way round in memory."""
    backwards = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(backwards).contiguous().permute(backwards)


def sliced(tensor: Tensor) -> Tensor:
    """The same numbers, with others before and behind each row in memory."""
    if not tensor.ndim:
        return torch.stack([tensor, tensor.detach()])[0]
    size = tensor.shape[-1]
    before, behind = 2, 1
    if step := _aligned(tensor):
        before, behind = step, step + -size % step
    padded = torch.nn.functional.pad(tensor, (before, behind), value=7.0)
    return padded.narrow(-1, before, size)


def cut_off(tensor: Tensor) -> Tensor:
    """The same numbers, contiguous, but not where their memory begins."""
    flat, before = tensor.reshape(-1), _aligned(tensor) or 4
    other = torch.full((before,), 7.0, dtype=tensor.dtype, device=tensor.device)
    return torch.cat([other, flat, other]).narrow(0, before, len(flat)).view(tensor.shape)


def _aligned(tensor: Tensor) -> int:
    """Entries of 16 bytes, off the CPU; 0 there.

    A kernel that reads so many at once wherever its data begin, as some of torch's do, would end
    CUDA for this process.
    """
    return 0 if tensor.device.type == "cpu" else max(1, _AT_ONCE // tensor.element_size())


def with_gaps(tensor: Tensor) -> Tensor:
    """The same numbers, not next to each other in memory."""
    return torch.stack([tensor, torch.full_like(tensor, 7.0)], dim=-1)[..., 0]


def _lying(
    subject: Subject, where: str, given: Sequence[Tensor], copies: Sequence[Tensor] | None = None
) -> Iterator[str]:
    """What is wrong where cotangents lie in memory in this way, and not as their copies do."""
    graph = subject.graph
    wanted = subject.gradients if copies is None else graph.gradients(copies)
    try:
        found = graph.gradients(given)
    except Exception as error:
        yield f"the backward raises {where}: {account_of(error)}"
        return
    same = subject.cotangents if copies is None else copies
    again = lambda: subject.gradients_anew(same)  # noqa: E731
    parts = lambda: (subject.gradients,)  # noqa: E731 which for one number cancel to nothing
    yield from _about(where, subject.differences(found, wanted, again, parts=parts))


def _about(where: str, problems: Iterator[str]) -> Iterator[str]:
    for problem in problems:
        yield f"{where}, {problem}"


def undefined_cotangent(subject: Subject) -> Iterator[str]:
    """An undefined cotangent counts as zero, whichever outputs have one."""
    outputs = subject.outputs
    everything = set(range(len(outputs)))
    zeros = [torch.zeros_like(output) for output in outputs]
    if problem := _taken_amiss(subject, everything, zeros, subject.graph.at_zero):
        yield problem
    for position in everything if len(outputs) > 1 else ():
        for cotangents in (zeros, subject.cotangents):
            if problem := _taken_amiss(subject, {position}, cotangents):
                yield problem
                break


class _Undefined(torch.autograd.Function):
    """The identity, whose gradient is undefined."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        return None


def _taken_amiss(
    subject: Subject,
    undefined: set[int],
    cotangents: Sequence[Tensor],
    wanted: Gradients | None = None,
) -> str:
    """What is wrong where some of these cotangents are undefined; empty where nothing is.

    The gradients that are `wanted` are those of zeros in their place.
    """
    graph = subject.graph
    names = " and ".join(subject.output_names[position] for position in sorted(undefined))
    zeroed = [torch.zeros_like(c) if i in undefined else c for i, c in enumerate(cotangents)]
    try:
        found = _pass_with_undefined(graph, undefined, cotangents)
    except Exception as error:
        return f"the backward raises where {names} has no cotangent: {account_of(error)}"
    wanted = graph.gradients(zeroed) if wanted is None else wanted
    again = lambda: subject.gradients_anew(zeroed)  # noqa: E731
    if any(subject.differences(_but_nan(found, wanted), wanted, again)):
        return f"the backward does not take an undefined cotangent of {names} for zero"
    return ""


def _but_nan(found: Gradients, wanted: Gradients) -> Gradients:
    """What is found, but where NaN is wanted: 0·∞ may be anything, and infinities do not add up."""
    return [
        a if b is None else _where_nan(dense(b), 0.0 if a is None else dense(a))
        for a, b in zip(found, wanted, strict=True)
    ]


def _where_nan(wanted: Tensor, found: Tensor | float) -> Tensor:
    return torch.where(wanted.isnan(), wanted, found)


def _pass_with_undefined(
    graph: Graph, undefined: set[int], cotangents: Sequence[Tensor]
) -> Gradients:
    outputs = [
        _Undefined.apply(output) if i in undefined else output  # type: ignore[no-untyped-call]
        for i, output in enumerate(graph.tracked)
    ]
    return gradients_of(outputs, graph.inputs, cotangents)
