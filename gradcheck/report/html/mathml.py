"""A formula's syntax tree → MathML, in parentheses only where it would read otherwise."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradcheck.language.leibniz import parse_link
from gradcheck.language.tree import Call, Index, Items, Literal, Name, Node, Number, Slice, Use
from gradcheck.report.html.markup import Markup, tag
from gradcheck.report.html.names import differential, listed, name
from gradcheck.report.html.signs import SIGNS
from gradcheck.report.html.typeset import (
    ATOM,
    CALLED,
    CHOICE,
    FRACTION,
    SUM,
    Typeset,
    fenced,
    number,
    quotient,
)


class Typesetter:
    """Typesets trees; `differentials` are the names that are cotangents or tangents: `dW`."""

    def __init__(self, differentials: Collection[str] = ()) -> None:
        self.differentials = differentials

    def formula(self, tree: Node) -> Markup:
        return self.typeset(tree).markup

    def name(self, text: str) -> Typeset:
        """A value, or a link, which is a fraction."""
        if (link := parse_link(text)) is not None and not link.held:
            return Typeset(quotient(name(link.output), name(link.input)), FRACTION)
        if text in self.differentials:
            return Typeset(differential("d", name(text[1:])), ATOM)
        return Typeset(name(text), ATOM)

    def inside(self, node: Node, least: int) -> Markup:
        """In parentheses, unless it holds together at least so tightly."""
        markup, level = self.typeset(node)
        return markup if level >= least else fenced("(", markup, ")")

    def all(self, nodes: Sequence[Node]) -> Markup:
        return listed([self.typeset(node).markup for node in nodes])

    def typeset(self, node: Node) -> Typeset:
        match node:
            case Number():
                return number(node.value)
            case Literal():
                return Typeset(tag("mtext", _literal(node.value)), ATOM)
            case Name():
                return self.name(node.name)
            case Items():
                return Typeset(self._items(node), ATOM)
            case Slice():
                return Typeset(self._slice(node), CHOICE)
            case Index():
                return Typeset(self._index(node), ATOM)
            case Use():
                function = tag("mi", node.definition.name)
                return self.called(function, self.all(node.arguments))
            case Call():
                special = SIGNS.get(node.word.name)
                return special(self, node) if special else self._word(node)

    def called(self, function: Markup, arguments: Markup) -> Typeset:
        markup = tag("mrow", function, tag("mo", "\N{FUNCTION APPLICATION}"))
        return Typeset(tag("mrow", markup, fenced("(", arguments, ")")), CALLED)

    def _word(self, node: Call) -> Typeset:
        if node.word.signature is None:
            return Typeset(name(node.word.name), ATOM)
        return self.called(self.function(node), self.arguments(node))

    def function(self, node: Call, shown: str = "") -> Markup:
        """A word upright, with the dimensions that it works along below it."""
        word = tag("mi", shown or node.word.name)
        return self.below(word, node)

    def below(self, sign: Markup, node: Call) -> Markup:
        dimensions = dict(node.keywords).get("dim")
        return tag("msub", sign, self.formula(dimensions)) if dimensions else sign

    def arguments(self, node: Call) -> Markup:
        """All but the dimensions, and whether those are kept."""
        settings = [
            tag("mrow", tag("mtext", key), tag("mo", "="), self.formula(value))
            for key, value in node.keywords
            if key not in ("dim", "keepdim")
        ]
        return listed([*map(self.formula, node.arguments), *settings] or [tag("mrow")])

    def _items(self, node: Items) -> Markup:
        """A list of lists is a matrix."""
        rows = [item.items if isinstance(item, Items) else None for item in node.items]
        if not rows or None in rows or len({len(row or ()) for row in rows}) > 1:
            return fenced("[", self.all(node.items) if node.items else tag("mrow"), "]")
        cells = [tag("mtr", *(tag("mtd", self.formula(c)) for c in row or ())) for row in rows]
        return fenced("[", tag("mtable", *cells), "]")

    def _slice(self, node: Slice) -> Markup:
        lower, upper, step = (self.inside(b, SUM) if b else Markup() for b in node.bounds)
        colon = tag("mo", ":", lspace="0", rspace="0")
        return tag("mrow", lower, colon, upper, *([colon, step] if step else []))

    def _index(self, node: Index) -> Markup:
        items = self.all(node.items)
        plain = isinstance(node.value, Name) and "_" not in node.value.name
        if plain and "<msub>" not in (value := self.formula(node.value)):
            return tag("msub", value, items)
        return tag("mrow", self.inside(node.value, ATOM), fenced("[", items, "]"))


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f"“{value}”"
    return "…" if value is ... else str(value)
