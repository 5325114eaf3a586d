"""Conditions on inputs: however they lie in memory, whatever their sizes, whichever are tracked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils import _pytree

from gradcheck.conditions.backward import nodes_of
from gradcheck.conditions.cotangents import sliced, transposed, with_gaps
from gradcheck.conditions.memory import writes_into_inputs
from gradcheck.conditions.subject import Gradients, NotApplicableError, Subject, rounded
from gradcheck.oracles.autograd import Graph
from gradcheck.user_code import account_of

Layout = Callable[[Tensor], Tensor]
ALL_SUBSETS: Final = 3
"""Inputs up to which each subset of them is looked at; of more, each alone and all but each."""
MOST_SUBSETS: Final = 6
"""Inputs up to which that is so; of more, halves of them that tell any two apart."""


_WRITES: Final = "more than one element of the written-to tensor"
"""What torch says to a function that writes into what is expanded."""
_CRASHING: Final = ("NativeBatchNorm", "PdistBackward")
"""Backwards of torch 2.13 that divide by zero, or read anywhere, where there are no rows."""


def transposed_inputs(subject: Subject) -> Iterator[str]:
    places = [i for i in _movable(subject) if _is_matrix(subject.at.inputs[i].shape)]
    yield from _laid_out(subject, "transposed in memory", transposed, places)


def sliced_inputs(subject: Subject) -> Iterator[str]:
    yield from _laid_out(subject, "slices of larger tensors", sliced, _movable(subject))


def noncontiguous_inputs(subject: Subject) -> Iterator[str]:
    yield from _laid_out(subject, "not contiguous", with_gaps, _movable(subject))


def _is_matrix(shape: torch.Size) -> bool:
    return len(shape) > 1 and min(shape[-2:]) > 1


def _movable(subject: Subject) -> list[int]:
    """The dense arguments; a module's parameters lie as the module has them."""
    at = subject.at
    fixed = zip(at.are_parameters, at.are_captured, strict=True)
    kept = [leaf.sparse is not None or any(one) for leaf, one in zip(at.inputs, fixed, strict=True)]
    return [i for i, is_kept in enumerate(kept) if not is_kept]


def _laid_out(subject: Subject, how: str, layout: Layout, places: Sequence[int]) -> Iterator[str]:
    """What is wrong where the inputs at these places lie in memory in this way."""
    if not places:
        raise NotApplicableError("no input that can lie so")
    gradients = [subject.gradients[i] for i in places]
    if any(one is not None and one.is_sparse for one in gradients):
        raise NotApplicableError("its gradient is sparse")
    where = f"where inputs are {how}"
    try:
        graph = _recorded(subject, lambda i, leaf: layout(leaf) if i in places else leaf.clone())
    except Exception as error:
        raise NotApplicableError(f"the forward refuses such inputs: {account_of(error)}") from None
    for problem in subject.value_differences(graph.outputs, subject.graph.outputs):
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
    inputs = _tracked(subject)
    with torch.enable_grad():
        given = [passed(*pair) for pair in enumerate(inputs)]
    return subject.at.recorded_from(inputs, _with_captured(subject, inputs, given))


def _tracked(subject: Subject) -> list[Tensor]:
    """New inputs, but for those that the function reads from around it."""
    pairs = zip(subject.at.fresh(), subject.graph.inputs, subject.at.are_captured, strict=True)
    return [own if captured else new.requires_grad_() for new, own, captured in pairs]


def _with_captured(
    subject: Subject, inputs: Sequence[Tensor], given: Sequence[Tensor]
) -> list[Tensor]:
    triples = zip(inputs, given, subject.at.are_captured, strict=True)
    return [own if captured else one for own, one, captured in triples]


def expanded_inputs(subject: Subject) -> Iterator[str]:
    """The first row of each, expanded, against copies of it."""
    at = subject.at
    places = [
        i for i in _movable(subject) if at.inputs[i].count > 1 and at.inputs[i].shape[:1] != (1,)
    ]
    if not places:
        raise NotApplicableError("no input that can be expanded")

    def graph(copied: bool) -> Graph:
        inputs = [
            x.detach()[:1].clone().requires_grad_() if i in places else x
            for i, x in enumerate(_tracked(subject))
        ]
        with torch.enable_grad():
            pairs = zip(inputs, at.inputs, strict=True)
            wide = [x.clone().expand(leaf.shape) for x, leaf in pairs]
            given = [x if i in places else x.clone() for i, x in enumerate(wide)]
            given = [rounded(x).contiguous() for x in wide] if copied else given
        return at.recorded_from(inputs, _with_captured(subject, inputs, given))

    yield from _against_copies(subject, "where inputs are expanded (stride 0)", graph)


def _against_copies(subject: Subject, where: str, graph: Callable[[bool], Graph]) -> Iterator[str]:
    """What is wrong with a graph that should be as one whose inputs are `copied`."""
    try:
        copies = graph(True)
        wanted = copies.gradients(subject.cotangents)
    except Exception:
        raise NotApplicableError(f"it is not defined {where}") from None
    try:
        found = graph(False)
    except Exception as error:
        if _WRITES in str(error):
            raise NotApplicableError("it writes into its inputs") from None
        raise NotApplicableError(f"the forward refuses such inputs: {account_of(error)}") from None
    for problem in subject.value_differences(found.outputs, copies.outputs, lambda: graph(True)):
        if writes_into_inputs(subject):
            raise NotApplicableError("it writes into its inputs")
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
    for problem in _differences_of_rows(subject, gradients, wanted, again):
        yield f"{where}, {problem}"


def _differences_of_rows(
    subject: Subject, found: Gradients, wanted: Gradients, again: Callable[[], Gradients]
) -> Iterator[str]:
    """As `Subject.differences`, of gradients in shapes of their own."""
    for index, (leaf, a, b) in enumerate(zip(subject.at.inputs, found, wanted, strict=True)):
        if a is None and b is None:
            continue
        like = b if a is None else a
        assert like is not None
        one, other = _flat(a, like), _flat(b, like)
        if one.shape != other.shape:
            yield f"the gradient by {leaf.name} has {len(one)} entries in place of {len(other)}"
            continue
        if apart := subject.apart(one, other, partial(_flat_of, again, index, like)):
            yield f"the gradient by {leaf.name} is {apart}"


def _flat_of(again: Callable[[], Gradients], index: int, like: Tensor) -> Tensor:
    return _flat(again()[index], like)


def _flat(gradient: Tensor | None, like: Tensor) -> Tensor:
    found = torch.zeros_like(like) if gradient is None else gradient
    found = found if found.layout is torch.strided else found.to_dense()
    found = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found
    return found.detach().reshape(-1).to("cpu", torch.float64)


def broadcast_inputs(subject: Subject) -> Iterator[str]:
    """An input of size 1 in a dimension, where that means the same as its copies."""
    at = subject.at
    if sum(isinstance(one, Tensor) for one in at.named.values()) < 2:
        raise NotApplicableError("there is one input")
    is_looked_at = False
    for place in _movable(subject):
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
        inputs = _tracked(subject)
        one = inputs[place].detach().narrow(dimension, 0, 1).clone().requires_grad_()
        with torch.enable_grad():
            given = [rounded(x) if copied else x.clone() for x in inputs]
            given[place] = rounded(one.expand(shape)) if copied else one.clone()
        inputs[place] = one
        return inputs, at.tensors_of(_with_captured(subject, inputs, given))

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
        found = _gradients([outputs[i] for i in kept], inputs, subject.cotangents)
    except Exception:
        return None  # the forward took it by chance

    def again() -> Gradients:
        own, results = graph(copied=True)
        return _gradients([results[i] for i in kept], own, subject.cotangents)

    true = _gradients(chosen, twins, subject.cotangents)
    return [f"{where}, {p}" for p in _differences_of_rows(subject, found, true, again)]


def _is_known(value: Tensor) -> bool:
    """Whether it is finite: what is not is the same whatever it was made of."""
    return bool(value.isfinite().all())


def _gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> Gradients:
    return torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True, retain_graph=True)


def empty_inputs(subject: Subject) -> Iterator[str]:
    """All tensors of the first input's leading size with none of it, else the first input alone.

    A kernel may rely on sizes that belong together: none is given others where that is not sure.
    """
    at = subject.at
    places = [i for i in _movable(subject) if at.inputs[i].shape]
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
    found = _emptied(subject, together, emptied)
    if found is None and shape not in shapes:
        found = _emptied(subject, [first], {})
    if found is None:
        raise NotApplicableError("it does not take inputs of size 0")
    yield from found


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
        for i, x in enumerate(_tracked(subject))
    ]
    with torch.enable_grad():
        given = [x.clone() for x in inputs]
    try:
        outputs = at.tensors_of(_with_captured(subject, inputs, given), constants)
    except Exception:
        return None
    tracked = [output for output in outputs if output.requires_grad]
    if not tracked:
        return []
    if any(node.name().startswith(_CRASHING) for node in nodes_of(tracked)):
        raise NotApplicableError("a backward of torch's own ends the process there")
    where = "where an input has size 0"
    try:
        found = _gradients(tracked, inputs, [torch.ones_like(output) for output in tracked])
    except Exception as error:
        return [f"the backward raises {where}: {account_of(error)}"]
    problems = []
    for leaf, input, gradient in zip(at.inputs, inputs, found, strict=True):
        if gradient is None:
            continue
        if gradient.shape != input.shape:
            shape = list(gradient.shape)
            problems.append(f"{where}, the gradient by {leaf.name} has shape {shape}")
        elif not any(one.numel() for one in tracked) and bool((_flat(gradient, input) != 0).any()):
            problems.append(
                f"{where}, the gradient by {leaf.name} is not 0, though nothing is summed"
            )
    return problems


def aliased_inputs(subject: Subject) -> Iterator[str]:
    """f(z, z), whose gradient is the sum of those of f(z, copy of z)."""
    at = subject.at
    pairs = [
        (i, j)
        for i, j in combinations(_movable(subject), 2)
        if (at.inputs[i].shape, at.inputs[i].dtype) == (at.inputs[j].shape, at.inputs[j].dtype)
    ]
    if not pairs:
        raise NotApplicableError("no two inputs have one shape")
    i, j = pairs[0]
    names = f"{at.inputs[i].name} and {at.inputs[j].name}"
    where = f"where {names} are one tensor"

    def graph(copied: bool) -> Graph:
        inputs = _tracked(subject)
        inputs[j] = inputs[i]
        with torch.enable_grad():
            given = [rounded(x) if copied else x.clone() for x in inputs]
            given[j] = rounded(given[i]) if copied else given[i]
        return at.recorded_from(inputs, _with_captured(subject, inputs, given))

    yield from _against_copies(subject, where, graph)


def needs_input_grad(subject: Subject) -> Iterator[str]:
    """Each part of the inputs alone, against the whole."""
    at = subject.at
    count = len(at.inputs)
    if count < 2:
        raise NotApplicableError("there is one input")
    if any(at.are_captured):
        raise NotApplicableError("it reads inputs from around it")
    for subset in _subsets(count, subject.is_large):
        names = _names_of(at.inputs[i].name for i in subset)
        where = (
            f"where {names} alone requires a gradient"
            if len(subset) == 1
            else (f"where only {names} require a gradient")
        )
        try:
            found = _of_subset(subject, subset)
        except Exception as error:
            yield f"it raises {where}: {account_of(error)}"
            continue
        wanted = [subject.gradients[i] if i in subset else None for i in range(count)]

        def again(subset: Sequence[int] = subset) -> Gradients:
            gradients = subject.gradients_anew(subject.cotangents)
            return [gradients[i] if i in subset else None for i in range(count)]

        for problem in subject.differences(found, wanted, again):
            yield f"{where}, {problem}"


def _names_of(names: Iterable[str]) -> str:
    first, *others = names
    return " and ".join([first, *others] if len(others) < 3 else [first, f"{len(others)} others"])


def _subsets(count: int, is_large: bool) -> Iterator[tuple[int, ...]]:
    everything = range(count)
    if count > (ALL_SUBSETS if is_large else MOST_SUBSETS):
        yield from _halves(count, is_large)
        return
    sizes = (1,) if is_large else range(1, count) if count <= ALL_SUBSETS else (1, count - 1)
    for size in sizes:
        yield from combinations(everything, size)


def _halves(count: int, is_large: bool) -> Iterator[tuple[int, ...]]:
    """Those whose number has a bit, and those whose number has not; one of both if it is large."""
    for bit in range((count - 1).bit_length()):
        for value in (bit % 2,) if is_large else (0, 1):
            yield tuple(i for i in range(count) if i >> bit & 1 == value)


def _of_subset(subject: Subject, subset: Sequence[int]) -> Gradients:
    """The gradients where these inputs require one; None by the others."""
    at = subject.at
    inputs = [x.requires_grad_(i in subset) for i, x in enumerate(at.fresh())]
    with torch.enable_grad():
        outputs = at.recorded_from(inputs, [x.clone() for x in inputs]).outputs
    known = {
        leaf.name: u for leaf, u in zip(subject.output_leaves, subject.cotangents, strict=True)
    }
    pairs = [
        (output, known[leaf.name])
        for output, leaf in zip(outputs, at.outputs, strict=True)
        if output.requires_grad and leaf.name in known
    ]
    result: list[Tensor | None] = [None] * len(inputs)
    if not pairs:
        return result
    tracked, cotangents = zip(*pairs, strict=True)
    found = _gradients(tracked, [inputs[i] for i in subset], cotangents)
    for i, gradient in zip(subset, found, strict=True):
        result[i] = gradient
    return result
