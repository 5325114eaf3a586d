"""`expect:` → what was published: of values, of links, of gradients that backward passes leave."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from gradcheck.casefile import models
from gradcheck.casefile.case import COMPLEX, DType, Expectation
from gradcheck.casefile.derivatives import Derivatives
from gradcheck.casefile.document import Path
from gradcheck.casefile.names import Reader, listed, near
from gradcheck.casefile.points import Written
from gradcheck.functions import Function, trajectory
from gradcheck.language.leibniz import Link, parse_link, parse_second
from gradcheck.passes import GRAD, Passes


class Expectations:
    """Reads the published numbers of one case.

    `stepwise` are the links carried by a recurrence, `passes` the quantities of the lines of passes
    by their names.
    """

    def __init__(
        self,
        read: Reader,
        function: Function,
        inputs: Sequence[str],
        derivatives: Derivatives,
        stepwise: Collection[str],
        passes: Mapping[str, str],
        dtypes: Collection[DType],
    ) -> None:
        self.read = read
        self.function = function
        self.inputs = inputs
        self.derivatives = derivatives
        self.stepwise = stepwise
        self.passes = passes
        self.dtypes = dtypes

    def of(self, point: Written) -> Iterator[Expectation]:
        """What was published for a point."""
        path = (*point.path, "expect")
        blocks = point.expect if isinstance(point.expect, list) else [point.expect]
        for index, block in enumerate(blocks):
            here = (*path, index) if isinstance(point.expect, list) else path
            if block is None:
                continue
            if COMPLEX.issuperset(self.dtypes):
                message = "published numbers are real: add a real dtype to `dtypes`"
                self.read.report(here, message, key=True)
            self._check(block, here)
            for name, printed in block.named.items():
                quantity = self._quantity(name, (*here, name), block.of)
                if quantity is None:
                    continue
                if printed is None and not quantity.endswith(GRAD):
                    message = f"only a gradient can be none, such as `{self.inputs[0]}{GRAD}`"
                    self.read.report((*here, name), message)
                line, _ = self.read.document.position((*here, name), key=True)
                yield Expectation(quantity, printed, block.of, block.dtype, line)

    def _check(self, block: models.Expect, path: Path) -> None:
        if not block.named:
            self.read.report(path, "nothing is published here: write quantity: number")
        if block.of == "truth" and block.dtype is not None:
            self.read.report((*path, "dtype"), "`dtype` goes with `of: handwritten`", key=True)
        if block.of == "handwritten" and block.dtype is None:
            self.read.report((*path, "of"), "`of: handwritten` needs a `dtype` too", key=True)
        elif block.dtype is not None and block.dtype not in self.dtypes:
            message = f"the case does not run in {block.dtype}: add it to `dtypes`"
            self.read.report((*path, "dtype"), message)

    def _quantity(self, name: str, path: Path, of: str) -> str | None:
        """What a published number is of: a value of the function, a link, or a gradient.

        A recurrent state, and a derivative that is carried along, is published step by step.
        """
        values = self.function.values
        if name == "out":
            return self.function.output
        if name in values:
            stacked = trajectory(name)
            return stacked if any(stacked in s.writes for s in self.function.steps) else name
        if name in self.passes:
            return self.passes[name]
        second = parse_second(name, values)
        if second is not None and any(second == one for one, _ in self.derivatives.seconds):
            return str(second)
        if name.endswith(GRAD):
            return self._gradient(name, path, of)
        link = Link(self.function.output, name) if name in self.inputs else parse_link(name)
        if link is not None:
            return self._link(link, path, of)
        known = ["out", *values, *self.inputs, *self.derivatives.written, *self.passes]
        close = near(name, known) or listed(known)
        self.read.report(path, f"`{name}` is not a quantity{close}", key=True)
        return None

    def _link(self, link: Link, path: Path, of: str) -> str | None:
        resolved = self.derivatives.resolved(link, path)
        if resolved is None:
            return None
        if of == "handwritten" and str(resolved) not in self.derivatives.declared:
            message = f"`{resolved}` has no formula under `derivatives` that could compute this"
            self.read.report(path, message, key=True)
        if str(resolved) in self.stepwise:
            return str(Link(trajectory(resolved.output), resolved.input))
        return str(resolved)

    def _gradient(self, name: str, path: Path, of: str) -> str | None:
        value = name.removesuffix(GRAD)
        value = self.function.output if value == "out" else value
        known = [*self.function.given, *self.function.values]
        if value not in known:
            close = near(value, known) or listed(known)
            self.read.report(path, f"`{value}` is not a value that has a gradient{close}", key=True)
            return None
        if of == "handwritten":
            message = f"`{name}` is what autograd leaves there: no formula computes it"
            self.read.report(path, message, key=True)
        return value + GRAD


def read_passes(
    written: models.Autograd | None, path: Path, function: Function, read: Reader
) -> Passes:
    """The settings under `autograd`; one plain pass where there are none."""
    if written is None:
        return Passes()
    retained = models.several(written.retain_grad)
    for index, name in enumerate(retained):
        here = (*path, "retain_grad", *([index] if isinstance(written.retain_grad, list) else []))
        if name in function.given:
            read.report(here, f"`{name}` is given: only the gradients of steps have to be retained")
        elif name not in function.values:
            close = near(name, function.values) or listed(function.values)
            read.report(here, f"`{name}` is not a step of the function{close}")
    if written.disabled_by is not None:
        for key in ("backward_passes", "zero_grad", "retain_grad"):
            if key in written.model_fields_set:
                message = f"with `disabled_by` there is no backward pass: leave `{key}` out"
                read.report((*path, key), message, key=True)
    return Passes(written.backward_passes, written.zero_grad, written.disabled_by, tuple(retained))
