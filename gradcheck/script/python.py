"""What a case names in Python, as a script imports and calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gradcheck.callables import called
from gradcheck.casefile.kernel import Import
from gradcheck.imports import Imports
from gradcheck.script.page import Page
from gradcheck.user_code import takes

Texts = Mapping[str, str]
"""Arguments by name, as they are written."""


class Imported:
    """What is imported, each thing once."""

    def __init__(self, imports: Imports, page: Page) -> None:
        self.imports = imports
        self.page = page
        self._roots: dict[str, dict[str, str]] = {}

    def load(self, what: Import) -> Any:
        """What is called; of a module's class, that."""
        return called(self.imports.load(what))

    def text(self, what: Import) -> str:
        """How it is called in the script, which then imports it."""
        root, *rest = what.name.split(".")
        roots = self._roots.setdefault(what.module, {})
        if root not in roots:
            roots[root] = self.page.names.fresh(root)
            self.page.imports = [
                f"from {module} import {', '.join(_renamed(*pair) for pair in names.items())}"
                for module, names in self._roots.items()
            ]
        found = self.imports.load(what)
        if isinstance(found, type) and issubclass(found, torch.autograd.Function):
            rest.append("apply")
        return ".".join([roots[root], *rest])


def _renamed(root: str, name: str) -> str:
    return root if root == name else f"{root} as {name}"


def whole_call(text: str, found: Any, given: Texts) -> str:
    """The call of something with all of these arguments: by name where they stand otherwise."""
    positional, by_name = split(found, given)
    return written(text, positional, by_name)


def split(found: Any, given: Texts) -> tuple[list[str], dict[str, str]]:
    """The arguments that are given by position, and those by name."""
    own = takes(found)
    if own is None or own.problem(given):
        return list(given.values()), {}
    ordered = [name for name in own.names if name in given]
    is_leading = ordered == list(own.names[: len(given)])
    if is_leading or not own.are_keywords:
        return [given[name] for name in ordered], {}
    return [], dict(given)


def partial_call(text: str, found: Any, first: Sequence[str], given: Texts) -> str:
    """The call with those of the arguments that it has parameters for, after some that come first.

    As `user_code.called_with` does it.
    """
    own = takes(found)
    wanted = own.names[len(first) :] if own is not None else ()
    if own is None or not own.are_keywords or not set(wanted) <= given.keys():
        return written(text, [*first, *given.values()], {})
    others = {name: value for name, value in given.items() if name not in wanted}
    by_name = others if own.takes_others else {}
    return written(text, [*first, *(given[name] for name in wanted)], by_name)


def written(text: str, positional: Sequence[str], by_name: Texts) -> str:
    """text(positional, name=by_name)."""
    return f"{text}({', '.join([*positional, *(f'{n}={v}' for n, v in by_name.items())])})"
