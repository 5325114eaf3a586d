"""The worst entries of a quantity, with what every oracle says about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from gradcheck.ball import Ball
from gradcheck.claims import Claim
from gradcheck.modes import JVP
from gradcheck.results import Answer, EntryAnswers
from gradcheck.verdict import Entry

SHOWN: Final = 5

Label = Callable[[Entry], str]
"""How a reader writes an entry."""


def worst_entries(
    label: Label, first: Entry | None, balls: Mapping[str, Ball], truth: str, count: int
) -> tuple[EntryAnswers, ...]:
    """`first`, then those furthest from `balls[truth]`: `count` of them at most."""
    if first is None:
        return ()
    indices = [first]
    if count > 1:
        indices += [index for index in _furthest(balls, truth, count) if index != first]
    return tuple(_answers(label, index, balls) for index in indices[:count])


def claim_label(claim: Claim, output_dimensions: int) -> Label:
    """Entries of a Jacobian: `dz[1]/dx[0]`, and of a recurrence `dh/dw at step 2`.

    Those of a cotangent or a tangent are `dW[0, 1]`, `dh[0] at step 2`.
    """
    over, _, under = claim.quantity.partition("/")

    def label(index: Entry) -> str:
        if not under:
            name = over.removesuffix(JVP)
            state = name.removesuffix("[t]")
            if state == name:
                return indexed(name, index)
            return f"{indexed(state, index[1:])} at step {index[0] + 1}"
        output, input = index[:output_dimensions], index[output_dimensions:]
        if claim.is_stepwise:
            state = indexed(over.removesuffix("[t]"), output[1:])
            return f"{state}/{indexed(under, input)} at step {output[0] + 1}"
        by, bar, held = under.partition(" | ")
        return f"{indexed(over, output)}/{indexed(by, input)}{bar}{held}"

    return label


def direction_label(claim: Claim) -> Label:
    """Derivatives along directions: `dz[1]/dx in direction 2`."""
    over, slash, under = claim.quantity.partition("/")

    def label(index: Entry) -> str:
        return f"{indexed(over, index[1:])}{slash}{under} in direction {index[0] + 1}"

    return label


def indexed(name: str, index: Entry) -> str:
    """`name[1, 0]`, or the name alone where there is no index."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _furthest(balls: Mapping[str, Ball], truth: str, count: int) -> list[Entry]:
    distances = [balls[truth].distance(ball) for name, ball in balls.items() if name != truth]
    far = np.max(distances, axis=0)
    order = np.argsort(-far, axis=None, kind="stable")[:count]
    ranked = [tuple(int(i) for i in np.unravel_index(flat, far.shape)) for flat in order]
    return [index for index in ranked if far[index] > 0]


def _answers(label: Label, index: Entry, balls: Mapping[str, Ball]) -> EntryAnswers:
    answers = {
        name: Answer(float(ball.midpoint[index]), float(ball.radius[index]), ball.basis)
        for name, ball in balls.items()
    }
    return EntryAnswers(label(index), index, answers)
