"""A wrong derivative of a Python function → what mistake it looks like, at one point."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np

from gradcheck.ball import Array, Ball
from gradcheck.diagnosis.choosing import best
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.diagnosis.of_autograd import diagnose_autograd
from gradcheck.diagnosis.of_function import diagnoses_of
from gradcheck.diagnosis.patterns import patterns, weak_patterns
from gradcheck.function_answers import Block
from gradcheck.oracles import rounding
from gradcheck.oracles.autograd import Graph
from gradcheck.python_function import PythonFunction
from gradcheck.results import Diagnosis

FEW: Final = 3
"""With fewer entries that are not 0 most patterns fit by chance."""
_OF_FEW: Final = ("sign", "constant_factor", "missing_factor", "extra_factor")
"""Kinds that one number can show."""


def diagnose_block(
    function: PythonFunction,
    block: Block,
    truth: Ball,
    answers: Mapping[str, Ball],
    blame: Collection[str],
) -> tuple[Diagnosis, ...]:
    """What is wrong with the answers that are blamed, likeliest first; empty where nothing fits."""
    if block.input.dtype.is_complex or block.output.dtype.is_complex:
        return ()
    if "autograd" in blame:
        found = list(diagnoses_of(truth.notes))
        found += diagnose_autograd(function, lambda graph: _is_right(graph, block, truth))
        return best([*found, *_patterns(function, block, truth, answers["autograd"])])
    if "handwritten" in blame:
        return best(_patterns(function, block, truth, answers["handwritten"]))
    return ()


def _is_right(graph: Graph, block: Block, truth: Ball) -> bool:
    found = block.of(rounding.to_array(graph.jacobian()))
    return bool((truth.distance_to(found) <= _limit(truth)).all())


def _limit(truth: Ball) -> Array:
    """What is nearer to the truth is right: no mistake that is looked for is as small."""
    limit: Array = 1e-6 * truth.largest() + 2 * truth.radius
    return limit


def _patterns(function: PythonFunction, block: Block, truth: Ball, answer: Ball) -> list[Diagnosis]:
    if not (np.isfinite(truth.midpoint).all() and np.isfinite(answer.midpoint).all()):
        return []
    radius = truth.radius + answer.radius
    evidence = Evidence(
        truth.midpoint[None],
        answer.midpoint[None],
        len(block.output.entries_shape),
        dict(_values(function)),
        limits=np.where(np.isfinite(radius), 2 * radius, 0.0)[None],
    )
    found = list(patterns(evidence)) or list(weak_patterns(evidence))
    if np.count_nonzero(truth.midpoint) < FEW:
        return [one for one in found if one.kind in _OF_FEW]
    return found


def _values(function: PythonFunction) -> Iterator[tuple[str, Array]]:
    """The inputs and outputs by name, each (1, *shape)."""
    for leaves, entries in (
        (function.inputs, function.point),
        (function.outputs, function.known_value),
    ):
        at = 0
        for leaf in leaves:
            part = rounding.to_array(entries[at : at + leaf.count])
            at += leaf.count
            yield leaf.name, part.reshape(1, *leaf.entries_shape)
