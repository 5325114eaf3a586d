"""Cases in complex dtypes: torch's conjugate convention, held to numeric differentiation."""

import pytest

import gradcheck
from gradcheck.errors import InvalidCaseError
from gradcheck.results import Result

DTYPES = ["complex128", "complex64"]
Z = {"z": {"shape": [3], "sample": "normal"}}
LAYER = {
    "W": {"shape": [2, 3], "sample": "normal"},
    "x": {"shape": [3], "sample": "normal"},
}


def run(function, inputs: dict, **case) -> list[Result]:
    return list(gradcheck.check(function, inputs, dtypes=DTYPES, **case).results)


@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        ("exp(z)*z**2", "exp(z)*(z**2 + 2*z)", "exp(z)*z**2"),
        ("exp(z)*z**2", "diag(exp(z)*(z**2 + 2*z))", "conj(exp(z)*(z**2 + 2*z))"),
        ("sum(abs(z)**2)", "2*z", "2*conj(z)"),
        ("sum(real(z*z))", "2*conj(z)", "2*z"),
        ("sum(imag(z)**2 + real(z))", "2*imag(z)*(z - real(z))/imag(z) + 1", "2*imag(z) + 1"),
        ("sum(abs(z))", "z/abs(z)", "sign(real(z))"),
        ("abs(sum(exp(z)))**2", "2*sum(exp(z))*conj(exp(z))", "2*sum(exp(z))*exp(z)"),
    ],
)
def test_a_derivative_by_complex_numbers_is_torch_s(function, right, wrong):
    results = run(function, Z, derivatives={"z": right}, samples=2)
    assert {(r.verdict, r.truth, r.dtype) for r in results} == {
        ("pass", "numeric", dtype) for dtype in DTYPES
    }
    results = run(function, Z, derivatives={"z": wrong})
    assert {(r.verdict, r.blame) for r in results} == {("fail", "handwritten")}


def test_a_backward_takes_conjugates():
    function = {"y": "W @ x", "p": "real(y*conj(y))", "loss": "sum(p)"}
    right = {
        "dp": "dloss*ones(2)",
        "dy": "2*y*dp",
        "dW": "outer(dy, conj(x))",
        "dx": "conj(W).T @ dy",
    }
    tangents = {"dy": "dW @ x + W @ dx", "dloss": "sum(2*real(conj(y)*dy))"}
    results = run(function, LAYER, backward=right, jvp=tangents)
    assert {r.verdict for r in results} == {"pass"}
    for line, wrong in (("dW", "outer(dy, x)"), ("dx", "W.T @ dy"), ("dy", "2*conj(y)*dp")):
        failed = [r for r in run(function, LAYER, backward={**right, line: wrong}) if r.is_bad]
        assert failed[0].quantity == line
        assert {(r.verdict, r.blame) for r in failed} == {("fail", "handwritten")}
    failed = [r for r in run(function, LAYER, jvp={"dy": "dW @ x"}) if r.is_bad]
    assert {r.quantity for r in failed} == {"dy (jvp)"}


def test_entries_are_called_by_the_names_of_the_case():
    (failed, _) = run({"y": "W @ x"}, LAYER, backward={"dx": "W.T @ dy"})
    assert failed.entries[0].label.startswith(("Im dx[", "Re dx["))
    (failed, _) = run({"y": "W @ x"}, LAYER, jvp={"dy": "W @ dx"})
    assert failed.entries[0].label.startswith(("Im dy[", "Re dy["))
    (failed, _) = run("exp(z)", Z, derivatives={"z": "1"})
    assert failed.entries[0].label.startswith(("dRe out[", "dIm out["))
    assert "/dRe z[" in failed.entries[0].label or "/dIm z[" in failed.entries[0].label


def test_a_wrong_shape_and_a_formula_without_a_value_are_told():
    for wrong, note in (("z", "the Jacobian has shape"), ("relu(z)", "no value")):
        results = run("sum(z)*ones(2)", Z, derivatives={"z": wrong})
        assert {(r.verdict, r.blame) for r in results} == {("fail", "handwritten")}
        assert note in results[0].notes[0]


def test_a_function_that_complex_numbers_have_not_is_an_error():
    results = run("sum(relu(z))", Z, derivatives={"z": "1"})
    assert {(r.verdict, r.blame) for r in results} == {("error", "function")}


def test_a_second_derivative_by_complex_numbers_is_inconclusive():
    results = run("sum(z**2)", Z, derivatives={"d2out/dz dz": "2*eye(3)"})
    assert {r.verdict for r in results} == {"inconclusive"}


def test_published_numbers_are_real():
    with pytest.raises(InvalidCaseError, match="published numbers are real"):
        run("z**2", {"z": 2.0}, derivatives={"z": "2*z"}, expect={"z": 4})
    case = {"derivatives": {"z": "2*z"}, "expect": {"z": 4}}
    report = gradcheck.check("z**2", {"z": 2.0}, dtypes=["complex128", "float64"], **case)
    assert report.ok
