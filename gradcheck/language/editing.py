"""A formula in which a part is another: its tree and its text, changed together."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Items, Literal, Name, Node, Number, with_node
from gradcheck.language.vocabulary import WORDS
from gradcheck.language.word import Word


@dataclass(frozen=True, slots=True)
class Part:
    """A node, and how it is written."""

    node: Node
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Editor:
    """Makes further formulas of one."""

    formula: Expression

    def part(self, node: Node) -> Part:
        """A node of the formula as it is written there."""
        return Part(node, self.formula.text[node.start : node.end])

    @property
    def whole(self) -> Part:
        return self.part(self.formula.tree)

    def instead(self, node: Node, part: Part) -> Expression:
        """The formula in which one of its nodes is another, in parentheses where it needs them."""
        return all_instead(self.formula, [(node, part)])

    def renamed(self, node: Call, word: Word) -> Part:
        """A call of another word with the same arguments."""
        text = self.part(node).text.replace(node.word.name, word.name, 1)
        return Part(replace(node, word=word), text)


_LINK: Final = re.compile(r"d\w+/d\w+")
_OPENING: Final = ("", "(", "[", ",", "=")
_CLOSING: Final = ("", ")", "]", ",")
_OPERATORS: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow", "@": "matmul"}
_ONE_THING: Final = (
    *(ast.Name, ast.Constant, ast.Call, ast.Attribute),
    *(ast.Subscript, ast.List, ast.Tuple),
)


def binary(sign: str, left: Part, right: Part) -> Part:
    """left sign right."""
    text = f"{operand(left.text)} {sign} {operand(right.text)}"
    return Part(call(_OPERATORS[sign], left.node, right.node), text)


def called(word: str, *arguments: Part) -> Part:
    """word(arguments)."""
    text = f"{word}({', '.join(argument.text for argument in arguments)})"
    return Part(call(word, *(argument.node for argument in arguments)), text)


def call(word: str, *arguments: Node) -> Call:
    return Call(0, 0, WORDS[word], arguments)


def number(value: int | Decimal) -> Part:
    return Part(Number(0, 0, value), str(value))


def named(text: str) -> Part:
    return Part(Name(0, 0, text), text)


def negative(part: Part) -> Part:
    return Part(call("neg", part.node), f"-{operand(part.text)}")


def transposed(part: Part, word: str = "mT") -> Part:
    """That of the last two dimensions, or of a matrix: `T`."""
    text = f"({part.text})" if isinstance(part.node, Number) else operand(part.text)
    return Part(call(word, part.node), f"{text}.{word}")


def reduced(word: str, part: Part, axes: Sequence[int], *, kept: bool) -> Part:
    """A sum or a mean over axes, whose dimensions are kept or not."""
    numbers = tuple(number(axis) for axis in axes)
    dim = numbers[0]
    if len(numbers) > 1:
        items = Items(0, 0, tuple(one.node for one in numbers))
        dim = Part(items, f"[{', '.join(one.text for one in numbers)}]")
    keywords: list[tuple[str, Node]] = [("dim", dim.node)]
    text = f"{part.text}, {dim.text}"
    if kept:
        keywords.append(("keepdim", Literal(0, 0, True)))
        text += ", keepdim=True"
    return Part(Call(0, 0, WORDS[word], (part.node,), tuple(keywords)), f"{word}({text})")


def all_instead(formula: Expression, pairs: Sequence[tuple[Node, Part]]) -> Expression:
    """The formula in which several of its nodes, none inside of another, are others.

    Each is in parentheses where it needs them.
    """
    text, tree = formula.text, formula.tree
    for node, part in sorted(pairs, key=lambda pair: -pair[0].start):
        before, after = text[: node.start], text[node.end :]
        stands_alone = before.rstrip()[-1:] in _OPENING and after.lstrip()[:1] in _CLOSING
        written = part.text if stands_alone else operand(part.text)
        if isinstance(part.node, Number) and after.startswith("."):
            written = f"({part.text})"  # 1.T is no number
        text = before + written + after
        tree = with_node(tree, node, part.node)
    return Expression(text, tree, formula.file, formula.line)


def operand(text: str) -> str:
    """As it is written beside an operator: in parentheses, unless it is one thing."""
    if _LINK.fullmatch(text):
        return text  # it binds tighter than any operator
    try:
        kind = type(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        kind = ast.BinOp
    return text if kind in _ONE_THING else f"({text})"
