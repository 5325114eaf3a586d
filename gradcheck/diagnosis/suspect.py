"""A formula that is wrong, at its case's points and at others, beside what would be right."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.casefile.case import Point
from gradcheck.casefile.inputs import Given
from gradcheck.claims import Claim, Written
from gradcheck.diagnosis.choices import COMPARISONS, choices
from gradcheck.diagnosis.companions import companions
from gradcheck.diagnosis.evidence import CLOSE, NOTHING, Evidence, usual
from gradcheck.elsewhere import points_elsewhere
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.functions import Environment, Recurrence, Step
from gradcheck.jacobians import Shape
from gradcheck.language.editing import Editor, Part
from gradcheck.language.expression import Expression
from gradcheck.language.leibniz import Link
from gradcheck.language.tree import Call, Name, values_of
from gradcheck.lines import HISTORIES, PassFormula, Sweep
from gradcheck.modes import JVP, OBJECTIVE, PARAMETER
from gradcheck.oracles import autograd
from gradcheck.place import CPU, Place
from gradcheck.second_claim import SecondClaim
from gradcheck.second_order import SecondCheck
from gradcheck.sites import expressions
from gradcheck.verdict import Flags

MOST_OPERATIONS: Final = 200_000
"""That trying changes of a formula may take, twice: about a second each."""
POINTS: Final = 6
"""At so many points a formula is looked at, of the case and beside."""
OWN_POINTS: Final = 2
MOST_ENTRIES: Final = 2**12
"""Of a Jacobian that is looked at."""
MOST_LINKS: Final = 64
SHORT: Final = 24
"""Characters of a part of the function that may be a factor."""
MOST_PARTS: Final = 8
FEW: Final = 4
"""Entries of a vector that may each be a factor or a term."""


Moved = Literal["inputs", "constants", "nothing"]


@dataclass(frozen=True, eq=False)
class Spot:
    """One point: the right derivative, and the values by name that formulas are evaluated with."""

    place: Place
    truth: Array
    held: Environment
    output: Shape
    input: Shape

    def value(self, written: Written) -> Array | None:
        """What a way of writing gives, of shape output + input; None where that is no derivative.

        Other derivatives that it uses are right, where they are known.
        """
        if isinstance(written, PassFormula):
            # What goes on step by step is computed anew, as some of its names are used again.
            before = written.before
            unknown = (s for s in before if isinstance(s, Sweep) or s.name not in self.held)
            written = replace(written, before=tuple(unknown))
        meaning = self.place.meaning()
        try:
            found = written.jacobian(dict(self.held), self.output, self.input, meaning)
        except (EvaluationError, ShapeError):
            return None
        array = array_of(found)
        return array if np.isfinite(array).all() else None


class Suspect:
    """A wrong formula of a claim, at some points in float64 on the CPU.

    Truth is torch's derivative, which was found to be right. The points beside those of the case
    have other inputs, and also other constants, or there are none.
    """

    def __init__(
        self,
        place: Place,
        claim: Claim | SecondClaim,
        written: Written,
        *,
        moved: Moved = "inputs",
    ) -> None:
        self.case = place.case
        self.claim = claim
        self.written = written
        self._place = place
        self._moved = moved

    @cached_property
    def spots(self) -> list[Spot]:
        """The point that failed first, then others of the same shapes."""
        found: list[Spot] = []
        for point in self._points():
            try:
                spot = self._spot(Place.at(self.case, point, "float64", "cpu"))
            except (EvaluationError, RuntimeError, IndexError):
                continue
            if spot is None or (found and spot.truth.shape != found[0].truth.shape):
                continue
            found.append(spot)
            if len(found) == POINTS:
                break
        return found

    def _points(self) -> Iterator[Point]:
        own = self._place.point
        yield own
        if self._moved == "nothing":
            return
        others = [p for p in self.case.points if p is not own and p.again == own.again]
        yield from others[: OWN_POINTS - 1]
        inputs = points_elsewhere(self.case, far=False)
        if self._moved == "constants":
            both = zip(points_elsewhere(self.case, constants=True, far=False), inputs, strict=True)
            inputs = itertools.chain.from_iterable(both)
        for point in itertools.islice(inputs, 4 * POINTS):
            yield replace(point, again=own.again)

    @property
    def has_constants(self) -> bool:
        """Whether there is a number that is no input, and could be another."""
        values = self._place.point.values
        return any(
            isinstance(value, Given) and name not in self.case.inputs
            for name, value in values.items()
        )

    def _spot(self, place: Place) -> Spot | None:
        if isinstance(self.claim, SecondClaim):
            check = SecondCheck(place, self.claim)
            output, input = check.output, check.input
            if math.prod(output) * math.prod(input) > MOST_ENTRIES:
                return None
            truth = check.hessian()
        else:
            value, result = place.value(self.claim.input), place.value(self.claim.output)
            if not torch.isfinite(result).all():
                return None
            output, input = tuple(result.shape), tuple(value.shape)
            if math.prod(output) * math.prod(input) > MOST_ENTRIES:
                return None
            truth = autograd.jacobian(place.segment(self.claim), value, place.meaning())
        if not torch.isfinite(truth).all():
            return None
        held = {**place.environment, **self._links(place), **self._histories(place)}
        return Spot(place, array_of(truth), held, output, input)

    @cached_property
    def evidence(self) -> Evidence | None:
        """The formula beside the truth, at all points; None where it gives no derivative."""
        found = []
        for spot in self.spots:
            value = spot.value(self.written)
            if value is None:
                return None
            found.append(value)
        if not found:
            return None
        truth = np.stack([spot.truth for spot in self.spots])
        outputs = len(self.spots[0].output)
        return Evidence(truth, np.stack(found), outputs, self.named, self.conditions)

    def is_right(self, written: Written) -> bool:
        """Whether a way of writing gives the truth at every point."""
        for spot in self.spots:
            value = spot.value(written)
            if value is None or not self._is_near(value, spot.truth):
                return False
        return bool(self.spots)

    def _is_near(self, a: Array, b: Array) -> bool:
        """Whether two derivatives are the same but for rounding."""
        largest = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
        limit = CLOSE * max(largest, NOTHING * self._largest)
        return bool((np.abs(a - b) <= limit).all())

    @cached_property
    def _largest(self) -> float:
        """At most points: what is far below it is 0."""
        return usual(np.stack([np.abs(spot.truth).max(initial=0.0) for spot in self.spots]))

    def truth_with(self, spot: Spot, steps: tuple[Step | Recurrence, ...]) -> Array | None:
        """The derivative at a point if the function had these steps; None where it has none."""
        assert isinstance(self.claim, Claim)
        place, claim = spot.place, self.claim
        segment = replace(place.segment(claim), steps=steps)
        try:
            found = autograd.jacobian(segment, place.value(claim.input), place.meaning())
        except (EvaluationError, RuntimeError, IndexError):
            return None
        return array_of(found)

    @cached_property
    def cost(self) -> int:
        """About how many operations on a few numbers one evaluation of the formula takes."""
        entries = max((spot.truth.size for spot in self.spots[:1]), default=1)
        steps = max((_count(step, self._place) for step in self.case.function.steps), default=1)
        listed = list(expressions(self.written))
        is_repeated = any(isinstance(step, Recurrence) for step in self.case.function.steps)
        operations = sum(1 + one.cost for one in listed) * (steps if is_repeated else 1)
        return operations * (1 + entries // 512)

    @cached_property
    def named(self) -> Mapping[str, Array]:
        """What a reader knows by name, each (points, *its own shape)."""
        places = [spot.place for spot in self.spots]
        found: dict[str, Array] = {}
        for name, spelled in self._names().items():
            values = [place.environment.get(name) for place in places]
            if (stack := _stacked(values)) is not None:
                found[spelled] = stack
        for name in [*self.case.function.given]:
            array = found.get(name)
            if array is not None and array.ndim == 2 and array.shape[1] <= FEW:
                found |= {f"{name}[{i}]": array[:, i] for i in range(array.shape[1])}
        for name in self._link_claims:
            values = [spot.held.get(name) for spot in self.spots]
            if (stack := _stacked(values)) is not None:
                found[name] = stack
        found |= {t: value for t, value in self.values_of(self.parts).items() if t not in found}
        return found

    def values_of(self, parts: Mapping[str, Part]) -> dict[str, Array]:
        """Values of formulas, by their text, each (points, *its own shape), where they have any."""
        found = {}
        for text, part in parts.items():
            expression = Expression(text, part.node)
            with suppress(EvaluationError):
                values = []
                for place in (spot.place for spot in self.spots):
                    meaning = place.meaning()
                    value = expression.evaluate(place.environment, meaning)
                    values.append(meaning.tensor(value))
                stack = _stacked(values)
                if stack is not None and np.isfinite(stack).all():
                    found[text] = stack
        return found

    def _names(self) -> dict[str, str]:
        """Those of values, inputs first, with how a reader spells them."""
        function = self.case.function
        names = {name: name for name in (*function.given, *function.values)}
        names |= {name: name for name, size in self.case.sizes.items() if size > 1}
        if isinstance(self.written, PassFormula):
            for spelled, value in self.written.given.items():
                names.setdefault(value, spelled)
        return names

    @cached_property
    def _link_claims(self) -> dict[str, Claim]:
        """Derivatives that may be factors or terms, by name: declared, and from step to step."""
        found: dict[str, Claim] = {}
        for claim in self.case.claims:
            is_alike = _mode(claim) == _mode(self.claim) and "[t]" not in claim.quantity
            if claim is not self.claim and is_alike:
                found[claim.quantity.removesuffix(JVP)] = claim
        for step in self.case.function.steps:
            for name in sorted(step.reads) if isinstance(step, Step) else ():
                link = Link(step.names[0], name)
                is_own = isinstance(self.claim, Claim) and link[:2] == self.claim.ends[:2]
                if str(link) not in found and self._is_differentiable(name) and not is_own:
                    found[str(link)] = Claim.of(self.case.function, link, (), 0)
        return dict(list(found.items())[:MOST_LINKS])

    def _is_differentiable(self, name: str) -> bool:
        return name in self.case.inputs or name in self.case.function.values

    def _links(self, place: Place) -> Environment:
        """Right values of other derivatives at a place, each as a formula would give it."""
        found: Environment = {}
        for name, claim in self._link_claims.items():
            output, value = place.value(claim.output), place.value(claim.input)
            if output.numel() * value.numel() <= MOST_ENTRIES:
                with suppress(EvaluationError, RuntimeError):
                    jacobian = autograd.jacobian(place.segment(claim), value, place.meaning())
                    found[name] = _short(jacobian, output.ndim)
        return found

    def _histories(self, place: Place) -> Environment:
        """The values of states that a hand-written pass takes, which no change of it changes."""
        own = self.written.own if isinstance(self.written, PassFormula) else None
        if not isinstance(own, Sweep):
            return {}
        return {HISTORIES: own.histories(place.environment, place.meaning())}

    @cached_property
    def choices(self) -> tuple[Part, ...]:
        """What the function decides on, as formulas of its values: `x > 0` of relu(x)."""
        found: dict[str, Part] = {}
        for step in self.claim.steps:
            if isinstance(step, Step):
                for part in choices(step.expression):
                    found.setdefault(part.text, part)
        return tuple(found.values())

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """What the function computes on the way without a name, such as `norm(x)`, by its text."""
        found: dict[str, Part] = {}
        for step in self.case.function.steps:
            is_step = isinstance(step, Step)
            for formula in _next_formulas(step):
                editor = Editor(formula)
                for node in values_of(formula.tree):
                    if node is formula.tree or not isinstance(node, Call):
                        continue
                    if node.word.name in COMPARISONS:
                        continue
                    part = editor.part(node)
                    # At every step of a recurrence something else, unless it is made of inputs.
                    names = {one.name for one in values_of(node) if isinstance(one, Name)}
                    is_still = is_step or names <= set(self.case.function.given)
                    if is_still and len(part.text) <= SHORT:
                        found.setdefault(part.text, part)
        made = [(text, part) for text, part in self.companions.items() if len(text) <= SHORT]
        return dict(list(found.items())[:MOST_PARTS]) | dict(made[:MOST_PARTS])

    @cached_property
    def companions(self) -> Mapping[str, Part]:
        """What derivatives of the function are made of: cos(x) of sin(x), x**(n - 1) of x**n."""
        steps = [step for step in self.claim.steps if isinstance(step, Step)]
        return {part.text: part for step in steps for part in companions(step.expression)}

    @cached_property
    def conditions(self) -> Mapping[str, Flags]:
        """The same as they are decided at each point, (points, *the shape of the choice)."""
        found: dict[str, Flags] = {}
        for part in self.choices:
            expression = Expression(part.text, part.node)
            try:
                flags = [
                    torch.as_tensor(
                        expression.evaluate(spot.place.environment, spot.place.meaning())
                    )
                    for spot in self.spots
                ]
                found[part.text] = np.stack([one.bool().numpy() for one in flags])
            except (EvaluationError, ValueError):
                continue
        return found


def _next_formulas(step: Step | Recurrence) -> list[Expression]:
    return [step.expression] if isinstance(step, Step) else [state.next for state in step.states]


def _stacked(values: Sequence[Any]) -> Array | None:
    """Values of one name, (points, *shape); None where they are none, or of several shapes."""
    if not all(isinstance(value, (Tensor, int)) for value in values):
        return None
    arrays = [array_of(torch.as_tensor(value)) for value in values]
    return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else None


def _count(step: Step | Recurrence, place: Place) -> int:
    """How often a step is repeated."""
    if isinstance(step, Step):
        return 1
    return step.count(place.environment, place.meaning())


def _mode(claim: Claim | SecondClaim) -> str:
    """Which derivatives a formula of it may use."""
    if isinstance(claim, SecondClaim):
        return "link"
    if claim.output == OBJECTIVE:
        return "backward"
    return "forward" if claim.input == PARAMETER else "link"


def _short(jacobian: Tensor, outputs: int) -> Tensor:
    """A Jacobian as it is written: that of an elementwise function by its diagonal."""
    output, input = jacobian.shape[:outputs], jacobian.shape[outputs:]
    if not output or output != input:
        return jacobian
    square = jacobian.reshape(output.numel(), -1)
    diagonal = torch.diagonal(square)
    if torch.equal(torch.diag(diagonal), square):
        return diagonal.reshape(output)
    return jacobian


def array_of(value: Tensor) -> Array:
    """In float64, to be held against others."""
    array: Array = value.detach().to(CPU, torch.float64).numpy()
    return array
