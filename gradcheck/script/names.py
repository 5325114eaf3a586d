"""Names in a script: each is given once, and hides nothing that the script itself needs."""

from __future__ import annotations

import keyword
import re
from itertools import chain, count
from typing import Final

RESERVED: Final = frozenset(
    (
        *(
            "torch",
            "jacobian",
            "differences",
            "show",
            "detach",
            "kept",
            "moving",
            "cholesky",
            "gradients",
        ),
        *("abs", "float", "int", "len", "max", "print", "range", "reversed"),
    )
)
"""What scripts call by these names, whoever else would like them."""


class Names:
    """Names that are taken; each one that is `fresh` is taken from then on."""

    def __init__(self) -> None:
        self._taken = set(RESERVED)

    def fresh(self, *wanted: str) -> str:
        """The first of these that is free, as Python can spell it; else the first, numbered."""
        spelled = [plain(name) for name in wanted]
        for name in chain(spelled, (f"{spelled[0]}_{number}" for number in count(2))):
            if name not in self._taken and not keyword.iskeyword(name):
                break
        self._taken.add(name)
        return name


def plain(name: str) -> str:
    """A name that Python can have, without the marks that no user's name has."""
    plain = re.sub(r"\W+", "_", re.sub(r"^\W+|\W+$", "", name))
    return plain if plain.isidentifier() else f"value_{plain}"
