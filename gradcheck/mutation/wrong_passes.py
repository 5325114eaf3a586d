"""A backward with a mistake that is not linear, as the conditions on cotangents look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.conditions.subject import NotApplicableError, Subject
from gradcheck.conditions.table import TABLE
from gradcheck.function_answers import Block
from gradcheck.mutation.changes import Change
from gradcheck.oracles import rounding
from gradcheck.oracles.autograd import Graph
from gradcheck.python_function import PythonFunction

CHEAP: Final = ("linear", "one_hot_cotangent", "zero_cotangent")
"""The conditions that such a mistake may break: a few passes each."""


def is_told_by(
    conditions: Sequence[str], function: PythonFunction, block: Block, change: Change
) -> bool:
    """Whether any of the conditions does not hold with a mistake in one of the blocks."""
    if change.is_linear:
        return False
    subject = _Wrong(function, block, change)
    return any(_is_broken(name, subject) for name in CHEAP if name in conditions)


def _is_broken(name: str, subject: Subject) -> bool:
    try:
        return any(TABLE[name](subject))
    except NotApplicableError:
        return False


class _Wrong(Subject):
    """A function whose every backward pass makes the mistake."""

    def __init__(self, at: PythonFunction, block: Block, change: Change) -> None:
        super().__init__(at, may_be_sparse=True)
        self._block, self._change = block, change

    @property
    def graph(self) -> Graph:
        return self._wrong(super().graph)

    def anew(self) -> Graph:
        return self._wrong(super().anew())

    def _wrong(self, graph: Graph) -> Graph:
        parts = graph.outputs, graph.inputs, graph.output_leaves, graph.input_leaves
        return _WrongGraph(*parts, block=self._block, change=self._change)


@dataclass(frozen=True, eq=False, kw_only=True)
class _WrongGraph(Graph):
    block: Block
    change: Change

    def gradients(
        self, cotangents: Sequence[Tensor], *, batched: bool = False
    ) -> Sequence[Tensor | None]:
        """The right ones, but for the part of one of them that comes from the block's output."""
        found = list(Graph.gradients(self, cotangents, batched=batched))
        output, input = self.block.output, self.block.input
        index = [leaf.name for leaf in self.input_leaves].index(input.name)
        pairs = zip(self.output_leaves, self.outputs, strict=True)
        tracked = [leaf.name for leaf, tensor in pairs if tensor.requires_grad]
        like = found[index]
        if like is None or output.name not in tracked:
            return found
        position = tracked.index(output.name)

        def pull(u: Array) -> Array:
            alone = [torch.zeros_like(cotangent) for cotangent in cotangents]
            alone[position] = output.tensor(torch.from_numpy(u), output.dtype)
            return rounding.to_array(input.gradient(Graph.gradients(self, alone)[index], 1)[0])

        own = rounding.to_array(output.entries(cotangents[position]))
        wrong = self.change.passed(own, pull)
        if len(tracked) > 1:
            others = rounding.to_array(input.gradient(like, 1)[0]) - pull(own)
            wrong = wrong + others
        found[index] = input.tensor(torch.from_numpy(wrong), like.dtype)
        return found
