"""The ladder's steps, and the noise that differences show."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.ball import Array
from gradcheck.oracles.differences import Samples, differences, ladder, rounding_by_level


def steps_of(x: float) -> list[float]:
    steps = ladder(np.array([x]))[0][:, 0]
    return [float(step) for step in steps if step > 0]


@pytest.mark.parametrize("x", [0.0, 1.0, -3.7, 1e-3, 1e-30, 1e-300, 5e-324, 1e8, 1e300, 1.7e308])
def test_steps_fall_and_are_at_most_sixty(x: float) -> None:
    steps = steps_of(x)
    assert 20 <= len(steps) <= 60
    assert steps == sorted(set(steps), reverse=True)
    assert np.isfinite(x + steps[0])
    assert np.isfinite(x - steps[0])


@pytest.mark.parametrize("x", [0.3, -1e-3, 1e-30, 1e-300])
def test_small_inputs_climb_to_four(x: float) -> None:
    assert steps_of(x)[0] == 4


@pytest.mark.parametrize("x", [1.0, 1e-3, 1e8])
def test_finest_step_is_a_few_units_in_the_last_place(x: float) -> None:
    assert 1 <= steps_of(x)[-1] / np.spacing(x) <= 8


@pytest.mark.parametrize("bits", [24, 11, 8])
def test_in_a_narrower_dtype_it_ends_at_its_units(bits: int) -> None:
    steps = ladder(np.array([1.0]), bits)[0][:, 0]
    assert 1 <= steps[-1] / 2.0 ** (1 - bits) <= 8


def test_unused_steps_are_zero_and_come_first() -> None:
    steps, _ = ladder(np.array([1.0, 1e-3]))
    unused = int(np.count_nonzero(steps[:, 0] == 0))
    assert unused == len(steps) - 28
    assert (steps[:unused, 0] == 0).all()


def test_scale_is_four_times_the_power_of_two_below() -> None:
    assert ladder(np.array([0.0, 1.0, -3.0, 0.3]))[1].tolist() == [4.0, 4.0, 8.0, 1.0]


def samples(values: Array, centre: float) -> Samples:
    """One input's samples at the steps 4⁻ᵏ; `values` are (2, levels)."""
    step = 4.0 ** -np.arange(values.shape[1])[:, None]
    forward, backward = values[..., None]
    return Samples(
        np.zeros(1, dtype=np.intp),
        step,
        np.array([4.0]),
        forward,
        backward,
        np.array([centre]),
        np.zeros(step.shape),
    )


def test_slope_of_a_line_is_its_slope() -> None:
    step = 4.0 ** -np.arange(6)
    found = differences(samples(np.stack([1 + 3 * step, 1 - 3 * step]), 1.0))
    assert (found.slope == 3).all()
    assert (found.second == 0).all()


def test_value_that_is_not_finite_drops_its_level_only() -> None:
    step = 4.0 ** -np.arange(6)
    values = np.stack([1 + step, 1 - step])
    values[1, 0] = np.inf
    with np.errstate(all="ignore"):
        slope = differences(samples(values, 1.0)).slope
    assert np.isnan(slope[:, 0]).tolist() == [True] + [False] * 5


def test_noise_is_what_the_finest_levels_show() -> None:
    values = np.ones((2, 8))
    values[0, 6] += 1e-9
    assert np.allclose(differences(samples(values, 1.0)).noise, 1e-9)


def test_jump_is_not_noise() -> None:
    found = differences(samples(np.stack([np.ones(8), np.zeros(8)]), 1.0))
    assert (found.noise < 1e-15).all()


def test_no_two_steps_for_a_sum_are_a_power_of_two_apart() -> None:
    steps, _ = ladder(np.array([0.0]), is_sum=True)
    parts = np.frexp(steps[:, 0])[0]
    assert (parts[1:] != parts[:-1]).all()


def test_rounding_beside_the_point_counts_where_it_is_many_times_as_large() -> None:
    beside = np.array([[8.0, 9.0], [7.0, 8.0], [1.0, 9.0], *[[0.0, 2.0]] * 4])
    found = rounding_by_level(np.array([0.0, 1.0]), np.stack([beside, 0 * beside]))
    assert found[:, 0].tolist() == [8, 7, 1, 0, 0, 0, 0]
    assert found[:, 1].tolist() == [9, 1, 9, 1, 1, 1, 1]


def test_rounding_at_the_finest_steps_is_that_at_the_point() -> None:
    beside = np.array([[0.0], [3.0], [0.0], [0.0], [2.0], [0.0]])
    assert (rounding_by_level(np.zeros(1), np.stack([0 * beside, beside])) == 2).all()
