"""A case's function in Python, and what it must equal, as functions of a script."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property

import torch
from torch import nn

from gradcheck.casefile.kernel import Kernel
from gradcheck.casefile.names import spelled
from gradcheck.errors import GradcheckError, UsageError
from gradcheck.imports import Imports
from gradcheck.kernels import planned
from gradcheck.leaves import Leaf
from gradcheck.place import Place
from gradcheck.python_function import PythonFunction
from gradcheck.script.layout import function, literal
from gradcheck.script.page import Page
from gradcheck.script.python import Imported, split, whole_call, written
from gradcheck.user_code import takes

Moved = Mapping[str, str]
"""Inputs that have another value, with that, as it is written."""


class Subject:
    """The function at a place, written on a page: of the inputs and constants of the case.

    `at` is None where the function raises. `is_double` says whether it does in float64 what it does
    in its own dtype.

    Raises:
        UsageError: It is a module that raises.
    """

    def __init__(self, page: Page, kernel: Kernel, imports: Imports) -> None:
        self.page = page
        self.kernel = kernel
        self.imported = Imported(imports, page)
        self.at = _planned(page.place, imports)
        self.is_double = self.at is not None and self.at.precision is torch.float64
        wrapped = None if self.at is None else inspect.unwrap(self.at.function)
        self._module = wrapped if isinstance(wrapped, nn.Module) else None
        values, names = page.values, page.place.case.function.given
        self._every = {name: values.name(name) for name in names}
        self._own = self._owned()
        self._given = {name: one for name, one in self._every.items() if name not in self._own}
        arguments = {name: literal(value) for name, value in kernel.arguments.items()}
        self.texts = self._given | arguments
        """The arguments by name."""
        self._references: dict[str, str] = {}
        self._parameters: dict[str, str] = {}
        self._name = page.names.fresh("function")
        self._module_name = page.names.fresh("module") if self._module is not None else ""
        self._define()

    def call(self, moved: Moved | None = None, path: str = "") -> str:
        """The call of the function, where some inputs may have another value."""
        others = dict(moved or {})
        texts = [others.pop(name, text) for name, text in self._given.items()]
        own = ", ".join(f'"{self._own.get(name, name)}": {text}' for name, text in others.items())
        return written(self._name, [*texts, *([f"**{{{own}}}"] if own else [])], {}) + path

    def input(self, leaf: Leaf) -> tuple[str, str, str]:
        """An input's name for `call`, its variable, and its value."""
        name = leaf.name if leaf.name in self._every else spelled(leaf.name)
        if name in self._every:
            return name, self._every[name], self._every[name]
        if name not in self._parameters:
            variable = self._parameters[name] = self.page.names.fresh(name)
            self.page.add(f'{variable} = {self._module_name}.get_parameter("{leaf.name}")')
            self.page.widening.append(f"{variable} = {variable}.double()")
        return leaf.name, self._parameters[name], self._parameters[name]

    def function(self, variable: str, call: str) -> str:
        """The function of one variable that gives the value of a call."""
        return self._name if call == f"{self._name}({variable})" else f"lambda {variable}: {call}"

    def _define(self) -> None:
        what = self.kernel.function
        text, found = self.imported.text(what), self.imported.load(what)
        if self.at is None and isinstance(found, (type, nn.Module)):
            raise UsageError(f"`{what}` raises: there is nothing that a script could show")
        lines = ["torch.manual_seed(0)"] if self.kernel.is_seeded else []
        parameters = list(self._given.values())
        if self._module is None:
            lines.append(f"return {whole_call(text, found, self.texts)}")
        else:
            self.page.add("\n".join(self._made(text, is_class=isinstance(found, type))))
            self.page.widening.append(f"{self._module_name}.double()")
            positional, by_name = split(self._module, self.texts)
            arguments = f"({', '.join(positional)}{',' * (len(positional) == 1)})"
            keywords = ", ".join(f'"{name}": {one}' for name, one in by_name.items())
            given = [self._module_name, "parameters", arguments, f"{{{keywords}}}"]
            call = written("torch.func.functional_call", given[: 4 if by_name else 3], {})
            lines.append(f"return {call}")
            parameters.append("**parameters")
        self.page.add(function(f"{self._name}({', '.join(parameters)})", lines))

    def _made(self, text: str, *, is_class: bool) -> Iterator[str]:
        """Makes the module, with the values of the case in it."""
        place, module = self.page.place, self._module_name
        device = f'"{place.device}", ' if place.device.type != "cpu" else ""
        if is_class:
            yield f"torch.manual_seed({zlib.crc32(place.case.name.encode())})"
            text = written(text, (), {name: literal(one) for name, one in self.kernel.init.items()})
        yield f"{module} = {text}.to({device}torch.{place.dtype}).requires_grad_(False)"
        assert self._module is not None
        parameters = dict(self._module.named_parameters())
        for name, own in self._own.items():
            kind = "parameter" if own in parameters else "buffer"
            yield f'{module}.get_{kind}("{own}").data = {self._every[name]}'

    def _owned(self) -> dict[str, str]:
        """The inputs and constants that are a module's own, with what it calls them."""
        if self._module is None:
            return {}
        own = [*dict(self._module.named_parameters()), *dict(self._module.named_buffers())]
        return {spelled(name): name for name in own if spelled(name) in self._every}

    @cached_property
    def has_reference(self) -> bool:
        """Whether there is something that the outputs must equal, other than a module."""
        case, at, what = self.page.place.case, self.at, self.kernel.reference
        if at is None or what is None:
            return (
                self.kernel.has_reference
                and at is not None
                and len(case.outputs) == len(at.outputs)
            )
        return not isinstance(self.imported.load(what), (type, nn.Module))

    def reference(self, leaf: Leaf, moved: Moved | None = None) -> str:
        """The call of what an output must equal; nothing where there is no such thing."""
        if not self.has_reference:
            return ""
        what, given = self.kernel.reference, {**self._every, **self.texts}
        if what is None:
            texts = list((self._every | dict(moved or {})).values())
            return written(self._defined_reference(leaf), texts, {})
        own = takes(self.imported.load(self.kernel.function))
        ordered = [name for name in (own.names if own else ()) if name in given]
        every = {name: given[name] for name in dict.fromkeys([*ordered, *given])}
        found = self.imported.load(what)
        return whole_call(self.imported.text(what), found, every | dict(moved or {})) + path(leaf)

    def _defined_reference(self, leaf: Leaf) -> str:
        """The name of a function for the formula of an output."""
        if leaf.name not in self._references:
            assert self.at is not None
            name = self._references[leaf.name] = self.page.names.fresh("reference")
            function, outputs = self.page.place.case.function, self.page.place.case.outputs
            output = outputs[[one.name for one in self.at.outputs].index(leaf.name)]
            steps = function.steps
            self.page.add(self.page.steps.function(name, self._every, steps, output))
        return self._references[leaf.name]


def path(leaf: Leaf) -> str:
    """Where an output stands in what the function gives: `[0]` for out[0]."""
    return leaf.name.removeprefix("out")


def _planned(place: Place, imports: Imports) -> PythonFunction | None:
    """The function at a place; None where it raises."""
    try:
        return planned(place, imports)[0]
    except GradcheckError:
        raise
    except Exception:
        return None
