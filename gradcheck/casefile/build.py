"""A validated model → cases that can run: names resolved, formulas parsed, claims made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from gradcheck.casefile import models
from gradcheck.casefile.case import Case, Expectation, ExpectedFailure
from gradcheck.casefile.derivatives import Derivatives
from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.names import Reader, name_problem
from gradcheck.casefile.points import Written, expand, written_points
from gradcheck.functions import Function, Recurrence, State, Step, trajectory
from gradcheck.language.expression import Definition
from gradcheck.language.leibniz import Link, parse_link
from gradcheck.language.parser import suggestion


class CaseBuilder:
    """Builds the cases that one entry of `cases:` stands for; problems are kept in `read`."""

    def __init__(
        self,
        document: Document,
        name: str,
        model: models.Case,
        defaults: models.Defaults,
        definitions: Mapping[str, Definition],
    ) -> None:
        self.document = document
        self.name = name
        self.model = model
        self.defaults = defaults
        self.path: Path = ("cases", name)
        self.read = Reader(document, definitions)
        self.taken: dict[str, str] = {name: "a definition" for name in definitions}

    def build(self) -> list[Case]:
        """The cases, one for each combination of listed sizes; none where there are problems."""
        self.points = written_points(
            self.model, self.path, self.model.samples or self.defaults.samples or 1
        )
        self._declare_given()
        function = self._function()
        if function is None or self.read.problems:
            return []
        self.function = function
        self.derivatives = Derivatives(self.read, self.path, function, self.inputs, self.sizes)
        declared = self.derivatives.read_all(self.model.derivatives)
        self.stepwise = {str(one.link) for one in declared if one.stepwise}
        expectations = {id(point): tuple(self._expectations(point)) for point in self.points}
        published = [one.quantity for listed in expectations.values() for one in listed]
        claims = self.derivatives.claims(declared, published)
        if not self.model.derivatives and not any(expectations.values()):
            self.read.report(
                self.path, "nothing to check: write `derivatives` or `expect`", key=True
            )
        cases = []
        for suffix, sizes in self._variants():
            points = tuple(
                expand(self.points, sizes, self.read, lambda point: expectations[id(point)])
            )
            cases.append(self._case(suffix, sizes, claims, points))
            if self.read.problems:
                return []
        return cases

    def _case(self, suffix: str, sizes: Mapping[str, int], claims: Any, points: Any) -> Case:  # noqa: ANN401
        model, defaults = self.model, self.defaults
        dtypes = _listed(model.dtypes or defaults.dtypes or "float64")
        return Case(
            name=self.name + suffix,
            entry=self.name,
            file=self.document.name,
            line=self.document.position(self.path, key=True)[0],
            about=model.about or "",
            source=model.source or defaults.source or "",
            tags=frozenset([*_listed(defaults.tags), *_listed(model.tags)]),
            sizes=sizes,
            function=self.function,
            claims=claims,
            points=points,
            dtypes=tuple(dict.fromkeys(dtypes)),
            devices=tuple(_listed(model.devices or defaults.devices or "auto")),
            resolution=_number(model.resolution or defaults.resolution),
            skip=model.skip,
            xfail=model.xfail and ExpectedFailure(model.xfail.reason, model.xfail.blame),
        )

    def _variants(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Every combination of the sizes, with what it adds to the case's name."""
        choices = [
            size if isinstance(size, list) else [size] for size in self.model.sizes.values()
        ]
        listed = [isinstance(size, list) for size in self.model.sizes.values()]
        for combination in itertools.product(*choices):
            sizes = dict(zip(self.model.sizes, combination, strict=True))
            named = [f"{n}{v}" for (n, v), is_listed in zip(sizes.items(), listed, strict=True) if is_listed]
            yield "".join(f"-{part}" for part in named), sizes

    def _declare(self, name: str, what: str, path: Path) -> None:
        if problem := name_problem(name, self.taken):
            self.read.report(path, problem, key=True)
        self.taken.setdefault(name, what)

    def _declare_given(self) -> None:
        for name, size in self.model.sizes.items():
            path = (*self.path, "sizes", name)
            self._declare(name, "a size", path)
            if min(size if isinstance(size, list) else [size], default=-1) < 0:
                self.read.report(path, "a size is a whole number from 0")
        for name in self.model.constants:
            self._declare(name, "a constant", (*self.path, "constants", name))
        self.sizes = tuple(self.model.sizes)
        inputs: dict[str, None] = {}
        for point in self.points:
            for name, path in point.places.items():
                if name not in self.model.constants and name not in inputs:
                    self._declare(name, "an input", path)
                    inputs[name] = None
                elif name in self.model.constants and "inputs" in path:
                    self.read.report(path, f"`{name}` is already a constant", key=True)
        self.inputs = tuple(inputs)
        for point in self.points:
            for name in inputs:
                if name not in point.values:
                    self.read.report(point.path, f"this point has no value for `{name}`")
        if not inputs:
            self.read.report(
                self.path, "nothing to differentiate by: give values under `inputs`", key=True
            )
        if self.model.points is not None and self.model.expect is not None:
            path = (*self.path, "expect")
            self.read.report(path, "with `points`, each point has its own `expect`", key=True)

    def _function(self) -> Function | None:
        path = (*self.path, "function")
        given = (*self.inputs, *self.model.constants)
        scope = [*self.sizes, *given]
        if not isinstance(self.model.function, dict):
            expression = self.read.formula(path, scope)
            return expression and Function(given, (Step("out", expression),), "out")
        steps: list[Step | Recurrence] = []
        later = set(self.model.function)
        last = list(self.model.function)[-1]
        for name, written in self.model.function.items():
            here = (*path, name)
            if isinstance(written, models.Recurrence):
                step = self._recurrence(name, written, here, scope)
            else:
                step = self._step(name, here, scope, later, is_last=name == last)
            if step is not None:
                steps.append(step)
                names = [n for n in step.writes if "[" not in n]
            else:
                names = list(written.states) if isinstance(written, models.Recurrence) else [name]
            scope += names
            later -= {*names}
        if not steps:
            return None
        output = next(n for n in reversed(steps[-1].writes) if "[" not in n)
        return Function(given, tuple(steps), output)

    def _step(
        self, name: str, path: Path, scope: list[str], later: set[str], *, is_last: bool
    ) -> Step | None:
        if name == "recurrence":
            self.read.report(path, "a recurrence has `steps` and `states`", key=True)
            return None
        if name == "out" and not is_last:
            self.read.report(path, "`out` is the last step: use another name", key=True)
        self._declare(name, "a step", path)
        expression = self.read.formula(path, scope, later=later)
        return expression and Step(name, expression)

    def _recurrence(
        self, name: str, written: models.Recurrence, path: Path, scope: list[str]
    ) -> Recurrence | None:
        if name != "recurrence":
            message = f"states belong to a step called `recurrence`, not `{name}`"
            self.read.report(path, message, key=True)
        inside = [*scope, *written.states]
        if written.index is not None:
            self._declare(written.index, "the recurrence's index", (*path, "index"))
            inside.append(written.index)
        count = self.read.formula((*path, "steps"), self.sizes)
        states = []
        for state in written.states:
            here = (*path, "states", state)
            self._declare(state, "a state", here)
            start = self.read.formula((*here, "start"), scope)
            update = self.read.formula((*here, "next"), inside)
            if start and update:
                states.append(State(state, start, update))
        if count is None or len(states) < len(written.states):
            return None
        return Recurrence(count, written.index, tuple(states))

    def _expectations(self, point: Written) -> Iterator[Expectation]:
        path = (*point.path, "expect")
        blocks = point.expect if isinstance(point.expect, list) else [point.expect]
        for index, block in enumerate(blocks):
            here = (*path, index) if isinstance(point.expect, list) else path
            if block is None:
                continue
            if block.of == "truth" and block.dtype is not None:
                self.read.report(
                    (*here, "dtype"), "`dtype` goes with `of: handwritten`", key=True
                )
            if block.of == "handwritten" and block.dtype is None:
                self.read.report((*here, "of"), "`of: handwritten` needs a `dtype` too", key=True)
            elif block.dtype is not None and block.dtype not in self._dtypes():
                message = f"the case does not run in {block.dtype}: add it to `dtypes`"
                self.read.report((*here, "dtype"), message)
            for name, printed in (block.model_extra or {}).items():
                quantity = self._quantity(name, (*here, name))
                if quantity is not None:
                    line, _ = self.document.position((*here, name), key=True)
                    yield Expectation(quantity, printed, block.of, block.dtype, line)

    def _dtypes(self) -> list[str]:
        return _listed(self.model.dtypes or self.defaults.dtypes or "float64")

    def _quantity(self, name: str, path: Path) -> str | None:
        """What a published number is of: a value of the function, or a link.

        A recurrent state, and a derivative that is carried along, is published step by step.
        """
        values = [n for step in self.function.steps for n in step.writes if "[" not in n]
        if name == "out":
            return self.function.output
        if name in values:
            stacked = trajectory(name)
            return stacked if any(stacked in s.writes for s in self.function.steps) else name
        link = Link(self.function.output, name) if name in self.inputs else parse_link(name)
        if link is not None:
            link = self.derivatives.resolved(link, path)
            if link is not None and str(link) in self.stepwise:
                return str(Link(trajectory(link.output), link.input))
            return link and str(link)
        known = ["out", *values, *self.inputs, *self.model.derivatives]
        self.read.report(path, f"`{name}` is not a quantity{suggestion(name, known)}", key=True)
        return None


def _listed(value: Any) -> Any:  # noqa: ANN401
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if value is None else float(value)
