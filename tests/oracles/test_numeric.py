"""The numeric oracle never states a bound that is wrong, and mostly states a useful one."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.oracles import batched
from gradcheck.oracles.differences import Effort
from gradcheck.oracles.monte_carlo import MonteCarlo, Noise
from gradcheck.oracles.numeric import Curve, jacobian, slopes

SEED = 20250611
EFFORTS: tuple[Effort, ...] = ("quick", "full")
Scalar = Callable[[Tensor], Tensor]


def curve(function: Scalar, x: float) -> Curve:
    """A function of numbers, as many as it is given, around a number."""
    point = tensor(x)

    def disturb(count: int, noise: Noise) -> Tensor:
        with MonteCarlo(noise):
            disturbed = function(point.expand(count - 1)).expand(count - 1)
        return torch.cat([function(point[None]).expand(1), disturbed])

    return Curve(x, lambda points: function(points).expand(points.shape), disturb)


def slope(
    function: Scalar, point: Tensor, effort: Effort = "full", *, subgradient: bool = False
) -> Ball:
    return slopes([curve(function, point.item())], effort=effort, subgradient=subgradient)[0]


METHODS = [jacobian, slope]
"""Both ways to ask for the derivative of a number by a number."""


def tensor(value: object) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def digits(derivative: Callable[[mpf], mpf], x: float) -> mpf:
    """The true derivative at the float x, to 60 digits."""
    with mp.workdps(60):
        return +mpmath.mpmathify(derivative(mpf(x)))


def holds(ball: Ball, truth: mpf | float) -> bool:
    """Whether twice the radius reaches the truth."""
    with mp.workdps(60):
        error = abs(mpf(float(ball.midpoint)) - mpf(truth))
        return bool(error <= 2 * mpf(float(ball.radius)))


# -- hard scalar functions ---------------------------------------------------------------------

m = mp
ORDINARY: list[tuple[str, Scalar, float, Callable[[mpf], mpf]]] = [
    ("exp, huge", torch.exp, 700.0, m.exp),
    ("exp, vanishing", torch.exp, -700.0, m.exp),
    ("exp", torch.exp, 1.3, m.exp),
    ("square, huge", torch.square, 1e150, lambda x: 2 * x),
    ("square, tiny", torch.square, 1e-150, lambda x: 2 * x),
    ("ninth power, tiny", lambda x: x**9, 1e-30, lambda x: 9 * x**8),
    ("log, tiny", torch.log, 1e-300, lambda x: 1 / x),
    ("log, huge", torch.log, 1e300, lambda x: 1 / x),
    ("log at 1", torch.log, 1.0, lambda x: 1 / x),
    ("sin", torch.sin, 1.0, m.cos),
    ("sin at 0", torch.sin, 0.0, m.cos),
    ("cos at a hundredth", torch.cos, 0.01, lambda x: -m.sin(x)),
    ("sin of 1/x", lambda x: torch.sin(1 / x), 0.01, lambda x: -m.cos(1 / x) / x**2),
    ("product", lambda x: x * torch.sin(x), 2.0, lambda x: m.sin(x) + x * m.cos(x)),
    ("tan beside its pole", torch.tan, 1.5, lambda x: 1 + m.tan(x) ** 2),
    ("steep tanh", lambda x: torch.tanh(1e5 * (x - 0.5)), 0.500001, lambda x: (
        1e5 * m.sech(1e5 * (x - mpf(0.5))) ** 2)),
    ("narrow Gaussian", lambda x: torch.exp(-(((x - 0.5) * 1e5) ** 2)), 0.500001, lambda x: (
        -2e10 * (x - mpf(0.5)) * m.exp(-(((x - mpf(0.5)) * 100000) ** 2)))),
    ("tanh", torch.tanh, 0.5, lambda x: m.sech(x) ** 2),
    ("sqrt, tiny", torch.sqrt, 1e-12, lambda x: 1 / (2 * m.sqrt(x))),
    ("asin beside 1/2", torch.asin, 0.5, lambda x: 1 / m.sqrt(1 - x * x)),
    ("acosh", torch.acosh, 2.0, lambda x: 1 / m.sqrt(x * x - 1)),
    ("flat exponential", lambda x: torch.exp(-1 / x**2), 0.1, lambda x: (
        2 * m.exp(-1 / x**2) / x**3)),
    ("softplus", torch.nn.functional.softplus, 1.0, lambda x: 1 / (1 + m.exp(-x))),
    ("reciprocal", torch.reciprocal, -3.0, lambda x: -1 / x**2),
    ("reciprocal, tiny", torch.reciprocal, 1e-100, lambda x: -1 / x**2),
    ("relu beside 0", torch.relu, 1e-9, lambda x: 1),
    ("huber beside its seam", lambda x: torch.where(x < 1, x * x / 2, x - 0.5), 0.99, lambda x: x),
    ("lgamma", torch.lgamma, 3.5, lambda x: m.digamma(x)),
    ("erf", torch.erf, 0.7, lambda x: 2 / m.sqrt(m.pi) * m.exp(-x * x)),
    ("log1p, tiny", torch.log1p, 1e-10, lambda x: 1 / (1 + x)),
    ("expm1, tiny", torch.expm1, 1e-12, m.exp),
    ("x⁵ at 3", lambda x: x**5, 3.0, lambda x: 5 * x**4),
]  # fmt: skip

HARD: list[tuple[str, Scalar, float, Callable[[mpf], mpf]]] = [
    ("the foot of a bump", lambda x: 0.2 * torch.exp(-(((x - 0.2) * 100) ** 2)) - 0.01, 0.2605, (
        lambda x: -4000 * (x - mpf(0.2)) * m.exp(-(((x - mpf(0.2)) * 100) ** 2)))),
    ("atan, huge", torch.atan, 1e6, lambda x: 1 / (1 + x * x)),
    ("sin, fast", torch.sin, 1e8, m.cos),
    ("cancelling cosine", lambda x: (1 - torch.cos(x)) / x**2, 1e-4, lambda x: (
        m.sin(x) / x**2 - 2 * (1 - m.cos(x)) / x**3)),
    ("cancelling cosine, less", lambda x: (1 - torch.cos(x)) / x**2, 1e-2, lambda x: (
        m.sin(x) / x**2 - 2 * (1 - m.cos(x)) / x**3)),
    ("expanded (x-1)⁷", lambda x: (
        x**7 - 7 * x**6 + 21 * x**5 - 35 * x**4 + 35 * x**3 - 21 * x**2 + 7 * x - 1), 1.01,
        lambda x: 7 * (x - 1) ** 6),
    ("lost square", lambda x: 1e12 + x * x, 1.0, lambda x: 2 * x),
    ("saturated tanh", torch.tanh, 20.0, lambda x: m.sech(x) ** 2),
    ("saturated sigmoid", torch.sigmoid, 30.0, lambda x: m.exp(-x) / (1 + m.exp(-x)) ** 2),
    ("naive softplus", lambda x: torch.log(1 + torch.exp(x)), -30.0, lambda x: 1 / (1 + m.exp(-x))),
    ("naive expm1", lambda x: torch.exp(x) - 1, 1e-30, m.exp),
    ("naive log1p", lambda x: torch.log(1 + x), 1e-10, lambda x: 1 / (1 + x)),
    ("asin beside 1", torch.asin, 1 - 1e-10, lambda x: 1 / m.sqrt(1 - x * x)),
    ("acosh beside 1", torch.acosh, 1 + 1e-8, lambda x: 1 / m.sqrt(x * x - 1)),
    ("huber, close to its seam", lambda x: torch.where(x < 1, x * x / 2, x - 0.5), 1 - 1e-7,
        lambda x: x),
    ("line and ripple", lambda x: x + torch.sin(x), 1e6, lambda x: 1 + m.cos(x)),
    ("line and fine ripple", lambda x: x + torch.sin(x), 1e9, lambda x: 1 + m.cos(x)),
    ("aliased sine", lambda x: torch.sin(2048 * x), 0.3, lambda x: 2048 * m.cos(2048 * x)),
    ("floor between steps", torch.floor, 2.001, lambda x: 0),
    ("relu below 0", torch.relu, -1e-9, lambda x: 0),
    ("relu far below 0", torch.relu, -1e-3, lambda x: 0),
    ("relu on a shelf", lambda x: 10 + torch.relu(x), -0.3, lambda x: 0),
    ("smoothed |x|", lambda x: torch.sqrt(x * x + 1e-24), 1e-12, lambda x: (
        x / m.sqrt(x * x + mpf(1e-24)))),
    ("the largest float", lambda x: x / 2, 1.7e308, lambda x: mpf(0.5)),
    ("a subnormal", torch.sin, 1e-310, m.cos),
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(("name", "function", "x", "derivative"), ORDINARY + HARD)
def test_bound_is_never_stated_wrongly(
    name: str,
    function: Scalar,
    x: float,
    derivative: Callable[[mpf], mpf],
    effort: Effort,
    method: Callable[..., Ball],
) -> None:
    assert holds(method(function, tensor(x), effort=effort), digits(derivative, x))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "function", "x", "derivative"), ORDINARY)
def test_full_effort_gives_eight_digits_of_ordinary_functions(
    name: str,
    function: Scalar,
    x: float,
    derivative: Callable[[mpf], mpf],
    method: Callable[..., Ball],
) -> None:
    ball = method(function, tensor(x))
    assert ball.notes == ()
    assert ball.basis == "estimated"
    assert float(ball.radius) <= 1e-8 * abs(float(digits(derivative, x)))


def test_fast_sine_and_cancelling_cosine_are_resolved_by_full_effort() -> None:
    assert float(jacobian(torch.sin, tensor(1e8)).radius) < 1e-7
    cosine = jacobian(lambda x: (1 - torch.cos(x)) / x**2, tensor(1e-2))
    assert float(cosine.radius) < 1e-8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("value", [0.0, 3.3, -1e300])
@pytest.mark.parametrize("x", [0.0, 1.0, -2e-7, 1e300])
def test_constant_has_derivative_zero(
    effort: Effort, value: float, x: float, method: Callable[..., Ball]
) -> None:
    ball = method(lambda x: torch.full_like(x, value), tensor(x), effort=effort)
    assert float(ball.midpoint) == 0
    units = 50 if effort == "full" else 200  # the widest step of a brief look is x/8
    assert float(ball.radius) <= units * 2.0**-52 * abs(value) / max(abs(x), 1e-7) + 1e-300


# -- random compositions -----------------------------------------------------------------------

Tree = str | float | tuple["str | Tree", ...]
Dual = tuple[mpf, mpf]

WORDS: dict[str, tuple[Scalar, Callable[[mpf], mpf], Callable[[mpf], mpf]]] = {
    "sin": (torch.sin, m.sin, m.cos),
    "cos": (torch.cos, m.cos, lambda v: -m.sin(v)),
    "exp": (torch.exp, m.exp, m.exp),
    "log": (torch.log, m.log, lambda v: 1 / v),
    "sqrt": (torch.sqrt, m.sqrt, lambda v: 1 / (2 * m.sqrt(v))),
    "tanh": (torch.tanh, m.tanh, lambda v: m.sech(v) ** 2),
    "sigmoid": (torch.sigmoid, lambda v: 1 / (1 + m.exp(-v)), lambda v: (
        m.exp(-v) / (1 + m.exp(-v)) ** 2)),
    "square": (torch.square, lambda v: v * v, lambda v: 2 * v),
    "atan": (torch.atan, m.atan, lambda v: 1 / (1 + v * v)),
    "reciprocal": (torch.reciprocal, lambda v: 1 / v, lambda v: -1 / v**2),
    "expm1": (torch.expm1, m.expm1, m.exp),
    "log1p": (torch.log1p, m.log1p, lambda v: 1 / (1 + v)),
}  # fmt: skip


class UndefinedError(Exception):
    """The formula has no real value at the point, or one that float64 cannot resolve."""


def random_tree(rng: random.Random, depth: int) -> Tree:
    """A formula in x; constants are multiples of 1/8 and stand beside a variable only."""
    if depth == 0 or rng.random() < 0.1:
        return "x" if rng.random() < 0.7 else rng.choice([-1, 1]) * rng.randint(1, 32) / 8
    left = random_tree(rng, depth - 1)
    if rng.random() < 0.5:
        return left if isinstance(left, float) else (rng.choice(list(WORDS)), left)
    right = random_tree(rng, depth - 1)
    both = isinstance(left, float) and isinstance(right, float)
    return (rng.choice("+-*/"), "x" if both else left, right)


def in_torch(tree: Tree, x: Tensor) -> Tensor:
    match tree:
        case "x":
            return x
        case float():
            return torch.full_like(x, tree)
        case (str(word), inner):
            return WORDS[word][0](in_torch(inner, x))
        case (sign, left, right):
            a, b = in_torch(left, x), in_torch(right, x)
            return {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[sign]
    raise AssertionError(tree)


def in_mpmath(tree: Tree, x: mpf) -> Dual:
    """Value and derivative."""
    match tree:
        case "x":
            return x, mpf(1)
        case float():
            return mpf(tree), mpf(0)
        case (str(word), inner):
            return word_in_mpmath(word, *in_mpmath(inner, x))
        case (sign, left, right):
            (a, da), (b, db) = in_mpmath(left, x), in_mpmath(right, x)
            if sign == "/":
                if b == 0:
                    raise UndefinedError
                return a / b, (da * b - a * db) / b**2
            return {"+": (a + b, da + db), "-": (a - b, da - db), "*": (a * b, da * b + a * db)}[
                sign
            ]
    raise AssertionError(tree)


def word_in_mpmath(word: str, v: mpf, dv: mpf) -> Dual:
    _, value, derivative = WORDS[word]
    # Beyond that, float64 holds no trace of where in its period a sine is.
    if abs(v) > 1e6 and word in {"exp", "expm1", "sigmoid", "tanh", "sin", "cos"}:
        raise UndefinedError
    try:
        f, slope = value(v), derivative(v)
    except (ZeroDivisionError, ValueError, OverflowError):
        raise UndefinedError from None
    if isinstance(f, mpmath.mpc):
        raise UndefinedError
    return f, slope * dv


def random_case(rng: random.Random) -> tuple[Tree, float, mpf] | None:
    tree, x = random_tree(rng, rng.randint(1, 5)), rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 2)
    try:
        value, slope = in_mpmath(tree, mpf(x))
    except UndefinedError:
        return None
    # A value that float64 gets wrong (it overflows, underflows, cancels) cannot be differenced.
    close = abs(mpf(float(in_torch(tree, tensor(x)))) - value) <= 1e-3 * abs(value)
    return (tree, x, slope) if close and value != 0 and abs(slope) < 1e300 else None


def test_random_compositions() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    violations, useful, kinked, total = [], 0, [], 0
    with mp.workdps(50):
        while total < 2500:
            case = random_case(rng)
            if case is None:
                continue
            total += 1
            tree, x, truth = case
            ball = jacobian(lambda x, tree=tree: in_torch(tree, x), tensor(x))
            if not holds(ball, truth):
                violations.append((tree, x, float(truth), ball))
            if any("kink" in note or "jump" in note for note in ball.notes):
                kinked.append((tree, x, ball.notes))
            useful += float(ball.radius) <= 1e-8 * (abs(float(truth)) or 1.0)
    print(f"{len(violations)} violations, {useful / total:.1%} useful, of {total}")
    assert not violations
    assert not kinked
    assert useful >= 0.9 * total


@pytest.mark.parametrize("effort", EFFORTS)
def test_random_compositions_looked_at_together(effort: Effort) -> None:
    """Curves that share an analysis have nothing else to do with each other."""
    seed = SEED + 1
    print("seed", seed)
    rng = random.Random(seed)
    violations, useful, total = [], 0, 1500
    with mp.workdps(50):
        cases: list[tuple[Tree, float, mpf]] = []
        while len(cases) < total:
            cases += filter(None, [random_case(rng)])
        for start in range(0, total, 25):
            group = cases[start : start + 25]
            curves = [curve(lambda x, tree=tree: in_torch(tree, x), x) for tree, x, _ in group]
            balls = slopes(curves, effort=effort)
            for (tree, x, truth), ball in zip(group, balls, strict=True):
                useful += float(ball.radius) <= 1e-8 * (abs(float(truth)) or 1.0)
                if not holds(ball, truth):
                    violations.append((tree, x, float(truth), ball))
    print(f"{len(violations)} violations, {useful / total:.1%} useful, of {total}")
    assert not violations
    assert useful >= (0.9 if effort == "full" else 0.5) * total


def test_a_kinked_curve_leaves_its_neighbours_alone() -> None:
    asked = [(torch.sin, 1.0), (torch.relu, 0.0), (torch.log, 0.0), (torch.exp, -2.0)]
    balls = slopes([curve(function, x) for function, x in asked], effort="quick")
    assert [ball.notes for ball in balls] == [(), (sided("0", "1"),), (UNDEFINED,), ()]
    assert [bool(np.isinf(ball.radius)) for ball in balls] == [False, True, True, False]
    assert holds(balls[0], digits(m.cos, 1.0))
    assert holds(balls[3], digits(m.exp, -2.0))
    assert all(ball.shape == () for ball in balls)


# -- tensors -----------------------------------------------------------------------------------


def generator() -> torch.Generator:
    print("seed", SEED)
    return torch.Generator().manual_seed(SEED)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator())


def agrees(ball: Ball, truth: Tensor) -> bool:
    """Every entry within twice its radius, and every radius below 1e-9 of the largest entry."""
    exact = truth.numpy()
    within = np.abs(ball.midpoint - exact) <= 2 * ball.radius
    sharp = ball.radius <= 1e-9 * np.abs(exact).max()
    return ball.shape == exact.shape and bool(within.all()) and bool(sharp.all())


@pytest.mark.parametrize("effort", EFFORTS)
def test_vector_to_vector(effort: Effort) -> None:
    weight, x = normal(7, 5), normal(5)
    slope = 1 - torch.tanh(weight @ x) ** 2
    ball = jacobian(lambda x: torch.tanh(weight @ x), x, effort=effort)
    assert agrees(ball, slope[:, None] * weight)


def test_inputs_far_smaller_than_the_others_are_resolved() -> None:
    weight, x = normal(40, 40), normal(40) * 10.0 ** -torch.arange(40)
    slope = 1 - torch.tanh(weight @ x / 9) ** 2
    ball = jacobian(lambda x: torch.tanh(weight @ x / 9), x)
    assert agrees(ball, slope[:, None] * weight / 9)
    assert ball.notes == ()


@pytest.mark.parametrize("effort", EFFORTS)
def test_matrix_to_matrix(effort: Effort) -> None:
    left, x = normal(2, 3), normal(3, 4)
    truth = torch.einsum("ij,kl->ikjl", left, torch.eye(4, dtype=torch.float64))
    assert agrees(jacobian(lambda x: left @ x, x, effort=effort), truth)


def test_matrix_to_scalar() -> None:
    x = normal(3, 4)
    assert agrees(jacobian(lambda x: (x**3).sum(), x), 3 * x**2)


def test_scalar_to_vector() -> None:
    x = tensor(0.7)
    truth = torch.stack([torch.cos(x), torch.exp(x), torch.zeros_like(x)])
    ball = jacobian(lambda x: torch.stack([torch.sin(x), torch.exp(x), 2 + 0 * x]), x)
    assert agrees(ball, truth)


def test_zeros_among_the_inputs() -> None:
    x = tensor([0.0, 3.0, -1e-20, 1e5])
    assert agrees(jacobian(lambda x: torch.sin(x).sum(), x), torch.cos(x))


def test_output_that_is_the_input() -> None:
    x = normal(3)
    assert agrees(jacobian(lambda x: x, x), torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_empty_point(shape: tuple[int, ...]) -> None:
    ball = jacobian(lambda x: torch.stack([x.sum(), x.sum()]), torch.zeros(shape).double())
    assert ball.shape == (2, *shape)


def test_empty_output() -> None:
    assert jacobian(lambda x: x[:0], normal(3)).shape == (0, 3)


def test_nan_stays_in_its_entry() -> None:
    def function(x: Tensor) -> Tensor:
        return torch.stack([torch.sin(x), torch.log(-x), torch.exp(x)])

    ball = jacobian(function, tensor(1.0))
    assert np.isinf(ball.radius).tolist() == [False, True, False]
    assert ball.notes == ("not finite at this point, output[1] by input",)
    assert abs(ball.midpoint[0] - np.cos(1)) <= 2 * ball.radius[0] <= 1e-10


# -- batches -----------------------------------------------------------------------------------


def test_function_that_vmap_refuses_is_called_point_by_point() -> None:
    def function(x: Tensor) -> Tensor:
        return x * x if x.sum().item() > 0 else x

    x = tensor([1.0, 2.0])
    assert agrees(jacobian(function, x), torch.diag(2 * x))


def test_vmap_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def function(x: Tensor) -> Tensor:
        seen.append(torch._C._functorch.is_batchedtensor(x))
        return x * x.sum().item()

    with monkeypatch.context() as patch:
        patch.setattr(batched, "CHUNK_ELEMENTS", 60)
        assert jacobian(function, tensor([1.0, 2.0])).shape == (2, 2)
    assert sum(seen) == 1


def test_warning_of_a_missing_batching_rule_leads_to_the_loop() -> None:
    def function(x: Tensor) -> Tensor:
        if torch._C._functorch.is_batchedtensor(x):
            warnings.warn("we have not yet implemented the batching rule for f", stacklevel=1)
            return x
        return x * x

    assert agrees(jacobian(function, tensor(3.0)), tensor(6.0))


def test_error_of_the_function_at_the_point_reaches_the_caller() -> None:
    def function(x: Tensor) -> Tensor:
        raise ArithmeticError("here")

    with pytest.raises(ArithmeticError, match="here"):
        jacobian(function, tensor(2.0))


def test_steps_at_which_the_function_raises_drop_out() -> None:
    def function(x: Tensor) -> Tensor:
        if x.item() > 3:
            raise ArithmeticError("above 3")
        return x * x

    assert agrees(jacobian(function, tensor(2.0)), tensor(4.0))


def test_cholesky_factor_has_a_derivative_though_not_every_step_is_definite() -> None:
    matrix = tensor([[2.0, 0.5], [0.5, 1.0]])
    answer = jacobian(torch.linalg.cholesky, matrix)
    assert np.isfinite(answer.radius).all()


def test_stair_of_rounding_is_not_taken_for_a_constant() -> None:
    def stair(x: Tensor) -> Tensor:
        return ((1e16 + x) - 1e16) * 1e-9 + 5

    for effort in ("quick", "full"):
        answer = jacobian(stair, tensor(0.3), effort=effort)
        assert abs(answer.midpoint - 1e-9) <= 2 * answer.radius


@pytest.mark.parametrize("point", [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1e-200, 3.0, 1e-7]])
def test_what_rounding_leaves_of_terms_that_cancel_is_no_derivative(point: list[float]) -> None:
    answer = jacobian(lambda x: (x - x.mean()).sum(), tensor(point))
    assert (np.abs(answer.midpoint) <= 2 * answer.radius).all()
    assert (answer.radius < 1e-10).all()


def test_rounding_beside_the_point_is_seen_though_the_curve_is_exact_at_it() -> None:
    thirds = slope(lambda x: x / 3 + x / 3 + x / 3 - x, tensor(0.0))
    tenths = slope(lambda x: x * 0.1 * 10 - x, tensor(0.0))
    assert holds(thirds, 0.0)
    assert holds(tenths, 0.0)
    assert thirds.radius < 1e-12
    assert tenths.radius < 1e-12


@pytest.mark.parametrize("budget", [1, 100, 1000])
def test_batches_respect_the_memory_budget(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "CHUNK_ELEMENTS", budget)
    weight, x = normal(6, 5), normal(5)
    sizes = []

    def product(matrix: Tensor, vector: Tensor) -> Tensor:
        return matrix @ vector

    def function(x: Tensor) -> Tensor:
        if torch._C._functorch.is_batchedtensor(x):
            sizes.append(torch._C._functorch.get_unwrapped(x).numel())
        return product(weight, x)

    assert agrees(jacobian(function, x, effort="quick"), weight)
    assert max(sizes, default=0) <= max(budget, 5)
    assert bool(sizes) == (budget > 1)


def test_gradients_are_not_recorded_and_the_point_is_left_alone() -> None:
    recorded = []

    def function(x: Tensor) -> Tensor:
        recorded.append(torch.is_grad_enabled())
        return x.mul_(2)

    x = tensor([1.0, 2.0]).requires_grad_()
    assert jacobian(function, x).shape == (2, 2)
    assert not any(recorded)
    assert x.tolist() == [1.0, 2.0]


# -- kinks, jumps, edges -----------------------------------------------------------------------


def sided(before: str, after: str) -> str:
    return f"a kink at this point: the one-sided derivatives are {before} and {after}"


def edge(inside: str) -> str:
    return f"at the edge of the domain: the one-sided derivative is {inside}"


JUMP = "a jump at this point"
CUSP = "a cusp or a singularity at this point"
UNDEFINED = "not finite at this point"

SINGULAR: list[tuple[Scalar, float, str]] = [
    (torch.relu, 0.0, sided("0", "1")),
    (torch.abs, 0.0, sided("-1", "1")),
    (lambda x: 3 + torch.abs(x - 1), 1.0, sided("-1", "1")),
    (lambda x: torch.clamp(x, -1, 1), 1.0, sided("1", "0")),
    (lambda x: torch.nn.functional.leaky_relu(x, 0.25), 0.0, sided("0.25", "1")),
    (lambda x: torch.maximum(x, x * x), 1.0, sided("1", "2")),
    (lambda x: x * torch.floor(10 * x) + 73, 0.0, sided("-1", "0")),
    (lambda x: torch.relu(x) + 1e8, 0.0, sided("0", "1")),
    (lambda x: torch.abs(torch.sin(x)) + torch.exp(x), 0.0, sided("0", "2")),
    (lambda x: torch.abs(torch.sin(x) - torch.sin(tensor(1.0))), 1.0, sided("-0.5403", "0.5403")),
    (torch.floor, 2.0, JUMP),
    (torch.sign, 0.0, JUMP),
    (lambda x: torch.heaviside(x, tensor(1.0)) + torch.sin(x), 0.0, JUMP),
    (lambda x: torch.sqrt(torch.abs(x)), 0.0, CUSP),
    (
        lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
        0.0,
        (CUSP + ": the one-sided derivatives are inf and inf"),
    ),
    (torch.sqrt, 0.0, edge("inf")),
    (torch.asin, 1.0, edge("inf")),
    (torch.acosh, 1.0, edge("inf")),
    (torch.acos, -1.0, edge("-inf")),
    (lambda x: x * torch.sqrt(x), 0.0, edge("0")),
    (torch.log, 0.0, UNDEFINED),
    (torch.reciprocal, 0.0, UNDEFINED),
    (lambda x: 1 / x**2, 0.0, UNDEFINED),
    (lambda x: torch.pow(-1.0, x), 2.0, "not finite around this point"),
    (lambda x: torch.pow(-2.0, x), 2.0, "not finite around this point"),
    (lambda x: torch.sin(torch.exp(x)), 41.0, "nothing but noise around this point"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(("function", "x", "note"), SINGULAR)
def test_singularity_has_no_bound_and_a_note(
    function: Scalar, x: float, note: str, effort: Effort, method: Callable[..., Ball]
) -> None:
    ball = method(function, tensor(x), effort=effort)
    assert np.isinf(ball.radius)
    assert ball.notes == (note,)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("large", [1e10, 1e12, 1e14])
@pytest.mark.parametrize("rest", [lambda x: 0 * x, lambda x: x**2, lambda x: 1 - torch.cos(x)])
def test_a_kink_that_noise_hides_at_most_steps_leaves_both_sides_possible(
    rest: Scalar, large: float, method: Callable[..., Ball]
) -> None:
    ball = method(lambda x: torch.relu(x) + rest(x) + large, tensor(0.0))
    assert holds(ball, 0.0)
    assert holds(ball, 1.0)


BETWEEN: list[tuple[Scalar, float, list[float], list[float]]] = [
    (torch.relu, 0.0, [0.0, 0.3, 1.0], [-1e-9, 1 + 1e-9, np.nan, np.inf]),
    (lambda x: 3 + torch.abs(x - 1), 1.0, [-1.0, 0.0, 1.0], [-1.00001, 1.00001]),
    (lambda x: torch.maximum(torch.sin(x), x * x), 0.0, [0.0, 0.5, 1.0], [-1e-6, 1 + 1e-6]),
    (torch.sqrt, 0.0, [np.inf], [0.0, 1e300, -np.inf, np.nan]),
    (torch.acos, -1.0, [-np.inf], [0.0, np.inf]),
    (lambda x: x * torch.sqrt(x), 0.0, [0.0], [1e-3]),
    (lambda x: torch.sqrt(1 - x) * torch.exp(x) + x * torch.sqrt(1 - x * x), 1.0, [-np.inf], [1.0]),
    (lambda x: torch.where(x < 1, torch.exp(x), np.nan), 1 - 2.0**-53, [np.exp(1)], [2.7182]),
    (lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3), 0.0, [np.inf], [-np.inf, 1.0]),
    (lambda x: torch.sqrt(torch.relu(x)), 0.0, [0.0, 5.0, np.inf], [-1e-3, np.nan]),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(("function", "x", "right", "wrong"), BETWEEN)
def test_all_that_lies_between_the_one_sided_derivatives_is_a_subgradient(
    function: Scalar,
    x: float,
    right: list[float],
    wrong: list[float],
    effort: Effort,
    method: Callable[..., Ball],
) -> None:
    ball = method(function, tensor(x), effort=effort, subgradient=True)
    for value in right:
        assert ball.distance_to(np.array(value)) <= 2 * ball.radius
    for value in wrong:
        assert ball.distance_to(np.array(value)) > 2 * ball.radius


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("function", "x"),
    [(torch.floor, 2.0), (lambda x: torch.sqrt(torch.abs(x)), 0.0), (torch.log, 0.0)],
)
def test_jumps_and_poles_have_no_subgradient(
    function: Scalar, x: float, method: Callable[..., Ball]
) -> None:
    assert np.isinf(method(function, tensor(x), subgradient=True).radius)


SMOOTH: list[tuple[str, Scalar, float, float]] = [
    ("x|x|", lambda x: x * torch.abs(x), 0.0, 0.0),
    ("|x|^1.5", lambda x: torch.abs(x) ** 1.5, 0.0, 0.0),
    ("elu", torch.nn.functional.elu, 0.0, 1.0),
    ("x⁴ at its minimum", lambda x: x**4, 0.0, 0.0),
    ("cos at its maximum", torch.cos, 0.0, 0.0),
    ("smoothed |x|", lambda x: torch.sqrt(x * x + 1e-24), 0.0, 0.0),
    ("barely smoothed |x|", lambda x: torch.sqrt(x * x + 1e-8), 0.0, 0.0),
    ("steep softplus", lambda x: torch.nn.functional.softplus(x, beta=1e6), 0.0, 0.5),
    ("steep tanh", lambda x: torch.tanh(1e9 * x), 0.0, 1e9),
    ("huber's seam", lambda x: torch.where(x < 1, x * x / 2, x - 0.5), 1.0, 1.0),
    ("relu beside its kink", torch.relu, 1e-12, 1.0),
    ("relu below its kink", torch.relu, -1e-12, 0.0),
    ("x + 10", lambda x: x + 10, 0.0, 1.0),
    ("softsign", torch.nn.functional.softsign, 0.0, 1.0),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(("name", "function", "x", "truth"), SMOOTH)
def test_smooth_function_is_not_called_kinked(
    name: str,
    function: Scalar,
    x: float,
    truth: float,
    effort: Effort,
    method: Callable[..., Ball],
) -> None:
    ball = method(function, tensor(x), effort=effort)
    assert ball.notes == ()
    assert holds(ball, truth)


def test_notes_name_the_first_entry_and_count_the_others() -> None:
    ball = jacobian(torch.relu, tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert ball.notes == (
        "a kink at this point, output[0, 1] by input[0, 1]: the one-sided derivatives are 0 and 1"
        " (and at 1 more entries)",
    )
    assert int(np.isinf(ball.radius).sum()) == 2


def test_a_rule_for_vmap_that_gives_other_values_is_not_believed() -> None:
    class Triple(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return 3 * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x):
            return 2 * x, in_dims[0]

    assert agrees(jacobian(Triple.apply, tensor(1.5)), tensor(3.0))
