"""What a baseline makes of results."""

import math

import pytest

from gradcheck.baseline import Baseline, change
from gradcheck.results import Result


def result(verdict="pass", **fields):
    known = {
        "case": "c",
        "file": "f.grad.yaml",
        "line": 3,
        "quantity": "dy/dx",
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
    }
    return Result(**{**known, "verdict": verdict, **fields})


WRONG = {"blame": "handwritten", "difference": 1e-3, "resolution": 1e-12}


def kind(before, now):
    found = change(before, now)
    return found and found.kind


def test_what_failed_and_fails_the_same_is_known():
    found = change(result("fail", **WRONG), result("fail", **WRONG, line=9))
    assert (found.kind, found.text) == ("known", "known from the baseline")


def test_what_is_not_in_the_baseline_is_new_where_it_is_bad():
    found = change(None, result("fail"))
    assert (found.kind, found.text) == ("new", "new: the baseline does not have it")
    assert change(None, result("pass")) is None


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (result(), result("fail"), "it was pass, it is fail"),
        (result("skipped"), result("error"), "it was skipped, it is error"),
        (result("inconclusive"), result("fail"), "it was inconclusive, it is fail"),
        (
            result("fail", blame="autograd"),
            result("fail", blame="handwritten,autograd"),
            "the blame was on autograd, it is on handwritten too",
        ),
        (
            result(resolution=1e-12),
            result(resolution=3e-9),
            "its resolution was 1.0e-12, it is 3.0e-09",
        ),
        (
            result(resolution=1e-12),
            result(resolution=math.inf),
            "its resolution was 1.0e-12, it is inf",
        ),
        (
            result("fail", **WRONG),
            result("fail", **{**WRONG, "difference": 0.2}),
            "it was off by 1.0e-03, it is 2.0e-01",
        ),
        (
            result(digits={"handwritten": 15.0, "autograd": 12.0}),
            result(digits={"handwritten": 15.9, "autograd": 10.5}),
            "autograd kept 12.0 digits, it keeps 10.5",
        ),
    ],
)
def test_what_got_worse_fails_with_what_it_was_and_what_it_is(before, now, text):
    found = change(before, now)
    assert (found.kind, found.text) == ("worse", f"worse than in the baseline: {text}")
    assert kind(now, before) in ("better", "known")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"resolution": 1e-12}, {"resolution": 9e-12}),
        ({"resolution": 0.0}, {"resolution": 1e-16}),
        ({"resolution": 1e-38}, {"resolution": 1e-17}),
        ({"resolution": None}, {"resolution": 1e-3}),
        ({"digits": {"autograd": 15.9}}, {"digits": {"autograd": 15.0}}),
        ({"digits": {"autograd": 15.9}}, {"digits": {}}),
        ({"difference": 0.0}, {"difference": 1e-9}),
        ({"seconds": 1.0}, {"seconds": 99.0}),
    ],
)
def test_what_rounding_moves_is_nothing(before, now):
    assert change(result(**before), result(**now)) is None
    assert change(result(**now), result(**before)) is None


def test_the_rounding_is_that_of_the_dtype():
    before, now = result(resolution=1e-12), result(resolution=1e-9)
    assert kind(before, now) == "worse"
    assert kind(result(dtype="float32"), result(resolution=1e-9, dtype="float32")) is None


def test_what_cannot_be_told_stays_what_cannot_be_told():
    before = result("inconclusive", resolution=math.inf, difference=math.nan)
    assert kind(before, result("inconclusive", resolution=50.0, difference=0.5)) == "known"


def test_what_got_better_is_told_and_what_is_less_bad_is_still_known():
    assert change(result("fail"), result()).text == (
        "better than in the baseline: it was fail, it is pass"
    )
    less = change(result("fail"), result("inconclusive"))
    assert (less.kind, less.text) == (
        "known",
        "known from the baseline; it was fail, it is inconclusive",
    )


def test_a_claim_is_met_by_its_own_formula_first():
    baseline = Baseline([result(formula="a"), result("fail", formula="b")])
    assert baseline.judged(result("fail", formula="b")).change.kind == "known"
    assert baseline.judged(result("fail", formula="a")).change.kind == "worse"
    assert baseline.judged(result("fail", formula="c")).change.kind == "new"
    assert baseline.unseen() == []


def test_a_formula_that_was_written_anew_is_the_same_claim_where_it_is_alone():
    baseline = Baseline([result("fail", formula="2*x")])
    assert baseline.judged(result("fail", formula="x*2")).change.kind == "known"


@pytest.mark.parametrize("name", ["case", "file", "quantity", "point", "dtype", "device"])
def test_another_place_is_another_claim(name):
    baseline = Baseline([result("fail")])
    assert baseline.judged(result("fail", **{name: "other"})).change.kind == "new"
    assert baseline.unseen() == [result("fail")]


def test_two_results_of_one_claim_are_met_one_by_one():
    baseline = Baseline([result("fail"), result("pass")])
    kinds = [baseline.judged(result(v)).change for v in ("fail", "pass", "fail")]
    assert [found and found.kind for found in kinds] == ["known", None, "new"]
