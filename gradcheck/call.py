"""A call of a Python function: its arguments, some tensors of which can be replaced."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import NoneType
from typing import Any, Final

from torch import Tensor
from torch.utils import _pytree

from gradcheck.errors import UsageError
from gradcheck.leaves import flattened, is_differentiable, path_text, widened
from gradcheck.user_code import parameters_of

_PLAIN: Final = (Tensor, bool, int, float, complex, str, NoneType)
"""Arguments that nothing is nested in."""


class Call:
    """Nested arguments of a function, with the tensors among them that are differentiated by.

    Those are the ones that require grad, or, where none does, all with floating-point or complex
    numbers: `given`, called `names`. All else is constant.

    `tensors` are further arguments, by name: those of them that require grad are differentiated by
    too. `names` are those of the positional arguments, where the function's own do not serve.

    Some inputs a function may read from around it, beside its arguments. Those that are `captured`
    (positions in `given`) are moved there.

    Raises:
        UsageError: There is nothing to differentiate by, or something without values.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Any,
        tensors: Mapping[str, Tensor] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        positional, keywords = _arguments(inputs)
        own = tensors or {}
        self._given = tuple(positional), {**keywords, **own}
        self._is_flat = not self._given[1] and all(isinstance(one, _PLAIN) for one in positional)
        names = parameters_of(function, len(positional)) if names is None else names
        if self._is_flat:
            named = list(zip(names, positional, strict=True))
        else:
            named = flattened(self._given, _namer(names))
        self._names = [name for name, _ in named]
        self._values = [value for _, value in named]
        others = len(named) - len(own)
        self._positions = _differentiated(self._values[:others])
        self._positions += [i for i in range(others, len(named)) if _requires(self._values[i])]
        self._replaced = frozenset(self._positions)
        if not self._positions:
            raise UsageError(
                "no input is a tensor of floating-point or complex numbers: there is nothing to "
                "differentiate by"
            )
        self.names = [self._names[position] for position in self._positions]
        self.are_own = [position >= others for position in self._positions]
        """Which of them are among `tensors`."""
        self.given: list[Tensor] = [self._values[position] for position in self._positions]
        for name, tensor in zip(self.names, self.given, strict=True):
            if tensor.is_meta:
                raise UsageError(f"`{name}` is on the meta device: it has no values")
        self.captured: frozenset[int] = frozenset()

    @cached_property
    def _tree(self) -> _pytree.TreeSpec:
        return _pytree.tree_structure(self._given)

    @property
    def requires_grad(self) -> bool:
        """Whether the caller asked for a gradient of any input."""
        return any(tensor.requires_grad for tensor in self.given)

    def widened(self) -> Call:
        """The same with every tensor of floating-point or complex numbers in double precision."""
        wide = copy.copy(self)
        wide._values = [_constant(value, wide=True) for value in self._values]
        wide.given = [
            wide._values[position].requires_grad_(given.requires_grad)
            for position, given in zip(self._positions, self.given, strict=True)
        ]
        return wide

    @property
    def named(self) -> dict[str, Any]:
        """All arguments by name, those that are nested flat."""
        return dict(zip(self._names, self._values, strict=True))

    def fresh(self) -> list[Tensor]:
        """What is differentiated by, as new tensors that are not tracked."""
        return [_fresh(tensor) for tensor in self.given]

    def tracked(self) -> list[Tensor]:
        """What is differentiated by, as tensors that are tracked: new ones, unless captured."""
        return [
            tensor if i in self.captured else _fresh(tensor).requires_grad_()
            for i, tensor in enumerate(self.given)
        ]

    def __call__(
        self,
        function: Callable[..., Any],
        tensors: Sequence[Tensor],
        *,
        wide: bool = False,
        others: Mapping[str, Any] | None = None,
    ) -> Any:
        """What a function gives with these tensors in place of those that were given.

        Constants are new ones too, in float64 if they are to be `wide`: a function may write into
        all that it is given. `others` take the place of some of them.
        """
        values = [
            value if i in self._replaced else _constant(value, wide)
            for i, value in enumerate(self._values)
        ]
        for name, value in (others or {}).items():
            values[self._names.index(name)] = value
        held = []
        for i, (position, tensor) in enumerate(zip(self._positions, tensors, strict=True)):
            values[position] = tensor
            if i in self.captured and tensor is not self.given[i]:
                values[position] = self.given[i]
                held.append((self.given[i], tensor))
        try:
            if self._is_flat and not held:
                return function(*values)
            arguments, keywords = _pytree.tree_unflatten(values, self._tree)
            with _holding(held):
                return function(*arguments, **keywords)
        except SystemExit as error:
            raise RuntimeError(f"it ends the program: exit({error.code!r})") from error


@contextmanager
def _holding(pairs: Sequence[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Inside, the first of each pair has the data of the second."""
    found = [tensor.data for tensor, _ in pairs]
    try:
        for tensor, other in pairs:
            tensor.data = other
        yield
    finally:
        for (tensor, _), data in zip(pairs, found, strict=True):
            tensor.data = data


def _arguments(inputs: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """Positional and keyword arguments."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, (tuple, list)) else (inputs,)), {}


def _namer(names: Sequence[str]) -> Callable[[tuple[Any, ...]], str]:
    def name(path: tuple[Any, ...]) -> str:
        which, key, *rest = path
        is_positional = which.idx == 0
        return (names[key.idx] if is_positional else str(key.key)) + path_text(tuple(rest))

    return name


def _differentiated(given: Sequence[Any]) -> list[int]:
    found = [i for i, value in enumerate(given) if is_differentiable(value)]
    return [i for i in found if _requires(given[i])] or found


def _requires(value: Any) -> bool:
    return is_differentiable(value) and bool(value.requires_grad)


def _fresh(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _constant(value: Any, wide: bool) -> Any:
    if not isinstance(value, Tensor):
        return value
    fresh = _fresh(value)
    return fresh.to(widened(fresh.dtype)) if wide and is_differentiable(fresh) else fresh
