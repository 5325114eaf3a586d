"""`derivatives:` → claims: links resolved, formulas parsed, and each other's links given to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.casefile.document import Path
from gradcheck.casefile.names import Reader
from gradcheck.claims import Claim, Formula, RecurrentFormula, Written
from gradcheck.functions import Function, Recurrence, State
from gradcheck.language.expression import Expression
from gradcheck.language.leibniz import Link, parse_link
from gradcheck.language.parser import suggestion


@dataclass(frozen=True, slots=True)
class Declared:
    """A link with its formulas as they stand in the file; `stepwise` ones belong to a recurrence."""

    link: Link
    stepwise: bool
    path: Path
    expressions: tuple[Expression, ...]
    starts: tuple[Expression, ...] = ()


class Derivatives:
    """Reads the derivatives of one case."""

    def __init__(
        self,
        read: Reader,
        case: Path,
        function: Function,
        inputs: Sequence[str],
        sizes: Sequence[str],
    ) -> None:
        self.read = read
        self.path: Path = (*case, "derivatives")
        self.function = function
        self.inputs = inputs
        self.sizes = sizes
        self.steps = [n for step in function.steps for n in step.writes if "[" not in n]
        self.values = [*sizes, *function.given, *self.steps]
        self.recurrence = next((s for s in function.steps if isinstance(s, Recurrence)), None)

    def resolved(self, link: Link, path: Path) -> Link | None:
        """The link with `out` replaced by the output's name; None and a problem if it is none."""
        output = self.function.output
        link = Link(*(output if name == "out" else name for name in link))
        problem = self._link_problem(link)
        if problem is not None:
            self.read.report(path, problem, key=True)
            return None
        return link

    def _link_problem(self, link: Link) -> str | None:
        differentiable = [*self.inputs, *self.steps]
        if link.output not in self.steps:
            if link.output in self.values:
                return f"`{link}`: `{link.output}` is not computed by the function"
            close = suggestion(link.output, self.steps)
            return f"`{link}`: `{link.output}` is not a value of the function{close}"
        if link.input not in differentiable:
            if link.input in self.function.given:
                return f"`{link}`: `{link.input}` is a constant; move it to `inputs`"
            close = suggestion(link.input, differentiable)
            return f"`{link}`: `{link.input}` is not a value of the function{close}"
        if not self.function.between(link.input, {link.output}):
            return f"`{link}`: `{link.output}` does not depend on `{link.input}`"
        return None

    def read_all(self, written: Mapping[str, Any]) -> list[Declared]:
        """Every derivative with its formulas parsed; what is wrong is reported and left out."""
        stepwise = written.get("recurrence")
        named: dict[str, tuple[Link, Path]] = {}
        for key in written:
            path = (*self.path, key)
            link = None if key == "recurrence" else self._named(key, path)
            if link is None:
                continue
            if str(link) in named:
                self.read.report(path, f"`{link}` is written twice: list alternatives", key=True)
            named[str(link)] = link, path
        carried = self._carried(stepwise) if isinstance(stepwise, dict) else {}
        if stepwise is not None and not isinstance(stepwise, dict):
            message = "`recurrence` maps each derivative to its start and next"
            self.read.report((*self.path, "recurrence"), message, key=True)
        links = self._spellings([link for link, _ in (*named.values(), *carried.values())])
        declared = [
            self._plain(link, path, written[str(path[-1])], links)
            for link, path in named.values()
        ]
        declared += [self._stepwise(link, path, links) for link, path in carried.values()]
        return [one for one in declared if one is not None]

    def _named(self, key: str, path: Path) -> Link | None:
        """The link that a key of `derivatives` means: itself, or `dout/dkey`."""
        link = parse_link(key)
        if link is not None:
            return self.resolved(link, path)
        if key in self.values and key != self.function.output:
            return self.resolved(Link(self.function.output, key), path)
        known = [*self.inputs, *(f"d{self.function.output}/d{name}" for name in self.inputs)]
        close = suggestion(key, known) or ": write an input's name, or a link dA/dB"
        self.read.report(path, f"`{key}` is not a derivative{close}", key=True)
        return None

    def _carried(self, written: Mapping[str, Any]) -> dict[str, tuple[Link, Path]]:
        if self.recurrence is None:
            path = (*self.path, "recurrence")
            self.read.report(path, "the function has no recurrence", key=True)
            return {}
        states = [state.name for state in self.recurrence.states]
        carried = {}
        for key in written:
            path = (*self.path, "recurrence", key)
            link = parse_link(key)
            if link is None or link.output not in states:
                message = f"`{key}` is not the derivative of a state: write dh/dx for a state h"
                self.read.report(path, message, key=True)
            elif (link := self.resolved(link, path)) is not None:
                carried[str(link)] = link, path
        return carried

    def _spellings(self, links: Sequence[Link]) -> dict[str, str]:
        """How links may be written in formulas: with `out` for the output too."""
        spelled = {str(link): str(link) for link in links}
        for link in links:
            if link.output == self.function.output:
                spelled.setdefault(str(Link("out", link.input)), str(link))
        return spelled

    def _plain(
        self, link: Link, path: Path, written: Any, links: Mapping[str, str]  # noqa: ANN401
    ) -> Declared | None:
        if isinstance(written, dict):
            self.read.report(path, "start and next belong under `recurrence`", key=True)
            return None
        paths = [(*path, i) for i in range(len(written))] if isinstance(written, list) else [path]
        scope = [*self.values, "out"] if "out" not in self.values else self.values
        read = [self.read.formula(here, scope, links=links) for here in paths]
        return Declared(link, False, path, tuple(e for e in read if e is not None))

    def _stepwise(self, link: Link, path: Path, links: Mapping[str, str]) -> Declared | None:
        assert self.recurrence is not None
        before = self._before_recurrence()
        inside = [*before, *(state.name for state in self.recurrence.states)]
        if self.recurrence.index is not None:
            inside.append(self.recurrence.index)
        start = self.read.formula((*path, "start"), before)
        update = self.read.formula((*path, "next"), inside, links=links)
        if start is None or update is None:
            return None
        return Declared(link, True, path, (update,), (start,))

    def _before_recurrence(self) -> list[str]:
        """The names that are known where the recurrence begins."""
        names = [*self.sizes, *self.function.given]
        for step in self.function.steps:
            if step is self.recurrence:
                break
            names += step.writes
        return names

    def claims(
        self, declared: Sequence[Declared], published: Sequence[str]
    ) -> tuple[Claim, ...]:
        """The claims, with one more for each published link that nobody wrote a formula for."""
        formulas = _Linker(self.read, self.recurrence, declared)
        claims = [
            Claim.of(
                self.function,
                one.link,
                formulas.of(one),
                self.read.document.position(one.path, key=True)[0],
            )
            for one in declared
        ]
        known = {claim.quantity for claim in claims}
        for quantity in dict.fromkeys(published):
            link = parse_link(quantity)
            if link is not None and quantity not in known:
                claims.append(Claim.of(self.function, link, (), 0))
        return tuple(claims)


class _Linker:
    """Gives every formula the formulas of the links it uses: the first of each."""

    def __init__(
        self, read: Reader, recurrence: Recurrence | None, declared: Sequence[Declared]
    ) -> None:
        self.read = read
        self.recurrence = recurrence
        self.stepwise = [one for one in declared if one.stepwise]
        # A closed form is what a link means to others, where there is one.
        self.declared = {str(one.link): one for one in sorted(declared, key=lambda d: not d.stepwise)}
        self.made: dict[str, Written] = {}
        self.open: list[str] = []

    def of(self, one: Declared) -> tuple[Written, ...]:
        if one.stepwise:
            return (self._recurrent(one),)
        return tuple(
            Formula(expression, self._links(one, expression.names))
            for expression in one.expressions
        )

    def _recurrent(self, one: Declared) -> RecurrentFormula:
        assert self.recurrence is not None
        carried = tuple(
            State(str(other.link), other.starts[0], other.expressions[0])
            for other in self.stepwise
        )
        recurrence = Recurrence(
            self.recurrence.steps, self.recurrence.index, (*self.recurrence.states, *carried)
        )
        derivatives = {str(other.link): other.link for other in self.stepwise}
        names = [name for name in recurrence.reads if name not in derivatives]
        return RecurrentFormula(
            recurrence, str(one.link), derivatives, self._links(one, tuple(names))
        )

    def _links(self, one: Declared, names: Sequence[str]) -> dict[str, Written]:
        return {
            name: formula
            for name in names
            if name in self.declared and (formula := self._link(name, one)) is not None
        }

    def _link(self, name: str, user: Declared) -> Written | None:
        if name in self.open:
            chain = " → ".join([*self.open[self.open.index(name) :], name])
            self.read.report(user.path, f"these derivatives need each other: {chain}", key=True)
            return None
        if name not in self.made:
            self.open.append(name)
            formulas = self.of(self.declared[name])
            self.open.pop()
            if not formulas:
                return None
            self.made[name] = formulas[0]
        return self.made[name]
