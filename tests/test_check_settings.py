"""What a caller of `check` asks for beside: a fixed random state, what is known, and modules."""

import mpmath
import pytest
import torch
from wrong_functions import custom, sine

import gradcheck
from gradcheck.errors import UsageError

X = torch.tensor([0.3, -1.2, 0.8], dtype=torch.float64)


def failed(report):
    return [(one.quantity, one.verdict, one.blame) for one in report.results if one.is_bad]


def notes(report):
    return " ".join(note for one in report.results for note in one.notes)


# A fixed random state


def dropout(x):
    return torch.nn.functional.dropout(x, 0.5)


MANY = torch.linspace(0.5, 2, 20, dtype=torch.float64)


def test_dropout_is_not_deterministic():
    report = gradcheck.check(dropout, MANY)
    assert failed(report) == [("condition deterministic", "fail", "function")]
    assert "the function is not deterministic" in notes(report)


def test_dropout_passes_from_a_fixed_random_state():
    report = gradcheck.check(dropout, MANY, rng="fixed")
    assert report.verdict == "pass", str(report)


def test_a_wrong_dropout_fails_from_a_fixed_random_state():
    def other_mask(saved, g):
        return g * 2 * (torch.rand(20, generator=torch.Generator().manual_seed(1)) > 0.5)

    report = gradcheck.check(custom(dropout, other_mask), MANY, rng="fixed", conditions="none")
    assert failed(report) == [("dout/dargs[0]", "fail", "autograd")]


def test_a_fixed_random_state_leaves_torchs_own_as_it_was():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    gradcheck.check(dropout, MANY, rng="fixed")
    assert torch.equal(torch.rand(2), wanted)


def test_another_random_state_than_a_fixed_one_is_refused():
    with pytest.raises(UsageError, match='`rng` is "fixed" or left out'):
        gradcheck.check(dropout, MANY, rng="seeded")


# What is known to be inaccurate


ROUGH = sine(1 + 1e-9)


def test_an_inaccuracy_fails_unless_it_is_known():
    assert failed(gradcheck.check(ROUGH, X)) == [("dout/dargs[0]", "fail", "autograd")]


def test_what_is_known_passes_and_says_so():
    known = {"autograd": 2e-9, "reason": "a table of cosines"}
    report = gradcheck.check(ROUGH, X, known=known)
    assert report.verdict == "pass", str(report)
    assert report.results[0].notes == (
        "known: a table of cosines, off by 1e-09 of the largest entry",
    )


def test_what_is_known_is_not_said_of_what_needs_no_waiver():
    known = {"autograd": 2e-9, "reason": "a table of cosines"}
    assert "known" not in notes(gradcheck.check(sine(), X, known=known))


@pytest.mark.parametrize("known", [{"autograd": 2e-10}, {"handwritten": 2e-9}])
def test_beyond_what_is_known_it_fails(known):
    report = gradcheck.check(ROUGH, X, known={**known, "reason": "a table of cosines"})
    assert failed(report) == [("dout/dargs[0]", "fail", "autograd")]


def test_torchs_digamma_is_known_to_be_rough():
    at = torch.tensor([1.7], dtype=torch.float64)
    off = abs(1 - float(torch.polygamma(1, at)) / float(mpmath.psi(1, 1.7)))
    assert 2e-10 < off < 1e-9
    assert gradcheck.check(torch.digamma, at).verdict == "fail"
    known = {"autograd": 1e-9, "reason": "torch sums too few terms"}
    report = gradcheck.check(torch.digamma, at, known=known)
    assert report.verdict == "pass", str(report)
    assert "known: torch sums too few terms, off by 4.3e-10" in notes(report)
    closer = gradcheck.check(torch.digamma, at, known={**known, "autograd": 2e-10})
    assert failed(closer) == [("dout/dargs[0]", "fail", "autograd")]


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"autograd": 1e-9}, "needs a `reason`"),
        ({"reason": "so it is"}, "how inaccurate `handwritten`, `autograd` or `function`"),
        (
            {"numeric": 1e-9, "reason": "so it is"},
            "how inaccurate `handwritten`, `autograd` or `function`",
        ),
        ({"autograd": -1e-9, "reason": "so it is"}, "is a positive number, not -1e-09"),
        ({"autograd": True, "reason": "so it is"}, "is a positive number, not True"),
    ],
)
def test_what_cannot_be_known_is_refused(known, message):
    with pytest.raises(UsageError, match=message):
        gradcheck.check(ROUGH, X, known=known)


# What cannot be meant


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        *(
            (
                {"conditions": one},
                f'`conditions` are "all", "none", a name or a list of names, not {one!r}',
            )
            for one in (3, None, [1])
        ),
        *(
            ({"digits": one}, f"`digits` is a positive number, not {one!r}")
            for one in ("a", -1, 0, True, float("nan"))
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(asked, message):
    for function, inputs in ((torch.sin, X), ("sin(x)", {"x": 1.0})):
        with pytest.raises(UsageError) as raised:
            gradcheck.check(function, inputs, **asked)
        assert str(raised.value) == message


def scaled(x, weight=1.0):
    return weight * x.sin()


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        (scaled, {"y": X}, "`scaled` has no parameter `y`: it has x, weight"),
        (scaled, {"x": X, "wieght": X}, "`scaled` has no parameter `wieght`: did you mean "),
        (
            torch.nn.Linear(3, 2).double(),
            {"inptu": X},
            "`Linear` has no parameter `inptu`: did you mean `input`?",
        ),
    ],
)
def test_an_argument_that_is_called_otherwise_is_told_with_the_parameters(
    function, inputs, message
):
    with pytest.raises(UsageError) as raised:
        gradcheck.check(function, inputs)
    assert str(raised.value).startswith(message)


# Modules


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g @ weight.T, x.T @ g


class _Wrong(_Affine):
    @staticmethod
    def backward(ctx, g):
        gx, gw = _Affine.backward(ctx, g)
        return gx, gw / len(g)


class Layer(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64).view(3, 2))

    def forward(self, x):
        return self.function.apply(x, self.weight).tanh()


BATCH = torch.linspace(-2, 1.7, 12, dtype=torch.float64).view(4, 3)


def test_a_wrong_gradient_by_a_parameter_is_told_by_its_name():
    report = gradcheck.check(Layer(_Wrong), BATCH)
    derivatives = [one for one in failed(report) if not one[0].startswith("condition ")]
    assert derivatives == [("dout/dweight", "fail", "autograd")], str(report)
    report = gradcheck.check(torch.nn.Sequential(Layer(_Wrong)), BATCH, conditions="none")
    assert [name for name, _, _ in failed(report)] == ["dout/d0.weight"]
    right = gradcheck.check(Layer(_Affine), BATCH)
    assert right.verdict == "pass", str(right)


def test_running_statistics_are_as_they_were():
    module = torch.nn.Sequential(Layer(_Affine), torch.nn.BatchNorm1d(2).double())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    report = gradcheck.check(module, BATCH)
    assert report.verdict == "pass", str(report)
    assert module.training
    assert before.keys() == module.state_dict().keys()
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in module.parameters())


# Custom operators


def _operator(name, factor):
    @torch.library.custom_op(f"settings::{name}", mutates_args=())
    def operator(x: torch.Tensor, scale: float) -> torch.Tensor:
        return (scale * x).sin()

    def setup_context(ctx, inputs, output):
        x, ctx.scale = inputs
        ctx.save_for_backward(x)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return factor * g * ctx.scale * (ctx.scale * x).cos(), None

    operator.register_fake(lambda x, scale: torch.empty_like(x))
    operator.register_autograd(backward, setup_context=setup_context)
    return operator


RIGHT, WRONG = _operator("sine", 1.0), _operator("wrong_sine", 1.0009)


def test_a_right_custom_operator_passes():
    report = gradcheck.check(RIGHT, (X, 2.0), reference="sin(scale*x)")
    assert report.verdict == "pass", str(report)
    assert [one.quantity for one in report.results] == ["out", "dout/dx", "conditions"]


def test_a_wrong_custom_operator_fails():
    report = gradcheck.check(WRONG, (X, 2.0))
    assert failed(report) == [("dout/dx", "fail", "autograd")]
    by_name = gradcheck.check(torch.ops.settings.wrong_sine, (X, 2.0), conditions="none")
    assert failed(by_name) == [("dout/dx", "fail", "autograd")]


# Exceptions


def broken(*arguments):
    raise ArithmeticError("no such case")


RAISING = {
    "forward": (lambda x: broken(x), {}, "function"),
    "backward": (custom(torch.sin, broken), {}, "autograd"),
    "handwritten backward": (
        lambda x: x.sin(),
        {"backward": broken},
        "handwritten",
    ),
    "handwritten jvp": (lambda x: x.sin(), {"jvp": broken}, "handwritten"),
    "handwritten derivative": (
        lambda x: x.sin(),
        {"derivatives": {"x": broken}},
        "handwritten",
    ),
    "reference": (lambda x: x.sin(), {"reference": broken}, ""),
}


@pytest.mark.parametrize(("function", "asked", "blame"), RAISING.values(), ids=RAISING)
def test_an_exception_is_an_error_with_the_users_own_lines(function, asked, blame):
    report = gradcheck.check(function, X, **asked)
    ((_, verdict, blamed),) = failed(report)
    assert (verdict, blamed) == ("error", blame)
    line = broken.__code__.co_firstlineno + 1
    own = f"ArithmeticError: no such case, from tests/test_check_settings.py:{line} in broken"
    assert own in notes(report)
    text = str(report)
    assert "Traceback" not in text
    assert "gradcheck/" not in text.replace("tests/test_check_settings.py", "")
    assert "site-packages" not in text


def test_an_exception_for_one_condition_alone_is_told_as_that():
    def backward(saved, g):
        if not g.is_contiguous():
            raise ArithmeticError("gaps")
        return g * saved[0].cos()

    report = gradcheck.check(custom(torch.sin, backward), X)
    found = {one.quantity: one for one in report.results if one.is_bad}
    assert "condition noncontiguous_cotangent" in found
    told = found["condition noncontiguous_cotangent"]
    assert (told.verdict, told.blame) == ("fail", "autograd")
    assert "ArithmeticError: gaps, from tests/test_check_settings.py" in told.notes[0]
