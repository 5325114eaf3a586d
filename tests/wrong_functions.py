"""autograd.Functions, most of them with a mistake planted in their backward."""

import torch


def custom(forward, backward, jvp=None):
    """An autograd.Function of `backward(saved, *cotangents)` and `jvp(given, *tangents)`."""

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            ctx.given = inputs
            return forward(*inputs)

        @staticmethod
        def backward(ctx, *cotangents):
            return backward(ctx.saved_tensors, *cotangents)

    if jvp is not None:
        Custom.jvp = staticmethod(lambda ctx, *tangents: jvp(ctx.given, *tangents))
    return Custom.apply


def sine(factor=1.0, jvp=None):
    """sin, its derivative multiplied by `factor`."""
    return custom(torch.sin, lambda saved, g: factor * g * saved[0].cos(), jvp)
