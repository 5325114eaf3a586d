"""The laws of Neville's scheme, and of its bound."""

from __future__ import annotations

import numpy as np

from gradcheck.oracles.extrapolation import neville


def test_neville_is_exact_for_an_even_polynomial_of_its_degree() -> None:
    step = 4.0 ** -np.arange(8)[:, None]
    best = neville(7 + 3 * step**2 - 2 * step**8, np.zeros_like(step), step)
    assert best.bound.min() <= 1e-13
    assert abs(best.value[np.argmin(best.bound)] - 7) <= 1e-14


def test_bound_is_not_below_the_noise() -> None:
    step = 4.0 ** -np.arange(8)[:, None]
    best = neville(np.full_like(step, 7.0), 1e-3 / step, step)
    assert (best.bound >= 2e-3 / step).all()


def test_missing_level_has_no_candidate() -> None:
    step = 4.0 ** -np.arange(8)[:, None]
    slope = 7 + step**2
    slope[2] = np.nan
    best = neville(slope, np.zeros_like(step), step)
    assert np.isinf(best.bound[2])
    assert abs(best.value[6] - 7) <= best.bound[6] < 1e-6
