"""Whether cases notice wrong versions of what was written by hand in Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from gradcheck.casefile.case import COMPLEX, Case, Point
from gradcheck.elsewhere import points_elsewhere
from gradcheck.errors import GradcheckError
from gradcheck.frames import account_of
from gradcheck.imports import Imports
from gradcheck.mutation.outcome import (
    EQUAL,
    Fate,
    LeftOutError,
    NotPassingError,
    Outcome,
    given_at,
)
from gradcheck.mutation.python_trial import FunctionTrial, Site, Version

SAME: Final = 8
"""At so many other points, of TRIED, a version that gives the same numbers is no wrong one."""
TRIED: Final = 16
_LARGE: Final = "its Jacobian is too large: what is looked at along directions is not changed"


def benches(cases: Iterable[Case], device: str, imports: Imports) -> list[FunctionBench]:
    """The sizes of a case, but those whose Jacobians are too large to be formed.

    Raises:
        NotPassingError: It does not pass as it is, or cannot be imported.
    """
    found = [FunctionBench(case, device, imports) for case in cases]
    for bench in found:
        bench.look_at_the_case_itself()
    return [bench for bench in found if not bench.is_large]


def mutate_functions(sizes: Sequence[FunctionBench]) -> Iterator[Outcome]:
    """What becomes of the wrong versions of all that was written, as the first size has them.

    Raises:
        LeftOutError: There is no size.
    """
    if not sizes:
        raise LeftOutError(_LARGE)
    first = sizes[0]
    for site, version in first.versions():
        reasons = []
        for bench in sizes:
            reasons.append(bench.survives(site, version))
            if not reasons[-1]:
                yield first.outcome(site, version, "noticed")
                break
        else:
            yield from first.explained(site, version, _first_of(reasons))


def _first_of(reasons: Iterable[str]) -> str:
    """The first reason that is another than that nothing differs."""
    return next((reason for reason in reasons if reason != EQUAL), EQUAL)


class FunctionBench:
    """A case with a function in Python and all of its points, in its widest dtype."""

    def __init__(self, case: Case, device: str, imports: Imports) -> None:
        self.case = case
        self._device = device
        self._imports = imports
        self._trials: list[FunctionTrial] = []
        self._nearby: list[FunctionTrial] = []
        self._further = islice(self._elsewhere(), SAME)

    def look_at_the_case_itself(self) -> None:
        """Evaluates it at every point.

        Raises:
            NotPassingError: Something of it does not pass.
        """
        kernel = self.case.kernel
        if kernel is not None and (problems := self._imports.problems(kernel)):
            raise NotPassingError("; ".join(problems))
        for point in self.case.points:
            if not point.again:
                trial = self._passing(point)
                if not trial.is_large and (problem := trial.broken()):
                    raise NotPassingError(f"{problem} at point {point.label}")
                self._trials.append(trial)

    def _passing(self, point: Point) -> FunctionTrial:
        try:
            trial = self._trial(point)
        except Exception as error:
            told = str(error) if isinstance(error, GradcheckError) else account_of(error)
            raise NotPassingError(f"at point {point.label}: {told}") from None
        if not trial.is_large and (problem := trial.problem()):
            raise NotPassingError(f"{problem} at point {point.label}")
        return trial

    def _trial(self, point: Point) -> FunctionTrial:
        case = self.case
        return FunctionTrial(case, point, case.widest, self._device, self._imports)

    @property
    def is_large(self) -> bool:
        """Whether it is looked at along random directions alone."""
        return any(trial.is_large for trial in self._trials)

    def versions(self) -> Iterator[tuple[Site, Version]]:
        """Every wrong version, as the shapes at the first point have them."""
        trial = self._trials[0]
        for site in trial.sites:
            for version in trial.versions(site):
                yield site, version

    def survives(self, site: Site, version: Version) -> str:
        """Why nothing fails with a wrong version of it; empty where it does."""
        reasons = []
        for trial in self._trials:
            reason = trial.survives(site, version)
            if not reason and reason is not None:
                return ""
            reasons.append(reason or EQUAL)
        return _first_of(reasons)

    def explained(self, site: Site, version: Version, reason: str) -> Iterator[Outcome]:
        """What was not noticed, and where it would be; nothing of what is the same elsewhere too.

        That is no wrong version: such as a zero of an output that does not depend on the input.
        """
        same = 0
        for trial in self._near():
            here = trial.survives(site, version)
            if not here and here is not None:
                self._nearby.sort(key=lambda one: one is not trial)  # others may be told there too
                is_complex = self.case.widest in COMPLEX  # whose points are not written so
                at = None if is_complex else trial.point
                yield self.outcome(site, version, "survived", reason, at)
                return
            same += here == EQUAL
        if reason != EQUAL or same < SAME:
            yield self.outcome(site, version, "survived", reason)

    def outcome(
        self,
        site: Site,
        version: Version,
        fate: Fate,
        reason: str = "",
        at: Point | None = None,
    ) -> Outcome:
        inputs, constants = ({}, {}) if at is None else given_at(self.case, at)
        return Outcome(
            self.case.file,
            site.line or self.case.line,
            self.case.name,
            site.quantity,
            site.formula,
            version.text,
            version.what,
            fate,
            reason,
            inputs,
            constants,
        )

    def _near(self) -> Iterator[FunctionTrial]:
        """The case at other points, where it passes."""
        yield from self._nearby
        for trial in self._further:
            self._nearby.append(trial)
            yield trial

    def _elsewhere(self) -> Iterator[FunctionTrial]:
        for point in islice(points_elsewhere(self.case), TRIED):
            try:
                yield self._passing(point)
            except NotPassingError:
                continue
