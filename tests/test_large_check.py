"""Functions too large for a Jacobian: what is wrong is found, and the entry named."""

import functools

import pytest
import torch

import gradcheck
from gradcheck import large_check

SEED = 12
check = functools.partial(gradcheck.check, conditions="none")


def normal(*shape, seed=SEED, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(size, wrong=None):
    """tanh(W x), whose Jacobian torch has wrong in one entry, by so much."""
    weight = normal(size, size, seed=1) / size**0.5

    def layer(x):
        y = torch.tanh(weight @ x)
        if wrong is None:
            return y
        row, column, error = wrong
        axis = torch.zeros_like(y)
        axis[row] = error
        return y + axis * (x[column] - x[column].detach())

    return layer


class Scaled(torch.autograd.Function):
    """x·sin x, with a backward that is `factor` times too large."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * torch.sin(x)

    @staticmethod
    def backward(ctx, cotangent):
        (x,) = ctx.saved_tensors
        return ctx.factor * cotangent * (torch.sin(x) + x * torch.cos(x)), None


def one(report):
    (result,) = report.results
    return result


def test_a_dense_layer():
    result = one(check(dense(300), normal(300)))
    assert (result.verdict, result.truth) == ("pass", "numeric")
    assert result.resolution < 1e-6
    assert "not at 90,000 entries" in result.notes[0]
    assert "seed" in result.notes[0]


@pytest.mark.parametrize("forward", [False, True])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (299, 299), (17, 203), (150, 149), (1, 298)])
def test_an_error_of_one_part_in_a_million_of_the_largest_entry_is_found_and_named(
    row, column, forward
):
    largest = torch.autograd.functional.jacobian(dense(300), normal(300)).abs().max()
    function = dense(300, (row, column, 1e-6 * float(largest)))
    report = check(function, normal(300), forward=forward)
    modes = ["dout/dx", "dout/dx (forward mode)"] if forward else ["dout/dx"]
    assert [result.quantity for result in report.results] == modes
    for result in report.results:
        assert (result.verdict, result.blame) == ("fail", "autograd")
        assert result.entries[0].label == f"dout[{row}]/dx[{column}]"
        assert 5e-7 < result.difference < 5e-6


@pytest.mark.parametrize("count", [5_000, 200_000])
@pytest.mark.parametrize("factor", [0.0, 1 + 1e-6, -1.0])
def test_an_elementwise_backward_that_is_wrong_everywhere(count, factor):
    result = one(check(lambda x: Scaled.apply(x, factor), normal(count)))
    assert (result.verdict, result.blame) == ("fail", "autograd")
    assert one(check(lambda x: Scaled.apply(x, 1.0), normal(count))).verdict == "pass"


def test_half_of_what_is_noticed_in_an_entry_passes_only_at_a_coarser_resolution():
    largest = torch.autograd.functional.jacobian(dense(300), normal(300)).abs().max()
    for size in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7):
        result = one(check(dense(300, (5, 6, size * float(largest))), normal(300)))
        assert result.verdict == "fail" or result.resolution > size


def test_swapped_columns_and_rows_and_a_transposed_weight_fail():
    weight, x = normal(200, 200, seed=1), normal(200)
    right = torch.autograd.functional.jacobian(lambda x: torch.sin(weight @ x / 14), x)
    order = torch.arange(200)
    order[[3, 4]] = order[[4, 3]]
    for wrong in (right[order], right[:, order], right.T):
        report = check(lambda x: torch.sin(weight @ x / 14), x, derivatives={"x": wrong})
        assert (report.results[0].verdict, report.results[0].blame) == ("fail", "handwritten")
    report = check(lambda x: torch.sin(weight @ x / 14), x, derivatives={"x": right})
    assert report.ok


def test_hand_written_derivatives_of_every_shape():
    x = normal(3_000)
    assert check(lambda x: x**2, x, derivatives={"x": 2 * x}).ok
    assert check(lambda x: (x**2).sum(), x, derivatives={"x": lambda x: 2 * x}).ok
    assert check(lambda x: 3 * x, x, derivatives={"x": 3}).ok
    misshapen = one(check(lambda x: x**2, x, derivatives={"x": 2 * x[:7]}))
    assert (misshapen.verdict, misshapen.blame) == ("fail", "handwritten")
    assert "shape [7]" in misshapen.notes[0]


def test_several_inputs_and_outputs_are_looked_at_one_by_one():
    def function(w, b, x):
        y = torch.tanh(x @ w + b)
        return y, (y**2).sum() + 0 * b.sum()

    report = check(function, (normal(60, 50), normal(50), normal(8, 60)))
    assert [result.quantity for result in report.results] == [
        f"d{output}/d{input}" for output in ("out[0]", "out[1]") for input in "wbx"
    ]
    assert report.ok


def test_complex_entries_are_pairs():
    z = torch.complex(normal(900), normal(900, seed=3))
    assert check(lambda z: z * z.conj() + torch.exp(z / 3), z).ok

    class Holomorphic(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx, cotangent):
            (z,) = ctx.saved_tensors
            return cotangent * 2 * z  # its conjugate is right

    result = one(check(Holomorphic.apply, z))
    assert (result.verdict, result.blame) == ("fail", "autograd")


def test_a_backward_that_is_not_linear_fails():
    class Squared(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, cotangent):
            return 2 * cotangent**2

    result = one(check(Squared.apply, normal(2_000)))
    assert (result.verdict, result.blame) == ("fail", "autograd")


def test_a_backward_that_varies_is_told():
    class Random(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, cotangent):
            return 2 * cotangent + torch.rand(1).item()

    result = one(check(Random.apply, normal(2_000)))
    assert (result.verdict, result.blame) == ("fail", "autograd")
    assert result.notes[0].startswith("the backward is not deterministic")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_kinks_beside_the_point(dtype):
    assert check(torch.relu, normal(3_000, dtype=dtype)).ok


def test_memory_is_that_of_some_vectors(monkeypatch):
    """Nothing grows as inputs × outputs: no tensor has as many entries as either squared."""
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    count = large_check.MANY
    with Watch():
        assert check(torch.sigmoid, normal(count)).ok
    assert count <= largest <= 16 * count
