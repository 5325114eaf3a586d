"""torch's meaning of every word against its meaning in balls: values and gradients, both dtypes.

What torch computes has to lie within twice the ball that as many bits make.
"""

import math
import random

import numpy as np
import pytest
import torch
from word_examples import CASES, DOMAIN, UNARY, VALUES

from gradcheck.functions import Segment, Step
from gradcheck.language.parser import parse
from gradcheck.oracles import autograd, bounds
from gradcheck.rigorous.elements import as_array
from gradcheck.rigorous.numbers import exactly, precision
from gradcheck.rigorous.rounded import Rounded
from gradcheck.torch_meaning import TorchMeaning

CPU = torch.device("cpu")
DTYPES = [torch.float64, torch.float32]


def scoped(dtype):
    tensors = {name: torch.from_numpy(value) for name, value in VALUES.items()}
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}


def assert_value_within(text, scope, dtype):
    meaning, format = TorchMeaning(dtype, CPU), bounds.format_of(dtype)
    found = meaning.tensor(parse(text).evaluate(scope, meaning)).double().numpy()
    with precision(format.bits):
        rounded = Rounded(format)
        exact = {name: exactly(value) for name, value in scope.items()}
        ball = as_array(rounded.counted(parse(text).evaluate(exact, rounded)))
    assert found.shape == ball.shape
    smallest = float(format.smallest)
    for value, entry in zip(found.flat, ball.flat, strict=True):
        with np.errstate(invalid="ignore"):
            apart = abs(float(entry.mid()) - value)
        assert rounded.overflowed or apart <= 2 * float(entry.rad()) + smallest, (text, value)


def assert_gradient_within(text, start, scope, dtype):
    steps = (Step("out", parse(text)),)
    in_torch = Segment(steps, start, "out", scope)
    in_balls = Segment(steps, start, "out", {name: exactly(v) for name, v in scope.items()})
    found = autograd.jacobian(in_torch, scope[start], TorchMeaning(dtype, CPU)).double().numpy()
    output = found.shape[: found.ndim - scope[start].ndim]
    bound = bounds.of_gradient(in_balls, output, bounds.format_of(dtype))
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - bound.midpoint)
    assert bound.left_range or (apart <= bound.radius).all(), (text, start, found, bound)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_a_word_s_value(text, dtype):
    assert_value_within(text, scoped(dtype), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_a_word_s_gradient(text, dtype):
    scope = scoped(dtype)
    for name in parse(text).names:
        if scope[name].is_floating_point():
            assert_gradient_within(text, name, scope, dtype)


HARD = [0.5, -0.5, 1e-3, -1e-3, 1e-8, 1e-30, 19.5, 30.0, -30.0, 80.0, -80.0, 1e3]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_an_elementwise_word_at_random_and_at_hard_points(name, dtype):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    low, high = DOMAIN.get(name, (-math.inf, math.inf))
    points = [draw.uniform(max(low, -5), min(high, 5)) for _ in range(30)] + HARD
    for x in points:
        value = torch.tensor(x, dtype=dtype)
        is_whole = float(value).is_integer() or float(value) % 1 == 0.5
        if not low < value < high or (is_whole and name in ("floor", "round", "lgamma", "digamma")):
            continue
        assert_value_within(f"{name}(x)", {"x": value}, dtype)
        assert_gradient_within(f"{name}(x)", "x", {"x": value}, dtype)
