"""For every condition a function that breaks it while its derivative is right, and its twin."""

from typing import Any, NamedTuple

import torch
from wrong_functions import custom, sine

Function = torch.autograd.Function


class Planted(NamedTuple):
    """What breaks a condition and what does not, at a point; `words` are of what is told."""

    wrong: Any
    right: Any
    inputs: Any
    words: str


def drawn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


X = drawn(3, 4)
Y = drawn(3, 4, seed=1)
ROW = drawn(4, seed=2)
LONG = drawn(2000, seed=3)


def cosine(saved, g):
    return g * saved[0].cos()


def raw(tensor):
    """What a kernel reads that is given an address and a shape alone."""
    strides = torch.empty(tensor.shape, device="meta").stride()
    return tensor.as_strided(tensor.shape, strides)


def product(backward):
    return custom(torch.mul, backward)


def factors(saved, g):
    x, y = saved
    return (g * y).sum_to_size(x.shape), (g * x).sum_to_size(y.shape)


# Cotangents


def not_zero_at_zero(saved, g):
    return cosine(saved, g) + (g == 0).all() * 1e-3


def nothing_where_sparse(saved, g):
    return cosine(saved, g) * (g.count_nonzero() > 0.01 * g.numel())


def as_of_a_sum(saved, g):
    return cosine(saved, g if any(g.stride()) else torch.ones_like(g))


def from_memory(saved, g):
    return cosine(saved, raw(g))


def from_the_start(saved, g):
    return cosine(saved, g.as_strided(g.shape, g.stride(), 0))


def clipped(saved, g):
    return cosine(saved, g).clamp(-50, 50)


class SineAndCosine(Function):
    """Is given None for an output without a cotangent, and takes that for 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x.sin(), x.cos()

    @staticmethod
    def backward(ctx, g, h):
        (x,) = ctx.saved_tensors
        found = [a * b for a, b in ((g, x.cos()), (h, -x.sin())) if a is not None]
        return sum(found) if found else None


class NoneAtAll(SineAndCosine):
    """Knows that one of its cotangents may be None, not that all may."""

    @staticmethod
    def backward(ctx, g, h):
        (x,) = ctx.saved_tensors
        return -h * x.sin() if g is None else SineAndCosine.backward(ctx, g, h)


class NoneForBoth(SineAndCosine):
    """Gives up where one of its cotangents is None."""

    @staticmethod
    def backward(ctx, g, h):
        return None if g is None or h is None else SineAndCosine.backward(ctx, g, h)


# Inputs


def of_raw_inputs(saved, g):
    return g * raw(saved[0]).cos()


def of_the_first_row(saved, g):
    (x,) = saved
    return g * (x if x.stride(0) else 0 * x).cos()


def first_entries(saved, g):
    """Of an input that is broadcast, as many entries as it has."""
    return tuple(one.flatten()[: x.numel()].view_as(x) for one, x in _pairs(saved, g))


def _pairs(saved, g):
    x, y = saved
    return ((g * y, x), (g * x, y))


def largest_as_a_unit(saved, g):
    largest = g.abs().max()
    return cosine(saved, g / largest) * largest


def product_and_square(backward):
    return custom(lambda x, y: x * y**2, backward)


def factor_and_square(saved, g):
    x, y = saved
    return g * y**2, 2 * g * x * y


def by_address(saved, g):
    found = dict(zip([x.data_ptr() for x in saved], factor_and_square(saved, g), strict=True))
    return tuple(found[x.data_ptr()] for x in saved)


class Product(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y, g * x


class NeedsTheOther(Product):
    """Asks of each input whether the other one needs a gradient."""

    @staticmethod
    def backward(ctx, g):
        gx, gy = Product.backward(ctx, g)
        return gx if ctx.needs_input_grad[1] else None, gy if ctx.needs_input_grad[0] else None


# Memory


class Sine(Function):
    """sin, with its derivative kept."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos()


class ScratchForward(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.clone())
        result = x.sin()
        x.zero_()
        return result


class ScratchBackward(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.scratch = x.detach()
        return Sine.forward(ctx, x.clone())

    @staticmethod
    def backward(ctx, g):
        found = Sine.backward(ctx, g)
        ctx.scratch.copy_(found)
        return found


class OnTheContext(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.x.cos()


class OnTheClass(Sine):
    """Kept where the next call writes: right while each forward is followed by its backward."""

    @staticmethod
    def forward(ctx, x):
        OnTheClass.x = x.detach().clone()
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * OnTheClass.x.cos()


class FreedAfterUse(OnTheContext):
    """Gives up what it kept in a first backward pass: a second one has nothing."""

    @staticmethod
    def backward(ctx, g):
        found = OnTheContext.backward(ctx, g)
        ctx.x = None
        return found


class Exponential(Function):
    """In place, as torch is told."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.exp_()
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class Unmarked(Exponential):
    @staticmethod
    def forward(ctx, x):
        x.exp_()
        ctx.save_for_backward(x)
        return x


def in_place(saved, g):
    return g.mul_(saved[0].cos())


def noisy(x):
    return x * torch.rand(x.shape, dtype=x.dtype)


def noisy_backward(saved, g):
    return cosine(saved, g) * (1 + 1e-6 * torch.rand(g.shape, dtype=g.dtype))


# The backward by itself, and a second derivative


def not_summed(saved, g):
    x, y = saved
    return g * y, g * x


def in_double(saved, g):
    return cosine([saved[0].double()], g.double())


class SavedCosine(Sine):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.cos())
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def with_forward_mode(tangent_of_gradient):
    """sin, whose gradient is a Function of its own, with this forward mode."""
    gradient = custom(
        lambda x, g: g * x.cos(),
        lambda saved, h: (-h * saved[1] * saved[0].sin(), h * saved[0].cos()),
        tangent_of_gradient,
    )

    class Both(Sine):
        @staticmethod
        def forward(ctx, x):
            ctx.given = x
            ctx.save_for_forward(x)
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            return gradient(ctx.saved_tensors[0], g)

        @staticmethod
        def jvp(ctx, tangent):
            return tangent * ctx.given.cos()

    return Both.apply


def right_tangent(given, tx, tg):
    x, g = given
    return tg * x.cos() - tx * g * x.sin()


def tangent_without_x(given, tx, tg):
    return tg * given[0].cos()


# What torch's transforms make of it


def through_numpy(saved, g):
    return torch.from_numpy(g.detach().numpy() * saved[0].detach().cos().numpy())


def tangent(given, t):
    return t * given[0].cos()


def tangent_through_numpy(given, t):
    return torch.from_numpy(t.numpy() * given[0].detach().cos().numpy())


class Undefined(Product):
    """Is given None for an input without a tangent, and takes that for 0."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, y)
        ctx.given = x, y
        return x * y

    @staticmethod
    def backward(ctx, g):
        return (None, None) if g is None else Product.backward(ctx, g)

    @staticmethod
    def jvp(ctx, tx, ty):
        x, y = ctx.given
        return (0 if tx is None else tx * y) + (0 if ty is None else x * ty)


class UndefinedForOne(Undefined):
    @staticmethod
    def jvp(ctx, tx, ty):
        x, y = ctx.given
        return (1 if tx is None else tx * y) + (1 if ty is None else x * ty)


def complex_tangent(given, t):
    return tangent(given, t) + 0j


class SineOfTransforms(Function):
    """sin as torch.func takes it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos()


class OwnRule(SineOfTransforms):
    """A vmap rule of its own with the batch the wrong way round."""

    generate_vmap_rule = False

    @staticmethod
    def vmap(info, in_dims, x):
        return x.flip(in_dims[0]).sin(), in_dims[0]


class OtherWhereCompiled(Sine):
    """A fast path of the compiler's, that is off."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin() * (1.001 if torch.compiler.is_compiling() else 1)


class Linear(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g


class LinearOfAutocast(Linear):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x, w):
        return Linear.forward(ctx, x, w)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return (g @ w.T.to(g.dtype)).to(x.dtype), (x.T.to(g.dtype) @ g).to(w.dtype)


def _operator(name, has_fake):
    """A custom operator that is sin; the compiler needs a `fake` of it to know its shape."""

    @torch.library.custom_op(f"planted::{name}", mutates_args=())
    def operator(x: torch.Tensor) -> torch.Tensor:
        return x.sin()

    operator.register_autograd(
        lambda ctx, g: g * ctx.saved_tensors[0].cos(),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    if has_fake:
        operator.register_fake(torch.empty_like)
    return operator


SINE = sine()
PLANTED = {
    "zero_cotangent": Planted(custom(torch.sin, not_zero_at_zero), SINE, X, "not zero where every"),
    "one_hot_cotangent": Planted(
        custom(torch.sin, nothing_where_sparse), SINE, LONG, "where the cotangent has one entry"
    ),
    "expanded_cotangent": Planted(custom(torch.sin, as_of_a_sum), SINE, X, "a single number"),
    "transposed_cotangent": Planted(custom(torch.sin, from_memory), SINE, X, "is transposed in"),
    "sliced_cotangent": Planted(custom(torch.sin, from_the_start), SINE, X, "is a slice of"),
    "noncontiguous_cotangent": Planted(custom(torch.sin, from_memory), SINE, X, "not contiguous"),
    "undefined_cotangent": Planted(
        NoneAtAll, SineAndCosine, X, "the backward raises where out[0] and out[1] has no cotangent"
    ),
    "linear": Planted(custom(torch.sin, clipped), SINE, X, "in its cotangent: for 1024·u"),
    "transposed_inputs": Planted(custom(torch.sin, of_raw_inputs), SINE, X, "are transposed in"),
    "sliced_inputs": Planted(
        custom(torch.sin, lambda s, g: g * s[0].as_strided(X.shape, s[0].stride(), 0).cos()),
        SINE,
        X,
        "where each input is a slice of a larger tensor, the gradient",
    ),
    "noncontiguous_inputs": Planted(
        custom(torch.sin, of_raw_inputs),
        SINE,
        X,
        "where each input is not contiguous, the gradient",
    ),
    "expanded_inputs": Planted(custom(torch.sin, of_the_first_row), SINE, X, "are expanded"),
    "broadcast_inputs": Planted(
        product(first_entries), product(factors), (X, Y), "where args[0] has size 1 in dimension 0"
    ),
    "empty_inputs": Planted(
        custom(torch.sin, largest_as_a_unit), SINE, X, "the backward raises where an input has size"
    ),
    "aliased_inputs": Planted(
        product_and_square(by_address),
        product_and_square(factor_and_square),
        (X, Y),
        "where args[0] and args[1] are one tensor",
    ),
    "needs_input_grad": Planted(
        NeedsTheOther, Product, (X, Y), "where x alone requires a gradient"
    ),
    "inputs_unchanged": Planted(ScratchBackward, Sine, X, "the backward writes into x"),
    "cotangent_unchanged": Planted(custom(torch.sin, in_place), SINE, X, "the cotangent of out"),
    "saved_tensors": Planted(OnTheContext, Sine, X, "after x is changed in place between"),
    "separate_calls": Planted(
        OnTheClass, Sine, X, "after a forward of other inputs in between, the gradient by x is off"
    ),
    "deterministic": Planted(custom(torch.sin, noisy_backward), SINE, X, "two passes with one"),
    "direct_backward": Planted(
        product(not_summed), product(factors), (X, ROW), "shape [3, 4] for argument 1"
    ),
    "double_backward": Planted(SavedCosine, Sine, X, "reverse over reverse, is wrong"),
    "forward_over_reverse": Planted(
        with_forward_mode(tangent_without_x),
        with_forward_mode(right_tangent),
        X,
        "forward over reverse, is wrong",
    ),
    "gradient_dtype": Planted(
        custom(torch.sin, in_double), SINE, X.float(), "torch.float64 for argument 0, which is"
    ),
    "batched_backward": Planted(custom(torch.sin, through_numpy), SINE, X, "not work under vmap"),
    "batched_forward": Planted(
        sine(jvp=tangent_through_numpy), sine(jvp=tangent), X, "does not work under vmap"
    ),
    "undefined_tangent": Planted(
        UndefinedForOne, Undefined, (X, Y), "does not take an undefined tangent of x for zero"
    ),
    "tangent_dtype": Planted(
        sine(jvp=complex_tangent), sine(jvp=tangent), X, "the tangent of out is torch.complex128"
    ),
    "vmap": Planted(OwnRule, SineOfTransforms, X, "under torch.func.vmap, out is off by"),
    "func_grad": Planted(Sine, SineOfTransforms, X, "torch.func.vjp raises: RuntimeError"),
    "compile": Planted(OtherWhereCompiled, Sine, X, "under torch.compile, out is off by"),
    "autocast": Planted(
        Linear, LinearOfAutocast, (X.float(), Y.T.float()), "it raises under autocast"
    ),
    "opcheck": Planted(
        _operator("without_fake", False), _operator("with_fake", True), X, "torch.library.opcheck"
    ),
}
