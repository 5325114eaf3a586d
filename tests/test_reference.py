"""A reference: values and derivatives of a Python function against what it must equal."""

import functools

import pytest
import torch
from wrong_functions import custom

import gradcheck
from gradcheck.errors import InvalidCaseError, UsageError

check = functools.partial(gradcheck.check, conditions="none")
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SOFTPLUS = "where(x > 20, x, log(1 + exp(x)))"


def normal(*shape, dtype=torch.float64, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def told(report):
    return {r.quantity: (r.verdict, r.blame) for r in report.results}


def rms(x, weight):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * weight


RMS = "x * rsqrt(mean(x**2, -1, keepdim=True) + 1e-6) * weight"


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_function_equals_its_reference_in_every_dtype(dtype):
    report = check(rms, (normal(4, 8, dtype=dtype), normal(8, dtype=dtype)), reference=RMS)
    assert report.ok, str(report)
    assert [r.quantity for r in report.results] == ["out", "dout/dx", "dout/dweight"]
    assert {r.truth for r in report.results} == {"reference"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_that_is_off_is_the_functions_fault_and_its_right_derivative_is_not_blamed(dtype):
    def shifted(x, weight):
        return 2 * rms(x, weight)

    report = check(shifted, (normal(4, 8, dtype=dtype), normal(8, dtype=dtype)), reference=RMS)
    assert set(told(report).values()) == {("fail", "function")}
    note = "it is the derivative of what the function computes, which is not the reference"
    assert all(note in r.notes for r in report.results if r.quantity != "out")


def test_a_wrong_backward_of_a_right_forward_is_autograds():
    wrong = custom(torch.sin, lambda saved, g: 1.0001 * g * saved[0].cos())
    report = check(lambda x: wrong(x), normal(5), reference="sin(x)")
    assert told(report) == {"out": ("pass", ""), "dout/dx": ("fail", "autograd")}


def test_both_wrong_is_told_of_both():
    wrong = custom(lambda x: 1.1 * x.sin(), lambda saved, g: 3 * g * saved[0].cos())
    report = check(lambda x: wrong(x), normal(5), reference="sin(x)")
    assert told(report) == {"out": ("fail", "function"), "dout/dx": ("fail", "autograd")}


def test_a_function_that_has_float32_only_is_judged_there():
    def narrow(x):
        if x.dtype is not torch.float32:
            raise TypeError("float32 only")
        return x.sin()

    x = normal(6, dtype=torch.float32)
    report = check(narrow, x, reference="sin(x)")
    assert report.ok, str(report)
    assert all(r.resolution < 1e-5 for r in report.results)  # differences in float32 reach 1e-3
    off = custom(narrow, lambda saved, g: (1 + 2e-3) * g * saved[0].cos())
    report = check(lambda x: off(x), x, reference="sin(x)")
    assert told(report)["dout/dx"] == ("fail", "autograd")


def test_a_truth_that_ball_arithmetic_cannot_tell_is_numeric():
    report = check(torch.nn.functional.relu, normal(4), reference="relu(input)")
    assert report.ok, str(report)
    at_the_kink = check(
        torch.nn.functional.relu, torch.zeros(2, dtype=torch.float64), reference="relu(input)"
    )
    assert told(at_the_kink)["dout/dinput"] == ("inconclusive", "function")


def test_a_reference_may_be_another_function_of_the_same_arguments():
    def reference(x, weight):
        return torch.nn.functional.rms_norm(x, (8,), weight, 1e-6)

    report = check(rms, (normal(4, 8), normal(8)), reference=reference)
    assert report.ok, str(report)
    wrong = check(rms, (normal(4, 8), normal(8)), reference=lambda x, weight: x * weight)
    assert told(wrong)["out"] == ("fail", "function")


def test_steps_and_constants_are_a_reference_too():
    def scaled(x, factor, shift):
        return factor * x.sin() + shift

    x = normal(3).requires_grad_()
    steps = {"y": "sin(x)", "z": "factor*y + shift"}
    report = check(scaled, (x, 2.5, torch.tensor(0.25, dtype=torch.float64)), reference=steps)
    assert report.ok, str(report)
    assert [r.quantity for r in report.results] == ["out", "dout/dx"]


def test_parameters_of_a_module_are_called_with_underscores():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()).double()
    report = check(module, normal(4, 3), reference="tanh(input @ _0_weight.T + _0_bias)")
    assert report.ok, str(report)
    assert [r.quantity for r in report.results] == [
        "out",
        "dout/dinput",
        "dout/d0.weight",
        "dout/d0.bias",
    ]


def test_an_output_of_another_shape_is_the_functions_fault_with_both_shapes():
    (result,) = check(lambda x: x.sum(), normal(3), reference="x**2").results
    assert (result.verdict, result.blame) == ("fail", "function")
    assert result.notes == ("out has shape [], but the reference's has [3]",)


def test_a_reference_that_is_not_valid_raises_with_its_place():
    with pytest.raises(InvalidCaseError, match="`y` is not known: known are x"):
        check(lambda x: x.sin(), normal(2), reference="sin(y)")
    with pytest.raises(UsageError, match="a reference is a formula or a function, not 3"):
        check(torch.sin, normal(2), reference=3)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("sin(y)", "`y` is not known: known are x\n      | sin(y)\n      |     ^"),
        (
            'gelu(x, approximat="tanh")  +\n cos(x)',
            "`gelu` has no argument `approximat`: did you mean `approximate`?\n"
            '      | gelu(x, approximat="tanh")  +\n'
            "      |         ^^^^^^^^^^^^^^^^^",
        ),
        (
            'gelu(x, approximate="tanh")  +\n cos(y)',
            "`y` is not known: known are x\n      |  cos(y)\n      |      ^",
        ),
        (
            {"y": "sin(x)", "z": "(y"},
            "not a formula: '(' was never closed\n      | (y\n      | ^^",
        ),
        ({"1": "x"}, "`1` is no name: use letters, digits and _, not beginning with a digit"),
        (
            {"y": [1]},
            "expected a formula (or, for `recurrence`, steps and states), found a list",
        ),
    ],
)
def test_a_mistake_in_a_reference_is_told_with_its_own_line(reference, message):
    with pytest.raises(InvalidCaseError) as raised:
        check(lambda x: x.sin(), normal(2), reference=reference)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"y": normal(2)}, "a reference is a formula or steps of formulas, not Tensor"),
        (
            torch.nn.ReLU,
            "a reference is a function, and `ReLU` is the class of a module: an instance of one "
            "works",
        ),
    ],
)
def test_what_is_no_reference_is_refused(reference, message):
    with pytest.raises(UsageError) as raised:
        check(lambda x: x.sin(), normal(2), reference=reference)
    assert str(raised.value) == message


def test_parameters_without_names_need_a_function_as_reference():
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *values):
            ctx.save_for_backward(*values)
            return values[0] * values[1]

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g * b, g * a

    at = normal(2), normal(2, seed=4)
    with pytest.raises(UsageError) as raised:
        check(Product.apply, at, reference="x*y")
    assert str(raised.value) == (
        "the function's parameters have no names that a formula can use (args[0], args[1]): write "
        "the reference as a function of the same arguments"
    )
    assert check(Product.apply, at, reference=lambda x, y: x * y).ok


def test_a_reference_that_raises_is_an_error_that_blames_nobody():
    def reference(x):
        raise ValueError("not here")

    (result,) = check(lambda x: x.sin(), normal(2), reference=reference).results
    assert (result.verdict, result.blame) == ("error", "")
    assert (
        "the reference raises: ValueError: not here, from tests/test_reference.py"
        in result.notes[0]
    )


def test_a_million_entries_are_looked_at_along_directions_of_the_reference():
    def gelu(x):
        return torch.nn.functional.gelu(x, approximate="none")

    x = normal(100_000)
    report = check(gelu, x, reference="x * (1 + erf(x / sqrt(2))) / 2")
    assert report.ok, str(report)
    other = check(gelu, x, reference='gelu(x, approximate="tanh")')
    assert told(other)["dout/dx"][0] == "fail"


def test_a_wrong_one_of_many_entries_is_printed_beside_the_references():
    def backward(saved, g):
        gradient = g * saved[0].cos()
        gradient[7] *= 1.5
        return gradient

    wrong = custom(torch.sin, backward)
    report = check(lambda x: wrong(x), normal(3_000), reference="sin(x)")
    assert told(report) == {"out": ("pass", ""), "dout/dx": ("fail", "autograd")}
    entries = report.results[1].entries
    assert entries[0].index == (7, 7)
    assert all(entry.answers.keys() == {"autograd", "reference"} for entry in entries)
    assert "reference (truth)" in str(report)


def test_complex_numbers_have_a_numeric_truth():
    z = torch.tensor([0.3 - 0.4j, 1.1 + 0.2j], dtype=torch.complex128)
    report = check(lambda z: z * z, z, reference=lambda z: z**2)
    assert report.ok, str(report)


class Product(torch.autograd.Function):
    """x @ w, whose gradient by w is wrong in one place, in all, or in none."""

    wrong = ""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        by_w = x.mT @ g
        if Product.wrong == "one entry":
            by_w[3, 5] *= 4
        if Product.wrong == "a row of the batch":
            by_w = x[1:].mT @ g[1:]
        return g @ w.mT, by_w


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("wrong", ["", "one entry", "a row of the batch"])
def test_many_entries_in_a_narrow_dtype_are_compared_one_by_one(wrong, dtype, monkeypatch):
    monkeypatch.setattr(Product, "wrong", wrong)
    x, w = normal(16, 200, dtype=dtype), normal(200, 30, dtype=dtype, seed=4)
    report = check(Product.apply, (x, w), reference="x @ w")
    found = told(report)
    assert found["out"] == found["dout/dx"] == ("pass", "")
    assert found["dout/dw"] == (("fail", "autograd") if wrong else ("pass", ""))
    (result,) = [r for r in report.results if r.quantity == "dout/dw"]
    if wrong == "one entry":
        assert result.entries[0].label.startswith("(u·dout/dw)[3, 5], look ")
    note = "gradients for 3 random cotangents were compared entry by entry with the reference's"
    assert any(one.startswith(note) for one in result.notes)


def test_a_parameter_that_is_a_word_needs_a_function_as_reference():
    with pytest.raises(UsageError, match="`mean` is a word of formulas and a parameter"):
        check(lambda mean: 2 * mean, normal(2), reference="2*mean")
    assert check(lambda mean: 2 * mean, normal(2), reference=lambda mean: mean + mean).ok


def test_a_forward_that_is_known_to_be_approximate_is_waived_up_to_that_size():
    def approximate(x):
        return torch.nn.functional.gelu(x, approximate="tanh")

    formula = "x * (1 + erf(x / sqrt(2))) / 2"
    known = {"function": 1e-3, "autograd": 1e-2, "reason": "the tanh approximation"}
    assert check(approximate, normal(20), reference=formula, known=known).ok
    found = told(check(approximate, normal(20), reference=formula))
    assert found["out"] == ("fail", "function")


def test_a_value_that_is_off_by_more_than_rounding_explains_is_wrong():
    report = check(lambda x: x * x * (1 + 1e-9), normal(5), reference="x*x")
    assert told(report)["out"] == ("fail", "function")


def test_what_is_kept_of_the_first_call_is_not_given_at_another_point():
    kept = {}

    def stale(x, w):
        first = kept.setdefault(w.shape, w.detach().clone())
        return x @ (w - w.detach() + first)

    report = check(stale, (normal(4, 3), normal(3, 3, seed=4)), reference="x @ w")
    (result,) = [r for r in report.results if r.quantity == "out"]
    assert (result.verdict, result.blame) == ("fail", "function")
    assert result.notes == ("at 0.75 times the inputs out is not the reference's",)


def test_a_reference_that_is_made_for_a_narrow_dtype_is_evaluated_there():
    w = normal(3, 2).float()

    def mixed(x):
        return x.float() @ w

    report = check(mixed, normal(4, 3, dtype=torch.bfloat16), reference=lambda x: x.float() @ w)
    assert report.ok, str(report)


def test_what_a_reference_is_no_function_of_has_the_functions_own_truth():
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2).double()
    weight, bias = layer.weight.detach(), layer.bias.detach()
    report = check(layer, normal(4, 3), reference=lambda x: x @ weight.T + bias)
    assert report.ok, str(report)
    truths = {r.quantity: r.truth for r in report.results}
    assert truths == {
        "out": "reference",
        "dout/dinput": "reference",
        "dout/dweight": "numeric",
        "dout/dbias": "numeric",
    }
