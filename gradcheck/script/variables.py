"""The values of a case at a point, as variables of a script."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gradcheck.functions import Environment
from gradcheck.script.names import Names
from gradcheck.script.terms import Term, named

LocalScope = ChainMap[str, Term]
"""What names stand for, some of them in one place only."""


@dataclass(slots=True, eq=False)
class Values(Mapping[str, Term]):
    """What names of the case stand for.

    `read` are those that were asked for, `moved` those that functions asked for: what is
    differentiated. `spelled` says how some are called, where it is not by their own name, and
    `same` which have another name too.
    """

    environment: Environment
    names: Names
    spelled: Mapping[str, str]
    same: Mapping[str, str]
    read: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    is_moving: bool = False
    _known: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Term:
        name = self.same.get(name, name)
        if name not in self.environment:
            raise KeyError(name)
        self.read.add(name)
        if self.is_moving:
            self.moved.add(name)
        return self.variable(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.environment)

    def __len__(self) -> int:
        return len(self.environment)

    def name(self, value: str) -> str:
        """What the variable of a value is called."""
        if value not in self._known:
            self._known[value] = self.names.fresh(self.spelled.get(value, value))
        return self._known[value]

    def variable(self, value: str) -> Term:
        """The variable of a value, where it is no matter that it is read."""
        return named(self.name(value), self.environment[value])

    def inner(self, aliases: Mapping[str, str] | None = None) -> LocalScope:
        """A scope for more names than these; `aliases` are other names of some."""
        return ChainMap({}, _Aliased(self, aliases or {}))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class _Aliased(Mapping[str, Term]):
    known: Values
    aliases: Mapping[str, str]

    def __getitem__(self, name: str) -> Term:
        return self.known[self.aliases.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self.known), **self.aliases})

    def __len__(self) -> int:
        return len({*self.known, *self.aliases})
