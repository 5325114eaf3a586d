"""YAML text → plain data, with the tree that remembers where everything stands."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from gradcheck.casefile.core_schema import Scalar, plain_value
from gradcheck.casefile.flow_formulas import advice, formula_end, is_cut_off, masked
from gradcheck.casefile.problems import Problem, Source
from gradcheck.casefile.yaml_errors import syntax_problem
from gradcheck.casefile.yaml_nodes import Branch, Leaf, Node, folded, node_start

MOST_PROBLEMS: Final = 100
DEEPEST_NESTING: Final = 100
MOST_SEARCHES: Final = 1_000  # for the end of a formula that lacks quotes
MOST_REREAD: Final = 4_000_000  # characters: a file is read again for formulas that lack quotes

# YAML's unprintable characters, and the line breaks that only YAML 1.1 knows.
_FORBIDDEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)
_PROPERTY: Final = re.compile(r"[&!][^\s,\[\]{}]*")
_UNSUPPORTED: Final = {"&": "anchors", "!": "tags"}
_NodeEvent = ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent
# Its events are read one by one: no recursion, and aliases are never followed.
_Parser: Final[Callable[[str], Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Reading:
    """What a text holds: the data, the tree of its nodes, and everything that is wrong with it."""

    data: Any
    root: Node | None
    problems: list[Problem]


def read(source: Source) -> Reading:
    """Read one document; data is None where the syntax is wrong."""
    found = _forbidden(source)
    text = _FORBIDDEN.sub(" ", source.text) if found else source.text
    formulas: dict[int, str] = {}
    unread = MOST_REREAD
    while True:
        reader = _Reader(source, text, formulas)
        data = reader.read()
        unread -= len(text)
        found += reader.repairs
        if text == reader.text:
            problems = found + reader.problems
            return Reading(data, reader.root, sorted(problems[:MOST_PROBLEMS]))
        if unread < 0 or len(found) >= MOST_PROBLEMS:
            return Reading(None, None, sorted(found[:MOST_PROBLEMS]))
        text = reader.text


def _forbidden(source: Source) -> list[Problem]:
    """One problem for each character that is not allowed, where it is first met."""
    return [
        source.problem(f"the character U+{ord(sign):04X} is not allowed", source.text.index(sign))
        for sign in sorted({found[0] for found in _FORBIDDEN.finditer(source.text)})
    ]


class _Reader:
    """Builds the data from the parser's events, in one pass and without recursion."""

    def __init__(self, source: Source, text: str, formulas: dict[int, str]) -> None:
        self.source = source
        self.text = text  # with formulas that lack quotes masked as soon as they are met
        self.formulas = formulas  # where they begin → as they are written
        self.problems: list[Problem] = []
        self.repairs: list[Problem] = []
        self.root: Node | None = None
        self.data: Any = None
        self.open: list[Branch] = []
        self.plain: Leaf | None = None  # the latest event, if it is an unquoted scalar
        self.masked_to = 0
        self.searches = 0

    def read(self) -> object:
        """The data of the text; None where a syntax error, or too deep a nesting, ended it."""
        parser = _Parser(self.text)
        try:
            while event := parser.get_event():
                if not self._accept(event):
                    break
        except yaml.MarkedYAMLError as error:
            self._syntax_error(error)
            return None
        finally:
            parser.dispose()
        return self.data

    def _accept(self, event: Event) -> bool:
        """Take one event; False where nothing after it is to be read."""
        self.plain = None
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, CollectionEndEvent):
            self._close(event)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            return self._begin(event)
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, DocumentStartEvent):
            return self._document(event)
        return True

    def _report(self, message: str, start: int, end: int | None = None) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(self.source.problem(message, start, end))

    # Events

    def _document(self, event: DocumentStartEvent) -> bool:
        start = event.start_mark.index if event.start_mark else 0
        if self.root is not None:
            self._report("a second document begins here: a file is one document", start)
            return False
        if event.version not in (None, (1, 2)) or event.tags:
            self._report("case files are YAML 1.2 without directives", start)
        return True

    def _scalar(self, event: ScalarEvent) -> None:
        leaf = Leaf(event.value, event.style or "", self._start(event), _end(event))
        if not leaf.style:
            self._plain(leaf)
        branch = self.open[-1] if self.open else None
        if branch is not None and branch.at_key:
            branch.key = self._key(branch, leaf)
            branch.at_key = False
        else:
            self._add(leaf, leaf.value if leaf.style else self._value(leaf))

    def _plain(self, leaf: Leaf) -> None:
        self.plain = leaf
        if (formula := self.formulas.get(leaf.start)) is not None:
            leaf.value = folded(formula)
        elif is_cut_off(leaf.value) and self.open and self.open[-1].brackets:
            self._mask_formula(leaf)

    def _value(self, leaf: Leaf) -> Scalar:
        try:
            return plain_value(leaf.value)
        except ValueError as error:
            self._report(str(error), leaf.start, leaf.end)
            return None

    def _key(self, branch: Branch, leaf: Leaf) -> str | None:
        """The text of a key, None if the pair is to be left out."""
        key = leaf.value
        if not leaf.style and not self._is_plain_key(leaf):
            return None
        if key in branch.keys:
            line, _ = self.source.position(branch.keys[key].start)
            message = f'"{key}" is here twice: it is on line {line} already'
            self._report(message, leaf.start, leaf.end)
            return None
        branch.keys[key] = leaf
        return key

    def _is_plain_key(self, leaf: Leaf) -> bool:
        """Whether a pair with this unquoted key can be kept, be it with a problem."""
        key = leaf.value
        if key in ("", "<<"):
            what = "merge keys are not supported: write the pairs out" if key else "a key is empty"
            self._report(what, leaf.start, leaf.end)
            return False
        if not _is_text(key):
            self._report(f'a key must be text: write "{key}"', leaf.start, leaf.end)
        return True

    def _alias(self, event: AliasEvent) -> None:
        leaf = Leaf(f"*{event.anchor}", "", self._start(event), _end(event))
        message = f"aliases are not supported: write the value of {leaf.value} out"
        self._report(message, leaf.start, leaf.end)
        if self.open and self.open[-1].at_key:
            self._drop_pair(self.open[-1])
        else:
            self._add(leaf, None)

    def _start(self, event: _NodeEvent) -> int:
        """Where a node begins, after its anchor and tag, which are reported and else ignored."""
        assert event.start_mark is not None  # the parser marks every event
        start = event.start_mark.index
        if isinstance(event, AliasEvent) or (event.anchor is None and event.tag is None):
            return start
        end = node_start(self.text, start)
        for found in _PROPERTY.finditer(self.text, start, end):
            message = f"{_UNSUPPORTED[found[0][0]]} are not supported: leave out {found[0]}"
            self._report(message, *found.span())
        return end

    # Collections

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> bool:
        start = self._start(event)
        if len(self.open) == DEEPEST_NESTING:
            self._report(f"nested deeper than {DEEPEST_NESTING} levels", start)
            self.data = None
            return False
        branch = _branch(event, start)
        if self.open and self.open[-1].at_key:
            self._report("a key must be text, not a mapping or a list", start)
            self._drop_pair(self.open[-1])
        else:
            self._add(branch, branch.data)
        self.open.append(branch)
        return True

    def _add(self, node: Node, value: object) -> None:
        """Put a value where it belongs: into the innermost open collection."""
        if not self.open:
            self.root, self.data = node, value
            return
        branch = self.open[-1]
        if isinstance(branch.data, list):
            branch.items[len(branch.data)] = node
            branch.data.append(value)
            return
        branch.at_key = True
        if branch.key is not None:
            branch.items[branch.key] = node
            branch.data[branch.key] = value

    def _drop_pair(self, branch: Branch) -> None:
        branch.key, branch.at_key = None, False

    def _close(self, event: CollectionEndEvent) -> None:
        branch = self.open.pop()
        branch.end = _end(event) if branch.brackets else branch.start

    # Syntax errors, and formulas that lack quotes

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> None:
        bracket = self._bracket()
        noticed = error.problem_mark.index if error.problem_mark else 0
        if bracket is not None and self.plain and _sign(self.text, noticed) in "[{":
            self._mask_formula(self.plain)  # x[0], which YAML ends at its bracket
        if not self.repairs:
            self.problems.append(syntax_problem(self.source, error, bracket))

    def _bracket(self) -> int | None:
        """Where the innermost open bracket is; a pair in `[a: 1]` is a mapping that has none."""
        starts = [branch.start for branch in self.open if branch.brackets]
        return next((start for start in reversed(starts) if self.text[start] in "[{"), None)

    def _mask_formula(self, leaf: Leaf) -> None:
        """Report the formula that begins with this scalar, and hide it from the next reading."""
        start = leaf.start
        self.searches += 1
        if start < self.masked_to or self.searches > MOST_SEARCHES:
            return
        end = formula_end(self.source.text, start)
        if end is None or end <= leaf.end or len(self.repairs) == MOST_PROBLEMS:
            return
        formula = self.source.text[start:end]
        message = advice(formula, self.open[-1].brackets)
        self.repairs.append(self.source.problem(message, start, end))
        self.formulas[start] = formula
        self.text = masked(self.text, start, end)
        self.masked_to = end


def _branch(event: MappingStartEvent | SequenceStartEvent, start: int) -> Branch:
    if isinstance(event, MappingStartEvent):
        return Branch({}, start, "{…}" if event.flow_style else "", at_key=True)
    return Branch([], start, "[…]" if event.flow_style else "")


def _is_text(plain: str) -> bool:
    try:
        return isinstance(plain_value(plain), str)
    except ValueError:  # a number, but too large
        return False


def _end(event: Event) -> int:
    assert event.end_mark is not None
    return event.end_mark.index


def _sign(text: str, index: int) -> str:
    return text[index : index + 1] or " "
