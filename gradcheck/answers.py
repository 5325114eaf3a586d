"""What is held against the truth: torch's gradient and the formula's evaluation, as balls."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
from torch import Tensor

from gradcheck.ball import Array, Ball, Between
from gradcheck.claims import Claim, Written
from gradcheck.oracles import autograd, bounds, handwritten, rounding
from gradcheck.oracles.bounds import Bound
from gradcheck.oracles.monte_carlo import Disturbed, Noise
from gradcheck.place import Place
from gradcheck.rigorous.rounded import Format

FEW: Final = 8
"""Half units in the last place: an answer that near to a proven truth needs no other radius."""


SMALL: Final = 256
"""Entries of a Jacobian."""

Along = Callable[[Ball], Ball]
"""How a Jacobian is looked at: entry by entry, or along some directions."""


def entries(jacobian: Ball) -> Ball:
    return jacobian


def _is_missing(bound: Bound | None) -> bool:
    """Whether ball arithmetic bounds nothing."""
    return bound is None or bool(np.isinf(bound.radius).any())


class Answers:
    """The answers to one claim at one place; what several formulas share is computed once."""

    def __init__(self, place: Place, claim: Claim) -> None:
        self.place = place
        self.claim = claim
        self.value = place.value(claim.input)
        self.output = place.value(claim.output)
        self.required = place.case.required_resolution(place.dtype)
        self._format = bounds.format_of(self.value.dtype)
        self._bounds: dict[tuple[int, Written | None], Bound | None] = {}

    @cached_property
    def gradient(self) -> Tensor:
        """What autograd finds. Raises what torch raises."""
        return self.gradient_at(self.value)

    def gradient_at(self, value: Tensor) -> Tensor:
        """What autograd finds where the input has another value."""
        return autograd.jacobian(self.place.segment(self.claim), value, self.place.meaning())

    def autograd(self, truth: Ball, along: Along = entries) -> Ball:
        """Autograd's gradient; a truth that is sharp enough bounds its error."""
        found = rounding.to_array(self.gradient)
        if truth.basis != "proven":
            return truth.bounding(found, self.required) or self.rounded_gradient()
        near = self._next_to(truth, found, along)
        if near is None and _is_missing(self.gradient_bound(self._format)):
            near = self._accurate(truth, found, along)
        return near or along(self.rounded_gradient(truth if along is entries else None))

    def handwritten(
        self, formula: Written, found: Tensor, truth: Ball, along: Along = entries
    ) -> Ball:
        """The formula's evaluation, which gave `found`; a proven truth nearby bounds its error.

        So does one at a kink, over which what rounding moves would fall.
        """
        answer = rounding.to_array(found)
        if isinstance(truth, Between):
            return truth.bounding(answer, self.required) or self.rounded_formula(formula, found)
        near = self._next_to(truth, answer, along)
        if near is None and _is_missing(self.formula_bound(formula, self._format)):
            near = self._accurate(truth, answer, along)
        return near or along(self.rounded_formula(formula, found))

    def evaluate(self, formula: Written) -> Tensor:
        """What the formula gives in the check's dtype, in the Jacobian's shape.

        Raises:
            EvaluationError, ShapeError: It has no value, or no derivative's shape.
        """
        segment, output = self.place.formula_segment(self.claim), tuple(self.output.shape)
        return handwritten.jacobian(formula, segment, self.value, output, self.place.meaning())

    def rounded_gradient(self, truth: Ball | None = None) -> Ball:
        """Autograd's gradient with what rounding may have done to it.

        Where the sweep excludes a truth that is known, torch's rule is another than the word's: a
        tie, say. Then nothing but a measurement tells.
        """

        def bound(format: Format) -> Bound | None:
            found = self.gradient_bound(format)
            is_apart = truth is not None and found is not None and found.excludes(truth)
            return None if is_apart else found

        return self._rounded(self.gradient, bound, lambda: self._gradient_measured)

    def rounded_formula(self, formula: Written, found: Tensor) -> Ball:
        """The formula's evaluation with what rounding may have done to it."""
        return self._rounded(
            found,
            lambda format: self.formula_bound(formula, format),
            lambda: self._formula_measured(formula, found),
        )

    def _next_to(self, truth: Ball, found: Array, along: Along) -> Ball | None:
        """The answer with its error, where it is a few units from a proven truth."""
        if truth.basis != "proven":
            return None
        unit, smallest = rounding.precision_of(self.value.dtype)
        units = along(Ball(found, unit * np.abs(found) + smallest, "proven"))
        distance = truth.distance_to(units.midpoint)
        if (distance < FEW * units.radius).all():  # of what is not finite neither is less
            return Ball(units.midpoint, distance + truth.radius, "proven")
        return None

    def _accurate(self, truth: Ball, found: Array, along: Along) -> Ball | None:
        """The answer with its error, where that is below the resolution of a proven truth."""
        seen = along(Ball(found, np.zeros_like(found), "proven"))
        distance = truth.distance_to(seen.midpoint)
        if truth.basis != "proven" or not (distance <= self.required * truth.largest()).all():
            return None
        return Ball(seen.midpoint, distance + seen.radius + truth.radius, "proven")

    def _rounded(
        self,
        answer: Tensor,
        bound: Callable[[Format], Bound | None],
        measured: Callable[[], Ball],
    ) -> Ball:
        """What ball arithmetic bounds the answer's rounding by.

        Where that takes too long, or is too wide to be of use, it is what Monte-Carlo arithmetic
        shows.
        """
        limit = bound(self._format)
        if limit is None:
            return measured()
        found = rounding.to_array(answer)
        if not np.isfinite(found).all():
            return Ball(found, self._unbounded(found, limit, bound), "bounded")
        widest, largest = limit.radius.max(initial=0.0), np.abs(found).max(initial=0.0)
        if limit.left_range or limit.is_unseen or widest <= self.required * largest:
            return Ball(found, limit.radius, "bounded")
        sharper = measured()
        # What no sample moved, such as 1 - tanh(x)**2 at a saturated 0, was not measured at all.
        has_moved = sharper.radius > rounding.floor(found, self.value.dtype) * (1 + 1e-6)
        radius = np.where(has_moved, np.minimum(sharper.radius, limit.radius), limit.radius)
        return Ball(found, radius, "estimated")

    def _unbounded(
        self, found: Array, limit: Bound, bound: Callable[[Format], Bound | None]
    ) -> Array:
        """The radii of an answer with entries that are not finite.

        Infinite where rounding explains that: an intermediate left the dtype's range, or is finite
        once there is nearly no rounding. What is infinite or NaN even then is what the formula, or
        torch's rule, says: 0, as of any number that is itself.
        """
        explained = np.full(found.shape, limit.left_range)
        if not limit.left_range and (extended := bound(bounds.EXTENDED)) is not None:
            explained = np.isfinite(extended.radius) & np.isinf(limit.radius)
        return np.where(np.isfinite(found) | explained, limit.radius, 0.0)

    def gradient_bound(self, format: Format) -> Bound | None:
        """What rounding in this format may do to autograd's gradient; None: it takes too long."""
        key = format.bits, None
        if key not in self._bounds:
            segment, output = self.place.exact_segment(self.claim), tuple(self.output.shape)
            self._bounds[key] = bounds.of_gradient(segment, output, format)
        return self._bounds[key]

    @property
    def _samples(self) -> int:
        """A draw in three moves nothing: few entries need many, to be moved at least once."""
        is_small = self.output.numel() * self.value.numel() <= SMALL
        return 3 * rounding.SAMPLES if is_small else rounding.SAMPLES

    @cached_property
    def _gradient_measured(self) -> Ball:
        disturb = rounding.repeated(lambda: self.gradient_at(self.value), self.gradient)
        return rounding.measure(disturb, self.value.dtype, self._samples)

    def formula_bound(self, formula: Written, format: Format) -> Bound | None:
        """What rounding in this format may do to the formula; None: it takes too long."""
        key = format.bits, formula
        if key not in self._bounds:
            segment = self.place.exact_formula_segment(self.claim)
            output = tuple(self.output.shape)
            self._bounds[key] = bounds.of_formula(formula, segment, output, format)
        return self._bounds[key]

    def _formula_measured(self, formula: Written, found: Tensor) -> Ball:
        segment = self.place.formula_segment(self.claim)
        if self.output.ndim == 0 and handwritten.is_pointwise(formula, segment):

            def disturb(count: int, noise: Noise) -> Tensor:
                meaning = Disturbed(noise, count, self.value.dtype, self.place.device)
                return handwritten.slopes(formula, segment, self.value.expand(count), meaning)

            return rounding.measure(disturb, self.value.dtype, self._samples)
        again = rounding.repeated(lambda: self.evaluate(formula), found)
        return rounding.measure(again, self.value.dtype, self._samples)
