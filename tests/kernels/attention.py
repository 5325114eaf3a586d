"""Scaled dot-product attention: right, and with the mistakes that it has."""

import math

import torch


class Attention(torch.autograd.Function):
    """softmax(q kᵀ/√d) v."""

    @staticmethod
    def forward(ctx, q, k, v):
        ctx.save_for_backward(q, k, v)
        return weights(q, k) @ v

    @staticmethod
    def backward(ctx, g):
        q, k, v = ctx.saved_tensors
        p = weights(q, k)
        gs = of_scores(p, g @ v.mT, q)
        return gs @ k, gs.mT @ q, p.mT @ g


def weights(q, k):
    return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1)


def of_scores(p, gp, q):
    """The gradient by q kᵀ for that by the weights p."""
    return p * (gp - (p * gp).sum(-1, keepdim=True)) / math.sqrt(q.shape[-1])


class NoScale(Attention):
    """Forgets 1/√d."""

    @staticmethod
    def backward(ctx, g):
        q, k, v = ctx.saved_tensors
        p = weights(q, k)
        gs = of_scores(p, g @ v.mT, q) * math.sqrt(q.shape[-1])
        return gs @ k, gs.mT @ q, p.mT @ g


class Transposed(Attention):
    """The gradient by the keys of scores that are not transposed; as many queries as keys."""

    @staticmethod
    def backward(ctx, g):
        q, k, v = ctx.saved_tensors
        p = weights(q, k)
        gs = of_scores(p, g @ v.mT, q)
        return gs @ k, gs @ q, p.mT @ g


class MeanForWeightedSum(Attention):
    """softmax's gradient less its mean, not less its sum by the weights."""

    @staticmethod
    def backward(ctx, g):
        q, k, v = ctx.saved_tensors
        p, gp = weights(q, k), g @ v.mT
        gs = p * (gp - gp.mean(-1, keepdim=True)) / math.sqrt(q.shape[-1])
        return gs @ k, gs.mT @ q, p.mT @ g


class SavedWeights(Attention):
    """Keeps the weights of forward: constants to a second derivative."""

    @staticmethod
    def forward(ctx, q, k, v):
        p = weights(q, k)
        ctx.save_for_backward(q, k, v, p)
        return p @ v

    @staticmethod
    def backward(ctx, g):
        q, k, v, p = ctx.saved_tensors
        gs = of_scores(p, g @ v.mT, q)
        return gs @ k, gs.mT @ q, p.mT @ g


class OutputOnTheContext(Attention):
    """As flash attention: Σ p·gp by the output, which is kept as an attribute."""

    @staticmethod
    def forward(ctx, q, k, v):
        ctx.save_for_backward(q, k, v)
        ctx.out = weights(q, k) @ v
        return ctx.out

    @staticmethod
    def backward(ctx, g):
        q, k, v = ctx.saved_tensors
        p = weights(q, k)
        row = (g * ctx.out.detach()).sum(-1, keepdim=True)
        gs = p * (g @ v.mT - row) / math.sqrt(q.shape[-1])
        return gs @ k, gs.mT @ q, p.mT @ g


class ByAddress(Attention):
    """Finds gradients by where a tensor lies in memory: self-attention has one tensor thrice."""

    @staticmethod
    def backward(ctx, g):
        found = dict(zip(map(id_of, ctx.saved_tensors), Attention.backward(ctx, g), strict=True))
        return tuple(found[id_of(tensor)] for tensor in ctx.saved_tensors)


def id_of(tensor):
    return tensor.data_ptr()


class ViewOfTheCotangent(Attention):
    """`view`, which needs what is contiguous, where `reshape` does not."""

    @staticmethod
    def backward(ctx, g):
        return Attention.backward(ctx, g.view(-1).view(g.shape))
