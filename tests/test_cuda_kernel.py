"""A small kernel in Triton, with a backward of its own, on a CUDA device and against the CPU."""

import pytest
import torch

import gradcheck

if not torch.cuda.is_available():
    pytest.skip("there is no CUDA device here", allow_module_level=True)
triton = pytest.importorskip("triton", reason="there is no Triton here")
tl = pytest.importorskip("triton.language")

pytestmark = pytest.mark.usefixtures("cuda")
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
BLOCK = 256


@triton.jit
def _forward(x, y, out, count, block: tl.constexpr):
    place = tl.program_id(0) * block + tl.arange(0, block)
    inside = place < count
    a = tl.load(x + place, mask=inside, other=0.0)
    b = tl.load(y + place, mask=inside, other=0.0)
    tl.store(out + place, a * a * b, mask=inside)


@triton.jit
def _backward(x, y, g, dx, dy, count, factor, block: tl.constexpr):
    place = tl.program_id(0) * block + tl.arange(0, block)
    inside = place < count
    a = tl.load(x + place, mask=inside, other=0.0)
    b = tl.load(y + place, mask=inside, other=0.0)
    u = tl.load(g + place, mask=inside, other=0.0)
    tl.store(dx + place, 2 * u * a * b, mask=inside)
    tl.store(dy + place, factor * u * a * a, mask=inside)


def _grid(count):
    return (max(1, triton.cdiv(count, BLOCK)),)


def kernel(*, contiguous=True, factor=1.0):
    """x²·y; with a bug where its cotangent is not made contiguous, or a factor is wrong."""

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            x, y = x.contiguous(), y.contiguous()
            ctx.save_for_backward(x, y)
            out = torch.empty_like(x)
            _forward[_grid(x.numel())](x, y, out, x.numel(), block=BLOCK)
            return out

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            g = g.contiguous() if contiguous else g
            dx, dy = torch.empty_like(x), torch.empty_like(y)
            _backward[_grid(x.numel())](x, y, g, dx, dy, x.numel(), factor, block=BLOCK)
            return dx, dy

    return Kernel


def inputs(dtype, count=300):
    generator = torch.Generator().manual_seed(5)
    drawn = torch.randn(2, count, generator=generator, dtype=torch.float64)
    return tuple(drawn.to("cuda", dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [300, 100_000])
def test_a_right_kernel_passes_in_every_dtype(dtype, count):
    report = gradcheck.check(kernel(), inputs(dtype, count), reference="x**2 * y")
    assert report.ok, str(report)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wrong_factor_is_found(dtype):
    report = gradcheck.check(kernel(factor=1.5), inputs(dtype), reference="x**2 * y")
    bad = {r.quantity: r.blame for r in report.results if r.is_bad}
    assert bad == {"dout/dy": "autograd"}


def test_a_cotangent_with_gaps_is_found():
    report = gradcheck.check(kernel(contiguous=False), inputs(torch.float32), reference="x**2 * y")
    bad = {r.quantity for r in report.results if r.is_bad}
    assert {"condition expanded_cotangent", "condition noncontiguous_cotangent"} <= bad
