"""`check`: each kind of function, with a derivative that is right and one that is wrong."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from wrong_functions import custom, sine

import gradcheck
from gradcheck.advice import ZERO_TIMES_INFINITY
from gradcheck.errors import CheckFailedError, InvalidCaseError, UsageError

X = torch.tensor([0.3, -1.2, 0.8], dtype=torch.float64)
Z = torch.tensor([0.3 - 0.4j, 1.1 + 0.2j], dtype=torch.complex128)


def derivatives(report):
    """Its results but those on conditions."""
    return [r for r in report.results if not r.quantity.startswith("condition")]


def only(report):
    """The one that is told, beside conditions that hold."""
    (result,) = [r for r in report.results if r.quantity != "conditions"]
    return result


def notes(report):
    return " ".join(note for result in report.results for note in result.notes)


RIGHT = {
    "a number": (torch.sin, X[0]),
    "a vector": (torch.sin, X),
    "nothing": (torch.sin, X[:0]),
    "no output": (lambda x: x[:0], X),
    "a constant output": (lambda x: torch.ones(2, dtype=x.dtype), X),
    "many outputs": (lambda x: torch.outer(x, x), X),
    "complex to complex": (lambda z: z * z.conj() + z**3, Z),
    "complex to real": (lambda z: z.abs().sum(), Z),
    "real to complex": (lambda x: torch.exp(1j * x), X),
    "a branch on the data": (lambda x: x.sin() if x.sum() > 0 else x.cos(), X),
    "whole and boolean constants": (
        lambda x, i, mask, k: torch.where(mask, x[i] * k, x),
        (X, torch.tensor([2, 0, 1]), X > 0, 3),
    ),
    "asks for a gradient": (
        lambda x: (
            torch.autograd.grad((y := x * 1).requires_grad_().pow(3).sum(), y)[0]
            if not x.requires_grad
            else 3 * x**2
        ),
        X,
    ),
    "float32": (lambda x: torch.tanh(x).sum(), X.float()),
    "bfloat16": (lambda x: torch.tanh(x).sum(), X.bfloat16()),
    "float32 to float64": (lambda x: x.double() ** 2, X.float()),
}


@pytest.mark.parametrize(("function", "inputs"), RIGHT.values(), ids=RIGHT)
def test_a_right_derivative_passes(function, inputs):
    report = gradcheck.check(function, inputs)
    assert report.ok, str(report)
    assert report.verdict == "pass"


WRONG = {
    "a scale": (sine(1.0009), X),
    "one entry in 1e5": (
        custom(
            torch.sin, lambda s, g: g * s[0].cos() * torch.tensor([1, 1, 1 + 1e-5], dtype=g.dtype)
        ),
        X,
    ),
    "transposed": (
        custom(lambda x, w: w @ x, lambda s, g: (s[1] @ g, torch.outer(g, s[0]))),
        (X, torch.arange(9.0, dtype=torch.float64).reshape(3, 3)),
    ),
    "zero where the function is small": (
        custom(lambda x: 1e-6 * x.sin(), lambda s, g: torch.zeros_like(g)),
        X,
    ),
    "no conjugate": (custom(lambda z: z**2, lambda s, g: g * 2 * s[0]), Z),
    "a sign where x < 0": (custom(lambda x: x**2, lambda s, g: g * 2 * s[0].abs()), X),
    "detached": (lambda x: x.detach() ** 2, X),
    "float32": (sine(1.01), X.float()),
}


@pytest.mark.parametrize(("function", "inputs"), WRONG.values(), ids=WRONG)
def test_a_wrong_derivative_fails_and_autograd_is_blamed(function, inputs):
    report = gradcheck.check(function, inputs)
    assert report.verdict == "fail"
    assert {r.blame for r in report.results if r.is_bad} == {"autograd"}


def test_a_backward_that_is_not_linear_in_its_cotangent_fails():
    report = gradcheck.check(custom(torch.sin, lambda s, g: g * g * s[0].cos()), X)
    assert (report.verdict, only(report).blame) == ("fail", "autograd")
    assert "not linear in its cotangent" in notes(report)


def test_a_batched_backward_that_is_wrong_is_not_what_is_judged():
    def backward(saved, g):
        try:
            g.numpy()
        except RuntimeError:  # so it is under vmap
            return 2 * g * saved[0].cos()
        return g * saved[0].cos()

    report = gradcheck.check(
        custom(torch.sin, backward), X.repeat(4), conditions="-double_backward"
    )
    assert report.ok, str(report)
    assert "a batched backward pass gives another Jacobian" in notes(report)


def test_a_random_function_fails_with_the_spread_of_its_values():
    report = gradcheck.check(lambda x: x * torch.rand(1, dtype=x.dtype), X)
    assert (report.verdict, only(report).blame) == ("fail", "function")
    assert "two evaluations at one point differ by up to" in notes(report)


def test_a_random_backward_fails_with_the_spread_of_its_gradients():
    def backward(saved, g):
        return g * saved[0].cos() + 1e-7 * torch.rand(3, dtype=g.dtype)

    report = gradcheck.check(custom(torch.sin, backward), X)
    assert (report.verdict, only(report).blame) == ("fail", "autograd")
    assert "the backward is not deterministic" in notes(report)


def test_rounding_that_varies_is_a_note():
    calls = iter(range(10**6))

    def function(x):
        return x.sin() * (1 + 2e-16 * (next(calls) % 2))

    report = gradcheck.check(function, X)
    assert report.ok, str(report)
    assert "two evaluations at one point differ by up to" in notes(report)


def test_an_output_that_changes_its_shape_fails_with_both_shapes():
    report = gradcheck.check(lambda x: x[x >= 0.3].sin(), X)
    assert (report.verdict, only(report).blame) == ("fail", "function")
    assert "out has shape [2] and float64 at the point, shape [1] and float64" in notes(report)


def test_an_output_that_changes_its_dtype_fails_with_both_dtypes():
    report = gradcheck.check(lambda x: x.sin() if x[0] == 0.3 else x.sin().float(), X)
    assert (report.verdict, only(report).blame) == ("fail", "function")
    assert "float32 at another evaluation" in notes(report)


def test_a_function_of_float32_alone_is_not_accused():
    def function(x):
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return x.sin()

    report = gradcheck.check(function, X.float())
    assert report.verdict in {"pass", "inconclusive"}
    assert all(result.dtype == "float32" for result in report.results)
    assert gradcheck.check(lambda x: sine(3.0)(x), X.float()).verdict == "fail"


def test_nested_inputs_and_outputs_have_names_as_python_writes_them():
    def model(params, x):
        return {"loss": (params["w"] @ x).sum(), "all": [params["w"] * 2]}

    report = gradcheck.check(model, ({"w": X.outer(X), "steps": 3}, X))
    assert report.ok, str(report)
    assert [result.quantity for result in derivatives(report)] == [
        "dout['loss']/dparams['w']",
        "dout['loss']/dx",
        "dout['all'][0]/dparams['w']",
        "dout['all'][0]/dx",
    ]


def test_keyword_arguments():
    report = gradcheck.check(lambda *, a, b: a * b, {"a": X, "b": X.cos()})
    assert [result.quantity for result in derivatives(report)] == ["dout/da", "dout/db"]
    assert report.ok


def test_only_inputs_that_require_grad_are_looked_at_where_any_does():
    report = gradcheck.check(torch.mul, (X, X.clone().requires_grad_()))
    assert [result.quantity for result in derivatives(report)] == ["dout/dargs[1]"]


def test_inputs_are_left_as_they_were():
    x = X.clone()
    gradcheck.check(lambda x: x.zero_().sin(), x)
    assert torch.equal(x, X)


def test_entries_of_complex_tensors_are_told_apart():
    report = gradcheck.check(custom(lambda z: z**2, lambda s, g: g * 2 * s[0]), Z)
    assert only(report).entries[0].label == "dRe out[0]/dIm args[0][0]"


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    "layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr]
)
def test_masked_looks_at_the_specified_elements_of_a_sparse_input(layout):
    dense = torch.tensor([[1.0, 0, 2, 0], [0, 3, 0, 4]], dtype=torch.float64)
    blocks = {"blocksize": (1, 2)} if layout is torch.sparse_bsr else {}
    sparse = dense.to_sparse(layout=layout, **blocks)

    def function(x):
        return (x.to_dense(masked_grad=True) ** 3).sum()

    report = gradcheck.check(function, sparse, masked=True)
    assert report.ok, str(report)
    wrong = gradcheck.check(lambda x: sine(2.0)(function(x)), sparse, masked=True)
    assert wrong.verdict == "fail"
    assert wrong.results[0].entries[0].label.startswith("dout/dx[")


def test_elements_that_are_not_specified_count_unless_masked():
    sparse = torch.tensor([[1.0, 0], [0, 3]], dtype=torch.float64).to_sparse()
    assert gradcheck.check(lambda x: x.to_dense(masked_grad=False).sin(), sparse).ok
    assert not gradcheck.check(lambda x: x.to_dense(masked_grad=True).sin(), sparse).ok


def test_an_exception_shows_the_lines_of_the_user_alone():
    def inner(x):
        raise ValueError("no such thing")

    report = gradcheck.check(lambda x: inner(x), X)
    assert (report.verdict, only(report).blame) == ("error", "function")
    (note,) = only(report).notes
    first = inner.__code__.co_firstlineno
    assert note.startswith(
        f"ValueError: no such thing, from tests/test_check.py:{first + 1} in inner"
    )
    assert "python_function" not in note


def test_an_exception_in_a_backward_is_one_of_autograd():
    def backward(saved, g):
        raise RuntimeError("not written yet")

    report = gradcheck.check(custom(torch.sin, backward), X)
    assert (report.verdict, only(report).blame) == ("error", "autograd")
    assert "RuntimeError: not written yet, from tests/test_check.py" in notes(report)


HANDWRITTEN = {
    "a function": (lambda x: x.cos(), "pass"),
    "an array": (np.cos(X.numpy()), "pass"),
    "a Jacobian": (torch.diag(X.cos()), "pass"),
    "wrong in one entry": (X.cos() * torch.tensor([1, 1, 1 + 1e-5], dtype=X.dtype), "fail"),
}


@pytest.mark.parametrize(("written", "verdict"), HANDWRITTEN.values(), ids=HANDWRITTEN)
def test_a_handwritten_derivative(written, verdict):
    result = only(gradcheck.check(lambda x: x.sin(), X, derivatives={"x": written}))
    assert result.verdict == verdict
    assert result.blame == ("" if verdict == "pass" else "handwritten")


def test_a_handwritten_derivative_of_another_shape_fails_with_both_shapes():
    report = gradcheck.check(lambda x: x.sin(), X, derivatives={"dout/dx": torch.ones(2)})
    assert (report.verdict, only(report).blame) == ("fail", "handwritten")
    assert "shape [2], but the Jacobian has shape [3, 3]" in notes(report)


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (lambda z: z**2, lambda z: 2 * z),
        (lambda z: (z * z.conj()).real, lambda z: torch.diag(2 * z)),
    ],
    ids=["holomorphic", "a real output's conjugate gradient"],
)
def test_a_handwritten_derivative_by_complex_numbers(function, derivative):
    assert gradcheck.check(function, Z, derivatives={"z": derivative}).ok
    wrong = gradcheck.check(function, Z, derivatives={"z": lambda z: derivative(z).conj()})
    assert only(wrong).blame == "handwritten"


def test_a_handwritten_derivative_that_raises_is_an_error():
    report = gradcheck.check(lambda x: x.sin(), X, derivatives={"x": lambda x: 1 / 0})
    assert (report.verdict, only(report).blame) == ("error", "handwritten")


def test_a_name_that_is_no_input_is_told_with_what_may_be_meant():
    with pytest.raises(UsageError, match=r"`wieght` is no derivative .* did you mean `weight`"):
        gradcheck.check(lambda weight: weight, X, derivatives={"wieght": 1})


def test_a_derivative_of_several_outputs_needs_the_output_too():
    with pytest.raises(UsageError, match=r"write dout\[0\]/dx or dout\[1\]/dx"):
        gradcheck.check(lambda x: (x, x), X, derivatives={"x": 1})


def test_nothing_to_differentiate_by():
    with pytest.raises(UsageError, match="there is nothing to differentiate by"):
        gradcheck.check(lambda n: n, 3)


def stepped(x):
    """Continuous at 0, where its one-sided derivatives are -1 and 0."""
    return (x * torch.floor(10 * x)).sum()


@pytest.mark.parametrize("written", [None, {"x": lambda x: torch.floor(10 * x)}])
@pytest.mark.parametrize("others", [[], [2.71], [1e3 + 0.05], [2.71, -3.35]])
def test_a_kink_beside_what_is_large_accuses_nobody(others, written):
    x = torch.tensor([0, *others], dtype=torch.float64)
    told = only(gradcheck.check(stepped, x, derivatives=written))
    assert (told.verdict, told.blame) == ("inconclusive", "function")
    assert "the one-sided derivatives are -1 and 0" in told.notes[0]
    assert gradcheck.check(stepped, x, derivatives=written, subgradient=True).verdict != "fail"


EDGES = {
    "sqrt": (torch.sqrt, [0.0, 1.0]),
    "log": (torch.log, [0.0, 1.0]),
    "asin": (torch.asin, [1.0, 0.5]),
    "behind a where": (lambda x: torch.where(x > 0, torch.sqrt(x), 0), [-1.0, 1.0]),
}


@pytest.mark.parametrize(("function", "at"), EDGES.values(), ids=EDGES)
def test_a_nan_that_is_0_times_infinity_is_explained(function, at):
    told = only(gradcheck.check(function, torch.tensor(at, dtype=torch.float64)))
    assert (told.verdict, told.blame) == ("fail", "autograd")
    assert ZERO_TIMES_INFINITY in told.notes


@pytest.mark.parametrize("steps", [16, 1e4, 1e6])
def test_a_function_that_rounds_is_told_to_be_checked_without_that(steps):
    at = torch.tensor([0.31234, 1.2], dtype=torch.float64)
    told = only(gradcheck.check(lambda x: x * (x * steps).round() / steps, at))
    assert (told.verdict, told.blame) == ("inconclusive", "")
    assert "as where a function rounds" in told.notes[-1]
    assert "against a `reference`" in told.notes[-1]


def test_a_kink_is_right_in_between_only_where_that_is_asked_for():
    at = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert gradcheck.check(torch.relu, at).verdict == "inconclusive"
    assert gradcheck.check(torch.relu, at, subgradient=True).ok
    outside = custom(torch.relu, lambda s, g: g * (1 + (s[0] == 0)))
    assert gradcheck.check(outside, at, subgradient=True).verdict == "fail"


def test_forward_mode_is_judged_where_asked():
    wrong = sine(jvp=lambda given, t: 1.0009 * t * given[0].cos())
    assert gradcheck.check(wrong, X, forward=False).ok
    reverse, forward = derivatives(gradcheck.check(wrong, X, forward=True))
    assert (reverse.verdict, forward.verdict) == ("pass", "fail")
    assert forward.quantity == "dout/dargs[0] (forward mode)"


def test_a_module_in_float32_is_judged_by_what_it_is_in_float64():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh())
    before = copy.deepcopy(module.state_dict())
    report = gradcheck.check(module, torch.rand(3))
    assert report.ok, str(report)
    assert report.results[0].resolution < 1e-5
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_an_expression_is_proven():
    report = gradcheck.check("sin(x)*y", {"x": 0.3, "y": 2.0}, derivatives={"x": "cos(x)*y"})
    assert report.ok
    assert report.results[0].truth == "exact"
    wrong = gradcheck.check("a*x**2", {"x": X}, derivatives={"x": "a*x"}, constants={"a": 2})
    assert (wrong.verdict, only(wrong).blame) == ("fail", "handwritten")


def test_an_expression_that_is_none_is_told_in_one_message():
    with pytest.raises(InvalidCaseError) as caught:
        gradcheck.check("sin(x) + y", {"x": 0.3}, derivatives={"x": "cos(x)"})
    message, line, carets = str(caught.value).splitlines()
    assert message == "`y` is not known: known are x"
    assert line.endswith('"sin(x) + y",')
    assert line[carets.index("^") :].startswith('y"')


@pytest.mark.parametrize(
    ("case", "right"),
    [
        ({"v": "exp(s)", "loss": "x/v"}, "exp(-s)"),
        ({"v": "s/3", "loss": "v*x"}, "s/3"),
        ({"p": "sigmoid(s)", "q": "sigmoid(-s)", "loss": "x*p"}, "1 - q"),
    ],
)
def test_a_formula_may_use_what_is_true_of_values_that_do_not_change(case, right):
    dtypes = ["float64", "float32", "bfloat16"]
    report = gradcheck.check(case, {"x": 0.7, "s": 0.3}, derivatives={"x": right}, dtypes=dtypes)
    assert {(r.verdict, r.truth) for r in report.results} == {("pass", "exact")}
    wrong = {"x": f"({right})*1.000000000001"}
    report = gradcheck.check(case, {"x": 0.7, "s": 0.3}, derivatives=wrong, dtypes=dtypes)
    assert {(r.verdict, r.blame) for r in report.results} == {("fail", "handwritten")}


def test_a_formula_beyond_any_number_is_wrong():
    report = gradcheck.check("x**2", {"x": 1000.0}, derivatives={"x": "exp(x)"})
    assert (report.verdict, only(report).blame) == ("fail", "handwritten")
    assert "larger than any float64" in only(report).notes[0]


def test_sizes_may_be_divided_and_values_may_be_called_t():
    report = gradcheck.check(
        {"y": "reshape(x, [c // 2, 2])", "loss": "sum(T*y[c % 3]**2) + sum(y.T[0])"},
        {"x": {"shape": ["c"], "sample": "normal"}, "T": 1.5},
        sizes={"c": 4},
        derivatives={"T": "sum(y[1]**2)", "dloss/dy": "[[1, 0], [2*T*y[1, 0] + 1, 2*T*y[1, 1]]]"},
    )
    assert {(r.verdict, r.truth) for r in report.results} == {("pass", "exact")}


def test_steps_are_checked_link_by_link():
    steps = {"y": "x**2", "z": "sin(y)"}
    right = {"dz/dy": "cos(y)", "dz/dx": "dz/dy*2*x"}
    report = gradcheck.check(steps, {"x": 3.0}, derivatives=right, dtypes=[torch.float32])
    assert [(r.quantity, r.verdict) for r in report.results] == [
        ("dz/dy", "pass"),
        ("dz/dx", "pass"),
    ]
    assert {r.dtype for r in report.results} == {"float32"}
    wrong = gradcheck.check(steps, {"x": 3.0}, derivatives={**right, "dz/dx": "dz/dy*2"})
    assert [r.verdict for r in wrong.results] == ["pass", "fail"]


@pytest.mark.parametrize(
    ("inputs", "derivative", "message"),
    [
        ({"x": 1j}, "cos(x)", r"`inputs\.x` holds 1j"),
        ({"x": [0.0, object()]}, "cos(x)", r"`inputs\.x` holds <object"),
        ({"x": 1.0}, torch.cos, r"`derivatives\.x` holds .* a formula is a text"),
    ],
)
def test_what_no_case_can_hold_is_refused(inputs, derivative, message):
    with pytest.raises(UsageError, match=message):
        gradcheck.check("sin(x)", inputs, derivatives={"x": derivative})


def test_a_tensor_without_values_is_refused():
    with pytest.raises(
        UsageError, match=r"`input` is on the meta device|`args\[0\]` is on the meta"
    ):
        gradcheck.check(torch.sin, torch.zeros(3, device="meta"))


def test_the_report_of_a_failure_raises_and_can_be_read():
    report = gradcheck.check(sine(1.0009), X, name="<sine>")
    with pytest.raises(CheckFailedError) as caught:
        report.raise_for_failure()
    assert caught.value.report is report
    assert "blame: autograd, off by 9.0e-04 of the largest entry" in str(caught.value)
    assert "repeat:" not in str(report)
    html = report._repr_html_()
    assert "&lt;sine&gt;" in html
    assert "<sine>" not in html
    assert "off by 9.0e-04" in html


def test_the_report_of_a_pass_tells_its_resolution():
    report = gradcheck.check(lambda x: x.sin(), X)
    report.raise_for_failure()
    assert str(report).startswith("  pass  <lambda>  dout/dx  resolution ")


def test_importing_gradcheck_imports_neither_torch_nor_numpy():
    code = (
        "import sys, gradcheck; assert 'check' in dir(gradcheck);"
        "assert not {'torch', 'numpy'} & set(sys.modules); gradcheck.Report; gradcheck.check"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# What a fresh tester found


CUBE = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_derivative_that_is_not_finite_fails(bad):
    written = 3 * CUBE**2
    written[1] = bad
    report = gradcheck.check(lambda x: x**3, CUBE, derivatives={"x": written})
    assert (report.verdict, report.results[0].blame) == ("fail", "handwritten")


def test_a_complex_derivative_of_a_real_function_fails():
    report = gradcheck.check(lambda x: x**3, CUBE, derivatives={"x": 3 * CUBE**2 + 5j})
    assert (report.verdict, report.results[0].blame) == ("fail", "handwritten")


def test_a_report_is_as_true_as_its_verdict():
    assert gradcheck.check(torch.sin, CUBE)
    assert not gradcheck.check(torch.sin, CUBE, derivatives={"args[0]": torch.sin(CUBE)})


def test_lists_are_read_in_double_precision():
    assert gradcheck.check(lambda x: (0.1 * x).sum(), CUBE, derivatives={"x": [0.1, 0.1, 0.1]})


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda a, z: a * z, (CUBE, torch.complex(CUBE, CUBE.flip(0)))),
        (lambda x: torch.softmax(x.masked_fill(x > 1, -float("inf")), 0), CUBE),
        (lambda z: z * z.conj(), torch.complex(CUBE, CUBE.flip(0))),
        (lambda x: x.exp().log() - x, CUBE),
        (lambda x: torch.autograd.grad((x**3).sum(), x, create_graph=True)[0], CUBE),
        (lambda x: x[x > 0.4] ** 2, CUBE),
    ],
    ids=["odd count before complex", "mask", "conj", "zero but for rounding", "gradient", "shape"],
)
def test_right_functions_that_are_hard_to_look_at_pass(function, inputs):
    assert gradcheck.check(function, inputs)


@pytest.mark.parametrize(
    "asked",
    [
        {"resolution": float("nan")},
        {"resolution": -1},
        {"resolution": "a"},
        {"derivatives": CUBE},
        {"derivatives": {"x": "3*x**2"}},
        {"derivatives": {"x": None}},
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(asked):
    with pytest.raises(UsageError):
        gradcheck.check(lambda x: x**3, CUBE, **asked)


def test_a_module_s_buffers_are_as_they_were():
    module = torch.nn.BatchNorm1d(3).double()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    assert gradcheck.check(module, torch.randn(5, 3, dtype=torch.float64))
    for name, buffer in module.named_buffers():
        assert torch.equal(buffer, before[name])
