"""What is called where a function is checked: an autograd.Function's `apply`, a seeded function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from gradcheck.user_code import name_of

_SEED: Final = 0


def called(function: Any) -> Callable[..., Any]:
    """The function itself; of an autograd.Function, what its users call."""
    if isinstance(function, type) and issubclass(function, torch.autograd.Function):
        apply: Callable[..., Any] = function.apply
        return apply
    result: Callable[..., Any] = function
    return result


def has_jvp(function: Any) -> bool:
    """Whether it is an autograd.Function with a forward mode of its own."""
    owner = getattr(function, "__self__", None)
    if not (isinstance(owner, type) and issubclass(owner, torch.autograd.Function)):
        return False
    return owner.jvp is not torch.autograd.Function.jvp


class Seeded:
    """A function, each call of which starts from one random state; torch's own stays as it is."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__name__ = name_of(function)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        devices = range(torch.cuda.device_count())
        with torch.random.fork_rng(devices):
            torch.manual_seed(_SEED)
            return self.__wrapped__(*arguments, **keywords)
