"""Conditions on inputs as they lie in memory: transposed, sliced, with gaps, expanded, aliased."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Final

import torch
from torch import Tensor

from gradcheck.conditions.cotangents import cut_off, has_order, sliced, transposed, with_gaps
from gradcheck.conditions.given import differences_of_rows, movable, tracked, with_captured
from gradcheck.conditions.memory import writes_into_inputs
from gradcheck.conditions.subject import NotApplicableError, Subject, rounded
from gradcheck.frames import account_of
from gradcheck.oracles.autograd import Graph

Layout = Callable[[Tensor], Tensor]
_MOST_ALONE: Final = 8
_RANDOM: Final = "what is random in it may follow the order in memory"
_WRITES: Final = "more than one element of the written-to tensor"
"""What torch says to a function that writes into what is expanded."""


def transposed_inputs(subject: Subject) -> Iterator[str]:
    places = [i for i in movable(subject) if has_order(subject.at.inputs[i].shape)]
    yield from _laid_out(subject, "transposed in memory", transposed, places)


def sliced_inputs(subject: Subject) -> Iterator[str]:
    yield from _laid_out(subject, "a slice of a larger tensor", sliced, movable(subject))
    where = "where each input is a slice of a larger tensor, contiguous itself"
    yield from _lying(subject, where, cut_off, movable(subject))


def noncontiguous_inputs(subject: Subject) -> Iterator[str]:
    yield from _laid_out(subject, "not contiguous", with_gaps, movable(subject))


def _laid_out(subject: Subject, how: str, layout: Layout, places: Sequence[int]) -> Iterator[str]:
    """What is wrong where the inputs at these places lie in memory in this way, and each alone."""
    if not places:
        raise NotApplicableError("no input that can lie so")
    yield from _lying(subject, f"where each input is {how}", layout, places)
    if len(subject.at.inputs) > 1 and not subject.is_large:
        for place in places[:_MOST_ALONE]:
            where = f"where {subject.at.inputs[place].name} alone is {how}"
            yield from _lying(subject, where, layout, [place])


def _lying(subject: Subject, where: str, layout: Layout, places: Sequence[int]) -> Iterator[str]:
    gradients = [subject.gradients[i] for i in places]
    if any(one is not None and one.is_sparse for one in gradients):
        raise NotApplicableError("its gradient is sparse")
    try:
        graph = _recorded(subject, lambda i, leaf: layout(leaf) if i in places else leaf.clone())
    except Exception as error:
        raise NotApplicableError(f"the forward refuses such inputs: {account_of(error)}") from None
    for problem in subject.value_differences(graph.outputs, subject.graph.outputs):
        if subject.at.is_seeded:
            raise NotApplicableError(_RANDOM)
        yield f"the forward gives something else {where}: {problem}"
        return
    try:
        found = graph.gradients(subject.cotangents)
    except Exception as error:
        yield f"the backward raises {where}: {account_of(error)}"
        return
    again = lambda: subject.gradients_anew(subject.cotangents)  # noqa: E731
    for problem in subject.differences(found, subject.gradients, again):
        yield f"{where}, {problem}"


def _recorded(subject: Subject, passed: Callable[[int, Tensor], Tensor]) -> Graph:
    """An evaluation of what is made of new inputs, tracked."""
    inputs = tracked(subject)
    with torch.enable_grad():
        given = [passed(*pair) for pair in enumerate(inputs)]
    return subject.at.recorded_from(inputs, with_captured(subject, given))


def expanded_inputs(subject: Subject) -> Iterator[str]:
    """The first row of each, expanded, against copies of it."""
    at = subject.at
    places = [
        i for i in movable(subject) if at.inputs[i].count > 1 and at.inputs[i].shape[:1] != (1,)
    ]
    if not places:
        raise NotApplicableError("no input that can be expanded")

    def graph(copied: bool) -> Graph:
        inputs = [
            x.detach()[:1].clone().requires_grad_() if i in places else x
            for i, x in enumerate(tracked(subject))
        ]
        with torch.enable_grad():
            pairs = zip(inputs, at.inputs, strict=True)
            wide = [x.clone().expand(leaf.shape) for x, leaf in pairs]
            given = [x if i in places else x.clone() for i, x in enumerate(wide)]
            given = [rounded(x).contiguous() for x in wide] if copied else given
        return at.recorded_from(inputs, with_captured(subject, given))

    yield from _against_copies(subject, "where inputs are expanded (stride 0)", graph)


def _against_copies(subject: Subject, where: str, graph: Callable[[bool], Graph]) -> Iterator[str]:
    """What is wrong with a graph that should be as one whose inputs are `copied`."""
    try:
        copies = graph(True)
        wanted = copies.gradients(subject.cotangents)
    except Exception:
        raise NotApplicableError(f"it is not defined {where}") from None
    if not _stays_finite(subject, copies):
        raise NotApplicableError(f"it is not finite {where}")
    try:
        found = graph(False)
    except Exception as error:
        if _WRITES in str(error):
            raise NotApplicableError("it writes into its inputs") from None
        raise NotApplicableError(f"the forward refuses such inputs: {account_of(error)}") from None
    for problem in subject.value_differences(found.outputs, copies.outputs, lambda: graph(True)):
        if writes_into_inputs(subject):
            raise NotApplicableError("it writes into its inputs")
        if subject.at.is_seeded:
            raise NotApplicableError(_RANDOM)
        yield f"the forward gives something else {where}: {problem}"
        return
    try:
        gradients = found.gradients(subject.cotangents)
    except Exception as error:
        if writes_into_inputs(subject):
            raise NotApplicableError("it writes into its inputs") from None
        yield f"the backward raises {where}: {account_of(error)}"
        return
    again = lambda: graph(True).gradients(subject.cotangents)  # noqa: E731
    for problem in differences_of_rows(subject, gradients, wanted, again):
        yield f"{where}, {problem}"


def _stays_finite(subject: Subject, copies: Graph) -> bool:
    """Whether copies give finite values wherever the point does, and not those of a pole.

    There rounding decides, as of a matrix that is singular where its rows are one.
    """
    pairs = zip(subject.graph.outputs, copies.outputs, strict=True)
    return all(bool((b.isfinite() | ~a.isfinite()).all()) for a, b in pairs)


def aliased_inputs(subject: Subject) -> Iterator[str]:
    """f(z, z), whose gradient is the sum of those of f(z, copy of z)."""
    at = subject.at
    pairs = [
        (i, j)
        for i, j in combinations(movable(subject), 2)
        if (at.inputs[i].shape, at.inputs[i].dtype) == (at.inputs[j].shape, at.inputs[j].dtype)
    ]
    if not pairs:
        raise NotApplicableError("no two inputs have one shape")
    i, j = pairs[0]
    names = f"{at.inputs[i].name} and {at.inputs[j].name}"
    where = f"where {names} are one tensor"

    def graph(copied: bool) -> Graph:
        inputs = tracked(subject)
        inputs[j] = inputs[i]
        with torch.enable_grad():
            given = [rounded(x) if copied else x.clone() for x in inputs]
            given[j] = rounded(given[i]) if copied else given[i]
        return at.recorded_from(inputs, with_captured(subject, given))

    yield from _against_copies(subject, where, graph)
