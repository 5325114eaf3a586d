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
"""So many evaluations of the same, stacked along a new first dimension, disturbed by noise."""


def repeated(evaluate: Callable[[], Tensor]) -> Disturb:
    """Evaluations one after the other, of whatever torch code."""

    def disturb(count: int, noise: Noise) -> Tensor:
        with MonteCarlo(noise):
            return torch.stack([evaluate() for _ in range(count)])

    return disturb


def measure(disturb: Disturb, answer: Tensor, seed: int = 0) -> Ball:
    """The ball around `answer`, what an evaluation gives undisturbed, that rounding fills.

    The radius is SAFETY times the largest deviation in SAMPLES disturbed evaluations, plus FLOOR
    half units in the last place of the entry, plus the dtype's smallest subnormal; infinite where
    a disturbed evaluation is not finite though the answer is. An answer that is not finite is
    itself: its radius is 0.
    """
    midpoint = to_array(answer)
    unit, _ = _precision(answer.dtype)
    return _filled(midpoint, deviation(disturb, midpoint, unit, seed), answer.dtype)


def measure_beside(disturb: Disturb, dtype: torch.dtype, seed: int = 0) -> Ball:
    """The same for evaluations that come side by side, of which the first is undisturbed."""
    unit, _ = _precision(dtype)
    midpoint, spread = deviation_beside(disturb, unit, seed)
    return _filled(midpoint, spread, dtype)


def _filled(midpoint: Array, spread: Array, dtype: torch.dtype) -> Ball:
    unit, smallest = _precision(dtype)
    radius = SAFETY * spread + FLOOR * unit * np.abs(midpoint) + smallest
    return Ball(midpoint, np.where(np.isfinite(midpoint), radius, 0.0), "estimated")


@functools.cache
def _precision(dtype: torch.dtype) -> tuple[float, float]:
    """Half a unit in the last place of 1, and the smallest subnormal."""
    information = torch.finfo(dtype)
    return information.eps / 2, information.smallest_normal * information.eps


def deviation(
    disturb: Disturb,
    midpoint: Array,
    unit: float,
    seed: int = 0,
    samples: int = SAMPLES,
) -> Array:
    """The largest distance from `midpoint`, entry by entry, in some disturbed evaluations."""
    return _farthest(to_array(disturb(samples, Noise(unit, seed))), midpoint)


def deviation_beside(
    disturb: Disturb, unit: float, seed: int = 0, samples: int = BESIDE
) -> tuple[Array, Array]:
    """The undisturbed value, and the largest distance from it in some disturbed ones beside it."""
    values = to_array(disturb(1 + samples, Noise(unit, seed)))
    return values[0], _farthest(values[1:], values[0])


def _farthest(values: Array, midpoint: Array) -> Array:
    with np.errstate(invalid="ignore"):
        largest: Array = np.abs(values - midpoint).max(axis=0)
    return np.where(np.isnan(largest), np.inf, largest)


def to_array(tensor: Tensor) -> Array:
    """The tensor as a float64 array; every dtype of a check fits into it exactly."""
    return tensor.detach().to("cpu", torch.float64).numpy()
