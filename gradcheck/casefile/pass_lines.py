"""`backward:` and `jvp:` → claims: lines read in order, each one that is a d-name judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from gradcheck.casefile import models
from gradcheck.casefile.document import Path
from gradcheck.casefile.names import IDENTIFIER, Reader, listed, near
from gradcheck.claims import Claim
from gradcheck.functions import Function, Recurrence, State, between, trajectory
from gradcheck.language.expression import Expression
from gradcheck.language.vocabulary import WORDS
from gradcheck.lines import Line, PassFormula, Statement, Sweep, repeated
from gradcheck.modes import (
    Extension,
    backward_extension,
    cotangent,
    cotangent_claim,
    jvp_extension,
    tangent,
    tangent_claim,
)

SWEEP: Final = "recurrence"
"""The line of a pass that goes through the function's recurrence."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A line as it was read: each way in which it is written, and what of it is judged.

    `name` is a name of the statements, `of` the value whose cotangent or tangent it is, empty where
    it is local; `stepwise` where it is judged at every step.
    """

    name: str
    of: str
    path: Path
    statements: tuple[Statement, ...]
    before: tuple[Statement, ...]
    expressions: tuple[Expression, ...]
    stepwise: bool = False


@dataclass(slots=True, eq=False)
class PassReader(ABC):
    """Reads the lines of one pass of a case; see its two kinds below."""

    read: Reader
    case: Path
    function: Function
    inputs: Sequence[str]
    outputs: Sequence[str]
    sizes: Sequence[str]
    constants: Collection[str]
    unsure: bool
    """Whether a formula of the function could not be read: what depends on what is unknown."""
    lines: list[Read] = field(default_factory=list)

    key: ClassVar[str]
    derivative: ClassVar[str]
    is_reverse: ClassVar[bool]

    @property
    @abstractmethod
    def given(self) -> Mapping[str, str]:
        """The d-names that are given, with the names of their values."""

    @property
    @abstractmethod
    def judged(self) -> Sequence[str]:
        """The values whose d-names are judged."""

    @property
    @abstractmethod
    def extension(self) -> Extension:
        """What the function needs beside its own values."""

    @abstractmethod
    def misnamed(self, value: str) -> str:
        """Why `d<value>` cannot be a line; empty where it can."""

    @abstractmethod
    def claim(self, line: Read, formulas: tuple[PassFormula, ...], number: int) -> Claim:
        """The claim that a line makes, `number` being where it stands."""

    def read_all(self, written: Mapping[str, Any]) -> None:
        """Reads every line; what is wrong is reported, and left out."""
        swept = [line if isinstance(line, dict) else [key] for key, line in written.items()]
        names = [name for some in swept for name in some]
        known = {**dict.fromkeys([*self.sizes, *self.function.given, *self.function.values])}
        for name in self.given if written else ():
            if name in known:
                message = f"`{name}` is a value, and a {self.derivative} too: rename the value"
                self.read.report((*self.case, self.key), message, key=True)
        known |= {"out": None, **self.given}
        statements: list[Statement] = []
        for key, line in written.items():
            path: Path = (*self.case, self.key, key)
            later = [name for name in names if name not in known]
            first: Statement | None = None
            if key == SWEEP or isinstance(line, dict):
                first = self._sweep(key, line, path, known, later)
                if first is not None:
                    self._add_sweep(first, path, tuple(statements))
            elif self._is_well_named(key, path, known):
                first = self._plain(key, line, path, known, later, tuple(statements))
            statements += [] if first is None else [first]
            known |= dict.fromkeys([key] if first is None else first.names)
        if written and not self.read.failed:
            self._check_use(statements)

    def claims(self) -> Iterator[Claim]:
        for line in self.lines:
            if not line.of:
                continue
            number = self.read.document.position(line.path, key=True)[0]
            formulas = tuple(self._formulas(line, number))
            yield self.claim(line, formulas, number)

    def quantities(self) -> dict[str, str]:
        """What the judged lines are called in a case file, with their quantities."""
        return {
            line.name: f"d{trajectory(line.of) if line.stepwise else line.of}"
            for line in self.lines
            if line.of
        }

    def _formulas(self, line: Read, number: int) -> Iterator[PassFormula]:
        name = trajectory(line.name) if line.stepwise else line.name
        for own, expression in zip(line.statements, line.expressions, strict=True):
            before = _needed(line.before, own)
            text, at = _text(own, line.name, expression), expression.line or number
            yield PassFormula(before, own, name, text, at, self.given)

    def _plain(
        self,
        name: str,
        written: Any,
        path: Path,
        known: Collection[str],
        later: Collection[str],
        before: tuple[Statement, ...],
    ) -> Line | None:
        paths = [(*path, i) for i in range(len(written))] if isinstance(written, list) else [path]
        found = [self.read.formula(here, known, later=later) for here in paths]
        expressions = tuple(e for e in found if e is not None)
        if not expressions:
            return None
        statements = tuple(Line(name, expression) for expression in expressions)
        self.lines.append(Read(name, self._of(name), path, statements, before, expressions))
        return statements[0]

    def _sweep(
        self, key: str, written: Any, path: Path, known: Collection[str], later: Collection[str]
    ) -> Sweep | None:
        recurrence = next((s for s in self.function.steps if isinstance(s, Recurrence)), None)
        problem = ""
        if key != SWEEP:
            problem = f"lines of steps belong to a line called `{SWEEP}`, not `{key}`"
        elif not isinstance(written, dict):
            problem = "here stand the lines of a step: `name: formula` or {start: …, next: …}"
        elif recurrence is None:
            problem = f"the function has no step called `{SWEEP}`"
        if problem or recurrence is None:
            self.read.report(path, problem, key=True)
            return None
        lines = list(self._swept(recurrence, written, path, known, later))
        return Sweep(recurrence, tuple(lines), self.is_reverse)

    def _swept(
        self,
        recurrence: Recurrence,
        written: Mapping[str, Any],
        path: Path,
        known: Collection[str],
        later: Collection[str],
    ) -> Iterator[Line | State]:
        """The lines of a step, those that could be read."""
        carried = [name for name, line in written.items() if isinstance(line, models.State)]
        inside = dict.fromkeys([*known, *recurrence.names, *carried])
        if recurrence.index is not None:
            inside[recurrence.index] = None
        for name, line in written.items():
            here = (*path, name)
            is_carried = name in carried
            self._is_well_named(name, here, () if is_carried else inside, swept=is_carried)
            hidden = [other for other in written if other not in inside]
            if isinstance(line, models.State):
                start = self.read.formula((*here, "start"), known, later=later)
                update = self.read.formula((*here, "next"), inside, later=hidden)
                if start is not None and update is not None:
                    yield State(name, start, update)
            else:
                expression = self.read.formula(here, inside, later=hidden)
                if expression is not None:
                    yield Line(name, expression)
                inside[name] = None

    def _add_sweep(self, sweep: Sweep, path: Path, before: tuple[Statement, ...]) -> None:
        # The states' come first: what is wrong with them is wrong with all else that is carried.
        for line in sorted(sweep.lines, key=lambda line: not self._is_state(line, sweep)):
            of = self._of(line.name) if isinstance(line, State) else ""
            here = (*path, line.name)
            stepwise = self._is_state(line, sweep)
            written = (repeated(line),)
            self.lines.append(Read(line.name, of, here, (sweep,), before, written, stepwise))

    def _is_state(self, line: Line | State, sweep: Sweep) -> bool:
        """Whether it is the cotangent or tangent of a state, which is judged at every step."""
        return isinstance(line, State) and self._of(line.name) in sweep.recurrence.names

    def _of(self, name: str) -> str:
        """The value whose cotangent or tangent a line is; empty where it is local."""
        return name[1:] if name[:1] == "d" and name[1:] in self.judged else ""

    def _is_well_named(
        self, name: str, path: Path, known: Collection[str], *, swept: bool = False
    ) -> bool:
        """Whether a line may have this name; a problem where it may not.

        What a sweep carries may be given, or an earlier line: it goes on from that.
        """
        problem = ""
        if name in WORDS:
            problem = f"`{name}` hides a word of the language: use another name"
        elif not IDENTIFIER.fullmatch(name):
            problem = f"`{name}` is no name: use letters, digits and _"
        elif name in self.function.given or name in (*self.function.values, *self.sizes, "out"):
            problem = f"`{name}` is a value of the case: a line has a new name"
        elif name in self.given and not swept:
            problem = f"`{name}` is given"
        elif name in known:
            problem = f"`{name}` is already a line"
        elif name[:1] == "d" and not self._of(name):
            problem = self.misnamed(name[1:])
        elif self._of(name) and not (self.unsure or swept or self._is_reached(name[1:])):
            problem = self.unreached(name[1:])
        if problem:
            self.read.report(path, problem, key=True)
        return not problem

    @abstractmethod
    def _is_reached(self, value: str) -> bool:
        """Whether its cotangent or tangent can be other than 0."""

    @abstractmethod
    def unreached(self, value: str) -> str:
        """That it is not."""

    def _check_use(self, statements: Sequence[Statement]) -> None:
        """A line that is neither judged nor used is a typo, or left over."""
        for line in self.lines:
            position = next(i for i, s in enumerate(statements) if s in line.statements)
            used = {name for s in statements[position + 1 :] for name in s.reads}
            own = statements[position]
            if isinstance(own, Sweep):
                others = [other for other in own.lines if other.name != line.name]
                used |= {name for other in others for name in repeated(other).names}
            if not line.of and line.name not in used:
                self._report_unused(line)
        if not any(line.of for line in self.lines):
            names = listed(f"d{name}" for name in self.judged)
            self.read.report((*self.case, self.key), f"no line is judged{names}", key=True)

    def _report_unused(self, line: Read) -> None:
        if self._of(line.name):
            carried = f"{{start: 0, next: {line.name} + …}}"
            message = f"`{line.name}` of one step is used by no other line: carry it, as {carried}"
            self.read.report(line.path, message, key=True)
            return
        close = near(line.name, [f"d{name}" for name in self.judged])
        message = f"`{line.name}` is no {self.derivative} of a value, and no later line uses it"
        self.read.report(line.path, message + close, key=True)


def _text(own: Statement, name: str, expression: Expression) -> str:
    """A line as a reader is shown it: of what is carried, both parts."""
    carried = [one for one in own.carried if one.name == name] if isinstance(own, Sweep) else []
    parts = [f"start: {one.start.text}, next: {one.next.text}" for one in carried]
    return parts[0] if parts else expression.text


def _needed(before: Sequence[Statement], own: Statement) -> tuple[Statement, ...]:
    """Those of earlier statements that a line takes something from, in order."""
    wanted = set(own.reads)
    needed = []
    for statement in reversed(before):
        if wanted & set(statement.names):
            wanted |= statement.reads
            needed.append(statement)
    return tuple(reversed(needed))


class BackwardReader(PassReader):
    """`dz` of an output z is given; lines are cotangents of inputs and steps."""

    key = "backward"
    derivative = "cotangent"
    is_reverse = True

    @property
    def given(self) -> Mapping[str, str]:
        given = {f"d{output}": cotangent(output) for output in self.outputs}
        if len(self.outputs) == 1 and self.outputs[0] == self.function.output:
            given.setdefault("dout", cotangent(self.outputs[0]))
        return given

    @property
    def judged(self) -> Sequence[str]:
        return [*self.inputs, *self.function.values]

    @property
    def extension(self) -> Extension:
        states = [line.of for line in self.lines if line.stepwise]
        return backward_extension(self.outputs, states) if self.lines else Extension()

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The inputs of which no line is the cotangent; none where there are no lines."""
        covered = {line.of for line in self.lines}
        return tuple(name for name in self.inputs if covered and name not in covered)

    def misnamed(self, value: str) -> str:
        if value in self.constants:
            return f"`{value}` is a constant, which has no cotangent: move it to `inputs`"
        if value in self.sizes:
            return f"`{value}` is a size, which has no cotangent"
        return ""

    def _is_reached(self, value: str) -> bool:
        return bool(between(self.function.named_steps, value, set(self.outputs)))

    def unreached(self, value: str) -> str:
        outputs = " and ".join(f"`{output}`" for output in self.outputs)
        return f"{outputs} does not depend on `{value}`: its cotangent is 0"

    def claim(self, line: Read, formulas: tuple[PassFormula, ...], number: int) -> Claim:
        return cotangent_claim(
            self.function, self.extension, line.of, formulas, number, stepwise=line.stepwise
        )


class JvpReader(PassReader):
    """`dx` of every input x is given; lines are tangents of steps."""

    key = "jvp"
    derivative = "tangent"
    is_reverse = False

    @property
    def given(self) -> Mapping[str, str]:
        return {f"d{name}": tangent(name) for name in self.inputs}

    @property
    def judged(self) -> Sequence[str]:
        return self.function.values

    @property
    def extension(self) -> Extension:
        return jvp_extension(self.inputs) if self.lines else Extension()

    def misnamed(self, value: str) -> str:
        if value in self.constants:
            return f"`{value}` is a constant, whose tangent is 0: move it to `inputs`"
        if value in self.sizes:
            return f"`{value}` is a size, which has no tangent"
        return ""

    def _is_reached(self, value: str) -> bool:
        return any(between(self.function.named_steps, x, {value}) for x in self.inputs)

    def unreached(self, value: str) -> str:
        return f"`{value}` does not depend on an input: its tangent is 0"

    def claim(self, line: Read, formulas: tuple[PassFormula, ...], number: int) -> Claim:
        return tangent_claim(
            self.function, self.inputs, line.of, formulas, number, stepwise=line.stepwise
        )
