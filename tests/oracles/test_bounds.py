"""Bounds on rounding against torch's own evaluations and the proven truth."""

import random

import numpy as np
import pytest
import rounding
import torch

from gradcheck.answers import Answers
from gradcheck.casefile.load import load
from gradcheck.oracles import bounds
from gradcheck.place import Place
from gradcheck.truths import Truths

DTYPES = ["float64", "float32", "float16", "bfloat16"]


@pytest.fixture
def asked(write):
    def asked(function, inputs, formula="0*x", dtype="float64"):
        text = f'function: "{function}"\ninputs: {inputs}\nderivatives: {{x: "{formula}"}}'
        (case,) = load(write(text)).cases
        place = Place.at(case, case.points[0], dtype, "cpu")
        return Answers(place, case.claims[0]), Truths(place), case.claims[0]

    return asked


def test_a_format_is_the_dtype_s():
    half = bounds.format_of(torch.float16)
    assert (half.bits, float(half.largest), float(half.smallest)) == (11, 65504, 2.0**-24)
    assert float(bounds.format_of(torch.bfloat16).unit) == 2.0**-8
    assert float(bounds.format_of(torch.float64).smallest) == 5e-324


FUNCTIONS = [
    ("log(1 + exp(x))", "{x: -9.0}"),
    ("(1 - cos(x))/x**2", "{x: 0.04}"),
    ("softmax(x, 0)[1]", "{x: [3.0, -2.5, 4.0]}"),
    ("x[0]/x[1] - sqrt(x[0])", "{x: [3.0, 1.75]}"),
    ("sum(tanh(outer(x, x)))", "{x: [0.3, -1.2, 0.7]}"),
    ("norm(x)*mean(x)", "{x: [100.0, -99.0, 0.5]}"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS)
def test_torch_s_gradient_is_within_its_bound_of_the_truth(asked, function, inputs, dtype):
    answers, truths, claim = asked(function, inputs, dtype=dtype)
    truth = truths.exact(claim).ball()
    bound = answers.gradient_bound(bounds.format_of(answers.value.dtype))
    found = answers.gradient.double().numpy()
    assert (truth.distance_to(found) <= bound.radius + truth.radius).all()
    assert not bound.left_range


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("formula", "inputs"), [f for f in FUNCTIONS if "[" not in f[1]])
def test_torch_s_value_of_a_formula_is_within_its_bound(asked, formula, inputs, dtype):
    answers, truths, claim = asked("x", inputs, formula, dtype=dtype)
    (written,) = claim.formulas
    truth = truths.exact_formula(claim, written).ball()
    bound = answers.formula_bound(written, bounds.format_of(answers.value.dtype))
    found = answers.evaluate(written).double().numpy()
    assert (truth.distance_to(found) <= bound.radius + truth.radius).all()


def test_cancellation_widens_a_bound_as_much_as_it_costs(asked):
    radius = {}
    for x in ("2.0", "1e-4"):
        answers, _, claim = asked("x", f"{{x: {x}}}", "(1 - cos(x))/x**2")
        (written,) = claim.formulas
        bound = answers.formula_bound(written, bounds.format_of(torch.float64))
        radius[x] = float(bound.radius)
    assert radius["2.0"] < 1e-15
    assert 1e-9 < radius["1e-4"] < 1e-7  # u/x² is 1.1e-8


def test_the_order_of_a_sum_is_nobody_s_promise(asked):
    # Added from the left nothing is lost, in another order up to a unit of 2**24.
    x = "{x: [16777216.0, -16777216.0, 1.0]}"
    answers, _, claim = asked("sum(x)", x, "sum(x)*ones(3)", dtype="float32")
    (written,) = claim.formulas
    bound = answers.formula_bound(written, bounds.format_of(torch.float32))
    assert (bound.radius >= 2.0).all()


def test_plain_numbers_are_rounded_as_python_rounds_them(asked):
    answers, _, claim = asked("x", "{x: 1.0}", "x + (1 + 1e16 - 1e16)")
    (written,) = claim.formulas
    bound = answers.formula_bound(written, bounds.format_of(torch.float64))
    assert float(answers.evaluate(written)) == 1.0  # where 2 is exact
    assert bound.radius >= 2.0


def test_an_overflow_explains_everything_and_an_underflow_a_subnormal(asked):
    answers, _, claim = asked("x", "{x: 300.0}", "x*x/x", dtype="float16")
    (written,) = claim.formulas
    bound = answers.formula_bound(written, bounds.format_of(torch.float16))
    assert bound.left_range
    assert np.isinf(bound.radius)
    answers, _, claim = asked("x", "{x: 1e-4}", "x*x", dtype="float16")
    (written,) = claim.formulas
    bound = answers.formula_bound(written, bounds.format_of(torch.float16))
    assert bound.left_range
    assert 2.0**-24 <= float(bound.radius) <= 2.0**-21


def test_an_undecided_choice_is_no_bound(asked):
    answers, _, claim = asked("x", "{x: 0.1}", "where(x*10 - 1 > 0, x, -x)", dtype="float32")
    (written,) = claim.formulas
    bound = answers.formula_bound(written, bounds.format_of(torch.float32))
    assert np.isinf(bound.radius)
    assert not bound.left_range


def test_what_takes_too_long_is_left_to_monte_carlo_arithmetic(asked, monkeypatch):
    answers, _, _ = asked("tanh(x)", "{x: [0.5, 0.25]}")
    monkeypatch.setattr(bounds, "SWEEPS", 1)
    assert answers.gradient_bound(bounds.format_of(torch.float64)) is None
    assert answers.rounded_gradient().basis == "estimated"


def test_what_would_take_that_too_long_too_is_known_by_its_distance_from_the_truth(
    asked, monkeypatch
):
    monkeypatch.setattr(bounds, "MEASURED", 1)
    answers, truths, claim = asked("log(1 + exp(x)) - x", "{x: [30.0, 1.0]}")
    assert np.isinf(answers.gradient_bound(bounds.format_of(torch.float64)).radius).all()
    assert np.isinf(answers.rounded_gradient().radius).all()
    ball = answers.autograd(truths.exact(claim).ball())
    assert ball.basis == "proven"
    assert (ball.radius < 1e-15).all()


def test_a_bound_that_is_too_wide_is_replaced_by_a_measurement(asked):
    logistic_map = "x"  # balls forget that it is the same x twice
    for _ in range(7):
        logistic_map = f"(3.6*({logistic_map}) - 3.6*({logistic_map})**2)"
    answers, _, claim = asked("exp(x)", "{x: 0.4}", logistic_map, dtype="float32")
    (written,) = claim.formulas
    found = answers.evaluate(written)
    wide = answers.formula_bound(written, bounds.format_of(torch.float32))
    ball = answers.rounded_formula(written, found)
    assert wide.radius > 1e-3 * float(found)
    assert (ball.basis, ball.radius <= wide.radius) == ("estimated", True)


def test_a_truth_next_door_is_the_bound(asked):
    answers, truths, claim = asked("sin(x)", "{x: 0.5}")
    ball = answers.autograd(truths.exact(claim).ball())
    assert ball.basis == "proven"
    assert float(ball.radius) < 1e-15


def test_a_sweep_that_excludes_the_truth_is_not_believed(asked, monkeypatch):
    answers, truths, claim = asked("x**2", "{x: 0.3}")
    real = bounds.of_gradient

    def broken(*arguments):
        bound = real(*arguments)
        return bound._replace(midpoint=bound.midpoint + 1)

    monkeypatch.setattr(bounds, "of_gradient", broken)
    assert answers.rounded_gradient(truths.exact(claim).ball()).basis == "estimated"


def test_a_saturated_zero_that_no_sample_moves_keeps_its_bound(asked):
    answers, truths, claim = asked("tanh(x)", "{x: 5.0}", dtype="bfloat16")
    found = float(answers.gradient)
    truth = truths.exact(claim).ball()
    ball = answers.rounded_gradient(truth)
    assert found == 0.0
    assert truth.distance(ball) <= ball.radius + truth.radius


def test_random_evaluations_are_within_their_radius():
    """A few hundred of what tests/benchmarks/rounding.py does ten thousand times."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    for dtype, tally in rounding.tallied(400, seed).items():
        assert tally.count >= 300, dtype
        assert tally.outside <= 4, (dtype, tally.outside)
        assert len(tally.far) <= 1, tally.far
        assert tally.finite >= 0.95 * tally.count
        assert np.median(tally.ratios) <= 200  # it varies by two among seeds, and is 35 to 60
