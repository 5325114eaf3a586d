"""A derivation at a point, for reading: every value, every formula, and what every oracle says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.casefile.case import Case, DType, Point
from gradcheck.errors import EvaluationError
from gradcheck.functions import Recurrence
from gradcheck.imports import Imports
from gradcheck.jobs import NONE, Job
from gradcheck.modes import JVP
from gradcheck.place import Place
from gradcheck.results import Result
from gradcheck.runner import run
from gradcheck.torch_state import checking


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A value of the function: an input, a constant or a step, whose `formula` is then given."""

    name: str
    formula: str
    array: Any


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A case at one point: its values in the dtype of `shown`, and its results in every dtype.

    `problem` says why there are no values.
    """

    case: Case
    point: Point
    shown: DType
    values: tuple[Value, ...]
    results: tuple[Result, ...]
    problem: str = ""


def explain(
    case: Case, dtypes: Sequence[DType], device: str, imports: Imports = NONE
) -> Iterator[Explanation]:
    """The case at each of its points; the first of `dtypes` is the one that is shown in full.

    All oracles are asked, also where the exact one suffices. Nothing is raised.
    """
    for point in case.points:
        here = replace(case, points=(point,), skip=None, xfail=None)
        jobs = [Job(here, dtype, device, imports=imports) for dtype in dtypes]
        results = tuple(result for job in jobs for result in run(job, thorough=True))
        values: tuple[Value, ...] = ()
        problem = ""
        with checking():
            try:
                values = tuple(_values(Place.at(here, point, dtypes[0], device)))
            except EvaluationError as error:
                problem = str(error)
        yield Explanation(case, point, dtypes[0], values, results, problem)


def _values(place: Place) -> Iterator[Value]:
    """Those of the inputs, of the constants and of the steps, in order, then what is drawn."""
    function = place.case.function
    for name in function.given:
        yield Value(name, "", _array(place.environment[name]))
    for step in function.steps:
        for name in step.names:
            yield Value(name, _formula(step, name), _array(place.environment[name]))
    for seed in place.case.extension.seeds:
        if seed.is_random:
            name = seed.spelled or f"d{seed.like}{JVP}"
            yield Value(name, "", _array(place.environment[seed.name]))


def _formula(step: Any, name: str) -> str:
    if isinstance(step, Recurrence):
        state = next(state for state in step.states if state.name == name)
        return f"{state.next.text}, from {state.start.text}, {step.steps.text} times"
    text: str = step.expression.text
    return text


def _array(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_array(one) for one in value]
    if isinstance(value, Tensor):
        wide = torch.complex128 if value.is_complex() else torch.float64
        return value.detach().cpu().to(wide).resolve_conj().numpy()
    return np.asarray(value)
