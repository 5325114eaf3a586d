"""Right and accurate are two questions: what proof says of a formula, and the digits it keeps."""

import math

import numpy as np
import pytest

from gradcheck.accuracy import digits_kept

DTYPES = "dtypes: [float64, float32, float16, bfloat16]"
CANCELLING = """
    function: (1 - cos(x))/x**2
    inputs: {x: 1e-4}
    derivatives: {x: (x*sin(x) - 2*(1 - cos(x)))/x**3}
"""


def kept(error, radius=0.0, scale=1.0, dtype="float64"):
    return digits_kept(np.array(error), np.array(radius), scale, dtype)


def test_digits_are_the_logarithm_of_the_error_relative_to_the_largest_entry():
    assert kept([1e-3, 1e-9], [0.0, 0.0], 10.0) == pytest.approx((4, 4))


def test_no_error_keeps_what_the_dtype_holds():
    assert kept(0.0) == pytest.approx((15.95, 15.95), abs=0.01)
    assert kept(0.0, dtype="bfloat16") == pytest.approx((2.41, 2.41), abs=0.01)


def test_an_error_as_large_as_the_truth_keeps_none():
    assert kept(2.0) == kept(math.inf) == (0.0, 0.0)


def test_a_truth_that_is_not_well_known_leaves_a_range():
    least, most = kept(3e-6, 1e-6)
    assert (least, most) == pytest.approx((-math.log10(4e-6), -math.log10(2e-6)))


def test_a_right_formula_that_keeps_no_digit_passes_as_unstable(check):
    for result in check(CANCELLING + f"    {DTYPES}"):
        assert (result.verdict, result.truth) == ("pass", "exact"), result
        assert result.is_unstable
        assert result.digits["handwritten"] < 1
        assert result.notes[0].startswith("unstable: handwritten keeps 0.0 of")


def test_autograd_s_wrong_digits_stand_beside_the_right_ones(check_one):
    result = check_one(CANCELLING)
    answers = result.entries[0].answers
    assert answers["autograd"].value == pytest.approx(4.41e-5, rel=1e-3)
    assert answers["exact"].value == pytest.approx(-8.3333e-6, rel=1e-4)
    assert result.notes[1] == (
        "unstable: autograd keeps 0.0 of 16.0 digits in float64, 4.4108e-05 against -8.33333e-06"
    )


def test_a_stable_formula_keeps_its_digits_where_autograd_does_not(check_one):
    result = check_one("""
        function: log(1 + exp(x)) - x
        inputs: {x: 30.0}
        derivatives: {x: -sigmoid(-x)}
    """)
    assert result.verdict == "pass"
    assert result.digits["handwritten"] > 15
    assert result.digits["autograd"] < 4
    assert [note.split()[1] for note in result.notes] == ["autograd"]


def test_digits_are_kept_in_every_dtype_and_are_few_in_a_narrow_one(check):
    results = check(
        f"function: tanh(x)\ninputs: {{x: 0.7}}\nderivatives: {{x: 1 - out**2}}\n{DTYPES}"
    )
    kept = [result.digits["handwritten"] for result in results]
    assert sorted(kept, reverse=True) == kept
    assert kept[0] > 15
    assert kept[3] < 3


@pytest.mark.parametrize(("asked", "verdict"), [(3, "pass"), (15, "fail")])
def test_a_case_may_ask_for_digits(asked, verdict, check_one):
    result = check_one(f"""
        function: log(1 + exp(x))
        inputs: {{x: -6.0}}
        derivatives: {{x: 1 - 1/(1 + exp(x))}}
        digits: {asked}
    """)
    assert (result.verdict, result.blame) == (verdict, "handwritten" if verdict == "fail" else "")
    if verdict == "fail":
        assert result.notes[0].startswith("unstable: handwritten keeps 1")
        assert "of 16.0 digits in float64 (15 are asked for), " in result.notes[0]


def test_digits_are_asked_for_where_the_dtype_holds_as_many(check):
    results = check(f"""
        function: tanh(x)
        inputs: {{x: 0.7}}
        derivatives: {{x: 1 - out**2}}
        digits: 5
        {DTYPES}
    """)
    assert {result.verdict for result in results} == {"pass"}


@pytest.mark.usefixtures("without_exact")
def test_where_the_truth_is_numeric_digits_beyond_it_cannot_be_told(check):
    text = "function: sin(x)\ninputs: {{x: 0.7}}\nderivatives: {{x: cos(x)}}\ndigits: {}"
    assert [r.verdict for r in check(text.format(6))] == ["pass"]
    assert [r.verdict for r in check(text.format(15))] == ["inconclusive"]


def test_an_evaluation_that_overflows_is_no_fault_of_a_right_formula(check):
    results = check("""
        function: x**2/(1 + x**2)
        inputs: {x: 400.0}
        derivatives: {x: 2*x/(1 + x**2)**2}
        dtypes: [float16]
    """)
    assert [(r.verdict, r.is_unstable) for r in results] == [("pass", True)]


def test_a_nan_that_leaks_from_the_other_branch_is_autograd_s_fault(check_one):
    result = check_one("""
        function: where(x > 0, sqrt(x), 0*x)
        inputs: {x: [4.0, 0.0, -1.0]}
        derivatives: {x: "where(x > 0, 1/(2*sqrt(x)), 0)"}
    """)
    assert result.verdict != "pass"
    result = check_one("""
        function: where(x > 0, sqrt(x), 0*x)
        inputs: {x: [4.0, -1.0]}
        derivatives: {x: "where(x > 0, 1/(2*sqrt(x)), 0)"}
    """)
    assert (result.verdict, result.blame) == ("fail", "autograd")


def test_an_evaluation_far_beyond_its_rounding_is_a_failure(check_one, monkeypatch):
    """As where a device computes a word badly, though the formula is right."""
    from gradcheck.oracles import handwritten

    real = handwritten.jacobian
    monkeypatch.setattr(handwritten, "jacobian", lambda *a: real(*a) * (1 + 1e-10))
    result = check_one("function: sin(x)\ninputs: {x: 0.7}\nderivatives: {x: cos(x)}")
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    monkeypatch.setattr(handwritten, "jacobian", lambda *a: real(*a) * (1 + 1.5e-15))
    result = check_one("function: sin(x)\ninputs: {x: 0.7}\nderivatives: {x: cos(x)}")
    assert result.verdict == "pass"
    assert result.notes == (
        "handwritten is further off than rounding explains, though less than ten times",
    )
