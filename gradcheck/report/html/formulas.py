"""Formulas and quantities as they are written → MathML, or code where they cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gradcheck.errors import ExpressionError
from gradcheck.language.expression import Definition, Expression
from gradcheck.language.leibniz import parse_link, parse_second
from gradcheck.language.parser import parse
from gradcheck.modes import JVP
from gradcheck.report.html.markup import Markup, joined, tag
from gradcheck.report.html.mathml import Typesetter
from gradcheck.report.html.names import differential, listed, name
from gradcheck.report.html.typeset import fenced, math, quotient
from gradcheck.results import Written

_CARRIED: Final = re.compile(r"start: (.*), next: (.*)", re.DOTALL)
_CALLED: Final = re.compile(r"(\w+)\((.*)\)", re.ASCII)
_STEPWISE: Final = re.compile(r"\bd(\w+)\[t\]", re.ASCII)


class Formulas:
    """Reads the formulas of one case, of which the derivation says what names there are."""

    def __init__(self, derivation: Iterable[Written] = ()) -> None:
        self._definitions: dict[str, Definition] = {}
        self._links: dict[str, str] = {}
        self._values: list[str] = []
        differentials: list[str] = []
        steps: list[tuple[str, Expression]] = []
        for line in derivation:
            if line.kind == "definition":
                steps = self._define(line, steps)
            elif line.kind == "derivative":
                link = _STEPWISE.sub(r"d\1", line.name)
                self._links[link] = link
            elif line.kind in ("backward", "jvp"):
                differentials.append(line.name)
            else:
                self._values.append(line.name)
        self._typesetter = Typesetter({*differentials, *(f"d{value}" for value in self._values)})

    def formula(self, text: str) -> Markup:
        """What is on the right: a formula, or both of what is carried along a recurrence."""
        if carried := _CARRIED.fullmatch(text):
            start, following = map(self._inside, carried.groups())
            then = tag("mtext", "\N{NO-BREAK SPACE}first, then\N{NO-BREAK SPACE}")
            return start and following and tag("mrow", start, then, following)
        return self._inside(text)

    def equation_of(self, quantity: str, text: str) -> Markup:
        """What somebody claims: quantity = formula; empty where that cannot be typeset."""
        left, typeset = self.quantity(quantity), self.formula(text)
        return math(left, _sign(text), typeset) if left and typeset else Markup()

    def equation(self, line: Written) -> Markup:
        """A line of the derivation: name = formula."""
        if line.kind == "repeat":
            index = [", at step ", math(self.quantity(line.name))] if line.name else []
            times = self.formula(line.formula)
            return joined("repeated ", math(times) if times else line.formula, " times", *index)
        typeset = self.formula(line.formula) if line.kind != "python" else Markup()
        left = self.called(line.name) if line.kind == "definition" else self.quantity(line.name)
        if not typeset or not left:
            return tag("code", f"{line.name} = {line.formula}")
        return math(left, _sign(line.formula), typeset)

    def called(self, text: str) -> Markup:
        """The left side of a definition, or of one of its steps."""
        found = _CALLED.fullmatch(text)
        if found is None:
            return name(text)
        arguments = listed(map(name, re.split(r"\W+", found[2])))
        return tag("mrow", tag("mi", found[1]), fenced("(", arguments, ")"))

    def quantity(self, text: str) -> Markup:
        """What a claim is about; empty where that is no derivative and no value."""
        text = text.removesuffix(JVP)
        if (link := parse_link(_STEPWISE.sub(r"d\1", text))) is not None:
            above = _at_every_step(link.output) if "[t]" in text else name(link.output)
            fraction = quotient(above, name(link.input))
            if link.held:
                bar = tag("mrow", fraction, tag("mo", "|", stretchy="true"))
                return tag("msub", bar, listed(map(name, link.held)))
            return fraction
        if (second := parse_second(text)) is not None:
            return _second(*second)
        if not re.fullmatch(r"\w+(\[t\])?", text, re.ASCII):
            return Markup()
        plain = text.removesuffix("[t]")
        shown = self._typesetter.name(plain).markup
        return shown if plain == text else tag("msub", shown, tag("mi", "t"))

    def _inside(self, text: str) -> Markup:
        tree = self._parsed(text)
        return Markup() if tree is None else self._typesetter.formula(tree.tree)

    def _parsed(self, text: str) -> Expression | None:
        try:
            return parse(text, links=self._links, definitions=self._definitions, scope=self._values)
        except ExpressionError:
            return None

    def _define(
        self, line: Written, steps: list[tuple[str, Expression]]
    ) -> list[tuple[str, Expression]]:
        """Adds a definition at its last line; returns the steps of one that goes on."""
        expression = self._parsed(line.formula)
        if expression is None:
            return []
        found = _CALLED.fullmatch(line.name)
        if found is None:
            return [*steps, (line.name, expression)]
        named = Definition(
            found[1], tuple(re.split(r"\W+", found[2])), (*steps, (found[1], expression))
        )
        self._definitions[named.name] = named
        return []


def _sign(formula: str) -> Markup:
    return tag("mo", "←" if _CARRIED.fullmatch(formula) else "=")


def _at_every_step(state: str) -> Markup:
    return tag("msub", name(state), tag("mi", "t"))


def _second(output: str, first: str, second: str, vector: str) -> Markup:
    squared = tag("msup", tag("mi", "∂", mathvariant="normal"), tag("mn", "2"))
    below = [differential("∂", name(first)), differential("∂", name(second))]
    fraction = tag("mfrac", tag("mrow", squared, name(output)), tag("mrow", *below))
    if not vector:
        return fraction
    return tag("mrow", fraction, tag("mspace", width="0.25em"), name(vector))
