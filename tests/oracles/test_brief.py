"""The first look: what it settles is right, and it sends on what it cannot know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.oracles import brief
from gradcheck.oracles.brief import Looked, Probe
from gradcheck.oracles.differences import EPSILON
from gradcheck.oracles.extrapolation import Candidates

Scalar = Callable[[Array], Array]


def look(function: Scalar, x: float) -> Candidates:
    """The look at a function of a number."""
    at = np.array([x])
    step = brief.steps(at)
    forward, backward = at + step, at - step
    centre = function(at)
    noise = brief.probe(function(at + offsets(x)), centre, EPSILON).noise
    seen = Looked(step, forward - backward, function(forward), function(backward), centre, noise)
    return brief.look(seen, EPSILON)


def offsets(x: float) -> Array:
    return brief.PROBES * brief.SPACING * brief.direction(np.array([x]))


@pytest.mark.parametrize(
    ("function", "derivative", "x"),
    [
        (np.sin, np.cos, 1.1),
        (np.exp, np.exp, -0.4),
        (np.log, np.reciprocal, 3.7),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), 0.02),
        (lambda x: x**5 - x, lambda x: 5 * x**4 - 1, -2.5),
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2, 0.0),
    ],
)
def test_a_smooth_function_is_settled(function: Scalar, derivative: Scalar, x: float) -> None:
    found, truth = look(function, x), derivative(np.array([x]))
    assert abs(found.value - truth) <= 2 * found.bound
    assert found.bound <= 1e-9 * abs(truth)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (np.abs, 0.0),
        (lambda x: np.exp(x) + 1e-6 * np.abs(x), 0.0),
        (lambda x: 100 * (x - 1) ** 2 + 0.01 * np.abs(x - 1), 1.0),
        (np.floor, 2.0),
        (np.sin, 1e8),
        (lambda x: np.tanh(1e5 * (x - 0.5)), 0.500001),
        (lambda x: np.sqrt(np.where(x < 0, np.nan, x)), 0.0),
        (lambda x: np.where(np.abs(x - 1) < 1e-3, x, 0 * x), 1.0),
    ],
)
def test_kinks_jumps_edges_and_fine_structure_are_not(function: Scalar, x: float) -> None:
    with np.errstate(all="ignore"):
        found = look(function, x)
    assert not found.bound <= 1e-9 * abs(found.value)


def test_an_input_that_is_no_scale_needs_a_ladder() -> None:
    steps = brief.steps(np.array([0.0, 1e-7, 1.0, -5e-324, 1e305]))
    assert np.isnan(steps[0]).tolist() == [False, True, False, True, True]


@pytest.mark.parametrize("size", [1e-12, 1e-9])
def test_noise_is_as_large_as_it_is(size: float) -> None:
    draw = np.random.RandomState(8)
    sine = np.sin(1.1 + offsets(1.1)) + size * draw.standard_normal((8, 500))
    noise = brief.probe(sine, np.sin([1.1]) + size * draw.standard_normal(500), EPSILON).noise
    # Four times a standard deviation that is estimated from six values.
    assert size < np.quantile(noise, 0.1)
    assert noise.max() < 20 * size


def test_the_slope_along_the_fresh_points() -> None:
    at = np.array([1.1])
    found = brief.probe(np.sin(at + offsets(1.1)), np.sin(at), EPSILON)
    assert np.isclose(found.slope, np.cos(1.1) * brief.direction(at), rtol=1e-12)


def test_fresh_points_that_show_another_slope_unsettle_their_output() -> None:
    probe = Probe(np.full(3, 1e-16), np.array([1.0, 2.0, np.nan]))
    bound = brief.confirmed(np.full((2, 3), 1e-12), np.array([1.0, 2.001, 1.0]), np.zeros(3), probe)
    assert (np.isinf(bound) == [[False, True, True]]).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1e-12 * torch.sin(1e12 * x),
        lambda x: x + 1e-9 * torch.abs(x - 1),
    ],
    ids=["a ripple", "a faint kink"],
)
def test_what_looks_like_rounding_but_is_none_is_sent_on(
    function: Callable[[Tensor], Tensor],
) -> None:
    from gradcheck.oracles.numeric import jacobian

    ball = jacobian(function, torch.tensor(1.0, dtype=torch.float64), effort="quick")
    assert ball.radius > 1e-9
