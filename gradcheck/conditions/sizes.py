"""Conditions on inputs of other sizes: 1, where that is broadcast, and 0."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from gradcheck.conditions.given import (
    differences_of_rows,
    flat,
    movable,
    tracked,
    with_captured,
)
from gradcheck.conditions.isolated import isolated
from gradcheck.conditions.subject import Gradients, NotApplicableError, Subject, rounded
from gradcheck.frames import account_of
from gradcheck.oracles.autograd import gradients_of


def broadcast_inputs(subject: Subject) -> Iterator[str]:
    """An input of size 1 in a dimension, where that means the same as its copies."""
    at = subject.at
    if sum(isinstance(one, Tensor) for one in at.named.values()) < 2:
        raise NotApplicableError("there is one input")
    yield from _broadcast_inputs(subject)


@isolated
def _broadcast_inputs(subject: Subject) -> Iterator[str]:
    at = subject.at
    is_looked_at = False
    for place in movable(subject):
        shape = at.inputs[place].shape
        for dimension in sorted({0, len(shape) - 1}) if shape else ():
            if shape[dimension] < 2 or (is_looked_at and subject.is_large):
                continue
            found = _broadcast(subject, place, dimension)
            if found is not None:
                is_looked_at = True
                yield from found
    if not is_looked_at:
        raise NotApplicableError("no input is broadcast")


def _broadcast(subject: Subject, place: int, dimension: int) -> list[str] | None:
    """What is wrong with one input of size 1 in a dimension; None where it is not broadcast."""
    at = subject.at
    shape = at.inputs[place].shape

    def graph(copied: bool) -> tuple[list[Tensor], list[Tensor]]:
        inputs = tracked(subject)
        one = inputs[place].detach().narrow(dimension, 0, 1).clone().requires_grad_()
        with torch.enable_grad():
            given = [rounded(x) if copied else x.clone() for x in inputs]
            given[place] = rounded(one.expand(shape)) if copied else one.clone()
        inputs[place] = one
        return inputs, at.tensors_of(with_captured(subject, given))

    try:
        inputs, outputs = graph(copied=False)
        twins, wanted = graph(copied=True)
    except Exception:
        return None
    if [x.shape for x in outputs] != [x.shape for x in wanted]:
        return None
    kept = [i for i, x in enumerate(wanted) if x.requires_grad]
    chosen = [wanted[i] for i in kept]
    if len(chosen) != len(subject.cotangents) or any(
        x.shape != u.shape for x, u in zip(chosen, subject.cotangents, strict=False)
    ):
        return None
    if not all(_is_known(b) and torch.allclose(a, b) for a, b in zip(outputs, wanted, strict=True)):
        return None
    leaf = at.inputs[place]
    where = f"where {leaf.name} has size 1 in dimension {dimension}"
    try:
        found = gradients_of([outputs[i] for i in kept], inputs, subject.cotangents)
    except Exception:
        return None  # the forward took it by chance

    def again() -> Gradients:
        own, results = graph(copied=True)
        return gradients_of([results[i] for i in kept], own, subject.cotangents)

    true = gradients_of(chosen, twins, subject.cotangents)
    return [f"{where}, {p}" for p in differences_of_rows(subject, found, true, again)]


def _is_known(value: Tensor) -> bool:
    """Whether it is finite: what is not is the same whatever it was made of."""
    return bool(value.isfinite().all())


def empty_inputs(subject: Subject) -> Iterator[str]:
    """All tensors of the first input's leading size with none of it, else the first input alone.

    A kernel may rely on sizes that belong together: none is given others where that is not sure.
    """
    at = subject.at
    places = [i for i in movable(subject) if at.inputs[i].shape]
    if not places:
        raise NotApplicableError("no input has a dimension")
    first = places[0]
    size, *others = shape = at.inputs[first].shape
    constants = {
        name: value
        for name, value in at.named.items()
        if isinstance(value, Tensor) and name not in {leaf.name for leaf in at.inputs}
    }
    shapes = [at.inputs[i].shape for i in places if i != first]
    shapes += [value.shape for value in constants.values()]
    if size in others and shape in shapes:
        raise NotApplicableError("sizes coincide: which of them belong together is not known")

    def belongs(own: torch.Size) -> bool:
        return own == shape if size in others else own[:1] == (size,)

    emptied = {name: value[:0] for name, value in constants.items() if belongs(value.shape)}
    left = [value for name, value in constants.items() if name not in emptied]
    if any(map(_is_of_integers, [*left, *_tensors_around(at.function)])):
        raise NotApplicableError("its integers may point into what would be empty")
    together = [i for i in places if belongs(at.inputs[i].shape)]
    choices = [(together, emptied), *([([first], {})] if shape not in shapes else [])]
    yield from isolated(partial(_first_taken, choices))(subject)


def _first_taken(
    choices: Sequence[tuple[Sequence[int], dict[str, Tensor]]], subject: Subject
) -> Iterator[str]:
    """What is wrong with the first choice of what is empty that the function takes."""
    for places, constants in choices:
        found = _emptied(subject, places, constants)
        if found is not None:
            yield from found
            return
    raise NotApplicableError("it does not take inputs of size 0")


def _is_of_integers(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())


def _tensors_around(function: Callable[..., Any]) -> list[Tensor]:
    """Those that a Python function reads from around it, as far as its own code tells."""
    try:
        around = inspect.getclosurevars(inspect.unwrap(function))
    except (TypeError, ValueError):
        return []
    found = _pytree.tree_leaves([around.nonlocals, around.globals])
    return [one for one in found if isinstance(one, Tensor)]


def _emptied(
    subject: Subject, places: Sequence[int], constants: dict[str, Tensor]
) -> list[str] | None:
    """What is wrong where these inputs are empty; None where the function does not take them."""
    at = subject.at
    inputs = [
        x.detach()[:0].clone().requires_grad_() if i in places else x
        for i, x in enumerate(tracked(subject))
    ]
    with torch.enable_grad():
        given = [x.clone() for x in inputs]
    try:
        outputs = at.tensors_of(with_captured(subject, given), constants)
    except Exception:
        return None
    reached = [output for output in outputs if output.requires_grad]
    if not reached:
        return []
    where = "where an input has size 0"
    try:
        found = gradients_of(reached, inputs, [torch.ones_like(output) for output in reached])
    except Exception as error:
        return [f"the backward raises {where}: {account_of(error)}"]
    problems = []
    for leaf, input, gradient in zip(at.inputs, inputs, found, strict=True):
        if gradient is None:
            continue
        if gradient.shape != input.shape:
            shape = list(gradient.shape)
            problems.append(f"{where}, the gradient by {leaf.name} has shape {shape}")
        elif not any(one.numel() for one in reached) and bool((flat(gradient, input) != 0).any()):
            problems.append(
                f"{where}, the gradient by {leaf.name} is not 0, though nothing is summed"
            )
    return problems
