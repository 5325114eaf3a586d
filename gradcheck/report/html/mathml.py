"""A formula's syntax tree → MathML, in parentheses only where it would read otherwise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, TypeGuard

from gradcheck.language.leibniz import parse_link
from gradcheck.language.tree import Call, Index, Items, Literal, Name, Node, Number, Slice, Use
from gradcheck.report.html.markup import Markup, tag
from gradcheck.report.html.names import differential, listed, name

CHOICE, OR, AND, NOT, COMPARED, SUM, BIG, PRODUCT, FRACTION, POWER, CALLED, ATOM = range(12)
"""How tightly a formula holds together, from the loosest; `BIG` is Σ, which reaches far right."""


class Typeset(NamedTuple):
    """A formula in MathML, and how tightly it holds together."""

    markup: Markup
    level: int


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
                return _number(node.value)
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
                special = _WORDS.get(node.word.name)
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


def math(*content: str) -> Markup:
    return tag("math", *content, displaystyle="true")


def quotient(above: Markup, below: Markup) -> Markup:
    """∂above/∂below."""
    return tag("mfrac", differential("∂", above), differential("∂", below))


def fenced(left: str, inside: Markup, right: str) -> Markup:
    """In parentheses, which are taller than a line only where what they hold is."""
    is_tall = any(f"<{name}" in inside for name in ("mfrac", "mtable", "msqrt"))
    stretchy = None if is_tall else "false"
    ends = [tag("mo", sign, stretchy=stretchy) for sign in (left, right)]
    return tag("mrow", ends[0], inside, ends[1])


def _number(value: int | Decimal) -> Typeset:
    mantissa, _, exponent = str(value).partition("E")
    if not exponent:
        return Typeset(tag("mn", mantissa), ATOM)
    power = tag("msup", tag("mn", "10"), _signed(int(exponent)))
    if mantissa == "1":
        return Typeset(power, POWER)
    return Typeset(tag("mrow", tag("mn", mantissa), tag("mo", "×"), power), PRODUCT)


def _signed(number: int) -> Markup:
    digits = tag("mn", str(abs(number)))
    return tag("mrow", tag("mo", "−"), digits) if number < 0 else digits


Special = Callable[[Typesetter, Call], Typeset]


def _between(sign: str, level: int, right: int) -> Special:
    """An operator between two values; the second holds together at least as `right` says."""

    def typeset(self: Typesetter, node: Call) -> Typeset:
        first, second = node.arguments
        parts = self.inside(first, level), tag("mo", sign), self.inside(second, right)
        return Typeset(tag("mrow", *parts), level)

    return typeset


def _before(sign: str, level: int, least: int) -> Special:
    def typeset(self: Typesetter, node: Call) -> Typeset:
        return Typeset(tag("mrow", tag("mo", sign), self.inside(node.arguments[0], least)), level)

    return typeset


def _around(left: str, right: str) -> Special:
    def typeset(self: Typesetter, node: Call) -> Typeset:
        return Typeset(fenced(left, self.all(node.arguments), right), ATOM)

    return typeset


def _big(sign: str) -> Special:
    """Σ of what follows, over the dimensions below it."""

    def typeset(self: Typesetter, node: Call) -> Typeset:
        large = self.below(tag("mo", sign), node)
        return Typeset(tag("mrow", large, self.inside(node.arguments[0], BIG)), BIG)

    return typeset


def _raised(sign: Markup) -> Special:
    def typeset(self: Typesetter, node: Call) -> Typeset:
        return Typeset(tag("msup", self.inside(node.arguments[0], ATOM), sign), POWER)

    return typeset


def _shown(word: str) -> Special:
    """A word by another name."""

    def typeset(self: Typesetter, node: Call) -> Typeset:
        return self.called(self.function(node, word), self.arguments(node))

    return typeset


def _times(self: Typesetter, node: Call) -> Typeset:
    """A number needs no sign before what does not begin with another."""
    sign = "\N{INVISIBLE TIMES}" if _is_factor(*node.arguments) else "⋅"
    return _product(self, node, tag("mo", sign))


def _matmul(self: Typesetter, node: Call) -> Typeset:
    return _product(self, node, tag("mspace", width="0.25em"))


def _product(self: Typesetter, node: Call, sign: Markup) -> Typeset:
    """It begins with a minus where its first factor does, and ends with Σ where its last does."""
    (first, level), (second, last) = map(self.typeset, node.arguments)
    is_negative = _is_call(node.arguments[0], "neg")
    if level < PRODUCT and not is_negative:
        first = fenced("(", first, ")")
    if last < FRACTION and last != BIG:
        second = fenced("(", second, ")")
    held = SUM if is_negative else BIG if last == BIG else PRODUCT
    return Typeset(tag("mrow", first, sign, second), held)


def _is_factor(first: Node, second: Node) -> bool:
    """Whether a number stands before what does not look like one."""
    if _is_call(first, "neg"):
        (first,) = first.arguments
    while _is_call(second, "mul", "pow", "T", "mT"):
        second = second.arguments[0]
    return isinstance(first, Number) and not (isinstance(second, Number) or _is_call(second, "div"))


def _is_call(node: Node, *words: str) -> TypeGuard[Call]:
    return isinstance(node, Call) and node.word.name in words


def _fraction(self: Typesetter, node: Call) -> Typeset:
    return Typeset(tag("mfrac", *map(self.formula, node.arguments)), FRACTION)


def _one_over(inner: Callable[[Typesetter, Node], Markup]) -> Special:
    def typeset(self: Typesetter, node: Call) -> Typeset:
        return Typeset(tag("mfrac", tag("mn", "1"), inner(self, node.arguments[0])), FRACTION)

    return typeset


def _root(self: Typesetter, node: Node) -> Markup:
    return tag("msqrt", self.formula(node))


def _power(self: Typesetter, node: Call) -> Typeset:
    base, exponent = node.arguments
    above = self.formula(exponent)
    if (
        isinstance(base, Call)
        and base.word.name not in _WORDS
        and base.word.signature
        and isinstance(exponent, Number)
        and isinstance(exponent.value, int)
    ):
        # sin²(x); of sin(x)² one could not say what is squared.
        return self.called(tag("msup", self.function(base), above), self.arguments(base))
    return Typeset(tag("msup", self.inside(base, ATOM), above), POWER)


def _norm(self: Typesetter, node: Call) -> Typeset:
    inner = fenced("‖", self.formula(node.arguments[0]), "‖")
    order = dict(node.keywords).get("p")
    return Typeset(tag("msub", inner, self.formula(order)) if order else inner, ATOM)


def _where(self: Typesetter, node: Call) -> Typeset:
    condition, chosen, other = node.arguments
    rows = [
        tag("mtr", tag("mtd", self.formula(value)), tag("mtd", tag("mtext", word), last))
        for value, word, last in (
            (chosen, "if\N{NO-BREAK SPACE}", self.formula(condition)),
            (other, "otherwise", Markup()),
        )
    ]
    return Typeset(tag("mrow", tag("mo", "{"), tag("mtable", *rows, class_="choice")), CHOICE)


_WORDS: Final[dict[str, Special]] = {
    "add": _between("+", SUM, BIG),
    "sub": _between("−", SUM, BIG),
    "mul": _times,
    "matmul": _matmul,
    "div": _fraction,
    "remainder": _between("mod", PRODUCT, FRACTION),
    "kron": _between("⊗", PRODUCT, FRACTION),
    "pow": _power,
    "neg": _before("−", SUM, BIG),
    "positive": _before("+", SUM, BIG),
    "logical_not": _before("¬", NOT, CALLED),
    "logical_and": _between("∧", AND, NOT),
    "logical_or": _between("∨", OR, AND),
    **{
        word: _between(sign, COMPARED, SUM)
        for word, sign in zip(("lt", "le", "gt", "ge", "eq", "ne"), "<≤>≥=≠", strict=True)
    },
    "sqrt": lambda self, node: Typeset(_root(self, node.arguments[0]), ATOM),
    "rsqrt": _one_over(_root),
    "reciprocal": _one_over(Typesetter.formula),
    "square": _raised(tag("mn", "2")),
    "inv": _raised(tag("mrow", tag("mo", "−"), tag("mn", "1"))),
    "T": _raised(tag("mo", "⊤")),
    "mT": _raised(tag("mo", "⊤")),
    "abs": _around("|", "|"),
    "floor": _around("⌊", "⌋"),
    "floor_divide": lambda self, node: Typeset(
        fenced("⌊", _fraction(self, node).markup, "⌋"), ATOM
    ),
    "dot": _around("⟨", "⟩"),
    "norm": _norm,
    "sum": _big("∑"),
    "prod": _big("∏"),
    "minimum": _shown("min"),
    "maximum": _shown("max"),
    "amin": _shown("min"),
    "amax": _shown("max"),
    "trace": _shown("tr"),
    "real": _shown("Re"),
    "imag": _shown("Im"),
    "where": _where,
}
