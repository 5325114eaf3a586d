"""The formulas in which a mistake may be, and those of a function."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.claims import Written
from gradcheck.diagnosis.suspect import Suspect
from gradcheck.functions import Recurrence, Step
from gradcheck.language.expression import Expression
from gradcheck.lines import Line, PassFormula, Sweep
from gradcheck.sites import own_expressions


def open_formulas(suspect: Suspect) -> list[Expression]:
    """Those in which the mistake may be: its own, and lines that nobody judges."""
    lines = lines_of(suspect.written)
    unjudged = [line.expression for line in lines if line.name not in suspect.named]
    return list(dict.fromkeys([*own_expressions(suspect.written), *unjudged]))


def lines_of(written: Written) -> list[Line]:
    """Those of a pass, up to its own."""
    if not isinstance(written, PassFormula):
        return []
    return [
        line
        for statement in (*written.before, written.own)
        for line in (statement.lines if isinstance(statement, Sweep) else (statement,))
        if isinstance(line, Line)
    ]


def formulas_of(step: Step | Recurrence) -> Iterator[tuple[str, Expression]]:
    """What computes a function's values, each with the name of the value."""
    if isinstance(step, Step):
        yield step.name, step.expression
        return
    for state in step.states:
        yield state.name, state.start
        yield state.name, state.next
