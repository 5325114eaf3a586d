"""The names that a case's formulas may use, and what is wrong with the others."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from typing import Final

from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.problems import Problem
from gradcheck.errors import ExpressionError
from gradcheck.language.expression import Definition, Expression, Name, walk
from gradcheck.language.leibniz import parse_link
from gradcheck.language.parser import parse, suggestion
from gradcheck.language.vocabulary import WORDS

IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def name_problem(name: str, taken: Mapping[str, str]) -> str | None:
    """What is wrong with a new name; `taken` says what the names so far are."""
    if name in WORDS:
        other = f"{name}_x" if len(name) > 1 else f"{name}_"
        return f"`{name}` hides a word of the language: use another name, such as `{other}`"
    if not IDENTIFIER.fullmatch(name):
        return f"`{name}` is no name: use letters, digits and _, not beginning with a digit"
    if keyword.iskeyword(name) or name in ("torch", "math"):
        return f"`{name}` is reserved: use another name, such as `{name}_`"
    if name in taken:
        return f"`{name}` is already {taken[name]}"
    return None


class Reader:
    """Reads the formulas of one document; every problem is kept, and the formula left out."""

    def __init__(self, document: Document, definitions: Mapping[str, Definition]) -> None:
        self.document = document
        self.definitions = dict(definitions)
        self.problems: list[Problem] = []

    def report(
        self, path: Path, message: str, *, key: bool = False, start: int = 0, end: int | None = None
    ) -> None:
        self.problems.append(self.document.problem(path, message, key=key, start=start, end=end))

    def formula(
        self,
        path: Path,
        scope: Collection[str],
        *,
        links: Mapping[str, str] | None = None,
        later: Collection[str] = (),
    ) -> Expression | None:
        """The formula at `path`, which may use the names in `scope` and the links.

        `later` are names that exist, but only after this formula.
        """
        text = self.document.text(path)
        line, _ = self.document.position(path)
        try:
            expression = parse(
                text,
                links=links,
                definitions=self.definitions,
                scope=scope,
                file=self.document.name,
                line=line,
            )
        except ExpressionError as error:
            self.report(path, error.message, start=error.start, end=error.end)
            return None
        unknown = {
            node.name: node
            for node in reversed(list(walk(expression.tree)))
            if isinstance(node, Name) and node.name not in scope and "/" not in node.name
        }
        skipped = self._undeclared_links(path, text, unknown, links or {})
        for name, node in unknown.items():
            if name not in skipped:
                known = [*scope, *(links or {})]
                message = self._unknown(name, known, later)
                self.report(path, message, start=node.start, end=node.end)
        return None if unknown else expression

    def _undeclared_links(
        self,
        path: Path,
        text: str,
        unknown: Mapping[str, Name],
        links: Mapping[str, str],
    ) -> set[str]:
        """Reports every `dA/dB` of unknown names; returns those names."""
        reported: set[str] = set()
        for name, node in unknown.items():
            match = re.compile(r"/d\w+", re.ASCII).match(text, node.end)
            link = parse_link(text[node.start : match.end()]) if match else None
            if match and link and f"d{link.input}" in unknown:
                close = suggestion(str(link), links) or ": write its formula as a derivative too"
                message = f"`{link}` is not among this case's derivatives{close}"
                self.report(path, message, start=node.start, end=match.end())
                reported |= {name, f"d{link.input}"}
        return reported

    def _unknown(self, name: str, known: Collection[str], later: Collection[str]) -> str:
        if name in later:
            return f"`{name}` is not known yet: steps run in order"
        if name in self.definitions:
            definition = self.definitions[name]
            usage = f"{name}({', '.join(definition.parameters)})"
            return f"`{name}` is a definition: write {usage}"
        return f"`{name}` is not known{suggestion(name, known) or _listed(known)}"


def _listed(known: Collection[str]) -> str:
    names = sorted(name for name in known)
    return f": known are {', '.join(names)}" if names else ": nothing is known here"
