"""Right and accurate are two questions: what proof says of a formula, and the digits it keeps."""

import math

import numpy as np
import pytest

from gradcheck.accuracy import digits_kept

DTYPES = "dtypes: [float64, float32, float16, bfloat16]"
CANCELLING = """
    function: (1 - cos(x))/x**2
    inputs: {x: 1e-4}
    derivatives: {x: (x*sin(x) - 2*(1 - cos(x)))/x**3}
"""


def kept(error, radius=0.0, scale=1.0, dtype="float64"):
    return digits_kept(np.array(error), np.array(radius), scale, dtype)


def test_digits_are_the_logarithm_of_the_error_relative_to_the_largest_entry():
    assert kept([1e-3, 1e-9], [0.0, 0.0], 10.0) == pytest.approx((4, 4))


def test_no_error_keeps_what_the_dtype_holds():
    assert kept(0.0) == pytest.approx((15.95, 15.95), abs=0.01)
    assert kept(0.0, dtype="bfloat16") == pytest.approx((2.41, 2.41), abs=0.01)


def test_an_error_as_large_as_the_truth_keeps_none():
    assert kept(2.0) == kept(math.inf) == (0.0, 0.0)


def test_a_truth_that_is_not_well_known_leaves_a_range():
    least, most = kept(3e-6, 1e-6)
    assert (least, most) == pytest.approx((-math.log10(4e-6), -math.log10(2e-6)))


def test_a_right_formula_that_keeps_no_digit_passes_as_unstable(check):
    for result in check(CANCELLING + f"    {DTYPES}"):
        assert (result.verdict, result.truth) == ("pass", "exact"), result
        assert result.is_unstable
        assert result.digits["handwritten"] < 1
        assert result.notes[0].startswith("unstable: handwritten keeps 0.0 of")


def test_autograd_s_wrong_digits_stand_beside_the_right_ones(check_one):
    result = check_one(CANCELLING)
    answers = result.entries[0].answers
    assert answers["autograd"].value == pytest.approx(4.41e-5, rel=1e-3)
    assert answers["exact"].value == pytest.approx(-8.3333e-6, rel=1e-4)
    assert result.notes[1] == (
        "unstable: autograd keeps 0.0 of 16.0 digits in float64, 4.4108e-05 against -8.33333e-06"
    )


def test_a_stable_formula_keeps_its_digits_where_autograd_does_not(check_one):
    result = check_one("""
        function: log(1 + exp(x)) - x
        inputs: {x: 30.0}
        derivatives: {x: -sigmoid(-x)}
    """)
    assert result.verdict == "pass"
    assert result.digits["handwritten"] > 15
    assert result.digits["autograd"] < 4
    assert [note.split()[1] for note in result.notes] == ["autograd"]


def test_digits_are_kept_in_every_dtype_and_are_few_in_a_narrow_one(check):
    results = check(
        f"function: tanh(x)\ninputs: {{x: 0.7}}\nderivatives: {{x: 1 - out**2}}\n{DTYPES}"
    )
    kept = [result.digits["handwritten"] for result in results]
    assert sorted(kept, reverse=True) == kept
    assert kept[0] > 15
    assert kept[3] < 3


@pytest.mark.parametrize(("asked", "verdict"), [(3, "pass"), (15, "fail")])
def test_a_case_may_ask_for_digits(asked, verdict, check_one):
    result = check_one(f"""
        function: log(1 + exp(x))
        inputs: {{x: -6.0}}
        derivatives: {{x: 1 - 1/(1 + exp(x))}}
        digits: {asked}
    """)
    assert (result.verdict, result.blame) == (verdict, "handwritten" if verdict == "fail" else "")
    if verdict == "fail":
        assert result.notes[0] == "it is right, but keeps fewer digits than are asked for"
        assert result.notes[1].startswith("unstable: handwritten keeps 1")
        assert "of 16.0 digits in float64 (15 are asked for), " in result.notes[1]
        assert result.difference is None


def test_digits_are_asked_for_where_the_dtype_holds_as_many(check):
    results = check(f"""
        function: tanh(x)
        inputs: {{x: 0.7}}
        derivatives: {{x: 1 - out**2}}
        digits: 5
        {DTYPES}
    """)
    assert {result.verdict for result in results} == {"pass"}


@pytest.mark.usefixtures("without_exact")
def test_where_the_truth_is_numeric_digits_beyond_it_cannot_be_told(check):
    text = "function: sin(x)\ninputs: {{x: 0.7}}\nderivatives: {{x: cos(x)}}\ndigits: {}"
    assert [r.verdict for r in check(text.format(6))] == ["pass"]
    assert [r.verdict for r in check(text.format(15))] == ["inconclusive"]


def test_an_evaluation_that_overflows_is_no_fault_of_a_right_formula(check):
    results = check("""
        function: x**2/(1 + x**2)
        inputs: {x: 400.0}
        derivatives: {x: 2*x/(1 + x**2)**2}
        dtypes: [float16]
    """)
    assert [(r.verdict, r.is_unstable) for r in results] == [("pass", True)]


def test_a_nan_that_leaks_from_the_other_branch_is_autograd_s_fault(check_one):
    result = check_one("""
        function: where(x > 0, sqrt(x), 0*x)
        inputs: {x: [4.0, 0.0, -1.0]}
        derivatives: {x: "where(x > 0, 1/(2*sqrt(x)), 0)"}
    """)
    assert result.verdict != "pass"
    result = check_one("""
        function: where(x > 0, sqrt(x), 0*x)
        inputs: {x: [4.0, -1.0]}
        derivatives: {x: "where(x > 0, 1/(2*sqrt(x)), 0)"}
    """)
    assert (result.verdict, result.blame) == ("fail", "autograd")


def test_an_evaluation_far_beyond_its_rounding_is_a_failure(check_one, monkeypatch):
    """As where a device computes a word badly, though the formula is right."""
    from gradcheck.oracles import handwritten

    real = handwritten.jacobian
    monkeypatch.setattr(handwritten, "jacobian", lambda *a: real(*a) * (1 + 1e-10))
    result = check_one("function: sin(x)\ninputs: {x: 0.7}\nderivatives: {x: cos(x)}")
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    monkeypatch.setattr(handwritten, "jacobian", lambda *a: real(*a) * (1 + 1.5e-15))
    result = check_one("function: sin(x)\ninputs: {x: 0.7}\nderivatives: {x: cos(x)}")
    assert result.verdict == "pass"
    assert result.notes == (
        "handwritten is further off than rounding explains, though less than ten times",
    )


# Hard points at which right formulas were once accused, or wrong ones passed

RIGHT = [
    ("tanh(x)", "45.0", "1 - tanh(x)**2"),
    ("sigmoid(x)", "200.0", "out*(1 - out)"),
    ("sigmoid(x)", "-89.3", "sigmoid(x)*(1 - sigmoid(x))"),
    ("silu(x)", "[-89.3]", "sigmoid(x)*(1 + x*sigmoid(-x))"),
    ("logsigmoid(x)", "720.0", "sigmoid(-x)"),
    ("softplus(x)", "-89.3", "sigmoid(x)"),
    ("gelu(x)", "[" + "-12.0, " * 7 + "-12.0]", "0.5*erfc(-x/sqrt(2)) + x*exp(-x**2/2)/sqrt(2*pi)"),
    ("norm(x)", "[1e-30, 2e-30]", "x/norm(x)"),
    ("x**2.0", "-1.5", "2*x"),
    ("x**3.0", "0.0", "3*x**2"),
    ("prod(x)", "[1.0, 0.0, 0.5]", "[0, 0.5, 0]"),
    ("cumprod(x, 0)", "[2.0, 0.0, 0.5]", "[[1, 0, 0], [0, 2, 0], [0, 1, 0]]"),
    ("lgamma(x)", "-2.5", "digamma(x)"),
    ("logsumexp(x, 0)", "[60000.0, 1.0]", "softmax(x, 0)"),
]


@pytest.mark.parametrize(("function", "x", "formula"), RIGHT)
def test_a_right_formula_at_a_hard_point_passes_in_every_dtype(function, x, formula, check):
    results = check(
        f'function: "{function}"\ninputs: {{x: {x}}}\nderivatives: {{x: "{formula}"}}\n{DTYPES}'
    )
    expected = {"norm(x)": {"float16": "inconclusive"}}.get(function, {})  # x is 0 there
    for result in results:
        assert result.verdict == expected.get(result.dtype, "pass"), result


@pytest.mark.parametrize(
    ("function", "x", "formula"),
    [
        ("sum(tanh(x))", "[0.5, 50.0]", "(1 - tanh(x)**2)*[1, 2]"),
        ("sum(sigmoid(x))", "[0.5, 95.0]", "sigmoid(x)*(1 - sigmoid(x))*[1, -5]"),
        ("sum(cumsum(x, 0)**2)", "{shape: [3000], sample: normal}", "2*x*1.000000000001"),
    ],
)
def test_an_entry_however_small_is_not_passed_over(function, x, formula, check_one):
    result = check_one(
        f'function: "{function}"\ninputs: {{x: {x}}}\nderivatives: {{x: "{formula}"}}'
    )
    assert (result.verdict, result.blame, result.truth) == ("fail", "handwritten", "exact")


@pytest.mark.parametrize(
    ("function", "x", "formula"),
    [
        ("var(x)", "[1.0]", "zeros(1)"),
        ("(x - x)*log(c)", "1.0", "0"),
        ("prod([x - x, log(c)])", "1.0", "0"),
        ("x + log(c)", "1.0", "1"),
        ("xlogy(x - x, c)", "1.0", "0"),
    ],
)
def test_a_function_without_a_value_has_no_proven_derivative(function, x, formula, check_one):
    result = check_one(f"""
        function: "{function}"
        inputs: {{x: {x}}}
        constants: {{c: -1.0}}
        derivatives: {{x: "{formula}"}}
    """)
    assert result.verdict != "pass"
    assert result.truth != "exact"


@pytest.mark.parametrize(
    "formula", ["2*x*(1 + 7*floor(sin(x)**2 + cos(x)**2))", "where(sqrt(x)**2 == x, 77, 2*x)"]
)
def test_a_formula_that_is_right_by_a_rounding_does_not_pass(formula, check_one):
    text = 'function: x**2\ninputs: {{x: 3.0}}\nderivatives: {{x: "{}"}}'
    assert check_one(text.format(formula)).verdict != "pass"


def test_what_is_too_long_for_entries_is_looked_at_along_directions(check_one):
    result = check_one("""
        function: sum(outer(x, x)**2)
        inputs: {x: {shape: [2000], sample: normal}}
        derivatives: {x: 4*x*sum(x**2)}
    """)
    assert (result.verdict, result.truth) == ("pass", "numeric")
    assert result.notes[0] == (
        "this takes more operations than ball arithmetic is given, in `outer(x, x)`, and numeric "
        "differentiation by 2,000 entries too"
    )
    assert "not at 2,000 entries" in result.notes[1]
