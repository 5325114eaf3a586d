"""Changes of parts of a formula that are there."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from gradcheck.diagnosis.calls import Calls
from gradcheck.diagnosis.choices import COMPARISONS
from gradcheck.diagnosis.constants import signed
from gradcheck.diagnosis.everywhere import everywhere
from gradcheck.diagnosis.repairs import PRODUCTS, Repair
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.language.editing import Part, named, negative, number
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Index, Name, Node, Number, values_of

_ARITHMETIC: Final = (*PRODUCTS, "mul", "div", "pow", "add", "sub", "neg")


def changes(formula: Expression, around: Surroundings) -> Iterator[Repair]:
    """Of one part each, then of all that are alike."""
    yield from _Changes(formula, around).repairs()
    yield from everywhere(formula, around)


class _Changes(Calls):
    """Makes repairs of one part each."""

    def __init__(self, formula: Expression, around: Surroundings) -> None:
        super().__init__(formula, around)
        compared = {id(below) for one in self.calls(*COMPARISONS) for below in values_of(one)}
        called = {
            id(argument)
            for node in self.nodes
            if isinstance(node, Call) and node.word.name not in _ARITHMETIC
            for argument in node.arguments
        }
        self.no_factors = compared | called

    def repairs(self) -> Iterator[Repair]:
        """Part by part."""
        for node in self.nodes:
            yield from self._too_late(node)
            match node:
                case Call():
                    yield from self.of_call(node)
                case Number():
                    yield from self._number(node)
                case Name():
                    yield from self._name(node)
                case Index():
                    yield from self._index(node)

    def _too_late(self, node: Node) -> Iterator[Repair]:
        """The state after a step, written out, where that before it is meant."""
        written = "".join(self.editor.part(node).text.split())
        for name, after in (self.around.after or {}).items():
            if written == "".join(after.text.split()):
                text = f"`{after.text}` is the state after the step, that before it is meant"
                yield self.instead(node, named(name), "off_by_one_step", text)

    def _number(self, node: Number) -> Iterator[Repair]:
        value = node.value
        for other in dict.fromkeys((value + 1, value - 1, 2 * value, Decimal(value) / 2)):
            if other != value:
                part = signed(other)
                text = f"the constant {value} is to be {part.text}"
                yield self.instead(node, part, "wrong_constant", text)
        text = f"the sign of {value} is wrong"
        yield self.instead(node, negative(number(value)), "wrong_sign_of_a_term", text)

    def _name(self, node: Name) -> Iterator[Repair]:
        shape = self.around.shapes.get(node.name)
        if self.around.after and node.name in self.around.after:
            part = self.around.after[node.name]
            text = f"`{node.name}` is that before the step, that after it is meant"
            yield self.instead(node, part, "off_by_one_step", text)
        if id(node) not in self.no_factors:
            text = f"the factor `{node.name}` is there once too often"
            yield self.instead(node, number(1), "extra_factor", text)
        others = sorted(self.around.shapes, key=lambda name: self.around.shapes[name] != shape)
        for name in others:
            if name != node.name:
                text = f"`{node.name}` stands where `{name}` belongs"
                meant = self.kind_of_name(node.name, name)
                yield self.instead(node, named(name), "wrong_name", text, meant)

    def _index(self, node: Index) -> Iterator[Repair]:
        whole = self.editor.part(node).text
        for item in node.items:
            if isinstance(item, Number) and isinstance(item.value, int):
                for step in (1, -1):
                    if item.value + step >= 0:
                        yield self._shifted(node, item, number(item.value + step), whole)
            elif isinstance(item, (Name, Call)):
                for part in self.beside(item):
                    yield self._shifted(node, item, part, whole)

    def _shifted(self, node: Index, item: Node, part: Part, whole: str) -> Repair:
        start, end = item.start - node.start, item.end - node.start
        meant = f"{whole[:start]}{part.text}{whole[end:]}"
        text = f"`{whole}` is of the step beside: `{meant}` is meant"
        return self.instead(item, part, "off_by_one_step", text)
