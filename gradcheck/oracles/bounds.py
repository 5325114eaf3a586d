"""What rounding may do to an answer, bounded by ball arithmetic with as many bits as the dtype has.

The truth and what torch computes both lie in such a ball, if every operation of torch is as good as
one in balls: so they are at most twice its radius apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from flint import arb

from gradcheck.ball import Array, Ball
from gradcheck.claims import Written
from gradcheck.errors import EvaluationError
from gradcheck.functions import Segment
from gradcheck.jacobians import Shape
from gradcheck.rigorous.elements import NAN, ONE, ZERO, Elements, as_array
from gradcheck.rigorous.numbers import OverBudgetError, precision
from gradcheck.rigorous.rounded import Format, Rounded
from gradcheck.rigorous.sweep import Recording

SWEEPS: Final = 2**15
"""Entries of intermediates, times entries of the output, that a Jacobian's sweeps may visit."""
MEASURED: Final = 2**17
"""And that a measurement of them may: it takes several sweeps in torch."""


class Bound(NamedTuple):
    """How far from the truth rounding may move each entry, and a value near which it then is.

    Infinite where ball arithmetic cannot tell. `left_range`: an intermediate was too large for the
    dtype, or too small, which explains a result that is not finite. `is_unseen`: a measurement
    would not see all of it.
    """

    midpoint: Array
    radius: Array
    left_range: bool
    is_unseen: bool = False

    def excludes(self, truth: Ball) -> bool:
        """Whether the truth cannot be what was rounded."""
        return bool((truth.distance_to(self.midpoint) > self.radius + truth.radius).any())


@functools.cache
def format_of(dtype: torch.dtype) -> Format:
    """The dtype's floating-point format."""
    information = torch.finfo(dtype)
    bits = 1 - int(np.log2(information.eps))
    return Format(bits, arb(information.max), arb(information.smallest_normal))


EXTENDED: Final = Format(2048, arb(2) ** 2**20, arb(2) ** -(2**20))
"""Nearly no rounding and no limits: what is not finite even so is no fault of a dtype."""


def of_formula(written: Written, segment: Segment, output: Shape, format: Format) -> Bound | None:
    """For the formula's evaluation in this format; None where that takes too long.

    `segment` holds its values as `rigorous.numbers.exactly` makes them.
    """
    value = segment.held[segment.start]

    def evaluate(meaning: Rounded) -> Elements:
        environment = segment.run(value, meaning)
        input = as_array(value).shape
        return as_array(meaning.counted(written.jacobian(environment, output, input, meaning)))

    return _bounded(evaluate, format, output + as_array(value).shape)


def of_gradient(segment: Segment, output: Shape, format: Format) -> Bound | None:
    """For the Jacobian that autograd finds, of shape output + input; None: it takes too long."""
    value = segment.held[segment.start]
    shape = output + as_array(value).shape

    def evaluate(meaning: Rounded) -> Elements:
        recording = Recording(meaning, value)
        end = recording.counted(segment.value(value, recording))
        whole = as_array(end)
        if recording.entries * whole.size > MEASURED:
            meaning.overflowed = True  # nobody looks, neither here nor by measuring
            return np.full(shape, NAN)
        if recording.entries * whole.size > SWEEPS:
            raise OverBudgetError
        rows = [as_array(recording.pull(end, one)) for one in _cotangents(whole)]
        meaning.overflowed |= recording.overflowed
        meaning.underflowed |= recording.underflowed
        meaning.is_unseen |= recording.is_unseen
        return np.stack(rows).reshape(shape) if rows else np.empty(shape, dtype=object)

    return _bounded(evaluate, format, shape)


def _cotangents(output: Elements) -> list[Any]:
    """The cotangent that selects each entry of the output."""
    if output.ndim == 0:
        return [ONE]
    each = []
    for at in np.ndindex(output.shape):
        cotangent = np.full(output.shape, ZERO)
        cotangent[at] = ONE
        each.append(cotangent)
    return each


def _bounded(evaluate: Callable[[Rounded], Elements], format: Format, shape: Shape) -> Bound | None:
    meaning = Rounded(format)
    try:
        with precision(format.bits):
            entries = evaluate(meaning)
    except OverBudgetError:
        return None
    except EvaluationError as error:
        if isinstance(error.__cause__, OverBudgetError):
            return None
        unknown = np.full(shape, np.inf)
        return Bound(unknown, unknown, meaning.overflowed or meaning.underflowed)
    smallest = float(format.smallest)
    radius = [2 * float(e.rad()) + smallest if e.is_finite() else np.inf for e in entries.flat]
    if meaning.overflowed:
        radius = [np.inf] * len(radius)
    midpoint = np.array([float(e.mid()) for e in entries.flat])
    return Bound(
        midpoint.reshape(shape),
        np.array(radius).reshape(shape),
        meaning.overflowed or meaning.underflowed,
        meaning.is_unseen,
    )
