"""The drop-ins: what torch's own gradcheck says, and where they say more."""

import warnings

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError as TorchError
from torch.autograd.gradcheck import gradcheck as torchs_gradcheck
from torch.autograd.gradcheck import gradgradcheck as torchs_gradgradcheck
from wrong_functions import custom, sine

import gradcheck as package
from gradcheck import gradcheck, gradgradcheck
from gradcheck.errors import CheckFailedError

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's own


def given(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype).requires_grad_()


def says(check, function, inputs, **flags):
    """True, or the kind of exception."""
    try:
        return check(function, inputs, **flags)
    except Exception as error:
        return TorchError if isinstance(error, TorchError) else type(error)


X = given(0.3, -1.2, 0.8)
Z = given(0.3 - 0.4j, 1.1 + 0.2j, dtype=torch.complex128)
MODULE = torch.nn.Linear(3, 2).double()


def cosine(saved, g):
    return g * saved[0].cos()


def by_numpy(saved, g):
    return torch.from_numpy((g * saved[0].cos()).numpy() * 1.0)


class TwoOutputs(torch.autograd.Function):
    """Its backward takes an undefined cotangent for 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx, a, b):
        (x,) = ctx.saved_tensors
        a = torch.ones_like(x) if a is None and b is not None and bool((b == 0).all()) else a
        total = torch.zeros_like(x)
        total = total if a is None else total + a * x.cos()
        return total if b is None else total - b * x.sin()


def random_backward(saved, g):
    return g * saved[0].cos() * (1 + 1e-9 * torch.rand(1, dtype=g.dtype))


SAME = {
    "right": (torch.sin, (X,), {}),
    "one tensor": (torch.sin, X, {}),
    "several": (lambda x, y: (x * y, (x * 2).sum()), (X, X.detach().cos().requires_grad_()), {}),
    "complex": (lambda z: z * z.conj() + z**2, (Z,), {"check_forward_ad": True}),
    "wrong": (sine(1.1), (X,), {}),
    "wrong, not raised": (sine(1.1), (X,), {"raise_exception": False}),
    "wrong, in fast mode": (sine(1.1), (X,), {"fast_mode": True}),
    "no conjugate": (custom(lambda z: z**2, lambda s, g: g * 2 * s[0]), (Z,), {}),
    "within rtol": (sine(1.0009), (X,), {"rtol": 1e-3}),
    "beyond rtol": (sine(1.002), (X,), {"rtol": 1e-3, "atol": 0.0}),
    "within atol": (sine(1.002), (X,), {"rtol": 0.0, "atol": 1e-2}),
    "ignores its cotangent": (custom(torch.sum, lambda s, g: torch.ones_like(s[0])), (X,), {}),
    "no input requires grad": (torch.sin, (X.detach(),), {}),
    "nothing asked": (torch.sin, (X,), {"check_backward_ad": False}),
    "batched without backward": (
        torch.sin,
        (X,),
        {"check_batched_grad": True, "check_backward_ad": False, "check_forward_ad": True},
    ),
    "batched without forward": (torch.sin, (X,), {"check_batched_forward_grad": True}),
    "whole numbers": (torch.argmax, (X,), {}),
    "raises": (lambda x: 1 / 0, (X,), {}),
    "raises backward": (custom(torch.sin, lambda s, g: 1 / 0), (X,), {}),
    "depends, but is detached": (lambda x: x.detach() * 2, (X,), {}),
    "detached beside": (lambda x: (x.sin(), x.detach() * 2), (X,), {}),
    "parameters read from around": (lambda *a: MODULE(a[0]), (X, *MODULE.parameters()), {}),
    "does not depend": (lambda x, y: x.sin(), (X, given(1.0)), {}),
    "forward mode": (
        sine(jvp=lambda s, t: t * s[0].cos()),
        (X,),
        {"check_forward_ad": True, "check_undefined_grad": False},
    ),
    "forward mode wrong": (
        sine(jvp=lambda s, t: 1.1 * t * s[0].cos()),
        (X,),
        {"check_forward_ad": True},
    ),
    "forward mode wrong, not asked": (sine(jvp=lambda s, t: 1.1 * t * s[0].cos()), (X,), {}),
    "forward mode alone": (
        sine(1.1, jvp=lambda s, t: t * s[0].cos()),
        (X,),
        {"check_forward_ad": True, "check_backward_ad": False},
    ),
    "no forward mode": (sine(), (X,), {"check_forward_ad": True}),
    "batched": (torch.sin, (X,), {"check_batched_grad": True}),
    "batched, by numpy": (custom(torch.sin, by_numpy), (X,), {"check_batched_grad": True}),
    "by numpy, not batched": (custom(torch.sin, by_numpy), (X,), {}),
    "batched forward": (
        torch.sin,
        (X,),
        {"check_forward_ad": True, "check_batched_forward_grad": True},
    ),
    "batched forward, by numpy": (
        sine(jvp=lambda s, t: torch.from_numpy((t * s[0].cos()).numpy() * 1.0)),
        (X,),
        {"check_forward_ad": True, "check_batched_forward_grad": True},
    ),
    "undefined cotangents": (TwoOutputs.apply, (X,), {}),
    "undefined cotangents, not asked": (TwoOutputs.apply, (X,), {"check_undefined_grad": False}),
    "dtypes": (torch.sin, (X,), {"check_grad_dtypes": True, "check_forward_ad": True}),
    "random backward": (custom(torch.sin, random_backward), (X,), {}),
    "random backward, tolerated": (
        custom(torch.sin, random_backward),
        (X,),
        {"nondet_tol": 1e-6, "rtol": 1e-6},
    ),
    "random forward": (lambda x: x * torch.rand(1, dtype=x.dtype), (X,), {}),
    "empty": (torch.sin, (given(),), {}),
}


@pytest.mark.parametrize(("function", "inputs", "flags"), SAME.values(), ids=SAME)
def test_it_says_what_torch_says(function, inputs, flags):
    assert says(gradcheck, function, inputs, **flags) == says(
        torchs_gradcheck, function, inputs, **flags
    )


class Twice(torch.autograd.Function):
    """sin, whose gradient torch can differentiate, but to something else."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.cos() + (x - x.detach()))


SAME_TWICE = {
    "right": (lambda x: x**3, (X,), None, {}),
    "complex": (lambda z: z**3, (Z,), None, {}),
    "linear": (lambda x: 2 * x, (X,), None, {}),
    "given cotangents": (lambda x: x**3, (X,), (given(1.0, 2.0, 3.0),), {}),
    "with gaps": (lambda x: x**3, (X,), None, {"gen_non_contig_grad_outputs": True}),
    "forward over reverse": (lambda x: x**3, (X,), None, {"check_fwd_over_rev": True}),
    "batched": (lambda x: x**3, (X,), None, {"check_batched_grad": True}),
    "wrong": (Twice.apply, (X,), None, {}),
    "wrong, not raised": (Twice.apply, (X,), None, {"raise_exception": False}),
    "once": (
        custom(torch.sin, torch.autograd.function.once_differentiable(cosine)),
        (X,),
        None,
        {},
    ),
    "nothing asked": (torch.sin, (X,), None, {"check_rev_over_rev": False}),
    "parameters read from around": (
        lambda *a: MODULE(a[0]).sin(),
        (X, *MODULE.parameters()),
        None,
        {},
    ),
}


@pytest.mark.parametrize(
    ("function", "inputs", "cotangents", "flags"), SAME_TWICE.values(), ids=SAME_TWICE
)
def test_it_says_what_torch_says_of_second_derivatives(function, inputs, cotangents, flags):
    assert says(gradgradcheck, function, inputs, grad_outputs=cotangents, **flags) == says(
        torchs_gradgradcheck, function, inputs, grad_outputs=cotangents, **flags
    )


def zeroed(position):
    """sin with a backward that forgets one entry."""

    def backward(saved, g):
        gradient = g * saved[0].cos()
        gradient[position] = 0
        return gradient

    return custom(torch.sin, backward)


def many(count):
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return drawn.requires_grad_()


SMALL = custom(lambda x: 1e-6 * x.sin(), lambda s, g: 1e-6 * g * s[0].cos())
FAST = {"fast_mode": True}
LET_THROUGH = {
    "scaled by 1.0009": (sine(1.0009), X, {}),
    "zero where the function is small": (
        custom(lambda x: 1e-6 * x.sin(), lambda s, g: torch.zeros_like(g)),
        X,
        {},
    ),
    "g²": (custom(torch.sin, lambda s, g: g * g * s[0].cos()), X, {}),
    "g·sum(g)": (custom(torch.sin, lambda s, g: g * g.sum() * s[0].cos()), X, {}),
    "fast, 1e4 entries, 1.03 times too large": (sine(1.03), many(10_000), FAST),
    "fast, 1e5 entries, 1.1 times too large": (sine(1.1), many(100_000), FAST),
    "fast, 3e5 entries, zero": (sine(0.0), many(300_000), FAST),
    "fast, one of 1,000 entries forgotten": (zeroed(77), many(1_000), FAST),
}


@pytest.mark.parametrize(("function", "x", "flags"), LET_THROUGH.values(), ids=LET_THROUGH)
def test_it_finds_what_torch_lets_through(function, x, flags):
    assert says(torchs_gradcheck, function, x, **flags) is True
    assert says(gradcheck, function, x, **flags) is TorchError
    twin = SMALL if float(function(x).detach().abs().max()) < 1e-4 else sine()
    assert says(gradcheck, twin, x, **flags) is True


def test_fast_mode_forms_no_matrix_where_it_fails():
    """torch's takes 80 GB for this one."""
    assert says(gradcheck, sine(1.5), many(100_000), fast_mode=True) is TorchError


ACCUSED = {
    "relu at 0": (torch.relu, given(0.0, 1.0)),
    "clamp at its bounds": (lambda x: x.clamp(-1, 1), given(-1.0, 0.3, 1.0)),
    "a tie that max breaks": (lambda x: x.max(0).values, given(2.0, 2.0, 1.0)),
    "sqrt at 0": (torch.sqrt, given(0.0)),
    "log near 0": (torch.log, given(1e-8)),
    "x² far out": (torch.square, given(*(1e8 * k for k in (1.1, 1.23, 1.37, 1.7)))),
    "float32": (lambda x: (x**2).sum(), given(0.3, -1.2, dtype=torch.float32)),
}
WRONG_THERE = {
    "relu at 0": custom(torch.relu, lambda s, g: g * (2.0 * (s[0] == 0) + (s[0] > 0))),
    "clamp at its bounds": custom(lambda x: x.clamp(-1, 1), lambda s, g: g * 1.01),
    "a tie that max breaks": custom(lambda x: x.max(0).values, lambda s, g: -g * (s[0] == 2)),
    "sqrt at 0": custom(torch.sqrt, lambda s, g: 0 * g),
    "log near 0": custom(torch.log, lambda s, g: 1.00001 * g / s[0]),
    "x² far out": custom(torch.square, lambda s, g: 2.00001 * g * s[0]),
    "float32": custom(lambda x: (x**2).sum(), lambda s, g: 2.005 * g * s[0]),
}


@pytest.mark.parametrize("name", ACCUSED)
def test_it_passes_what_torch_wrongly_accuses(name):
    function, inputs = ACCUSED[name]
    assert says(torchs_gradcheck, function, inputs) is TorchError
    assert says(gradcheck, function, inputs) is True
    assert says(gradcheck, WRONG_THERE[name], inputs) is TorchError


def test_randomness_is_diagnosed():
    def noisy(x):
        return x * torch.rand(3, dtype=torch.float64)

    with pytest.raises(TorchError, match="Jacobian mismatch"):
        torchs_gradcheck(noisy, X)
    with pytest.raises(TorchError, match="the function is not deterministic: two evaluations at"):
        gradcheck(noisy, X)


def test_one_wrong_entry_of_sixty_is_named():
    x = many(60)

    def off(saved, g):
        gradient = g * saved[0].cos()
        gradient[41] *= 1.01
        return gradient

    with pytest.raises(TorchError, match=r"dout\[41\]/dargs\[0\]\[41\] ") as raised:
        gradcheck(custom(torch.sin, off), x)
    rows = [line for line in str(raised.value).splitlines() if "dout[" in line]
    assert rows[0].startswith("  dout[41]/dargs[0][41] ")
    assert gradcheck(sine(), x)


def test_a_value_outside_of_a_kinks_slopes_fails():
    outside = custom(torch.relu, lambda s, g: g * (2 * (s[0] == 0) + (s[0] > 0)))
    assert says(gradcheck, outside, given(0.0, 1.0)) is TorchError


@pytest.mark.parametrize("is_right", [True, False])
def test_an_undefined_tangent_is_zero(is_right):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.set_materialize_grads(False)
            ctx.given = x, y
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return (None, None) if g is None else (g * y, g * x)

        @staticmethod
        def jvp(ctx, dx, dy):
            x, y = ctx.given
            found = torch.zeros_like(x) if dx is None else dx * y
            if dy is None:  # as the columns by x are found, which are right nevertheless
                return found if is_right or (found != 0).sum() == 1 else found + 1
            return found + dy * x

    inputs = (X, X.detach().cos().requires_grad_())
    for check in (gradcheck, torchs_gradcheck):
        said = says(check, Product.apply, inputs, check_forward_ad=True)
        assert said is (True if is_right else TorchError)
        flags = {"check_forward_ad": True, "check_undefined_grad": False}
        assert says(check, Product.apply, inputs, **flags) is True


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize(
    ("masked", "masked_grad"), [(True, True), (False, False), (False, True), (None, True)]
)
def test_masked_means_what_it_means_to_torch(layout, masked, masked_grad):
    dense = torch.tensor([[1.0, 0], [0, 3]], dtype=torch.float64)
    sparse = dense.to_sparse(layout=layout).requires_grad_()

    def function(x):
        return x.to_dense(masked_grad=masked_grad).sin()

    assert says(gradcheck, function, (sparse,), masked=masked) == says(
        torchs_gradcheck, function, (sparse,), masked=masked
    )


def test_masked_ignores_gradients_of_elements_that_are_not_specified():
    sparse = torch.tensor([[1.0, 0], [0, 3]], dtype=torch.float64).to_sparse().requires_grad_()
    assert gradcheck(lambda x: x.to_dense(masked_grad=False).sin(), (sparse,), masked=True)


def test_the_exception_is_torchs_and_ours():
    with pytest.raises(TorchError, match="blame: autograd") as caught:
        gradcheck(sine(1.1), X)
    assert isinstance(caught.value, CheckFailedError)
    assert isinstance(caught.value, package.GradcheckError)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.report.verdict == "fail"


def test_eps_is_not_used_and_a_failure_says_so():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradcheck(torch.sin, X, eps=1e-3)
    with pytest.raises(TorchError, match=r"eps=0\.001 is not used"):
        gradcheck(sine(1.1), X, eps=1e-3)
    with pytest.raises(TorchError) as caught:
        gradcheck(sine(1.1), X)
    assert "eps" not in str(caught.value)


def test_what_tolerances_accept_is_told():
    assert gradcheck(sine(1.0009), X, rtol=1e-3)
    with pytest.raises(TorchError) as caught:
        gradcheck(lambda x: (sine(1.0009)(x), sine(1.1)(x)), X, rtol=1e-3)
    accepted, wrong = caught.value.report.results
    assert accepted.verdict == "pass"
    assert "within the caller's atol and rtol, off by 0.0009" in " ".join(accepted.notes)
    assert wrong.verdict == "fail"


def test_what_cannot_be_told_raises_and_says_why():
    edge = given(0.0)
    with pytest.raises(TorchError, match="INCONCLUSIVE") as caught:
        gradcheck(torch.relu, edge, subgradient=False)
    assert "the derivative cannot be told" in str(caught.value)


def test_second_derivatives_are_looked_at_in_batches():
    calls = []

    def layer(x, w):
        calls.append(x)
        return torch.tanh(x @ w)

    x, w = (
        torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(k))
        for k in (1, 2)
    )
    assert gradgradcheck(layer, (x.requires_grad_(), w.requires_grad_()))
    assert len(calls) < 60  # one by one there are more than ten for each of 48 entries
