"""How many entries something has: what makes a mean of a sum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gradcheck.diagnosis.evidence import Evidence
from gradcheck.diagnosis.formulas import formulas_of, open_formulas
from gradcheck.diagnosis.patterns import factor_of
from gradcheck.diagnosis.suspect import Suspect
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Name, Node, Number, values_of
from gradcheck.results import Diagnosis


def counts(suspect: Suspect) -> frozenset[int]:
    """How many entries of something may be added up, but for 1 and 2, which any factor may be."""
    found: set[int] = set()
    for array in suspect.named.values():
        shape = array.shape[1:]
        found |= {int(np.prod(shape)), *shape}
    return frozenset(found - {1, 2})


def counted(suspect: Suspect, e: Evidence) -> Iterator[Diagnosis]:
    """A factor that is how many entries are added up, where a mean is written somewhere."""
    factor = factor_of(e)
    if factor is None or factor <= 0:
        return
    count, inverse = round(factor), round(1 / factor)
    steps = suspect.case.function.steps
    in_function = (formula for step in steps for _, formula in formulas_of(step))
    if _is_count(suspect, factor) and _averages(suspect, in_function, count):
        text = f"it is {count} times the right value: a sum where the mean is meant"
        yield Diagnosis("sum_for_mean", text)
    if _is_count(suspect, 1 / factor) and _averages(suspect, open_formulas(suspect), inverse):
        text = f"it is 1/{inverse} of the right value: a mean where the sum is meant"
        yield Diagnosis("mean_for_sum", text)


def _is_count(suspect: Suspect, number: float) -> bool:
    count = round(number)
    return count in counts(suspect) and abs(count - number) < 1e-9 * number


def _averages(suspect: Suspect, formulas: Iterable[Expression], count: int) -> bool:
    """Whether a mean is taken, or something divided by so many."""
    for formula in formulas:
        if formula.words & {"mean", "var", "std"}:
            return True
        for node in values_of(formula.tree):
            if isinstance(node, Call) and node.word.name == "div":
                below = values_of(node.arguments[1])
                if any(_equals(suspect, one, count) for one in below):
                    return True
    return False


def _equals(suspect: Suspect, node: Node, count: int) -> bool:
    """Whether it is this number, or a name that has it at all points."""
    match node:
        case Number(value=value):
            return value == count
        case Name(name=name):
            array = suspect.named.get(name)
            return array is not None and bool((array == count).all())
    return False
