"""What somebody wrote by hand of a Python function: derivatives, and whole passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils import _pytree

from gradcheck.errors import ShapeError, UsageError
from gradcheck.leaves import is_differentiable
from gradcheck.python_function import PythonFunction
from gradcheck.user_code import called_with, name_of, parameters_of


@dataclass(frozen=True, slots=True, eq=False)
class Derivative:
    """A derivative: a value, or a function of the same arguments; `text` is how it was written."""

    value: Any
    text: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A backward or a jvp: the function with it in the place of torch's."""

    function: PythonFunction
    text: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """All of it; `derivatives` by quantity, as `dout/dx`, each in one or several ways."""

    derivatives: Mapping[str, Sequence[Derivative]] = field(default_factory=dict)
    backward: Pass | None = None
    jvp: Pass | None = None


class WithPasses:
    """A function with a backward and a jvp written by hand in the place of torch's.

    `backward(*cotangents, *arguments)` is given a cotangent for each output and gives a gradient
    for each of the inputs that are differentiated by, or for each argument, in their order, or a
    mapping by name. `jvp(*tangents, *arguments)` is given a tangent for each of those inputs and
    gives one for each output. None counts as 0. Arguments for which a pass has no parameter are
    left out, where all of its parameters are called as arguments are.

    Calling it raises:
        ShapeError: A pass gives another shape than it should, or another number of results.
    """

    def __init__(
        self,
        at: PythonFunction,
        backward: Callable[..., Any] | None = None,
        jvp: Callable[..., Any] | None = None,
    ) -> None:
        self.__wrapped__ = self.function = at.function
        self.__name__ = name_of(at.function)
        self.names = [leaf.name for leaf in at.inputs]
        self.arguments = list(at.named)
        self.backward = backward
        self.jvp = jvp

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        leaves, tree = _pytree.tree_flatten((arguments, keywords))
        call = _Call(self, leaves, tree)
        tensors = [leaves[position] for position in call.positions]
        found = _Attached.apply(call, *tensors)  # type: ignore[no-untyped-call]
        return call.result(found)

    def gradients(self, found: Any) -> list[Any]:
        """What a backward gave, input by input."""
        if isinstance(found, Mapping):
            return self._by_name(found)
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(listed) == len(self.names):
            return listed
        if len(listed) == len(self.arguments):
            places = [self.arguments.index(name) for name in self.names]
            return [listed[place] for place in places]
        raise ShapeError(
            f"{len(listed)} gradients, but there are {len(self.names)} inputs: "
            f"{', '.join(self.names)}"
        )

    def _by_name(self, found: Mapping[str, Any]) -> list[Any]:
        unknown = next((name for name in found if name not in self.arguments), None)
        if unknown is not None:
            raise ShapeError(
                f"a gradient by `{unknown}`, but the inputs are {', '.join(self.names)}"
            )
        return [found.get(name) for name in self.names]


class _Call:
    """One call: its arguments, with holes where tensors are, and where its results' tensors are."""

    def __init__(self, passes: WithPasses, leaves: Sequence[Any], tree: Any) -> None:
        self.passes = passes
        self.tree = tree
        self.positions = [passes.arguments.index(name) for name in passes.names]
        kept = set(self.positions)
        self.leaves = [None if i in kept else leaf for i, leaf in enumerate(leaves)]
        self.plain: list[Any] = []
        self.output_tree: Any = None

    def arguments(self, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        leaves = list(self.leaves)
        for position, tensor in zip(self.positions, tensors, strict=True):
            leaves[position] = tensor
        arguments, keywords = _pytree.tree_unflatten(leaves, self.tree)
        return arguments, keywords

    def given(
        self, function: Callable[..., Any], first: Sequence[Tensor], tensors: Sequence[Tensor]
    ) -> Any:
        """What a pass gives for its tangents or cotangents, and the arguments that it takes."""
        arguments, keywords = self.arguments(tensors)
        names = parameters_of(self.passes.function, len(arguments))
        return called_with(function, first, arguments, keywords, names)

    def keep(self, result: Any) -> tuple[Tensor, ...]:
        """The tensors of a result that are differentiable."""
        self.plain, self.output_tree = _pytree.tree_flatten(result)
        return tuple(leaf for leaf in self.plain if is_differentiable(leaf))

    def result(self, tensors: Tensor | tuple[Tensor, ...]) -> Any:
        found = iter(tensors if isinstance(tensors, tuple) else (tensors,))
        leaves = [next(found) if is_differentiable(leaf) else leaf for leaf in self.plain]
        return _pytree.tree_unflatten(leaves, self.output_tree)


class _Attached(torch.autograd.Function):
    """The function, whose passes are those that were written."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> Any:
        ctx.call = call
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        arguments, keywords = call.arguments(tensors)
        outputs = call.keep(call.passes.function(*arguments, **keywords))
        ctx.like = [(output.shape, output.dtype) for output in outputs]
        # An input that is an output too is another tensor to autograd.
        given = {id(tensor) for tensor in tensors}
        return tuple(one.view_as(one) if id(one) in given else one for one in outputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        call, tensors = ctx.call, ctx.saved_tensors
        if call.passes.backward is None:
            raise UsageError("there is no backward")
        found = call.passes.gradients(call.given(call.passes.backward, cotangents, tensors))
        names = call.passes.names
        shaped = [
            _shaped(one, tensor.shape, f"the gradient by `{name}`", f"`{name}`")
            for one, tensor, name in zip(found, tensors, names, strict=True)
        ]
        return None, *shaped

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        call, tensors = ctx.call, ctx.saved_tensors
        if call.passes.jvp is None:
            raise UsageError("there is no jvp")
        given = [
            torch.zeros_like(tensor) if tangent is None else tangent
            for tensor, tangent in zip(tensors, tangents[1:], strict=True)
        ]
        found = call.given(call.passes.jvp, given, tensors)
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(listed) != len(ctx.like):
            raise ShapeError(f"{len(listed)} tangents, but there are {len(ctx.like)} outputs")
        return tuple(
            torch.zeros(shape, dtype=dtype, device=tensors[0].device)
            if one is None
            else _shaped(one, shape, "the tangent of an output", "the output").to(dtype)
            for one, (shape, dtype) in zip(listed, ctx.like, strict=True)
        )


_MISSING: Final = ": is a sum missing?"


def _shaped(found: Any, shape: torch.Size, what: str, whose: str) -> Any:
    """Raises ShapeError where what was found has not that shape."""
    if found is None:
        return None
    if not isinstance(found, Tensor):
        raise ShapeError(f"no tensor as {what}, but {type(found).__name__}")
    if found.shape != shape:
        is_longer = found.ndim > len(shape) or found.numel() > shape.numel()
        hint = _MISSING if is_longer else ""
        raise ShapeError(
            f"shape {list(found.shape)} as {what}, but {whose} has {list(shape)}{hint}"
        )
    return found
