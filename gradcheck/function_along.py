"""A Python function whose Jacobian is too large: judged along random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.beside import Beside
from gradcheck.conclusion import Fields
from gradcheck.demands import Demands
from gradcheck.errors import ChangedOutputError, ShapeError
from gradcheck.function_answers import Block, as_double, blocks
from gradcheck.function_problems import RaisedError, misshapen, wrong
from gradcheck.gradient_check import Gradients
from gradcheck.jacobians import contracted
from gradcheck.large_check import Large, judge_large
from gradcheck.oracles.batched import Batched
from gradcheck.products import Contracted, Product, Pullback, Pushforward
from gradcheck.python_function import PythonFunction
from gradcheck.reference import NAME, Reference
from gradcheck.settings import Settings
from gradcheck.written import Derivative, Pass, Written


@dataclass(eq=False)
class Along:
    """What is asked of a function, whose blocks are looked at along random directions."""

    function: PythonFunction
    settings: Settings
    written: Written
    reference: Reference | None
    demands: Demands
    notes: tuple[str, ...]
    accepted_spread: Callable[[float], float]
    beside: Beside | None = None

    def results(self, *, is_tracked: bool) -> Iterator[Fields]:
        """Verdicts on torch's derivatives, unless it has none, and on what was written by hand."""
        function, written = self.function, self.written
        torchs: dict[str, Product] = {}
        if is_tracked and self.settings.backward:
            torchs = {"autograd": Pullback.of(function)}
            yield from self._guarded("autograd", "", lambda: self._torchs(torchs))
        if is_tracked and self.settings.forward:
            forward = {"autograd": Pushforward(function)}
            yield from self._guarded(
                "autograd", "", lambda: self._each(forward, " (forward mode)", None)
            )
        passes: list[tuple[Pass | None, str, Callable[[PythonFunction], Product]]] = [
            (written.backward, "backward", Pullback.of),
            (written.jvp, "jvp", Pushforward),
        ]
        for one, name, make in passes:
            if one is not None:
                answers = {"handwritten": make(one.function), **torchs}
                each = partial(self._each, answers, f" ({name})", one)
                yield from self._guarded("handwritten", name, each)

    def _guarded(
        self, blame: str, quantity: str, results: Callable[[], Iterator[Fields]]
    ) -> Iterator[Fields]:
        """Results, and what is said of the user's code where it raises."""
        try:
            yield from results()
        except RaisedError:
            raise
        except ShapeError as error:
            yield misshapen(quantity, error)
        except ChangedOutputError as error:
            yield wrong("function", str(error))
        except Exception as error:
            raise RaisedError(error, blame) from error

    def _torchs(self, torchs: Mapping[str, Product]) -> Iterator[Fields]:
        for block in self._blocks:
            written = self.written.derivatives.get(block.quantity, ())
            for one in written:
                told = {"formula": one.text, "line": one.line}
                try:
                    answers = {"handwritten": self._contracted(block, one), **torchs}
                    yield {**self._on(block, answers), **told}
                except ShapeError as error:
                    yield {**misshapen(block.quantity, error), **told}
            if not written:
                yield self._on(block, torchs)

    def _each(
        self, answers: Mapping[str, Product], suffix: str, one: Pass | None
    ) -> Iterator[Fields]:
        told = {"formula": one.text, "line": one.line} if one is not None else {}
        for block in self._blocks:
            fields = self._on(block, answers)
            yield {**fields, "quantity": block.quantity + suffix, **told}

    @cached_property
    def _blocks(self) -> list[Block]:
        return blocks(self.function)

    @cached_property
    def _batched(self) -> Batched:
        """What is differentiated: the reference, or the function itself."""
        true = self.function if self.reference is None else self.reference.function
        return Batched(true.real, true.point, true.precision, true.known_real)

    def _on(self, block: Block, answers: Mapping[str, Product]) -> Fields:
        pulled = {name: one for name, one in answers.items() if isinstance(one, Pullback)}
        is_narrow = self.function.dtype is not torch.float64
        reference = self.reference
        is_sharp = reference is not None and reference.function.dtype is torch.float64
        if reference is not None and is_sharp and is_narrow and len(pulled) == len(answers):
            return self._by_gradients(block, reference, pulled)
        return judge_large(
            Large(
                block,
                self._batched,
                self.function.point,
                answers,
                self.demands,
                subgradient=self.settings.subgradient,
                waiver=self.settings.waiver,
                accepted_spread=self.accepted_spread if block is self._blocks[0] else None,
                notes=self.notes,
                source="" if self.reference is None else NAME,
                others=self._others,
            )
        )

    def _by_gradients(
        self, block: Block, reference: Reference, answers: Mapping[str, Pullback]
    ) -> Fields:
        waiver = self.settings.waiver
        return Gradients(
            block, reference, answers, self.demands, waiver, self.notes, self._others
        ).judge()

    def _others(self, ask: Callable[[Pullback], Ball]) -> dict[str, Ball]:
        """The answer of another device, to be seen beside."""
        if self.beside is None:
            return {}
        return self.beside.answers(self.function, lambda one: ask(Pullback.of(one)))

    def _contracted(self, block: Block, one: Derivative) -> Contracted:
        """What was written by hand, a value or a function of the arguments, as a product."""
        written, function = one.value, self.function
        output, input = tuple(block.output.shape), tuple(block.input.shape)

        if block.output.dtype.is_complex or block.input.dtype.is_complex:
            raise ShapeError("complex entries, too many to be looked at")

        def contract(cotangent: Tensor, direction: Tensor) -> Tensor:
            try:
                value: Any = function.like(written) if callable(written) else written
            except Exception as error:
                raise RaisedError(error, "handwritten", block.quantity) from error
            if not isinstance(value, (int, float)):
                value = as_double(value)
                if value.is_complex():
                    raise ShapeError("complex numbers, but the derivative is real")
            u, d = cotangent[block.rows], direction[block.columns]
            return torch.as_tensor(contracted(value, output, input, u, d))

        return Contracted(contract, function.dtype)
