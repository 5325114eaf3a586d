"""A case at one of its points, where ways of writing its derivatives are judged."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.casefile.case import Case, DType, Point
from gradcheck.claims import Claim, Written
from gradcheck.conclusion import Fields
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.gradients import Gradients
from gradcheck.judging import ClaimCheck
from gradcheck.modes import is_cotangent
from gradcheck.oracles.exact import DeclinedError, Enclosure
from gradcheck.place import Place
from gradcheck.second_order import SecondCheck
from gradcheck.sites import AnyClaim, claims
from gradcheck.truths import Truths
from gradcheck.values import judge_value


class Trial:
    """A case at a point; what ways of writing have in common is computed once.

    Raises:
        EvaluationError: The function has no value at this point.
    """

    def __init__(self, case: Case, point: Point, dtype: DType, device: str) -> None:
        self.point = point
        self.place = Place.at(case, point, dtype, device)
        self._truths = Truths(self.place)
        self._checks: dict[AnyClaim, ClaimCheck | SecondCheck] = {}
        self._right: dict[Written, bool] = {}
        self._exact: dict[Written, Enclosure] = {}

    def everything(self) -> Iterator[Fields]:
        """What is said of the case as it is: of its derivatives, and of what is published.

        Raises whatever keeps something of it from being judged.
        """
        for claim in claims(self.place.case):
            for written in claim.formulas or (None,):
                yield from self.verdicts(claim, written)
        if not self.point.again:
            for expectation in self.point.expectations:
                yield from judge_value(self.place, expectation)
            gradients = Gradients(self.place, self._truths)
            for name in self.place.case.gradients:
                yield from gradients.judge(name)

    def verdicts(self, claim: AnyClaim, written: Written | None) -> Iterator[Fields]:
        """What is said of a derivative that is written so; nothing where it is not judged here."""
        if not self.point.again or (isinstance(claim, Claim) and is_cotangent(claim)):
            yield from self._check(claim).verdicts(written)

    def is_right(self, claim: AnyClaim, written: Written) -> bool:
        """Whether it is proven that a derivative is right that is written so."""
        if written not in self._right:
            try:
                is_known = not self.place.is_complex
                self._right[written] = is_known and self._check(claim).is_right(written)
            except DeclinedError:
                self._right[written] = False
        return self._right[written]

    def are_equal(self, claim: AnyClaim, own: Written, other: Written) -> bool | None:
        """Whether another way of writing a derivative says the same as the case's own.

        None where that is not known.
        """
        if self.place.is_complex:
            return None
        check = self._check(claim)
        try:
            if own not in self._exact:
                self._exact[own] = check.exactly(own)
            return self._exact[own].overlaps(check.exactly(other))
        except (DeclinedError, EvaluationError, ShapeError):
            return None

    def _check(self, claim: AnyClaim) -> ClaimCheck | SecondCheck:
        if claim not in self._checks:
            self._checks[claim] = (
                ClaimCheck(self.place, claim, self._truths)
                if isinstance(claim, Claim)
                else SecondCheck(self.place, claim)
            )
        return self._checks[claim]
