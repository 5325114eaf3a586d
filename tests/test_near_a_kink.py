"""Right modules with a ReLU whose kink is near the point, some 1e-3 away: derivatives are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradcheck
from gradcheck.oracles.numeric import jacobian

Module = Callable[[], nn.Module]


def encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)


def block() -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(4), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.LayerNorm(4)
    )


def made(module: Module, seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    return module().double(), torch.randn(2, 3, 4).double()


class Also(torch.autograd.Function):
    """`y`, whose derivative by an entry of `x` is said to be more by `amount`, in one entry."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, output: int, input: int, amount: float) -> Tensor:
        ctx.planted = output, input, amount
        ctx.shape = x.shape
        return y.clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        output, input, amount = ctx.planted
        more = cotangent.new_zeros(ctx.shape)
        more.view(-1)[input] = amount * cotangent.reshape(-1)[output]
        return more, cotangent, None, None, None


@pytest.mark.parametrize("seed", [0, 2, 5, 7, 9, 10])
def test_an_encoder_layer_passes(seed: int) -> None:
    module, x = made(encoder, seed)
    assert gradcheck.check(module, x, conditions="none").verdict == "pass"


@pytest.mark.parametrize("seed", [0, 7, 8, 9])
def test_a_block_of_norms_passes(seed: int) -> None:
    module, x = made(block, seed)
    assert gradcheck.check(module, x, conditions="none").verdict == "pass"


@pytest.mark.parametrize(
    ("module", "seed", "entry"),
    [(encoder, 0, (23, 20)), (encoder, 2, (1, 0)), (encoder, 11, (18, 16)), (block, 7, (18, 17))],
)
def test_one_wrong_entry_by_a_kink_is_found(
    module: Module, seed: int, entry: tuple[int, int]
) -> None:
    """The entries are some whose kink is nearby."""
    right, x = made(module, seed)

    def wrong(x: Tensor) -> Tensor:
        return Also.apply(x, right(x), *entry, 1e-5)

    assert gradcheck.check(wrong, x, conditions="none").verdict == "fail"


def line_with_kinks(x: Tensor) -> Tensor:
    return torch.sin(x) + 0.03 * torch.relu(x - 0.705) - 0.01 * torch.relu(0.69 - x)


def test_a_faint_kink_nearby_leaves_the_derivative_sharp() -> None:
    found = jacobian(line_with_kinks, torch.tensor(0.7, dtype=torch.float64))
    assert abs(float(found.midpoint) - np.cos(0.7)) <= 2 * float(found.radius) <= 1e-9


@pytest.mark.parametrize("x", [0.7, 1.0, 1.3, 2.0, -1.7])
@pytest.mark.parametrize("large", [1e10, 1e12, 1e13])
def test_stairs_that_rounding_makes_are_no_kinks(x: float, large: float) -> None:
    """In numpy, where no noise can be put into what is rounded."""

    def rounded(t: Tensor) -> Tensor:
        v = t.numpy()
        return torch.from_numpy(np.asarray(np.sin(v) + ((v * v + large) - large)))

    found = jacobian(rounded, torch.tensor(x, dtype=torch.float64))
    assert abs(float(found.midpoint) - (np.cos(x) + 2 * x)) <= 2 * float(found.radius)
