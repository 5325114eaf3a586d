"""Derivatives along a direction, u · J d, of functions whose Jacobian is too large to look at.

A random u and d of random signs see an error in any one entry of J. What is evaluated are values
of the function, however many entries J has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.oracles import brief
from gradcheck.oracles.batched import Batched
from gradcheck.oracles.differences import SMALLEST
from gradcheck.oracles.numeric import Curve, slopes
from gradcheck.oracles.rounding import repeated

SPACING: Final = 2.0**-13
"""Of the finest steps, equally spaced for the noise that their differences show."""
_WIDE: Final = (1 / 16, 7 / 256, 3 / 256, 5 / 1024, 1 / 512)
_NOT_AS_WIDE: Final = (15 / 2048, 17 / 8192)
"""Where every evaluation counts, since none is shared with others."""
_FINE: Final = 3
_FEW: Final = 16
"""Outputs, fewer of which show too little of the noise."""
_SAFETY: Final = 4.0
"""A value's error is at most so many of its standard deviations, which are estimated."""
_BLURRED: Final = 8.0
LEAST: Final = 0.5
"""The least size of a random entry; the largest is 1.5."""


def random_entries(count: int, seed: int, device: torch.device) -> Tensor:
    """Numbers of random sign and a size of 0.5 to 1.5, (count,)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.empty(count, dtype=torch.float64).uniform_(-1, 1, generator=generator)
    return drawn.add_(drawn.sign(), alpha=LEAST).to(device)


class Line(NamedTuple):
    """A function on the line `point + h·direction`, seen by some cotangents (k, m)."""

    function: Batched
    point: Tensor
    value: Tensor
    direction: Tensor
    cotangents: Tensor

    def changes(self, steps: Sequence[float], sums: Sequence[Sum] = ()) -> Array:
        """u · (f(x + h d) − f(x)) for each step and cotangent, (steps, k).

        On the way they are added up for each output, with the weights of `sums`.
        """
        found, difference, origin = [], torch.empty_like(self.value), self.value
        if len(steps) < self.function.chunk:
            # In one batch with the others, as a batch may round in another way than one alone.
            origin, *rest = self.values([0.0, *steps])
            values: Iterable[Tensor] = rest
        else:
            values = self.values(steps)
        for step, value in zip(steps, values, strict=True):
            torch.sub(value, origin, out=difference)
            found.append(self.cotangents @ difference)
            for one in sums:
                one.add(step, difference)
        return torch.stack(found).cpu().numpy()

    def values(self, steps: Sequence[float]) -> Iterator[Tensor]:
        """f(x + h d) for each step, (m,)."""
        size = min(self.function.chunk, len(steps))
        points = self.point.new_empty((size, len(self.point)))
        for start in range(0, len(steps), size):
            part = steps[start : start + size]
            for row, step in zip(points, part, strict=False):
                torch.add(self.point, self.direction, alpha=step, out=row)
            yield from self.function.values(points[: len(part)]).to(torch.float64)


class Sum:
    """Values at equally spaced points, from `first` on, in their difference of an order.

    It is scaled to the standard deviation of a value's noise (see `brief.probe`). One of points to
    both sides alike is blind to noise that is odd, as where a function rounds −x as it does x.
    """

    def __init__(self, first: int, order: int, like: Tensor) -> None:
        scale = math.sqrt(math.comb(2 * order, order))
        self._weights = {
            SPACING * (first + k): (-1) ** k * math.comb(order, k) / scale for k in range(order + 1)
        }
        self.total = torch.zeros_like(like)

    def add(self, step: float, change: Tensor) -> None:
        if step in self._weights:
            self.total.add_(change, alpha=self._weights[step])


def slopes_along(line: Line, *, enough: float, subgradient: bool = False) -> list[Ball]:
    """u · J d for each cotangent, as numbers.

    Where a few steps to either side leave a radius above `enough`, and above 2⁻³⁰ of the
    value, a whole ladder of steps is climbed.
    """
    fine = _FINE if len(line.value) < _FEW else 2
    wide = _WIDE if line.function.chunk > 1 else _NOT_AS_WIDE
    steps = (*wide, *(SPACING * k for k in range(fine, 0, -1)))
    both = [*steps, *(-h for h in steps)]
    beyond = [] if fine == _FINE else [_FINE * SPACING]
    with torch.no_grad(), np.errstate(all="ignore"):
        sums = [Sum(-2, 5, line.value), *([Sum(-3, 6, line.value)] if fine == _FINE else [])]
        changes = line.changes([*both, *beyond], sums)[: len(both)]
        deviation = torch.stack([one.total.abs() for one in sums]).amax(dim=0)
        noise = _SAFETY * torch.hypot(
            torch.linalg.vector_norm(line.cotangents * deviation, dim=1),
            line.function.epsilon * torch.linalg.vector_norm(line.cotangents * line.value, dim=1),
        )
        step = np.repeat(np.array(steps)[:, None], len(line.cotangents), axis=1)
        forward, backward = changes.reshape(2, len(steps), -1)
        seen = brief.Looked(
            step,
            2 * step,
            forward,
            backward,
            np.zeros(changes.shape[1]),
            np.maximum(noise.cpu().numpy(), SMALLEST),
        )
        found = brief.look(seen, line.function.epsilon)
        balls = []
        for index, (value, bound) in enumerate(zip(found.value, found.bound, strict=True)):
            brief_ball = Ball(np.asarray(value), np.asarray(bound), "estimated")
            if bound <= max(enough, 2.0**-30 * abs(value)):
                balls.append(brief_ball)
            else:
                climbed = slopes([_curve(line, index)], subgradient=subgradient)[0]
                # Among many kinks a few steps may agree by chance: what is blurred says nothing.
                is_sharper = climbed.notes or climbed.radius < bound or bound > _BLURRED * enough
                balls.append(climbed if is_sharper else brief_ball)
        return balls


def _curve(line: Line, index: int) -> Curve:
    """One cotangent's view of the line, around 0."""
    one = line._replace(cotangents=line.cotangents[index : index + 1])

    def value(steps: Tensor) -> Tensor:
        return torch.from_numpy(one.changes(steps.tolist())[:, 0])

    def evaluate() -> Tensor:
        values = line.function.values(line.point[None].clone()).to(torch.float64)
        return (values[0] - line.value) @ one.cotangents[0]

    return Curve(0.0, value, repeated(evaluate), is_sum=True)


def along_roughly(line: Line) -> Tensor:
    """J d for all outputs, (m,), to about nine digits where the function is smooth."""
    wide, fine = 2.0**-7, 2.0**-9
    with torch.no_grad():
        far_after, far_before, after, before = line.values([wide, -wide, fine, -fine])
    far, near = (far_after - far_before) / (2 * wide), (after - before) / (2 * fine)
    extrapolated: Tensor = near + (near - far) / 15
    return extrapolated
