"""The nodes of an expression's syntax tree.

What they mean is the business of `gradcheck.language.expression`. Offsets count characters of the
text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from gradcheck.language.word import Word

if TYPE_CHECKING:
    from gradcheck.language.expression import Definition


@dataclass(frozen=True, slots=True)
class Number:
    """A number, exactly as written."""

    start: int
    end: int
    value: int | Decimal


@dataclass(frozen=True, slots=True)
class Literal:
    """None, True, False, `...` or a string."""

    start: int
    end: int
    value: object


@dataclass(frozen=True, slots=True)
class Name:
    """A value of the case, a definition's argument, or a link `dA/dB`."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list or a tuple."""

    start: int
    end: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A word applied to values; operators are words too."""

    start: int
    end: int
    word: Word
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """A definition of the file applied to values."""

    start: int
    end: int
    definition: Definition
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop:step` in an index."""

    start: int
    end: int
    bounds: tuple[Node | None, Node | None, Node | None]


@dataclass(frozen=True, slots=True)
class Index:
    """value[items]."""

    start: int
    end: int
    value: Node
    items: tuple[Node, ...]


Node = Number | Literal | Name | Items | Call | Use | Slice | Index


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> tuple[Node, ...]:
    """What stands directly below a node, in the order of the text."""
    match node:
        case Call():
            return (*node.arguments, *(value for _, value in node.keywords))
        case Use():
            return node.arguments
        case Items():
            return node.items
        case Index():
            return (node.value, *node.items)
        case Slice():
            return tuple(bound for bound in node.bounds if bound is not None)
    return ()


def with_node(tree: Node, old: Node, new: Node) -> Node:
    """The tree in which one node, itself and not its like, is another; the same where it has none.

    What is not above it is shared.
    """
    if tree is old:
        return new

    def inside(node: Node) -> Node:
        return with_node(node, old, new)

    match tree:
        case Call():
            arguments = tuple(map(inside, tree.arguments))
            keywords = tuple((name, inside(value)) for name, value in tree.keywords)
            changed: Node = replace(tree, arguments=arguments, keywords=keywords)
        case Use():
            changed = replace(tree, arguments=tuple(map(inside, tree.arguments)))
        case Items():
            changed = replace(tree, items=tuple(map(inside, tree.items)))
        case Index():
            changed = replace(tree, value=inside(tree.value), items=tuple(map(inside, tree.items)))
        case Slice():
            lower, upper, step = (bound and inside(bound) for bound in tree.bounds)
            changed = replace(tree, bounds=(lower, upper, step))
        case _:
            return tree
    is_same = all(a is b for a, b in zip(children(tree), children(changed), strict=True))
    return tree if is_same else changed


def values_of(node: Node) -> Iterator[Node]:
    """The node and all below it that is a value, in the order of the text: no setting of a word."""
    yield node
    if not isinstance(node, Call):
        below = children(node)
    elif node.word.creates:
        return
    else:
        values = {parameter.name for parameter in node.word.parameters if parameter.is_value}
        settings = (value for name, value in node.keywords if name in values)
        below = (*node.arguments, *settings)
    for child in below:
        yield from values_of(child)
