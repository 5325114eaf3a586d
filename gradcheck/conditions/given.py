"""Inputs that conditions make of a function's own, and gradients by them in shapes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from gradcheck.conditions.subject import Gradients, Subject
from gradcheck.sparse import dense


def movable(subject: Subject) -> list[int]:
    """The dense arguments; a module's parameters lie as the module has them."""
    at = subject.at
    fixed = zip(at.are_parameters, at.are_captured, strict=True)
    kept = [leaf.sparse is not None or any(one) for leaf, one in zip(at.inputs, fixed, strict=True)]
    return [i for i, is_kept in enumerate(kept) if not is_kept]


def tracked(subject: Subject) -> list[Tensor]:
    """New inputs, but for those that the function reads from around it."""
    pairs = zip(subject.at.fresh(), subject.graph.inputs, subject.at.are_captured, strict=True)
    return [own if captured else new.requires_grad_() for new, own, captured in pairs]


def with_captured(subject: Subject, given: Sequence[Tensor]) -> list[Tensor]:
    """What is given, but for inputs that the function reads from around it, which stay."""
    triples = zip(subject.graph.inputs, given, subject.at.are_captured, strict=True)
    return [own if captured else one for own, one, captured in triples]


def differences_of_rows(
    subject: Subject, found: Gradients, wanted: Gradients, again: Callable[[], Gradients]
) -> Iterator[str]:
    """As `Subject.differences`, of gradients in shapes of their own."""
    for index, (leaf, a, b) in enumerate(zip(subject.at.inputs, found, wanted, strict=True)):
        if a is None and b is None:
            continue
        like = b if a is None else a
        assert like is not None
        one, other = flat(a, like), flat(b, like)
        if one.shape != other.shape:
            yield f"the gradient by {leaf.name} has {len(one)} entries in place of {len(other)}"
            continue
        if apart := subject.apart(one, other, partial(_flat_of, again, index, like)):
            yield f"the gradient by {leaf.name} is {apart}"


def _flat_of(again: Callable[[], Gradients], index: int, like: Tensor) -> Tensor:
    return flat(again()[index], like)


def flat(gradient: Tensor | None, like: Tensor) -> Tensor:
    found = torch.zeros_like(like) if gradient is None else gradient
    found = dense(found)
    found = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found
    return found.detach().reshape(-1).to("cpu", torch.float64)
