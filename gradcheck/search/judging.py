"""A case at a point that it does not have → results, none where its function has no value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from gradcheck.casefile.case import Point
from gradcheck.casefile.inputs import Value
from gradcheck.claims import Claim, Written
from gradcheck.conclusion import Fields
from gradcheck.diagnoses import Diagnoses
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.jobs import Job
from gradcheck.judging import ClaimCheck
from gradcheck.oracles.exact import DeclinedError
from gradcheck.place import Place
from gradcheck.results import Diagnosis, Result
from gradcheck.runner import _run_point
from gradcheck.search.search import kind_of
from gradcheck.second_claim import SecondClaim
from gradcheck.second_order import SecondCheck
from gradcheck.torch_state import checking
from gradcheck.truths import Truths

FOUND: Final = "found"
"""What the point of a finding is called."""


_IN_SOME_CASES: Final = ("lost_outside", "sign_where_negative", "consequence")
"""Kinds of mistakes in a formula that may be right elsewhere."""


class _NoDiagnoses(Diagnoses):
    """None, where a point is only looked at."""

    def told(
        self,
        fields: Fields,
        place: Place,
        claim: Claim | SecondClaim,
        formula: Written,
        root: str = "",
    ) -> Fields:
        return fields


class JudgedAt:
    """Judges a case where values take the place of those at one of its points.

    As a run does, but for conditions and for what was published; and a formula that is right by
    proof is no failure, however its evaluation is rounded. None is the answer where the function,
    or one of its steps, has no finite value.
    """

    def __init__(self, job: Job, base: Point) -> None:
        kernel = job.case.kernel and replace(job.case.kernel, conditions=())
        self._job = replace(job, case=replace(job.case, kernel=kernel))
        self._base = base

    def __call__(self, values: Mapping[str, Value]) -> Sequence[Result] | None:
        found = self._results(values, _NoDiagnoses())
        return None if found is None else [replace(result, diagnosis=()) for result in found]

    def diagnosed(
        self, results: Sequence[Result], values: Mapping[str, Value]
    ) -> tuple[Result, ...]:
        """Results at a point, each with what its mistake looks like first.

        What is right where the search began is wrong in some cases alone: then only such a mistake
        is told.
        """
        told = {kind_of(one): one.diagnosis for one in self._results(values, Diagnoses()) or ()}
        wrong = {kind_of(one) for one in self({}) or () if one.verdict == "fail"}

        def first(result: Result) -> tuple[Diagnosis, ...]:
            kind = kind_of(result)
            fitting = [d for d in told.get(kind, ()) if kind in wrong or d.kind in _IN_SOME_CASES]
            return tuple(fitting[:1])

        return tuple(replace(result, diagnosis=first(result)) for result in results)

    def _results(
        self, values: Mapping[str, Value], diagnoses: Diagnoses
    ) -> Sequence[Result] | None:
        job, base = self._job, self._base
        point = Point(FOUND, {**base.values, **values}, base.draw, ())
        has_kernel = job.case.kernel is not None
        with checking():
            place = self._place(point)
            if place is not None and not _has_value(place):
                return None
            found = list(_run_point(job, point, False, diagnoses, has_kernel=has_kernel))
            return found if place is None else [_without_proven(place, one) for one in found]

    def _place(self, point: Point) -> Place | None:
        """None where it is an error that the function has no value, which is told."""
        try:
            return Place.at(self._job.case, point, self._job.dtype, self._job.device)
        except EvaluationError:
            return None


def _has_value(place: Place) -> bool:
    """Whether all steps of its function are finite."""
    computed = (place.environment.get(name) for name in place.case.function.values)
    return all(bool(torch.isfinite(one).all()) for one in computed if isinstance(one, Tensor))


def _without_proven(place: Place, result: Result) -> Result:
    """A failure that accuses no formula that is right by proof."""
    blamed = result.blame.split(",")
    if result.verdict != "fail" or "handwritten" not in blamed or result.truth != "exact":
        return result
    for formula, is_right in _formulas(place, result.quantity):
        if (formula.text, formula.line) == (result.formula, result.line):
            with suppress(DeclinedError, EvaluationError, ShapeError):
                if is_right(formula):
                    return replace(result, blame=",".join(b for b in blamed if b != "handwritten"))
    return result


def _formulas(place: Place, quantity: str) -> Iterator[tuple[Written, Callable[[Written], bool]]]:
    """The formulas of a quantity, each with what proves whether it is right."""
    for claim in place.case.claims:
        if claim.quantity == quantity:
            check = ClaimCheck(place, claim, Truths(place))
            yield from ((formula, check.is_right) for formula in claim.formulas)
    for second in place.case.seconds:
        if second.quantity == quantity:
            of_second = SecondCheck(place, second)
            yield from ((formula, of_second.is_right) for formula in second.formulas)
