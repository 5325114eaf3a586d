"""What torch.autograd.gradcheck lets through or wrongly rejects: here it is told, or it passes."""

import pytest
import torch
from torch.autograd import gradcheck as torchs
from torch.autograd.gradcheck import GradcheckError
from wrong_functions import custom, sine

import gradcheck


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def positive(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def torch_says(function, inputs, **asked):
    """What torch's own gradcheck answers: whether it passes."""
    tracked = [x.clone().requires_grad_() for x in inputs]
    try:
        return torchs(function, tracked, **asked)
    except GradcheckError:
        return False


X = drawn(12)


def cosine(saved, g):
    return g * saved[0].cos()


def zeros(saved, g):
    return torch.zeros_like(g)


def one_zeroed(saved, g):
    found = cosine(saved, g)
    return torch.cat([found[:700], torch.zeros_like(found[:1]), found[701:]])


def one_of_sixty(saved, g):
    scale = torch.ones(60, dtype=g.dtype)
    scale[41] = 1.0005
    return cosine(saved, g) * scale


def through_memory(saved, g):
    """NaN for a cotangent that is not contiguous, as of what reads beyond its memory."""
    return cosine(saved, g) + (0 if g.is_contiguous() else torch.nan)


def in_place(saved, g):
    return g.mul_(saved[0].cos())


def out_of_place(saved, g):
    return g.mul(saved[0].cos())


def faint(backward):
    return custom(lambda x: 1e-6 * x.sin(), backward)


def wrong_for_negatives(saved, g):
    return g * saved[0].abs().cos() * saved[0].sign()


SLOW, FAST = {}, {"fast_mode": True}
PASSES = {
    "a backward scaled by 1.0009": (sine(1.0009), sine(), X, SLOW, "dout/dargs[0]"),
    "1e-6·sin, backward 0": (
        faint(zeros),
        faint(lambda s, g: 1e-6 * cosine(s, g)),
        X,
        SLOW,
        "dout/dargs[0]",
    ),
    "1e4 entries, ×1.03": (sine(1.03), sine(), drawn(10**4), FAST, "dout/dargs[0]"),
    "1e5 entries, ×1.1": (sine(1.1), sine(), drawn(10**5), FAST, "dout/dargs[0]"),
    "3e5 entries, backward 0": (
        custom(torch.sin, zeros),
        sine(),
        drawn(3 * 10**5),
        FAST,
        "dout/dargs[0]",
    ),
    "1e6 entries, backward 0": (
        custom(torch.sin, zeros),
        sine(),
        drawn(10**6),
        FAST,
        "dout/dargs[0]",
    ),
    "1 of 1000 entries zeroed": (
        custom(torch.sin, one_zeroed),
        sine(),
        drawn(1000),
        FAST,
        "dout/dargs[0]",
    ),
    "a cotangent squared": (
        custom(torch.sin, lambda s, g: g * cosine(s, g)),
        sine(),
        X,
        SLOW,
        "condition linear",
    ),
    "a cotangent times its sum": (
        custom(torch.sin, lambda s, g: g.sum() * cosine(s, g)),
        sine(),
        X,
        SLOW,
        "condition linear",
    ),
    "NaN for a cotangent with gaps": (
        custom(torch.sin, through_memory),
        sine(),
        X,
        SLOW,
        "condition noncontiguous_cotangent",
    ),
    "into its cotangent": (
        custom(torch.sin, in_place),
        custom(torch.sin, out_of_place),
        X,
        SLOW,
        "condition cotangent_unchanged",
    ),
}
"""(a wrong one that torch's gradcheck passes, a right one, the point, how it is asked, what of it
is wrong)."""


@pytest.mark.parametrize(
    ("wrong", "inputs", "asked"),
    [(wrong, x, asked) for wrong, _, x, asked, _ in PASSES.values()],
    ids=PASSES,
)
def test_torch_passes_it(wrong, inputs, asked):
    assert torch_says(wrong, [inputs], **asked)


@pytest.mark.parametrize(
    ("wrong", "inputs", "quantity"),
    [(wrong, x, quantity) for wrong, _, x, _, quantity in PASSES.values()],
    ids=PASSES,
)
def test_here_it_fails_by_its_name(wrong, inputs, quantity):
    report = gradcheck.check(wrong, inputs)
    failed = {one.quantity: one for one in report.results if one.is_bad}
    assert {(one.verdict, one.blame) for one in failed.values()} == {("fail", "autograd")}
    assert quantity in failed, str(report)


@pytest.mark.parametrize(
    ("right", "inputs"), [(right, x) for _, right, x, _, _ in PASSES.values()], ids=PASSES
)
def test_the_right_one_passes(right, inputs):
    report = gradcheck.check(right, inputs)
    assert report.verdict == "pass", str(report)


def test_one_wrong_entry_of_a_thousand_is_named():
    report = gradcheck.check(custom(torch.sin, one_zeroed), drawn(1000), conditions="none")
    (result,) = report.results
    assert result.entries[0].label == "dout[700]/dargs[0][700]"


def test_a_hundred_thousand_entries_need_no_dense_matrix():
    # 1e10 entries of float64 would be 80 GB: torch's fast mode fails by building them.
    report = gradcheck.check(sine(1.5), drawn(10**5), conditions="none")
    (result,) = report.results
    assert (result.verdict, result.blame) == ("fail", "autograd")
    assert result.difference > 0.1


def test_a_sign_wrong_for_negative_numbers_is_told_where_there_are_some():
    wrong, right = custom(torch.sin, wrong_for_negatives), sine()
    assert torch_says(wrong, [positive(12)])
    report = gradcheck.check(wrong, X)
    assert [(one.quantity, one.blame) for one in report.results if one.is_bad] == [
        ("dout/dargs[0]", "autograd")
    ]
    negative = [e.index[0] for e in report.results[0].entries if X[e.index[0]] < 0]
    assert len(negative) == len(report.results[0].entries)
    assert gradcheck.check(right, X).verdict == "pass"


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.T + bias

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g @ weight, g.T @ x, g.sum(0)


class _MeanAffine(_Affine):
    @staticmethod
    def backward(ctx, g):
        gx, gw, gb = _Affine.backward(ctx, g)
        return gx, gw / len(g), gb


class Layer(torch.nn.Linear):
    """nn.Linear by an autograd.Function."""

    function = _Affine

    def forward(self, x):
        return self.function.apply(x, self.weight, self.bias)


class WrongLayer(Layer):
    function = _MeanAffine


def test_the_parameters_of_a_module_are_checked_too():
    torch.manual_seed(0)
    wrong, right = WrongLayer(3, 2).double(), Layer(3, 2).double()
    x = drawn(4, 3)
    assert torch_says(wrong, [x])
    report = gradcheck.check(wrong, x)
    assert ("dout/dweight", "autograd") in [
        (one.quantity, one.blame) for one in report.results if one.is_bad
    ]
    report = gradcheck.check(right, x)
    assert report.verdict == "pass", str(report)
    assert {f"dout/d{name}" for name in ("x", "weight", "bias")} <= {
        one.quantity for one in report.results
    }


ZERO = torch.tensor([0.0, 1.0], dtype=torch.float64)
TIED = torch.tensor([1.0, 3.0, 3.0], dtype=torch.float64)
REJECTED = {
    "relu at 0": (torch.relu, ZERO, True),
    "clamp at its bounds": (lambda x: x.clamp(0, 1), ZERO, True),
    "ties of max": (lambda x: x.max(0).values, TIED, True),
    "log at 1e-8": (torch.log, ZERO[1:] * 1e-8, False),
    "x² at 1e8": (torch.square, ZERO[1:] * 1.2345e8, False),
}
"""(a right function, a point where torch's gradcheck rejects it, whether it has a kink there)."""


@pytest.mark.parametrize(("function", "at", "is_kink"), REJECTED.values(), ids=REJECTED)
def test_torch_rejects_what_is_right(function, at, is_kink):
    assert not torch_says(function, [at])


@pytest.mark.parametrize(("function", "at", "is_kink"), REJECTED.values(), ids=REJECTED)
def test_here_what_is_right_passes(function, at, is_kink):
    report = gradcheck.check(function, at, subgradient=is_kink)
    assert report.verdict == "pass", str(report)


@pytest.mark.parametrize(("function", "at", "is_kink"), REJECTED.values(), ids=REJECTED)
def test_and_what_is_wrong_there_fails(function, at, is_kink):
    doubled = custom(function, lambda s, g: 2.5 * _gradient(function, s[0], g))
    report = gradcheck.check(doubled, at, subgradient=is_kink, conditions="none")
    assert [(one.verdict, one.blame) for one in report.results] == [("fail", "autograd")]


def _gradient(function, x, g):
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        return torch.autograd.grad(function(at), at, g)[0]


def test_at_a_kink_nobody_is_accused_and_the_report_says_what_would_help():
    for function, at, is_kink in REJECTED.values():
        if is_kink:
            report = gradcheck.check(function, at)
            assert report.verdict == "inconclusive"
            assert "subgradient" in str(report)


def test_sqrt_at_0_accuses_nobody_of_a_derivative_that_is_infinite():
    at = ZERO[:1]
    assert not torch_says(torch.sqrt, [at])
    report = gradcheck.check(torch.sqrt, at)
    (result,) = [one for one in report.results if one.is_bad]
    assert (result.quantity, result.verdict, result.blame) == (
        "dout/dargs[0]",
        "inconclusive",
        "function",
    )
    assert "the one-sided derivative is inf" in " ".join(result.notes)
    wrong = custom(torch.sqrt, zeros)
    assert gradcheck.check(wrong, ZERO[1:], conditions="none").verdict == "fail"


def test_a_forward_with_randomness_in_it_is_diagnosed():
    def noisy(x):
        return x * torch.rand(12, dtype=x.dtype)

    tracked = X.clone().requires_grad_()
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        torchs(noisy, [tracked])
    report = gradcheck.check(noisy, X)
    (result,) = report.results
    assert (result.quantity, result.verdict, result.blame) == (
        "condition deterministic",
        "fail",
        "function",
    )
    assert "two evaluations at one point differ by up to" in result.notes[0]
    assert gradcheck.check(noisy, X, rng="fixed").verdict == "pass"


def test_one_wrong_entry_of_sixty_is_named_first_with_both_numbers():
    wrong = custom(torch.sin, one_of_sixty)
    x = drawn(60)
    report = gradcheck.check(wrong, x)
    result = next(one for one in report.results if one.is_bad)
    first, *_ = result.entries
    assert first.label == "dout[41]/dargs[0][41]"
    right = float(x[41].cos())
    assert first.answers["autograd"].value == pytest.approx(1.0005 * right, rel=1e-12)
    assert first.answers["numeric"].value == pytest.approx(right, rel=1e-8)
