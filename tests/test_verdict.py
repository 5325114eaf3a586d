import numpy as np
import pytest

from gradcheck.ball import Ball
from gradcheck.verdict import judge, judge_expected, worst_of


def ball(midpoint, radius=0.0, basis="estimated"):
    values = np.atleast_1d(np.array(midpoint, dtype=np.float64))
    return Ball(values, np.broadcast_to(np.float64(radius), values.shape).copy(), basis)


def verdict(truth, handwritten, autograd=None, *, scale=1.0, resolution=1e-6, negligible=0.0):
    answers = {"handwritten": handwritten, "autograd": truth if autograd is None else autograd}
    return judge(truth, answers, lambda: scale, resolution, negligible)


def test_answers_that_overlap_a_sharp_truth_pass():
    found = verdict(ball(2.0, 1e-9), ball(2.0 + 1e-9, 1e-9))
    assert (found.verdict, found.blame) == ("pass", ())


def test_the_resolution_is_twice_the_widest_joint_radius_relative_to_the_largest_entry():
    found = verdict(ball([2.0, -4.0], 1e-9), ball([2.0, -4.0], 3e-9))
    assert found.scale == 4.0
    assert found.resolution == pytest.approx(2 * 4e-9 / 4)


def test_a_joint_radius_wider_than_the_resolution_is_inconclusive():
    assert verdict(ball(2.0, 1e-5), ball(2.0)).verdict == "inconclusive"
    assert verdict(ball(2.0), ball(2.0, 1e-5)).verdict == "inconclusive"
    assert verdict(ball(2.0, 1e-5), ball(2.0), resolution=1e-3).verdict == "pass"


@pytest.mark.parametrize(
    ("basis", "radii", "expected"),
    [
        ("proven", 1.1, "fail"),
        ("bounded", 9.9, "inconclusive"),
        ("bounded", 10.1, "fail"),
        ("estimated", 9.9, "inconclusive"),
        ("estimated", 10.1, "fail"),
    ],
)
def test_an_answer_is_wrong_beyond_the_allowance_of_its_radius(basis, radii, expected):
    found = verdict(ball(1.0), ball(1.0 + radii * 1e-8, 1e-8, basis))
    assert found.verdict == expected
    assert found.blame == (("handwritten",) if expected == "fail" else ())


def test_twice_the_truths_radius_is_allowed_for_before_anybody_is_accused():
    assert verdict(ball(1.0, 1e-8), ball(1.0 + 1.9e-8, basis="proven")).verdict == "inconclusive"
    assert verdict(ball(1.0, 1e-8), ball(1.0 + 2.1e-8, basis="proven")).verdict == "fail"


def test_a_wrong_entry_fails_however_small_it_is():
    found = verdict(ball([1e6, 1e-6], 1e-9), ball([1e6, -1e-6], 1e-18))
    assert (found.verdict, found.worst_entry) == ("fail", (1,))


def test_an_infinite_truth_decides_nothing_but_does_not_hide_other_entries():
    truth = Ball(np.array([0.0, 1.0]), np.array([np.inf, 1e-12]), "estimated")
    assert verdict(truth, ball([5.0, 1.0])).verdict == "inconclusive"
    assert verdict(truth, ball([5.0, 2.0])).blame == ("handwritten",)
    assert np.isinf(verdict(truth, ball([5.0, 1.0])).resolution)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_non_finite_answer_agrees_only_with_the_same_truth(value):
    assert verdict(ball(1.0), ball(value)).verdict == "fail"
    assert verdict(ball(value), ball(1.0)).verdict == "fail"
    assert verdict(ball([value, 1.0]), ball([value, 1.0])).verdict == "pass"


def test_blame_names_everybody_who_is_wrong_in_order():
    found = verdict(ball(1.0), ball(2.0), ball(3.0))
    assert found.blame == ("handwritten", "autograd")
    assert found.difference == pytest.approx(2 / 3)


def test_the_worst_entry_is_the_furthest_wrong_one_else_the_blurriest():
    assert verdict(ball([1.0, 1.0, 1.0]), ball([1.1, 3.0, 1.0])).worst_entry == (1,)
    blurred = Ball(np.array([1.0, 1.0]), np.array([1e-12, 1e-9]), "estimated")
    assert verdict(ball([1.0, 1.0]), blurred).worst_entry == (1,)


def test_zero_within_rounding_is_relative_to_what_the_function_lets_expect():
    found = verdict(ball(0.0, 1e-12), ball(1e-17, 1e-16), ball(0.0), scale=5.0)
    assert (found.verdict, found.scale) == ("pass", 5.0)
    # sin(π) is not 0 in float64, and the answers know it to many digits: only what the input's
    # rounding moves it by tells that it is meant to be 0.
    known = ball(0.0, 1e-15), ball(1.2e-16, 1e-31)
    assert verdict(*known, scale=0.3).verdict == "inconclusive"
    assert verdict(*known, scale=0.3, negligible=2e-16).verdict == "pass"


def test_a_blurred_truth_does_not_make_a_derivative_zero():
    found = verdict(ball(0.0, 1e-3), ball(-2e-5, 1e-20), ball(2e-5, 1e-20), scale=1e6)
    assert (found.verdict, found.scale) == ("inconclusive", 2e-5)


@pytest.mark.parametrize("scale", [0.0, np.inf, np.nan])
def test_without_a_usable_fallback_the_scale_of_zero_is_1(scale):
    assert verdict(ball(0.0), ball(0.0), scale=scale).scale == 1.0


def test_no_entries_pass():
    found = verdict(ball([]), ball([]))
    assert (found.verdict, found.worst_entry, found.resolution) == ("pass", None, 0.0)


@pytest.mark.parametrize(
    ("truth", "printed", "unit", "expected"),
    [
        (6.6918, 6.69, 0.01, "pass"),
        (6.70, 6.69, 0.01, "pass"),
        (6.7001, 6.69, 0.01, "fail"),
        (9.0, 9, 0.0, "pass"),
        (9.000001, 9, 0.0, "fail"),
        (np.nan, 9, 0.0, "fail"),
        (9.0, np.nan, 0.0, "fail"),
        (9.0, np.inf, 0.0, "fail"),
        (np.inf, np.inf, 0.0, "pass"),
        (np.nan, np.nan, 0.0, "pass"),
        (-np.inf, np.inf, 0.0, "fail"),
    ],
)
def test_a_published_number_is_met_to_one_unit_of_its_last_digit(truth, printed, unit, expected):
    assert judge_expected(ball(truth), ball(printed, unit), 1e-6, 1.0) == expected


def test_a_published_number_is_decided_where_the_truth_is_as_sharp_as_it_or_as_the_check():
    assert judge_expected(ball(6.69, 0.005), ball(6.69, 0.01), 1e-6, 1.0) == "pass"
    assert judge_expected(ball(6.69, 0.02), ball(6.69, 0.01), 1e-6, 1.0) == "inconclusive"
    assert judge_expected(ball(6.0, 5e-7), ball(6.0), 1e-6, 1.0) == "pass"


def test_worst_of_is_the_furthest_entry():
    assert worst_of(ball([1.0, 2.0, 3.0]), ball([1.0, 2.5, 3.1])) == (1,)
    assert worst_of(ball([]), ball([])) is None


def test_answers_that_agree_are_convicted_by_a_proof_and_not_by_an_estimate():
    answers = {"handwritten": ball(2.0, 1e-12), "autograd": ball(2.0, 1e-12)}
    estimate = Ball(np.array(1.0), np.array(1e-9), "estimated")
    found = judge(estimate, answers, lambda: 1.0, 1e-6)
    assert (found.verdict, found.blame, found.is_truth_alone) == ("inconclusive", (), True)
    proof = Ball(np.array(1.0), np.array(1e-9), "proven")
    found = judge(proof, answers, lambda: 1.0, 1e-6)
    assert (found.verdict, found.is_truth_alone) == ("fail", False)
    assert found.blame == ("handwritten", "autograd")


def test_answers_that_are_wrong_each_in_its_own_way_are_both_blamed():
    answers = {"handwritten": ball(2.0, 1e-12), "autograd": ball(3.0, 1e-12)}
    found = judge(Ball(np.array(1.0), np.array(1e-9), "estimated"), answers, lambda: 1.0, 1e-6)
    assert (found.verdict, found.blame) == ("fail", ("handwritten", "autograd"))


def test_autograd_alone_is_convicted_by_an_estimate():
    estimate = Ball(np.array(1.0), np.array(1e-9), "estimated")
    found = judge(estimate, {"autograd": ball(2.0, 1e-12)}, lambda: 1.0, 1e-6)
    assert (found.verdict, found.blame) == ("fail", ("autograd",))
