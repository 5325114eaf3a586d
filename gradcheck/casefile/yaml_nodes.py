"""The nodes of a YAML file: plain data, and where in the file each of its characters stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

# What stands for one or more characters of a value, in each style that is written within a line.
# Blanks before a line break vanish, one break is a space, and each further one is a line feed.
_FOLDING: Final = r"[ \t]+(\n[ \t\n]*)?|(\n[ \t\n]*)"
_PIECES: Final = {
    "": re.compile(rf"{_FOLDING}|."),
    "'": re.compile(rf"{_FOLDING}|''|."),
    '"': re.compile(rf"{_FOLDING}|\\(\n[ \t\n]*)|\\(?:x..|u.{{4}}|U.{{8}}|.)|."),
}
_PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*|#.*|\s+)*")
_BLANK: Final = frozenset(" \t\n")


@dataclass(slots=True, eq=False)
class Leaf:
    """A scalar (or an alias): its value before it is interpreted, its style, and where it stands.

    The style is one of the signs that begin a scalar, or empty for an unquoted one.
    """

    value: str
    style: str
    start: int
    end: int


@dataclass(slots=True, eq=False)
class Branch:
    """A mapping or a sequence: its data, its keys and items, and where it stands."""

    data: Any
    start: int
    brackets: str  # {…} or […]; empty for a block
    end: int = 0  # after the closing bracket; of a block, that of its first character
    items: "dict[str | int, Node]" = field(default_factory=dict)
    keys: dict[str | int, Leaf] = field(default_factory=dict)
    key: str | None = None  # of the value that comes next; None if that is to be dropped
    at_key: bool = False


Node = Branch | Leaf


def node_start(text: str, start: int) -> int:
    """Where a node that has an anchor or a tag at `start` begins itself."""
    found = _PROPERTIES.match(text, start)
    return found.end() if found else start


def character_indexes(text: str, leaf: Leaf) -> list[int]:
    """Where each character of the leaf's value stands in `text`, and where the value ends."""
    if leaf.style == "|":
        return _literal_indexes(text, leaf.start, leaf.value)
    if leaf.style == ">":
        return _folded_indexes(text, leaf.start, leaf.value)
    quote = len(leaf.style)
    return _line_indexes(text, leaf.start + quote, leaf.end - quote, _PIECES[leaf.style])


def folded(text: str) -> str:
    """The value of an unquoted text that may go over several lines."""
    return _PIECES[""].sub(lambda piece: _fold(piece) or piece[0], text)


def _fold(piece: re.Match[str]) -> str:
    breaks = (piece[1] or piece[2] or "").count("\n")
    return "\n" * (breaks - 1) or " " * breaks


def _line_indexes(text: str, start: int, end: int, pieces: re.Pattern[str]) -> list[int]:
    indexes: list[int] = []
    for piece in pieces.finditer(text, start, end):
        indexes.extend(_piece_indexes(piece))
    return [*indexes, end]


def _piece_indexes(piece: re.Match[str]) -> range:
    start = piece.start()
    if piece[1] or piece[2]:
        return range(start, start + len(_fold(piece)))
    if piece.re.groups == 3 and piece[3]:  # an escaped line break is nothing, further ones count
        return range(start + 2, start + 1 + piece[3].count("\n"))
    blanks = piece[0].isspace()
    return range(start, start + (len(piece[0]) if blanks else 1))


def _literal_indexes(text: str, start: int, value: str) -> list[int]:
    # A line of the value is the end of a line of the file, whatever the indentation.
    indexes: list[int] = []
    line_start = _next_line(text, start)
    for line in re.findall(r"[^\n]*\n|[^\n]+", value):
        next_line = _next_line(text, line_start)
        end = next_line - (text[next_line - 1] == "\n") + line.endswith("\n")
        indexes.extend(range(end - len(line), end))
        line_start = next_line
    return [*indexes, indexes[-1] + 1 if indexes else line_start]


def _folded_indexes(text: str, start: int, value: str) -> list[int]:
    # Folding changes white space alone, so the other characters are met in the same order.
    after = _next_line(text, start)
    inked = (i for i in range(after, len(text)) if text[i] not in _BLANK)
    indexes: list[int] = []
    previous = after - 1
    for run in re.finditer(r"[ \t\n]+|[^ \t\n]+", value):
        if run[0][0] in _BLANK:
            indexes.extend(_blank_indexes(run[0], previous + 1, _next_inked(text, previous + 1)))
        else:
            indexes.extend(islice(inked, len(run[0])))
            previous = indexes[-1]
    return [*indexes, (indexes[-1] if indexes else previous) + 1]


def _blank_indexes(run: str, left: int, right: int) -> Iterator[int]:
    """Blanks before the last line break stand at the left of the gap, indentation at its right."""
    from_left = run.rfind("\n") + 1 or len(run)
    for i in range(len(run)):
        index = left + i if i < from_left else right - len(run) + i
        yield max(left, min(index, right - 1))


def _next_inked(text: str, start: int) -> int:
    found = re.compile(r"[^ \t\n]").search(text, start)
    return found.start() if found else len(text)


def _next_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1
