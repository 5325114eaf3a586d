"""The page that a script is written on: what it begins with, and what is added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import torch
from torch import Tensor

from gradcheck.errors import UsageError
from gradcheck.functions import Environment, Recurrence, trajectory
from gradcheck.modes import PARAMETER, added
from gradcheck.place import Place
from gradcheck.script import helpers
from gradcheck.script.layout import call, comment, joined, quoted, tensor
from gradcheck.script.names import Names
from gradcheck.script.steps import Steps, history
from gradcheck.script.translate import Translator
from gradcheck.script.variables import Values

MOST_ENTRIES: Final = 4_096
"""Numbers that are written out, of all inputs and constants together."""


class Page:
    """Blocks of a script about a case at a place, and what they need before them.

    One that `leaves_defaults` does not set torch's dtype and device: functions in Python may use
    them.
    """

    def __init__(self, place: Place, title: str, *, leaves_defaults: bool = False) -> None:
        self.place = place
        self.title = title
        self.leaves_defaults = leaves_defaults
        self.names = Names()
        self.values = _values(place, self.names)
        floats = (n for n in place.case.inputs if place.value(n).is_floating_point())
        like = self.values.name(next(floats)) if leaves_defaults else ""
        self.translator = Translator(place.meaning(), self.names, like)
        self.steps = Steps(self.values, self.translator)
        self.imports: list[str] = []
        """Further lines of imports."""
        self.is_wide = place.dtype == "float64"
        """Whether differences may be taken of all as it is."""
        self.widening: list[str] = []
        """What else is to be done for all to be in float64."""
        self.has_jacobian = False
        self.has_shapes = False
        """Whether some value has a shape that no difference can be taken of."""
        self._blocks: list[str] = []
        self._last: list[str] = []

    def add(self, block: str) -> None:
        """Lines that stand together."""
        self._blocks.append(block)

    def add_last(self, block: str) -> None:
        """Lines with differences, for which all is in float64."""
        (self._blocks if self.is_wide else self._last).append(block)

    def show(
        self, quantity: str, answers: Mapping[str, str], later: Mapping[str, str] | None = None
    ) -> None:
        """Prints answers, each an expression; those that come `later` want all in float64."""
        shown = dict(answers)
        if later and not self.is_wide:
            for name, text in answers.items():
                if not text.isidentifier():
                    shown[name] = self.names.fresh(name)
                    self.add(f"{shown[name]} = {text}")
        self.has_jacobian = self.has_jacobian or bool(later)
        written = [f"{name}={text}" for name, text in (shown | dict(later or {})).items()]
        self.add_last(call("show(", [quoted(quantity), *written]))

    def text(self) -> str:
        """The script.

        Raises:
            UsageError: It would show nothing, or is too large.
        """
        place, blocks = self.place, [*self._blocks, *self._widened(), *self._last]
        if not any("show(" in block or "print(" in block for block in blocks):
            raise UsageError(f"`{place.case.name}` has nothing to show: no derivative has an entry")
        scope = self.values.inner()
        computed = self.steps.lines(place.case.function.steps, set(self.values.read), scope)
        return joined(
            [
                self._head(),
                self._settings(),
                *self._helpers(),
                *self.translator.functions,
                "\n".join([*self._given(), *computed]),
                *blocks,
            ]
        )

    def _head(self) -> str:
        case, point = self.place.case, self.place.point
        where = f"{case.name} ({case.file}:{case.line}), point {point.label}, {self.place.dtype}"
        lines = [
            comment(f"{where}: {case.about}" if case.about else where),
            comment(self.title),
            "",
            "import torch",
        ]
        if self.has_jacobian:
            lines.append("from torch.autograd.functional import jacobian")
        if self.imports:
            lines += ["", *self.imports]
        return "\n".join(lines)

    def _settings(self) -> str:
        lines = ["torch.set_printoptions(precision=15)"]
        if self.leaves_defaults:
            return lines[0]
        if self.place.device.type != "cpu":
            lines.insert(0, f'torch.set_default_device("{self.place.device}")')
        return "\n".join([f"torch.set_default_dtype(torch.{self.place.dtype})", *lines])

    def _helpers(self) -> Iterator[str]:
        if "detach" in self.translator.helpers:
            yield helpers.DIFFERENCES_PAST_CONSTANTS
        elif self.has_jacobian:
            yield helpers.DIFFERENCES
        if "cholesky" in self.translator.helpers:
            yield helpers.CHOLESKY
        if any("show(" in block for block in (*self._blocks, *self._last)):
            yield helpers.SHOW_SHAPES if self.has_shapes else helpers.SHOW

    def _given(self) -> Iterator[str]:
        """Sizes, inputs, constants, and what is drawn: those that are read."""
        case, environment = self.place.case, self.values.environment
        zeros = {seed.name for seed in case.extension.seeds if not seed.is_random}
        seeds = [seed.name for seed in case.extension.seeds]
        entries = 0
        for name in (*case.sizes, *case.function.given, *seeds):
            if name not in self.values.read:
                continue
            variable, value = self.values.name(name), environment[name]
            if not isinstance(value, Tensor):
                yield f"{variable} = {value}"
                continue
            entries += 0 if name in zeros else value.numel()
            if entries > MOST_ENTRIES:
                raise UsageError(
                    f"`{case.name}` is too large for a script: there would be more than "
                    f"{MOST_ENTRIES:,} numbers in it"
                )
            if name in zeros and value.ndim:
                yield f"{variable} = torch.zeros({list(value.shape)})"
            else:
                yield tensor(value, f"{variable} = ", self._as_given(value))

    def _as_given(self, value: Tensor) -> str:
        """The further arguments of torch.tensor, where defaults do not serve."""
        if not self.leaves_defaults:
            return ""
        dtype = f", dtype={value.dtype}" if value.is_floating_point() else ""
        return dtype + (f', device="{value.device}"' if value.device.type != "cpu" else "")

    def _widened(self) -> Iterator[str]:
        """What is moved by differences, in float64."""
        if self.is_wide or not self._last:
            return
        lines = ["# Central differences, in float64.", *self.widening]
        if not self.leaves_defaults:
            lines.append("torch.set_default_dtype(torch.float64)")
        for name, value in self.values.environment.items():
            is_moved = name in self.values.moved and isinstance(value, Tensor)
            if is_moved and value.is_floating_point():
                lines.append(f"{self.values.name(name)} = {self.values.name(name)}.double()")
        yield "\n".join(lines)


def _values(place: Place, names: Names) -> Values:
    """The values of a place; what the case itself names is called so."""
    case, environment = place.case, dict(place.environment)
    spelled = {PARAMETER: "t"}
    for seed in case.extension.seeds:
        if seed.like is not None:
            spelled[seed.name] = seed.spelled or f"d{seed.like}"
    for name in case.function.values:
        spelled[added(name)] = f"added_to_{name}"
        spelled[trajectory(name)] = f"{name}_after"
        spelled[history(name)] = f"{name}_at"
    output = case.function.output
    same = {"out": output} if output in case.function.values else {}
    values = Values(environment, names, spelled, same)
    indices = [step.index for step in case.function.steps if isinstance(step, Recurrence)]
    own = (*case.sizes, *case.function.given, *case.function.values, *filter(None, indices))
    for name in own:
        values.name(name)
    _add_histories(place, environment)
    return values


def _add_histories(place: Place, environment: Environment) -> None:
    """Each recurrent state at all steps, from its start on."""
    for step in place.case.function.steps:
        for state in step.states if isinstance(step, Recurrence) else ():
            after = environment[trajectory(state.name)]
            start = place.meaning().tensor(state.start.evaluate(environment, place.meaning()))
            begin = torch.zeros_like(after[:1]) + start
            environment[history(state.name)] = torch.cat([begin, after])
