"""Every result is moved a little, and what is exact is left alone."""

import random

import numpy as np
import pytest
import torch

from gradcheck.language.parser import parse
from gradcheck.language.vocabulary import POINTWISE, WORDS
from gradcheck.oracles.monte_carlo import BLOCK, Disturbed, MonteCarlo, Noise
from gradcheck.oracles.rounding import deviation, repeated
from gradcheck.torch_meaning import TorchMeaning

CPU = torch.device("cpu")
D = torch.float64


def test_in_place_operations_are_moved():
    with MonteCarlo(Noise(2.0**-10, 1)):
        x = torch.ones(8, dtype=torch.float64)
        same = x
        x.mul_(1.1)
    assert same is x
    assert len(set(x.tolist())) == 8


def test_views_are_not_moved_and_stay_views():
    x = torch.arange(6.0)
    with MonteCarlo(Noise(2.0**-10, 1)):
        view = x.reshape(2, 3).T[1]
    assert view.tolist() == [1, 4]
    assert view._base is not None


def test_moving_and_picking_is_exact():
    x = torch.tensor([0.1, -0.3, 0.7])
    with MonteCarlo(Noise(2.0**-10, 1)):
        assert torch.equal(torch.maximum(x, -x), torch.tensor([0.1, 0.3, 0.7]))
        assert torch.equal(torch.stack([x, x])[1].flip(0), torch.tensor([0.7, -0.3, 0.1]))
        assert torch.equal(torch.where(x > 0, x, 0), torch.tensor([0.1, 0, 0.7]))
        columns = torch.nn.functional.unfold(x[None, None], (1, 2))
        assert torch.equal(columns, torch.tensor([[0.1, -0.3], [-0.3, 0.7]]))


def test_blocks_that_are_summed_are_moved():
    columns = torch.tensor([[0.1, -0.3], [-0.3, 0.7]])
    folded = torch.nn.functional.fold(columns, (1, 3), (1, 2))
    with MonteCarlo(Noise(2.0**-10, 1)):
        moved = torch.nn.functional.fold(columns, (1, 3), (1, 2))
    assert (moved != folded).all()
    assert torch.allclose(moved, folded, rtol=2.0**-7)


def test_arithmetic_on_whole_numbers_is_exact():
    index = torch.arange(4.0)
    with MonteCarlo(Noise(2.0**-10, 1)):
        assert (2 * index + 1 - index).tolist() == [1, 2, 3, 4]
        assert (index * 0.1).tolist() != (torch.arange(4.0) * 0.1).tolist()
        assert (index + 0.5).tolist() != [0.5, 1.5, 2.5, 3.5]
        assert (torch.tensor([3e9]) + torch.tensor([1.0])).item() != 3e9  # above 2**24: rounds


@pytest.mark.parametrize("size", [1, 2, 5, BLOCK, BLOCK + 1])
def test_amounts_are_two_half_units_at_most_and_not_repeated(size):
    noise = Noise(2.0**-20, 1)
    ones = torch.ones(size, dtype=D)
    moved = [(noise.move(ones) - 1) * 2.0**20 for _ in range(4)]
    assert all(float(amounts.abs().max()) <= 2 for amounts in moved)
    assert not any(torch.equal(a, b) for a in moved for b in moved if a is not b)
    if size > 100:
        assert all(abs(float(amounts.mean())) < 0.1 for amounts in moved)
        assert all(float(amounts.abs().max()) > 1.9 for amounts in moved)


def test_the_same_noise_moves_the_same_however_much_was_drawn_elsewhere():
    def moved():
        noise = Noise(2.0**-20, 1)
        return [noise.move(torch.ones(n, dtype=D)) for n in (3, 1, BLOCK + 1, 3)]

    first = moved()
    Noise(2.0**-20, 1).move(torch.ones(7, dtype=D))
    assert all(torch.equal(a, b) for a, b in zip(first, moved(), strict=True))


@pytest.mark.parametrize("text", ["2*x + 1", "relu(x)*3", "floor(x/1) - x", "abs(-x)", "x*x"])
def test_words_on_whole_numbers_are_exact(text):
    expression, x = parse(text, scope=["x"]), torch.tensor([3.0, 3.0, 3.0], dtype=D)
    exact = expression.evaluate({"x": x}, TorchMeaning(D, CPU))
    assert torch.equal(
        expression.evaluate({"x": x}, Disturbed(Noise(2.0**-53, 0), 3, D, CPU)), exact
    )


FORMULAS = [
    "sin(x)*exp(x)",
    "(1 - cos(x))/x**2",
    "log(1 + exp(x)) - x/2",
    "sigmoid(3*x)*(1 - sigmoid(3*x))",
    "tanh(x)/sqrt(1 + x**2)",
    "erf(x) + 2/sqrt(pi)*exp(-x**2)",
    "where(x > 0.5, x**3, x*0.1)",
]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("x", [1e-3, 0.3, 0.77, 2.1])
def test_moving_words_measures_what_moving_all_of_torch_measures(text, x):
    expression, point = parse(text, scope=["x"]), torch.tensor(x, dtype=D)

    def value(x, meaning):
        return expression.evaluate({"x": x}, meaning)

    def word_by_word(count, noise):
        return value(point.expand(count), Disturbed(noise, count, D, CPU))

    by_mode = repeated(lambda: value(point, TorchMeaning(D, CPU)))
    first, spread = deviation(word_by_word, 2.0**-53, samples=64)
    at, spread_by_mode = deviation(by_mode, 2.0**-53, samples=64)
    np.testing.assert_allclose(first, at, rtol=1e-15)
    assert 1 / 3 < float(spread / spread_by_mode) < 3


def test_every_sample_has_its_own_draw_of_what_depends_on_constants_alone():
    expression, x = parse("x*0 + sqrt(c) + sqrt(2)", scope=["x", "c"]), torch.zeros(64, dtype=D)
    scope = {"x": x, "c": torch.tensor(0.3, dtype=D)}
    samples = expression.evaluate(scope, Disturbed(Noise(2.0**-30, 0), 64, D, CPU))
    assert len(set(samples.tolist())) == 64
    spread = expression.evaluate(scope, Disturbed(Noise(2.0**-30, 0), 64, D, CPU)).std()
    assert float(spread) > 2.0**-30  # of three roundings, of about 1 unit each


_SETTINGS = {"full_like": {"fill_value": 2}, "clamp": {"min": 0.4}, "polygamma": {"n": 2}}


def test_pointwise_words_of_numbers_side_by_side_are_those_of_each_number():
    """What is_pointwise promises, for every word that keeps it."""
    rng = random.Random(5)
    tested = 0
    for name in sorted(POINTWISE):
        word = WORDS[name]
        values = [p for p in word.parameters if p.is_value and not p.optional]
        if word.signature is None or any(p.kind == "raw" for p in values) or name == "detach":
            continue
        rows = [[rng.uniform(0.2, 0.9) for _ in range(6)] for _ in values]
        settings = _SETTINGS.get(name, {})
        meaning = TorchMeaning(D, CPU)
        columns = [torch.tensor(row, dtype=D) for row in rows]
        together_ = meaning.call(word, columns, settings)
        alone = [meaning.call(word, [column[i] for column in columns], settings) for i in range(6)]
        assert together_.shape == (6,), name
        np.testing.assert_allclose(together_.double(), torch.stack(alone).double(), rtol=1e-14)
        tested += 1
    assert tested > 45
