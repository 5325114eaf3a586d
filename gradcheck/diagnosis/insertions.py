"""What may have been left out of a formula."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.diagnosis.constants import is_constant
from gradcheck.diagnosis.repairs import Repair, Repairer
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.language.editing import Part, binary, called, named, negative, number, transposed
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Index, Literal, Name, Node, Number, Slice, values_of


def insertions(formula: Expression, around: Surroundings) -> Iterator[Repair]:
    """What may be missing around each part."""
    yield from _Insertions(formula, around).repairs()


class _Insertions(Repairer):
    """Makes repairs with something more."""

    def __init__(self, formula: Expression, around: Surroundings) -> None:
        super().__init__(formula, around)
        self.exponents = {id(call.arguments[0]) for call in self.calls("exp")}
        self.signs = {
            id(below) for call in self.calls("sign") for below in values_of(call.arguments[0])
        }

    def repairs(self) -> Iterator[Repair]:
        """What may be missing around each part: a factor, a term, a transpose, a sum, a mask."""
        parts = [self.editor.part(node) for node in self.nodes if not self._is_plain(node)]
        for part in parts:
            if id(part.node) not in self.signs:
                yield from self._multiplied(part)
            yield from self._slopes(part)
        for part in parts:
            if not isinstance(part.node, Number):
                yield from self._added(part)
                yield from self._altered(part)
        for part in parts:
            if not isinstance(part.node, Number):
                yield from self._masked(part)
                yield from self._summed(part)

    def _is_plain(self, node: Node) -> bool:
        """Whether it is a number within a formula, and not a 1 that something may stand for."""
        if node is self.formula.tree or not isinstance(node, (Literal, Number)):
            return False
        return not (isinstance(node, Number) and node.value == 1)

    def _multiplied(self, part: Part) -> Iterator[Repair]:
        own = part.node.name if isinstance(part.node, Name) else ""
        for name in self.around.factors:
            if name == own or name in self.around.flags:
                continue
            is_number = self._is_number(name)
            kind = "wrong_constant" if is_number else "missing_factor"
            for factor in self._factors(name):
                text = f"the factor `{factor.text}` is missing"
                yield self.instead(part.node, binary("*", part, factor), kind, text)
            # What is not divided by a value has it as a factor too many.
            kind = "wrong_constant" if is_number else "extra_factor"
            text = f"a division by `{name}` is missing"
            divided = binary("/", part, self.value(name))
            yield self.instead(part.node, divided, kind, text)
            if self.dimensions(name) == 2 and not self._is_link(name):
                for matrix in (named(name), transposed(named(name), "T")):
                    text = f"the factor `{matrix.text}` is missing"
                    for product in (binary("@", matrix, part), binary("@", part, matrix)):
                        yield self.instead(part.node, product, "missing_factor", text)

    def _factors(self, name: str) -> Iterator[Part]:
        """A value as a factor of its like, and of the rows of a matrix."""
        value = self.value(name)
        yield value
        if self.dimensions(name) == 1:
            index = Index(0, 0, value.node, (Slice(0, 0, (None, None, None)), Literal(0, 0, None)))
            yield Part(index, f"{name}[:, None]")

    def _slopes(self, part: Part) -> Iterator[Repair]:
        """What is often a factor: 1 - y of a sigmoid y, 1 - y**2 of a tanh, a sign."""
        for name in self.around.factors:
            value = self.value(name)
            if name in self.around.signed:
                signed = binary("*", part, called("sign", value))
                text = f"the sign of `{name}` is missing as a factor"
                yield self.instead(part.node, signed, "sign_where_negative", text)
            if self._is_link(name) or name not in self.around.varying:
                continue
            yield from self._sloped(part, value)
        for value in (self.around.after or {}).values():
            yield from self._sloped(part, value)

    def _sloped(self, part: Part, value: Part) -> Iterator[Repair]:
        for less in (value, binary("**", value, number(2))):
            factor = binary("-", number(1), less)
            text = f"the factor `{factor.text}` is missing"
            yield self.instead(part.node, binary("*", part, factor), "missing_factor", text)

    def _added(self, part: Part) -> Iterator[Repair]:
        """A term that is missing: 1, or a value."""
        values = [self.value(name) for name in self.around.factors if not self._is_link(name)]
        terms = [term for term in (number(1), *values) if term.text != part.text]
        for term in terms:
            for sign in "+-":
                shown = term.text if sign == "+" else f"-{term.text}"
                text = f"the term `{shown}` is missing"
                kind = "missing_term"
                if id(part.node) in self.exponents:
                    text = f"the {'factor' if sign == '+' else 'division by'} `exp({term.text})`"
                    text += " is missing"
                    kind = "missing_factor" if sign == "+" else "extra_factor"
                yield self.instead(part.node, binary(sign, part, term), kind, text)

    def _altered(self, part: Part) -> Iterator[Repair]:
        """A part with another sign, transposed, or in a word that is missing."""
        node = part.node
        if node is not self.formula.tree:
            text = f"the sign of `{part.text}` is wrong"
            yield self.instead(node, negative(part), "wrong_sign_of_a_term", text)
        if isinstance(node, Name):
            text = f"`{part.text}` stands where `1 - {part.text}` belongs"
            yield self.instead(node, binary("-", number(1), part), "wrong_name", text)
        dimensions = self.dimensions(node.name) if isinstance(node, Name) else None
        if dimensions is None or dimensions > 1:
            yield self.turned(part)
        if dimensions == 2:
            both = binary("/", binary("+", part, transposed(part, "T")), number(2))
            yield self.instead(node, both, "transposed", f"`{part.text}` is taken for symmetric")
        for word, other, kind in (
            ("absolute value", called("abs", part), "sign_where_negative"),
            ("square root", called("sqrt", part), "wrong_constant"),
            ("square", binary("**", part, number(2)), "wrong_constant"),
        ):
            text = f"the {word} of `{part.text}` is missing"
            yield self.instead(node, other, kind, text)

    def _masked(self, part: Part) -> Iterator[Repair]:
        for condition in self.around.conditions:
            for masked, how in (
                (called("where", condition, part, number(0)), "is not true"),
                (called("where", condition, number(0), part), "is true"),
            ):
                text = f"`{part.text}` is to be 0 where `{condition.text}` {how}"
                yield self.instead(part.node, masked, "lost_outside", text)

    def _summed(self, part: Part) -> Iterator[Repair]:
        for word in ("sum", "mean"):
            for over, how in self.reductions(word, part):
                text = f"the {word} of `{part.text}` {how} is missing"
                yield self.instead(part.node, over, "reduction", text)

    def _is_number(self, name: str) -> bool:
        """Whether it is made of numbers alone, such as `sqrt(2)`."""
        return name in self.around.parts and is_constant(self.around.parts[name])

    def _is_link(self, name: str) -> bool:
        return "/" in name and name not in self.around.parts
