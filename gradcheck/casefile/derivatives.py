"""`derivatives:` → claims: links resolved, formulas parsed, and given the links they use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradcheck.casefile import models
from gradcheck.casefile.document import Path
from gradcheck.casefile.names import Reader, listed, near
from gradcheck.claims import Claim, Formula, Linked, RecurrentFormula
from gradcheck.functions import Function, Recurrence, State
from gradcheck.language.expression import Expression
from gradcheck.language.leibniz import Link, Second, parse_link, parse_second
from gradcheck.second_claim import SecondClaim

DEEPEST_CHAIN: Final = 100
"""Links that may use each other one inside of the other."""
MOST_USES: Final = 10_000
"""Uses of links that a formula may come to when each is written out."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A link with its formulas as they are written; `stepwise` ones belong to a recurrence."""

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
        integers: Collection[str] = (),
    ) -> None:
        self.read = read
        self.path: Path = (*case, "derivatives")
        self.function = function
        self.inputs = inputs
        self.sizes = sizes
        self.integers = integers
        self.steps = list(function.values)
        self.values = dict.fromkeys([*sizes, *function.given, *self.steps])
        self.scope = {**self.values, "out": None}
        self.declared: set[str] = set()
        self.seconds: list[tuple[Second, Declared]] = []
        self.written: tuple[str, ...] = ()
        """The links that have a formula, and their keys as they are written."""
        self.unsure = False
        """Whether a formula of the function could not be read: what depends on what is unknown."""
        self.recurrence = next((s for s in function.steps if isinstance(s, Recurrence)), None)

    def resolved(self, link: Link, path: Path) -> Link | None:
        """The link with `out` replaced by the output's name; None and a problem if it is none."""
        output = self.function.output
        first, second = (output if name == "out" else name for name in link[:2])
        link = Link(first, second, link.held)
        problem = self._link_problem(link)
        if problem is not None:
            self.read.report(path, problem, key=True)
            return None
        return link

    def _link_problem(self, link: Link) -> str | None:
        problem = self._not_an_output(link.output) or self._not_an_input(link.input)
        if problem is None and link.output == link.input:
            problem = "a value's derivative by itself is 1: there is nothing to check"
        elif problem is None and not self._depends(link):
            problem = f"`{link.output}` does not depend on `{link.input}`"
        problem = problem or self._held_problem(link)
        if problem is None:
            return None
        swapped = Link(link.input, link.output)
        meant = f": did you mean `{swapped}`?" if self._is_derivative(swapped) else ""
        return f"`{link}`: {problem}{meant}"

    def _held_problem(self, link: Link) -> str | None:
        """What is wrong with the values that are to be held."""
        for name in link.held:
            if name not in self.values:
                return f"`{name}` is not a value of the function{near(name, self.values)}"
            if name in link[:2]:
                return f"`{name}` cannot be held: the derivative is of it, or by it"
            if not (self.unsure or self.function.between(link.input, {name})):
                return f"`{name}` does not depend on `{link.input}`, so that it is held anyway"
        return None

    def _is_derivative(self, link: Link) -> bool:
        named = not self._not_an_output(link.output) and not self._not_an_input(link.input)
        return named and self._depends(link)

    def _depends(self, link: Link) -> bool:
        return self.unsure or bool(self.function.between(link.input, {link.output}, link.held))

    def _not_an_output(self, name: str) -> str | None:
        if name in self.steps:
            return None
        if name in self.values:
            return f"`{name}` is given, not computed by the function"
        close = near(name, self.steps) or listed(self.steps)
        return f"`{name}` is not a value of the function{close}"

    def _not_an_input(self, name: str) -> str | None:
        if name in self.integers:
            return f"`{name}` is drawn as integers: no derivative by it, move it to `constants`"
        if name in self.inputs or name in self.steps:
            return None
        if name in self.function.given:
            return f"`{name}` is a constant: move it to `inputs`"
        if name in self.sizes:
            return f"`{name}` is a size: there is no derivative by it"
        known = [*self.inputs, *self.steps]
        return f"`{name}` is not a value of the function{near(name, known) or listed(known)}"

    def read_all(self, written: models.Derivatives) -> list[Declared]:
        """Every derivative with its formulas parsed; what is wrong is reported and left out."""
        formulas = in_formulas(written)
        named: dict[str, tuple[Link, Path]] = {}
        seconds: dict[Second, Path] = {}
        self.written = tuple(formulas)
        for key in formulas:
            path = (*self.path, key)
            second = parse_second(key, self.values)
            if second is not None:
                second = self._second(second, path)
                if second is not None and seconds.setdefault(second, path) is not path:
                    self.read.report(path, f"`{second}` is written twice", key=True)
                continue
            link = self.named(key, path)
            if link is None:
                continue
            if str(link) in named:
                self.read.report(path, f"`{link}` is written twice: list alternatives", key=True)
            named[str(link)] = link, path
        carried = self._carried(written.recurrence) if written.recurrence else {}
        links = self._spellings([link for link, _ in (*named.values(), *carried.values())])
        self.declared = {*named, *carried}
        self.seconds = [
            (second, self._plain(Link(*second[:2]), path, formulas[str(path[-1])], links))
            for second, path in seconds.items()
        ]
        declared = [
            self._plain(link, path, formulas[str(path[-1])], links) for link, path in named.values()
        ]
        stepwise = [self._stepwise(link, path, links, carried) for link, path in carried.values()]
        return [*declared, *(one for one in stepwise if one is not None)]

    def _second(self, second: Second, path: Path) -> Second | None:
        """The second derivative with `out` replaced; None and a problem if it is none."""
        output = self.function.output
        second = Second(*(output if name == "out" else name for name in second))
        _, first, other, vector = second
        problem = self._not_an_output(second.output)
        problem = problem or self._not_an_input(first) or self._not_an_input(other)
        between = self.function.between
        if problem is None and not self.unsure:
            for name, by in ((first, other), (other, first)):
                if name != by and between(name, {by}):
                    problem = f"`{by}` depends on `{name}`: by both there is no one derivative"
                elif not between(name, {second.output}, {by} - {name}):
                    problem = f"`{second.output}` does not depend on `{name}`"
        if problem is None and vector and vector not in self.values:
            close = near(vector, self.values) or listed(self.values)
            problem = f"`{vector}` is not a value that it can be multiplied by{close}"
        if problem is not None:
            self.read.report(path, f"`{second}`: {problem}", key=True)
            return None
        return second

    def named(self, key: str, path: Path) -> Link | None:
        """The link that a key of `derivatives` means: itself, or `dout/dkey`."""
        link = parse_link(key)
        if link is not None:
            return self.resolved(link, path)
        output = self.function.output
        if key in (output, "out"):
            message = f"`{key}` is the output: write the name of an input, or a link dA/dB"
            self.read.report(path, message, key=True)
            return None
        if key in self.values:
            return self.resolved(Link(output, key), path)
        known = [*self.inputs, *(f"d{output}/d{name}" for name in self.inputs)]
        close = near(key, known) or ": write an input's name, or a link dA/dB"
        self.read.report(path, f"`{key}` is not a derivative{close}", key=True)
        return None

    def _carried(self, written: Mapping[str, Any]) -> dict[str, tuple[Link, Path]]:
        if self.recurrence is None:
            path = (*self.path, "recurrence")
            message = "the function has no step called `recurrence`"
            self.read.report(path, message, key=True)
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
        spelled = {str(link): str(link) for link in links if not link.held}
        for link in links:
            if not link.held and link.output == self.function.output:
                spelled.setdefault(str(Link("out", link.input)), str(link))
        return spelled

    def _plain(self, link: Link, path: Path, written: Any, links: Mapping[str, str]) -> Declared:
        read = [
            self.read.formula(here, self.scope, links=links)
            for here, one in placed(path, written)
            if not isinstance(one, models.Imported)
        ]
        return Declared(link, False, path, tuple(e for e in read if e is not None))

    def _stepwise(
        self, link: Link, path: Path, links: Mapping[str, str], carried: Collection[str]
    ) -> Declared | None:
        assert self.recurrence is not None
        before = self._before_recurrence()
        inside = [*before, *(state.name for state in self.recurrence.states)]
        if self.recurrence.index is not None:
            inside.append(self.recurrence.index)
        known_before = {spelled: name for spelled, name in links.items() if name not in carried}
        start = self.read.formula((*path, "start"), before, links=known_before)
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

    def second_claims(self, declared: Sequence[Declared]) -> tuple[SecondClaim, ...]:
        """The claims on second derivatives; their formulas may use links."""
        formulas = _Linker(self.read, self.recurrence, declared)
        return tuple(
            SecondClaim.of_function(
                self.function,
                second,
                formulas.of(one),
                self.read.document.position(one.path, key=True)[0],
            )
            for second, one in self.seconds
        )

    def claims(self, declared: Sequence[Declared], published: Sequence[str]) -> tuple[Claim, ...]:
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


def placed(path: Path, written: Any) -> list[tuple[Path, Any]]:
    """What may be written as one value or as a list, each with where it stands."""
    if isinstance(written, list):
        return [((*path, index), one) for index, one in enumerate(written)]
    return [(path, written)]


def in_formulas(written: models.Derivatives) -> dict[str, Any]:
    """The derivatives of which there is a formula, and not only a function in Python."""
    return {
        key: value
        for key, value in written.named.items()
        if not all(isinstance(one, models.Imported) for one in models.several(value))
    }


class _Linker:
    """Gives every formula the formulas of the links it uses: the first of each."""

    def __init__(
        self, read: Reader, recurrence: Recurrence | None, declared: Sequence[Declared]
    ) -> None:
        self.read = read
        self.recurrence = recurrence
        self.stepwise = [one for one in declared if one.stepwise]
        # A closed form is what a link means to others, where there is one.
        closed = [one for one in declared if not one.stepwise]
        self.declared = {str(one.link): one for one in (*self.stepwise, *closed)}
        self.made: dict[str, Linked | None] = {}
        self.depth: dict[str, int] = {}
        self.uses: dict[str, int] = {}
        self.open: list[str] = []

    def of(self, one: Declared) -> tuple[Linked, ...]:
        if one.stepwise:
            return (self._recurrent(one),)
        return tuple(
            Formula(expression, self._links(one, expression.names))
            for expression in one.expressions
        )

    def _recurrent(self, one: Declared) -> RecurrentFormula:
        assert self.recurrence is not None
        carried = tuple(
            State(str(other.link), other.starts[0], other.expressions[0]) for other in self.stepwise
        )
        recurrence = Recurrence(
            self.recurrence.steps, self.recurrence.index, (*self.recurrence.states, *carried)
        )
        derivatives = {str(other.link): other.link for other in self.stepwise}
        names = [name for name in recurrence.reads if name not in derivatives]
        return RecurrentFormula(
            recurrence, str(one.link), derivatives, self._links(one, tuple(names))
        )

    def _links(self, one: Declared, names: Sequence[str]) -> dict[str, Linked]:
        return {
            name: formula
            for name in names
            if name in self.declared and (formula := self._link(name, one)) is not None
        }

    def _link(self, name: str, user: Declared) -> Linked | None:
        if name in self.open:
            chain = " → ".join([*self.open[self.open.index(name) :], name])
            self.read.report(user.path, f"these derivatives need each other: {chain}", key=True)
            return None
        if name not in self.made:
            self.made[name] = self._first(self.declared[name])
        return self.made[name]

    def _first(self, one: Declared) -> Linked | None:
        """The first formula of a link; None where it could not be read, or goes on for too long."""
        name = str(one.link)
        if len(self.open) < DEEPEST_CHAIN:
            self.open.append(name)
            formulas = self.of(one)
            self.open.pop()
            if not formulas:
                return None
            links = formulas[0].links
            self.depth[name] = 1 + max((self.depth[link] for link in links), default=0)
            self.uses[name] = 1 + sum(self.uses[link] for link in links)
            if self.depth[name] <= DEEPEST_CHAIN and self.uses[name] <= MOST_USES:
                return formulas[0]
        message = "this uses too many other derivatives, one inside of the other: write it out"
        self.read.report(one.path, message, key=True)
        return None
