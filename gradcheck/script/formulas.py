"""A case whose function is a formula → a script."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from gradcheck.casefile.case import Expectation, Printed
from gradcheck.claims import Claim, RecurrentFormula, Written
from gradcheck.errors import EvaluationError, ShapeError, UsageError
from gradcheck.functions import Recurrence, Step
from gradcheck.jacobians import Shape, as_jacobian
from gradcheck.lines import PassFormula
from gradcheck.place import CPU, Place
from gradcheck.published import expected_ball, filled
from gradcheck.script.chosen import Shown
from gradcheck.script.gradients import Gradients
from gradcheck.script.layout import call, comment, quoted, source, tensor
from gradcheck.script.links import Links
from gradcheck.script.names import plain
from gradcheck.script.page import Page
from gradcheck.script.passes import Passes
from gradcheck.script.shapes import shaped
from gradcheck.script.terms import Term
from gradcheck.second_claim import SecondClaim
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.truths import too_large

_WIDER: Final = "h=1e-4"
"""The step of second differences, which rounding blurs more."""


def formula_script(place: Place, shown: Sequence[Shown]) -> str:
    """A script that shows these quantities.

    Raises:
        UsageError: It cannot be written, for a reason that the message says.
    """
    return _Script(place, shown).text()


class _Script:
    def __init__(self, place: Place, shown: Sequence[Shown]) -> None:
        self.place = place
        self.shown = shown
        quantities = ", ".join(dict.fromkeys(one.quantity for one in shown))
        self.page = Page(place, f"{quantities}: by hand, by autograd, by central differences.")
        self.steps = self.page.steps
        self.values = self.page.values
        formulas = (formula for one in shown for formula in one.formulas)
        self.links = Links(self.steps)
        self.passes = Passes(self.steps, (one for one in formulas if isinstance(one, PassFormula)))
        self.functions: dict[object, str] = {}

    def text(self) -> str:
        for one in self.shown:
            if isinstance(one.of, Claim):
                self._claim(one, one.of)
            elif isinstance(one.of, SecondClaim):
                self._second(one, one.of)
        values = [one for one in self.shown if one.of == one.quantity]
        gradients = [one for one in self.shown if f"{one.of}.grad" == one.quantity]
        for one in values:
            self._value(one)
        if gradients:
            self._gradients(gradients)
        return self.page.text()

    def _claim(self, one: Shown, claim: Claim) -> None:
        output, input = self._shapes(one, [claim.output], [claim.input])
        if 0 in (*output, *input):
            return
        answers = self._written(one, output, input)
        name = f"{plain(claim.output.removesuffix('[t]'))}_of_{plain(claim.input)}"
        function = self._function(claim.ends, name, claim.steps, [claim.input], claim.output)
        (at,) = self._moved(claim.input)
        answers["autograd"] = f"jacobian({function}, {at})"
        self._show(one, answers, f"differences({function}, {at})", output, input)

    def _second(self, one: Shown, claim: SecondClaim) -> None:
        of = claim.of
        output, input = self._shapes(one, [of.output], [of.first, of.second])
        if 0 in (*output, *input):
            return
        if any("detach" in step.words for step in claim.steps):
            raise UsageError(f"`{one.quantity}`: no script shows second derivatives past `detach`")
        first, second = (tuple(self.place.value(name).shape) for name in (of.first, of.second))
        input = first if of.vector else (*first, *second)
        answers = self._written(one, output, input)
        by = tuple(dict.fromkeys([of.first, of.second]))
        name = f"{of.output}_of_{'_and_'.join(by)}"
        key = (of.output, *by) if len(by) == 1 else (of.output, by)
        function = self._function(key, name, claim.steps, by, of.output)
        x, y = self._moved(of.first, of.second)
        inner = function if x == y else f"lambda {x}: {function}({x}, {y})"
        autograd = f"jacobian(lambda {y}: jacobian({inner}, {x}, create_graph=True), {y})"
        numeric = f"differences(lambda {y}: differences({inner}, {x}, {_WIDER}), {y}, {_WIDER})"
        if of.vector:
            (along,) = self._moved(of.vector)
            autograd = f"torch.tensordot({autograd}, {along}, {len(second)})"
            numeric = f"torch.tensordot({numeric}, {along}, {len(second)})"
        answers["autograd"] = autograd
        self._show(one, answers, numeric, output, input)

    def _value(self, one: Shown) -> None:
        """A value of the function beside what was published."""
        self._say(one)
        shape = tuple(self.place.value(one.quantity).shape)
        term = self.page.translator.counted(self.values[one.quantity])
        printed = [quoted(f"{one.quantity}:"), source(term.python)]
        for expectation in one.expected:
            expected = self._expected(expectation, shape, None)
            printed += ['"expected:"', expected or _printed(expectation.printed)]
        self.page.add_last(call("print(", printed))

    def _gradients(self, listed: Sequence[Shown]) -> None:
        """What backward passes leave."""
        passes = Gradients(self.page)
        names = [str(one.of) for one in listed]
        self.page.add(passes.function(names))
        found = [self.page.names.fresh(f"{name}_grad") for name in names]
        self.page.add(f"{', '.join(found)} = {passes.call()}")
        for one, name, variable in zip(listed, names, found, strict=True):
            self._say(one)
            if passes.left(name) is None:
                printed = [quoted(f"{one.quantity}:"), variable]
                for expectation in one.expected:
                    printed += ['"expected:"', _printed(expectation.printed)]
                self.page.add_last(call("print(", printed))
                continue
            shape = tuple(self.place.value(name).shape)
            numeric = ""
            steps = self.place.case.function.between(name, {passes.output})
            if steps:
                head = f"{passes.output}_of_{name}"
                ends = (passes.output, name)
                function = self._function(ends, head, steps, [name], passes.output)
                (at,) = self._moved(name)
                times = passes.times(name)
                numeric = f"{f'{times} * ' if times > 1 else ''}differences({function}, {at})"
            self._show(one, {"autograd": variable}, numeric, shape, None)

    def _shapes(
        self, one: Shown, outputs: Sequence[str], inputs: Sequence[str]
    ) -> tuple[Shape, Shape]:
        """Those of a derivative, all that it is by together."""
        output, input = (
            tuple(size for name in names for size in self.place.value(name).shape)
            for names in (outputs, inputs)
        )
        sizes = (torch.Size(output).numel(), torch.Size(input).numel())
        if problem := too_large(*sizes):
            raise UsageError(f"`{one.quantity}` is too large for a script: {problem}")
        return output, input

    def _written(self, one: Shown, output: Shape, input: Shape) -> dict[str, str]:
        """The answers by hand, each of which is a formula's value in the derivative's shape."""
        answers: dict[str, str] = {}
        texts = [formula.text for formula in one.formulas]
        self._say(one, but_not=texts)
        for number, formula in enumerate(one.formulas, start=1):
            title = comment(f"{one.quantity}, line {formula.line}: {formula.text}")
            if said := one.said.get(formula.text):
                title += f"\n{comment(said)}"
            lines: list[str] = []
            if self._has_value(formula, output, input):
                lines, term = self._lines(formula, one.quantity, output, input)
                name = f"handwritten_{number}" if len(one.formulas) > 1 else "handwritten"
                answers[name] = source(self._shaped(formula, term, output, input))
            self.page.add("\n".join([title, *lines]))
        return answers

    def _has_value(self, formula: Written, output: Shape, input: Shape) -> bool:
        """Whether a formula has a value, and at every step the shape of a derivative."""
        environment, meaning = dict(self.place.environment), self.place.meaning()
        try:
            if formula.is_stepwise:
                formula.jacobian(environment, output, input, meaning)
            else:
                formula.evaluate(environment, meaning)
        except (EvaluationError, ShapeError):
            return False
        return True

    def _lines(
        self, formula: Written, quantity: str, output: Shape, input: Shape
    ) -> tuple[list[str], Term]:
        """The statements that a formula still needs, and its value."""
        if isinstance(formula, PassFormula):
            return self.passes.formula(formula)
        if isinstance(formula, RecurrentFormula):
            return self.links.stepwise(formula, output, input)
        return self.links.formula(formula, quantity)

    def _shaped(self, formula: Written, term: Term, output: Shape, input: Shape) -> ast.expr:
        translator = self.page.translator
        if formula.is_stepwise:
            return term.python
        try:
            return shaped(translator, term, output, input).python
        except ShapeError:
            self.page.has_shapes = True
            return translator.counted(term).python

    def _say(self, one: Shown, but_not: Sequence[str] = ()) -> None:
        """What there is to say, but of some formulas."""
        for said in dict.fromkeys(said for text, said in one.said.items() if text not in but_not):
            self.page.add(comment(f"{one.quantity}: {said}"))

    def _function(
        self,
        key: object,
        name: str,
        steps: Sequence[Step | Recurrence],
        inputs: Sequence[str],
        end: str,
    ) -> str:
        """The name of the function from some values to another; it is written once for a key."""
        if key not in self.functions:
            self.functions[key] = self.page.names.fresh(name)
            parameters = {name: self.values.name(name) for name in inputs}
            self.page.add(self.steps.function(self.functions[key], parameters, steps, end))
        return self.functions[key]

    def _moved(self, *names: str) -> list[str]:
        """The variables of values at which functions are differentiated."""
        self.values.moved.update(names)
        return [source(self.values[name].python) for name in names]

    def _show(
        self,
        one: Shown,
        answers: Mapping[str, str],
        numeric: str,
        output: Shape,
        input: Shape | None,
    ) -> None:
        """Prints answers; what was published is in the shape of a derivative, or of a value."""
        later = {"numeric": numeric} if numeric else {}
        for expectation in one.expected:
            if (text := self._expected(expectation, output, input)) is not None:
                later["expected"] = text
        self.page.show(one.quantity, answers, later)

    def _expected(self, one: Expectation, output: Shape, input: Shape | None) -> str | None:
        """What was published as a tensor; None where it has another shape."""
        if one.printed is None:
            return None
        try:
            ball = expected_ball(one.printed, lambda value: _published(one, value, output, input))
        except ShapeError:
            return None
        return tensor(torch.from_numpy(ball.midpoint))


def _printed(numbers: Printed | None) -> str:
    """Published numbers as they were printed."""
    if isinstance(numbers, list):
        return f"[{', '.join(map(_printed, numbers))}]"
    return str(numbers)


def _published(one: Expectation, value: object, output: Shape, input: Shape | None) -> Tensor:
    if input is None:
        return filled(value, output)
    meaning = TorchMeaning(torch.float64, CPU)
    if "[t]/" not in one.quantity:
        jacobian: Tensor = as_jacobian(value, output, input, meaning)
        return jacobian
    if not isinstance(value, Tensor) or len(value) != output[0]:
        raise ShapeError("other steps")
    return torch.stack([as_jacobian(step, output[1:], input, meaning) for step in value])
