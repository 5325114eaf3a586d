"""Every word in ball arithmetic, held against torch's meaning, mpmath and numpy."""

import math
import tracemalloc

import mpmath
import numpy as np
import pytest
import torch
from flint import arb, arb_series, ctx, fmpq
from word_examples import CASES, UNARY, VALUES, inside

from gradcheck.errors import EvaluationError
from gradcheck.language.parser import parse
from gradcheck.rigorous.elements import UndecidedError
from gradcheck.rigorous.meaning import BallMeaning
from gradcheck.rigorous.numbers import OverBudgetError, exactly, precision
from gradcheck.torch_meaning import TorchMeaning

SCOPE = {name: exactly(torch.from_numpy(value)) for name, value in VALUES.items()}
D = torch.float64


def evaluate(text, scope=SCOPE, bits=128):
    with precision(bits):
        meaning = BallMeaning()
        return meaning.tensor(parse(text).evaluate(scope, meaning))


def floats(value):
    """Midpoints, NaN where there is no value; masks as 0 and 1."""
    if isinstance(value, np.ndarray):
        return np.array([floats(entry) for entry in value.flat], dtype=float).reshape(value.shape)
    return np.float64(value.mid() if isinstance(value, arb) else value)


def derivative(text, x, bits=128):
    with precision(bits):
        found = parse(text).evaluate({"x": arb_series([arb(x), 1], 2)}, BallMeaning())
        return found[1] if isinstance(found, arb_series) else found * 0


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_a_word_is_what_its_definition_says(text, expected):
    found = floats(evaluate(text))
    expected = np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", UNARY)
def test_an_elementwise_word_contains_the_value_of_mathematics_at_hard_points(name):
    for x in inside(name, D):
        if name in ("lgamma", "digamma") and x <= 0 and x == math.floor(x):
            continue
        with mpmath.workdps(60):
            # A slope that is a decimal is exact here, not torch's float64.
            at = mpmath.mpf(x)
            exact = at / 100 if name == "leaky_relu" and x < 0 else UNARY[name](at)
            digits = mpmath.nstr(mpmath.mpf(exact), 50)
        found = evaluate(f"{name}(x)", {"x": arb(x)})
        with precision(256):
            assert found.overlaps(arb(digits) + arb(0, 1) * abs(arb(digits)) * arb("1e-49")), x


@pytest.mark.parametrize("name", UNARY)
def test_its_derivative_is_that_of_mathematics_too(name):
    """The series' slope against mpmath's own numerical derivative in 80 digits."""
    points = [x for x in inside(name, D) if 1e-3 < abs(x) < 30 and abs(x % 0.5) > 1e-9]
    for x in points[:12]:
        with mpmath.workdps(80):
            exact = mpmath.diff(UNARY[name], mpmath.mpf(x))
        slope = float(derivative(f"{name}(x)", x).mid())
        assert slope == pytest.approx(float(exact), rel=1e-12, abs=1e-30), x


def test_an_undefined_value_is_nan_and_no_exception():
    for text in ("1/x", "log(x)", "x**-1", "rsqrt(x)", "xlogy(1, x)", "log(x - 1)"):
        assert not evaluate(text, {"x": arb(0)}).is_finite(), text
        assert not derivative(text, 0.0).is_finite(), text


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("relu(x)", 0.0),
        ("abs(x)", 0.0),
        ("sign(x)", 0.0),
        ("maximum(x, 0.25)", 0.25),
        ("minimum(x, 2*x)", 0.0),
        ("clamp(x, 0, 1)", 1.0),
        ("leaky_relu(x)", 0.0),
        ("floor(x)", 3.0),
        ("round(x)", 2.5),
        ("x // 2", 4.0),
        ("x % 2", 4.0),
        ("where(x > 0, x, 0)", 0.0),
        ("where(x**2 > 0, x, -x)", 0.0),
        ("softplus(x)", 20.0),
        ("amax([x, 0.5, -1])", 0.5),
        ("norm([x, 0], 1)", 0.0),
        ("x == 1", 1.0),
        ("atan2(x, -1)", 0.0),
    ],
)
def test_a_choice_that_moves_with_the_variable_is_undecided(text, x):
    with pytest.raises(EvaluationError) as error:
        derivative(text, x)
    assert isinstance(error.value.__cause__, UndecidedError)
    assert "not certain" in str(error.value)


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("where(x > 0, x**2, 1/0)", 1.5, 3),  # the derivative of the chosen branch alone
        ("where(x > 0, log(x), x)", -2.0, 1),
        ("relu(c - c)*x", 2.0, 0),  # a tie of constants is decided
        ("detach(x)*x", 3.0, 3),
        ("round(x)*x", 2.75, 3),
        ("clamp(x, max=4)**2", 5.0, 0),
        ("xlogy(x, 2)", 0.0, math.log(2)),
        ("x**2", 0.0, 0),
        ("0**(x + 1)", 0.5, 0),
        ("(x/3)**2*9", 1.0, 2),
    ],
)
def test_a_choice_that_is_certain_is_made(text, x, expected):
    with precision(128):
        scope = {"x": arb_series([arb(x), 1], 2), "c": arb(0.1)}
        found = parse(text).evaluate(scope, BallMeaning())
    slope = found[1] if isinstance(found, arb_series) else 0
    assert float(slope) == pytest.approx(expected, rel=1e-15)


def test_numbers_are_the_decimals_that_are_written():
    assert evaluate("0.1 + 0.2 == 0.3", {}) is True
    assert evaluate("1/3*3 == 1", {}) is True
    assert evaluate("2**-2", {}) == arb(0.25)
    assert BallMeaning().number(7) == 7
    assert parse("1/3").evaluate({}, BallMeaning()) == fmpq(1, 3)


def test_a_plain_number_has_no_shape_and_a_value_has():
    meaning = BallMeaning()
    with precision(128):
        shapes = [meaning.shape(parse(t).evaluate(SCOPE, meaning)) for t in ("pi/2", "2**0.5", "1")]
        assert shapes == [None] * 3
        assert meaning.shape(parse("exp(1)").evaluate(SCOPE, meaning)) == ()
        assert meaning.shape(parse("x[0, 1]").evaluate(SCOPE, meaning)) == ()
        assert meaning.shape(parse("x > 0").evaluate(SCOPE, meaning)) == (2, 3)


INDICES = [
    "x[0]", "x[0, -1]", "x[:, 1]", "x[..., None]", "x[:, [2, 0]]", "x[x > 0]", "x[k[0] - 1]",
    "v[k]", "v[1:]", "v[::2]", "c[:, 0, 1:]", "v[[True, False, True]]", "x[[0, 1], [2, 0]]",
]  # fmt: skip


@pytest.mark.parametrize("text", INDICES)
def test_an_index_picks_what_torch_picks(text):
    tensors = {name: torch.from_numpy(value) for name, value in VALUES.items()}
    wanted = parse(text).evaluate(tensors, TorchMeaning(D, torch.device("cpu")))
    np.testing.assert_array_equal(floats(evaluate(text)), wanted.numpy())


def test_values_are_taken_exactly_as_a_dtype_holds_them():
    tensor = torch.tensor([0.1, 1e-8], dtype=torch.bfloat16)
    assert [float(entry) for entry in exactly(tensor)] == tensor.tolist()
    assert exactly(torch.tensor(True)) is True
    assert exactly(torch.tensor([True, False])).dtype == bool
    assert exactly(torch.zeros(0, 2)).shape == (0, 2)
    assert not exactly(torch.tensor(math.nan)).is_finite()


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_any_size_step_and_padding_are_those_of_torch(seed):
    random = np.random.RandomState(seed)
    kernel, dilation, stride = random.randint(1, 4, (3, 2)).tolist()
    padding = random.randint(0, 3, 2).tolist()
    size = (np.multiply(dilation, np.subtract(kernel, 1)) + random.randint(1, 4, 2)).tolist()
    settings = f"{kernel}, {dilation}, {padding}, {stride}"
    x = torch.from_numpy(random.uniform(-1, 1, (random.randint(1, 3), 2, *size)))
    columns = torch.nn.functional.unfold(x, kernel, dilation, padding, stride)
    y = torch.from_numpy(random.uniform(-1, 1, columns.shape))
    scope = {"x": exactly(x), "y": exactly(y)}
    np.testing.assert_array_equal(floats(evaluate(f"unfold(x, {settings})", scope)), columns)
    images = torch.nn.functional.fold(y, size, kernel, dilation, padding, stride)
    found = floats(evaluate(f"fold(y, {size}, {settings})", scope))
    np.testing.assert_allclose(found, images, rtol=1e-13, atol=1e-15)


LONG = "fold(y, [1, 99900], [1, 500], 100)"  # every hundredth entry is a sum of up to 500


@pytest.mark.parametrize(
    "text",
    ["unfold(x, 1, padding=2**10)", "unfold(x, 2**24, padding=2**24)", LONG,
     "fold(x[0], 2**12, 1, 1, 0, 2**12)", "unfold(none, 2**20, padding=2**20)",
     "fold(none[:, 0], 2**20, 1, stride=2**20)"],
)  # fmt: skip
def test_blocks_of_too_many_entries_are_refused_before_they_are_made(text):
    wide = np.full((1, 500, 500), arb(1))
    scope = {"x": np.full((1, 1, 1, 1), arb(1)), "none": np.empty((0, 1, 1, 1)), "y": wide}
    tracemalloc.start()
    with precision(53), pytest.raises(EvaluationError) as error:
        parse(text).evaluate(scope, BallMeaning())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(error.value.__cause__, OverBudgetError)
    assert peak < 2**25


def test_too_many_operations_are_refused_before_they_are_made():
    wide = np.full(2000, arb(1))
    with precision(53), pytest.raises(EvaluationError) as error:
        parse("sum(outer(v, v) @ outer(v, v))").evaluate({"v": wide}, BallMeaning())
    assert isinstance(error.value.__cause__, OverBudgetError)


def test_the_precision_of_others_is_left_as_it_was():
    before = ctx.prec, ctx.cap
    with precision(300):
        assert (ctx.prec, ctx.cap) == (300, 2)
    assert (ctx.prec, ctx.cap) == before
    with pytest.raises(EvaluationError):
        evaluate("nothing", {}, bits=300)
    assert (ctx.prec, ctx.cap) == before
