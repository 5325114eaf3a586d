"""A formula → its wrong versions, each with one mistake that people make, from its syntax tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from torch import Tensor

from gradcheck.language.editing import (
    Editor,
    Part,
    binary,
    called,
    named,
    negative,
    number,
    transposed,
)
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Index, Literal, Name, Node, Number, Use, values_of
from gradcheck.language.vocabulary import WORDS

LEAST: Final = 10
"""So many wrong versions a formula has at least, where it can have as many."""
MOST: Final = 40
"""And so many at most, spread over its tree."""
NEIGHBOURS: Final = 2
"""Names that take the place of one."""

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape | None]
"""The names that a formula may use; the shape of a value where that is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """A formula with one mistake; `what` says which, in a few words."""

    what: str
    expression: Expression

    @property
    def kind(self) -> str:
        """The mistake without the parts in which it is made."""
        return _PARTS.sub("", self.what)


_PARTS: Final = re.compile(r"`[^`]*`|-?\d\S*")


def mutants(formula: Expression, shapes: Shapes, resolution: float) -> list[Mutant]:
    """Wrong versions of a formula, from 10 to 40 of them, those of its whole first.

    One is off by ten times the `resolution`, relative. No two are written alike, and none as the
    formula itself is.
    """
    source = _Source(formula, shapes)
    found = _distinct(formula, source.wholes(resolution))
    found += _spread(_distinct(formula, source.parts(), found), MOST - len(found))
    if len(found) < LEAST:
        more = _distinct(formula, source.fillers(), found)
        found += more[: LEAST - len(found)]
    return found


def _spread(found: list[Mutant], room: int) -> list[Mutant]:
    """So many of them: the first of every kind of mistake, and of the others every so many."""
    if len(found) <= room:
        return found
    firsts = {one.kind: one for one in reversed(found)}
    kept = set([one for one in found if firsts[one.kind] is one][:room])
    others, left = [one for one in found if one not in kept], room - len(kept)
    kept.update(others[i * len(others) // left] for i in range(left))
    return [one for one in found if one in kept]


def shape_of(value: Any) -> Shape | None:
    """The shape of a value, if it has one."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    return () if isinstance(value, (int, float)) else None


def _distinct(
    formula: Expression, versions: Iterator[Mutant], known: list[Mutant] | None = None
) -> list[Mutant]:
    seen = {_bare(formula.text), *(_bare(one.expression.text) for one in known or ())}
    found = []
    for one in versions:
        text = _bare(one.expression.text)
        if text not in seen:
            seen.add(text)
            found.append(one)
    return found


def _bare(text: str) -> str:
    return "".join(text.split())


class _Source:
    """A formula's text and tree, and the mistakes that may be made in it."""

    def __init__(self, formula: Expression, shapes: Shapes) -> None:
        self.formula = formula
        self.editor = Editor(formula)
        self.text = formula.text
        self.shapes = shapes
        self.nodes = list(values_of(formula.tree))

    def wholes(self, resolution: float) -> Iterator[Mutant]:
        """Mistakes in the whole formula."""
        tree = self.formula.tree
        whole = self.editor.part(tree)
        little = (1 + 10 * Decimal(repr(resolution))).normalize()
        if not (isinstance(tree, Number) and not tree.value):
            yield self._whole("the sign is changed", negative(whole))
            yield self._whole("twice as much", binary("*", number(2), whole))
            yield self._whole("half as much", binary("/", whole, number(2)))
            what = f"off by {10 * resolution:.0e}"
            yield self._whole(what, binary("*", number(little), whole))
        yield self._whole("the identity", number(1))
        yield self._whole("zero", number(0))

    def parts(self) -> Iterator[Mutant]:
        """Mistakes inside of it, node by node."""
        for node in self.nodes:
            match node:
                case Call():
                    yield from self._call(node)
                case Use():
                    yield from self._use(node)
                case Number():
                    yield from self._constant(node)
                case Name():
                    yield from self._name(node)
                case Index():
                    yield from self._index(node)

    def fillers(self) -> Iterator[Mutant]:
        """Further mistakes in the whole, for formulas with little inside."""
        whole = self.editor.part(self.formula.tree)
        is_zero = isinstance(whole.node, Number) and not whole.node.value
        plain = [name for name, shape in self.shapes.items() if shape is not None]
        for name in plain:
            other = named(name)
            yield self._whole(f"`{name}` is added", binary("+", whole, other))
            if not is_zero:
                yield self._whole(f"times `{name}`", binary("*", whole, other))
        yield self._whole("2 in its place", number(2))
        yield self._whole("-1 in its place", negative(number(1)))
        if not is_zero:
            yield self._whole("1 is added", binary("+", whole, number(1)))
            yield self._whole("1 is taken away", binary("-", whole, number(1)))
            yield self._whole("three times as much", binary("*", number(3), whole))
            yield self._whole("a third", binary("/", whole, number(3)))
        for name in plain:
            if not is_zero:
                yield self._whole(f"divided by `{name}`", binary("/", whole, named(name)))
            yield self._whole(f"`{name}` in its place", named(name))

    def _call(self, node: Call) -> Iterator[Mutant]:
        operands = [self.editor.part(argument) for argument in node.arguments]
        name = node.word.name
        mistakes = _MISTAKES.get(name)
        if mistakes is not None:
            yield from mistakes(self, node, *operands)
        for mean, other in (("sum", "mean"), ("mean", "sum"), ("nansum", "nanmean")):
            if name == mean and other in WORDS:
                yield self._instead(
                    node, self.editor.renamed(node, WORDS[other]), f"{other} for {name}"
                )
        yield from self._axis(node)

    def _use(self, node: Use) -> Iterator[Mutant]:
        """A definition of the file is a word, whatever it is made of."""
        name, arguments = node.definition.name, node.arguments
        written = [self.editor.part(argument).text for argument in arguments]
        for i in range(len(arguments) - 1):
            order = [*range(i), i + 1, i, *range(i + 2, len(arguments))]
            swapped = replace(node, arguments=tuple(arguments[at] for at in order))
            text = f"{name}({', '.join(written[at] for at in order)})"
            what = f"`{written[i]}` and `{written[i + 1]}` are swapped in {name}"
            yield self._instead(node, Part(swapped, text), what)

    def _axis(self, node: Call) -> Iterator[Mutant]:
        """Another axis than the one that is written."""
        for name, value in node.keywords:
            if name == "dim" and isinstance(value, Number) and isinstance(value.value, int):
                axis = 1 if value.value in (0, -1) else value.value - 1
                yield self._instead(value, number(axis), f"axis {axis} for {value.value}")

    def _constant(self, node: Number) -> Iterator[Mutant]:
        for other in (node.value + 1, node.value - 1):
            part = number(other) if other >= 0 else negative(number(-other))
            yield self._instead(node, part, f"{other} for {node.value}")

    def _name(self, node: Name) -> Iterator[Mutant]:
        for name in self._neighbours(node.name):
            yield self._instead(node, named(name), f"`{name}` for `{node.name}`")
        shape = self.shapes.get(node.name)
        if shape is not None and len(shape) == 2 and shape[0] == shape[1] > 1:
            yield self._instead(node, transposed(named(node.name)), f"`{node.name}` is transposed")

    def _neighbours(self, name: str) -> list[str]:
        """The next names of the same shape."""
        shape, names = self.shapes.get(name), list(self.shapes)
        if shape is None:
            return []
        at = names.index(name)
        alike = [n for n in names if n != name and self.shapes[n] == shape]
        return sorted(alike, key=lambda n: abs(names.index(n) - at))[:NEIGHBOURS]

    def _index(self, node: Index) -> Iterator[Mutant]:
        """The entry beside the one that is written."""
        for item in node.items:
            if isinstance(item, Number) and isinstance(item.value, int):
                before = [number(item.value - 1)] if item.value else []
                for part in (number(item.value + 1), *before):
                    yield self._instead(item, part, self._shifted(node, item, part))
            elif isinstance(item, (Name, Call)) and not self._is_mask(item):
                part = self.editor.part(item)
                for sign in "+-":
                    moved = binary(sign, part, number(1))
                    yield self._instead(item, moved, self._shifted(node, item, moved))

    def _is_mask(self, node: Node) -> bool:
        shape = self.shapes.get(node.name) if isinstance(node, Name) else ()
        return bool(shape)

    def _shifted(self, node: Index, item: Node, part: Part) -> str:
        whole = self.text[node.start : node.end]
        start, end = item.start - node.start, item.end - node.start
        return f"`{whole[:start]}{part.text}{whole[end:]}` for `{whole}`"

    def _whole(self, what: str, part: Part) -> Mutant:
        return self._instead(self.formula.tree, part, what)

    def _instead(self, node: Node, part: Part, what: str) -> Mutant:
        """The formula in which a part is another."""
        return Mutant(what, self.editor.instead(node, part))

    def sum_(self, node: Call, left: Part, right: Part) -> Iterator[Mutant]:
        for dropped, kept in ((left, right), (right, left)):
            if dropped is left and node.word.name == "sub":
                kept = negative(kept)
            yield self._instead(node, kept, f"the term `{dropped.text}` is dropped")
        sign = "+" if node.word.name == "add" else "-"
        other = "-" if sign == "+" else "+"
        yield self._instead(node, binary(other, left, right), f"{other} for {sign}")
        for term in (left, right):
            twice = binary("*", number(2), term)
            yield self._instead(term.node, twice, f"the term `{term.text}` counts twice")
        if sign == "-":
            yield self._instead(node, binary("-", right, left), "the terms are swapped")

    def product(self, node: Call, left: Part, right: Part) -> Iterator[Mutant]:
        for dropped, kept in ((left, right), (right, left)):
            yield self._instead(node, kept, f"the factor `{dropped.text}` is dropped")
        yield self._instead(node, binary("/", left, right), "/ for *")
        for factor in (left, right):
            square = binary("*", factor, factor)
            yield self._instead(factor.node, square, f"the factor `{factor.text}` is there twice")

    def quotient(self, node: Call, left: Part, right: Part) -> Iterator[Mutant]:
        yield self._instead(node, left, f"the divisor `{right.text}` is dropped")
        yield self._instead(node, binary("*", left, right), "* for /")
        yield self._instead(node, binary("/", right, left), "the quotient is turned over")
        square = binary("*", right, right)
        yield self._instead(right.node, square, f"the divisor `{right.text}` is there twice")

    def power(self, node: Call, base: Part, exponent: Part) -> Iterator[Mutant]:
        if isinstance(exponent.node, Number):
            return  # that constant is one of those that are changed by 1
        for sign in "+-":
            other = binary(sign, exponent, number(1))
            yield self._instead(exponent.node, other, f"exponent `{other.text}`")

    def matrices(self, node: Call, left: Part, right: Part) -> Iterator[Mutant]:
        word = node.word.name
        is_operator = not self.text[node.start : node.end].startswith(word)
        other = binary("@", right, left) if is_operator else called(word, right, left)
        what = f"the operands of {'@' if is_operator else word} are swapped"
        yield self._instead(node, other, what)
        if word == "outer":
            return
        for factor in (left, right):
            name = factor.node.name if isinstance(factor.node, Name) else ""
            shape = self.shapes.get(name)
            is_square = shape is not None and len(shape) == 2 and shape[0] == shape[1]
            # What is square is transposed wherever it stands.
            is_matrix = shape is None or len(shape) >= 2
            if is_matrix and not is_square and not isinstance(factor.node, Call):
                what = f"`{factor.text}` is transposed"
                yield self._instead(factor.node, transposed(factor), what)

    def negation(self, node: Call, operand: Part) -> Iterator[Mutant]:
        if node is not self.formula.tree:  # whose sign is changed anyway
            yield self._instead(node, operand, f"the sign of `{operand.text}` is dropped")

    def dot(self, node: Call, left: Part, right: Part) -> Iterator[Mutant]:
        for dropped, kept in ((left, right), (right, left)):
            what = f"the factor `{dropped.text}` is dropped"
            yield self._instead(node, called("sum", kept), what)

    def einsum(self, node: Call, *operands: Part) -> Iterator[Mutant]:
        """Two letters of an operand, or of the result, in the other order."""
        for name, value in node.keywords:
            if name != "equation" or not isinstance(value, Literal):
                continue
            equation = str(value.value)
            for pair in re.finditer(r"[a-zA-Z]{2,}", equation):
                turned = pair[0][1] + pair[0][0] + pair[0][2:]
                other = f"{equation[: pair.start()]}{turned}{equation[pair.end() :]}"
                part = Part(Literal(0, 0, other), repr(other))
                yield self._instead(value, part, f"`{turned}` for `{pair[0]}` in einsum")

    def transpose(self, node: Call, operand: Part) -> Iterator[Mutant]:
        yield self._instead(node, operand, f"`{operand.text}` is not transposed")

    def choice(self, node: Call, condition: Part, *branches: Part) -> Iterator[Mutant]:
        for branch in branches:
            yield self._instead(node, branch, f"always the branch `{branch.text}`")
        for branch in branches:
            zero = number(0)
            if _bare(branch.text) != "0":
                yield self._instead(branch.node, zero, f"0 in the branch `{branch.text}`")


_MISTAKES: Final[dict[str, Callable[..., Iterator[Mutant]]]] = {
    "add": _Source.sum_,
    "sub": _Source.sum_,
    "mul": _Source.product,
    "div": _Source.quotient,
    "pow": _Source.power,
    "neg": _Source.negation,
    "matmul": _Source.matrices,
    "outer": _Source.matrices,
    "dot": _Source.dot,
    "einsum": _Source.einsum,
    "T": _Source.transpose,
    "mT": _Source.transpose,
    "where": _Source.choice,
}
