"""What rounding does to an answer, measured: the radius of every evaluation in torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.oracles.monte_carlo import MonteCarlo, Noise

SAMPLES: Final = 4
BESIDE: Final = 8
"""Samples side by side, which cost little. Near 1 three draws of eight move nothing."""
SAFETY: Final = 3.0
"""The radius is this many times the largest deviation among the samples …"""
FLOOR: Final = 4.0
"""… plus this many half units in the last place of the answer."""

Disturb = Callable[[int, Noise], Tensor]
"""So many evaluations of the same, stacked: the first undisturbed, the others under noise."""


def repeated(evaluate: Callable[[], Tensor], undisturbed: Tensor | None = None) -> Disturb:
    """Evaluations one after the other, of whatever torch code; the first may be known already.

    One that raises under noise is NaN: some operations refuse what is not quite 0 or 1.
    """

    def disturb(count: int, noise: Noise) -> Tensor:
        first = evaluate() if undisturbed is None else undisturbed
        others = []
        with MonteCarlo(noise):
            for _ in range(count - 1):
                try:
                    others.append(evaluate())
                except Exception:
                    others.append(torch.full_like(first, torch.nan))
        return torch.stack([first, *others])

    return disturb


def measure(disturb: Disturb, dtype: torch.dtype, samples: int = SAMPLES, seed: int = 0) -> Ball:
    """The ball around what an evaluation in `dtype` gives undisturbed, that rounding fills.

    The radius is SAFETY times the largest deviation in some disturbed samples, plus FLOOR half
    units in the last place of the entry, plus the dtype's smallest subnormal; infinite where a
    disturbed evaluation is not finite though the answer is. An answer that is not finite is
    itself: its radius is 0.
    """
    midpoint, spread = deviation(disturb, precision_of(dtype)[0], samples, seed)
    radius = SAFETY * spread + floor(midpoint, dtype)
    return Ball(midpoint, np.where(np.isfinite(midpoint), radius, 0.0), "estimated")


def floor(midpoint: Array, dtype: torch.dtype) -> Array:
    """The least radius of an answer: FLOOR half units of it, and the smallest subnormal."""
    unit, smallest = precision_of(dtype)
    return FLOOR * unit * np.abs(midpoint) + smallest


@functools.cache
def precision_of(dtype: torch.dtype) -> tuple[float, float]:
    """Half a unit in the last place of 1, and the smallest subnormal."""
    information = torch.finfo(dtype)
    return information.eps / 2, information.smallest_normal * information.eps


def deviation(
    disturb: Disturb, unit: float, samples: int = SAMPLES, seed: int = 0
) -> tuple[Array, Array]:
    """The undisturbed value, and the largest distance from it in some disturbed samples."""
    values = to_array(disturb(1 + samples, Noise(unit, seed)))
    with np.errstate(invalid="ignore"):
        largest: Array = np.abs(values[1:] - values[0]).max(axis=0)
    return values[0], np.where(np.isnan(largest), np.inf, largest)


def moves(disturbed: Array, known: Array) -> Array:
    """How far values that are known are moved; 0 where they are not finite: nothing is near."""
    largest = np.abs(disturbed - known)
    return np.where(np.isfinite(known), np.where(np.isnan(largest), np.inf, largest), 0.0)


def spread(first: Tensor, second: Tensor) -> tuple[float, float]:
    """How far two evaluations of the same differ, and the size of what they give."""
    if torch.equal(first, second):
        return 0.0, 0.0
    apart = (first - second).abs().nan_to_num(0, 0, 0).max()
    return float(apart), float(first.abs().nan_to_num(0, 0, 0).max())


def to_array(tensor: Tensor) -> Array:
    """The tensor as a float64 array; every dtype of a check fits into it exactly."""
    return tensor.detach().to("cpu", torch.float64).numpy()
