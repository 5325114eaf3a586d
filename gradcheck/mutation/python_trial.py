"""A case with a function in Python at one of its points, where wrong versions are judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from gradcheck.casefile.case import Case, DType, Point
from gradcheck.conclusion import Fields
from gradcheck.conditions.isolated import is_somebodys
from gradcheck.function_answers import Answer, Forward, Handwritten, Reverse
from gradcheck.function_check import FunctionCheck, Look
from gradcheck.function_problems import RaisedError
from gradcheck.imports import Imports
from gradcheck.kernels import FormulaOfValues, planned
from gradcheck.language.expression import Expression
from gradcheck.mutation.changes import Change, Frame, Kind, Wrong, changes
from gradcheck.mutation.mutants import Shapes, mutants, shape_of
from gradcheck.mutation.outcome import EQUAL, said_of
from gradcheck.mutation.wrong_passes import is_told_by
from gradcheck.place import Place
from gradcheck.plan import conditions_of, written_of
from gradcheck.written import Derivative, Pass

_KINDS: Final[dict[type[Any], Kind]] = {
    Reverse: "backward",
    Forward: "jvp",
    Handwritten: "derivative",
}
"""What gives an answer."""
_ROUNDED: Final = "within what rounding does to a pass with random cotangents"


class Site(NamedTuple):
    """What was written by hand of a quantity, and the name of the answer that it gives."""

    quantity: str
    answer: str
    formula: str
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A wrong version: of a formula another `expression`, of all else the change of this name."""

    what: str
    expression: Expression | None = None

    @property
    def text(self) -> str:
        return self.what if self.expression is None else self.expression.text


class FunctionTrial:
    """A function at a point; its answers and what they are held against are computed once.

    Raises:
        GradcheckError: It cannot be imported, or has no value at this point.
        Exception: What the user's code raises.
    """

    def __init__(
        self, case: Case, point: Point, dtype: DType, device: str, imports: Imports
    ) -> None:
        assert case.kernel is not None
        self.point = point
        self._case, self._source = case, case.kernel.function
        self._imports = imports
        self._resolution = case.required_resolution(dtype)
        self._place = Place.at(case, point, dtype, device)
        at, plan = planned(self._place, imports)
        reference = None if plan.reference is None else plan.reference(at)
        self._conditions = plan.conditions
        self._check = FunctionCheck(at, plan.settings, written_of(plan, at), reference)
        self._changes: dict[Site, tuple[Frame, dict[str, Change]]] = {}

    @property
    def is_large(self) -> bool:
        """Whether it is looked at along random directions alone."""
        return self._check.is_large

    def problem(self) -> str:
        """What of its values and derivatives does not pass as it is; empty where all does."""
        return self._first_wrong(self._check.results())

    def broken(self) -> str:
        """Which of its conditions does not hold as it is, where all else passes.

        They may use up what was recorded, and so look at the function anew.
        """
        at, plan = planned(self._place, self._imports)
        backward = written_of(plan, at).backward
        return self._first_wrong(conditions_of(at, plan.conditions, backward))

    def _first_wrong(self, results: Iterable[Fields]) -> str:
        try:
            return next((said_of(one) for one in results if one["verdict"] != "pass"), "")
        except RaisedError as error:
            (note,) = error.fields()["notes"]
            return f"the {error.quantity or 'function'} raises {note}"

    @cached_property
    def sites(self) -> dict[Site, Look]:
        """All that was written by hand, where it is judged.

        torch's gradient is so where a backward in it is, or where nothing else was written.
        """
        looks, source = self._check.looks, self._source
        is_own = all(look.written is None for look in looks)
        is_own = is_own or is_somebodys(self._check.function.graph.outputs)
        found: dict[Site, Look] = {}
        for look in looks:
            written = look.written
            if written is not None:
                own = Site(look.quantity, "handwritten", written.text, written.line)
                found.setdefault(own, look)
            if is_own and not isinstance(written, Pass):
                torchs = Site(look.quantity, "autograd", str(source), source.line)
                found.setdefault(torchs, look)
        return found

    def versions(self, site: Site) -> Sequence[Version]:
        """The wrong versions of what was written."""
        formula = self._formula(site)
        if formula is None:
            return [Version(what) for what in self._changes_of(site)[1]]
        found = mutants(formula.expression, self._shapes(formula), self._resolution)
        return [Version(one.what, one.expression) for one in found]

    def survives(self, site: Site, version: Version) -> str | None:
        """Why it passes with a wrong version; empty where it does not, None where there is none.

        Conditions are looked at where the numbers are right, those alone that it may break.
        """
        look = self._with(site, version) if site in self.sites else None
        if look is None:
            return None
        reason = self._passes(site, look) if isinstance(look, Look) else ""
        return "" if reason and self._is_told_by_conditions(site, version) else reason

    def _passes(self, site: Site, look: Look) -> str:
        """Why the numbers of a wrong version pass; empty where they do not."""
        right, wrong = (one.answers[site.answer] for one in (self.sites[site], look))
        if isinstance(wrong, Wrong) and wrong.is_told_by_passes:
            return ""
        if np.array_equal(right.of(look.block), wrong.of(look.block), equal_nan=True):
            is_same = not isinstance(wrong, Wrong) or wrong.is_same_in_passes
            return EQUAL if is_same else _ROUNDED
        try:
            fields = self._check.judge(look)
        except Exception:  # of the user's code, near the point: an error fails too
            return ""
        if fields["verdict"] == "pass":
            return f"within the resolution of {fields['resolution']:.0e}"
        is_told = fields["verdict"] != "inconclusive"
        return "" if is_told else f"inconclusive at point {self.point.label}"

    def _is_told_by_conditions(self, site: Site, version: Version) -> bool:
        look = self.sites[site]
        if not isinstance(look.answers[site.answer], Reverse):
            return False
        _, known = self._changes_of(site)
        written = look.written
        function = written.function if isinstance(written, Pass) else self._check.function
        return is_told_by(self._conditions, function, look.block, known[version.what])

    def _with(self, site: Site, version: Version) -> Look | Fields | None:
        """What is judged with a wrong version, or said of it; None where it has none here."""
        look = self.sites[site]
        if version.expression is not None:
            return self._with_formula(look, version.expression)
        frame, known = self._changes_of(site)
        if version.what not in known:
            return None
        wrong = Wrong(look.answers[site.answer], frame, known[version.what])
        return replace(look, answers={**look.answers, site.answer: wrong})

    def _with_formula(self, look: Look, expression: Expression) -> Look | Fields:
        written = look.written
        assert isinstance(written, Derivative)
        value = replace(written.value, expression=expression)
        try:
            return self._check.look_at(
                look.block, replace(written, value=value), look.answers["autograd"]
            )
        except RaisedError as error:
            return error.fields()

    def _formula(self, site: Site) -> FormulaOfValues | None:
        """The formula that was written, if it is one."""
        written = self.sites[site].written
        if site.answer != "handwritten" or not isinstance(written, Derivative):
            return None
        return written.value if isinstance(written.value, FormulaOfValues) else None

    def _shapes(self, formula: FormulaOfValues) -> Shapes:
        """The names that a formula may use, and the shapes of their values."""
        values = {**self._place.environment, "out": formula.out}
        names = (*self._case.function.given, "out", *self._case.sizes)
        known = {name: shape_of(values.get(name)) for name in names}
        return {**dict.fromkeys(formula.expression.names), **known}

    def _changes_of(self, site: Site) -> tuple[Frame, dict[str, Change]]:
        """How what was written is seen, and the changes of it by name."""
        if site not in self._changes:
            look = self.sites[site]
            answer: Answer = look.answers[site.answer]
            frame = Frame.of(look.block, _KINDS[type(answer)], answer.of(look.block))
            blocks = [other.block for other in self._check.looks]
            found = changes(frame, self._resolution, blocks)
            self._changes[site] = frame, {one.what: one for one in found}
        return self._changes[site]
