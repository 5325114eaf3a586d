"""A case → what a search varies of it, and what it finds there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from gradcheck.casefile.case import COMPLEX, WIDTH, Case
from gradcheck.casefile.domain import Interval
from gradcheck.casefile.inputs import Given, Held, Sampled, Value
from gradcheck.functions import Recurrence, Step
from gradcheck.jobs import Job
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Use, walk
from gradcheck.leaves import REAL
from gradcheck.place import TORCH_DTYPE
from gradcheck.report.points_entry import constants_line, points_entry
from gradcheck.results import Result
from gradcheck.search.grid import Grid, Whole
from gradcheck.search.judging import JudgedAt
from gradcheck.search.search import EXAMPLES, SEED, Finding, Search
from gradcheck.search.slots import Drawn, Entries, Slot
from gradcheck.search.space import Space
from gradcheck.search.values import Array, Values
from gradcheck.search.wrong import Is, is_another_function, is_wrong_formula, is_wrong_kernel

MODERATE: Final = 1e4
"""How large a number may be of which no interval is known."""
MOST_SPECIAL: Final = 12
_AS_A_WHOLE: Final = ("spd", "orthogonal", "integers")
"""Distributions of which single entries cannot be changed."""
_NUMBER: Final = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")


def chosen(jobs: Iterable[Job]) -> Job:
    """The one of a case's jobs that is searched: in its widest dtype, on the first of its devices.

    Where none is run, it is one that says why.
    """
    return max(map(_allowed, jobs), key=_preference)


def _allowed(job: Job) -> Job:
    if job.skip is None and job.case.xfail is not None:
        return replace(job, skip=f"it is known to fail: {job.case.xfail.reason}")
    return job


def _preference(job: Job) -> tuple[bool, bool, int]:
    return job.skip is None, job.dtype not in COMPLEX, WIDTH[job.dtype]


@dataclass(frozen=True, slots=True)
class CaseFinding:
    """The results at a point at which something is wrong, and how the point is written down."""

    results: tuple[Result, ...]
    lines: tuple[str, ...]

    @property
    def noted(self) -> Iterator[Result]:
        """The results, each with the point in its notes."""
        for result in self.results:
            yield replace(result, notes=(*result.notes, *self.lines))


class CaseSearch:
    """A search of one case, which begins at its first point.

    Inputs are varied, and constants that have a domain. Of an input that has none it is said in
    `without_domain`: it is what its distribution gives, or any number of moderate size. Where there
    are `only` some, they alone are varied.
    """

    def __init__(
        self,
        job: Job,
        *,
        examples: int = EXAMPLES,
        seed: int = SEED,
        only: Collection[str] | None = None,
    ) -> None:
        self.job = job
        self._base = next(point for point in job.case.points if not point.again)
        case = job.case
        varied = {*case.inputs, *case.domain} if only is None else only
        slots = [self._slot(name) for name in self._base.values if name in varied]
        space = Space([slot for slot in slots if slot.base.size])
        self.without_domain = [one.name for one in space.entries if one.name not in case.domain]
        self._judged = JudgedAt(job, self._base)
        self.search = Search(
            space,
            lambda values: self._judged(_held(values)),
            self._wrong(),
            examples=examples,
            seed=seed,
        )

    @property
    def problem(self) -> str:
        """Why its function is not to be had; empty where it is."""
        kernel = self.job.case.kernel
        return next(iter(self.job.imports.problems(kernel)), "") if kernel is not None else ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that can be varied."""
        return not self.search.space.slots

    @property
    def failure(self) -> str:
        """Why nothing could be judged at any point, when all were looked at; empty where it was."""
        if self.search.judged:
            return ""
        notes = [note for result in self.search.errors for note in result.notes]
        return notes[0] if notes else "the function has no finite value at any point"

    def findings(self) -> Iterator[CaseFinding]:
        """What is wrong and where, as it is found."""
        for finding in self.search.findings():
            results = self._judged.diagnosed(finding.results, _held(finding.values))
            yield CaseFinding(results, tuple(self._lines(finding)))

    def _wrong(self) -> Sequence[Is]:
        if self.job.case.kernel is not None:
            return is_wrong_kernel, is_another_function
        return (partial(is_wrong_formula, has_domain=bool(self.job.case.domain)),)

    def _slot(self, name: str) -> Slot:
        case, point, value = self.job.case, self._base, self._base.values[name]
        seed, dtype = f"{case.name}.{name}", TORCH_DTYPE[self.job.dtype]
        base = value.array(seed, point.draw)
        if isinstance(value, Sampled) and value.distribution in _AS_A_WHOLE:
            draw = _drawing(value, seed, point.draw)
            return Drawn(name, base, draw, [] if base.dtype == np.int64 else [_identity(base)])
        grid = Grid(REAL.get(dtype, dtype))
        may_be_whole = case.kernel is not None and name not in case.inputs
        if may_be_whole and isinstance(value, Given) and (whole := value.whole()) is not None:
            base, grid = whole, Whole()
        held = grid.rounded(base)
        interval = case.domain.get(name) or usual(value, held)
        if case.kernel is not None and not case.kernel.has_reference and base.dtype != np.int64:
            return Entries.numerically(name, held, interval, grid.dtype)
        return Entries(name, held, interval, grid, numbers_of(case))

    def _lines(self, finding: Finding) -> Iterator[str]:
        """The point as it is pasted, and what else is to be known of it."""
        case, values = self.job.case, {n: Given.of(v) for n, v in finding.values.items()}
        drawn = [name for name in values if _is_integers(self._base.values[name])]
        inputs = {n: self._value(n, values if n not in drawn else {}) for n in case.inputs}
        yield "points:"
        yield f"  {points_entry(inputs)}"
        if constants := {name: one for name, one in values.items() if name not in case.inputs}:
            yield constants_line(constants)
        for name in drawn:
            yield f"`{name}` is drawn: here it was {finding.values[name].tolist()}"
        if self.without_domain:
            names = ", ".join(map("`{}`".format, self.without_domain))
            yield f"no `domain` is given for {names}: if the point is outside, write where it ends"

    def _value(self, name: str, found: Mapping[str, Given]) -> Given | Sampled:
        value = found.get(name, self._base.values[name])
        return Given.of(value.numbers) if isinstance(value, Held) else value


def _held(values: Values) -> dict[str, Held]:
    return {name: Held(array) for name, array in values.items()}


def usual(value: Value, base: Array) -> Interval:
    """Where the entries of an input may lie of which no domain says it."""
    drawn = value.distribution if isinstance(value, Sampled) else ""
    low, high = (0.0, MODERATE) if drawn == "positive" else (-MODERATE, MODERATE)
    if isinstance(value, Sampled) and drawn == "uniform":
        low, high = value.parameters or (0.0, 1.0)
    low, high = min(low, float(base.min(initial=low))), max(high, float(base.max(initial=high)))
    return Interval(low, high, closed_low=drawn != "positive", closed_high=True)


def numbers_of(case: Case) -> Sequence[float]:
    """The numbers that stand in a case's formulas: the function may change there."""
    texts = [text for step in case.function.steps for text in _texts_of(step)]
    formulas = (*(c.formulas for c in case.claims), *(s.formulas for s in case.seconds))
    texts += [formula.text for listed in formulas for formula in listed]
    found = dict.fromkeys(float(number) for text in texts for number in _NUMBER.findall(text))
    return list(found)[:MOST_SPECIAL]


def _texts_of(step: Step | Recurrence) -> Iterator[str]:
    """Those of its formulas, and of the definitions that they use."""
    if isinstance(step, Recurrence):
        for state in step.states:
            yield from (*_texts_in(state.start), *_texts_in(state.next))
    else:
        yield from _texts_in(step.expression)


def _texts_in(expression: Expression) -> Iterator[str]:
    yield expression.text
    for node in walk(expression.tree):
        if isinstance(node, Use):
            for _, inner in node.definition.steps:
                yield from _texts_in(inner)


def _is_integers(value: Value) -> bool:
    return isinstance(value, Sampled) and value.distribution == "integers"


def _drawing(value: Sampled, seed: str, first: int) -> Callable[[int], Array]:
    """The draws of a value after its first."""
    return lambda number: value.array(seed, first + number)


def _identity(base: Array) -> Array:
    return np.broadcast_to(np.eye(*base.shape[-2:]), base.shape).copy()
