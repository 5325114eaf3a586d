"""One-sided derivatives, where a function has a kink or an edge of its domain.

Arrays are (levels, entries), as in `differences`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gradcheck.ball import Array
from gradcheck.oracles.differences import Differences, Samples
from gradcheck.oracles.extrapolation import Candidates, best, neville
from gradcheck.oracles.singularity import STEEP, exponents

_SLOW: Final = 4.0
"""A side of h·√h, say, is no power series: times the bound on the error of one that is."""
_SHOWN: Final = 2.0
"""Times its bound: a jump of the derivative that is larger is one."""


class Sides(NamedTuple):
    """The derivatives from below and from above, (entries,); 0 ± ∞ where there is none.

    A vertical tangent is ±∞ ± 0.
    """

    before: Candidates
    after: Candidates


def sides(samples: Samples, found: Differences) -> Sides:
    """The one-sided derivatives of all entries."""
    return Sides(
        _side(samples, found, (samples.centre - samples.backward) / samples.step),
        _side(samples, found, (samples.forward - samples.centre) / samples.step),
    )


def jump(found: Differences) -> Array:
    """How far apart the one-sided derivatives are, (entries,); 0 where that may be rounding.

    Differences to both sides alike have none of it, and noise may hide it at all but a few steps.
    """
    noise = 2 * found.noise / found.step
    limit = best(neville(found.second / found.step, noise, found.step, power=1))
    shown: Array = np.where(np.abs(limit.value) > _SHOWN * limit.bound, np.abs(limit.value), 0.0)
    return shown


def _side(samples: Samples, found: Differences, slope: Array) -> Candidates:
    """The limit of a side's slopes for a step of 0: its error is a power series in the step."""
    slope = np.where(np.isfinite(slope), slope, np.nan)
    size = np.abs(slope) * samples.step + np.abs(samples.centre)
    noise = np.fmax(samples.epsilon * size, samples.rounding)
    level = neville(slope, 2 * noise / samples.step, samples.step, power=1)
    limit = best(level._replace(bound=_SLOW * level.bound))
    rise, last = exponents(np.abs(slope) * samples.step, found._replace(noise=noise))
    vertical = (rise < STEEP).all(axis=0)
    sign = np.sign(slope[last, np.arange(len(last))])
    return Candidates(
        np.where(vertical, sign * np.inf, limit.value), np.where(vertical, 0.0, limit.bound)
    )
