"""A Python function at a point, seen as a map from real numbers to real numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from gradcheck.call import Call
from gradcheck.callables import Seeded
from gradcheck.errors import ChangedOutputError
from gradcheck.functional_module import FunctionalModule
from gradcheck.leaves import Leaf, coarsest, flattened, is_differentiable, path_text, widened
from gradcheck.oracles.autograd import Graph
from gradcheck.sparse import dense
from gradcheck.user_code import called_with, parameters_of

_NO_GRADIENT: Final = "does not require grad"
"""What torch says to a function that asks for a gradient by what is not tracked."""
UNITS: Final = 64
"""Units in the last place, of the largest entry, that widening may change a value by."""


class PythonFunction:
    """A function of nested arguments at a point: R^n → R^m by `real`, and what torch records of it.

    `inputs` are the tensors differentiated by (see `Call`), `outputs` the tensors of floating-point
    or complex numbers among the results: those that torch tracks, or all where it tracks none;
    `untracked` are the names of the others. Each is n_i or m_j real numbers (see `Leaf`), in this
    order. A module's parameters are inputs too, by their names, and its buffers constants.

    `names` are those of positional arguments, where the function's own do not serve; a function
    that is `seeded` starts each call from one random state.

    `dtype` is the coarsest real dtype among them, `precision` the one in which `real` computes:
    float64 where the function, its inputs widened, does there what it does in its own dtype.

    Raises:
        UsageError: There is nothing to differentiate by.
        Exception: What the function raises.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Any,
        *,
        masked: bool = False,
        names: Sequence[str] | None = None,
        seeded: bool = False,
    ) -> None:
        module = FunctionalModule(function) if isinstance(function, nn.Module) else None
        function = module or function
        self._module = module
        self.masked, self.is_seeded = masked, seeded
        self.function = Seeded(function) if seeded else function
        self._asks_for_gradients = False
        self._arguments = Call(function, inputs, module.tensors if module else {}, names)
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
        parts = [leaf.held(tensor.detach()) for leaf, tensor in given]
        return torch.cat([part.to(self.device, torch.float64) for part in parts])

    def value(self) -> Tensor:
        """The outputs' entries (m,), of one more evaluation at the point, in float64."""
        return self._at(self._arguments.fresh(), self.outputs)

    @cached_property
    def known_value(self) -> Tensor:
        """The outputs' entries (m,), of the evaluation that torch recorded, in float64."""
        found = [output.detach() for output in self.graph.outputs]
        return _joined(found, self.outputs, self.device)

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

    def recorded_from(self, inputs: Sequence[Tensor], passed: Sequence[Tensor]) -> Graph:
        """An evaluation of what is passed, recorded from inputs that this was made of.

        Raises:
            ChangedOutputError: An output is another kind of thing than at the point.
            Exception: What the function raises.
        """
        with torch.enable_grad():
            found = _tensors(self._arguments(self.function, passed))
            return self._graph(inputs, [dense(output) for output in found])

    def tensors_of(
        self, tensors: Sequence[Tensor], constants: Mapping[str, Any] | None = None
    ) -> list[Tensor]:
        """The differentiable results with inputs, and constants, of whatever shapes."""
        with torch.enable_grad():
            result = self._arguments(self.function, tensors, others=constants)
        return [dense(output) for output in _tensors(result)]

    def widened(self) -> PythonFunction | None:
        """The function at the same point in float64; None where it is another there, or none."""
        if self.dtype is torch.float64:
            return self
        is_possible = self._is_wide and not self._arguments.captured
        return self._in_float64() if is_possible else None

    def _in_float64(self) -> PythonFunction:
        wide = copy.copy(self)
        for name in ("point", "known_value", "_wide_inputs", "_wide_outputs", "_is_wide"):
            wide.__dict__.pop(name, None)
        wide._arguments = self._arguments.widened()
        wide.inputs, wide.outputs = self._wide_inputs, self._wide_outputs
        wide.graph = wide.tracked()
        return wide

    def with_function(self, function: Callable[..., Any]) -> PythonFunction:
        """Another function of the same arguments, at the same point.

        Raises what it raises.
        """
        other = copy.copy(self)
        for name in ("known_value", "_wide_inputs", "_wide_outputs", "_is_wide"):
            other.__dict__.pop(name, None)
        other.function = function
        other._take(*other._recorded())
        return other

    def fresh(self) -> list[Tensor]:
        """The inputs, as new tensors that are not tracked."""
        return self._arguments.fresh()

    @property
    def named(self) -> dict[str, Any]:
        """All arguments by name, constants too."""
        return self._arguments.named

    @property
    def are_captured(self) -> Sequence[bool]:
        """Which of the inputs the function reads from around it."""
        return [i in self._arguments.captured for i in range(len(self.inputs))]

    @property
    def are_parameters(self) -> Sequence[bool]:
        """Which of the inputs are a module's parameters."""
        return self._arguments.are_own

    def like(self, function: Callable[..., Any]) -> Any:
        """What another function of the same arguments, but parameters, gives at the point."""
        other = self._module.beside(function) if self._module else function

        def call(*arguments: Any, **keywords: Any) -> Any:
            names = parameters_of(self.function, len(arguments))
            return called_with(other, (), arguments, keywords, names)

        return self._arguments(call, self._arguments.fresh())

    def outputs_of(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The outputs at other inputs, which may be tracked or dual."""
        return self._chosen(_tensors(self._arguments(self.function, tensors)), self.outputs)

    @property
    def precision(self) -> torch.dtype:
        return torch.float64 if self._is_wide else self.dtype

    def real(self, entries: Tensor) -> Tensor:
        """The outputs' entries (m,) in float64 at inputs with these entries (n,), also in vmap.

        A function that writes into its inputs may write into the entries.

        Raises:
            ChangedOutputError: An output has another shape or dtype than at the point.
            Exception: What the function raises.
        """
        if not self._is_wide or self.dtype is torch.float64:
            return self._at(_parted(entries, self.inputs), self.outputs)
        return self._at(_parted(entries, self._wide_inputs), self._wide_outputs, wide=True)

    @cached_property
    def _wide_inputs(self) -> tuple[Leaf, ...]:
        return tuple(replace(leaf, dtype=widened(leaf.dtype)) for leaf in self.inputs)

    @cached_property
    def _wide_outputs(self) -> tuple[Leaf, ...]:
        return tuple(replace(leaf, dtype=widened(leaf.dtype)) for leaf in self.outputs)

    @cached_property
    def _is_wide(self) -> bool:
        """Whether the function does in float64 what it does in its own dtype."""
        if self.dtype == torch.float64:
            return True
        tensors = _parted(self.point.clone(), self._wide_inputs)
        try:
            value = self._at(tensors, self._wide_outputs, wide=True)
        except Exception:
            return False
        own = self.known_value
        size = float(own.abs().nan_to_num(0, 0, 0).max()) if len(own) else 0.0
        slack = UNITS * torch.finfo(self.dtype).eps * size
        return bool(torch.isclose(value, own, rtol=0.0, atol=slack, equal_nan=True).all())

    def _at(
        self, tensors: Sequence[Tensor], leaves: Sequence[Leaf], *, wide: bool = False
    ) -> Tensor:
        with torch.enable_grad():
            found = _tensors(self._evaluated(tensors, wide=wide))
        chosen = [output.detach() for output in self._chosen(found, leaves)]
        return _joined(chosen, leaves, self.device)

    def _evaluated(self, tensors: Sequence[Tensor], *, wide: bool) -> Any:
        """The result; a function that asks for a gradient itself is given inputs that have one."""
        if not self._asks_for_gradients:
            try:
                return self._arguments(self.function, tensors, wide=wide)
            except RuntimeError as error:
                if _NO_GRADIENT not in str(error):
                    raise
        tracked = [tensor.requires_grad_() for tensor in tensors]
        result = self._arguments(self.function, tracked, wide=wide)
        self._asks_for_gradients = True
        return result

    def _chosen(self, found: Sequence[Tensor], leaves: Sequence[Leaf]) -> list[Tensor]:
        """Those of the results that are outputs, dense, after a look at whether they are alike."""
        if len(found) != self._count:
            raise ChangedOutputError(
                f"{self._count} results at the point, {len(found)} at another evaluation"
            )
        chosen = [dense(found[position]) for position in self._kept]
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
            return tensors, [(name, dense(output)) for name, output in _named_tensors(result)]

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
    """Tensors with these entries (n,), which on the CPU they may be views of.

    A kernel on another device may rely on where memory begins.
    """
    parts = torch.split(entries, [leaf.count for leaf in leaves])
    copy = entries.device.type != "cpu"
    return [
        leaf.tensor(part, leaf.dtype, copy=copy) for leaf, part in zip(leaves, parts, strict=True)
    ]


def _joined(tensors: Sequence[Tensor], leaves: Sequence[Leaf], device: torch.device) -> Tensor:
    """Their entries (m,), in float64 on a device."""
    pairs = zip(leaves, tensors, strict=True)
    parts = [leaf.entries(tensor).to(device, torch.float64) for leaf, tensor in pairs]
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64, device=device)


def _named_tensors(result: Any) -> list[tuple[str, Tensor]]:
    if isinstance(result, Tensor):
        return [("out", result)] if is_differentiable(result) else []
    named = flattened(result, lambda path: "out" + path_text(path))
    return [(name, leaf) for name, leaf in named if is_differentiable(leaf)]


def _tensors(result: Any) -> list[Tensor]:
    leaves = [result] if isinstance(result, Tensor) else _pytree.tree_leaves(result)
    return [leaf for leaf in leaves if is_differentiable(leaf)]


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
