"""A Python function at a point: every oracle is asked, and answers are held against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.conclusion import Fields, conclude
from gradcheck.errors import ChangedOutputError, GradcheckError, ShapeError
from gradcheck.function_answers import (
    Block,
    Forward,
    Handwritten,
    Reverse,
    as_double,
    backward_varies,
    blocks,
)
from gradcheck.function_truths import FunctionTruths
from gradcheck.jacobians import contracted
from gradcheck.large_check import Large, is_large, judge_large
from gradcheck.leaves import NAMES
from gradcheck.oracles import rounding
from gradcheck.oracles.batched import Batched
from gradcheck.products import Contracted, Product, Pullback, Pushforward
from gradcheck.python_function import PythonFunction
from gradcheck.settings import Settings, demands_of
from gradcheck.user_code import account_of
from gradcheck.verdict import Judgement, judge

_NOTHING: Final = 2.0**-40
"""Of the inputs' size: a value below it is what rounding leaves of a sum that is 0."""
_MODES: Final = {"backward": "", "forward": " (forward mode)"}
"""What is added to a quantity."""
FEW: Final = 64.0
"""Half units in the last place of the largest output, that rounding may move others by."""


class RaisedError(GradcheckError):
    """An exception of the user's own code, `cause`; `blame` is whose code that was."""

    def __init__(self, cause: Exception, blame: str, quantity: str = "") -> None:
        super().__init__(blame)
        self.cause = cause
        self.blame = blame
        self.quantity = quantity

    def fields(self) -> Fields:
        told = {"verdict": "error", "blame": self.blame, "notes": (account_of(self.cause),)}
        return {"quantity": self.quantity, **told}


def judge_function(
    function: PythonFunction, settings: Settings, derivatives: Mapping[str, Any]
) -> Iterator[Fields]:
    """One verdict for each output and input, and one for each thing that is wrong beside.

    `derivatives` are what was written by hand, by quantity.

    Raises:
        RaisedError: The user's code raised.
    """
    yield from _FunctionCheck(function, settings, derivatives).results()


class _Held(NamedTuple):
    """What answers come to, held against a truth."""

    truth: Ball
    answers: Mapping[str, Ball]
    judgement: Judgement


class _FunctionCheck:
    def __init__(
        self, function: PythonFunction, settings: Settings, derivatives: Mapping[str, Any]
    ) -> None:
        self.function = function
        self.settings = settings
        self.derivatives = derivatives
        self.demands = demands_of(function, settings)

    def results(self) -> Iterator[Fields]:
        if not self.function.outputs:
            note = "no output is a tensor of floating-point or complex numbers"
            yield {"verdict": "error", "blame": "function", "notes": (note,)}
            return
        try:
            again = self.function.value()
        except ChangedOutputError as error:
            yield _wrong("function", str(error))
            return
        except Exception as error:
            raise RaisedError(error, "function") from error
        spread, explained = self._spread(again)
        if spread > explained:
            yield _wrong("function", _not_deterministic(spread))
            return
        self.notes = tuple(map(_untracked, self.function.untracked))
        precision = self.function.precision
        if precision is not torch.float64:
            self.notes = (_narrow(NAMES[precision]), *self.notes)
        if spread:
            self.notes = (_varies(spread), *self.notes)
        for mode in ("backward", "forward"):
            if getattr(self.settings, mode):
                yield from self._in_mode(mode)

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

    def _in_mode(self, mode: str) -> Iterator[Fields]:
        outputs, inputs = self.function.outputs, self.function.inputs
        if is_large(sum(leaf.count for leaf in outputs), sum(leaf.count for leaf in inputs)):
            yield from self._in_large(mode)
            return
        try:
            torchs = Reverse(self.function) if mode == "backward" else Forward(self.function)
            problem = self._not_one_linear_map(torchs) if isinstance(torchs, Reverse) else ""
        except Exception as error:
            raise RaisedError(error, "autograd") from error
        if problem:
            yield _wrong("autograd", problem)
            return
        try:
            yield from self._judged(torchs, _MODES[mode])
        except ChangedOutputError as error:
            yield _wrong("function", str(error))

    def _not_one_linear_map(self, torchs: Reverse) -> str:
        """What is wrong with the backward, whatever the derivative is; empty where nothing is."""
        if not self.function.graph.tracked:
            return ""
        spread, size = torchs.spread()
        if spread > self._accepted(size):
            return backward_varies(spread)
        if spread:
            torchs.notes = (f"two backward passes differ by up to {spread:.2g}",)
        elif not torchs.is_linear():
            return (
                "the backward is not linear in its cotangent: a pass with random cotangents is "
                "not their product with the Jacobian"
            )
        return ""

    def _in_large(self, mode: str) -> Iterator[Fields]:
        """Along random directions."""
        function, suffix = self.function, _MODES[mode]
        product = Pullback.of(function) if mode == "backward" else Pushforward(function)
        try:
            known = function.known_real
            batched = Batched(function.real, function.point, function.precision, known)
            for block in self._blocks:
                answers: dict[str, Product] = {"autograd": product}
                if block.quantity in self.derivatives and not suffix:
                    answers = {"handwritten": self._contracted(block), **answers}
                yield {**self._large(block, batched, answers), "quantity": block.quantity + suffix}
        except RaisedError:
            raise
        except ShapeError as error:
            yield _misshapen(block.quantity, error)
        except ChangedOutputError as error:
            yield _wrong("function", str(error))
        except Exception as error:
            raise RaisedError(error, "autograd") from error

    def _accepted(self, size: float) -> float:
        """How far two backward passes may differ that give so much."""
        unit, smallest = rounding.precision_of(self.function.dtype)
        asked = self.settings.nondet_tol
        return FEW * unit * size + smallest if asked is None else asked

    def _large(self, block: Block, batched: Batched, answers: Mapping[str, Product]) -> Fields:
        settings = self.settings
        return judge_large(
            Large(
                block,
                batched,
                self.function.point,
                answers,
                self.demands,
                subgradient=settings.subgradient,
                allowance=self._allowance,
                accepted_spread=self._accepted if block is self._blocks[0] else None,
                notes=self.notes,
            )
        )

    def _contracted(self, block: Block) -> Contracted:
        """What was written by hand, a value or a function of the arguments, as a product."""
        written, function = self.derivatives[block.quantity], self.function
        output, input = tuple(block.output.shape), tuple(block.input.shape)

        if block.output.dtype.is_complex or block.input.dtype.is_complex:
            raise ShapeError("complex entries, too many to be looked at")

        def contract(cotangent: Tensor, direction: Tensor) -> Tensor:
            try:
                value = function.like(written) if callable(written) else written
            except Exception as error:
                raise RaisedError(error, "handwritten", block.quantity) from error
            if not isinstance(value, (int, float)):
                value = as_double(value)
                if value.is_complex():
                    raise ShapeError("complex numbers, but the derivative is real")
            u, d = cotangent[block.rows], direction[block.columns]
            return torch.as_tensor(contracted(value, output, input, u, d))

        return Contracted(contract, function.dtype)

    def _judged(self, torchs: Reverse | Forward, mode: str) -> Iterator[Fields]:
        written = self._written() if not mode else {}
        nonzero = rounding.to_array(torchs.found) != 0
        truths = FunctionTruths(self.function, nonzero, subgradient=self.settings.subgradient)
        for block in self._blocks:
            hand = written.get(block.quantity)
            if isinstance(hand, ShapeError):
                yield _misshapen(block.quantity, hand)
                continue
            found = self._settled(block, truths, torchs, hand)
            yield {**self._told(block, found, torchs), "quantity": block.quantity + mode}

    def _settled(
        self,
        block: Block,
        truths: FunctionTruths,
        torchs: Reverse | Forward,
        hand: Handwritten | None,
    ) -> _Held:
        """A block held against a truth, each better and dearer than the one before.

        What is right by a cheap truth is right. What is wrong by it is wrong if the best truth of
        the worst entry confirms that.
        """

        def held(truth: Ball) -> _Held:
            return self._held(block, truth, torchs, hand)

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

    @cached_property
    def _blocks(self) -> list[Block]:
        return blocks(self.function)

    def _written(self) -> dict[str, Handwritten | ShapeError]:
        found: dict[str, Handwritten | ShapeError] = {}
        for block in self._blocks:
            if block.quantity not in self.derivatives:
                continue
            try:
                value = self.derivatives[block.quantity]
                found[block.quantity] = Handwritten(block, value, self.function)
            except ShapeError as error:
                found[block.quantity] = error
            except Exception as error:
                raise RaisedError(error, "handwritten", block.quantity) from error
        return found

    def _held(
        self, block: Block, truth: Ball, torchs: Reverse | Forward, hand: Handwritten | None
    ) -> _Held:
        answers: dict[str, Ball] = {}
        if hand is not None:
            found = rounding.to_array(hand.found)
            answers["handwritten"] = self._ball(block, truth, found, lambda: hand.rounded)
        found = block.of(rounding.to_array(torchs.found))
        answers["autograd"] = self._ball(block, truth, found, lambda: block.ball(torchs.rounded))
        judgement = judge(
            truth,
            answers,
            lambda: self._scale(block),
            self.demands.resolution,
            allowance=self._allowance(truth),
        )
        return _Held(truth, answers, judgement)

    def _told(self, block: Block, held: _Held, torchs: Reverse | Forward) -> Fields:
        return conclude(
            block.quantity,
            0,
            *held,
            (),
            demands=self.demands,
            label=block.label,
            notes=(*self.notes, *torchs.notes),
        )

    def _ball(self, block: Block, truth: Ball, found: Array, rounded: Callable[[], Ball]) -> Ball:
        """An answer with its error: what the truth tells of it, where that is sharp, else rounding.

        An answer outside of the truth's ball is told of by what rounding may have done to it; where
        that is more than the resolution leaves, but explains the distance, by the distance itself.
        """
        scale = truth.largest() or self._scale(block) or 1.0  # as `judge` has it
        allowed = self.demands.resolution * scale / 2
        apart = truth.distance_to(found)
        near = Ball(found, apart + truth.radius, truth.basis)
        if not (near.radius + truth.radius <= allowed).all():
            return rounded()
        if (apart <= truth.radius + rounding.floor(found, self.function.dtype)).all():
            return near
        limit = rounded()
        is_sharp = (limit.radius + truth.radius <= allowed).all()
        is_explained = (apart <= limit.radius + truth.radius).all()
        return near if is_explained and not is_sharp else limit

    def _allowance(self, truth: Ball) -> Array | None:
        if not self.settings.atol and not self.settings.rtol:
            return None
        return self.settings.atol + self.settings.rtol * np.abs(truth.midpoint)

    def _scale(self, block: Block) -> float:
        """max|A| / max(1, max|B|); 1 where A is 0 but for rounding, which has no size."""
        values = self.function.known_value[block.rows], self.function.point[block.columns]
        output, input = (float(v.abs().max()) if len(v) else 0.0 for v in values)
        return output / max(1.0, input) if output > _NOTHING * max(1.0, input) else 1.0


def _not_deterministic(spread: float) -> str:
    return (
        "the function is not deterministic: two evaluations at one point differ by up to "
        f"{spread:.2g}; seed what is random inside of it, or leave that out"
    )


def _untracked(name: str) -> str:
    return f"{name} was not looked at: torch does not track it"


def _narrow(dtype: str) -> str:
    return f"differences are taken in {dtype}: the function does not do the same in float64"


def _varies(spread: float) -> str:
    return f"two evaluations at one point differ by up to {spread:.2g}"


def _wrong(blame: str, note: str) -> Fields:
    return {"verdict": "fail", "blame": blame, "notes": (note,)}


def _misshapen(quantity: str, error: ShapeError) -> Fields:
    note = f"what was written has {error}"
    return {"quantity": quantity, "verdict": "fail", "blame": "handwritten", "notes": (note,)}
