"""A module as a function of its arguments, its parameters and its buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck.user_code import called_with, parameters_of


class FunctionalModule:
    """A module that is given its parameters and buffers with each call, as further keywords.

    `tensors` are those that it has, by their names, parameters first; the module's own are not
    touched, so that running means stay what they are.
    """

    def __init__(self, module: nn.Module) -> None:
        self.__wrapped__ = module
        self.__name__ = type(module).__name__
        self.tensors: dict[str, Tensor] = {
            **dict(module.named_parameters()),
            **dict(module.named_buffers()),
        }

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        own = {name: keywords.pop(name) for name in self.tensors}
        return torch.func.functional_call(self.__wrapped__, own, arguments, keywords)

    def beside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Another function of the module's arguments, to be called as this is."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            others = {name: one for name, one in keywords.items() if name not in self.tensors}
            names = parameters_of(self, len(arguments))
            return called_with(function, (), arguments, others, names)

        return call
