"""A sparse Jacobian by few differences: inputs that act on different outputs move together.

Where no output depends on two inputs of a group, what moves it is known (Curtis, Powell and Reid,
On the estimation of sparse Jacobian matrices, 1974). Which entries are not zero is what somebody
else says, and is not taken on trust: each input of a group moves by a random amount of its own, an
output that should stand still must, and the slope along one more random direction, in which all
inputs move, must be what the entries make it. An entry that is wrongly taken for zero shows in at
least one of these, unless errors in one row cancel in all of them.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.oracles import brief
from gradcheck.oracles.batched import Function
from gradcheck.oracles.differences import EPSILON, Flags, binade
from gradcheck.oracles.numeric import Search

Colors = NDArray[np.intp]

_LEAST_GAIN: Final = 8
"""Times fewer directions than inputs, at least, or each input is moved alone."""
_SMALL: Final = 2.0**-4
"""The least scale: an error is that of a whole group, as a part of what its input contributes."""
_SEED: Final = 20_261_126


def jacobian(
    function: Function, point: Tensor, nonzero: Flags, value: Tensor | None = None
) -> Ball | None:
    """The Jacobian (m, n) of a float64 function of (n,), with a radius as `numeric.jacobian` has.

    `nonzero` (m, n) says which entries may be other than 0, `value` (m,) the function's value at
    the point, where it is known. The radius is infinite where a quick search does not tell. None
    where moving inputs together would not save much, and where other entries turn out not to be 0.
    """
    colors = coloring(nonzero)
    groups = int(colors.max(initial=-1)) + 1
    if _LEAST_GAIN * (groups + 1) > len(colors):
        return None
    x = point.numpy(force=True)
    unit, along = _scale(x) * _factors(len(x)), brief.direction(x)
    directions = np.zeros((groups + 1, len(x)))
    directions[colors, np.arange(len(x))], directions[-1] = unit, along
    moves = torch.from_numpy(directions).to(point.device)

    def moved(t: Tensor) -> Tensor:
        return function(point + (t - 1.0) @ moves)

    one = torch.ones(groups + 1, dtype=torch.float64, device=point.device)
    search = Search(moved, one, value=value)
    found = search.findings("quick")
    slope, radius = (part.reshape(groups + 1, -1) for part in (found.midpoint, found.radius))
    with np.errstate(all="ignore"):
        entries = np.where(nonzero, slope[colors].T / unit, 0.0)
        radii = radius[colors].T / np.abs(unit)
        whole = np.where(nonzero, radii, 0.0) @ np.abs(along) + radius[-1]
        apart = np.abs(entries @ along - slope[-1])
        is_along = apart <= 2 * whole + 4 * EPSILON * np.abs(slope[-1])
    taken = np.zeros((groups, len(nonzero)), dtype=np.bool_)
    np.logical_or.at(taken, colors, nonzero.T)
    is_still = taken | (np.abs(slope[:-1]) <= radius[:-1])
    return Ball(entries, radii, "estimated") if is_along.all() and is_still.all() else None


def coloring(nonzero: Flags) -> Colors:
    """A number for each column (n,), from 0 on: columns of one number have no row in common.

    The first that is free for a column, column by column (Coleman and Moré, Estimation of sparse
    Jacobian matrices and graph coloring problems, 1983).
    """
    if len(nonzero) == 0 or nonzero.sum(axis=1).max() <= 1:
        return np.zeros(nonzero.shape[1], dtype=np.intp)
    rows = [int.from_bytes(column.tobytes()) for column in np.packbits(nonzero.T, axis=1)]
    taken: list[int] = []
    colors = []
    for mine in rows:
        color = next((c for c, others in enumerate(taken) if not mine & others), len(taken))
        if color == len(taken):
            taken.append(0)
        taken[color] |= mine
        colors.append(color)
    return np.array(colors, dtype=np.intp)


def _scale(x: Array) -> Array:
    """How far each input goes for a step of 1: its binade, unless it is small beside others'."""
    is_scale = (np.abs(x) >= brief.SMALLEST_INPUT) & (np.abs(x) < 2.0**1000)
    own = np.where(is_scale, np.ldexp(1.0, np.minimum(binade(x), 1000)), 1.0)
    scale: Array = np.maximum(own, _SMALL)
    return scale


@functools.lru_cache(maxsize=64)
def _factors(count: int) -> Array:
    factors: Array = np.random.RandomState(_SEED).uniform(0.5, 1.0, count)
    return factors
