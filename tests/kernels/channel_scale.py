"""A weight and a bias for each channel: right, and with the mistakes that it has."""

import torch
from torch.autograd.function import once_differentiable


class ChannelScale(torch.autograd.Function):
    """x·weight + bias, of x (N, C)."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x * weight + bias

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g * weight, (g * x).sum(0), g.sum(0)


class OnceDifferentiable(ChannelScale):
    """Right, and says that it has no second derivative."""

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return ChannelScale.backward(ctx, g)


class ScaledInPlace(ChannelScale):
    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        others = (g * x).sum(0), g.sum(0)
        return g.mul_(weight), *others


class ScratchInTheInput(ChannelScale):
    """Uses the memory of x once it is not needed: the graph is thought to be walked once."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x.clone(), weight)
        ctx.scratch = x.detach()
        return x * weight + bias

    @staticmethod
    def backward(ctx, g):
        gx, gw, gb = ChannelScale.backward(ctx, g)
        ctx.scratch.copy_(gx)
        return ctx.scratch.clone(), gw, gb


class OneRowForAll(ChannelScale):
    """A short way where the cotangent is one row, as of a sum: the rows are not added up."""

    @staticmethod
    def backward(ctx, g):
        if g.dim() == 2 and g.stride(0) == 0:
            x, weight = ctx.saved_tensors
            row = g[0]
            return (row * weight).expand_as(x), row * x.sum(0), row
        return ChannelScale.backward(ctx, g)


class Clipped(ChannelScale):
    """Clips its gradient, so that training does not explode."""

    @staticmethod
    def backward(ctx, g):
        return tuple(one.clamp(-20, 20) for one in ChannelScale.backward(ctx, g))


class WeightForBias(ChannelScale):
    """The bias has the weight's gradient, and the weight the bias's."""

    @staticmethod
    def backward(ctx, g):
        gx, gw, gb = ChannelScale.backward(ctx, g)
        return gx, gb, gw
