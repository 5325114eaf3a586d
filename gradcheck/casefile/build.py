"""A validated model → cases that can run: names resolved, formulas parsed, claims made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from gradcheck.casefile import models
from gradcheck.casefile.case import TIMEOUT, Case, DType, ExpectedFailure, Known
from gradcheck.casefile.derivatives import Derivatives
from gradcheck.casefile.document import Path
from gradcheck.casefile.domains import read_domain
from gradcheck.casefile.expectations import Expectations, read_passes
from gradcheck.casefile.kernels import KernelReader
from gradcheck.casefile.models import several
from gradcheck.casefile.names import Reader, listed, name_problem, near
from gradcheck.casefile.pass_lines import BackwardReader, JvpReader
from gradcheck.casefile.points import expand, written_points
from gradcheck.functions import Function, Recurrence, State, Step
from gradcheck.language.expression import Expression
from gradcheck.language.parser import MAX_COST
from gradcheck.language.tree import Number
from gradcheck.passes import GRAD, Passes

UNREAD: Final = Expression("", Number(0, 0, 0))
"""Stands for a formula that could not be read, so that the others can be."""
MOST_VARIANTS: Final = 1_000
MOST_POINTS: Final = 10_000


class CaseBuilder:
    """Builds the cases that one entry of `cases:` stands for; problems are kept in `read`."""

    def __init__(
        self, name: str, model: models.Case, defaults: models.Defaults, read: Reader
    ) -> None:
        self.name = name
        self.model = model
        self.defaults = defaults
        self.path: Path = ("cases", name)
        self.read = read
        self.document = read.document
        self.taken: dict[str, str] = dict.fromkeys(read.definitions, "a definition")
        self.named_well = True
        self.kernels = KernelReader(read, self.path, model)

    def build(self) -> list[Case]:
        """The cases, one for each combination of listed sizes; none where there are problems."""
        self.points = written_points(
            self.model, self.path, self.model.samples or self.defaults.samples or 1
        )
        self.kernels.check(self.points)
        self._declare_given()
        self._declare_computed()
        self.domain = read_domain(
            self.model.domain,
            self.path,
            self.points,
            [*self.inputs, *self.model.constants],
            self.taken,
            self.read,
        )
        if not self.named_well:  # every formula with such a name would be wrong again
            return []
        self.function = self._function()
        self.derivatives = Derivatives(
            self.read, self.path, self.function, self.inputs, self.sizes, self._integers()
        )
        self.derivatives.unsure = self.read.failed
        declared = self.derivatives.read_all(self.kernels.claimed)
        self._read_outputs()
        self.kernel = self.kernels.kernel(self.derivatives, self.outputs)
        self._read_lines()
        reader = Expectations(
            self.read,
            self.function,
            self.inputs,
            self.derivatives,
            {str(one.link) for one in declared if one.stepwise},
            self.backward.quantities(),
            self._dtypes(),
        )
        expectations = {
            id(point): tuple(reader.of(point)) if self.kernels.has_formula else ()
            for point in self.points
        }
        published = [one.quantity for listed in expectations.values() for one in listed]
        claims = (
            *self.derivatives.claims(declared, published),
            *self.backward.claims(),
            *self.jvp.claims(),
        )
        self.seconds = self.derivatives.second_claims(declared)
        self._read_passes(published)
        self._check_purpose(any(expectations.values()))
        variants = list(self._variants()) if self._check_amount() else []
        cases = []
        for suffix, sizes in variants:
            points = tuple(
                expand(
                    self.points,
                    sizes,
                    self.read,
                    lambda point: expectations[id(point)],
                    set(self.backward.quantities().values()),
                )
            )
            cases.append(self._case(suffix, sizes, claims, points))
            if self.read.failed:
                return []
        return cases

    def _read_outputs(self) -> None:
        """The outputs: the last step, unless some are listed."""
        listed_ones = several(self.model.outputs) if self.kernels.has_formula else []
        values = self.function.values
        for index, name in enumerate(listed_ones):
            path = (
                *self.path,
                "outputs",
                *([index] if isinstance(self.model.outputs, list) else []),
            )
            if name not in values:
                close = near(name, values) or listed(values)
                self.read.report(path, f"`{name}` is not a step of the function{close}")
            elif name in listed_ones[:index]:
                self.read.report(path, f"`{name}` is listed twice")
        self.outputs = tuple(listed_ones) or (self.function.output,)

    def _read_lines(self) -> None:
        """The passes that are written by hand."""
        settings = (
            self.read,
            self.path,
            self.function,
            [name for name in self.inputs if name not in self._integers()],
            self.outputs,
            self.sizes,
            tuple(self.model.constants),
            self.read.failed,
        )
        self.backward, self.jvp = BackwardReader(*settings), JvpReader(*settings)
        self.backward.read_all(self.kernels.lines("backward"))
        self.jvp.read_all(self.kernels.lines("jvp"))
        if not self.kernels.has_formula:
            return
        placed = {path: name for p in self.points for name, (path, _) in p.cotangents.items()}
        for path, name in placed.items():
            self._check_cotangent(name, path)

    def _check_cotangent(self, name: str, path: Path) -> None:
        if not self.kernels.lines("backward"):
            self.read.report(path, "cotangents are for `backward`, which is not there", key=True)
        elif name not in self.backward.given:
            close = near(name, self.backward.given) or listed(self.backward.given)
            self.read.report(path, f"`{name}` is no cotangent of an output{close}", key=True)

    def _read_passes(self, published: list[str]) -> None:
        """How gradients are asked for, and of which values: those that tell something."""
        self.passes, self.gradients = Passes(), tuple[str, ...]()
        if self.kernels.is_python:
            return
        path = (*self.path, "autograd")
        self.passes = read_passes(self.model.autograd, path, self.function, self.read)
        told = [quantity.removesuffix(GRAD) for quantity in published if quantity.endswith(GRAD)]
        if self.model.autograd is not None:
            told = [*self.inputs, *self.passes.retained, *told]
        self.gradients = tuple(dict.fromkeys(told))

    def _check_purpose(self, publishes: bool) -> None:
        derivatives = self.model.derivatives
        written = (derivatives.named, derivatives.recurrence, self.model.backward, self.model.jvp)
        is_told = any(written) or publishes or self.gradients or self.kernels.is_python
        if not (is_told or self.read.failed):
            message = "nothing to check: write `derivatives`, `backward`, `jvp` or `expect`"
            self.read.report(self.path, message, key=True)

    def _check_amount(self) -> bool:
        """Whether the cases and the points that they have are few enough to be run."""
        variants = math.prod(
            len(size) for size in self.model.sizes.values() if isinstance(size, list)
        )
        if variants > MOST_VARIANTS:
            message = f"these sizes make {variants:,} cases, more than {MOST_VARIANTS:,}"
            self.read.report((*self.path, "sizes"), message, key=True)
            return False
        points = variants * sum(point.draws for point in self.points)
        if points > MOST_POINTS:
            message = f"this makes {points:,} points, more than {MOST_POINTS:,}"
            self.read.report(self.path, message, key=True)
            return False
        return True

    def _integers(self) -> set[str]:
        """The names of values that are drawn as whole numbers."""
        return {
            name
            for point in self.points
            for name, value in point.values.items()
            if isinstance(value, models.Sampled) and value.sample.strip().startswith("integers")
        }

    def _case(self, suffix: str, sizes: Mapping[str, int], claims: Any, points: Any) -> Case:
        model, defaults = self.model, self.defaults
        return Case(
            name=self.name + suffix,
            entry=self.name,
            file=self.document.name,
            line=self.document.position(self.path, key=True)[0],
            about=_printable(model.about),
            source=_printable(model.source or defaults.source),
            tags=frozenset([*several(defaults.tags), *several(model.tags)]),
            sizes=sizes,
            inputs=self.inputs,
            function=self.function,
            claims=claims,
            seconds=self.seconds,
            extension=self.backward.extension + self.jvp.extension,
            uncovered=self.backward.uncovered,
            passes=self.passes,
            gradients=self.gradients,
            points=points,
            dtypes=tuple(dict.fromkeys(self._dtypes())),
            devices=tuple(dict.fromkeys(several(model.devices or defaults.devices or "auto"))),
            resolution=_number(model.resolution or defaults.resolution),
            digits=_number(model.digits or defaults.digits),
            subgradient=model.subgradient,
            skip=model.skip and _printable(model.skip),
            xfail=_expected_failure(model.xfail),
            outputs=self.outputs,
            kernel=self.kernel,
            known=_known(model.known),
            domain=self.domain,
            timeout=model.timeout or defaults.timeout or TIMEOUT,
        )

    def _variants(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Every combination of the sizes, with what it adds to the case's name."""
        choices = [several(size) for size in self.model.sizes.values()]
        listed = [name for name, size in self.model.sizes.items() if isinstance(size, list)]
        for combination in itertools.product(*choices):
            sizes = dict(zip(self.model.sizes, combination, strict=True))
            yield "".join(f"-{name}{sizes[name]}" for name in listed), sizes

    def _declare(self, name: str, what: str, path: Path, *, key: bool = True) -> None:
        may_be_word = not self.kernels.has_formula and what in ("an input", "a constant")
        if problem := name_problem(name, self.taken, may_be_word=may_be_word):
            self._report_name(path, problem, key=key)
        elif name == "out" and what not in ("a step", "a state"):
            message = "`out` is the name of the output: use another name"
            self._report_name(path, message, key=key)
        self.taken.setdefault(name, what)

    def _report_name(self, path: Path, message: str, *, key: bool = True) -> None:
        self.named_well = False
        self.read.report(path, message, key=key)

    def _declare_given(self) -> None:
        for name in self.model.sizes:
            self._declare(name, "a size", (*self.path, "sizes", name))
        for name in self.model.constants:
            self._declare(name, "a constant", (*self.path, "constants", name))
        self.sizes = tuple(self.model.sizes)
        self.inputs = tuple(self._declared_inputs())
        if not self.inputs and self.named_well:
            message = "nothing to differentiate by: give values under `inputs`"
            self._report_name(self.path, message)
        for point in self.points:
            missing = next((name for name in self.inputs if name not in point.values), None)
            if missing is not None:
                self.read.report(point.path, f"this point has no value for `{missing}`")
        if self.model.points is not None and self.model.expect is not None:
            path = (*self.path, "expect")
            self.read.report(path, "with `points`, each point has its own `expect`", key=True)

    def _declared_inputs(self) -> dict[str, None]:
        inputs: dict[str, None] = {}
        for point in self.points:
            for name, path in point.places.items():
                if name not in self.model.constants and name not in inputs:
                    self._declare(name, "an input", path)
                    inputs[name] = None
                elif name in self.model.constants and path[2] != "constants":
                    self._report_name(path, f"`{name}` is already a constant")
        return inputs

    def _declare_computed(self) -> None:
        """Declares what the function computes, before any formula is read."""
        written = self.kernels.written
        if not isinstance(written, dict):
            return
        path = (*self.path, self.kernels.key)
        for name, formula in written.items():
            if isinstance(formula, models.Recurrence):
                self._declare_states(name, formula, (*path, name))
            elif name == "recurrence":
                self._report_name((*path, name), "a recurrence has `steps` and `states`")
            else:
                self._declare(name, "a step", (*path, name))
        *_, output = _written_names(written)
        if output != "out" and self.taken.get("out") in ("a step", "a state"):
            place = (*path, "out") if "out" in written else (*path, "recurrence", "states", "out")
            self._report_name(place, f"`out` is another name for the last step, `{output}`")

    def _declare_states(self, name: str, written: models.Recurrence, path: Path) -> None:
        if name != "recurrence":
            message = f"states belong to a step called `recurrence`, not `{name}`"
            self._report_name(path, message)
        if written.index is not None:
            self._declare(written.index, "the recurrence's index", (*path, "index"), key=False)
        for state in written.states:
            self._declare(state, "a state", (*path, "states", state))

    def _function(self) -> Function:
        path = (*self.path, self.kernels.key)
        given = (*self.inputs, *self.model.constants)
        scope = dict.fromkeys([*self.sizes, *given])
        written = self.kernels.written
        if written is None:
            return Function(given, (), "out")
        if not isinstance(written, dict):
            expression = self.read.formula(path, scope) or UNREAD
            return Function(given, (Step("out", expression),), "out")
        steps: list[Step | Recurrence] = []
        later = dict.fromkeys(_written_names(written))
        for name, formula in written.items():
            here = (*path, name)
            if isinstance(formula, models.Recurrence):
                steps.append(self._recurrence(formula, here, scope, later))
            else:
                steps.append(Step(name, self.read.formula(here, scope, later=later) or UNREAD))
            for new in steps[-1].names:
                scope[new] = later.pop(new)
        return Function(given, tuple(steps), steps[-1].names[-1])

    def _recurrence(
        self,
        written: models.Recurrence,
        path: Path,
        scope: Mapping[str, None],
        later: Mapping[str, None],
    ) -> Recurrence:
        inside = {**scope, **dict.fromkeys(written.states)}
        if written.index is not None:
            inside[written.index] = None
        count = self.read.formula((*path, "steps"), self.sizes)
        states = []
        for state in written.states:
            here = (*path, "states", state)
            start = self.read.formula((*here, "start"), scope, later=later)
            update = self.read.formula((*here, "next"), inside, later=later)
            states.append(State(state, start or UNREAD, update or UNREAD))
        recurrence = Recurrence(count or UNREAD, written.index, tuple(states))
        if count is not None:
            self._check_steps(written.steps, recurrence.cost, (*path, "steps"))
        return recurrence

    def _check_steps(self, count: str | int | Decimal, cost: int, path: Path) -> None:
        if isinstance(count, Decimal) or (isinstance(count, int) and count < 1):
            self.read.report(path, "`steps` is a whole number from 1")
        elif isinstance(count, int) and count * cost > MAX_COST:
            self.read.report(path, f"so many steps take more than {MAX_COST:,} operations")

    def _dtypes(self) -> list[DType]:
        return list(several(self.model.dtypes or self.defaults.dtypes or "float64"))


def _written_names(function: Mapping[str, Any]) -> Iterator[str]:
    for name, written in function.items():
        yield from written.states if isinstance(written, models.Recurrence) else [name]


def _expected_failure(xfail: models.XFail | None) -> ExpectedFailure | None:
    return None if xfail is None else ExpectedFailure(_printable(xfail.reason), xfail.blame)


def _known(known: models.Known | None) -> Known | None:
    return None if known is None else Known(known.limits, _printable(known.reason))


def _printable(text: str | None) -> str:
    """A text for a reader, without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text or "")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
