"""Sparse Jacobians by few differences, whose pattern somebody else tells, rightly or not."""

import numpy as np
import pytest
import torch
from torch import Tensor

import gradcheck
from gradcheck.oracles import compressed

SIZE = 80


def numbers(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def sparse_matrix(seed: int, density: float) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    kept = torch.rand(SIZE, SIZE, generator=draw) < density
    return numbers(seed, SIZE, SIZE) * kept


@pytest.mark.parametrize(
    ("nonzero", "colors"),
    [
        (np.eye(5, dtype=np.bool_), 1),
        (np.eye(5, 9, dtype=np.bool_), 1),
        (np.zeros((3, 4), dtype=np.bool_), 1),
        (np.zeros((0, 4), dtype=np.bool_), 1),
        (np.ones((3, 4), dtype=np.bool_), 4),
        (np.tri(40, k=1, dtype=np.bool_) & ~np.tri(40, k=-2, dtype=np.bool_), 3),
    ],
    ids=["diagonal", "wide", "zero", "no output", "dense", "tridiagonal"],
)
def test_columns_of_one_color_share_no_row(nonzero: np.ndarray, colors: int) -> None:
    found = compressed.coloring(nonzero)
    assert len(set(found.tolist())) == colors
    for color in set(found.tolist()):
        assert (nonzero[:, found == color].sum(axis=1) <= 1).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_jacobian_of_the_pattern_that_was_told_is_found_within_its_radius(seed: int) -> None:
    matrix, x = sparse_matrix(seed, 0.02), numbers(seed + 1000, SIZE)

    truth = (torch.cos(matrix @ x)[:, None] * matrix).numpy()
    found = compressed.jacobian(lambda x: torch.sin(x @ matrix.T), x, truth != 0)
    assert found is not None
    assert (np.abs(found.midpoint - truth) <= 2 * found.radius).all(), f"seed {seed}"
    assert found.radius.max() <= 1e-7 * np.abs(truth).max(), f"seed {seed}"


@pytest.mark.parametrize("seed", range(50))
def test_an_entry_that_is_wrongly_taken_for_zero_is_seen(seed: int) -> None:
    matrix, x = sparse_matrix(seed, 0.02), numbers(seed + 1000, SIZE)
    nonzero = (matrix != 0).numpy()
    rows, columns = np.nonzero(nonzero)
    dropped = np.random.RandomState(seed).randint(len(rows))
    nonzero[rows[dropped], columns[dropped]] = False
    found = compressed.jacobian(lambda x: torch.tanh(x @ matrix.T), x, nonzero)
    assert found is None, f"seed {seed}"


@pytest.mark.parametrize("seed", range(20))
def test_entries_that_are_taken_to_be_in_other_places_are_seen(seed: int) -> None:
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(seed))
    x = numbers(seed, SIZE)
    nonzero = np.eye(SIZE, dtype=np.bool_)
    found = compressed.jacobian(lambda x: torch.sin(x)[order], x, nonzero)
    assert found is None, f"seed {seed}"


def test_moving_inputs_alone_is_left_to_others_where_it_costs_as_much() -> None:
    x = numbers(0, 10)
    assert compressed.jacobian(lambda x: x.sum() * x, x, np.ones((10, 10), dtype=np.bool_)) is None


def test_a_kink_is_not_told() -> None:
    x = numbers(3, SIZE)
    x[5] = 0.0
    found = compressed.jacobian(torch.relu, x, np.eye(SIZE, dtype=np.bool_) & (x > 0).numpy())
    assert found is None or np.isinf(found.radius).any()


class Reversed(torch.autograd.Function):
    """Its backward forgets that the order is reversed."""

    @staticmethod
    def forward(ctx, x):
        return torch.flip(x, [0]) * 2.0

    @staticmethod
    def backward(ctx, cotangent):
        return cotangent * 2.0


def test_a_backward_that_forgets_a_permutation_fails() -> None:
    report = gradcheck.check(Reversed.apply, numbers(1, SIZE), conditions="none")
    assert [(r.verdict, r.blame) for r in report.results] == [("fail", "autograd")]


def test_a_function_that_vmap_refuses_is_evaluated_a_few_times() -> None:
    calls = 0

    def function(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return torch.exp(x) if float(x.sum()) < 1e9 else x  # vmap refuses a branch on a number

    x = numbers(2, 500).clamp(-2, 2).requires_grad_()
    assert gradcheck.check(function, x).ok
    assert calls <= 60
