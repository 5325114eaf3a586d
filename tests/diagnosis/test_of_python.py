"""Functions in Python: who cut the derivative's path and where, and what the function is like."""

import pytest
import torch

import gradcheck
from gradcheck.diagnosis import of_block

X = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
W = torch.tensor([0.5, 0.7, 1.1], dtype=torch.float64)


def told(function, inputs=X, **given):
    """The diagnosis of the first result that is not right."""
    report = gradcheck.check(function, inputs, **given)
    return next(r.diagnosis for r in report.results if r.is_bad)


def held(x):
    return x * x.detach()


def data_of(x):
    return x * x.data.exp()


def without_gradients(x):
    with torch.no_grad():
        total = x.sum()
    return x * total


def a_number(x):
    return x * x.sum().item()


def straight_through(x):
    return x + (x.round() - x).detach()


def changed_below(x):
    y = 2 * x
    z = y.exp()
    y.data.mul_(3)
    return (z * y).sum()


def first_line(function):
    return function.__code__.co_firstlineno


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, cotangent):
        x, _ = ctx.saved_tensors
        return cotangent, cotangent * x


@pytest.mark.parametrize(
    ("function", "kind", "name", "line"),
    [
        (held, "detached", "`detach` cuts", first_line(held) + 1),
        (data_of, "detached", "`data` cuts", first_line(data_of) + 1),
        (without_gradients, "detached", "`sum` cuts", first_line(without_gradients) + 2),
        (a_number, "detached", "`item` makes a number", first_line(a_number) + 1),
        (straight_through, "rounding_step", "`round` rounds", first_line(straight_through) + 1),
        (
            changed_below,
            "in_place",
            "`mul_` changes a value in place",
            first_line(changed_below) + 3,
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_autograd_is_wrong_at_a_step(function, kind, name, line):
    first = told(function)[0]
    assert first.kind == kind
    assert name in first.text
    assert f"in test_of_python.py, line {line}" in first.text


def test_a_backward_of_ones_own_is_named_with_what_it_lacks():
    first, second = told(Scale.apply, (X, W))
    assert (first.kind, first.text) == ("custom_backward", "the backward of `Scale` is wrong")
    assert second.kind == "missing_factor"


@pytest.mark.parametrize(
    ("function", "at", "kind", "text"),
    [
        (torch.relu, [0.0, 1.0], "kink", "the one-sided derivatives are 0 and 1"),
        (torch.floor, [1.0, 1.5], "jump", "a jump at this point"),
        (torch.sqrt, [0.0], "domain_edge", "at the edge of the domain"),
    ],
)
def test_the_function_has_no_derivative_there(function, at, kind, text):
    first = told(function, torch.tensor(at, dtype=torch.float64))[0]
    assert (first.kind, text in first.text) == (kind, True)


def test_a_random_function_is_told():
    first = told(lambda x: x + torch.rand(3, dtype=x.dtype))[0]
    assert (first.kind, "not deterministic" in first.text) == ("random", True)


def test_a_kink_of_a_formula_is_told_too():
    (result,) = gradcheck.check("relu(x)", {"x": 0.0}, derivatives={"x": "x > 0"}).results
    assert [one.kind for one in result.diagnosis] == ["kink"]
    assert result.diagnosis[0].text in result.notes


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (lambda x: 3 * x, "missing_factor"),
        (lambda x: -3 * x**2, "sign"),
        (lambda x: 6 * x**2, "constant_factor"),
        (lambda x: 3 * x**2 * (x > 0), "lost_outside"),
        (lambda x: 3 * x * x.abs(), "sign_where_negative"),
        (lambda x: 3 * x.flip(0) ** 2, "permuted"),
    ],
)
def test_a_derivative_in_python_is_told_from_its_numbers(written, kind):
    assert told(lambda x: x**3, X, derivatives={"x": written})[0].kind == kind


def test_a_line_of_a_batch_that_is_wrong_is_told():
    def backward(cotangent, x):
        gradient = cotangent * x.cos()
        gradient[1] = 0.3 * gradient[1]
        return gradient

    batch = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3)
    first = told(lambda x: (x.sin()).sum(), batch, backward=backward)
    assert (first[0].kind, first[0].text) == ("row", "only row 1 is wrong")


def test_a_narrow_dtype_is_told_as_far_as_it_shows():
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, cotangent):
            (x,) = ctx.saved_tensors
            return 0.5 * cotangent * x.cos()

    first, second = told(Half.apply, X.float(), reference="sin(x)")
    assert (first.kind, second.kind) == ("custom_backward", "constant_factor")
    assert second.text == "it is half of the right value, everywhere"


def changed_through_numpy(x):
    y = 2 * x
    y.detach().numpy()[0] = 5.0
    return y * y.exp()


def test_what_is_changed_through_an_array_is_in_place():
    assert told(changed_through_numpy)[0].kind == "in_place"


def test_a_cut_is_told_in_a_dtype_that_no_array_has():
    first = told(held, X.to(torch.bfloat16), conditions="none")[0]
    assert (first.kind, "`detach` cuts" in first.text) == ("detached", True)


def test_a_diagnosis_that_raises_loses_no_verdict(monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("no")

    monkeypatch.setattr(of_block, "diagnose_block", broken)
    result = next(r for r in gradcheck.check(held, X).results if r.is_bad)
    assert (result.verdict, result.blame) == ("fail", "autograd")
    assert "no diagnosis: ZeroDivisionError: no; please report it" in result.notes


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_what_is_cut_in_a_sparse_tensor_is_told(layout):
    sparse = X.diag().to_sparse(layout=layout)

    def cut(x):
        return (x.to_dense(masked_grad=True) * x.detach().to_dense()).sum()

    (diagnosis, *_) = told(cut, sparse, masked=True)
    assert diagnosis.kind == "detached"
    assert diagnosis.text.startswith("`detach` cuts the derivative's path")
