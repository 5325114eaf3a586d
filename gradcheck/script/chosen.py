"""What a script shows: what is wrong at the first point where anything is, or all of a point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gradcheck.casefile.case import COMPLEX, Case, DType, Expectation, Point
from gradcheck.claims import Claim, Written
from gradcheck.errors import EvaluationError, UsageError
from gradcheck.imports import Imports
from gradcheck.jobs import Job
from gradcheck.modes import is_cotangent
from gradcheck.passes import GRAD
from gradcheck.place import Place
from gradcheck.published import expected_at
from gradcheck.report.terminal import blame_sentence
from gradcheck.results import Result
from gradcheck.runner import run
from gradcheck.second_claim import SecondClaim


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A quantity that a script shows.

    `of` is a claim, or the name of a value whose `.grad` is meant, or which was published. With the
    `formulas` of a claim that are shown, and what was `expected`, each as printed. `said` is what
    there is to say of it, by the text of a formula.
    """

    quantity: str
    of: Claim | SecondClaim | str
    formulas: tuple[Written, ...] = ()
    expected: tuple[Expectation, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)


def find(
    case: Case, dtypes: Sequence[DType], device: str, imports: Imports
) -> tuple[Place, list[Result]]:
    """Where something is wrong first, and what; else the first point, and nothing.

    Raises:
        UsageError: The case has no value there, or is complex.
    """
    real = [dtype for dtype in dtypes if dtype not in COMPLEX]
    if not real:
        raise UsageError(f"`{case.name}` is complex: scripts are of real numbers")
    here = replace(case, skip=None, xfail=None)
    for dtype in real:
        for point in case.points:
            job = Job(replace(here, points=(point,)), dtype, device, imports=imports)
            wrong = [result for result in run(job) if result.is_bad]
            if wrong:
                return _place(here, point, dtype, device), wrong
    return _place(here, case.points[0], real[0], device), []


def _place(case: Case, point: Point, dtype: DType, device: str) -> Place:
    try:
        return Place.at(case, point, dtype, device)
    except EvaluationError as error:
        raise UsageError(f"`{case.name}` has no value at point {point.label}: {error}") from error


def shown(place: Place, wrong: Sequence[Result]) -> list[Shown]:
    """The quantities at a place that are shown, where these results are wrong."""
    return [one for all_of_it in _all(place) if (one := _narrowed(place, all_of_it, wrong))]


def _all(place: Place) -> Iterator[Shown]:
    case, again = place.case, place.point.again
    for claim in case.claims:
        if is_cotangent(claim) or not again:
            yield Shown(claim.quantity, claim, claim.formulas)
    if again:
        return
    for second in case.seconds:
        yield Shown(second.quantity, second, second.formulas)
    claimed = {*(c.quantity for c in case.claims), *(s.quantity for s in case.seconds)}
    for quantity in dict.fromkeys(one.quantity for one in place.point.expectations):
        if quantity not in claimed and not quantity.endswith(GRAD):
            yield Shown(quantity, quantity)
    for name in case.gradients:
        yield Shown(name + GRAD, name)


def _narrowed(place: Place, one: Shown, wrong: Sequence[Result]) -> Shown | None:
    """What of a quantity is shown; None where that is nothing."""
    published = tuple(expected_at(place, one.quantity))
    if not wrong:
        is_value = isinstance(one.of, str) and not one.quantity.endswith(GRAD)
        return None if is_value else replace(one, expected=() if one.formulas else published)
    results = [result for result in wrong if result.quantity == one.quantity]
    if not results:
        return None
    texts = [result.formula for result in results]
    formulas = tuple(formula for formula in one.formulas if formula.text in texts)
    is_told = not one.formulas or any("expected" in result.blame for result in results)
    return replace(
        one,
        formulas=formulas or one.formulas,
        expected=published if is_told else (),
        said={result.formula: said(result) for result in results},
    )


def said(result: Result) -> str:
    """Who is wrong and by how much, and what else there is to say of it."""
    told = (blame_sentence(result), *(one.text for one in result.diagnosis), *result.notes)
    return "; ".join(filter(None, told))
