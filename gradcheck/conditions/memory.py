"""Conditions on what is written to, and on what is kept between forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from gradcheck.conditions.given import with_captured
from gradcheck.conditions.subject import Gradients, Subject
from gradcheck.oracles.autograd import Graph

_IN_PLACE: Final = ("modified by an inplace operation", "has been modified inplace")
"""What torch says where a tensor that was saved is not what it was, or a view is not."""
_OTHER: Final = 0.75
"""Times an input: another one, of the same sign and about the same size."""
_MOST, _MOST_OF_LARGE = 8, 3
"""Inputs that are changed, the first ones: each takes a pass."""


def inputs_unchanged(subject: Subject) -> Iterator[str]:
    """Where an output lies where an input did, the function is meant to write into it.

    Then torch has to know: an operation in place gives what it writes into a history of its own.
    """
    at = subject.at
    inputs = at.fresh()
    with torch.enable_grad():
        given = [x.requires_grad_().clone() for x in inputs]
    before = [_copy(one) for one in given]
    histories = [one.grad_fn for one in given]
    graph = at.recorded_from(inputs, with_captured(subject, given))
    meant = {_place(output) for output in graph.outputs}
    names = [leaf.name for leaf in at.inputs]
    changed = _changed(given, before)
    for i in changed:
        if _place(given[i]) not in meant:
            yield f"the forward writes into {names[i]}"
        elif given[i].grad_fn is histories[i]:
            yield f"the forward writes into {names[i]} without `ctx.mark_dirty`"
    graph.gradients([u.clone() for u in subject.cotangents])
    for i in _changed(given, before):
        if i not in changed:
            yield f"the backward writes into {names[i]}"


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _changed(given: Sequence[Tensor], before: Sequence[Tensor]) -> list[int]:
    pairs = enumerate(zip(given, before, strict=True))
    return [i for i, (now, then) in pairs if not _is_same(now.detach(), then)]


def _is_same(a: Tensor, b: Tensor) -> bool:
    """Whether they are the same, NaN where NaN."""
    if a.shape != b.shape:
        return False
    if a.layout is not torch.strided:
        a, b = a.to_dense(), b.to_dense()
    if a.is_complex():  # of which torch compares not every dtype
        a, b = torch.view_as_real(a.resolve_conj()), torch.view_as_real(b.resolve_conj())
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def writes_into_inputs(subject: Subject) -> bool:
    given = subject.at.fresh()
    before = [_copy(one) for one in given]
    subject.at.tensors_of(given)
    return bool(_changed(given, before))


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)


def cotangent_unchanged(subject: Subject) -> Iterator[str]:
    given = [u.clone() for u in subject.drawn(3)]
    before = [u.clone() for u in given]
    subject.at.tracked().gradients(given)
    for i in _changed(given, before):
        yield f"the backward writes into the cotangent of {subject.output_names[i]}"


def saved_tensors(subject: Subject) -> Iterator[str]:
    """Each input, then all outputs, changed in place before the backward pass."""
    at = subject.at
    leaves = enumerate(at.inputs)
    places = [i for i, leaf in leaves if leaf.sparse is None and not at.are_captured[i]]
    for i in places[: _MOST_OF_LARGE if subject.is_large else _MOST]:
        yield from _after(subject, i, f"{at.inputs[i].name} is changed in place")
    yield from _after(subject, None, "the output is changed in place")


def _after(subject: Subject, place: int | None, what: str) -> Iterator[str]:
    """What is wrong after one input, or all outputs, changed in between."""
    at = subject.at
    inputs = [x.requires_grad_() for x in at.fresh()]
    with torch.enable_grad():
        given = [x.clone() for x in inputs]
    graph = at.recorded_from(inputs, with_captured(subject, given))
    try:
        with torch.no_grad():
            for tensor in graph.outputs if place is None else [given[place]]:
                tensor.mul_(2).add_(1)
    except RuntimeError:
        return  # such an output is a view that torch protects
    try:
        found = graph.gradients(subject.cotangents)
    except RuntimeError as error:
        if any(told in str(error) for told in _IN_PLACE):
            return
        raise
    again = lambda: subject.gradients_anew(subject.cotangents)  # noqa: E731
    for problem in subject.differences(found, subject.gradients, again):
        yield (
            f"after {what} between forward and backward, {problem}, and nothing raises: it is kept "
            "in another way than by save_for_backward"
        )
        return


def separate_calls(subject: Subject) -> Iterator[str]:
    """A forward of other inputs comes before the backward pass, and another backward pass.

    Neither may write where the results of the first ones are.
    """
    at = subject.at
    graph = at.tracked()
    outputs = [output.detach().clone() for output in graph.outputs]
    wanted = graph.gradients(subject.cotangents)
    kept = [None if one is None else one.clone() for one in wanted]
    try:
        at.tensors_of(with_captured(subject, [_OTHER * x for x in at.fresh()]))
    except Exception:
        return  # it is not defined there
    for i in _changed(graph.outputs, outputs):
        yield f"the forward of other inputs writes into {at.outputs[i].name} of the first"
        return
    graph.gradients(subject.drawn(2))
    for leaf, one, before in zip(at.inputs, wanted, kept, strict=True):
        if one is not None and before is not None and not _is_same(one, before):
            yield f"another backward pass writes into the gradient by {leaf.name} of the first"
            return
    found = graph.gradients(subject.cotangents)
    again = lambda: subject.gradients_anew(subject.cotangents)  # noqa: E731
    for problem in subject.differences(found, kept, again):
        yield (
            f"after a forward of other inputs in between, {problem}: what belongs to one call is "
            "kept where the next one writes"
        )
        return


def deterministic(subject: Subject) -> Iterator[str]:
    """Bitwise, or but for rounding."""
    at = subject.at
    graph: Graph = at.tracked()
    for problem in subject.value_differences(graph.outputs, subject.graph.outputs):
        yield f"at a second evaluation, {problem}"
        return
    found: Gradients = graph.gradients(subject.cotangents)
    again = lambda: subject.gradients_anew(subject.cotangents)  # noqa: E731
    for problem in subject.differences(found, subject.gradients, again):
        yield f"at a second backward pass, {problem}"
