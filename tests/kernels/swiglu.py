"""SwiGLU with a bias that is broadcast: right, and with the mistakes that it has."""

import torch


class SwiGLU(torch.autograd.Function):
    """silu(gate + bias)·up."""

    @staticmethod
    def forward(ctx, gate, up, bias):
        ctx.save_for_backward(gate, up, bias)
        return torch.nn.functional.silu(gate + bias) * up

    @staticmethod
    def backward(ctx, g):
        gate, up, bias = ctx.saved_tensors
        ggate, gup = gradients(gate + bias, up, g)
        return summed(ggate, gate), summed(gup, up), summed(ggate, bias)


def gradients(z, up, g):
    s = torch.sigmoid(z)
    return g * up * s * (1 + z * (1 - s)), g * z * s


def summed(gradient, like):
    return gradient.sum_to_size(like.shape)


class SigmoidForSilu(SwiGLU):
    """The derivative of silu without its second term."""

    @staticmethod
    def backward(ctx, g):
        gate, up, bias = ctx.saved_tensors
        _, gup = gradients(gate + bias, up, g)
        ggate = g * up * torch.sigmoid(gate + bias)
        return summed(ggate, gate), summed(gup, up), summed(ggate, bias)


class BiasNotSummed(SwiGLU):
    @staticmethod
    def backward(ctx, g):
        ggate, gup, _ = SwiGLU.backward(ctx, g)
        return ggate, gup, ggate


class FirstRowOfTheBias(SwiGLU):
    @staticmethod
    def backward(ctx, g):
        ggate, gup, gbias = SwiGLU.backward(ctx, g)
        return ggate, gup, ggate[0].reshape(gbias.shape)


class NoBroadcastOfUp(SwiGLU):
    """`up` is thought to be as large as the output: of one that is not, its first entries."""

    @staticmethod
    def backward(ctx, g):
        gate, up, bias = ctx.saved_tensors
        ggate, gup = gradients(gate + bias, up, g)
        first = gup.flatten()[: up.numel()].reshape(up.shape)
        return summed(ggate, gate), first, summed(ggate, bias)


class KeptOnTheContext(SwiGLU):
    """Kept as an attribute: torch does not see that it is written over."""

    @staticmethod
    def forward(ctx, gate, up, bias):
        ctx.gate, ctx.up, ctx.bias = gate, up, bias
        return torch.nn.functional.silu(gate + bias) * up

    @staticmethod
    def backward(ctx, g):
        ggate, gup = gradients(ctx.gate + ctx.bias, ctx.up, g)
        return summed(ggate, ctx.gate), summed(gup, ctx.up), summed(ggate, ctx.bias)


class SavedSigmoid(SwiGLU):
    """Keeps σ(z) of forward: a constant to a second derivative."""

    @staticmethod
    def forward(ctx, gate, up, bias):
        z = gate + bias
        ctx.save_for_backward(gate, up, bias, torch.sigmoid(z))
        return torch.nn.functional.silu(z) * up

    @staticmethod
    def backward(ctx, g):
        gate, up, bias, s = ctx.saved_tensors
        z = gate + bias
        ggate = g * up * s * (1 + z * (1 - s))
        return summed(ggate, gate), summed(g * z * s, up), summed(ggate, bias)


class OnlyWhereGateIsNeeded(SwiGLU):
    """What all three gradients need is computed under the `if` of the first."""

    @staticmethod
    def backward(ctx, g):
        gate, up, bias = ctx.saved_tensors
        result = [None, None, None]
        if ctx.needs_input_grad[0]:
            ggate, gup = gradients(gate + bias, up, g)
            result = [summed(ggate, gate), summed(gup, up), summed(ggate, bias)]
        return tuple(result)


class FlatMemory(SwiGLU):
    """Forward reads memory as if every input were contiguous, as a kernel by pointer does."""

    @staticmethod
    def forward(ctx, gate, up, bias):
        ctx.save_for_backward(gate, up, bias)
        flat = gate.as_strided((gate.numel(),), (1,)).view(gate.shape)
        return torch.nn.functional.silu(flat + bias) * up
