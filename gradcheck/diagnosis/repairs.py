"""A changed formula, and what makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.language.editing import (
    Editor,
    Part,
    all_instead,
    binary,
    called,
    named,
    number,
    reduced,
    transposed,
)
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Index, Name, Node, values_of

LONGEST: Final = 90
"""Characters of a mended formula that is shown."""
AXES: Final = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
"""Over which something may be added up."""
MORE_AXES: Final = ((3,), (0, 3), (1, 3), (2, 3), (0, 1, 2), (0, 2, 3))
"""The same where something has four dimensions."""
PRODUCTS: Final = ("matmul", "outer", "einsum", "tensordot", "kron")


@dataclass(frozen=True, slots=True, eq=False)
class Repair:
    """A changed formula; if it is right, the mistake is of this `kind`, as the `text` says.

    Another name may be `meant` to say something more, where nothing else makes it right.
    """

    kind: str
    text: str
    expression: Expression
    meant: str = ""


class Repairer:
    """Makes repairs of a formula; `nodes` are its parts, but for what stands in an index."""

    def __init__(self, formula: Expression, around: Surroundings) -> None:
        self.formula = formula
        self.around = around
        self.editor = Editor(formula)
        positions = {
            id(below)
            for node in values_of(formula.tree)
            if isinstance(node, Index)
            for item in node.items
            for below in values_of(item)
        }
        self.nodes = [node for node in values_of(formula.tree) if id(node) not in positions]
        self.names = [node for node in self.nodes if isinstance(node, Name)]
        has_four = any(len(shape or ()) > 3 for shape in around.shapes.values())
        self.axes = (*AXES, *MORE_AXES) if has_four else AXES

    def calls(self, *words: str) -> list[Call]:
        """The parts that are calls of one of these words."""
        return [node for node in self.nodes if isinstance(node, Call) and node.word.name in words]

    def instead(self, node: Node, part: Part, kind: str, text: str, meant: str = "") -> Repair:
        """Something else in the place of a part."""
        changed = self.editor.instead(node, part)
        return Repair(kind, _shown(text, changed), changed, meant)

    def all_instead(
        self, pairs: Sequence[tuple[Node, Part]], kind: str, text: str, meant: str = ""
    ) -> Repair:
        """Something else in the place of each of several parts."""
        changed = all_instead(self.formula, pairs)
        return Repair(kind, _shown(text, changed), changed, meant)

    def turned(self, part: Part) -> Repair:
        """A part that is to be transposed."""
        is_batch = isinstance(part.node, Name) and self.dimensions(part.node.name) > 2
        turned = transposed(part) if is_batch else transposed(part, "T")
        return self.instead(part.node, turned, "transposed", f"`{part.text}` is to be transposed")

    def reductions(self, word: str, part: Part) -> Iterator[tuple[Part, str]]:
        """A part added up, or averaged, over everything and over some axes."""
        yield called(word, part), "over all"
        for axes in self.axes:
            *others, last = axes
            how = f"over axes {', '.join(map(str, others))} and {last}" if others else ""
            how = how or f"over axis {last}"
            for kept in (False, True):
                yield reduced(word, part, axes, kept=kept), how

    def beside(self, item: Node) -> Iterator[Part]:
        """The steps beside one that is written as a name, or as a sum with a number."""
        part = self.editor.part(item)
        if isinstance(item, Call) and item.word.name in ("add", "sub"):
            yield self.editor.part(item.arguments[0])
        for sign in "+-":
            yield binary(sign, part, number(1))

    def dimensions(self, name: str) -> int:
        """How many a value has, 0 where that is not known."""
        return len(self.around.shapes.get(name) or ())

    def value(self, name: str) -> Part:
        """A factor, by how it is written."""
        return self.around.parts.get(name) or named(name)

    def kind_of_name(self, written: str, meant: str) -> str:
        """What the line that is meant does to the other, or undoes, is a factor."""
        if kind := self.around.makes.get((written, meant)):
            return kind
        if (meant, written) in self.around.makes:
            return "extra_factor"
        if ("/" in written) != ("/" in meant):
            return "missing_factor" if "/" in meant else "extra_factor"
        return "off_by_one_step" if _stem(written) == _stem(meant) else "wrong_name"


def _stem(name: str) -> str:
    """`h` of `h_next` and `h_prev`."""
    return re.sub("_(next|new|prev|previous|last|old|before|after)$", "", name)


def _shown(text: str, mended: Expression) -> str:
    """With the mended formula, unless that is long."""
    is_short = len(mended.text) <= LONGEST
    return f"{text}: write `{mended.text}`" if is_short else text
