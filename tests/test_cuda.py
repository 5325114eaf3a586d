"""Functions on a CUDA device: the right ones pass, beside a wrong one stands the CPU's answer."""

import pytest
import torch
from torch.nn import functional

import gradcheck

pytestmark = pytest.mark.usefixtures("cuda")
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def normal(*shape, dtype=torch.float64, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to("cuda", dtype)


def scale(*, wrong_on=("cuda", "cpu"), factor=1.0):
    """x·weight, whose gradient by the weight is off by a factor on some devices."""

    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x, weight)
            return x * weight

        @staticmethod
        def backward(ctx, g):
            x, weight = ctx.saved_tensors
            found = (g * x).sum(0)
            return g * weight, factor * found if x.device.type in wrong_on else found

    return Scale


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reference", [None, "x * weight"])
def test_a_right_function_passes_in_every_dtype(dtype, reference):
    inputs = normal(5, 4, dtype=dtype), normal(4, dtype=dtype)
    report = gradcheck.check(scale(), inputs, reference=reference)
    assert report.ok, str(report)
    assert {r.device for r in report.results} == {"cuda:0"}


@pytest.mark.parametrize("count", [5, 3_000])
@pytest.mark.parametrize("dtype", DTYPES[:2])
@pytest.mark.parametrize("reference", [None, "x * weight"])
def test_the_cpus_answer_stands_beside_one_that_is_wrong_on_cuda_only(count, dtype, reference):
    inputs = normal(count, 4, dtype=dtype), normal(4, dtype=dtype)
    function = scale(wrong_on=("cuda",), factor=1.5)
    report = gradcheck.check(function, inputs, reference=reference)
    (wrong,) = [r for r in report.results if r.is_bad]
    assert (wrong.quantity, wrong.verdict, wrong.blame) == ("dout/dweight", "fail", "autograd")
    answers = wrong.entries[0].answers
    assert answers["autograd"].value == pytest.approx(1.5 * answers["cpu"].value, rel=1e-3)
    assert answers["cpu"].value == pytest.approx(answers[wrong.truth].value, rel=1e-3)


def test_what_runs_on_cuda_only_is_told_without_the_cpu():
    def forward(x):
        if not x.is_cuda:
            raise ValueError("on CUDA only")
        return scale(factor=1.5).apply(x[:, None], x[:1])

    report = gradcheck.check(forward, normal(4))
    (wrong,) = [r for r in report.results if r.is_bad]
    assert (wrong.verdict, wrong.blame) == ("fail", "autograd")
    assert "cpu" not in wrong.entries[0].answers


@pytest.mark.parametrize("count", [4, 3_000])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, s: x * s,
        lambda x, s: (x * s).cpu(),
        lambda x, s: (x * s, x.cpu() * s),
    ],
    ids=["input", "output", "outputs"],
)
def test_inputs_and_outputs_may_be_on_several_devices(function, count):
    inputs = normal(count), torch.tensor(2.0, dtype=torch.float64)
    report = gradcheck.check(function, inputs, forward=True)
    assert report.ok, str(report)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torchs_attention_does_not_end_cuda_where_something_is_sliced(dtype):
    """Some of its kernels read 16 bytes at once wherever memory begins."""
    inputs = tuple(normal(1, 2, 4, 8, dtype=dtype, seed=seed) for seed in range(3))
    report = gradcheck.check(functional.scaled_dot_product_attention, inputs)
    assert not any(r.verdict == "error" for r in report.results), str(report)
    assert gradcheck.check(torch.sin, normal(3)).ok


@pytest.mark.parametrize("asked", [{"rng": "fixed"}, {"conditions": "none"}])
def test_the_random_state_stays_as_it_is(asked):
    torch.cuda.manual_seed(3)
    before = torch.cuda.get_rng_state()
    p = 0.5 if "rng" in asked else 0.0
    report = gradcheck.check(torch.nn.Dropout(p), normal(50), **asked)
    assert report.ok, str(report)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_a_function_of_the_cpu_is_looked_at_likewise_where_there_is_a_gpu():
    inputs = normal(5, 4).cpu(), normal(4).cpu()
    report = gradcheck.check(scale(), inputs, reference="x * weight")
    assert report.ok, str(report)
    names = report.results[-1].notes[0]
    assert "broadcast_inputs" in names
    assert "empty_inputs" in names


def test_torchs_gradcheck_is_replaced_there_too():
    right, wrong = scale(), scale(factor=1.5)
    inputs = normal(5, 4).requires_grad_(), normal(4).requires_grad_()
    assert gradcheck.gradcheck(right.apply, inputs)
    assert gradcheck.gradgradcheck(right.apply, inputs)
    assert not gradcheck.gradcheck(wrong.apply, inputs, raise_exception=False)
