"""A function in Python as a case names it, with what was written in Python of its derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradcheck.language.expression import Expression


@dataclass(frozen=True, slots=True)
class Import:
    """Something in a Python module, written `module:name`; `name` may be dotted."""

    module: str
    name: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


Derivative = Import | Expression
"""How one derivative of a Python function may be written by hand."""


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A function in Python: what is looked at, and what it must equal.

    `init` are the arguments of a module's class, `arguments` further ones of the function, by name.
    `backward` and `jvp` are passes written by hand. `derivatives` are derivatives written by hand,
    by the name of an input or as `dout/dx`, each in one or several ways. Where `has_reference`, the
    case's function is a formula that it must equal; `reference` is one in Python. `conditions` are
    those that are looked at. With `is_seeded` each call starts from the same random state, and
    `forward_mode` says whether torch's forward mode is looked at; None is where the function has a
    jvp of its own.
    """

    function: Import
    init: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    backward: Import | None = None
    jvp: Import | None = None
    derivatives: Mapping[str, tuple[Derivative, ...]] = field(default_factory=dict)
    has_reference: bool = False
    reference: Import | None = None
    conditions: tuple[str, ...] = ()
    is_seeded: bool = False
    forward_mode: bool | None = None

    @property
    def imports(self) -> Iterator[Import]:
        """All in Python that it names."""
        yield self.function
        yield from (one for one in (self.backward, self.jvp, self.reference) if one is not None)
        for listed in self.derivatives.values():
            yield from (one for one in listed if isinstance(one, Import))
