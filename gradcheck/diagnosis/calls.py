"""Changes of a call that is there: what else its word, or its arguments, may be meant to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, permutations
from typing import Final

from gradcheck.diagnosis.repairs import Repair, Repairer
from gradcheck.language.editing import Part, binary, called, negative, number, transposed
from gradcheck.language.tree import Call, Literal, Name, Number, with_node
from gradcheck.language.vocabulary import WORDS

MOST_ORDERS: Final = 24
"""Of an einsum's indices."""


class Calls(Repairer):
    """Makes repairs of calls, each by its word."""

    def of_call(self, node: Call) -> Iterator[Repair]:
        """A call of which the word or an argument is another."""
        parts = [self.editor.part(argument) for argument in node.arguments]
        name = node.word.name
        if name in _BY_WORD:
            yield from _BY_WORD[name](self, node, *parts)
        if name == "solve":
            yield self.turned(parts[0])
        if name in ("sum", "mean"):
            yield from self._reduced(node, parts)
        else:
            yield from self._axis(node)
        if name == "einsum":
            yield from self._indices(node)

    def _sum(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        is_sum = node.word.name == "add"
        yield self.instead(node, left, "extra_term", f"the term `{right.text}` is one too many")
        rest = right if is_sum else negative(right)
        yield self.instead(node, rest, "extra_term", f"the term `{left.text}` is one too many")
        other = binary("-" if is_sum else "+", left, right)
        text = f"the term `{right.text}` has the wrong sign"
        yield self.instead(node, other, "wrong_sign_of_a_term", text)
        text = f"the term `{left.text}` has the wrong sign"
        turned = binary("-", right, left) if is_sum else negative(binary("+", left, right))
        yield self.instead(node, turned, "wrong_sign_of_a_term", text)

    def _negative(self, node: Call, part: Part) -> Iterator[Repair]:
        text = f"the sign of `{part.text}` is wrong"
        yield self.instead(node, part, "wrong_sign_of_a_term", text)

    def _product(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        for dropped, kept in ((left, right), (right, left)):
            text = f"the factor `{dropped.text}` is there once too often"
            yield self.instead(node, kept, _kind_of_factor(dropped), text)
        for two, part in ((left, right), (right, left)):
            if isinstance(two.node, Number) and two.node.value == 2:
                yield from self._twice(node, part)
        for factor, other in ((right, left), (left, right)):
            text = f"it is multiplied by `{factor.text}` where it is to be divided"
            turned = binary("/", other, factor)
            yield self.instead(node, turned, _kind_of_factor(factor), text)

    def _twice(self, node: Call, part: Part) -> Iterator[Repair]:
        """`A @ v + A.T @ v` where `2*A @ v` stands, as if A were symmetric."""
        if not isinstance(part.node, Call) or part.node.word.name not in _OF_MATRICES:
            return
        for argument in part.node.arguments:
            one = self.editor.part(argument)
            both = binary("+", part, _with_part(part, one, transposed(one, "T")))
            text = f"`{one.text}` is taken for symmetric"
            yield self.instead(node, both, "transposed", text)

    def _averaged(self, node: Call, matrix: Part) -> Iterator[Repair]:
        """`(A @ v + A.T @ v)/2` where `A @ v` stands."""
        part, turned = matrix, transposed(matrix, "T")
        if isinstance(matrix.node, Call) and matrix.node.word.name == "T":
            part = turned = self.editor.part(matrix.node.arguments[0])
        whole = self.editor.part(node)
        both = binary("/", binary("+", whole, _with_part(whole, matrix, turned)), number(2))
        yield self.instead(node, both, "transposed", f"`{part.text}` is taken for symmetric")

    def _quotient(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        kind = _kind_of_factor(right)
        text = f"it is divided by `{right.text}` once too often"
        if self._is_count(right):
            kind = "mean_for_sum"
            text = f"it is divided by `{right.text}`: a mean where the sum is meant"
        yield self.instead(node, left, kind, text)
        text = f"the factor `{left.text}` is there once too often"
        yield self.instead(node, binary("/", number(1), right), _kind_of_factor(left), text)
        kind = "wrong_constant" if isinstance(right.node, Number) else "missing_factor"
        text = f"it is divided by `{right.text}` where it is to be multiplied"
        yield self.instead(node, binary("*", left, right), kind, text)
        text = f"the quotient `{self.editor.part(node).text}` is upside down"
        yield self.instead(node, binary("/", right, left), "wrong_name", text)

    def _is_count(self, part: Part) -> bool:
        """Whether it is how many entries there are of something."""
        match part.node:
            case Number(value=value):
                return value in self.around.sizes
            case Name(name=name):
                return name in self.around.shapes and name not in self.around.factors
        return False

    def _power(self, node: Call, base: Part, exponent: Part) -> Iterator[Repair]:
        text = f"`{base.text}` is to be without an exponent"
        yield self.instead(node, base, "wrong_constant", text)

    def _matrices(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        word = node.word.name
        whole = self.editor.part(node).text
        is_operator = not whole.startswith(word)
        for part in (left, right) if word != "outer" else ():
            if not (isinstance(part.node, Call) and part.node.word.name in ("T", "mT")):
                yield self.turned(part)
        if word == "matmul":
            for part in (left, right):
                yield from self._averaged(node, part)
        swapped = binary("@", right, left) if is_operator else called(word, right, left)
        yield self.instead(node, swapped, "transposed", f"the operands of `{whole}` are swapped")
        for dropped, kept in ((left, right), (right, left)):
            text = f"the factor `{dropped.text}` is there once too often"
            yield self.instead(node, kept, "extra_factor", text)

    def _transpose(self, node: Call, part: Part) -> Iterator[Repair]:
        yield self.instead(node, part, "transposed", f"`{part.text}` is not to be transposed")

    def _choice(self, node: Call, condition: Part, *branches: Part) -> Iterator[Repair]:
        for branch in branches:
            text = f"it is to be `{branch.text}` everywhere, not only in one case"
            yield self.instead(node, branch, "lost_outside", text)
        if len(branches) == 2:
            first, second = branches
            swapped = called("where", condition, second, first)
            text = "the branches of `where` are swapped"
            yield self.instead(node, swapped, "lost_outside", text)
            for branch, turned in (
                (first, called("where", condition, negative(first), second)),
                (second, called("where", condition, first, negative(second))),
            ):
                text = f"the sign of the branch `{branch.text}` is wrong"
                yield self.instead(node, turned, "wrong_sign_of_a_term", text)

    def _reduced(self, node: Call, parts: list[Part]) -> Iterator[Repair]:
        """A sum or a mean that is the other, is over other axes, or is one too many."""
        word = node.word.name
        other = "mean" if word == "sum" else "sum"
        part = self.editor.renamed(node, WORDS[other])
        text = f"`{self.editor.part(node).text}` is a {word} where the {other} is meant"
        yield self.instead(node, part, f"{word}_for_{other}", text)
        text = f"the {word} of `{parts[0].text}` is one too many"
        yield self.instead(node, parts[0], "reduction", text)
        for over, how in self.reductions(word, parts[0]):
            text = f"`{self.editor.part(node).text}` is over the wrong entries, it belongs {how}"
            yield self.instead(node, over, "reduction", text)

    def _axis(self, node: Call) -> Iterator[Repair]:
        """Another axis than the one that is written, of any other word."""
        for name, value in node.keywords:
            if name == "dim" and isinstance(value, Number):
                for (axis,) in (axes for axes in self.axes if len(axes) == 1):
                    text = f"`{self.editor.part(node).text}` is along axis {value.value}"
                    text += f", it belongs along axis {axis}"
                    yield self.instead(value, number(axis), "reduction", text)

    def _indices(self, node: Call) -> Iterator[Repair]:
        """Another order of an einsum's indices."""
        for name, value in node.keywords:
            if name == "equation" and isinstance(value, Literal):
                inputs, _, output = str(value.value).replace(" ", "").partition("->")
                for order in islice(permutations(output), 1, MOST_ORDERS):
                    equation = f"{inputs}->{''.join(order)}"
                    other = Part(Literal(0, 0, equation), repr(equation))
                    text = "its indices stand in the wrong order"
                    yield self.instead(value, other, "transposed", text)


def _with_part(whole: Part, old: Part, new: Part) -> Part:
    """A part of the formula in which a part of it is another."""
    start, end = old.node.start - whole.node.start, old.node.end - whole.node.start
    text = whole.text[:start] + new.text + whole.text[end:]
    return Part(with_node(whole.node, old.node, new.node), text)


def _kind_of_factor(factor: Part) -> str:
    return "wrong_constant" if isinstance(factor.node, Number) else "extra_factor"


_OF_MATRICES: Final = ("matmul", "solve", "inv")
_BY_WORD: Final[dict[str, Callable[..., Iterator[Repair]]]] = {
    "add": Calls._sum,
    "sub": Calls._sum,
    "neg": Calls._negative,
    "mul": Calls._product,
    "div": Calls._quotient,
    "pow": Calls._power,
    "matmul": Calls._matrices,
    "outer": Calls._matrices,
    "T": Calls._transpose,
    "mT": Calls._transpose,
    "where": Calls._choice,
}
