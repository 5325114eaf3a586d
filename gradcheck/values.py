"""Published values of the function itself, held against what is proven or computed of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.ball import Ball
from gradcheck.casefile.case import Expectation
from gradcheck.conclusion import Fields
from gradcheck.entries import SHOWN, indexed, worst_entries
from gradcheck.oracles import exact, rounding
from gradcheck.oracles.exact import DeclinedError
from gradcheck.passes import GRAD
from gradcheck.place import Place
from gradcheck.published import filled, judge_published
from gradcheck.verdict import worst_of


def judge_value(place: Place, expectation: Expectation) -> Iterator[Fields]:
    """The verdict on a published value of the function itself.

    That of a derivative or a gradient is judged with it.
    """
    name = expectation.quantity
    case = place.case
    claimed = [*(c.quantity for c in case.claims), *(s.quantity for s in case.seconds)]
    applies = expectation.applies(place.case, place.dtype)
    if not applies or name in claimed or name.endswith(GRAD):
        return
    proven = None if expectation.of == "handwritten" else _proven_value(place, name)
    truth = proven or _computed_value(place, name)
    oracle = "exact" if proven else "handwritten"
    scale = truth.largest() or 1.0
    published = judge_published(
        expectation, place, lambda value: filled(value, truth.shape), truth, truth, scale
    )
    fields: Fields = {
        "quantity": name,
        "line": expectation.line,
        "verdict": published.verdict,
        "blame": "expected" if published.verdict == "fail" else "",
        "truth": "exact" if proven else "",
        "basis": truth.basis,
        "resolution": 2 * float(np.max(truth.radius, initial=0.0)) / scale,
        "required": place.case.required_resolution(place.dtype),
        "notes": (published.note,) if published.note else (),
    }
    if published.ball is not None:
        balls = {"expected": published.ball, oracle: truth}
        count = 1 if published.verdict == "pass" else SHOWN
        worst = worst_of(truth, published.ball)
        fields["difference"] = truth.farthest(published.ball) / scale
        fields["entries"] = worst_entries(
            lambda index: indexed(name, index), worst, balls, oracle, count
        )
    yield fields


def _proven_value(place: Place, name: str) -> Ball | None:
    """A value of the function at the inputs that the check's dtype has; a mask is 1 where true.

    None where the exact oracle cannot tell.
    """
    names = (*place.case.sizes, *place.case.function.given)
    try:
        given = {name: place.exact_environment[name] for name in names}
        return exact.value(place.case.function, given, name, lambda: place.size(name) or 1.0).ball()
    except (DeclinedError, KeyError):
        return None


def _computed_value(place: Place, name: str) -> Ball:
    """What the function gives in the check's dtype, where rounding is measured."""
    function, names = place.case.function, (*place.case.sizes, *place.case.function.given)
    dtype = place.meaning().dtype
    values = {name: place.environment[name] for name in names}
    return rounding.measure(
        rounding.repeated(
            lambda: function.run(values, place.meaning())[name].to(dtype),
            place.value(name).to(dtype),
        ),
        dtype,
    )
