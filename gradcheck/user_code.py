"""What is to be told of a user's own code: its name, where it stands, and where it raised."""

from __future__ import annotations

import functools
import inspect
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

_OURS: Final = str(Path(__file__).parent) + os.sep
_TORCHS: Final = str(Path(torch.__file__).parent) + os.sep


def name_of(function: Callable[..., Any]) -> str:
    """How a reader calls the function."""
    plain = _plain(function)
    if isinstance(plain, nn.Module):
        return type(plain).__name__
    name: str = getattr(plain, "__name__", type(plain).__name__)
    owner = getattr(plain, "__self__", None)
    return owner.__name__ if name == "apply" and isinstance(owner, type) else name


def place_of(function: Callable[..., Any]) -> tuple[str, int]:
    """The file, as seen from here, and the line of the function; "" and 0 where it has none."""
    code = getattr(_written(function), "__code__", None)
    if code is None or code.co_filename.startswith(("<", _TORCHS)):
        return "", 0
    return _shown(code.co_filename), code.co_firstlineno


def parameters_of(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the first `count` positional arguments; `args[0]` where they have none."""
    written = _written(function)
    try:
        parameters = list(inspect.signature(written).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in _POSITIONAL][_takes_context(function) :]
    return [*named[:count], *(f"args[{i}]" for i in range(count - len(named)))]


_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def account_of(error: BaseException) -> str:
    """An exception in words, and the lines of the user's own code that led to it, last first."""
    lines = str(error).strip().splitlines() or [""]
    what = f"{type(error).__name__}: {lines[0]}".removesuffix(": ")
    frames = [
        f"{_shown(frame.filename)}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, _TORCHS, "<"))
    ]
    return ", from ".join([what, *reversed(frames[-_MOST:])])


_MOST: Final = 3
"""Frames that are shown."""


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


def _shown(filename: str) -> str:
    return filename.removeprefix(os.getcwd() + os.sep)
