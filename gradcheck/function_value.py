"""The values of a Python function, held against its reference's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.ball import Array, Ball
from gradcheck.conclusion import Fields, conclude
from gradcheck.leaves import Leaf
from gradcheck.oracles import rounding
from gradcheck.python_function import PythonFunction
from gradcheck.reference import NAME, Reference, rows_of
from gradcheck.settings import Settings, demands_of
from gradcheck.verdict import judge


def judge_values(
    function: PythonFunction, reference: Reference, settings: Settings
) -> Iterator[Fields]:
    """One verdict for each output; who is to blame for a wrong value is the function."""
    for index, (leaf, rows) in enumerate(
        zip(function.outputs, rows_of(function.outputs), strict=True)
    ):
        yield _judged(function, reference, settings, index, leaf, rows)


def _judged(
    function: PythonFunction,
    reference: Reference,
    settings: Settings,
    index: int,
    leaf: Leaf,
    rows: slice,
) -> Fields:
    demands = demands_of(function, settings)
    truth = reference.value(index)
    shape = leaf.entries_shape
    found: Array = rounding.to_array(function.known_value)[rows].reshape(shape)
    answers = {"function": _answer(function, reference, truth, found, rows, demands.resolution)}
    judgement = judge(truth, answers, lambda: 1.0, demands.resolution, waiver=settings.waiver)
    return conclude(
        leaf.name,
        0,
        truth,
        answers,
        judgement,
        (),
        demands=demands,
        label=leaf.label,
        source=NAME,
    )


def _answer(
    function: PythonFunction,
    reference: Reference,
    truth: Ball,
    found: Array,
    rows: slice,
    resolution: float,
) -> Ball:
    """A value with its error: its distance to the truth, where that is small, else rounding."""
    apart = truth.distance_to(found)
    near = Ball(found, apart + truth.radius, truth.basis)
    if (near.radius + truth.radius <= resolution * (truth.largest() or 1.0) / 2).all():
        return near
    measured = rounding.measure(
        rounding.repeated(function.value, function.known_value), function.dtype
    )
    radius = np.maximum(measured.radius, reference.rounded_value().radius)[rows]
    return Ball(found, radius.reshape(found.shape), "estimated")
