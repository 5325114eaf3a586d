"""What a wrong formula looks like, with what would be right."""

import subprocess
import sys

import pytest

import gradcheck
from gradcheck.diagnosis import diagnose

VECTOR = {"x": [0.3, -1.2, 2.0]}
MATRIX = {"A": [[1.0, 2.0, -0.5], [0.3, -1.0, 0.7]], "x": [0.5, -1.5, 2.0]}
SQUARE = {"A": [[1.0, 2.0], [0.3, -1.0]], "x": [0.5, -1.5]}
RECURRENCE = {"recurrence": {"steps": 4, "states": {"h": {"start": "h_0", "next": "tanh(w*h)"}}}}
INDEXED = {
    "recurrence": {
        "steps": 4,
        "index": "t",
        "states": {"h": {"start": "h_0", "next": "w*h + x[t]"}},
    }
}


def found(function, inputs, quantity="", **written):
    """The diagnosis of the first failure, of a quantity if one is named."""
    report = gradcheck.check(function, inputs, **written)
    failed = [r for r in report.results if r.verdict == "fail" and quantity in r.quantity]
    assert failed, report
    return failed[0].diagnosis


@pytest.mark.parametrize(
    ("function", "inputs", "wrong", "kind", "text"),
    [
        ("sin(x**2)", {"x": 3.0}, "-2*x*cos(x**2)", "sign", "minus the right value"),
        ("sum(abs(x)**3)", VECTOR, "3*x**2", "sign_where_negative", "where `x` is negative"),
        ("x**2", {"x": 2.0}, "x", "constant_factor", "half of the right value"),
        ("sin(x**2)", {"x": 3.0}, "2*cos(x**2)", "missing_factor", "the factor `x` is missing"),
        ("x**2", {"x": 2.0}, "2*x*x", "extra_factor", "the factor `x` is there once too often"),
        ("x*exp(x)", {"x": 0.7}, "exp(x)", "forgotten_use", "the use of `x` in `out = x*exp(x)`"),
        ("exp(x)", {"x": 0.7}, "exp(x) + x", "extra_term", "the term `x` is one too many"),
        ("sum(mean(x**2))", VECTOR, "2*x", "sum_for_mean", "3 times the right value"),
        ("sum(x**2)", VECTOR, "2*x/3", "mean_for_sum", "a mean where the sum is meant"),
        ("(x + 1)**3", {"x": 0.7}, "3*(x + 2)**2", "wrong_constant", "write `3*(x + 1)**2`"),
        ("x**4 + x", {"x": 0.7}, "4*x**2 + 1", "wrong_constant", "`4*x**3 + 1`"),
        ("x**2.5 + x", {"x": 0.7}, "2.2*x**1.5 + 1", "wrong_constant", "with 2.5 in place of 2.2"),
        ("sum(relu(x)**2)", VECTOR, "2*x", "lost_outside", "`x > 0` is not true"),
        ("sum(sin(x)*x)", VECTOR, "cos(x)*x + sin(x)*x", "extra_factor", "cos(x)*x + sin(x)"),
    ],
)
def test_a_derivative_by_an_input(function, inputs, wrong, kind, text):
    first = found(function, inputs, derivatives={"x": wrong})[0]
    assert (first.kind, text in first.text) == (kind, True), first


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        ("outer(x, dy)", "transposed", "the operands of `outer(x, dy)` are swapped"),
        ("outer(dy, x) * x", "extra_factor", "the factor `x` is there once too often"),
        ("dy", "reduction", ""),
        ("-outer(dy, x)", "sign", ""),
        ("outer(dy, y)", "wrong_name", "`y` stands where `x` belongs"),
    ],
)
def test_a_line_of_a_backward(wrong, kind, text):
    diagnosis = found({"y": "A @ x"}, SQUARE, "dA", backward={"dA": wrong, "dx": "A.T @ dy"})
    kinds = [one.kind for one in diagnosis]
    if kind == "reduction":  # a vector where a matrix belongs: no sum of it fits
        assert kinds == []
        return
    assert kinds[0] == kind
    assert text in diagnosis[0].text


def test_a_wrong_shape_is_looked_at_too():
    first = found({"y": "A @ x"}, MATRIX, "dA", backward={"dA": "outer(x, dy)", "dx": "A.T @ dy"})
    assert first[0].kind == "transposed"
    assert "write `outer(dy, x)`" in first[0].text
    rows = {"x": [[1.0, 2.0, 3.0], [0.5, -1.0, 4.0]], "b": [0.1, 0.2, 0.3]}
    first = found({"y": "x + b"}, rows, "db", backward={"dx": "dy", "db": "dy"})
    assert (first[0].kind, "write `sum(dy, 0)`" in first[0].text) == ("reduction", True)


def test_a_factor_inside_of_a_product_of_matrices_is_named_where_it_belongs():
    steps = {"z": "A @ x", "y": "tanh(z)", "out": "sum(y**2)"}
    links = {"dout/dz": "2*y*(1 - y**2)", "dout/dx": "A.T @ (2*y)"}
    (first, *_) = found(steps, MATRIX, "dout/dx", derivatives=links)
    assert first.kind == "missing_factor"
    assert "dy/dz" in first.text


def test_a_link_is_called_by_its_name():
    steps = {"z": "w*x", "p": "sigmoid(z)", "loss": "(p - t)**2"}
    inputs, constants = {"w": 0.7}, {"x": 1.3, "t": 0.2}
    written = {"dloss/dp": "2*(p - t)", "dp/dz": "p*(1 - p)", "dloss/dw": "dloss/dp * x"}
    report = gradcheck.check(steps, inputs, constants=constants, derivatives=written)
    (failed,) = [result for result in report.results if result.verdict == "fail"]
    assert failed.diagnosis[0].text == "the factor `dp/dz` is missing"


def test_what_follows_from_a_wrong_line_says_where_it_begins():
    steps = {"z": "A @ x", "h": "tanh(z)", "loss": "sum(h)"}
    backward = {
        "dh": "h*dloss*ones_like(h)",
        "dz": "dh*(1 - h**2)",
        "dA": "outer(dz, x)",
        "dx": "A @ dz",
    }
    report = gradcheck.check(steps, SQUARE, backward=backward)
    told = {r.quantity: r.diagnosis[0] for r in report.results if r.verdict == "fail"}
    assert told["dh"].kind == "extra_factor"
    for name in ("dz", "dA"):
        assert told[name].kind == "consequence"
        assert "uses `dh`, which is wrong: look there first" in told[name].text
    assert told["dx"].kind == "transposed"  # it is wrong by itself too


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        ("(1 - tanh(w*h)**2)*(h - w*dh/dw)", "wrong_sign_of_a_term", "h + (w*dh/dw)"),
        ("(1 - tanh(w*h)**2)*(tanh(w*h) + w*dh/dw)", "off_by_one_step", "(h + w*dh/dw)"),
        ("(1 - h**2)*(h + w*dh/dw)", "off_by_one_step", "`h` is that before the step"),
    ],
)
def test_a_derivative_that_is_carried(wrong, kind, text):
    """That of tanh(w·h): (1 − tanh(w·h)²)·(h + w·dh/dw)."""
    written = {"recurrence": {"dh/dw": {"start": 0, "next": wrong}}}
    told = found(RECURRENCE, {"w": 0.8, "h_0": 0.5}, derivatives=written)
    assert [(kind, text in one.text) for one in told[:1] if one.kind == kind] == [(kind, True)]


def test_a_step_beside_is_told():
    first = found(
        {**INDEXED, "y": "h*h"},
        {"w": 0.8, "h_0": 0.5, "x": [0.3, -1.0, 0.7, 1.1]},
        "dw",
        backward={
            "dh": "2*h*dy",
            "recurrence": {
                "dw": {"start": 0, "next": "dw + dh*h[t + 1]"},
                "dh": {"start": "dh", "next": "w*dh"},
            },
        },
    )
    assert first[0].kind == "off_by_one_step"
    assert "`h[t]` is meant" in first[0].text


def test_one_step_too_few_is_told():
    power = {"recurrence": {"steps": 5, "states": {"h": {"start": "h_0", "next": "w*h"}}}}
    first = found(power, {"w": 0.8, "h_0": 0.5}, derivatives={"w": "4*w**3*h_0"})
    assert first[0].kind == "off_by_one_step"
    assert "after one step less" in first[0].text


def test_nothing_is_said_where_nothing_fits():
    wrong = "cos(x) - 0.3*x**2 + 2"
    assert found("sin(x)*exp(x)", {"x": 0.4}, derivatives={"x": wrong}) == ()


def test_it_is_in_the_record_and_in_the_block():
    report = gradcheck.check("x**2", {"x": 3.0}, derivatives={"x": "x"})
    (result,) = report.results
    text = "it is half of the right value, everywhere"
    assert result.record()["diagnosis"] == [{"kind": "constant_factor", "text": text}]
    assert f"\n  {text}\n" in str(report)


def test_a_diagnosis_that_raises_loses_no_verdict(monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("no")

    monkeypatch.setattr(diagnose, "diagnose", broken)
    (result,) = gradcheck.check("x**2", {"x": 3.0}, derivatives={"x": "x"}).results
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert result.notes == ("no diagnosis: ZeroDivisionError: no; please report it",)


def test_a_formula_is_looked_at_once_however_many_points_fail(monkeypatch):
    looked = []
    monkeypatch.setattr(diagnose, "diagnose", lambda *given: looked.append(given) or ())
    points = [{"inputs": {"x": value}} for value in (1.0, 2.0, 3.0)]
    report = gradcheck.check("x**2", {"x": 1.0}, derivatives={"x": "x"}, points=points)
    assert [result.verdict for result in report.results] == ["fail"] * 3
    assert len(looked) == 1


def test_a_run_that_passes_imports_nothing_of_it():
    program = """
import sys, gradcheck
assert gradcheck.check("x**2", {"x": 3.0}, derivatives={"x": "2*x"})
print([name for name in sys.modules if name.startswith("gradcheck.diagnosis.")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("['gradcheck.diagnosis.of_function']", "")


PAIR = {"A": [[1.0, 2.0], [0.3, -1.0]], "B": [[0.5, -1.5], [2.0, 0.7]]}
CUBE = {"X": [[[[0.5, -1.0], [2.0, 0.3]], [[1.2, 0.4], [-0.7, 0.9]]]]}


@pytest.mark.parametrize(
    ("function", "inputs", "quantity", "wrong", "kind", "text"),
    [
        # a factor without a name, as the derivative of a word has it
        (
            "log1p(exp(x))*x",
            {"x": 0.7},
            "x",
            "x*x/(exp(-x) + 1) + log1p(exp(x))",
            "extra_factor",
            "x",
        ),
        ("r*exp(-r*t)", {"r": 0.7, "t": 1.3}, "t", "-r**2", "missing_factor", "exp(-r*t)"),
        # a term among products of values
        (
            "x**y",
            {"x": 1.3, "y": 2.5},
            "d2out/dx dy",
            "y*x**(y - 1)*log(x)",
            "missing_term",
            "x**(y - 1)",
        ),
        (
            "sin(w*x)",
            {"w": 0.7, "x": 1.3},
            "d2out/dx dw",
            "-w*x*sin(w*x)",
            "missing_term",
            "cos(w*x)",
        ),
        # a part of a word that is held
        (
            "sum(softmax(x, 0)*[1.0, 2.0, 5.0])",
            VECTOR,
            "x",
            "softmax(x, 0)*[1.0, 2.0, 5.0]",
            "missing_term",
            "the normalisation in `softmax(x, 0)` is taken for a constant",
        ),
        ("sum(silu(x))", VECTOR, "x", "sigmoid(x)", "missing_term", "the gate in `silu(x)`"),
        # transposes that go together
        ("sum((A @ B)**2)", PAIR, "A", "2*A @ B @ B", "transposed", "`B` is to be transposed"),
        (
            "sum(inv(A)*B)",
            PAIR,
            "A",
            "-inv(A) @ B @ inv(A)",
            "transposed",
            "`inv(A)` is to be transposed everywhere",
        ),
        # both bounds
        (
            "sum(where(abs(x) < 0.75, x**2/2, 0.75*abs(x)))",
            VECTOR,
            "x",
            "clamp(x, -0.7, 0.7)",
            "wrong_constant",
            "0.75 in place of 0.7",
        ),
        # one case of two
        (
            "sum(where(x > 0, x, 2*exp(x)))",
            VECTOR,
            "x",
            "2*exp(x)",
            "lost_outside",
            "`x > 0` is true",
        ),
        # the wrong axis of four
        (
            "sum(X**2*sum(X, -1, keepdim=True))",
            CUBE,
            "X",
            "2*X*sum(X, -1, keepdim=True) + sum(X**2, -2, keepdim=True)",
            "reduction",
            "sum(X**2, -2",
        ),
        # the absolute value
        ("log(abs(x))", {"x": -1.3}, "x", "1/abs(x)", "sign_where_negative", "`x` is negative"),
    ],
)
def test_a_mistake_that_has_no_name_of_its_own(function, inputs, quantity, wrong, kind, text):
    first = found(function, inputs, derivatives={quantity: wrong})[0]
    assert (first.kind, text in first.text) == (kind, True), first


def test_only_a_part_of_the_rows_that_is_added_up_is_told():
    inputs = {"X": [[1.0, 2.0], [0.3, -1.0], [0.7, 0.2]], "w": [0.5, -1.5]}
    wrong = {"dw": "X[:2].T @ dy[:2]", "dX": "outer(dy, w)"}
    first = found({"y": "X @ w"}, inputs, "dw", backward=wrong)[0]
    assert (first.kind, "only the part `X[:2]` counts" in first.text) == ("missing_term", True)


def test_a_line_that_is_left_out_between_two_is_a_factor():
    steps = {"z": "A @ x", "y": "tanh(z)"}
    backward = {"dz": "dy*(1 - y**2)", "dA": "outer(dy, x)", "dx": "A.T @ dz"}
    first = found(steps, SQUARE, "dA", backward=backward)[0]
    assert first.kind == "missing_factor"
    assert first.text == "the factor `dy/dz` is missing"


def test_of_two_mistakes_that_which_shows_at_the_point_is_told():
    steps = {"u": "norm(a - p)", "v": "norm(a - n)", "loss": "relu(u - v + 1)"}
    inputs = {"a": [0.5, -1.0], "p": [1.5, 0.3], "n": [2.0, 1.0]}
    wrong = {"dloss/da": "(a - p)/u + (a - n)/v"}
    first = found(steps, inputs, "dloss/da", derivatives=wrong)[0]
    assert first.kind == "wrong_sign_of_a_term"


def test_a_shift_of_what_is_written_is_a_step_beside():
    inputs = {"x": [1.0, 2.0, -0.5, 0.7]}
    wrong = "concatenate([3*x[1:]**2, zeros(1)])"
    first = found("sum(x**3)", inputs, derivatives={"x": wrong})[0]
    assert (first.kind, "shifted by one" in first.text) == ("off_by_one_step", True)


def test_rows_that_are_not_written_are_a_block():
    wrong = {"dA": "concatenate([outer(dy, x)[:1], zeros(2, 2)])", "dx": "A.T @ dy"}
    inputs = {"A": [[1.0, 2.0], [0.3, -1.0], [0.7, 0.2]], "x": [0.5, -1.5]}
    first = found({"y": "A @ x"}, inputs, "dA", backward=wrong)[0]
    assert (first.kind, first.text) == ("block", "only the block [1:3, 0:2] is wrong")
