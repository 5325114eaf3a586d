"""Reverse and forward mode as derivatives of a function that is a little larger.

With cotangents u of the outputs, the cotangent of a value v is the derivative of Σ u·out by v, the
graph cut there. With tangents d of the inputs, the tangent of a value is its derivative by t, at 0,
where each input x is x + t·d (Griewank and Walther, Evaluating Derivatives, 2008, chapter 3). The
cotangent of a recurrent state at every step is the derivative by zeros that are added to it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gradcheck.claims import Claim, Written
from gradcheck.functions import Function, Recurrence, Step, between, trajectory
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Name, Node
from gradcheck.language.vocabulary import WORDS

OBJECTIVE: Final = "(objective)"
PARAMETER: Final = "(t)"
JVP: Final = " (jvp)"
"""How the quantity of a tangent ends; that of the cotangent of the same value does not."""


def cotangent(name: str) -> str:
    """The name of the cotangent of an output; like all names here, no user's."""
    return f"(cotangent of {name})"


def tangent(name: str) -> str:
    """The name of the tangent of an input."""
    return f"(tangent of {name})"


def added(state: str) -> str:
    """The name of what is added to a state at every step."""
    return f"(added to {state})"


@dataclass(frozen=True, slots=True)
class Seed:
    """A value that is drawn at random in the shape of another, or is zero in that shape.

    `spelled` is what a cotangent is called in a case; it may be published for a point.
    """

    name: str
    like: str | None
    is_random: bool = True
    spelled: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Extension:
    """What a case's function has beside its own values: seeds, and steps that take them."""

    seeds: tuple[Seed, ...] = ()
    steps: tuple[Step, ...] = ()

    def __add__(self, other: Extension) -> Extension:
        return Extension(self.seeds + other.seeds, self.steps + other.steps)


def backward_extension(outputs: Sequence[str], states: Iterable[str]) -> Extension:
    """The cotangents of outputs, what is added to `states`, and the objective Re Σ ū·out.

    Its gradient by a complex value is, in torch's conjugate convention, that value's cotangent.
    """
    terms: list[Node] = [
        _call("sum", _call("real", _call("mul", _call("conj", _name(u)), _name(output))))
        for u, output in ((cotangent(output), output) for output in outputs)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = _call("add", total, term)
    seeds = [Seed(cotangent(output), output, spelled=f"d{output}") for output in outputs]
    zeros = [Seed(added(state), trajectory(state), is_random=False) for state in states]
    return Extension((*seeds, *zeros), (Step(OBJECTIVE, Expression("", total)),))


def jvp_extension(inputs: Iterable[str]) -> Extension:
    """The tangents of inputs, and the number t."""
    seeds = [Seed(tangent(name), name) for name in inputs]
    return Extension((*seeds, Seed(PARAMETER, None, is_random=False)))


def cotangent_claim(
    function: Function,
    extension: Extension,
    name: str,
    formulas: tuple[Written, ...],
    line: int,
    *,
    stepwise: bool = False,
) -> Claim:
    """That `formulas` are the cotangent of a value, or of a state at every step."""
    start = added(name) if stepwise else name
    steps = [_added_to(step, name) if stepwise else step for step in function.named_steps]
    return _claim(
        f"d{trajectory(name) if stepwise else name}",
        (*steps, *extension.steps),
        OBJECTIVE,
        start,
        formulas,
        line,
    )


def tangent_claim(
    function: Function,
    inputs: Iterable[str],
    name: str,
    formulas: tuple[Written, ...],
    line: int,
    *,
    stepwise: bool = False,
) -> Claim:
    """That `formulas` are the tangent of a value, or of a state at every step."""
    moved = [
        Step(x, Expression("", _call("add", _name(x), _call("mul", _name(PARAMETER), _name(d)))))
        for x, d in ((x, tangent(x)) for x in inputs)
    ]
    end = trajectory(name) if stepwise else name
    return _claim(f"d{end}{JVP}", (*moved, *function.named_steps), end, PARAMETER, formulas, line)


def _claim(
    quantity: str,
    steps: Sequence[Step | Recurrence],
    output: str,
    input: str,
    formulas: tuple[Written, ...],
    line: int,
) -> Claim:
    reads = {name for formula in formulas for name in formula.reads}
    return Claim(
        quantity,
        output,
        input,
        formulas,
        between(steps, input, {output}),
        between(steps, input, reads),
        line,
    )


def _added_to(step: Step | Recurrence, state: str) -> Step | Recurrence:
    if isinstance(step, Recurrence) and state in step.names:
        return Recurrence(step.steps, step.index, step.states, {state: added(state)})
    return step


def _name(name: str) -> Name:
    return Name(0, 0, name)


def _call(word: str, *arguments: Node) -> Call:
    return Call(0, 0, WORDS[word], arguments)


def is_cotangent(claim: Claim) -> bool:
    """Whether a claim is of a backward pass, and depends on the cotangents of the outputs."""
    return claim.output == OBJECTIVE
