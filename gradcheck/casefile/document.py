"""A case file's text as plain data that knows where in the file each value stands."""

import pathlib
from dataclasses import dataclass, field
from typing import Any, Final

from gradcheck.casefile.problems import Problem, Source
from gradcheck.casefile.yaml_nodes import Branch, Leaf, Node, character_indexes
from gradcheck.casefile.yaml_reader import read

Path = tuple[str | int, ...]

LARGEST_FILE: Final = 4_000_000  # bytes; such a file of nothing but numbers takes some 10 s


@dataclass(slots=True)
class Document:
    """A YAML 1.2 file, read strictly.

    `data` is made of dict, list, str, int, Decimal, bool and None; it is None for an empty file,
    and where the syntax is wrong. Whatever else is wrong is in `problems` and left out of the data.
    Nothing is raised for a bad text. A `Path` is the keys and list indexes that lead to a value.
    """

    name: str
    data: Any
    problems: list[Problem]
    _source: Source
    _root: Node | None = None
    _indexes: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, name: str) -> "Document":
        """Read a text; `name` is the file that messages show."""
        source = Source(text.removeprefix("\ufeff").replace("\r\n", "\n"), name)
        reading = read(source)
        return cls(name, reading.data, reading.problems, source, reading.root)

    @classmethod
    def read(cls, path: pathlib.Path, name: str | None = None) -> "Document":
        """Read a file; one that cannot be read has a problem in line 1 and no data."""
        shown = str(path) if name is None else name
        try:
            return cls.parse(_content(path), shown)
        except (OSError, ValueError) as error:
            problem = Problem(shown, 1, 1, _reason(error))
            return cls(shown, None, [problem], Source("", shown))

    def mapping(self, *path: str) -> dict[str, Any]:
        """The mapping at a path of keys; an empty one where none is."""
        data = self.data
        for key in path:
            data = data.get(key) if isinstance(data, dict) else None
        return data if isinstance(data, dict) else {}

    def text(self, path: Path) -> str:
        """The text of the scalar at `path`: a number as it is written, a string's value.

        Empty where there is no scalar.
        """
        node, _, rest = self._find(path)
        return node.value if isinstance(node, Leaf) and not rest else ""

    def position(self, path: Path, offset: int = 0, *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of character `offset` of the value at `path`, or of its key.

        For a path that does not exist: of the key (or value) of its deepest part that does.
        """
        return self._source.position(self._span(path, key, offset, None)[0])

    def problem(
        self, path: Path, message: str, *, key: bool = False, start: int = 0, end: int | None = None
    ) -> Problem:
        """A problem with the characters [start, end) of the value at `path`, or with its key."""
        return self._source.problem(message, *self._span(path, key, start, end))

    def _find(self, path: Path) -> tuple[Node | None, Leaf | None, Path]:
        """The deepest node on the path, its key, and what of the path is left."""
        node, key = self._root, None
        for depth, step in enumerate(path):
            if not isinstance(node, Branch) or step not in node.items:
                return node, key, path[depth:]
            key = node.keys.get(step)
            node = node.items[step]
        return node, key, ()

    def _span(self, path: Path, key: bool, start: int, end: int | None) -> tuple[int, int]:
        node, key_leaf, rest = self._find(path)
        if key_leaf is not None and (key or rest):
            return self._characters(key_leaf, 0, None)
        if isinstance(node, Leaf):
            return self._characters(node, *((0, None) if rest else (start, end)))
        return (0, 1) if node is None else (node.start, max(node.start + 1, node.end))

    def _characters(self, leaf: Leaf, start: int, end: int | None) -> tuple[int, int]:
        if start <= 0 and end is None and leaf.style in ("", "'"):
            first = leaf.start + len(leaf.style)
            return first, max(first + 1, leaf.end - len(leaf.style))
        indexes = self._indexes.get(leaf.start)
        if indexes is None:
            indexes = self._indexes[leaf.start] = character_indexes(self._source.text, leaf)
        last = len(indexes) - 1
        first = indexes[min(max(start, 0), last)]
        return first, max(first + 1, indexes[last if end is None else min(max(end, 0), last)])


def _content(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"the file is larger than {LARGEST_FILE // 1_000_000} MB")
    return content.decode("utf-8")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the file is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror}"
    return str(error)
