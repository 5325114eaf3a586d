"""The names that a case's formulas may use, and what is wrong with the others."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Final

from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.problems import Problem
from gradcheck.errors import ExpressionError
from gradcheck.language.expression import Definition, Expression
from gradcheck.language.leibniz import Link, parse_link
from gradcheck.language.parser import parse
from gradcheck.language.spelling import suggestion
from gradcheck.language.tree import Name, walk
from gradcheck.language.vocabulary import ATTRIBUTES, WORDS

IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
RESERVED: Final = ("torch", "math", "recurrence", "of", "dtype")
"""Names that mean something else in formulas, or as keys of a case."""
MOST_SUGGESTIBLE: Final = 300  # names that an unknown one is compared with
SHOWN_NAMES: Final = 12
MOST_PROBLEMS: Final = 100  # of one case, or of the definitions

_CASE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_CALLED: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?=\s*\()", re.ASCII)
_QUOTIENT: Final = re.compile(r"\b(d\w+)\s*/\s*(d\w+)", re.ASCII)


def name_problem(name: str, taken: Mapping[str, str], *, may_be_word: bool = False) -> str | None:
    """What is wrong with a new name; `taken` says what the names so far are."""
    if name in WORDS and name not in ATTRIBUTES and not may_be_word:
        other = f"{name}_x" if len(name) > 1 else f"{name}_"
        return f"`{name}` hides a word of the language: use another name, such as `{other}`"
    if not IDENTIFIER.fullmatch(name):
        return f"`{name}` is no name: use letters, digits and _, not beginning with a digit"
    if keyword.iskeyword(name) or name in RESERVED:
        return f"`{name}` is reserved: use another name, such as `{name}_`"
    if name in taken:
        return f"`{name}` is already {taken[name]}"
    return None


def case_name_problem(name: str) -> str | None:
    """What is wrong with the name of a case."""
    if _CASE_NAME.fullmatch(name):
        return None
    return f"`{name}` is no name of a case: use letters, digits, _, . and -"


def spelled(name: str) -> str:
    """How formulas write the name of a module's parameter: `_0_weight` for `0.weight`."""
    plain = name.replace(".", "_")
    return f"_{plain}" if plain[:1].isdigit() else plain


class Reader:
    """Reads the formulas of one document; every problem is kept, and the formula left out.

    `unusable` are definitions that a formula cannot use, each with the reason; an empty one if it
    was reported where the definition stands.
    """

    def __init__(
        self,
        document: Document,
        definitions: Mapping[str, Definition],
        unusable: Mapping[str, str] | None = None,
    ) -> None:
        self.document = document
        self.definitions = definitions
        self.unusable = {} if unusable is None else unusable
        self.problems: list[Problem] = []
        self.hint = ""
        """What is said of an unknown name beside those that are known."""
        self.failed = False
        """Whether anything could not be read, be it for a problem that is reported elsewhere."""

    def report(
        self, path: Path, message: str, *, key: bool = False, start: int = 0, end: int | None = None
    ) -> None:
        self.failed = True
        if len(self.problems) < MOST_PROBLEMS:
            problem = self.document.problem(path, message, key=key, start=start, end=end)
            self.problems.append(problem)

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
        if len(self.problems) == MOST_PROBLEMS:
            return None
        text = self.document.text(path)
        if self.unusable and self._uses_unusable(path, text):
            return None
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
        unknown = [name for name in expression.names if name not in scope and "/" not in name]
        if not unknown:
            return expression
        first = {n.name: n for n in reversed(list(walk(expression.tree))) if isinstance(n, Name)}
        skipped = self._undeclared_links(path, text, scope, {*unknown}, links or {})
        for name in unknown:
            if name in self.unusable:
                self.failed = True
            elif name not in skipped:
                message = self._unknown(name, scope, links or {}, later)
                self.report(path, message, start=first[name].start, end=first[name].end)
        return None

    def _uses_unusable(self, path: Path, text: str) -> bool:
        for call in _CALLED.finditer(text):
            reason = self.unusable.get(call[0])
            if reason:
                self.report(path, reason, start=call.start(), end=call.end())
            if reason is not None:
                self.failed = True
                return True
        return False

    def _undeclared_links(
        self,
        path: Path,
        text: str,
        scope: Collection[str],
        unknown: Set[str],
        links: Mapping[str, str],
    ) -> set[str]:
        """Reports every `dA/dB` of unknown names, once; returns those names."""
        reported: dict[Link, tuple[str, str]] = {}
        for found in _QUOTIENT.finditer(text):
            numerator, denominator = found.groups()
            link = parse_link(f"{numerator}/{denominator}")
            if link and link not in reported and {numerator, denominator} <= unknown:
                reported[link] = numerator, denominator
                message = self._undeclared(found[0], link, scope, links)
                self.report(path, message, start=found.start(), end=found.end())
        return {half for halves in reported.values() for half in halves}

    def _undeclared(
        self, written: str, link: Link, scope: Collection[str], links: Mapping[str, str]
    ) -> str:
        if written != str(link):
            return f"a link is written without spaces: `{link}`"
        if link.output in scope and link.input in scope:
            return f"`{link}` is not declared: write its formula under `derivatives` too"
        return f"`{link}` is not a link that can be used here{near(str(link), links)}"

    def _unknown(
        self, name: str, scope: Collection[str], links: Mapping[str, str], later: Collection[str]
    ) -> str:
        if name in later:
            return f"`{name}` is not known yet: it is computed below"
        if name in self.definitions:
            definition = self.definitions[name]
            usage = f"{name}({', '.join(definition.parameters)})"
            return f"`{name}` is a definition: write {usage}"
        close = near(name, [*scope, *links])
        return f"`{name}` is not known{close or listed([*scope, *links.values()]) + self.hint}"


def near(name: str, known: Collection[str]) -> str:
    """`: did you mean …?`, or nothing; comparing with very many names would take too long."""
    return suggestion(name, known) if len(known) <= MOST_SUGGESTIBLE else ""


def listed(known: Iterable[str]) -> str:
    """`: known are …`, at most a line of it."""
    names = sorted(set(known))
    if not names:
        return ": only numbers are known here"
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return f": known are {', '.join(names[:SHOWN_NAMES])}{more}"
