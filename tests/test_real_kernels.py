"""autograd.Functions as people write them: right ones pass everything, each mistake is told."""

import pytest
import torch
from kernels import attention, channel_scale, cross_entropy, gathers, rms_norm, swiglu

import gradcheck


def drawn(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


X, WEIGHT, BIAS = drawn(4, 6, seed=0), drawn(6, seed=1), drawn(6, seed=2)
GATE, UP = drawn(4, 6, seed=3), drawn(4, 6, seed=4)
Q, K, V = (drawn(2, 3, 4, seed=seed) for seed in (5, 6, 7))
TARGETS = torch.tensor([1, 5, -100, 1])
TWICE = torch.tensor([0, 2, 2, 3])
SEGMENTS = torch.tensor([2, 0, 2, 3])

KERNELS = {
    rms_norm.RMSNorm: (
        (X, WEIGHT, 1e-3),
        "x*rsqrt(mean(x**2, dim=-1, keepdim=True) + eps)*weight",
    ),
    cross_entropy.CrossEntropy: (
        (X, TARGETS, -100),
        {
            "kept": "targets != ignored",
            "picked": "gather(log_softmax(logits, 1), 1, unsqueeze(where(kept, targets, 0), 1))",
            "loss": "-sum(where(kept, squeeze(picked, 1), 0))/sum(where(kept, 1, 0))",
        },
    ),
    swiglu.SwiGLU: ((GATE, UP, BIAS), "silu(gate + bias)*up"),
    attention.Attention: ((Q, K, V), "softmax(q @ k.mT/sqrt(4), -1) @ v"),
    gathers.Embedding: ((X, TWICE), "index_select(weight, 0, indices)"),
    gathers.SegmentSum: ((X, SEGMENTS, 4), "one_hot(segments, count).T @ x"),
    channel_scale.ChannelScale: ((X, WEIGHT, BIAS), "x*weight + bias"),
}
"""By the right one: inputs, and the formula that it has to equal."""
HALF = [torch.float16, torch.bfloat16]
DTYPES = [torch.float64, torch.float32, *HALF]


def in_dtype(inputs, dtype):
    return tuple(
        x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in inputs
    )


def checked(function, dtype=torch.float64, **asked):
    """A report on one of the kernels, or on a mistaken kin of it."""
    inputs, formula = next(found for right, found in KERNELS.items() if issubclass(function, right))
    return gradcheck.check(function, in_dtype(inputs, dtype), reference=formula, **asked)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("function", KERNELS, ids=lambda one: one.__name__)
def test_a_right_kernel_passes_with_every_condition(function, dtype):
    report = checked(function, dtype)
    assert report.verdict == "pass", str(report)
    values, *derivatives, conditions = report.results
    assert (values.quantity, values.truth) == ("out", "reference")
    assert derivatives
    assert {one.truth for one in derivatives} == {"reference"}
    assert conditions.quantity == "conditions"


@pytest.mark.parametrize("function", KERNELS, ids=lambda one: one.__name__)
def test_a_right_kernel_passes_without_a_reference(function):
    inputs, _ = KERNELS[function]
    report = gradcheck.check(function, inputs)
    assert report.verdict == "pass", str(report)


def test_what_says_that_it_has_no_second_derivative_is_not_accused():
    report = checked(channel_scale.OnceDifferentiable)
    assert report.verdict == "pass", str(report)
    *_, not_looked_at = report.results[-1].notes
    assert "double_backward (a part of it is once differentiable, and says so)" in not_looked_at


WRONG_DERIVATIVES = [
    (rms_norm.EpsilonOutside, "dout/dx dout/dweight"),
    (rms_norm.MeanOverTheBatch, "dout/dweight"),
    (rms_norm.NoProjection, "dout/dx"),
    (cross_entropy.SumForMean, "dout/dlogits"),
    (cross_entropy.IgnoredCounts, "dout/dlogits"),
    (cross_entropy.IgnoredPulls, "dout/dlogits"),
    (swiglu.SigmoidForSilu, "dout/dgate dout/dbias"),
    (swiglu.FirstRowOfTheBias, "dout/dbias"),
    (attention.NoScale, "dout/dq dout/dk"),
    (attention.Transposed, "dout/dk"),
    (attention.MeanForWeightedSum, "dout/dq dout/dk"),
    (gathers.LastOneWins, "dout/dweight"),
    (gathers.Averaged, "dout/dweight"),
    (gathers.SegmentMean, "dout/dx"),
    (gathers.SortedSegments, "dout/dx"),
    (channel_scale.WeightForBias, "dout/dweight dout/dbias"),
]
"""Mistakes, and the derivatives that they make wrong: no other is."""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("function", "wrong"), WRONG_DERIVATIVES, ids=str)
def test_a_wrong_derivative_is_told_by_its_name(function, wrong, dtype):
    report = checked(function, dtype, conditions="none")
    failed = [one for one in report.results if one.is_bad]
    assert [(one.quantity, one.verdict, one.blame) for one in failed] == [
        (name, "fail", "autograd") for name in wrong.split()
    ], str(report)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize(("function", "wrong"), WRONG_DERIVATIVES, ids=str)
def test_in_half_precision_a_wrong_derivative_passes_only_if_it_is_wrong_by_less_than_that_tells(
    function, wrong, dtype
):
    report = checked(function, dtype, conditions="none")
    failed = [one for one in report.results if one.is_bad]
    assert {one.quantity for one in failed} <= set(wrong.split()), str(report)
    assert {one.blame for one in failed} <= {"autograd", ""}
    # Of a root mean square near 1, eps = 1e-3 is less than 2e-2 or 4e-3 of anything.
    assert bool(failed) == (function is not rms_norm.EpsilonOutside)


BROKEN_CONDITIONS = [
    (rms_norm.NoSumOverTheBatch, "direct_backward", "gives shape [4, 6] for argument 1"),
    (rms_norm.SavedStatistic, "double_backward", "the derivative of the gradient"),
    (rms_norm.OneStride, "transposed_cotangent", "the gradient by x is off by"),
    (rms_norm.OneStride, "sliced_cotangent", "the gradient by x is off by"),
    (rms_norm.OneStride, "noncontiguous_cotangent", "the gradient by weight is off by"),
    (rms_norm.IntoTheCotangent, "cotangent_unchanged", "writes into the cotangent of out"),
    (cross_entropy.CotangentForgotten, "linear", "not linear in its cotangent"),
    (cross_entropy.CotangentForgotten, "zero_cotangent", "not zero where every cotangent is"),
    (cross_entropy.GradientInForward, "double_backward", "the derivative of the gradient"),
    (swiglu.BiasNotSummed, "direct_backward", "gives shape [4, 6] for argument 2"),
    (swiglu.NoBroadcastOfUp, "broadcast_inputs", "where up has size 1 in dimension 0, the grad"),
    (swiglu.KeptOnTheContext, "saved_tensors", "after gate is changed in place between forward"),
    (swiglu.SavedSigmoid, "double_backward", "the derivative of the gradient"),
    (swiglu.OnlyWhereGateIsNeeded, "needs_input_grad", "where up alone requires a gradient"),
    (attention.SavedWeights, "double_backward", "the derivative of the gradient"),
    (attention.OutputOnTheContext, "saved_tensors", "after the output is changed in place"),
    (attention.ByAddress, "aliased_inputs", "where q and k are one tensor, the gradient by q"),
    (attention.ViewOfTheCotangent, "transposed_cotangent", "view size is not compatible"),
    (gathers.OneBuffer, "deterministic", "two passes with one cotangent differ by up to"),
    (gathers.UncheckedSize, "empty_inputs", "the backward raises where an input has size 0"),
    (channel_scale.ScaledInPlace, "cotangent_unchanged", "writes into the cotangent of out"),
    (channel_scale.ScratchInTheInput, "inputs_unchanged", "the backward writes into x"),
    (channel_scale.OneRowForAll, "expanded_cotangent", "the gradient by bias is off by"),
    (channel_scale.Clipped, "linear", "it is not linear in its cotangent: for "),
]
"""Mistakes that leave the derivative right, the condition that they break, and what is told."""


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("function", "condition", "told"), BROKEN_CONDITIONS, ids=str)
def test_a_broken_condition_is_told_by_its_name(function, condition, told, dtype):
    if (function, dtype) == (attention.ByAddress, torch.bfloat16):
        pytest.skip("rounding of a softmax in bfloat16 moves its gradient by as much")
    report = checked(function, dtype)
    failed = {one.quantity: one for one in report.results if one.is_bad}
    assert not [name for name in failed if not name.startswith("condition ")], str(report)
    broken = failed[f"condition {condition}"]
    assert (broken.verdict, broken.blame) == ("fail", "autograd")
    assert told in " ".join(broken.notes)
    assert f"condition {condition}" in str(report)


def test_a_forward_that_is_another_function_than_the_reference_is_the_functions_fault():
    report = checked(rms_norm.EpsilonOutsideInForward)
    failed = [one for one in report.results if one.is_bad]
    assert {one.blame for one in failed} == {"function"}, str(report)
    assert failed[0].quantity == "out"
    # Its backward is that of RMSNorm: held against what the function computes it is wrong.
    alone = gradcheck.check(rms_norm.EpsilonOutsideInForward, (X, WEIGHT, 1e-3), conditions="none")
    assert {one.blame for one in alone.results} == {"autograd"}


def test_a_forward_that_writes_over_its_input_is_the_functions_fault():
    report = checked(cross_entropy.GradientInPlace, conditions="inputs_unchanged")
    (broken,) = [one for one in report.results if one.is_bad]
    assert (broken.quantity, broken.blame) == ("condition inputs_unchanged", "function")
    assert broken.notes[0] == "the forward writes into logits"


@pytest.mark.parametrize(
    "condition", ["transposed_inputs", "sliced_inputs", "noncontiguous_inputs"]
)
def test_a_forward_that_takes_memory_for_contiguous_is_the_functions_fault(condition):
    report = checked(swiglu.FlatMemory, conditions=condition)
    (broken,) = [one for one in report.results if one.is_bad]
    assert (broken.quantity, broken.blame) == (f"condition {condition}", "function")
    assert broken.notes[0].startswith("the forward ")


def test_every_mistake_that_is_written_down_is_told():
    tables = {row[0] for row in (*WRONG_DERIVATIVES, *BROKEN_CONDITIONS)}
    by_themselves = {
        channel_scale.OnceDifferentiable,
        rms_norm.EpsilonOutsideInForward,
        cross_entropy.GradientInPlace,
        swiglu.FlatMemory,
    }
    assert {kin for right in KERNELS for kin in _kin(right)} == tables | by_themselves


def _kin(function):
    return {kin for own in function.__subclasses__() for kin in (own, *_kin(own))}
