"""A Python function at a point: every oracle is asked, and answers are held against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

import torch
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.beside import Beside
from gradcheck.conclusion import Fields, conclude
from gradcheck.diagnoses import diagnosed
from gradcheck.errors import ChangedOutputError, ShapeError
from gradcheck.function_along import Along
from gradcheck.function_answers import (
    Answer,
    Block,
    Forward,
    Handwritten,
    Reverse,
    Whole,
    backward_varies,
    ball_of,
    blocks,
)
from gradcheck.function_problems import ONE, RaisedError, misshapen, wrong
from gradcheck.function_truths import FunctionTruths
from gradcheck.function_value import judge_values
from gradcheck.large_check import is_large
from gradcheck.leaves import NAMES
from gradcheck.oracles import rounding
from gradcheck.python_function import PythonFunction
from gradcheck.reference import NAME, Reference
from gradcheck.settings import Settings, demands_of
from gradcheck.verdict import Judgement, judge
from gradcheck.written import Derivative, Pass, Written

_NOTHING: Final = 2.0**-40
"""Of the inputs' size: a value below it is what rounding leaves of a sum that is 0."""
FEW: Final = 64.0
"""Half units in the last place of the largest output, that rounding may move others by."""
_WIDE: Final = "in float64, where the function does the same"
_ONCE: Final = "one backward pass works: what it saves must last for more over the same graph"
_FORWARD: Final = " (forward mode)"
"""What is added to a quantity."""


def judge_function(
    function: PythonFunction,
    settings: Settings,
    written: Written | None = None,
    reference: Reference | None = None,
    beside: Beside | None = None,
) -> Iterator[Fields]:
    """One verdict for each output and input, and one for each thing that is wrong beside.

    The truth is the `reference`'s, which the values are held against too, or the function's own
    numeric derivative. `beside` is the function on another device, whose answers are shown.

    Raises:
        RaisedError: The user's code raised.
    """
    yield from FunctionCheck(function, settings, written, reference, beside).results()


T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A block that is judged: who answers for it, and what was written of it by hand, if that is.

    `suffix` is added to the block's quantity.
    """

    block: Block
    answers: Mapping[str, Answer]
    suffix: str = ""
    written: Derivative | Pass | None = None

    @property
    def quantity(self) -> str:
        return self.block.quantity + self.suffix


class _Held(NamedTuple):
    """What answers come to, held against a truth."""

    truth: Ball
    answers: Mapping[str, Ball]
    judgement: Judgement


class _Problem(NamedTuple):
    """A condition that the derivative cannot be told without, and what is wrong with it."""

    quantity: str
    note: str


Making = Callable[[PythonFunction], tuple[Whole, _Problem | None]]
"""Asks for the Jacobian of a function, and looks whether its passes are one linear map."""


class FunctionCheck:
    """See `judge_function`; what answers are held against is computed once."""

    def __init__(
        self,
        function: PythonFunction,
        settings: Settings,
        written: Written | None = None,
        reference: Reference | None = None,
        beside: Beside | None = None,
    ) -> None:
        self.function = function
        self.settings = settings
        self.written = written or Written()
        self.reference = reference
        self.beside = beside
        self.demands = demands_of(function, settings)
        self.notes: tuple[str, ...] = ()
        self.looks: list[Look] = []
        """The blocks that have been judged."""
        self.is_another = False
        """Whether the function is known to be another than the reference."""
        self._first: Whole | None = None
        """The first answer, which tells where entries are 0."""

    @property
    def is_large(self) -> bool:
        """Whether blocks are looked at along random directions, and not judged by `judge`."""
        ends = self.function.outputs, self.function.inputs
        return is_large(*(sum(leaf.count for leaf in leaves) for leaves in ends))

    def results(self) -> Iterator[Fields]:
        """All verdicts, each as soon as it is known."""
        if not self.function.outputs:
            note = "no output is a tensor of floating-point or complex numbers"
            yield {"verdict": "error", "blame": "function", "notes": (note,)}
            return
        try:
            again = self.function.value()
        except ChangedOutputError as error:
            yield wrong("function", str(error))
            return
        except Exception as error:
            raise RaisedError(error, "function") from error
        spread, explained = self._spread(again)
        if spread > explained:
            note = _not_deterministic(spread)
            yield wrong("function", note, ONE + "deterministic", "random")
            return
        self.notes = tuple(self._noted(spread))
        if self.reference is not None:
            for fields in judge_values(self.function, self.reference, self.settings):
                self.is_another |= fields["verdict"] == "fail"
                yield fields
        try:
            for one in self._derivatives():
                if isinstance(one, Look):
                    self.looks.append(one)
                yield self._diagnosed(one) if isinstance(one, Look) else one
        except ChangedOutputError as error:
            yield wrong("function", str(error))

    def _noted(self, spread: float) -> Iterator[str]:
        """What is said with every verdict."""
        if spread:
            yield f"two evaluations at one point differ by up to {spread:.2g}"
        precision = self.function.precision
        if precision is not torch.float64 and self.reference is None:
            own = NAMES[precision]
            yield (
                f"differences are taken in {own}: the function does not do the same in float64; a "
                "`reference` would tell its derivative"
            )
        for name in self.function.untracked:
            yield f"{name} was not looked at: torch does not track it"

    def _spread(self, again: Tensor) -> tuple[float, float]:
        """How far two evaluations at the point differ, and how far rounding may take them."""
        first = self.function.known_value
        if torch.equal(first, again):
            return 0.0, 0.0
        same = (first == again) | (first.isnan() & again.isnan())
        if bool(same.all()):
            return 0.0, 0.0
        apart = float((first - again).abs().nan_to_num(torch.inf)[~same].max())
        size = float(first.abs().nan_to_num(0, 0, 0).max())
        unit, smallest = rounding.precision_of(self.function.dtype)
        tolerance = self.settings.nondet_tol or 0.0
        return apart, max(FEW * unit * size + smallest, tolerance)

    def _derivatives(self) -> Iterator[Look | Fields]:
        """torch's, each with what was written of it by hand, then passes that were.

        What is wrong beside is told in their place.
        """
        backward, jvp = self.written.backward, self.written.jvp
        by_hand = [
            (one, suffix, make)
            for one, suffix, make in (
                (backward, " (backward)", self._reverse),
                (jvp, " (jvp)", self._forward),
            )
            if one is not None
        ]
        is_tracked = bool(self.function.graph.tracked) or not by_hand
        if self.is_large:
            yield from self._along.results(is_tracked=is_tracked)
            return
        torchs: Reverse | None = None
        if is_tracked and self.settings.backward:
            torchs, problem = self._asked(lambda: self._reverse(self.function), "autograd")
            if problem is not None:
                yield wrong("autograd", problem.note, problem.quantity)
            else:
                yield from self._torchs("", torchs)
        if is_tracked and self.settings.forward:
            forward, problem = self._asked(lambda: self._forward(self.function), "autograd")
            if problem is not None:
                yield wrong("autograd", problem.note, problem.quantity + _FORWARD)
            else:
                yield from self._torchs(_FORWARD, forward)
        for one, suffix, make in by_hand:
            yield from self._by_hand(one, suffix, make, torchs)

    @property
    def _along(self) -> Along:
        return Along(
            self.function,
            self.settings,
            self.written,
            self.reference if all(map(self._reference_of, self._blocks)) else None,
            self.demands,
            self.notes,
            self._accepted,
            self.beside,
        )

    def _asked(self, answer: Callable[[], T], blame: str, quantity: str = "") -> T:
        try:
            return answer()
        except ShapeError:
            raise
        except Exception as error:
            raise RaisedError(error, blame, quantity) from error

    def _by_hand(
        self, one: Pass, suffix: str, make: Making, torchs: Whole | None
    ) -> Iterator[Look | Fields]:
        """A pass that was written by hand, as that of a function that has it."""
        told, name = {"formula": one.text, "line": one.line}, suffix.strip(" ()")
        try:
            answer, problem = self._asked(lambda: make(one.function), "handwritten", name)
        except ShapeError as error:
            yield {**misshapen(name, error), **told}
            return
        if problem is not None:
            yield {**wrong("handwritten", problem.note, problem.quantity + suffix), **told}
            return
        self._first = self._first or answer
        for block in self._blocks:
            answers = {"handwritten": answer, **({"autograd": torchs} if torchs else {})}
            yield Look(block, answers, suffix, one)

    def _reverse(self, function: PythonFunction) -> tuple[Reverse, _Problem | None]:
        try:
            reverse = Reverse(function)
            return reverse, self._not_one_linear_map(function, reverse)
        except ShapeError:
            raise
        except Exception as error:
            if _works_once(function):
                error.add_note(_ONCE)
            raise

    def _forward(self, function: PythonFunction) -> tuple[Forward, _Problem | None]:
        forward = Forward(function)
        problem = forward.nonlinearity(self.demands.resolution)
        return forward, _Problem(ONE + "linear", problem) if problem else None

    def _not_one_linear_map(self, function: PythonFunction, reverse: Reverse) -> _Problem | None:
        """What is wrong with the backward, whatever the derivative is."""
        if not function.graph.tracked:
            return None
        spread, size = reverse.spread()
        if spread > self._accepted(size):
            return _Problem(ONE + "deterministic", backward_varies(spread))
        if spread:
            reverse.notes = (f"two backward passes differ by up to {spread:.2g}",)
        elif problem := reverse.nonlinearity(self.demands.resolution):
            return _Problem(ONE + "linear", problem)
        return None

    def _accepted(self, size: float) -> float:
        """How far two backward passes may differ that give so much."""
        unit, smallest = rounding.precision_of(self.function.dtype)
        asked = self.settings.nondet_tol
        return FEW * unit * size + smallest if asked is None else asked

    def _torchs(self, suffix: str, torchs: Whole) -> Iterator[Look | Fields]:
        """torch's derivatives, and what was written by hand of each."""
        self._first = self._first or torchs
        for block in self._blocks:
            written = self.written.derivatives.get(block.quantity, ()) if not suffix else ()
            for one in written:
                yield self.look_at(block, one, torchs)
            if not written:
                yield Look(block, {"autograd": torchs}, suffix)

    def look_at(self, block: Block, one: Derivative, torchs: Answer) -> Look | Fields:
        """A derivative that was written by hand, beside torch's; what is wrong with its shape.

        Raises:
            RaisedError: The user's code raised.
        """
        try:
            hand = Handwritten(block, one.value, self.function)
        except ShapeError as error:
            return {**misshapen(block.quantity, error), "formula": one.text, "line": one.line}
        except Exception as error:
            raise RaisedError(error, "handwritten", block.quantity) from error
        return Look(block, {"handwritten": hand, "autograd": torchs}, written=one)

    def _reference_of(self, block: Block) -> Reference | None:
        """The reference, where it is a function of the block's input."""
        reference = self.reference
        return reference if reference is not None and reference.knows(block) else None

    @cached_property
    def _blocks(self) -> list[Block]:
        return blocks(self.function)

    @cached_property
    def _own_truths(self) -> FunctionTruths:
        """Those of the function itself, whatever it has to equal."""
        assert self._first is not None
        nonzero = rounding.to_array(self._first.found) != 0
        return FunctionTruths(self.function, nonzero, subgradient=self.settings.subgradient)

    def judge(self, look: Look) -> Fields:
        """The verdict on the answers for a block, whoever gave them."""
        return self._concluded(look, *self._decided(look))

    def _diagnosed(self, look: Look) -> Fields:
        """The same, with what mistake a wrong one looks like."""
        found, notes = self._decided(look)
        fields = self._concluded(look, found, notes)
        if fields["verdict"] != "fail" or "diagnosis" in fields:
            return fields
        from gradcheck.diagnosis.of_block import diagnose_block

        blame = fields["blame"].split(",")
        of = self.function, look.block, found.truth, found.answers, blame
        return diagnosed(fields, lambda: diagnose_block(*of))

    def _decided(self, look: Look) -> tuple[_Held, tuple[str, ...]]:
        """The answers held against the truth that decides, and what is to be said of that."""
        found = self._settled(look.block, look.answers)
        notes = tuple(note for answer in look.answers.values() for note in answer.notes)
        if found.judgement.verdict == "inconclusive":
            wide = self._in_float64(look.block, found.truth, look.answers)
            if wide is not None and wide.judgement.verdict == "fail":
                return wide, (_WIDE, *notes)
        return found, notes

    def _concluded(self, look: Look, found: _Held, notes: tuple[str, ...]) -> Fields:
        block, written = look.block, look.written
        fields = conclude(
            look.quantity,
            0 if written is None else written.line,
            *found,
            (),
            demands=self.demands,
            label=block.label,
            formula="" if written is None else written.text,
            notes=(*self.notes, *notes),
            others=self._others(block) if found.judgement.verdict != "pass" else {},
            source=NAME if self._reference_of(block) is not None else "",
        )
        if self.is_another and fields["verdict"] == "fail":
            return self._excused(block, look.answers, fields)
        return fields

    def _in_float64(self, block: Block, truth: Ball, answers: Mapping[str, Answer]) -> _Held | None:
        """Where the answers' functions do the same in float64: what is wrong there is wrong.

        In a narrow dtype much may hide in what rounding does.
        """
        wide = {
            name: one for name, answer in answers.items() if (one := answer.widened) is not None
        }
        if not wide:
            return None
        balls = {name: answer.rounded_of(block) for name, answer in wide.items()}
        return _Held(truth, balls, self._judgement(block, truth, balls))

    def _others(self, block: Block) -> dict[str, Ball]:
        """The answer of another device, to be seen beside."""
        if self.beside is None:
            return {}
        return self.beside.answers(self.function, lambda one: Reverse(one).rounded_of(block))

    def _excused(self, block: Block, answers: Mapping[str, Answer], fields: Fields) -> Fields:
        """Of a function that is another than the reference: right answers are not to blame."""
        own = self._held(block, self._own_truths.of(block, "full"), answers).judgement
        wrong = [name for name in fields["blame"].split(",") if name in own.blame]
        if own.verdict == "inconclusive" or wrong:
            return fields
        note = "it is the derivative of what the function computes, which is not the reference"
        return {**fields, "blame": "function", "notes": (note, *fields["notes"])}

    def _settled(self, block: Block, answers: Mapping[str, Answer]) -> _Held:
        """A block held against a truth, each better and dearer than the one before.

        What is right by a cheap truth is right. What is wrong by it is wrong if the best truth of
        the worst entry confirms that.
        """
        truths = self._own_truths if (known := self._reference_of(block)) is None else known

        def held(truth: Ball) -> _Held:
            return self._held(block, truth, answers)

        few = truths.compressed(block)
        if few is not None and (found := held(few)).judgement.verdict == "pass":
            return found
        found = held(truths.of(block, "quick"))
        worst = found.judgement.worst_entry
        if found.judgement.verdict == "fail" and worst:
            confirmed = held(truths.of(block, "full", block.column(worst)))
            if confirmed.judgement.verdict == "fail" and confirmed.judgement.worst_entry == worst:
                return confirmed
        if found.judgement.verdict != "pass":
            found = held(truths.of(block, "full"))
        return found

    def _held(self, block: Block, truth: Ball, answers: Mapping[str, Answer]) -> _Held:
        balls = {name: self._ball(block, truth, answer) for name, answer in answers.items()}
        return _Held(truth, balls, self._judgement(block, truth, balls))

    def _judgement(self, block: Block, truth: Ball, balls: Mapping[str, Ball]) -> Judgement:
        resolution, waiver = self.demands.resolution, self.settings.waiver
        return judge(truth, balls, lambda: self._scale(block), resolution, waiver=waiver)

    def _ball(self, block: Block, truth: Ball, answer: Answer) -> Ball:
        scale = truth.largest() or self._scale(block) or 1.0  # as `judge` has it
        return ball_of(
            answer.of(block),
            truth,
            lambda: self._rounded(block, answer),
            allowed=self.demands.resolution * scale / 2,
            dtype=self.function.dtype,
        )

    def _rounded(self, block: Block, answer: Answer) -> Ball:
        """An answer with what rounding may have done to it, as it is measured.

        Inside of a kernel nothing is: there it is what rounding does to the reference, if that is
        more.
        """
        ball = answer.rounded_of(block)
        reference = self._reference_of(block)
        if reference is None:
            return ball
        radius: Array = reference.rounding_of(block)
        return Ball(ball.midpoint, radius.clip(min=ball.radius), "estimated")

    def _scale(self, block: Block) -> float:
        """max|A| / max(1, max|B|); 1 where A is 0 but for rounding, which has no size."""
        values = self.function.known_value[block.rows], self.function.point[block.columns]
        output, input = (float(v.abs().max()) if len(v) else 0.0 for v in values)
        return output / max(1.0, input) if output > _NOTHING * max(1.0, input) else 1.0


def _works_once(function: PythonFunction) -> bool:
    """Whether one backward pass over a new graph raises nothing."""
    try:
        graph = function.tracked()
        graph.gradients([torch.ones_like(output) for output in graph.tracked])
    except Exception:
        return False
    return True


def _not_deterministic(spread: float) -> str:
    return (
        "the function is not deterministic: two evaluations at one point differ by up to "
        f"{spread:.2g}; seed what is random inside of it (`rng: fixed` does), or leave that out"
    )
