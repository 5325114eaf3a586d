"""Changes of a formula, each of which would mend one kind of mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import combinations, islice, permutations
from typing import Final

from gradcheck.diagnosis.choices import COMPARISONS
from gradcheck.language.editing import (
    Editor,
    Part,
    all_instead,
    binary,
    called,
    named,
    negative,
    number,
    reduced,
    transposed,
)
from gradcheck.language.expression import Expression
from gradcheck.language.tree import (
    Call,
    Index,
    Literal,
    Name,
    Node,
    Number,
    Slice,
    values_of,
    with_node,
)
from gradcheck.language.vocabulary import WORDS

LONGEST: Final = 90
"""Characters of a mended formula that is shown."""
AXES: Final = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
"""Over which something may be added up."""
MORE_AXES: Final = ((3,), (0, 3), (1, 3), (2, 3), (0, 1, 2), (0, 2, 3))
"""The same where something has four dimensions."""
MOST_SWAPPED: Final = 6
"""Names of which two may be swapped."""
MOST_ORDERS: Final = 24
"""Of an einsum's indices."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repair:
    """A changed formula; if it is right, the mistake is of this `kind`, as the `text` says.

    Another name may be `meant` to say something more, where nothing else makes it right.
    """

    kind: str
    text: str
    expression: Expression
    meant: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What a formula is written in.

    `shapes` are of values by name, None where that is not known; `factors` are names that may be
    factors, of which none is 1 everywhere; `conditions` are choices that the function makes;
    `sizes` are how many entries are added up somewhere; `parts` are those of `factors` that have no
    name, such as `norm(x)`, by their text, `signed` those of both signs and `varying` those that
    are not one number. In a recurrence `after` has the state's value after a step, by its name.
    """

    shapes: Mapping[str, Shape | None]
    factors: tuple[str, ...]
    conditions: tuple[Part, ...] = ()
    sizes: frozenset[int] = frozenset()
    after: Mapping[str, Part] | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    signed: frozenset[str] = frozenset()
    varying: frozenset[str] = frozenset()
    makes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()


def changes(formula: Expression, around: Surroundings) -> Iterator[Repair]:
    """Changes of parts that are there."""
    repairer = _Repairer(formula, around)
    yield from repairer.changes()
    yield from repairer.everywhere()


def insertions(formula: Expression, around: Surroundings) -> Iterator[Repair]:
    """What may have been left out."""
    yield from _Repairer(formula, around).insertions()


class _Repairer:
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
        has_four = any(len(shape or ()) > 3 for shape in around.shapes.values())
        self.axes = (*AXES, *MORE_AXES) if has_four else AXES
        self.compared = {
            id(below)
            for node in self.nodes
            if isinstance(node, Call) and node.word.name in COMPARISONS
            for below in values_of(node)
        }

        self.exponents = {
            id(node.arguments[0])
            for node in self.nodes
            if isinstance(node, Call) and node.word.name == "exp"
        }
        self.signs = {
            id(below)
            for node in self.nodes
            if isinstance(node, Call) and node.word.name == "sign"
            for below in values_of(node.arguments[0])
        }
        self.called = {
            id(argument)
            for node in self.nodes
            if isinstance(node, Call) and node.word.name not in _PRODUCTS_AND_QUOTIENTS
            for argument in node.arguments
        }

    def changes(self) -> Iterator[Repair]:
        for node in self.nodes:
            yield from self._too_late(node)
            match node:
                case Call():
                    yield from self._call(node)
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
                yield self._instead(node, named(name), "off_by_one_step", text)

    def _call(self, node: Call) -> Iterator[Repair]:
        parts = [self.editor.part(argument) for argument in node.arguments]
        name = node.word.name
        if name in _BY_WORD:
            yield from _BY_WORD[name](self, node, *parts)
        if name in ("solve", "solve_triangular"):
            yield self._turned(parts[0])
        if name in ("sum", "mean"):
            yield from self._reduced(node, parts)
        else:
            yield from self._axis(node)
        if name == "einsum":
            yield from self._indices(node)

    def _sum(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        is_sum = node.word.name == "add"
        yield self._instead(node, left, "extra_term", f"the term `{right.text}` is one too many")
        rest = right if is_sum else negative(right)
        yield self._instead(node, rest, "extra_term", f"the term `{left.text}` is one too many")
        other = binary("-" if is_sum else "+", left, right)
        text = f"the term `{right.text}` has the wrong sign"
        yield self._instead(node, other, "wrong_sign_of_a_term", text)
        text = f"the term `{left.text}` has the wrong sign"
        turned = binary("-", right, left) if is_sum else negative(binary("+", left, right))
        yield self._instead(node, turned, "wrong_sign_of_a_term", text)

    def _negative(self, node: Call, part: Part) -> Iterator[Repair]:
        text = f"the sign of `{part.text}` is wrong"
        yield self._instead(node, part, "wrong_sign_of_a_term", text)

    def _product(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        for dropped, kept in ((left, right), (right, left)):
            text = f"the factor `{dropped.text}` is there once too often"
            yield self._instead(node, kept, self._kind_of_factor(dropped), text)
        for two, part in ((left, right), (right, left)):
            if isinstance(two.node, Number) and two.node.value == 2:
                yield from self._twice(node, part)
        for factor, other in ((right, left), (left, right)):
            text = f"it is multiplied by `{factor.text}` where it is to be divided"
            turned = binary("/", other, factor)
            yield self._instead(node, turned, self._kind_of_factor(factor), text)

    def _twice(self, node: Call, part: Part) -> Iterator[Repair]:
        """`A @ v + A.T @ v` where `2*A @ v` stands, as if A were symmetric."""
        if not isinstance(part.node, Call) or part.node.word.name not in _OF_MATRICES:
            return
        for argument in part.node.arguments:
            one = self.editor.part(argument)
            both = binary("+", part, self._with_part(part, one, _turned(one)))
            text = f"`{one.text}` is taken for symmetric"
            yield self._instead(node, both, "transposed", text)

    def _averaged(self, node: Call, matrix: Part) -> Iterator[Repair]:
        """`(A @ v + A.T @ v)/2` where `A @ v` stands."""
        whole = self.editor.part(node)
        part = matrix
        if isinstance(part.node, Call) and part.node.word.name == "T":
            part = self.editor.part(part.node.arguments[0])
        other = self._with_part(whole, matrix, part if part is not matrix else _turned(part))
        both = binary("/", binary("+", whole, other), number(2))
        yield self._instead(node, both, "transposed", f"`{part.text}` is taken for symmetric")

    def _with_part(self, whole: Part, old: Part, new: Part) -> Part:
        """A part of the formula in which a part of it is another."""
        start, end = old.node.start - whole.node.start, old.node.end - whole.node.start
        text = whole.text[:start] + new.text + whole.text[end:]
        return Part(with_node(whole.node, old.node, new.node), text)

    def _kind_of_factor(self, factor: Part) -> str:
        return "wrong_constant" if isinstance(factor.node, Number) else "extra_factor"

    def _quotient(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        is_number = isinstance(right.node, Number)
        kind = "wrong_constant" if is_number else "extra_factor"
        text = f"it is divided by `{right.text}` once too often"
        if self._is_count(right):
            kind = "mean_for_sum"
            text = f"it is divided by `{right.text}`: a mean where the sum is meant"
        yield self._instead(node, left, kind, text)
        text = f"the factor `{left.text}` is there once too often"
        yield self._instead(node, binary("/", number(1), right), self._kind_of_factor(left), text)
        kind = "wrong_constant" if is_number else "missing_factor"
        text = f"it is divided by `{right.text}` where it is to be multiplied"
        yield self._instead(node, binary("*", left, right), kind, text)
        text = f"the quotient `{self.editor.part(node).text}` is upside down"
        yield self._instead(node, binary("/", right, left), "wrong_name", text)

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
        yield self._instead(node, base, "wrong_constant", text)

    def _matrices(self, node: Call, left: Part, right: Part) -> Iterator[Repair]:
        word = node.word.name
        whole = self.editor.part(node).text
        is_operator = not whole.startswith(word)
        for part in (left, right) if word != "outer" else ():
            if not (isinstance(part.node, Call) and part.node.word.name in ("T", "mT")):
                yield self._turned(part)
        if word == "matmul":
            for part in (left, right):
                yield from self._averaged(node, part)
        swapped = binary("@", right, left) if is_operator else called(word, right, left)
        yield self._instead(node, swapped, "transposed", f"the operands of `{whole}` are swapped")
        for dropped, kept in ((left, right), (right, left)):
            text = f"the factor `{dropped.text}` is there once too often"
            yield self._instead(node, kept, "extra_factor", text)

    def _turned(self, part: Part) -> Repair:
        """A part that is to be transposed."""
        shape = self.around.shapes.get(part.node.name) if isinstance(part.node, Name) else None
        turned = transposed(part) if shape and len(shape) > 2 else transposed(part, "T")
        return self._instead(part.node, turned, "transposed", f"`{part.text}` is to be transposed")

    def _transpose(self, node: Call, part: Part) -> Iterator[Repair]:
        yield self._instead(node, part, "transposed", f"`{part.text}` is not to be transposed")

    def _choice(self, node: Call, condition: Part, *branches: Part) -> Iterator[Repair]:
        for branch in branches:
            text = f"it is to be `{branch.text}` everywhere, not only in one case"
            yield self._instead(node, branch, "lost_outside", text)
        if len(branches) == 2:
            swapped = called("where", condition, branches[1], branches[0])
            text = "the branches of `where` are swapped"
            yield self._instead(node, swapped, "lost_outside", text)
            first, second = branches
            for branch, turned in (
                (first, called("where", condition, negative(first), second)),
                (second, called("where", condition, first, negative(second))),
            ):
                text = f"the sign of the branch `{branch.text}` is wrong"
                yield self._instead(node, turned, "wrong_sign_of_a_term", text)

    def _reduced(self, node: Call, parts: list[Part]) -> Iterator[Repair]:
        """A sum or a mean that is the other, is over other axes, or is one too many."""
        word = node.word.name
        other = "mean" if word == "sum" else "sum"
        part = self.editor.renamed(node, WORDS[other])
        text = f"`{self.editor.part(node).text}` is a {word} where the {other} is meant"
        yield self._instead(node, part, f"{word}_for_{other}", text)
        text = f"the {word} of `{parts[0].text}` is one too many"
        yield self._instead(node, parts[0], "reduction", text)
        for over, how in self._reductions(word, parts[0]):
            text = f"`{self.editor.part(node).text}` is over the wrong entries, it belongs {how}"
            yield self._instead(node, over, "reduction", text)

    def _reductions(self, word: str, part: Part) -> Iterator[tuple[Part, str]]:
        """A part added up, or averaged, over everything and over some axes."""
        yield called(word, part), "over all"
        for axes in self.axes:
            *others, last = axes
            how = f"over axes {', '.join(map(str, others))} and {last}" if others else ""
            how = how or f"over axis {last}"
            for kept in (False, True):
                yield reduced(word, part, axes, kept=kept), how

    def _axis(self, node: Call) -> Iterator[Repair]:
        """Another axis than the one that is written, of any other word."""
        for name, value in node.keywords:
            if name == "dim" and isinstance(value, Number):
                for (axis,) in (axes for axes in self.axes if len(axes) == 1):
                    text = f"`{self.editor.part(node).text}` is along axis {value.value}"
                    text += f", it belongs along axis {axis}"
                    yield self._instead(value, number(axis), "reduction", text)

    def _indices(self, node: Call) -> Iterator[Repair]:
        """Another order of an einsum's indices."""
        for name, value in node.keywords:
            if name == "equation" and isinstance(value, Literal):
                inputs, _, output = str(value.value).replace(" ", "").partition("->")
                for order in islice(permutations(output), 1, MOST_ORDERS):
                    equation = f"{inputs}->{''.join(order)}"
                    other = Part(Literal(0, 0, equation), repr(equation))
                    text = "its indices stand in the wrong order"
                    yield self._instead(value, other, "transposed", text)

    def _number(self, node: Number) -> Iterator[Repair]:
        value = node.value
        for other in dict.fromkeys((value + 1, value - 1, 2 * value, Decimal(value) / 2)):
            if other != value:
                part = number(other) if other >= 0 else negative(number(-other))
                text = f"the constant {value} is to be {part.text}"
                yield self._instead(node, part, "wrong_constant", text)
        text = f"the sign of {value} is wrong"
        yield self._instead(node, negative(number(value)), "wrong_sign_of_a_term", text)

    def everywhere(self) -> Iterator[Repair]:
        """What is another wherever it stands: a name, two names, a word, what is transposed."""
        yield from self._words_everywhere()
        yield from self._axes_everywhere()
        yield from self._names_swapped()
        yield from self._transposes_swapped()
        yield from self._turned_everywhere()
        yield from self._slices_everywhere()
        yield from self._steps_everywhere()
        yield from self._names_everywhere()

    def _words_everywhere(self) -> Iterator[Repair]:
        for word, other in (("sum", "mean"), ("mean", "sum")):
            found = [n for n in self.nodes if isinstance(n, Call) and n.word.name == word]
            if len(found) > 1:
                pairs = [(node, self.editor.renamed(node, WORDS[other])) for node in found]
                text = f"there are {word}s where {other}s are meant"
                yield self._all_instead(pairs, f"{word}_for_{other}", text)

    def _axes_everywhere(self) -> Iterator[Repair]:
        """All sums, or means, over other entries."""
        for word in ("sum", "mean"):
            found = [n for n in self.nodes if isinstance(n, Call) and n.word.name == word]
            if len(found) > 1:
                each = [
                    list(self._reductions(word, self.editor.part(n.arguments[0]))) for n in found
                ]
                for ways in zip(*each, strict=True):
                    pairs = [(node, over) for node, (over, _) in zip(found, ways, strict=True)]
                    text = f"each {word} is over the wrong entries, it belongs {ways[0][1]}"
                    yield self._all_instead(pairs, "reduction", text)

    def _names_swapped(self) -> Iterator[Repair]:
        """Two names, each in the place of the other."""
        names = dict.fromkeys(node.name for node in self.nodes if isinstance(node, Name))
        for one, other in combinations(list(names)[:MOST_SWAPPED], 2):
            pairs = [
                (node, named(other if node.name == one else one))
                for node in self.nodes
                if isinstance(node, Name) and node.name in (one, other)
            ]
            is_product = any(isinstance(n, Call) and n.word.name in _PRODUCTS for n in self.nodes)
            text = f"`{one}` and `{other}` are swapped"
            yield self._all_instead(pairs, "transposed" if is_product else "wrong_name", text)

    def _transposes_swapped(self) -> Iterator[Repair]:
        """`A.T @ B @ A` for `A @ B @ A.T`: what is transposed, and what is not."""
        turned = [n for n in self.nodes if isinstance(n, Call) and n.word.name in ("T", "mT")]
        for node in turned:
            inner = self.editor.part(node.arguments[0])
            alike = [
                other
                for other in self.nodes
                if self.editor.part(other).text == inner.text
                and not any(node.start <= other.start < node.end for node in turned)
            ]
            if alike:
                pairs = [(node, inner), *((one, transposed(inner, "T")) for one in alike)]
                text = f"the wrong one of `{inner.text}` and `{inner.text}.T` stands in each place"
                yield self._all_instead(pairs, "transposed", text)

    def _turned_everywhere(self) -> Iterator[Repair]:
        """What stands more than once, transposed in each place."""
        alike: dict[str, list[Part]] = {}
        matrices: dict[str, Part] = {}
        for node in self.nodes:
            if isinstance(node, (Call, Name)):
                part = self.editor.part(node)
                alike.setdefault(part.text, []).append(part)
            if isinstance(node, Name) and len(self.around.shapes.get(node.name) or ()) == 2:
                matrices.setdefault(node.name, self.editor.part(node))
        for one, other in combinations(list(matrices.values())[:MOST_SWAPPED], 2):
            pairs = [(part.node, transposed(part, "T")) for part in (one, other)]
            text = f"`{one.text}` and `{other.text}` are to be transposed"
            yield self._all_instead(pairs, "transposed", text)
        for text, parts in alike.items():
            if len(parts) > 1:
                pairs = [(part.node, transposed(part, "T")) for part in parts]
                yield self._all_instead(
                    pairs, "transposed", f"`{text}` is to be transposed everywhere"
                )

    def _slices_everywhere(self) -> Iterator[Repair]:
        """All of the values of which parts are taken."""
        sliced = [
            node
            for node in self.nodes
            if isinstance(node, Index) and all(isinstance(item, Slice) for item in node.items)
        ]
        if sliced:
            pairs = [(node, self.editor.part(node.value)) for node in sliced]
            text = f"only the part `{self.editor.part(sliced[0]).text}` counts, the rest is missing"
            yield self._all_instead(pairs, "missing_term", text)

    def _steps_everywhere(self) -> Iterator[Repair]:
        """The step beside, in each place where a step is written so."""
        alike: dict[str, list[Node]] = {}
        for node in self.nodes:
            for item in node.items if isinstance(node, Index) else ():
                if isinstance(item, (Name, Call)):
                    alike.setdefault(self.editor.part(item).text, []).append(item)
        for text, items in alike.items():
            if len(items) < 2:
                continue
            for meant in self._beside(items[0]):
                pairs = [(item, meant) for item in items]
                said = f"`[{text}]` is of the step beside, `[{meant.text}]` is meant everywhere"
                yield self._all_instead(pairs, "off_by_one_step", said)

    def _beside(self, item: Node) -> Iterator[Part]:
        """The steps beside one that is written as a name, or as a sum with a number."""
        part = self.editor.part(item)
        if isinstance(item, Call) and item.word.name in ("add", "sub"):
            yield self.editor.part(item.arguments[0])
        for sign in "+-":
            yield binary(sign, part, number(1))

    def _all_instead(self, pairs: Sequence[tuple[Node, Part]], kind: str, text: str) -> Repair:
        changed = all_instead(self.formula, pairs)
        return Repair(kind, _shown(text, changed), changed)

    def _names_everywhere(self) -> Iterator[Repair]:
        """One name in the place of another."""
        for name in dict.fromkeys(node.name for node in self.nodes if isinstance(node, Name)):
            shape = self.around.shapes.get(name)
            if sum(isinstance(node, Name) and node.name == name for node in self.nodes) < 2:
                continue
            for other, own in self.around.shapes.items():
                if own == shape and other != name:
                    pairs = [
                        (node, named(other))
                        for node in self.nodes
                        if isinstance(node, Name) and node.name == name
                    ]
                    text = f"`{name}` stands where `{other}` belongs, everywhere"
                    repair = self._all_instead(pairs, "wrong_name", text)
                    yield replace(repair, meant=self._kind_of_name(name, other))

    def _name(self, node: Name) -> Iterator[Repair]:
        shape = self.around.shapes.get(node.name)
        if self.around.after and node.name in self.around.after:
            part = self.around.after[node.name]
            text = f"`{node.name}` is that before the step, that after it is meant"
            yield self._instead(node, part, "off_by_one_step", text)
        if id(node) not in self.compared and id(node) not in self.called:
            text = f"the factor `{node.name}` is there once too often"
            yield self._instead(node, number(1), "extra_factor", text)
        others = sorted(self.around.shapes, key=lambda name: self.around.shapes[name] != shape)
        for name in others:
            if name != node.name:
                text = f"`{node.name}` stands where `{name}` belongs"
                repair = self._instead(node, named(name), "wrong_name", text)
                yield replace(repair, meant=self._kind_of_name(node.name, name))

    def _kind_of_name(self, written: str, meant: str) -> str:
        """What the line that is meant does to the other, or undoes, is a factor."""
        if kind := self.around.makes.get((written, meant)):
            return kind
        if (meant, written) in self.around.makes:
            return "extra_factor"
        if ("/" in written) != ("/" in meant):
            return "missing_factor" if "/" in meant else "extra_factor"
        return "off_by_one_step" if _root(written) == _root(meant) else "wrong_name"

    def _index(self, node: Index) -> Iterator[Repair]:
        whole = self.editor.part(node).text
        for item in node.items:
            if isinstance(item, Number) and isinstance(item.value, int):
                for step in (1, -1):
                    if item.value + step >= 0:
                        yield self._shifted(node, item, number(item.value + step), whole)
            elif isinstance(item, (Name, Call)):
                for part in self._beside(item):
                    yield self._shifted(node, item, part, whole)

    def _shifted(self, node: Index, item: Node, part: Part, whole: str) -> Repair:
        start, end = item.start - node.start, item.end - node.start
        meant = f"{whole[:start]}{part.text}{whole[end:]}"
        text = f"`{whole}` is of the step beside: `{meant}` is meant"
        return self._instead(item, part, "off_by_one_step", text)

    def insertions(self) -> Iterator[Repair]:
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

    def _altered(self, part: Part) -> Iterator[Repair]:
        """A part with another sign, transposed, or in a word that is missing."""
        node = part.node
        if node is not self.formula.tree:
            text = f"the sign of `{part.text}` is wrong"
            yield self._instead(node, negative(part), "wrong_sign_of_a_term", text)
        if isinstance(node, Name):
            text = f"`{part.text}` stands where `1 - {part.text}` belongs"
            yield self._instead(node, binary("-", number(1), part), "wrong_name", text)
        shape = self.around.shapes.get(node.name) if isinstance(node, Name) else None
        if not isinstance(node, Name) or len(shape or ()) > 1:
            yield self._turned(part)
        if isinstance(node, Name) and len(shape or ()) == 2:
            both = binary("/", binary("+", part, _turned(part)), number(2))
            yield self._instead(node, both, "transposed", f"`{part.text}` is taken for symmetric")
        for word, other, kind in (
            ("absolute value", called("abs", part), "sign_where_negative"),
            ("square root", called("sqrt", part), "wrong_constant"),
            ("square", binary("**", part, number(2)), "wrong_constant"),
        ):
            text = f"the {word} of `{part.text}` is missing"
            yield self._instead(node, other, kind, text)

    def _added(self, part: Part) -> Iterator[Repair]:
        """A term that is missing: 1, or a value."""
        values = [self._value(name) for name in self.around.factors if not self._is_link(name)]
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
                yield self._instead(part.node, binary(sign, part, term), kind, text)

    def _masked(self, part: Part) -> Iterator[Repair]:
        for condition in self.around.conditions:
            for masked, how in (
                (called("where", condition, part, number(0)), "is not true"),
                (called("where", condition, number(0), part), "is true"),
            ):
                text = f"`{part.text}` is to be 0 where `{condition.text}` {how}"
                yield self._instead(part.node, masked, "lost_outside", text)

    def _summed(self, part: Part) -> Iterator[Repair]:
        for word in ("sum", "mean"):
            for over, how in self._reductions(word, part):
                text = f"the {word} of `{part.text}` {how} is missing"
                yield self._instead(part.node, over, "reduction", text)

    def _multiplied(self, part: Part) -> Iterator[Repair]:
        own = part.node.name if isinstance(part.node, Name) else ""
        for name in self.around.factors:
            if name == own or name in self.around.flags:
                continue
            is_number = self._is_number(name)
            kind = "wrong_constant" if is_number else "missing_factor"
            for factor in self._factors(name):
                text = f"the factor `{factor.text}` is missing"
                yield self._instead(part.node, binary("*", part, factor), kind, text)
            # What is not divided by a value has it as a factor too many.
            kind = "wrong_constant" if is_number else "extra_factor"
            text = f"a division by `{name}` is missing"
            divided = binary("/", part, self._value(name))
            yield self._instead(part.node, divided, kind, text)
            if len(self.around.shapes.get(name) or ()) == 2 and not self._is_link(name):
                for matrix in (named(name), transposed(named(name), "T")):
                    text = f"the factor `{matrix.text}` is missing"
                    for product in (binary("@", matrix, part), binary("@", part, matrix)):
                        yield self._instead(part.node, product, "missing_factor", text)

    def _factors(self, name: str) -> Iterator[Part]:
        """A value as a factor of its like, and of the rows of a matrix."""
        value = self._value(name)
        yield value
        if len(self.around.shapes.get(name) or ()) == 1:
            index = Index(0, 0, value.node, (Slice(0, 0, (None, None, None)), Literal(0, 0, None)))
            yield Part(index, f"{name}[:, None]")

    def _value(self, name: str) -> Part:
        return self.around.parts.get(name) or named(name)

    def _is_number(self, name: str) -> bool:
        """Whether it is made of numbers alone, such as `sqrt(2)`."""
        return name in self.around.parts and not any(
            isinstance(node, Name) for node in values_of(self.around.parts[name].node)
        )

    def _is_link(self, name: str) -> bool:
        return "/" in name and name not in self.around.parts

    def _slopes(self, part: Part) -> Iterator[Repair]:
        """What is often a factor: 1 - y of a sigmoid y, 1 - y**2 of a tanh, a sign."""
        for name in self.around.factors:
            value = self._value(name)
            if name in self.around.signed:
                signed = binary("*", part, called("sign", value))
                text = f"the sign of `{name}` is missing as a factor"
                yield self._instead(part.node, signed, "sign_where_negative", text)
            if self._is_link(name) or name not in self.around.varying:
                continue
            yield from self._sloped(part, value)
        for value in (self.around.after or {}).values():
            yield from self._sloped(part, value)

    def _sloped(self, part: Part, value: Part) -> Iterator[Repair]:
        for less in (value, binary("**", value, number(2))):
            factor = binary("-", number(1), less)
            text = f"the factor `{factor.text}` is missing"
            yield self._instead(part.node, binary("*", part, factor), "missing_factor", text)

    def _instead(self, node: Node, part: Part, kind: str, text: str) -> Repair:
        expression = self.editor.instead(node, part)
        return Repair(kind, _shown(text, expression), expression)


def _root(name: str) -> str:
    """`h` of `h_next` and `h_prev`."""
    return re.sub("_(next|new|prev|previous|last|old|before|after)$", "", name)


def _shown(text: str, mended: Expression) -> str:
    """With the mended formula, unless that is long."""
    is_short = len(mended.text) <= LONGEST
    return f"{text}: write `{mended.text}`" if is_short else text


def _turned(part: Part) -> Part:
    return transposed(part, "T")


_PRODUCTS: Final = ("matmul", "outer", "einsum", "tensordot", "kron")
_PRODUCTS_AND_QUOTIENTS: Final = (*_PRODUCTS, "mul", "div", "pow", "add", "sub", "neg")
_OF_MATRICES: Final = ("matmul", "solve", "inv")
_BY_WORD: Final[dict[str, Callable[..., Iterator[Repair]]]] = {
    "add": _Repairer._sum,
    "sub": _Repairer._sum,
    "neg": _Repairer._negative,
    "mul": _Repairer._product,
    "div": _Repairer._quotient,
    "pow": _Repairer._power,
    "matmul": _Repairer._matrices,
    "outer": _Repairer._matrices,
    "T": _Repairer._transpose,
    "mT": _Repairer._transpose,
    "where": _Repairer._choice,
}
