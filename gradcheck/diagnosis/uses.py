"""Derivatives in which one use of a value is left out, as if it were a constant there."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.claims import Claim
from gradcheck.diagnosis.formulas import formulas_of
from gradcheck.diagnosis.suspect import Spot, Suspect, array_of
from gradcheck.errors import EvaluationError
from gradcheck.functions import Recurrence, Segment, State, Step
from gradcheck.language.editing import call
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Literal, Name, Node, values_of, with_node
from gradcheck.language.vocabulary import WORDS
from gradcheck.oracles import autograd

MOST: Final = 24
"""Uses that are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """Where a value is used, in the formula of a step or of a state, and what `still` is there.

    What is `inner` is in a word, such as the sum that a softmax divides by.
    """

    name: str
    step: Step | Recurrence
    of: str
    formula: Expression
    node: Node
    still: Node
    inner: str = ""

    def cut(self, steps: tuple[Step | Recurrence, ...]) -> tuple[Step | Recurrence, ...]:
        """The steps in which no derivative passes this use."""
        tree = with_node(self.formula.tree, self.node, self.still)
        changed = Expression(self.formula.text, tree)
        return tuple(self._with(changed) if step is self.step else step for step in steps)

    def _with(self, changed: Expression) -> Step | Recurrence:
        if isinstance(self.step, Step):
            return Step(self.step.name, changed)
        states = tuple(self._state(state, changed) for state in self.step.states)
        return replace(self.step, states=states)

    def _state(self, state: State, changed: Expression) -> State:
        if state.name != self.of:
            return state
        if state.start is self.formula:
            return State(state.name, changed, state.next)
        return State(state.name, state.start, changed)


def uses(claim: Claim) -> list[Use]:
    """Every use of a value on the way from the claim's input to its output, then of parts.

    A part is what is not a value of its own, such as `mean(x)` in `x - mean(x)`.
    """
    moving = {claim.input}
    values: list[Use] = []
    parts: list[Use] = []
    words: list[Use] = []
    for step in claim.steps:
        for of, formula in formulas_of(step):
            inside = moving | set(step.names) if isinstance(step, Recurrence) else moving
            for node in values_of(formula.tree):
                if isinstance(node, Name) and node.name in inside:
                    values.append(Use(node.name, step, of, formula, node, call("detach", node)))
                elif isinstance(node, Call) and _moves(node, inside):
                    text = formula.text[node.start : node.end]
                    if node is not formula.tree:
                        still = call("detach", node)
                        parts.append(Use(text, step, of, formula, node, still))
                    for inner, held in _held(node):
                        words.append(Use(text, step, of, formula, node, held, inner))
        moving.update(step.writes)
    return [*values[:MOST], *words[:MOST], *parts[:MOST]]


def _held(node: Call) -> Iterator[tuple[str, Node]]:
    """A word in other words, in which a part stands still; the same in value."""
    first, *_ = node.arguments
    if node.word.name == "silu":
        yield "the gate", call("mul", first, call("detach", call("sigmoid", first)))
    elif node.word.name in ("softmax", "log_softmax"):
        dims = tuple(pair for pair in node.keywords if pair[0] == "dim")
        kept = (*dims, ("keepdim", Literal(0, 0, True)))
        total = Call(0, 0, WORDS["logsumexp"], (first,), kept)
        logarithm = call("sub", first, call("detach", total))
        is_log = node.word.name == "log_softmax"
        yield "the normalisation", logarithm if is_log else call("exp", logarithm)


def _moves(node: Node, moving: Container[str]) -> bool:
    return any(isinstance(one, Name) and one.name in moving for one in values_of(node))


def without(suspect: Suspect, claim: Claim, use: Use) -> list[Array] | None:
    """The derivative at all points as it would be if a value stood still in one use."""
    found = []
    for spot in suspect.spots:
        jacobian = _without(spot, claim, use)
        if jacobian is None:
            return None
        found.append(jacobian)
    return found


def _without(spot: Spot, claim: Claim, use: Use) -> Array | None:
    place = spot.place
    segment = place.segment(claim)
    segment = replace(segment, steps=use.cut(segment.steps))
    try:
        found = autograd.jacobian(segment, place.value(claim.input), place.meaning())
    except (EvaluationError, RuntimeError, IndexError):
        return None
    return array_of(found)


def without_value(suspect: Suspect, claim: Claim, name: str) -> list[Array] | None:
    """The derivative at all points as it would be if an input or a constant were 0."""
    found = []
    for spot in suspect.spots:
        place, case = spot.place, suspect.case
        names = (*case.sizes, *case.function.given)
        given = {one: place.environment[one] for one in names}
        if not isinstance(given[name], Tensor) or not given[name].is_floating_point():
            return None
        given[name] = torch.zeros_like(given[name])
        try:
            held = {**place.environment, **case.function.run(given, place.meaning())}
            segment = Segment(claim.steps, claim.input, claim.output, held)
            value = held[claim.input]
            jacobian = autograd.jacobian(segment, value, place.meaning())
        except (EvaluationError, RuntimeError, IndexError):
            return None
        found.append(array_of(jacobian))
    return found
