"""Leibniz notation: `dA/dB` is the derivative of the value A by the value B, and is one name.

`dA/dB | C` holds C at its value too. `d2A/dB dC`, or `d2A/dB2`, is a second derivative, whose last
axes may be multiplied by a vector: `d2A/dB dC @ v`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

_LINK: Final = re.compile(r"\bd([A-Za-z_]\w*)/d([A-Za-z_]\w*)\b", re.ASCII)
_OVERLAPPING: Final = re.compile(rf"(?={_LINK.pattern})", re.ASCII)
_HELD: Final = re.compile(rf"({_LINK.pattern})\s*\|\s*(\w+(?:\s*,\s*\w+)*)", re.ASCII)
_SECOND: Final = re.compile(
    r"d2([A-Za-z_]\w*)/d([A-Za-z_]\w*)(?:\s+d([A-Za-z_]\w*))?(?:\s*@\s*([A-Za-z_]\w*))?", re.ASCII
)


class Link(NamedTuple):
    """The derivative of `output` by `input`, where the values in `held` do not change."""

    output: str
    input: str
    held: tuple[str, ...] = ()

    def __str__(self) -> str:
        held = f" | {', '.join(self.held)}" if self.held else ""
        return f"d{self.output}/d{self.input}{held}"


class Second(NamedTuple):
    """The second derivative of `output` by `first` and `second`, multiplied by `vector` if any."""

    output: str
    first: str
    second: str
    vector: str = ""

    def __str__(self) -> str:
        product = f" @ {self.vector}" if self.vector else ""
        return f"d2{self.output}/d{self.first} d{self.second}{product}"


def parse_link(text: str) -> Link | None:
    """The link that `text` spells, or None."""
    match = _LINK.fullmatch(text)
    if match:
        return Link(match[1], match[2])
    match = _HELD.fullmatch(text)
    if match is None:
        return None
    _, output, input, held = match.groups()
    return Link(output, input, tuple(name.strip() for name in held.split(",")))


def parse_second(text: str, known: Collection[str] = ()) -> Second | None:
    """The second derivative that `text` spells, or None; `x2` is x twice unless it is `known`."""
    match = _SECOND.fullmatch(text)
    if match is None:
        return None
    output, first, second, vector = match.groups()
    if second is None:
        if first in known or not first.endswith("2"):
            return None
        first = second = first[:-1]
    return Second(output, first, second, vector or "") if first else None


def find_links(text: str) -> list[tuple[int, Link]]:
    """Every place in a formula that reads like a link, with its offset; they may overlap."""
    return [(match.start(), Link(match[1], match[2])) for match in _OVERLAPPING.finditer(text)]
