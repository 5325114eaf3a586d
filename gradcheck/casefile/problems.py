"""A problem in a case file, and the text that says where it is."""

import bisect
import re
import unicodedata
from dataclasses import dataclass, field

LONGEST_LINE = 2_000  # a longer one is not shown, nor kept by each of its problems


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a case file.

    Lines and columns count from 1, columns in characters. `source` is the line as it stands in the
    file, and `length` is how many of its characters are meant. `case` is the entry of `cases:` that
    it stands in; empty for a problem of the file as a whole. Without a `file` the text is nobody's,
    and its line has no number.
    """

    file: str
    line: int
    column: int
    message: str
    source: str = ""
    length: int = 1
    case: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        return place + self.message

    def with_caret(self) -> str:
        """The message, the line below it, and carets under what is meant."""
        if not self.source.strip():
            return str(self)
        start = self.column - 1
        end = max(start + 1, min(start + self.length, len(self.source)))
        gap = " " * _width(self.source[:start])
        carets = "^" * max(1, _width(self.source[start:end]))
        shown = "".join(map(_visible, self.source)).rstrip()
        number = self.line if self.file else ""
        return f"{self}\n{number:5} | {shown}\n      | {gap}{carets}"


@dataclass(slots=True)
class Source:
    """The text of a file (lines end in `\\n`), which turns indexes into lines and columns."""

    text: str
    name: str
    _line_starts: list[int] = field(default_factory=list)

    def position(self, index: int) -> tuple[int, int]:
        """Line and column, from 1, of the character at `index`."""
        starts = self._starts()
        line = bisect.bisect_right(starts, index)
        return line, index - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The line of that number, from 1, without its end."""
        start = self._starts()[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else None]

    def problem(self, message: str, start: int, end: int | None = None) -> Problem:
        """The problem of the characters [start, end), as far as they are on the first line."""
        line, column = self.position(start)
        source = self.line(line)
        length = min((start + 1 if end is None else end) - start, len(source) - column + 1)
        shown = source if len(source) <= LONGEST_LINE else ""
        return Problem(self.name, line, column, message, shown, max(1, length))

    def _starts(self) -> list[int]:
        if not self._line_starts:
            self._line_starts = [0, *(end.end() for end in re.finditer("\n", self.text))]
        return self._line_starts


def quoted(text: str) -> str:
    """The text as a YAML string in quotes, to be shown as a suggestion."""
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _visible(character: str) -> str:
    # Also keeps escape sequences of a hostile file from reaching the terminal.
    return character if character.isprintable() else " "


def _width(text: str) -> int:
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
