import numpy as np
import pytest

from gradcheck.ball import Ball


def ball(*midpoint, radius=0.0):
    values = np.array(midpoint, dtype=np.float64)
    return Ball(values, np.broadcast_to(np.float64(radius), values.shape).copy(), "proven")


def test_midpoint_and_radius_have_one_shape():
    with pytest.raises(ValueError, match="midpoint"):
        Ball(np.zeros(2), np.zeros(3), "proven")


def test_shape_is_the_midpoints():
    assert ball(1, 2, 3).shape == (3,)


def test_distance_is_entry_by_entry_and_symmetric():
    a, b = ball(1, -2, 0), ball(4, -2, -0.5)
    np.testing.assert_array_equal(a.distance(b), [3, 0, 0.5])
    np.testing.assert_array_equal(b.distance(a), [3, 0, 0.5])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_non_finite_value_is_0_from_itself_and_infinitely_far_from_others(value):
    others = ball(0.0, np.nan, np.inf, -np.inf)
    expected = [
        0.0 if np.array_equal(value, o, equal_nan=True) else np.inf for o in others.midpoint
    ]
    np.testing.assert_array_equal(ball(*[value] * 4).distance(others), expected)


def test_a_distance_that_overflows_is_infinite():
    assert ball(1e308).distance(ball(-1e308)) == np.inf


def test_farthest_is_the_largest_distance_and_0_without_entries():
    assert ball(1, 2).farthest(ball(1, 5)) == 3
    assert ball().farthest(ball()) == 0


def test_largest_skips_what_is_not_known():
    answer = Ball(np.array([1.0, -3.0, 9.0, np.nan]), np.array([0.0, 1.0, np.inf, 0.0]), "proven")
    assert answer.largest() == 3
    assert ball().largest() == 0


def test_is_within_counts_the_edge():
    assert ball(1.0).is_within(np.array([0.5]), ball(1.5))
    assert not ball(1.0).is_within(np.array([0.49]), ball(1.5))


@pytest.mark.parametrize("distance", [0.0, 1.0, np.inf, np.nan])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_non_finite_value_is_within_any_distance_of_itself_and_none_of_others(value, distance):
    assert ball(value).is_within(np.array([distance]), ball(value))
    assert not ball(value).is_within(np.array([distance]), ball(1.0))
    assert not ball(1.0).is_within(np.array([distance]), ball(value))


def test_a_sharp_ball_bounds_the_error_of_what_lies_inside_of_it():
    truth = Ball(np.array([1.0, 2.0]), np.array([1e-9, 1e-9]), "estimated")
    inside = np.array([1 + 5e-10, 2.0])
    bounded = truth.bounding(inside, 1e-6)
    assert bounded is not None
    assert (bounded.basis, bounded.midpoint.tolist()) == ("estimated", inside.tolist())
    np.testing.assert_allclose(bounded.radius, [1.5e-9, 1e-9], rtol=1e-6)
    assert truth.bounding(inside, 1e-9) is None  # not sharp enough for that
    assert truth.bounding(np.array([1 + 2e-9, 2.0]), 1e-6) is None  # outside
    assert truth.bounding(np.array([1.0, np.nan]), 1e-6) is None
    unknown = Ball(np.array([0.0]), np.array([np.inf]), "estimated")
    assert unknown.bounding(np.array([3.0]), 1.0) is None


def test_nothing_is_bounded_where_all_may_be_zero():
    truth = Ball(np.array([0.0]), np.array([1e-12]), "estimated")
    assert truth.bounding(np.array([0.0]), 1e-6) is None
