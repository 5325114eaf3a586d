"""The autograd oracle: torch's reverse mode, in the check's dtype and on its device."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from gradcheck.errors import EvaluationError
from gradcheck.functions import Environment, Function, Segment
from gradcheck.language.expression import Meaning
from gradcheck.leaves import Leaf
from gradcheck.passes import Passes

FEW: Final = 8
"""Up to so many entries of the output take a backward pass each; more go together."""
FEW_OF_A_CASE: Final = 32
"""The same for the functions of cases, most of which are small: the first batched pass makes torch
import for half a second."""
TOGETHER: Final = 256
"""Entries of the output that go through one batched backward pass."""

Rows = Callable[[Sequence[Tensor | None], int], Tensor]
"""So many gradients by each of some inputs, as rows."""


def jacobian(segment: Segment, value: Tensor, meaning: Meaning) -> Tensor:
    """The Jacobian of the segment at `value`: the gradient of each entry of its output.

    Shape of the output + shape of the input; an output that autograd sees no path to has 0.

    Raises:
        EvaluationError: The function has no value here.
    """
    leaf = value.detach().clone().requires_grad_()
    with torch.enable_grad():
        output = segment.value(leaf, meaning)
        if not output.requires_grad:
            return value.new_zeros((*output.shape, *value.shape))
        row = functools.partial(_stacked, leaf)
        rows = _rows(output.reshape(-1), [leaf], row, alone=FEW_OF_A_CASE)
    return rows.reshape((*output.shape, *value.shape))


Pull = Callable[[Tensor], Tensor]
"""The gradient (n,) for a cotangent (m,)."""


def pullback(segment: Segment, value: Tensor, meaning: Meaning) -> Pull:
    """The gradient (n,) for a cotangent (m,) of the segment's output, in float64 on the CPU.

    Raises:
        EvaluationError: The function has no value here.
    """
    leaf = value.detach().clone().requires_grad_()
    with torch.enable_grad():
        output = segment.value(leaf, meaning)

    def pull(cotangent: Tensor) -> Tensor:
        if not output.requires_grad:
            return torch.zeros(leaf.numel(), dtype=torch.float64)
        like = cotangent.to(output.device, output.dtype).reshape(output.shape)
        (found,) = gradients_of([output], [leaf], [like])
        return _stacked(leaf, [found], 1)[0].to("cpu", torch.float64)

    return pull


def _stacked(leaf: Tensor, gradients: Sequence[Tensor | None], count: int) -> Tensor:
    (found,) = gradients
    return leaf.new_zeros((count, leaf.numel())) if found is None else found.reshape(count, -1)


@dataclass(frozen=True, eq=False)
class Graph:
    """What torch recorded of one evaluation: dense outputs, and the inputs that it tracked."""

    outputs: Sequence[Tensor]
    inputs: Sequence[Tensor]
    output_leaves: Sequence[Leaf]
    input_leaves: Sequence[Leaf]

    @property
    def tracked(self) -> list[Tensor]:
        """The outputs that a derivative reaches."""
        return [output for output in self.outputs if output.requires_grad]

    def jacobian(self, *, together: bool = True) -> Tensor:
        """The Jacobian of all outputs' entries by all inputs' (m, n), in float64; see `Leaf`.

        Unless `together`, every row is a backward pass of its own. An output that no derivative
        reaches has 0.
        """
        rows = [
            _rows(
                leaf.entries(output),
                self.inputs,
                self._row,
                alone=FEW if together else leaf.count,
            )
            if output.requires_grad
            else self._row([None] * len(self.inputs), leaf.count)
            for output, leaf in zip(self.outputs, self.output_leaves, strict=True)
        ]
        return torch.cat(rows)

    def vjp(self, cotangents: Sequence[Tensor]) -> Tensor:
        """The gradient (n,) of one backward pass; `cotangents` are those of what is tracked."""
        return self._row(self.gradients(cotangents), 1)[0]

    def pullback(self, entries: Tensor) -> Tensor:
        """The gradient (n,) for a cotangent of all outputs' entries (m,)."""
        parts = torch.split(entries, [leaf.count for leaf in self.output_leaves])
        pairs = zip(self.outputs, self.output_leaves, parts, strict=True)
        return self.vjp([leaf.tensor(u, leaf.dtype) for y, leaf, u in pairs if y.requires_grad])

    def gradients(
        self, cotangents: Sequence[Tensor], *, batched: bool = False
    ) -> Sequence[Tensor | None]:
        """What torch gives for these cotangents of what is tracked, batched or not."""
        return gradients_of(self.tracked, self.inputs, cotangents, batched=batched)

    @functools.cached_property
    def at_zero(self) -> Sequence[Tensor | None]:
        """What torch gives for cotangents of zero."""
        return self.gradients([torch.zeros_like(output) for output in self.tracked])

    def _row(self, gradients: Sequence[Tensor | None], count: int) -> Tensor:
        parts = [
            leaf.gradient(gradient, count)
            for leaf, gradient in zip(self.input_leaves, gradients, strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def gradients(
    function: Function,
    given: Environment,
    inputs: Collection[str],
    passes: Passes,
    meaning: Meaning,
) -> dict[str, Tensor | None]:
    """What backward passes leave in `.grad` of every value of the function that torch tracks.

    `given` holds the values of inputs and constants. None is left in a value whose gradient is not
    kept; what is not tracked, since no derivative by an input could reach it, is not listed.

    Raises:
        EvaluationError: The function has no value here, or one that backward cannot start from.
    """
    leaves = {name: given[name].detach().clone().requires_grad_() for name in inputs}
    if passes.disabled_by == "requires_grad_":
        for leaf in leaves.values():
            leaf.requires_grad_(False)
    used = {n: x.detach() for n, x in leaves.items()} if passes.disabled_by == "detach" else leaves
    for number in range(passes.count):
        if number and passes.zero_grad:
            for leaf in leaves.values():
                leaf.grad = None if leaf.grad is None else torch.zeros_like(leaf)
        with _UNTRACKED.get(passes.disabled_by or "", nullcontext)():
            values = function.run({**given, **used}, meaning)
        _backward(values, function.output, passes.retained)
    return {
        name: _left(value)
        for name, value in {**values, **leaves}.items()
        if isinstance(value, Tensor) and value.requires_grad
    }


_UNTRACKED: Final = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}


def _backward(values: Environment, output: str, retained: Iterable[str]) -> None:
    """One pass; none where nothing is tracked, since there torch has nothing to begin with."""
    end = values[output]
    if not isinstance(end, Tensor) or end.numel() != 1:
        found = f"shape {list(end.shape)}" if isinstance(end, Tensor) else f"{len(end)} results"
        raise EvaluationError(
            f"backward starts from one number, but `{output}` has {found}: add it up, as by sum()"
        )
    for value in (values[name] for name in retained):
        if isinstance(value, Tensor) and value.requires_grad:
            value.retain_grad()
    if end.requires_grad:
        end.backward()  # type: ignore[no-untyped-call]


def _left(value: Tensor) -> Tensor | None:
    """`.grad`, which torch warns to read where it cannot be."""
    return value.grad if value.is_leaf or value.retains_grad else None


def _rows(entries: Tensor, inputs: Sequence[Tensor], row: Rows, *, alone: int) -> Tensor:
    """The gradients of all entries (m,), as rows (m, n); of more than `alone`, batched."""
    if len(entries) > alone:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a batched pass that would loop inside says so
            try:
                return _batched(entries, inputs, row)
            except Exception:
                pass  # whatever is wrong with the function itself is raised below
    # One by one: a backward pass through `unbind` fills in a zero for every other entry.
    rows = [row(gradients_of([entries[i]], inputs), 1) for i in range(len(entries))]
    return torch.cat(rows) if rows else row([None] * len(inputs), 0)


def _batched(entries: Tensor, inputs: Sequence[Tensor], row: Rows) -> Tensor:
    cotangents = torch.eye(len(entries), dtype=entries.dtype, device=entries.device)
    batches = torch.split(cotangents, TOGETHER)
    return torch.cat(
        [
            row(gradients_of([entries], inputs, [batch], batched=True), len(batch))
            for batch in batches
        ]
    )


def gradients_of(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor] | None = None,
    *,
    batched: bool = False,
) -> Sequence[Tensor | None]:
    """The gradients of numbers, or those that cotangents select; None where there is no path."""
    return torch.autograd.grad(
        outputs,
        inputs,
        cotangents,
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=batched,
    )
