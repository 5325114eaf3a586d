"""What a formula is written in: names, shapes and choices from which it may be mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gradcheck.ball import Array
from gradcheck.claims import RecurrentFormula, Written
from gradcheck.diagnosis.counts import counts
from gradcheck.diagnosis.formulas import lines_of
from gradcheck.diagnosis.suspect import Suspect
from gradcheck.functions import Step
from gradcheck.jacobians import Shape
from gradcheck.language.editing import Editor, Part, binary, named, number
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Index, Name, values_of
from gradcheck.lines import PassFormula, Sweep, repeated
from gradcheck.sites import own_expressions

_CHOOSING: Final = ("where", "clamp", "relu", "maximum", "minimum")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Surroundings:
    """What a formula is written in.

    `shapes` are of values by name, None where that is not known; `factors` are names that may be
    factors, of which none is 1 everywhere; `conditions` are choices that the function makes;
    `sizes` are how many entries are added up somewhere; `parts` are those of `factors` that have no
    name, such as `norm(x)`, by their text, and `flags` those that are 0, 1 or -1 everywhere.
    `signed` are values of both signs and `varying` those that are not one number. In a recurrence
    `after` has the state's value after a step, by its name. `makes` says what is forgotten where
    one name stands for another, by the two.
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


def surroundings_of(suspect: Suspect) -> Surroundings:
    """Those of a suspect's formulas."""
    known, parts, written = suspect.named, suspect.parts, suspect.written
    factors = [name for name, array in known.items() if not _is_no_factor(name, array)]
    local: list[str] = []
    if isinstance(written, PassFormula) and isinstance(written.own, Sweep):
        local = [line.name for line in written.own.lines if line.name not in known]
        steps = _indexed(written.own)
        parts = {**parts, **steps}
        taken = _taken(written) - {*suspect.case.sizes, *local}
        taken -= {text.partition("[")[0] for text in steps}
        factors = [*local, *steps, *(name for name in factors if name in taken)]
    varying = [name for name, array in known.items() if _varies(array, name in suspect.parts)]
    return Surroundings(
        shapes={**_shapes(suspect), **dict.fromkeys(local)},
        factors=tuple(factors),
        conditions=suspect.choices,
        sizes=counts(suspect),
        after=_after(written),
        parts=parts,
        signed=frozenset(name for name, array in known.items() if _is_signed(array)),
        varying=frozenset([*varying, *(name for name in factors if name not in known)]),
        makes=dict(_makes(suspect)),
        flags=frozenset(name for name in parts if name in known and _is_flag(known[name])),
    )


def _shapes(suspect: Suspect) -> dict[str, Shape]:
    """Those of what has a name; in a pass there are no links."""
    is_pass = isinstance(suspect.written, PassFormula)
    return {
        name: array.shape[1:]
        for name, array in suspect.named.items()
        if name not in suspect.parts and not (is_pass and "/" in name)
    }


def _taken(written: PassFormula) -> set[str]:
    """What lines take, but for what is carried beside their own."""
    names = {name for line in lines_of(written) for name in line.expression.names}
    return names - (set(written.own.names) - {written.name})


def _indexed(sweep: Sweep) -> dict[str, Part]:
    """The states before and after a step, and what lines take of other values at it."""
    index = sweep.recurrence.index
    if index is None:
        return {}
    at = named(index)
    found: dict[str, Part] = {}
    for state in sweep.recurrence.states:
        for item in (at, binary("+", at, number(1))):
            text = f"{state.name}[{item.text}]"
            found[text] = Part(Index(0, 0, Name(0, 0, state.name), (item.node,)), text)
    formulas = [state.next for state in sweep.recurrence.states]
    for expression in (*formulas, *(repeated(line) for line in sweep.lines)):
        editor = Editor(expression)
        for node in values_of(expression.tree):
            if isinstance(node, Index) and isinstance(node.value, Name):
                part = editor.part(node)
                found.setdefault(part.text, part)
    return found


def _after(written: Written) -> dict[str, Part] | None:
    """A state's value after a step, by the state's name, for formulas that are carried."""
    if not isinstance(written, RecurrentFormula):
        return None
    return {
        state.name: Part(state.next.tree, state.next.text)
        for state in written.recurrence.states
        if state.name not in written.derivatives
    }


def _makes(suspect: Suspect) -> Iterator[tuple[tuple[str, str], str]]:
    """What is forgotten where a name stands for another that is made of it at once."""
    for name, expression in _made(suspect):
        tree = expression.tree
        if isinstance(tree, Call) and tree.word.name not in ("add", "sub", "matmul"):
            kind = "lost_outside" if tree.word.name in _CHOOSING else "missing_factor"
            for other in expression.names:
                yield (other, name), kind


def _made(suspect: Suspect) -> Iterator[tuple[str, Expression]]:
    """What names are made by: lines, steps of the function, and other derivatives."""
    is_pass = isinstance(suspect.written, PassFormula)
    for line in lines_of(suspect.written):
        yield line.name, line.expression
    for step in suspect.claim.steps:
        if isinstance(step, Step):
            yield step.name, step.expression
    for claim in suspect.case.claims:
        for one in claim.formulas:
            if isinstance(one, PassFormula) == is_pass:
                for expression in own_expressions(one):
                    yield claim.quantity.removesuffix("[t]"), expression


def _is_flag(array: Array) -> bool:
    """Whether it is 0, 1 or -1 everywhere."""
    return bool(np.isin(array, (-1.0, 0.0, 1.0)).all())


def _is_no_factor(name: str, array: Array) -> bool:
    """Whether it is 0, 1 or -1 everywhere, or a link that is: a sign or a mask, if anything."""
    return _is_flag(array) and ("/" in name or bool((array == array.flat[0]).all()))


def _varies(array: Array, is_part: bool) -> bool:
    """Whether it is not one number, and if it has no name, a share of 1."""
    is_share = bool(((array > 0) & (array < 1)).all())
    return bool((array != array.flat[0]).any()) and (is_share or not is_part)


def _is_signed(array: Array) -> bool:
    """Whether it has both signs, and more than one size."""
    sizes = np.abs(array)
    return bool((array > 0).any() and (array < 0).any() and (sizes != sizes.flat[0]).any())
