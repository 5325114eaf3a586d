"""RMSNorm over the last dimension, with a weight: right, and with the mistakes that it has."""

import torch


class RMSNorm(torch.autograd.Function):
    """x·weight/√(mean x² + eps), computed in float32 where x is narrower."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        wide = widened(x)
        return (wide * inverse_rms(wide, eps) * weight).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        gx, gw = gradients(widened(x), widened(weight), widened(g), ctx.eps)
        return gx.to(x.dtype), gw.to(weight.dtype), None


def widened(tensor):
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def inverse_rms(x, eps):
    return torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def gradients(x, weight, g, eps):
    """By x and by the weight, which every row has its part in."""
    r = inverse_rms(x, eps)
    unit, gu = x * r, g * weight
    gx = r * (gu - unit * (gu * unit).mean(-1, keepdim=True))
    return gx, rows(g * unit).sum(0)


def rows(tensor):
    return tensor.reshape(-1, tensor.shape[-1])


class EpsilonOutside(RMSNorm):
    """√(mean x²) + eps in place of √(mean x² + eps), in backward alone."""

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        r = 1 / (x.square().mean(-1, keepdim=True).sqrt() + ctx.eps)
        unit, gu = x * r, g * weight
        return r * (gu - unit * (gu * unit).mean(-1, keepdim=True)), rows(g * unit).sum(0), None


class MeanOverTheBatch(RMSNorm):
    """The weight's gradient averaged over rows."""

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        gx, _ = gradients(x, weight, g, ctx.eps)
        return gx, rows(g * x * inverse_rms(x, ctx.eps)).mean(0), None


class NoSumOverTheBatch(RMSNorm):
    """The weight's gradient row by row: torch's engine adds it up, other callers do not."""

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        gx, _ = gradients(x, weight, g, ctx.eps)
        return gx, g * x * inverse_rms(x, ctx.eps), None


class NoProjection(RMSNorm):
    """The inverse root mean square taken for a constant."""

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        r = inverse_rms(x, ctx.eps)
        return g * weight * r, rows(g * x * r).sum(0), None


class SavedStatistic(RMSNorm):
    """Keeps the inverse root mean square of forward: a constant to a second derivative."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        r = inverse_rms(x, eps)
        ctx.save_for_backward(x, weight, r)
        return x * r * weight

    @staticmethod
    def backward(ctx, g):
        x, weight, r = ctx.saved_tensors
        unit, gu = x * r, g * weight
        return r * (gu - unit * (gu * unit).mean(-1, keepdim=True)), rows(g * unit).sum(0), None


class OneStride(RMSNorm):
    """Rows of the cotangent found by its width in place of its stride, as a kernel may."""

    @staticmethod
    def backward(ctx, g):
        return RMSNorm.backward(ctx, g.as_strided(g.shape, (g.shape[-1], 1)))


class IntoTheCotangent(RMSNorm):
    """The gradient by x is written into the cotangent, to save memory."""

    @staticmethod
    def backward(ctx, g):
        gx, gw, _ = RMSNorm.backward(ctx, g)
        return g.copy_(gx), gw, None


class EpsilonOutsideInForward(RMSNorm):
    """Forward adds eps to the root: another function than was meant."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return x / (x.square().mean(-1, keepdim=True).sqrt() + eps) * weight
