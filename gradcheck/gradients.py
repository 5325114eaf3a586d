"""What backward passes leave in `.grad`, held against the derivative and what was published.

Gradients of inputs add up over the passes; a gradient can also not be there at all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.casefile.case import Expectation
from gradcheck.claims import Claim
from gradcheck.conclusion import Fields, conclude
from gradcheck.entries import indexed
from gradcheck.language.leibniz import Link
from gradcheck.oracles import autograd, rounding
from gradcheck.oracles.exact import DeclinedError
from gradcheck.passes import GRAD
from gradcheck.place import Place
from gradcheck.published import Published, expected_at, filled, judge_published
from gradcheck.truths import EFFORTS, Truths, too_large
from gradcheck.verdict import judge


class Gradients:
    """What is left in `.grad` of the values of a case's function, at one place."""

    def __init__(self, place: Place, truths: Truths) -> None:
        self.place = place
        self.truths = truths
        self.case = place.case
        self.function = place.case.function

    @cached_property
    def left(self) -> dict[str, Tensor | None]:
        """The gradients of what is tracked, None where none is kept. Raises what torch raises."""
        return self._run()

    def _run(self) -> dict[str, Tensor | None]:
        place, names = self.place, (*self.case.sizes, *self.function.given)
        given = {name: place.environment[name] for name in names}
        return autograd.gradients(
            self.function, given, self._tracked, self.case.passes, place.meaning()
        )

    @cached_property
    def _tracked(self) -> list[str]:
        return [n for n in self.case.inputs if self.place.value(n).is_floating_point()]

    def judge(self, name: str) -> Iterator[Fields]:
        """The verdict on one of them."""
        found = self.left.get(name)
        reason = self._absence(name)
        if not reason and name not in self.left:
            reason = f"`{name}` is not tracked: it is detached, or no derivative reaches it"
        if reason:
            yield self._none(name, found, reason)
        elif problem := too_large(1, self.place.value(name).numel()):
            yield self._told(name, verdict="inconclusive", notes=(problem,))
        elif found is None and self._is_flat(name):
            reason = f"autograd sees no path from `{name}` to `{self.function.output}`"
            yield self._none(name, found, reason)
        elif found is None:
            note = f"{name}{GRAD} is none, though `{self.function.output}` depends on `{name}`"
            yield self._told(name, verdict="fail", blame="autograd", notes=(note,))
        else:
            yield self._number(name, found)

    def _absence(self, name: str) -> str:
        """Why torch leaves no gradient there; empty where it should."""
        passes, output = self.case.passes, self.function.output
        if passes.disabled_by:
            return f"tracking is switched off by {passes.disabled_by}"
        origin = self._origin(name)
        if origin in self.function.given and origin not in self._tracked:
            return f"`{name}` is not an input that is differentiated by"
        if origin not in self._tracked:
            if not any(self.function.between(x, {origin}) for x in self._tracked):
                return f"`{name}` depends on no input"
            if origin not in map(self._origin, passes.retained):
                return f"`{name}` is a step, and its gradient is not retained (`retain_grad`)"
        if origin != self._origin(output) and not self.function.between(origin, {output}):
            return f"`{output}` does not depend on `{name}`"
        return ""

    def _origin(self, name: str) -> str:
        """The first name of a value: a step `z: y` is y itself, and has the same gradient."""
        values = self.place.environment
        return next(other for other in values if values[other] is values[name])

    def _truths(self, name: str) -> Iterator[Ball]:
        """The truths to hold it against: the exact one, else the numeric, at rising effort."""
        try:
            yield self._truth(name, lambda claim: self.truths.exact(claim).ball())
        except DeclinedError:
            for effort in EFFORTS:
                yield self._truth(name, functools.partial(self.truths.ask, effort=effort))

    def _truth(self, name: str, ask: Callable[[Claim], Ball]) -> Ball:
        """The derivative, as often as passes leave it, in the value's own shape."""
        origin, output = self._origin(name), self._origin(self.function.output)
        shape = tuple(self.place.value(name).shape)
        if origin == output:
            return Ball(np.ones(shape), np.zeros(shape), "proven")
        claim = Claim.of(self.function, Link(output, origin), (), 0)
        ball = ask(claim)
        adds_up = origin in self.function.given and not self.case.passes.zero_grad
        times = self.case.passes.count if adds_up else 1
        return ball.scaled(times, shape)

    def _is_flat(self, name: str) -> bool:
        """Whether the derivative is 0 within what is known of it."""
        *_, truth = self._truths(name)
        return bool((np.abs(truth.midpoint) <= truth.radius).all())

    def _number(self, name: str, found: Tensor) -> Fields:
        required = self.case.required_resolution(self.place.dtype)
        for truth in self._truths(name):
            answers = {"autograd": self._answer(name, found, truth, required)}
            judgement = judge(
                truth, answers, lambda: self._scale(name), required, waiver=self.place.waiver
            )
            published = [
                self._published(one, truth, answers["autograd"], judgement.scale)
                for one in self._expected(name)
            ]
            if {judgement.verdict, *(one.verdict for one in published)} == {"pass"}:
                break
        return conclude(
            name + GRAD,
            self.line(name),
            truth,
            answers,
            judgement,
            published,
            demands=self.place.demands,
            label=lambda index: indexed(name + GRAD, index),
        )

    def _scale(self, name: str) -> float:
        return self.place.natural_scale(self.function.output, name)

    def _answer(self, name: str, found: Tensor, truth: Ball, required: float) -> Ball:
        bounded = truth.bounding(rounding.to_array(found), required)
        if bounded is not None:
            return bounded
        return rounding.measure(rounding.repeated(lambda: self._again(name), found), found.dtype)

    def _again(self, name: str) -> Tensor:
        found = self._run()[name]
        assert found is not None
        return found

    def _expected(self, name: str) -> list[Expectation]:
        return expected_at(self.place, name + GRAD)

    def _published(self, one: Expectation, truth: Ball, answer: Ball, scale: float) -> Published:
        if one.printed is None:
            return Published("fail", one.line, note=f"`{one.quantity}` is not none")
        shape = truth.shape
        return judge_published(
            one, self.place, lambda value: filled(value, shape), truth, answer, scale
        )

    def _none(self, name: str, found: Tensor | None, reason: str) -> Fields:
        """The verdict on a gradient that should not be there."""
        if found is not None:
            note = f"{name}{GRAD} is there, though {reason}"
            return self._told(name, verdict="fail", blame="autograd", notes=(note,))
        wrong = next((e for e in self._expected(name) if e.printed is not None), None)
        if wrong is None:
            return self._told(name, verdict="pass", notes=(f"none: {reason}",))
        note = f"{name}{GRAD} is none: {reason}"
        return {
            **self._told(name, verdict="fail", blame="expected", notes=(note,)),
            "line": wrong.line,
        }

    def _told(self, name: str, **fields: object) -> Fields:
        return {"quantity": name + GRAD, "line": self.line(name), **fields}

    def line(self, name: str) -> int:
        """Where in the case file a gradient was published; else where the case stands."""
        return next((one.line for one in self._expected(name)), self.case.line)
