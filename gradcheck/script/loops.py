"""Loops that carry values from step to step, as statements in Python."""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradcheck.language.expression import Expression
from gradcheck.script.layout import fitted, indented, source
from gradcheck.script.terms import Term, as_float, called, dotted, named, whole_numbers
from gradcheck.script.translate import Scope, Translator


class Carried(NamedTuple):
    """What is carried: its name, its variable, its start and its next.

    `added` is added to it at every step, in Python.
    """

    key: str
    variable: str
    start: Term
    next: Expression
    added: str = ""


class Computed(NamedTuple):
    """What is computed anew at every step: its name, its variable and its formula."""

    key: str
    variable: str
    expression: Expression


class Kept(NamedTuple):
    """A list of what something is at every step: its variable, its start, and what is added."""

    variable: str
    item: str
    start: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop, before it is written: `for index in steps`.

    `number` is the name of the index in formulas, and `first` its first value. What is carried may
    stay a plain number where it `keeps_numbers`. Of what is `kept`, the values are those after the
    step, unless they are `kept_before` it.
    """

    index: str
    steps: str
    number: str | None
    first: int
    carried: Sequence[Carried]
    computed: Sequence[Computed] = ()
    keeps_numbers: bool = False
    kept: Sequence[Kept] = ()
    kept_before: bool = False


def loop_lines(
    translator: Translator, loop: Loop, scope: Scope, full: Collection[str] = ()
) -> list[str]:
    """The statements of a loop.

    Where a statement would be another one at the first step, since something starts as a plain
    number, that starts in its full shape; so do those of `full` that start in another shape.
    """
    starts = [carried.start for carried in loop.carried]
    first, after = _step(translator, loop, starts, scope)
    body, _ = _step(translator, loop, after, scope)
    for i, (carried, value) in enumerate(zip(loop.carried, after, strict=True)):
        shape = value.shape
        if shape not in (None, starts[i].shape) and (body != first or carried.key in full):
            starts[i] = _in_shape(translator, starts[i], shape or ())
    appended = [f"{kept.variable}.append({kept.item})" for kept in loop.kept]
    return [
        *(f"{c.variable} = {source(s.python)}" for c, s in zip(loop.carried, starts, strict=True)),
        *(f"{kept.variable} = [{kept.start}]" for kept in loop.kept),
        f"for {loop.index} in {loop.steps}:",
        *indented([*appended, *body] if loop.kept_before else [*body, *appended]),
    ]


def _step(
    translator: Translator, loop: Loop, values: Sequence[Term], scope: Scope
) -> tuple[list[str], list[Term]]:
    """The statements of a step before which the carried ones have these values."""
    inner = dict[str, Term]()
    inside = ChainMap(inner, scope)  # type: ignore[arg-type]
    if loop.number is not None:
        inner[loop.number] = named(loop.index, loop.first)
    for carried, value in zip(loop.carried, values, strict=True):
        inner[carried.key] = named(carried.variable, value.value)
    lines = []
    for key, variable, expression in loop.computed:
        term = translator.value(expression, inside)
        lines.append(fitted(f"{variable} = ", term.python))
        inner[key] = named(variable, term.value)
    updates = []
    for carried in loop.carried:
        term = translator.value(carried.next, inside)
        if not loop.keeps_numbers:
            term = translator.tensor(term)
        if carried.added:
            term = Term(ast.BinOp(term.python, ast.Add(), dotted(carried.added)), term.value)
        updates.append((carried.variable, term))
    return [*lines, *together(updates)], [term for _, term in updates]


def together(updates: Sequence[tuple[str, Term]]) -> list[str]:
    """Assignments that all read what was there before: one by one where there is an order."""
    left = {name: (term, _names(term)) for name, term in updates}
    lines: list[str] = []
    while left:
        free = [n for n in left if not any(n in used for m, (_, used) in left.items() if m != n)]
        if not free:
            texts = ", ".join(source(term.python) for term, _ in left.values())
            return [*lines, f"{', '.join(left)} = {texts}"]
        term, _ = left.pop(free[0])
        if source(term.python) != free[0]:
            lines.append(fitted(f"{free[0]} = ", term.python))
    return lines


def _names(term: Term) -> set[str]:
    return {node.id for node in ast.walk(term.python) if isinstance(node, ast.Name)}


def _in_shape(translator: Translator, start: Term, shape: Sequence[int]) -> Term:
    """A start in the shape of what follows it."""
    if start.is_number:
        return filled(translator, start, shape)
    term = translator.counted(start)
    zeros = called("torch.zeros", whole_numbers(shape), **translator.made())
    return Term(ast.BinOp(term.python, ast.Add(), zeros), term.value.expand(list(shape)))


def filled(translator: Translator, number: Term, shape: Sequence[int]) -> Term:
    """A tensor of that shape, of which every entry is one number."""
    term = translator.tensor(number)
    if not shape:
        return term
    size, value = whole_numbers(shape), term.value.expand(list(shape))
    if not isinstance(number.python, ast.Constant):
        ones = called("torch.ones", size, **translator.made())
        return Term(ast.BinOp(number.python, ast.Mult(), ones), value)
    if number.value in (0, 1):
        name = "torch.ones" if number.value else "torch.zeros"
        return Term(called(name, size, **translator.made()), value)
    return Term(called("torch.full", size, as_float(number), **translator.made()), value)
