"""Derivatives along a direction hold their bound, and name nothing but what is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.oracles.batched import Batched, Function
from gradcheck.oracles.directional import (
    LEAST,
    Line,
    along_roughly,
    random_entries,
    slopes_along,
)

SEED = 4


def normal(*shape: int, seed: int = SEED) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def line(function: Function, point: Tensor, direction: Tensor, *cotangents: Tensor) -> Line:
    batched = Batched(function, point, torch.float64)
    value = torch.from_numpy(batched.value)
    return Line(batched, point, value, direction, torch.stack(cotangents))


def holds(ball: Ball, truth: float) -> bool:
    return bool(abs(float(ball.midpoint) - truth) <= 2 * float(ball.radius))


def test_random_entries_are_as_large_as_is_said_and_of_either_sign() -> None:
    entries = random_entries(10_000, SEED, torch.device("cpu"))
    assert ((entries.abs() >= LEAST) & (entries.abs() <= 1.5)).all()
    assert 0.45 < (entries > 0).double().mean() < 0.55
    assert abs(entries.abs().mean() - 1) < 0.02
    assert torch.equal(entries, random_entries(10_000, SEED, torch.device("cpu")))


@pytest.mark.parametrize("size", [1, 3, 200])
def test_a_dense_layer(size: int) -> None:
    weight, x = normal(size, size) / size**0.5, normal(size, seed=5)
    u, v, d = (random_entries(size, seed, torch.device("cpu")) for seed in (1, 2, 3))
    jacobian = (1 - torch.tanh(weight @ x) ** 2)[:, None] * weight
    balls = slopes_along(line(lambda x: torch.tanh(weight @ x), x, d, u, v), enough=1e-8)
    for cotangent, ball in zip((u, v), balls, strict=True):
        truth = float(cotangent @ jacobian @ d)
        assert holds(ball, truth)
        assert ball.radius <= 1e-8 * max(1.0, size**0.5)


def test_the_bound_is_against_more_digits_than_float64_has() -> None:
    x = 0.75 + torch.arange(20, dtype=torch.float64) / 8
    u, d = (random_entries(20, seed, torch.device("cpu")) for seed in (6, 7))
    (ball,) = slopes_along(line(lambda x: torch.log(x) * torch.sin(x), x, d, u), enough=1e-10)
    with mp.workdps(40):
        truth = sum(
            mpf(a) * mpf(b) * (mp.sin(mpf(t)) / mpf(t) + mp.log(mpf(t)) * mp.cos(mpf(t)))
            for a, b, t in zip(u.tolist(), d.tolist(), x.tolist(), strict=True)
        )
        assert abs(mpf(float(ball.midpoint)) - truth) <= 2 * mpf(float(ball.radius))
    assert ball.radius < 1e-9


def test_where_kinks_are_near_the_ladder_goes_on_to_finer_steps() -> None:
    x = normal(20_000)
    u, d = (random_entries(20_000, seed, torch.device("cpu")) for seed in (8, 9))
    (ball,) = slopes_along(line(torch.relu, x, d, u), enough=1e-8)
    assert holds(ball, float((u * (x > 0) * d).sum()))
    assert ball.radius < 1e-4


def test_a_kink_at_the_point_is_told_and_has_subgradients() -> None:
    x = normal(50)
    x[7] = 0.0
    u, d = torch.ones(50, dtype=torch.float64), torch.ones(50, dtype=torch.float64)
    at = line(torch.relu, x, d, u)
    (ball,) = slopes_along(at, enough=1e-8)
    assert np.isinf(ball.radius)
    assert "a kink at this point" in ball.notes[0]
    (between,) = slopes_along(at, enough=1e-8, subgradient=True)
    positive = float((x > 0).sum())
    for value in (positive, positive + 0.5, positive + 1):
        assert between.distance_to(np.array(value)) <= 2 * between.radius
    assert between.distance_to(np.array(positive - 0.01)) > 2 * between.radius


def test_noise_of_the_function_is_in_the_radius() -> None:
    def noisy(x: Tensor) -> Tensor:
        return (1e12 + x) - 1e12

    x = normal(100)
    u, d = (random_entries(100, seed, torch.device("cpu")) for seed in (10, 11))
    (ball,) = slopes_along(line(noisy, x, d, u), enough=1e-8)
    assert holds(ball, float((u * d).sum()))
    assert ball.radius > 1e-7


def test_a_function_of_no_effect_has_slope_0() -> None:
    x = normal(30)
    d = random_entries(30, 12, torch.device("cpu"))
    at = line(lambda x: torch.zeros(4, dtype=torch.float64) + 0 * x[:4], x, d, d[:4])
    (ball,) = slopes_along(at, enough=1e-8)
    assert holds(ball, 0.0)
    assert ball.radius < 1e-12


def test_roughly_is_good_to_eight_digits() -> None:
    weight, x = normal(30, 20), normal(20, seed=5)
    d = random_entries(20, 13, torch.device("cpu"))
    found = along_roughly(line(lambda x: torch.sin(weight @ x), x, d, normal(30)))
    truth = torch.cos(weight @ x) * (weight @ d)
    assert (found - truth).abs().max() < 1e-6 * truth.abs().max()


@pytest.mark.parametrize("outputs", [1, 2_000])
def test_rounding_that_is_odd_about_the_point_is_noise(outputs: int) -> None:
    def centred(x: Tensor) -> Tensor:
        return (x - x.mean()).sum().expand(outputs)

    x, u, d = torch.zeros(2_000, dtype=torch.float64), normal(outputs), normal(2_000, seed=5)
    (ball,) = slopes_along(line(centred, x, d, u), enough=1e-20)
    assert holds(ball, 0.0)
