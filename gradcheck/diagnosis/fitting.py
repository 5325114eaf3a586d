"""The number that would make a formula right, in place of another or before a term."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np

from gradcheck.diagnosis.constants import is_constant, root, short, signed
from gradcheck.diagnosis.counts import counts
from gradcheck.diagnosis.formulas import open_formulas
from gradcheck.diagnosis.suspect import MOST_OPERATIONS, Suspect
from gradcheck.language.editing import Editor, Part, all_instead, binary, number
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Node, Number, values_of
from gradcheck.results import Diagnosis
from gradcheck.sites import replaced


def constants(suspect: Suspect) -> Iterator[Diagnosis]:
    """A number that would have to be another, also the 1 that nobody writes before a term."""
    if suspect.evidence is None or suspect.cost > MOST_OPERATIONS // 128:
        return
    apart = np.abs(suspect.evidence.truth[0] - suspect.evidence.found[0])
    if apart.size and apart.max() > 0:
        at = np.unravel_index(int(np.argmax(apart)), apart.shape)
        yield from _Fitting(suspect, at).constants()


class _Fitting:
    """Looks for numbers that make the entry `at` right at the first point, then all others."""

    def __init__(self, suspect: Suspect, at: tuple[np.intp, ...]) -> None:
        self.suspect = suspect
        self.at = at
        self.formulas = open_formulas(suspect)

    def constants(self) -> Iterator[Diagnosis]:
        for expression in self.formulas:
            nodes = list(values_of(expression.tree))
            for alike in _numbers(nodes):
                found = self._fitting(expression, alike, number(1), alike[0].value)
                if found is not None:
                    yield self._instead_of(alike[0], *found)
            sums = [n for n in nodes if isinstance(n, Call) and n.word.name in ("add", "sub")]
            for term in (Editor(expression).part(one) for node in sums for one in node.arguments):
                found = self._fitting(expression, [term.node], term, 1)
                if found is not None:
                    yield self._times(term, *found)

    def _fitting(
        self, expression: Expression, nodes: Sequence[Node], times: Part, value: int | Decimal
    ) -> tuple[Decimal, str] | None:
        """The number that fits in place of all nodes, times a part, and the formula with it."""
        spot = self.suspect.spots[0]

        def with_number(value: Decimal) -> Expression:
            part = signed(value)
            if not isinstance(nodes[0], Number):
                part = binary("*", part, times)
            return all_instead(expression, [(node, part) for node in nodes])

        def residual(value: float) -> float:
            changed = with_number(Decimal(repr(value)))
            found = spot.value(replaced(self.suspect.written, expression, changed))
            return float("nan") if found is None else float(found[self.at] - spot.truth[self.at])

        there = root(residual, float(value))
        if there is None:
            return None
        found = short(there)
        if found == value or min(abs(there), abs(there + float(value))) < 1e-9:
            return None  # it is as it is, or another mistake: a term too many, a wrong sign
        mended = with_number(found)
        is_right = self.suspect.is_right(replaced(self.suspect.written, expression, mended))
        return (found, mended.text) if is_right else None

    def _instead_of(self, node: Number, fitting: Decimal, mended: str) -> Diagnosis:
        if node.value == 1 and (name := self._named_number(fitting)):
            return Diagnosis("missing_factor", f"`{name}` belongs where 1 stands: `{mended}`")
        text = f"with {fitting} in place of {node.value} it is right: `{mended}`"
        return Diagnosis("wrong_constant", text)

    def _times(self, term: Part, fitting: Decimal, mended: str) -> Diagnosis:
        count = 1 / float(fitting)
        if round(count) in counts(self.suspect) and abs(count - round(count)) < 1e-8:
            how = f"counts {round(count)} times too much: a sum where the mean is meant"
            return Diagnosis("sum_for_mean", f"the term `{term.text}` {how}")
        if name := self._named_number(fitting):
            text = f"the term `{term.text}` lacks the factor `{name}`"
            return Diagnosis("missing_factor", text)
        if name := self._named_number(1 / fitting):
            text = f"the term `{term.text}` lacks a division by `{name}`"
            return Diagnosis("extra_factor", text)
        text = f"the term `{term.text}` is to count {fitting} times: `{mended}`"
        return Diagnosis("wrong_constant", text)

    def _named_number(self, value: Decimal) -> str:
        """What has this value at all points and is named, such as a size; else nothing."""
        if abs(value) in (0, 1):
            return ""
        numbers = {text for text, part in self.suspect.parts.items() if is_constant(part)}
        written = {name for expression in self.formulas for name in expression.names}
        is_plain = abs(value) in (2, Decimal("0.5"))
        near = (
            name
            for name, array in self.suspect.named.items()
            if "/" not in name
            and name not in numbers
            and (name in written or not is_plain)
            and array.ndim == 1
            and (abs(array - float(value)) < 1e-8 * abs(array)).all()
        )
        return next(near, "")


def _numbers(nodes: Sequence[Node]) -> Iterator[list[Number]]:
    """Each number by itself, then all that are alike."""
    numbers = [node for node in nodes if isinstance(node, Number)]
    for one in numbers:
        yield [one]
    for value in {node.value for node in numbers}:
        alike = [node for node in numbers if node.value == value]
        if len(alike) > 1:
            yield alike
