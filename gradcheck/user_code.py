"""What is to be told of a user's own function: its name, where it stands, what it takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from gradcheck.frames import is_the_users, shown
from gradcheck.language.spelling import suggestion


def name_of(function: Callable[..., Any]) -> str:
    """How a reader calls the function."""
    plain = _plain(function)
    if isinstance(plain, nn.Module):
        return type(plain).__name__
    if hasattr(plain, "_opoverload"):
        return str(plain._opoverload._schema.name)
    name: str = getattr(plain, "__name__", type(plain).__name__)
    owner = getattr(plain, "__self__", None)
    return owner.__name__ if name == "apply" and isinstance(owner, type) else name


def place_of(function: Callable[..., Any]) -> tuple[str, int]:
    """The file, as seen from here, and the line of the function; "" and 0 where it has none."""
    code = getattr(_written(function), "__code__", None)
    if code is None or not is_the_users(code.co_filename):
        return "", 0
    return shown(code.co_filename), code.co_firstlineno


def parameters_of(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the first `count` positional arguments; `args[0]` where they have none."""
    schema = _schema(function)
    if schema is not None:
        return [argument.name for argument in schema.arguments][:count]
    written = _written(function)
    try:
        parameters = list(inspect.signature(written).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in _POSITIONAL][_takes_context(function) :]
    return [*named[:count], *(f"args[{i}]" for i in range(count - len(named)))]


class Parameters(NamedTuple):
    """What a function takes by name; `are_keywords` unless it is called with positions alone.

    Those that are `needed` have no default.
    """

    names: tuple[str, ...]
    takes_others: bool
    are_keywords: bool
    needed: tuple[str, ...]

    def problem(self, names: Iterable[str]) -> str:
        """Which of these names is no parameter; empty where all are."""
        unknown = next((name for name in names if name not in self.names), None)
        if unknown is None or self.takes_others:
            return ""
        near = suggestion(unknown, self.names) or f": it has {', '.join(self.names)}"
        return f"has no parameter `{unknown}`{near}"


def takes(function: Callable[..., Any]) -> Parameters | None:
    """The names of a function's parameters; None where nothing tells, or they have none."""
    schema = _schema(function)
    if schema is not None:
        needed = tuple(one.name for one in schema.arguments if not one.has_default_value())
        return Parameters(tuple(one.name for one in schema.arguments), False, True, needed)
    try:
        parameters = list(inspect.signature(_written(function)).parameters.values())
    except (TypeError, ValueError):
        return None
    kinds = {parameter.kind for parameter in parameters}
    listed = [p for p in parameters if p.kind in (*_POSITIONAL, _KEYWORD)]
    if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.POSITIONAL_ONLY in kinds:
        return None
    takes_others = inspect.Parameter.VAR_KEYWORD in kinds
    is_apply = _class_of(_plain(inspect.unwrap(function))) is not None
    own = listed[_takes_context(function) :]
    names = tuple(p.name for p in own)
    needed = tuple(p.name for p in own if p.default is inspect.Parameter.empty)
    return Parameters(names, takes_others, not is_apply, needed)


def called_with(
    function: Callable[..., Any],
    first: Sequence[Any],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
    names: Sequence[str],
) -> Any:
    """What a function gives for `first`, and those arguments for which it has parameters.

    `names` are those of the positional `arguments`. Where its parameters have other names, it is
    given all, as they are.
    """
    own = takes(function)
    named = {**dict(zip(names, arguments, strict=False)), **keywords}
    wanted = own.names[len(first) :] if own is not None else ()
    if own is None or not own.are_keywords or not set(wanted) <= named.keys():
        return function(*first, *arguments, **keywords)
    kept = named if own.takes_others else {name: named[name] for name in wanted}
    return function(*first, **kept)


def _schema(function: Any) -> Any:
    """That of a custom operator."""
    operator = getattr(function, "_opoverload", function)
    operator = getattr(operator, "default", operator)
    return getattr(operator, "_schema", None)


_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def _plain(function: Callable[..., Any]) -> Any:
    """What a partial application is made of."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _written(function: Callable[..., Any]) -> Any:
    """What the user wrote: the `forward` of a module or of an autograd.Function."""
    plain = _plain(inspect.unwrap(function))
    if isinstance(plain, nn.Module):
        return plain.forward
    owner = _class_of(plain)
    if owner is not None:
        return owner.forward
    return plain if hasattr(plain, "__code__") else plain.__call__


def _takes_context(function: Callable[..., Any]) -> bool:
    """Whether it is an autograd.Function whose `forward` is given `ctx` first."""
    owner = _class_of(_plain(inspect.unwrap(function)))
    return owner is not None and owner.setup_context is torch.autograd.Function.setup_context


def _class_of(function: Any) -> type[torch.autograd.Function] | None:
    """The autograd.Function whose `apply` it is."""
    owner = getattr(function, "__self__", None)
    is_one = isinstance(owner, type) and issubclass(owner, torch.autograd.Function)
    return owner if is_one else None
