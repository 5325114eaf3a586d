"""What a case names in Python is imported: from modules that the user allows, and no others."""

from __future__ import annotations

import builtins
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, Final, NoReturn

from gradcheck.casefile.fields import is_dotted
from gradcheck.casefile.kernel import Import, Kernel
from gradcheck.errors import ForbiddenImportError, ImportFailedError, UsageError, UserImportError
from gradcheck.language.spelling import suggestion

OPTION: Final = "--allow-import"
_FUNCTIONS: Final = (
    *(FunctionType, BuiltinFunctionType, MethodType, MethodWrapperType),
    *(MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType),
)


@dataclass(frozen=True, slots=True)
class Imports:
    """Which modules of the user's may be imported, and where they are looked for first.

    A module that is `allowed` is so with all below it: `mykernels` allows `mykernels.norm`.
    """

    allowed: frozenset[str] = frozenset()
    folder: str = ""

    @classmethod
    def of(cls, modules: Iterable[str], folder: str) -> Imports:
        """Those that a user allows by name.

        Raises:
            UsageError: A name is none of a module.
        """
        for module in modules:
            if not is_dotted(module):
                raise UsageError(f"`{module}` names no module: write it as in mykernels.norm")
        return cls(frozenset(modules), folder)

    def load(self, what: Import) -> Any:
        """What a case names: something that can be called.

        Raises:
            ForbiddenImportError: Its module is not allowed, or it is a function or a class that its
                module only imports, from one that is not allowed.
            ImportFailedError: There is no such module, or name in it, or importing it failed.
        """
        self._check(what.module)
        found: Any = self._module(what.module)
        for depth, name in enumerate(what.name.split(".")):
            owner = ".".join([what.module, *what.name.split(".")[:depth]])
            found = _attribute(found, name, owner)
            if isinstance(found, ModuleType):
                self._check(found.__name__)
        if not callable(found):
            raise ImportFailedError(
                f"`{what}` is no function: it is of type {type(found).__name__}"
            )
        home = _home(found)
        if home is not None and not self._allows(home):
            raise ForbiddenImportError(
                f"`{what}` is of `{home}`, which may not be imported: {_permission(home)}"
            )
        return found

    def problems(self, kernel: Kernel) -> dict[str, int]:
        """Why something that a case names is not to be had, each with its line in the case file."""
        told: dict[str, int] = {}
        for one in kernel.imports:
            try:
                self.load(one)
            except UserImportError as error:
                told.setdefault(str(error), one.line)
        return told

    def needed(self, kernel: Kernel) -> tuple[str, ...]:
        """Those of the allowed modules that allow what a case names."""
        modules = [module for one in kernel.imports for module in _modules_of(one)]
        return tuple(
            sorted(own for own in self.allowed if any(_is_in(module, own) for module in modules))
        )

    def _check(self, module: str) -> None:
        if not self._allows(module):
            raise ForbiddenImportError(f"`{module}` may not be imported: {_permission(module)}")

    def _allows(self, module: str) -> bool:
        return any(_is_in(module, own) for own in self.allowed)

    def _module(self, name: str) -> ModuleType:
        if self.folder and self.folder not in sys.path:
            sys.path.insert(0, self.folder)
        importlib.invalidate_caches()
        try:
            builtins.__import__(name)
            return sys.modules[name]
        except (Exception, SystemExit) as error:
            if isinstance(error, ModuleNotFoundError) and _is_in(name, error.name or " "):
                self._report_missing(error.name or name)
            _report_raised(name, error)

    def _report_missing(self, name: str) -> NoReturn:
        package, dot, _ = name.rpartition(".")
        path = getattr(sys.modules.get(package), "__path__", ()) if dot else (self.folder,)
        near = suggestion(name, [package + dot + one.name for one in pkgutil.iter_modules(path)])
        where = f" in {self.folder}, nor elsewhere that Python looks" if self.folder else ""
        raise ImportFailedError(f"there is no module `{name}`{near or where}") from None


def _is_in(module: str, other: str) -> bool:
    """Whether a module is the other one, or stands below it."""
    return module == other or module.startswith(f"{other}.")


def _permission(module: str) -> str:
    return (
        f"allow it with {OPTION} {module} "
        "(in pytest --gradcheck-allow-import, or gradcheck_allow_import in the ini file)"
    )


def _home(found: Any) -> str | None:
    """The module that a function, a method or a class is written in; None of other objects.

    A method that is bound, as an autograd.Function's `apply`, is of the class that it is bound to.
    """
    if not isinstance(found, (type, *_FUNCTIONS)):
        return None
    module = None if isinstance(found, MethodType) else getattr(found, "__module__", None)
    if isinstance(module, str):
        return module
    owner = getattr(found, "__self__", getattr(found, "__objclass__", None))
    return None if owner is None else _home(owner) or type(owner).__module__


def _modules_of(one: Import) -> Iterator[str]:
    """The module in which something is named, and that in which it is written, where known."""
    yield one.module
    found: Any = sys.modules.get(one.module)
    with suppress(Exception):
        for name in one.name.split("."):
            found = getattr(found, name)
        if home := _home(found):
            yield home


def _attribute(owner: Any, name: str, shown: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        near = suggestion(name, [one for one in dir(owner) if not one.startswith("_")])
        raise ImportFailedError(f"`{shown}` has no `{name}`{near}") from None
    except Exception as error:
        _report_raised(f"{shown}.{name}", error)


def _report_raised(name: str, error: BaseException) -> NoReturn:
    from gradcheck.frames import account_of

    raise ImportFailedError(f"`{name}` cannot be imported: {account_of(error)}") from error
