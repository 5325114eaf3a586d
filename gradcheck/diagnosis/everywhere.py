"""What is another wherever it stands in a formula."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from gradcheck.diagnosis.repairs import PRODUCTS, Repair, Repairer
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.language.editing import Part, named, transposed
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Index, Name, Node, Slice
from gradcheck.language.vocabulary import WORDS

MOST_SWAPPED: Final = 6
"""Names of which two may be swapped."""


def everywhere(formula: Expression, around: Surroundings) -> Iterator[Repair]:
    """A word, axes, a name, two names, what is transposed, a part that is taken, a step."""
    repairer = _Everywhere(formula, around)
    yield from repairer.words()
    yield from repairer.reduced()
    yield from repairer.names_swapped()
    yield from repairer.transposes_swapped()
    yield from repairer.two_transposed()
    yield from repairer.all_transposed()
    yield from repairer.slices()
    yield from repairer.steps()
    yield from repairer.other_names()


class _Everywhere(Repairer):
    """Makes repairs of all parts that are alike."""

    def words(self) -> Iterator[Repair]:
        """Sums that are to be means, or means sums."""
        for word, other in (("sum", "mean"), ("mean", "sum")):
            found = self.calls(word)
            if len(found) > 1:
                pairs = [(node, self.editor.renamed(node, WORDS[other])) for node in found]
                text = f"there are {word}s where {other}s are meant"
                yield self.all_instead(pairs, f"{word}_for_{other}", text)

    def reduced(self) -> Iterator[Repair]:
        """All sums, or means, over other entries."""
        for word in ("sum", "mean"):
            found = self.calls(word)
            if len(found) > 1:
                parts = [self.editor.part(node.arguments[0]) for node in found]
                each = [list(self.reductions(word, part)) for part in parts]
                for ways in zip(*each, strict=True):
                    pairs = [(node, over) for node, (over, _) in zip(found, ways, strict=True)]
                    text = f"each {word} is over the wrong entries, it belongs {ways[0][1]}"
                    yield self.all_instead(pairs, "reduction", text)

    def names_swapped(self) -> Iterator[Repair]:
        """Two names, each in the place of the other."""
        names = dict.fromkeys(node.name for node in self.names)
        kind = "transposed" if self.calls(*PRODUCTS) else "wrong_name"
        for one, other in combinations(list(names)[:MOST_SWAPPED], 2):
            pairs = [
                (node, named(other if node.name == one else one))
                for node in self.names
                if node.name in (one, other)
            ]
            yield self.all_instead(pairs, kind, f"`{one}` and `{other}` are swapped")

    def transposes_swapped(self) -> Iterator[Repair]:
        """`A.T @ B @ A` for `A @ B @ A.T`: what is transposed, and what is not."""
        turned = self.calls("T", "mT")
        for node in turned:
            inner = self.editor.part(node.arguments[0])
            alike = [
                other
                for other in self.nodes
                if self.editor.part(other).text == inner.text
                and not any(one.start <= other.start < one.end for one in turned)
            ]
            if alike:
                pairs = [(node, inner), *((one, transposed(inner, "T")) for one in alike)]
                text = f"the wrong one of `{inner.text}` and `{inner.text}.T` stands in each place"
                yield self.all_instead(pairs, "transposed", text)

    def two_transposed(self) -> Iterator[Repair]:
        """Two matrices, both transposed."""
        found: dict[str, Part] = {}
        for node in self.names:
            if self.dimensions(node.name) == 2:
                found.setdefault(node.name, self.editor.part(node))
        for one, other in combinations(list(found.values())[:MOST_SWAPPED], 2):
            pairs = [(part.node, transposed(part, "T")) for part in (one, other)]
            text = f"`{one.text}` and `{other.text}` are to be transposed"
            yield self.all_instead(pairs, "transposed", text)

    def all_transposed(self) -> Iterator[Repair]:
        """What stands more than once, transposed in each place."""
        alike: dict[str, list[Part]] = {}
        for node in self.nodes:
            if isinstance(node, (Call, Name)):
                part = self.editor.part(node)
                alike.setdefault(part.text, []).append(part)
        for written, parts in alike.items():
            if len(parts) > 1:
                pairs = [(part.node, transposed(part, "T")) for part in parts]
                text = f"`{written}` is to be transposed everywhere"
                yield self.all_instead(pairs, "transposed", text)

    def slices(self) -> Iterator[Repair]:
        """All of the values of which parts are taken."""
        sliced = [
            node
            for node in self.nodes
            if isinstance(node, Index) and all(isinstance(item, Slice) for item in node.items)
        ]
        if sliced:
            pairs = [(node, self.editor.part(node.value)) for node in sliced]
            text = f"only the part `{self.editor.part(sliced[0]).text}` counts, the rest is missing"
            yield self.all_instead(pairs, "missing_term", text)

    def steps(self) -> Iterator[Repair]:
        """The step beside, in each place where a step is written so."""
        alike: dict[str, list[Node]] = {}
        for node in self.nodes:
            for item in node.items if isinstance(node, Index) else ():
                if isinstance(item, (Name, Call)):
                    alike.setdefault(self.editor.part(item).text, []).append(item)
        for text, items in alike.items():
            if len(items) < 2:
                continue
            for meant in self.beside(items[0]):
                pairs = [(item, meant) for item in items]
                said = f"`[{text}]` is of the step beside, `[{meant.text}]` is meant everywhere"
                yield self.all_instead(pairs, "off_by_one_step", said)

    def other_names(self) -> Iterator[Repair]:
        """One name in the place of another."""
        alike: dict[str, list[Name]] = {}
        for node in self.names:
            alike.setdefault(node.name, []).append(node)
        for name, nodes in alike.items():
            shape = self.around.shapes.get(name)
            for other, own in self.around.shapes.items() if len(nodes) > 1 else ():
                if own == shape and other != name:
                    pairs = [(node, named(other)) for node in nodes]
                    text = f"`{name}` stands where `{other}` belongs, everywhere"
                    meant = self.kind_of_name(name, other)
                    yield self.all_instead(pairs, "wrong_name", text, meant)
