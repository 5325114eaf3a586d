"""Whether cases notice the wrong versions of what was written by hand in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from gradcheck.casefile.case import Case, DType, Point
from gradcheck.casefile.inputs import Given
from gradcheck.conclusion import Fields
from gradcheck.elsewhere import points_elsewhere
from gradcheck.errors import EvaluationError
from gradcheck.imports import Imports
from gradcheck.jobs import NONE
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Name, walk
from gradcheck.lines import PassFormula
from gradcheck.mutation.borders import at_borders, points_beyond
from gradcheck.mutation.choices import Ways, are_made_in
from gradcheck.mutation.mutants import Mutant, Shapes, mutants, shape_of
from gradcheck.mutation.outcome import EQUAL, Fate, NotPassingError, Outcome, given_at, said_of
from gradcheck.mutation.trial import Trial
from gradcheck.place import Place
from gradcheck.sites import Site, sites
from gradcheck.torch_state import checking

SAME: Final = 8
"""At so many random points a wrong version has to be proven equal to be no wrong version."""
TRIED: Final = 32
"""So many are looked at for that."""
TRIED_AT_CHOICES: Final = 128
"""So many where there are choices, which few points may make otherwise."""
_ONE_WAY: Final = "; at other points too, but at all of them a choice goes the same way"


def by_entry(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Cases that are to pass, those that listed sizes make of one entry together."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        if case.skip is None and case.xfail is None:
            found.setdefault(case.entry, []).append(case)
    return found


def mutate(
    cases: Sequence[Case], device: str = "cpu", imports: Imports = NONE
) -> Iterator[Outcome]:
    """What becomes of the wrong versions of all that was written in a case; `cases` are its sizes.

    They are made for the largest, and noticed where any of them fails, in its widest dtype.
    `imports` are what its function in Python may be imported from.

    Raises:
        NotPassingError: It does not pass as it is.
        LeftOutError: What was written in Python cannot be changed.
    """
    ordered = sorted(cases, key=lambda case: -sum(case.sizes.values()))
    with checking():
        benches = [Bench(case, case.widest, device) for case in ordered]
        for bench in benches:
            bench.look_at_the_case_itself()
        if ordered[0].kernel is None:
            yield from _mutate(benches)
            return
        from gradcheck.mutation import python

        functions = python.benches(ordered, device, imports)
        yield from _mutate(benches)
        yield from python.mutate_functions(functions)


def _mutate(benches: Sequence[Bench]) -> Iterator[Outcome]:
    first = benches[0]
    resolution = first.case.required_resolution(first.dtype)
    for number, site in enumerate(first.sites):
        for mutant in mutants(site.expression, shapes(site, first.place), resolution):
            for bench in benches:
                reason = bench.survives(number, mutant)
                if not reason:
                    yield first.outcome(site, mutant, "noticed")
                    break
            else:
                yield first.explained(site, mutant, reason)


_T = TypeVar("_T")


class _Remembered(Generic[_T]):
    """A series without end, of which is kept what was asked for."""

    def __init__(self, series: Iterator[_T]) -> None:
        self._series = series
        self._known: list[_T] = []

    def first(self, count: int) -> Iterator[_T]:
        """So many of it, from the first on."""
        for number in range(count):
            if number == len(self._known):
                self._known.append(next(self._series))
            yield self._known[number]


class Bench:
    """A case with all of its points, at which wrong versions are tried."""

    def __init__(self, case: Case, dtype: DType, device: str) -> None:
        self.case = case
        self.dtype = dtype
        self.device = device
        self.sites = sites(case)
        self._trials: list[Trial] = []
        self._borders: dict[Site, list[Trial]] = {}
        self._telling: list[Trial] = []
        """Other points at which something was noticed."""

    def look_at_the_case_itself(self) -> None:
        """Evaluates it at every point.

        Raises:
            NotPassingError: Something of it does not pass.
        """
        for point in self.case.points:
            try:
                trial = Trial(self.case, point, self.dtype, self.device)
                wrong = next((f for f in trial.everything() if f["verdict"] != "pass"), None)
            except Exception as error:  # in a run it is one
                raise NotPassingError(f"in error at point {point.label}: {error}") from None
            if wrong is not None:
                raise NotPassingError(f"{said_of(wrong)} at point {point.label}")
            self._trials.append(trial)

    @property
    def place(self) -> Place:
        """Its first point."""
        return self._trials[0].place

    def survives(self, number: int, mutant: Mutant) -> str:
        """Why nothing fails with a wrong version in place of a formula; empty where it does."""
        site = self.sites[number]
        changed = list(site.with_formula(mutant.expression))
        said: list[tuple[Trial, Fields]] = []
        for trial in self._trials:
            for claim, written in changed:
                for fields in trial.verdicts(claim, written):
                    if fields["verdict"] == "fail":
                        return ""
                    said.append((trial, fields))
        for trial, fields in said:
            if fields["verdict"] != "pass":
                return f"{fields['verdict']} at point {trial.point.label}"
        for trial, fields in said:
            if self._are_equal(trial, site, mutant) is not True:
                return f"within the resolution of {fields['resolution']:.0e}"
        return EQUAL

    def explained(self, site: Site, mutant: Mutant, reason: str) -> Outcome:
        """Whether what was not noticed is wrong at all, and where it would be.

        Where others would be noticed too, if it is one of those points.
        """
        for trial in self._telling:
            if self._is_same_at(trial, site, mutant) is False:
                return self.outcome(site, mutant, "survived", reason, trial)
        same, ways = 0, Ways(site, mutant.expression)
        has_choices = are_made_in(self.case, site.expression, mutant.expression)
        for trial in self._at_choices(site) if has_choices else self._nearby(TRIED):
            is_same = self._is_same_at(trial, site, mutant)
            if is_same is False:
                self._telling.append(trial)
                return self.outcome(site, mutant, "survived", reason, trial)
            if is_same:
                same += 1
                if has_choices:
                    ways.look_at(trial)
        if same < SAME:
            reason += f"; at no {SAME} other points it could be told whether it is wrong"
        elif ways.are_one:
            reason += _ONE_WAY
        elif hidden := self._hidden_by_sizes(site, mutant):
            reason += f", where {hidden}"
        else:
            return self.outcome(site, mutant, "equivalent")
        return self.outcome(site, mutant, "survived", reason)

    def _hidden_by_sizes(self, site: Site, mutant: Mutant) -> str:
        """What makes sizes play no part that were mistaken; empty where it was another mistake."""
        sizes = self.case.sizes
        was, now = (Counter(_names(one.expression)) for one in (site, mutant))
        mistaken = [*(was - now).elements(), *(now - was).elements()]
        if not mistaken or not all(name in sizes for name in mistaken):
            return ""
        first, *others = mistaken
        if not others and sizes[first] == 1:
            return f"`{first}` is 1"
        if len(others) == 1 and sizes[first] == sizes[others[0]]:
            return f"`{first}` and `{others[0]}` are both {sizes[first]}"
        return ""

    def outcome(
        self,
        site: Site,
        mutant: Mutant,
        fate: Fate,
        reason: str = "",
        at: Trial | None = None,
    ) -> Outcome:
        inputs, constants = ({}, {}) if at is None else given_at(self.case, at.point)
        return Outcome(
            self.case.file,
            site.expression.line or self.case.line,
            self.case.name,
            site.quantity,
            site.expression.text,
            mutant.expression.text,
            mutant.what,
            fate,
            reason,
            inputs,
            constants,
        )

    def _are_equal(self, trial: Trial, site: Site, mutant: Mutant) -> bool | None:
        """Whether a wrong version says the same as the formula; None where nobody knows."""
        pairs = zip(site.judged, site.with_formula(mutant.expression), strict=True)
        answers = [trial.are_equal(claim, was, now) for (claim, was), (_, now) in pairs]
        return False if False in answers else None if None in answers else True

    def _is_same_at(self, trial: Trial, site: Site, mutant: Mutant) -> bool | None:
        """The same, and None too where the formula is not known to be right."""
        is_right = all(trial.is_right(claim, written) for claim, written in site.judged)
        return self._are_equal(trial, site, mutant) if is_right else None

    def _nearby(self, count: int) -> Iterator[Trial]:
        """The case at so many other points: with other inputs, then with other constants too."""
        for elsewhere in self._elsewhere:
            for trial in elsewhere.first(count // len(self._elsewhere)):
                if trial is not None:
                    yield trial

    def _at_choices(self, site: Site) -> Iterator[Trial]:
        """Where choices may go otherwise: at more points, beyond thresholds, and beside borders."""
        yield from self._nearby(TRIED_AT_CHOICES)
        yield from self._beyond
        if site not in self._borders:
            others = (*self._nearby(TRIED), *self._beyond)
            self._borders[site] = list(at_borders(site, [*self._trials, *others], self._tried))
        yield from self._borders[site]

    @cached_property
    def _beyond(self) -> list[Trial]:
        points = points_beyond(self.case, [site.expression for site in self.sites])
        return [trial for point in points if (trial := self._tried(point)) is not None]

    @cached_property
    def _elsewhere(self) -> list[_Remembered[Trial | None]]:
        case = self.case
        has_constants = any(
            isinstance(value, Given) and name not in case.inputs
            for name, value in case.points[0].values.items()
        )
        return [
            _Remembered(map(self._tried, points_elsewhere(case, constants=constants)))
            for constants in ((False, True) if has_constants else (False,))
        ]

    def _tried(self, point: Point) -> Trial | None:
        """The case at a point; None where it has no value there."""
        try:
            return Trial(self.case, point, self.dtype, self.device)
        except EvaluationError:
            return None


def shapes(site: Site, place: Place) -> Shapes:
    """The names that a formula may use, and the shapes of their values."""
    function, sizes = place.case.function, place.case.sizes
    names = (*function.given, *site.usable(function.values), *sizes)
    scope = dict(place.environment)
    known: dict[str, Any] = {name: shape_of(scope.get(name)) for name in names}
    _, written = site.judged[0]
    if isinstance(written, PassFormula):
        scope |= {name: scope[value] for name, value in written.given.items()}
        once: dict[str, str] = {}  # `dout` is another name of what is given
        for name in sorted(written.given, key=lambda n: n not in site.expression.names):
            once.setdefault(written.given[name], name)
        known |= {name: shape_of(scope[name]) for name in once.values()}
        for statement in site.earlier:
            statement.run(scope, place.meaning())
            known |= {name: shape_of(scope[name]) for name in statement.names}
    return {**dict.fromkeys(site.expression.names), **known}


def _names(expression: Expression) -> Iterator[str]:
    """The names that it reads, each as often as it does."""
    return (node.name for node in walk(expression.tree) if isinstance(node, Name))
