"""Second derivatives and links that hold a value, against mpmath and by hand."""

import mpmath
import numpy as np
import pytest
import torch

import gradcheck
from gradcheck.errors import InvalidCaseError
from gradcheck.functions import Segment, Step
from gradcheck.language.parser import parse
from gradcheck.oracles import exact
from gradcheck.oracles.exact import DeclinedError
from gradcheck.results import Result
from gradcheck.rigorous.numbers import exactly

FUNCTIONS = {
    "exp(x)": mpmath.exp,
    "log(x)": mpmath.log,
    "sin(x)*x": lambda x: mpmath.sin(x) * x,
    "tanh(x)": mpmath.tanh,
    "sigmoid(x)": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus(x)": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "erf(x)": mpmath.erf,
    "gelu(x)": lambda x: x * mpmath.ncdf(x),
    "lgamma(x)": mpmath.loggamma,
    "digamma(x)": lambda x: mpmath.psi(0, x),
    "polygamma(2, x)": lambda x: mpmath.psi(2, x),
    "sqrt(x)/(1 + x**3)": lambda x: mpmath.sqrt(x) / (1 + x**3),
    "x**x": lambda x: x**x,
    "atan2(x, x**2 + 1)": lambda x: mpmath.atan2(x, x**2 + 1),
    "abs(x)**3": lambda x: abs(x) ** 3,
    "relu(x)**2": lambda x: x**2,
    "norm(stack([x, 2*x**2]))": lambda x: mpmath.sqrt(x**2 + 4 * x**4),
    "logsumexp(stack([x, x**2]), 0)": lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(x**2)),
    "det(stack([stack([x, x**2]), stack([sin(x), exp(x)])]))": (
        lambda x: x * mpmath.exp(x) - x**2 * mpmath.sin(x)
    ),
}


def segment(text: str, x: float) -> Segment:
    step = Step("out", parse(text, scope={"x": None}))
    held = {"x": exactly(torch.tensor(x, dtype=torch.float64))}
    return Segment((step,), "x", "out", held | {"out": held["x"]})


@pytest.mark.parametrize("x", [0.3, 1.7])
@pytest.mark.parametrize("text", FUNCTIONS)
def test_a_second_derivative_is_that_of_mpmath(text: str, x: float) -> None:
    found = exact.second_derivative(segment(text, x), "x", "", lambda: 1.0).ball()
    with mpmath.workdps(60):
        truth = mpmath.diff(FUNCTIONS[text], mpmath.mpf(x), 2)
        assert abs(mpmath.mpf(float(found.midpoint)) - truth) <= float(found.radius) + 1e-25
    assert found.radius <= 1e-15 * abs(float(truth))


@pytest.mark.parametrize("text", ["abs(x)", "relu(x)", "sqrt(x)", "floor(x)"])
def test_where_there_is_none_the_exact_oracle_declines(text: str) -> None:
    with pytest.raises(DeclinedError):
        exact.second_derivative(segment(text, 0.0), "x", "", lambda: 1.0)


QUADRATIC = {
    "function": "x @ A @ x",
    "inputs": {"x": {"shape": [3], "sample": "normal"}, "A": {"shape": [3, 3], "sample": "normal"}},
    "constants": {"v": [0.5, -1.5, 2.5]},
}


def run(case: dict, **changes) -> list[Result]:
    case = {**case, **changes}
    return list(gradcheck.check(case.pop("function"), case.pop("inputs"), **case).results)


def test_a_hessian_its_product_and_a_mixed_one_pass_in_every_dtype() -> None:
    right = {
        "d2out/dx dx": "A + A.T",
        "d2out/dx dx @ v": "(A + A.T) @ v",
        "d2out/dx dA": "einsum('ki,l->ikl', eye(3), x) + einsum('il,k->ikl', eye(3), x)",
    }
    dtypes = ["float64", "float32", "float16", "bfloat16"]
    results = run(QUADRATIC, derivatives=right, dtypes=dtypes, samples=2)
    assert {(r.verdict, r.truth) for r in results} == {("pass", "exact")}
    assert {r.quantity for r in results} == set(right)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_no_entry_and_one_entry_have_second_derivatives_too(n: int) -> None:
    inputs = {
        "x": {"shape": ["n"], "sample": "normal"},
        "A": {"shape": ["n", "n"], "sample": "normal"},
    }
    case = {"function": "x @ A @ x", "inputs": inputs, "sizes": {"n": n}}
    right = {"d2out/dx dx": "A + A.T", "d2out/dx dx @ x": "(A + A.T) @ x"}
    assert [r.verdict for r in run(case, derivatives=right)] == ["pass", "pass"]


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("d2out/dx dx", "A"),
        ("d2out/dx dx", "2*A"),
        ("d2out/dx dx", "(A + A.T)*1.000000000001"),
        ("d2out/dx dx @ v", "(A + A.T) @ x"),
        ("d2out/dx dx @ v", "A + A.T"),
        ("d2out/dx dA", "einsum('ki,l->ikl', eye(3), x)"),
        ("d2out/dA dA", "1"),
    ],
)
def test_a_wrong_one_fails(key: str, wrong: str) -> None:
    (result,) = run(QUADRATIC, derivatives={key: wrong})
    assert (result.verdict, result.blame) == ("fail", "handwritten")


def test_a_mixed_derivative_has_its_axes_in_the_order_written() -> None:
    case = {"function": "sum(outer(x, y)**2)", "inputs": {"x": [1.0, 2.0], "y": [0.5, -1.0, 3.0]}}
    right = {"d2out/dx dy": "4*outer(x, y)", "d2out/dy dx": "4*outer(y, x)"}
    assert [r.verdict for r in run(case, derivatives=right)] == ["pass", "pass"]
    swapped = {"d2out/dx dy": "4*outer(y, x)"}
    assert [r.verdict for r in run(case, derivatives=swapped)] == ["fail"]


def test_a_second_derivative_may_use_first_ones_and_be_published() -> None:
    case = {"function": {"f": "exp(-x**2)"}, "inputs": {"x": 0.5}}
    lines = {"df/dx": "-2*x*f", "d2f/dx2": "-2*f - 2*x*df/dx"}
    expect = {"d2f/dx2": -0.7788}
    results = run(case, derivatives=lines, expect=expect)
    assert [(r.quantity, r.verdict) for r in results] == [("df/dx", "pass"), ("d2f/dx dx", "pass")]
    (_, wrong) = run(case, derivatives=lines, expect={"d2f/dx2": -0.7798})
    assert (wrong.verdict, wrong.blame) == ("fail", "expected")


@pytest.mark.parametrize("x", [2.0, [0.7, 5.5]])
def test_what_torch_s_polygamma_is_off_by_accuses_nobody(x) -> None:
    right = {"d2out/dx2": "polygamma(1, x)"}
    (result,) = run({"function": "lgamma(x)", "inputs": {"x": x}}, derivatives=right)
    assert result.verdict == "pass"
    wrong = {"d2out/dx2": "polygamma(1, x)*1.00000001"}
    (result,) = run({"function": "lgamma(x)", "inputs": {"x": x}}, derivatives=wrong)
    assert (result.verdict, result.blame) == ("fail", "handwritten")


def test_an_elementwise_second_derivative_has_the_shape_of_the_values() -> None:
    case = {"function": "sin(x)", "inputs": {"x": [0.3, 1.1]}}
    right = {"d2out/dx2": "-sin(x)", "d2out/dx dx @ x": "-sin(x)*x"}
    assert [r.verdict for r in run(case, derivatives=right)] == ["pass", "pass"]
    assert [r.verdict for r in run(case, derivatives={"d2out/dx2": "sin(x)"})] == ["fail"]


def test_a_vector_of_another_shape_is_a_mistake_of_the_case() -> None:
    case = {"function": "sum(x**2)", "inputs": {"x": [1.0, 2.0]}, "constants": {"v": [1, 2, 3]}}
    (result,) = run(case, derivatives={"d2out/dx dx @ v": "2*x"})
    assert (result.verdict, result.blame) == ("error", "function")
    assert "`v` has shape [3]" in result.notes[0]


def test_what_the_exact_oracle_cannot_tell_is_inconclusive() -> None:
    (result,) = run({"function": "relu(x)**2", "inputs": {"x": 0.0}}, derivatives={"d2out/dx2": 0})
    assert result.verdict == "inconclusive"
    assert "not differentiated numerically" in result.notes[0]


def test_what_an_evaluation_gave_is_held_to_the_formula_s() -> None:
    case = {"function": "x**3", "inputs": {"x": 0.1}, "dtypes": ["float32"]}
    blurred = {"d2out/dx2": "6*(x + 10000 - 10000)"}  # right, with few digits kept
    for printed, verdict in ((0.59765625, "pass"), (0.60000002, "fail")):
        expect = {"of": "handwritten", "dtype": "float32", "d2out/dx2": printed}
        (result,) = run(case, derivatives=blurred, expect=expect)
        assert result.verdict == verdict


def test_autograd_is_torch_s_hessian() -> None:
    x = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    truth = torch.autograd.functional.hessian(lambda x: torch.tanh(x).prod() * x.sum(), x)
    (result,) = run(
        {"function": "prod(tanh(x))*sum(x)", "inputs": {"x": x.tolist()}},
        derivatives={"d2out/dx2": "eye(3)"},
    )
    shown = {entry.index: entry.answers["autograd"].value for entry in result.entries}
    assert shown
    for index, value in shown.items():
        assert np.isclose(value, float(truth[index]), rtol=1e-12)


# -- links that hold a value -------------------------------------------------------------------

BRANCHES = {"function": {"u": "x**2", "f": "x + 3*u"}, "inputs": {"x": 0.7}}


def test_a_partial_derivative_holds_what_it_names() -> None:
    right = {"df/dx | u": 1, "df/dx": "1 + 6*x", "df/du": 3}
    assert [r.verdict for r in run(BRANCHES, derivatives=right)] == ["pass"] * 3
    (result,) = run(BRANCHES, derivatives={"df/dx | u": "1 + 6*x"})
    assert (result.quantity, result.verdict, result.blame) == ("df/dx | u", "fail", "handwritten")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("df/dx | x", "`x` cannot be held"),
        ("df/du | x", "`x` does not depend on `u`, so that it is held anyway"),
        ("df/dx | w", "`w` is not a value of the function"),
        ("d2f/dx du", "`u` depends on `x`: by both there is no one derivative"),
        ("d2f/dx dq", "`q` is not a value of the function"),
        ("d2q/dx dx", "`q` is not a value of the function"),
        ("d2x/dx dx", "`x` is given, not computed"),
        ("d2f/dx dx @ q", "`q` is not a value that it can be multiplied by"),
    ],
)
def test_what_cannot_be_meant_is_told(key: str, message: str) -> None:
    with pytest.raises(InvalidCaseError) as caught:
        run(BRANCHES, derivatives={key: "1"})
    assert message in str(caught.value)
