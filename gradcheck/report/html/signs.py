"""Words that mathematics has signs for, or places: above, below, around."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeGuard

from gradcheck.language.tree import Call, Node, Number
from gradcheck.report.html.markup import Markup, tag
from gradcheck.report.html.typeset import (
    AND,
    ATOM,
    BIG,
    CALLED,
    CHOICE,
    COMPARED,
    FRACTION,
    NOT,
    OR,
    POWER,
    PRODUCT,
    SUM,
    Typeset,
    fenced,
)

if TYPE_CHECKING:
    from gradcheck.report.html.mathml import Typesetter

Special = Callable[["Typesetter", Call], Typeset]


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
        and base.word.name not in SIGNS
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


SIGNS: Final[dict[str, Special]] = {
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
    "reciprocal": _one_over(lambda self, node: self.formula(node)),
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
