"""The formulas of a case, and the case in which one of them is another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gradcheck.casefile.case import Case
from gradcheck.claims import Claim, Formula, Linked, RecurrentFormula, Written
from gradcheck.functions import Recurrence, State
from gradcheck.language.expression import Expression
from gradcheck.lines import Line, PassFormula, Statement, Sweep
from gradcheck.second_claim import SecondClaim

AnyClaim = Claim | SecondClaim


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A formula that was written by hand, and what is judged of it.

    `quantity` is what it is of. `judged` are claims each with a way in which it is written that
    takes the formula: that of the formula's own, where there is one, else all that use it.
    """

    expression: Expression
    quantity: str
    judged: tuple[tuple[AnyClaim, Written], ...]

    def with_formula(self, other: Expression) -> Iterator[tuple[AnyClaim, Written]]:
        """What is judged where another formula stands in its place."""
        change = _Change(self.expression, other)
        for claim, written in self.judged:
            yield claim, change.of(written)

    @property
    def earlier(self) -> Iterator[Statement]:
        """The lines of a pass that stand before it, in order."""
        _, written = self.judged[0]
        for statement in written.before if isinstance(written, PassFormula) else ():
            if self.expression in _of_statement(statement):
                return
            yield statement

    def usable(self, values: Sequence[str]) -> Sequence[str]:
        """Those of the function's values that it may use: of a recurrence, what it begins with."""
        _, written = self.judged[0]
        if not isinstance(written, RecurrentFormula):
            return values
        states = [state.name for state in written.recurrence.states if state.name in values]
        is_start = any(self.expression is state.start for state in written.recurrence.states)
        return (*values[: values.index(states[0])], *(() if is_start else states))


def claims(case: Case) -> tuple[AnyClaim, ...]:
    """All on first and second derivatives."""
    return (*case.claims, *case.seconds)


def sites(case: Case) -> list[Site]:
    """Every formula of the case's derivatives and passes, in order, each once."""
    written = [(claim, formula) for claim in claims(case) for formula in claim.formulas]
    own = {
        expression: (claim, one) for claim, one in written for expression in own_expressions(one)
    }
    users: dict[Expression, list[tuple[AnyClaim, Written]]] = {}
    for claim, one in written:
        for expression in dict.fromkeys(expressions(one)):
            users.setdefault(expression, []).append((claim, one))
    return [
        Site(expression, judged[0][0].quantity, judged)
        for expression, using in users.items()
        for judged in ((own[expression],) if expression in own else tuple(using),)
    ]


def expressions(written: Written) -> Iterator[Expression]:
    """All that was written by hand of a derivative, also of what it uses; its own last."""
    if isinstance(written, PassFormula):
        for statement in (*written.before, written.own):
            yield from _of_statement(statement)
        return
    for link in written.links.values():
        yield from expressions(link)
    yield from own_expressions(written)


def replaced(written: Written, old: Expression, new: Expression) -> Written:
    """A way of writing with another formula in the place of one, wherever that stands."""
    return _Change(old, new).of(written)


def own_expressions(written: Written) -> Iterator[Expression]:
    """The formulas that the verdict on a derivative is about."""
    if isinstance(written, Formula):
        yield written.expression
    elif isinstance(written, RecurrentFormula):
        for state in written.recurrence.states:
            if state.name == written.name:
                yield from (state.start, state.next)
    else:
        name = written.name.removesuffix("[t]")
        lines = written.own.lines if isinstance(written.own, Sweep) else (written.own,)
        for line in lines:
            if line.name == name:
                yield from [line.start, line.next] if isinstance(line, State) else [line.expression]


def _of_statement(statement: Statement) -> Iterator[Expression]:
    for line in statement.lines if isinstance(statement, Sweep) else (statement,):
        yield from [line.start, line.next] if isinstance(line, State) else [line.expression]


class _Change:
    """One formula in place of another, wherever it stands."""

    def __init__(self, old: Expression, new: Expression) -> None:
        self.old = old
        self.new = new
        self._made: dict[int, Linked] = {}

    def of(self, written: Written) -> Written:
        return self._pass(written) if isinstance(written, PassFormula) else self._linked(written)

    def _linked(self, written: Linked) -> Linked:
        if id(written) not in self._made:
            links = {name: self._linked(link) for name, link in written.links.items()}
            self._made[id(written)] = (
                Formula(self._expression(written.expression), links)
                if isinstance(written, Formula)
                else replace(written, recurrence=self._recurrence(written.recurrence), links=links)
            )
        return self._made[id(written)]

    def _pass(self, written: PassFormula) -> PassFormula:
        before = tuple(map(self._statement, written.before))
        return replace(written, before=before, own=self._statement(written.own))

    def _statement(self, statement: Statement) -> Statement:
        if isinstance(statement, Sweep):
            return replace(statement, lines=tuple(map(self._line, statement.lines)))
        return self._plain(statement)

    def _line(self, line: Line | State) -> Line | State:
        return self._state(line) if isinstance(line, State) else self._plain(line)

    def _plain(self, line: Line) -> Line:
        return Line(line.name, self._expression(line.expression))

    def _state(self, state: State) -> State:
        return State(state.name, self._expression(state.start), self._expression(state.next))

    def _recurrence(self, recurrence: Recurrence) -> Recurrence:
        return replace(recurrence, states=tuple(map(self._state, recurrence.states)))

    def _expression(self, expression: Expression) -> Expression:
        return self.new if expression is self.old else expression
