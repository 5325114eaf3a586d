"""What is known of the entries of a Jacobian: values, bounds, and what keeps one from having any.

Arrays are (entries,): the outputs by the first input, then by the second, …
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import SIDED, Array, Ball, Between
from gradcheck.oracles.differences import SMALLEST, Flags, Samples, differences
from gradcheck.oracles.extrapolation import Candidates, extrapolate
from gradcheck.oracles.one_sided import jump, sides
from gradcheck.oracles.singularity import Kind, kinds

Shape = tuple[int, ...]

WORDS: Final = {
    Kind.UNDEFINED: "not finite at this point",
    Kind.ISOLATED: "not finite around this point",
    Kind.EDGE: "at the edge of the domain",
    Kind.JUMP: "a jump at this point",
    Kind.CUSP: "a cusp or a singularity at this point",
    Kind.KINK: "a kink at this point",
    Kind.ROUGH: "neither smooth nor a kink at this point",
    Kind.NOISE: "nothing but noise around this point",
}
_STILL: Final = 16.0
"""Times the noise over the widest step: the error of a slope that no step shows."""
_SIDED: Final = (Kind.EDGE, Kind.CUSP, Kind.KINK)
"""Where there may be one-sided derivatives."""


class Findings(NamedTuple):
    """Each entry's derivative, with its bound; ∞ where there is none, for the reason `kind`.

    `before` and `after` are then the one-sided derivatives, each known to within `side`, which is
    ∞ where they are not known; at an edge, which has one side, they are the same.
    """

    midpoint: Array
    radius: Array
    kind: NDArray[np.int64]
    before: Array
    after: Array
    side: Array

    @classmethod
    def smooth(cls, found: Candidates) -> Findings:
        """Of entries that are not singular."""
        zeros, size = np.zeros(found.value.shape), len(found.value)
        kind = np.zeros(size, dtype=np.int64)
        return cls(found.value, found.bound, kind, zeros, zeros.copy(), np.full(size, np.inf))

    @classmethod
    def unknown(cls, size: int) -> Findings:
        return cls.smooth(Candidates(np.zeros(size), np.full(size, np.inf)))

    @classmethod
    def of(cls, samples: Samples) -> Findings:
        """What a whole ladder of samples shows."""
        moved = samples.moved
        if moved.all():
            return cls._of_moved(samples)
        # The others have slope 0, to within the rounding that nothing shows.
        noise = np.maximum(samples.epsilon * np.abs(samples.centre), samples.rounding[-1])
        bound = _STILL * np.maximum(noise, SMALLEST) / samples.step.max(axis=0) + SMALLEST
        found = cls.smooth(Candidates(np.zeros(len(moved)), bound))
        if moved.any():
            found.put(moved, cls._of_moved(samples.of(moved)))
        return found

    @classmethod
    def _of_moved(cls, samples: Samples) -> Findings:
        found = differences(samples)
        estimate, kind = extrapolate(found), kinds(samples, found)
        radius = np.where(kind, np.inf, np.fmax(estimate.bound, jump(found) / 2))
        smooth = cls.smooth(Candidates(estimate.value, radius))._replace(kind=kind)
        is_sided = np.isin(kind, _SIDED)
        if not is_sided.any():
            return smooth
        before, after = sides(samples, found)
        has_before, has_after = np.isfinite(before.bound), np.isfinite(after.bound)
        below = np.where(has_before, before.value, after.value)
        above = np.where(has_after, after.value, before.value)
        is_known = has_before & has_after | (kind == Kind.EDGE)
        # Between −∞ and ∞ lies everything: that would accept any value.
        is_known &= is_sided & (np.isfinite(below) | np.isfinite(above) | (below == above))
        bound = np.fmax(np.where(has_before, before.bound, 0), np.where(has_after, after.bound, 0))
        known = np.where(is_known & (has_before | has_after), bound, np.inf)
        return smooth._replace(before=below, after=above, side=known)

    def put(self, entries: Flags | NDArray[np.intp], part: Findings) -> None:
        """Takes the findings of a part for those entries."""
        for whole, found in zip(self, part, strict=True):
            whole[entries] = found

    def block(self, inputs: int, rows: slice, columns: slice) -> Findings:
        """Of these outputs by those of so many inputs."""
        outputs = len(self.kind) // max(1, inputs)
        parts = (array.reshape(inputs, outputs)[columns, rows].reshape(-1) for array in self)
        return Findings._make(parts)

    def one(self, entry: int) -> Findings:
        here = slice(entry, entry + 1)
        return Findings._make(array[here] for array in self)

    def ball(self, output: Shape, point: Shape, *, subgradient: bool = False) -> Ball:
        """As a Jacobian, outputs by inputs, of shape `output + point`.

        With `subgradient` any value between the one-sided derivatives is right, where they are
        known.
        """
        notes = tuple(self._notes(output, point))
        midpoint = _transposed(self.midpoint, output, point)
        radius = _transposed(np.where(np.isnan(self.radius), np.inf, self.radius), output, point)
        if not subgradient or not np.isfinite(self.side).any():
            return Ball(midpoint, radius, "estimated", notes)
        before, after = (_transposed(s, output, point) for s in (self.before, self.after))
        side = _transposed(self.side, output, point)
        between = np.isfinite(side)
        lower = np.where(between, np.fmin(before, after), midpoint)
        upper = np.where(between, np.fmax(before, after), midpoint)
        return Between.ends(lower, upper, np.where(between, side, radius), "estimated", notes)

    def _notes(self, output: Shape, point: Shape) -> Iterator[str]:
        """A sentence for each kind met: where first, and at how many entries more."""
        for kind in sorted(set(self.kind.tolist()) - {Kind.NONE.value}):
            entries = np.flatnonzero(self.kind == kind)
            first, others = int(entries[0]), len(entries) - 1
            yield (
                WORDS[kind]
                + _where(first, output, point)
                + (self._sides(first) if np.isfinite(self.side[first]) else "")
                + (f" (and at {others} more entries)" if others else "")
            )

    def _sides(self, entry: int) -> str:
        """The one-sided derivatives; 0 where that is no further off than their error."""
        ends = float(self.before[entry]), float(self.after[entry])
        size = max((abs(end) for end in ends if math.isfinite(end)), default=0.0)
        error = max(2 * float(self.side[entry]), 1e-6 * size if len(set(ends)) > 1 else 0.0)
        before, after = (f"{end if abs(end) > error else 0.0:.4g}" for end in ends)
        if self.kind[entry] == Kind.EDGE:
            return f": the {SIDED} is {before}"
        return f": the {SIDED}s are {before} and {after}"


def _transposed(entries: Array, output: Shape, point: Shape) -> Array:
    """Outputs by inputs, in the shape of a Jacobian."""
    columns = entries.reshape(math.prod(point), math.prod(output))
    return np.array(columns.T, order="C").reshape(output + point)


def _where(entry: int, output: Shape, point: Shape) -> str:
    """ ", output[1] by input[0, 2]"; nothing where both are scalars."""
    if not output and not point:
        return ""
    i, o = divmod(entry, math.prod(output))
    return f", {_named('output', o, output)} by {_named('input', i, point)}"


def _named(word: str, position: int, shape: Shape) -> str:
    return f"{word}{[int(k) for k in np.unravel_index(position, shape)]}" if shape else word
