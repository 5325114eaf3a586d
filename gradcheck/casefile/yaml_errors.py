"""The wording of YAML's syntax errors: what to change, instead of what the parser expected."""

import re
from collections.abc import Callable
from typing import Final

from yaml import MarkedYAMLError

from gradcheck.casefile.problems import Problem, Source, quoted

_KEY: Final = re.compile(r"""\s*(?:- +)*+(?:"[^"]*"|'[^']*'|[^\s"'].*?):\s+""")
_COLON_WITHOUT_SPACE: Final = re.compile(r"\s*(?:- +)*+[\w.-]+:(?=[^\s:/])")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")


def syntax_problem(source: Source, error: MarkedYAMLError, bracket: int | None) -> Problem:
    """The problem that stopped the YAML parser, inside `{…}` or `[…]` if a `bracket` is open."""
    return _Explanation(source, error, bracket).problem()


class _Explanation:
    """One syntax error: where it was noticed, where what was being read began, and its kind."""

    def __init__(self, source: Source, error: MarkedYAMLError, bracket: int | None) -> None:
        self.source = source
        self.error = error
        self.in_flow = bracket is not None
        self.here = error.problem_mark.index if error.problem_mark else 0
        self.opened = error.context_mark.index if error.context_mark else self.here
        self.bracket = self.opened if bracket is None else bracket
        line, column = source.position(self.here)
        self.line = source.line(line)
        self.before = self.line[: column - 1]
        self.sign = self.line[column - 1 : column]

    def problem(self) -> Problem:
        """The problem, at the parser's mark unless the mistake is known to be earlier."""
        text = f"{self.error.context or ''}: {self.error.problem or ''}"
        if self.sign == "\t":
            message = "a tab cannot indent a line in YAML: use spaces"
            return self.source.problem(message, self.here)
        say = next((say for sign, say in _WORDING if sign in text), lambda _: text.strip(": "))
        if self.in_flow and say in _AT_END and self.here >= len(self.source.text.rstrip()):
            say, self.opened = _Explanation.never_closed, self.bracket
        return self.source.problem(say(self), self.opened if say in _AT_OPENING else self.here)

    def value_at(self, index: int) -> str:
        """The value that begins at `index`, as far as its line goes."""
        line, column = self.source.position(index)
        value = _COMMENT.sub("", self.source.line(line)[column - 1 :])
        return (re.split(r"[,\]}]", value)[0] if self.in_flow else value).strip()

    def second_colon(self) -> str:
        key = _KEY.match(self.line)
        if key and key.end() <= len(self.before):
            value = self.value_at(self.here - len(self.before) + key.end())
            return f'a value that contains ": " needs quotes: write {quoted(value)}'
        return self.misplaced_key()

    def misplaced_key(self) -> str:
        """A key on a line that YAML takes for the continuation of the value above it."""
        line, _ = self.source.position(self.here)
        above = self.source.line(line - 1) if line > 1 else ""
        if colon := _COLON_WITHOUT_SPACE.match(above):
            return f'a space is needed after the ":" on line {line - 1}, column {colon.end()}'
        return "bad indentation: this line continues the value that was begun above it"

    def lacks_colon(self) -> str:
        line, _ = self.source.position(self.opened)
        if colon := _COLON_WITHOUT_SPACE.match(self.source.line(line)):
            return f'a space is needed after the ":" in column {colon.end()}'
        return 'this line is not "key: value": there is no ": " in it'

    def needs_quotes(self) -> str:
        value = self.value_at(self.opened)
        return f"a value that begins with {value[:1]} needs quotes: write {quoted(value)}"

    def never_closed(self) -> str:
        return f"this {self.source.text[self.opened]} is never closed"

    def lacks_comma(self) -> str:
        if self.sign == ":":
            bracket = self.source.text[self.bracket]
            return f'a value that contains ": " needs quotes, or the {bracket} is not closed before'
        return self.expected()

    def lacks_value(self) -> str:
        if not self.in_flow or self.sign not in ",]}":
            return self.needs_quotes()
        if self.sign == ",":
            return "there is nothing before this comma: leave it out"
        return self.expected()

    def expected(self) -> str:
        bracket = self.source.text[self.bracket]
        line, column = self.source.position(self.bracket)
        end = "}" if bracket == "{" else "]"
        place = f"line {line}, column {column}"
        return f'expected "," or "{end}" here, for the {bracket} opened at {place}'

    def outside_block(self) -> str:
        """Something after a block's last item that cannot belong to it."""
        if self.before.strip():
            return self.text_after_value()
        if self.sign == ":":
            return "a key is missing before the colon"
        if len(self.before) == self.source.position(self.opened)[1] - 1:
            return 'keys and list items ("- …") cannot stand side by side'
        return f"bad indentation: nothing above begins in column {len(self.before) + 1}"

    def text_after_value(self) -> str:
        key = _KEY.match(self.line)
        if key and key.end() < len(self.before):
            value = self.value_at(self.here - len(self.before) + key.end())
            return f"text goes on after a quote or a bracket was closed: write {quoted(value)}"
        return "text goes on after a quote or a bracket was closed"

    def after_document(self) -> str:
        if self.before.strip():
            return self.text_after_value()
        return "the document has ended above: check the indentation, a file is one document"


_WORDING: Final[tuple[tuple[str, Callable[[_Explanation], str]], ...]] = (
    ("could not find expected ':'", _Explanation.lacks_colon),
    ("mapping values are not allowed", _Explanation.second_colon),
    ("found unexpected", _Explanation.never_closed),
    ("expected ',' or '", _Explanation.lacks_comma),
    ("cannot start any token", _Explanation.needs_quotes),
    ("expected alphabetic or numeric", _Explanation.needs_quotes),
    ("undefined tag handle", _Explanation.needs_quotes),
    ("while scanning a tag", _Explanation.needs_quotes),
    ("while parsing a tag", _Explanation.needs_quotes),
    ("while scanning a block scalar", _Explanation.needs_quotes),
    ("sequence entries are not allowed", _Explanation.needs_quotes),
    ("mapping keys are not allowed", _Explanation.needs_quotes),
    ("node content", _Explanation.lacks_value),
    ("while parsing a block mapping", _Explanation.outside_block),
    ("while parsing a block collection", _Explanation.outside_block),
    ("<document start>", _Explanation.after_document),
    ("incompatible YAML document", lambda _: "case files are YAML 1.2"),
    ("directive", lambda _: 'a line cannot begin with "%": directives are not supported'),
    ("escape", lambda _: r"unknown escape after \: write \\, or use single quotes"),
)

# These speak of what was begun, so they point at it and not at where the parser gave up.
_AT_OPENING: Final = (
    _Explanation.lacks_colon,
    _Explanation.needs_quotes,
    _Explanation.never_closed,
)
_AT_END: Final = (_Explanation.lacks_comma, _Explanation.lacks_value)
"""What the end of the file does to an open bracket."""
