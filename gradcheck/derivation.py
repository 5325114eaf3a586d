"""A case → what was written of it, line by line: for whoever reads why a claim of it fails."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck import claims
from gradcheck.casefile.case import Case
from gradcheck.claims import Claim, Formula, RecurrentFormula
from gradcheck.functions import Recurrence, State, Step
from gradcheck.language.expression import Definition, Expression
from gradcheck.language.tree import Use, walk
from gradcheck.lines import PassFormula, Statement, Sweep
from gradcheck.modes import is_cotangent
from gradcheck.results import Kind, Written
from gradcheck.second_claim import SecondClaim


def derivation(case: Case) -> tuple[Written, ...]:
    """The definitions that it uses, the steps of its function, then its derivatives."""
    claimed = sorted(_claims(case), key=lambda written: written.line)
    lines = dict.fromkeys([*_function(case), *claimed, *_kernel(case)])
    return (*_definitions(_expressions(case)), *lines)


def _function(case: Case) -> Iterator[Written]:
    for step in case.function.steps:
        if isinstance(step, Recurrence):
            yield from (_state("step", state) for state in step.states)
            yield Written("repeat", step.index or "", step.steps.text, step.steps.line)
        else:
            yield _step("step", step)


def _claimed(case: Case) -> tuple[Claim | SecondClaim, ...]:
    return (*case.claims, *case.seconds)


def _claims(case: Case) -> Iterator[Written]:
    for claim in _claimed(case):
        for formula in claim.formulas:
            if isinstance(claim, Claim) and isinstance(formula, PassFormula):
                kind: Kind = "backward" if is_cotangent(claim) else "jvp"
                for statement in (*formula.before, formula.own):
                    yield from _pass(kind, statement)
            else:
                yield Written("derivative", claim.quantity, formula.text, formula.line)


def _pass(kind: Kind, statement: Statement) -> Iterator[Written]:
    for line in statement.lines if isinstance(statement, Sweep) else (statement,):
        yield _state(kind, line) if isinstance(line, State) else _step(kind, line)


def _step(kind: Kind, step: Step) -> Written:
    return Written(kind, step.name, step.expression.text, step.expression.line)


def _state(kind: Kind, state: State) -> Written:
    text = f"start: {state.start.text}, next: {state.next.text}"
    return Written(kind, state.name, text, state.next.line)


def _kernel(case: Case) -> Iterator[Written]:
    """What is in Python has a name in place of a formula."""
    kernel = case.kernel
    if kernel is None:
        return
    for name in ("function", "reference", "backward", "jvp"):
        if (one := getattr(kernel, name)) is not None:
            yield Written("python", name, str(one), one.line)
    for name, listed in kernel.derivatives.items():
        for written in listed:
            if isinstance(written, Expression):
                yield Written("derivative", name, written.text, written.line)
            else:
                yield Written("python", name, str(written), written.line)


def _definitions(expressions: Iterator[Expression]) -> Iterator[Written]:
    """Those that expressions use, each after what it uses itself; its steps before its value."""
    seen: dict[str, Definition] = {}
    for definition in _used(expressions):
        seen.setdefault(definition.name, definition)
    for definition in seen.values():
        *steps, (_, value) = definition.steps
        for name, expression in steps:
            yield Written("definition", name, expression.text, expression.line)
        called = f"{definition.name}({', '.join(definition.parameters)})"
        yield Written("definition", called, value.text, value.line)


def _used(expressions: Iterator[Expression]) -> Iterator[Definition]:
    for expression in expressions:
        for node in walk(expression.tree):
            if isinstance(node, Use):
                yield from _used(one for _, one in node.definition.steps)
                yield node.definition


def _expressions(case: Case) -> Iterator[Expression]:
    for step in case.function.steps:
        yield from _of_step(step)
    for claim in _claimed(case):
        for formula in claim.formulas:
            yield from _of_formula(formula)
    for listed in case.kernel.derivatives.values() if case.kernel else ():
        yield from (one for one in listed if isinstance(one, Expression))


def _of_formula(formula: claims.Written) -> Iterator[Expression]:
    match formula:
        case Formula():
            yield formula.expression
        case RecurrentFormula():
            yield from _of_step(formula.recurrence)
        case PassFormula():
            for statement in (*formula.before, formula.own):
                yield from _of_step(statement)


def _of_step(step: Step | Recurrence | Sweep) -> Iterator[Expression]:
    match step:
        case Recurrence():
            for state in step.states:
                yield from (state.start, state.next)
        case Sweep():
            for line in step.lines:
                yield from (line.start, line.next) if isinstance(line, State) else _of_step(line)
        case Step():
            yield step.expression
