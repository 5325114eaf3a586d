"""A Python function at a point, seen as a map from real numbers to real numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from gradcheck.call import Call
from gradcheck.errors import ChangedOutputError
from gradcheck.leaves import Leaf, coarsest, flattened, is_differentiable, path_text, widened
from gradcheck.oracles.autograd import Graph

_NO_GRADIENT: Final = "does not require grad"
"""What torch says to a function that asks for a gradient by what is not tracked."""
UNITS: Final = 64
"""Units in the last place, of the largest entry, that widening may change a value by."""


class PythonFunction:
    """A function of nested arguments at a point: R^n → R^m by `real`, and what torch records of it.

    `inputs` are the tensors differentiated by (see `Call`), `outputs` the tensors of floating-point
    or complex numbers among the results: those that torch tracks, or all where it tracks none;
    `untracked` are the names of the others. Each is n_i or m_j real numbers (see `Leaf`), in this
    order.

    `dtype` is the coarsest real dtype among them, `precision` the one in which `real` computes:
    float64 where the function, its inputs widened, does there what it does in its own dtype.

    Raises:
        UsageError: There is nothing to differentiate by.
        Exception: What the function raises.
    """

    def __init__(self, function: Callable[..., Any], inputs: Any, *, masked: bool = False) -> None:
        self.function = function
        self._asks_for_gradients = False
        self._arguments = Call(function, inputs)
        pairs = zip(self._arguments.names, self._arguments.given, strict=True)
        self.inputs = tuple(Leaf.of(name, tensor, masked=masked) for name, tensor in pairs)
        self._take(*self._recorded())
        if self._arguments.requires_grad:
            self._capture()

    def _take(self, tensors: Sequence[Tensor], found: Sequence[tuple[str, Tensor]]) -> None:
        """What torch recorded."""
        is_tracked = [output.requires_grad for _, output in found]
        self._count = len(found)
        self._kept = [i for i, tracked in enumerate(is_tracked) if tracked or not any(is_tracked)]
        self.untracked = [name for i, (name, _) in enumerate(found) if i not in self._kept]
        self.outputs = tuple(Leaf.of(*found[i]) for i in self._kept)
        self.graph = self._graph(tensors, [output for _, output in found])

    @property
    def dtype(self) -> torch.dtype:
        return coarsest([leaf.dtype for leaf in (*self.inputs, *self.outputs)])

    @property
    def device(self) -> torch.device:
        return self._arguments.given[0].device

    @cached_property
    def point(self) -> Tensor:
        """The inputs' entries (n,), in float64."""
        given = zip(self.inputs, self._arguments.given, strict=True)
        parts = [leaf.held(tensor.detach()).to(torch.float64) for leaf, tensor in given]
        return torch.cat(parts)

    def value(self) -> Tensor:
        """The outputs' entries (m,), of one more evaluation at the point, in float64."""
        return self._at(self.function, self._arguments.fresh(), self.outputs)

    @cached_property
    def known_value(self) -> Tensor:
        """The outputs' entries (m,), of the evaluation that torch recorded, in float64."""
        return _joined([output.detach() for output in self.graph.outputs], self.outputs)

    @property
    def known_real(self) -> Tensor | None:
        """What `real` gives at the point, where that is what torch recorded."""
        # Of a sparse input `real` has every element specified.
        is_same = self.dtype is torch.float64 and not any(leaf.sparse for leaf in self.inputs)
        return self.known_value if is_same else None

    def tracked(self) -> Graph:
        """One more evaluation, recorded."""
        tensors, found = self._recorded()
        return self._graph(tensors, [output for _, output in found])

    def like(self, function: Callable[..., Any]) -> Any:
        """What another function of the same arguments gives at the point."""
        return self._arguments(function, self._arguments.fresh())

    def outputs_of(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The outputs at other inputs, which may be tracked or dual."""
        return self._chosen(_tensors(self._arguments(self.function, tensors)), self.outputs)

    @property
    def precision(self) -> torch.dtype:
        return self.dtype if self._wide is None else torch.float64

    def real(self, entries: Tensor) -> Tensor:
        """The outputs' entries (m,) in float64 at inputs with these entries (n,), also in vmap.

        A function that writes into its inputs may write into the entries.

        Raises:
            ChangedOutputError: An output has another shape or dtype than at the point.
            Exception: What the function raises.
        """
        if self._wide is None:
            return self._at(self.function, _parted(entries, self.inputs), self.outputs)
        tensors = _parted(entries, self._wide_inputs)
        return self._at(self._wide, tensors, self._wide_outputs, wide=True)

    @cached_property
    def _wide_inputs(self) -> tuple[Leaf, ...]:
        return tuple(replace(leaf, dtype=widened(leaf.dtype)) for leaf in self.inputs)

    @cached_property
    def _wide_outputs(self) -> tuple[Leaf, ...]:
        return tuple(replace(leaf, dtype=widened(leaf.dtype)) for leaf in self.outputs)

    @cached_property
    def _wide(self) -> Callable[..., Any] | None:
        """The function where all is in float64; None where it is another there, or none."""
        function = self.function
        if self.dtype == torch.float64:
            return function
        tensors = _parted(self.point.clone(), self._wide_inputs)
        try:
            wide = copy.deepcopy(function).double() if isinstance(function, nn.Module) else function
            value = self._at(wide, tensors, self._wide_outputs, wide=True)
        except Exception:
            return None
        own = self.known_value
        size = float(own.abs().nan_to_num(0, 0, 0).max()) if len(own) else 0.0
        slack = UNITS * torch.finfo(self.dtype).eps * size
        is_same = torch.isclose(value, own, rtol=0.0, atol=slack, equal_nan=True).all()
        return wide if is_same else None

    def _at(
        self,
        function: Callable[..., Any],
        tensors: Sequence[Tensor],
        leaves: Sequence[Leaf],
        *,
        wide: bool = False,
    ) -> Tensor:
        with torch.enable_grad():
            found = _tensors(self._evaluated(function, tensors, wide=wide))
        return _joined([output.detach() for output in self._chosen(found, leaves)], leaves)

    def _evaluated(
        self, function: Callable[..., Any], tensors: Sequence[Tensor], *, wide: bool
    ) -> Any:
        """The result; a function that asks for a gradient itself is given inputs that have one."""
        if not self._asks_for_gradients:
            try:
                return self._arguments(function, tensors, wide=wide)
            except RuntimeError as error:
                if _NO_GRADIENT not in str(error):
                    raise
        result = self._arguments(function, [t.requires_grad_() for t in tensors], wide=wide)
        self._asks_for_gradients = True
        return result

    def _chosen(self, found: Sequence[Tensor], leaves: Sequence[Leaf]) -> list[Tensor]:
        """Those of the results that are outputs, dense, after a look at whether they are alike."""
        if len(found) != self._count:
            raise ChangedOutputError(
                f"{self._count} results at the point, {len(found)} at another evaluation"
            )
        chosen = [_dense(found[position]) for position in self._kept]
        for output, leaf in zip(chosen, leaves, strict=True):
            if output.shape != leaf.shape or output.dtype != leaf.dtype:
                raise ChangedOutputError(
                    f"{leaf.name} has shape {list(leaf.shape)} and {_named(leaf.dtype)} at the "
                    f"point, shape {list(output.shape)} and {_named(output.dtype)} at another "
                    "evaluation"
                )
        return chosen

    def _recorded(self) -> tuple[list[Tensor], list[tuple[str, Tensor]]]:
        """Inputs that are tracked, and the results with their names."""
        tensors, captured = self._arguments.tracked(), self._arguments.captured
        # A function may write into what it is given, but not into a leaf of torch's graph.
        passed = [t if i in captured else t.clone() for i, t in enumerate(tensors)]
        with torch.enable_grad():
            result = self._arguments(self.function, passed)
            return tensors, [(name, _dense(output)) for name, output in _named_tensors(result)]

    def _graph(self, tensors: Sequence[Tensor], found: Sequence[Tensor]) -> Graph:
        return Graph(self._chosen(found, self.outputs), tensors, self.outputs, self.inputs)

    def _capture(self) -> None:
        """Finds inputs that the function reads from around it, as a module does its parameters."""
        unreached = _unreached(self.graph)
        if not unreached:
            return
        self._arguments.captured = unreached
        self._take(*self._recorded())
        self._arguments.captured -= _unreached(self.graph)
        if not self._arguments.captured:
            self._take(*self._recorded())


def _unreached(graph: Graph) -> frozenset[int]:
    """Which inputs no derivative of any result reaches."""
    if not graph.tracked:
        return frozenset(range(len(graph.inputs)))
    try:
        gradients = graph.at_zero
    except Exception:
        return frozenset()  # which whoever asks for a gradient is told of
    return frozenset(i for i, gradient in enumerate(gradients) if gradient is None)


def _parted(entries: Tensor, leaves: Sequence[Leaf]) -> list[Tensor]:
    """Tensors with these entries (n,), which they may be views of."""
    parts = torch.split(entries, [leaf.count for leaf in leaves])
    return [
        leaf.tensor(part, leaf.dtype, copy=False) for leaf, part in zip(leaves, parts, strict=True)
    ]


def _joined(tensors: Sequence[Tensor], leaves: Sequence[Leaf]) -> Tensor:
    """Their entries (m,), in float64."""
    pairs = zip(leaves, tensors, strict=True)
    parts = [leaf.entries(tensor).to(torch.float64) for leaf, tensor in pairs]
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def _named_tensors(result: Any) -> list[tuple[str, Tensor]]:
    if isinstance(result, Tensor):
        return [("out", result)] if is_differentiable(result) else []
    named = flattened(result, lambda path: "out" + path_text(path))
    return [(name, leaf) for name, leaf in named if is_differentiable(leaf)]


def _tensors(result: Any) -> list[Tensor]:
    leaves = [result] if isinstance(result, Tensor) else _pytree.tree_leaves(result)
    return [leaf for leaf in leaves if is_differentiable(leaf)]


def _dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
