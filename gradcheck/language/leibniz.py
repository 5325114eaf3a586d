"""Leibniz notation: `dA/dB` is the derivative of the value A by the value B, and is one name."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LINK: Final = re.compile(r"\bd([A-Za-z_]\w*)/d([A-Za-z_]\w*)\b", re.ASCII)
_OVERLAPPING: Final = re.compile(rf"(?={_LINK.pattern})", re.ASCII)


class Link(NamedTuple):
    """The derivative of `output` by `input`."""

    output: str
    input: str

    def __str__(self) -> str:
        return f"d{self.output}/d{self.input}"


def parse_link(text: str) -> Link | None:
    """The link that `text` spells, or None."""
    match = _LINK.fullmatch(text)
    return Link(*match.groups()) if match else None


def find_links(text: str) -> list[tuple[int, Link]]:
    """Every place in a formula that reads like a link, with its offset; they may overlap."""
    return [(match.start(), Link(*match.groups())) for match in _OVERLAPPING.finditer(text)]
