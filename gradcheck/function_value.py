"""The values of a Python function, held against its reference's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from gradcheck.ball import Array, Ball
from gradcheck.conclusion import Fields, conclude
from gradcheck.function_answers import ball_of
from gradcheck.leaves import Leaf
from gradcheck.oracles import rounding
from gradcheck.python_function import PythonFunction
from gradcheck.reference import NAME, Reference, rows_of
from gradcheck.settings import Settings, demands_of
from gradcheck.verdict import judge

_ROUGHLY: Final = 64.0
"""Times the resolution that values may be off there: their rounding is not measured."""
_OTHER: Final = 0.75
"""Times the inputs: another point, so that what belongs to the first is not given there."""


def judge_values(
    function: PythonFunction, reference: Reference, settings: Settings
) -> Iterator[Fields]:
    """One verdict for each output; who is to blame for a wrong value is the function."""
    for index, (leaf, rows) in enumerate(
        zip(function.outputs, rows_of(function.outputs), strict=True)
    ):
        fields = _judged(function, reference, settings, index, leaf, rows)
        if fields["verdict"] == "pass" and not index and settings.waiver is None:
            fields |= _elsewhere(function, reference, demands_of(function, settings).resolution)
        yield fields


def _elsewhere(function: PythonFunction, reference: Reference, resolution: float) -> Fields:
    """What is wrong with the values at another point, looked at roughly; empty if nothing is."""
    true = reference.function
    inputs = [_OTHER * x if i < len(true.inputs) else x for i, x in enumerate(function.fresh())]
    # A function may write into its inputs.
    wide = [x.to(y.dtype, copy=True) for x, y in zip(inputs, true.fresh(), strict=False)]
    try:
        found = function.tensors_of(inputs)
        wanted = true.tensors_of(wide)
    except Exception:
        return {}  # it is not defined there
    for leaf, a, b in zip(function.outputs, found, wanted, strict=False):
        one, other = (rounding.to_array(leaf.entries(x.detach())) for x in (a, b))
        if one.shape != other.shape or not np.isfinite(other).all():
            continue
        if not (
            np.abs(one - other) <= _ROUGHLY * resolution * np.abs(other).max(initial=0.0)
        ).all():
            note = f"at {_OTHER:g} times the inputs {leaf.name} is not the reference's"
            told = {"difference": None, "entries": (), "notes": (note,)}
            return {"verdict": "fail", "blame": "function", **told}
    return {}


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
    scale = truth.largest() or 1.0
    ball = ball_of(
        found,
        truth,
        lambda: _rounded(function, reference, found, rows),
        allowed=demands.resolution * scale / 2,
        dtype=function.dtype,
    )
    answers = {"function": ball}
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


def _rounded(function: PythonFunction, reference: Reference, found: Array, rows: slice) -> Ball:
    """What rounding does to the value, or to the reference's where that is more."""
    measured = rounding.measure(
        rounding.repeated(function.value, function.known_value), function.dtype
    )
    radius = np.maximum(measured.radius, reference.rounded_value().radius)[rows]
    return Ball(found, radius.reshape(found.shape), "estimated")
