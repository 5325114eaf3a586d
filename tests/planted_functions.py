"""Functions in Python with a labelled mistake: autograd is wrong, or there is no derivative."""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softmax
from wrong_functions import custom

KINDS = (
    "detached",
    "rounding_step",
    "in_place",
    "custom_backward",
    "random",
    "kink",
    "jump",
    "domain_edge",
)
"""What may be wrong with autograd's derivative, and with the function itself."""
OF_THE_FUNCTION = frozenset(KINDS[4:])


@dataclass(frozen=True)
class FunctionPlant:
    """A function and a point, and what is wrong there.

    `is_held_out` if no diagnosis was made with it.
    """

    name: str
    kind: str
    function: Callable[..., Any]
    inputs: Any
    also: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    is_held_out: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.kind, *self.also


def vector(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


X = vector(0.3, -1.2, 0.8, 2.1)
Y = drawn(4, seed=4)
W = drawn(3, 4, seed=1)


# A path that is cut


def attention_with_detached_weights(q, k, v):
    return softmax(q @ k.T / math.sqrt(q.shape[-1]), -1).detach() @ v


def normalised_with_a_constant_deviation(x):
    with torch.no_grad():
        deviation = x.std(correction=0)
    return (x - x.mean()) / deviation


def scaled_by_a_number(x):
    return x * torch.tensor(x.norm().item(), dtype=x.dtype)


def clipped_by_its_norm(x, limit=1.5):
    return x * min(1.0, limit / float(x.detach().norm()))


def weights_by_data(w, x):
    return w.data @ x + w.sum()


def truncated_recurrence(w, x):
    h = torch.zeros((), dtype=x.dtype)
    for one in x:
        h = torch.tanh(w * h.detach() + one)
    return h


def through_numpy(x):
    return x * torch.from_numpy(x.detach().numpy() ** 2)


def frozen_target(w):
    target = 1 + 0.5 * (w**2).sum().detach()
    return (target - w.sum()) ** 2


def square_by_a_list(x):
    return torch.stack([one * torch.tensor(one.tolist(), dtype=x.dtype) for one in x])


# A step between


def quantised(x):
    return ((x * 1e8).round() / 1e8) ** 2


def in_fixed_point(x, w):
    return (x * 2**30).long().double() / 2**30 * w


def with_parts_of_cents(price, count):
    return torch.floor(price * count * 1e8).sum() / 1e8


def beside_an_integer(x):
    return x + 2**-20 * (x.sin() * 2**20).to(torch.int32)


def rounded_to_decimals(x):
    return torch.round(x.sin(), decimals=9)


def counted_ticks(t):
    return torch.ceil(t * 1e9).to(torch.int64).double() / 1e9 * t


def halves_of_pixels(x):
    return torch.trunc(x * 1e9) / 1e9 + x


# In place, behind autograd's back


def doubled_sigmoid(x):
    y = torch.sigmoid(x)
    y.data.mul_(2)
    return y


def negated_tanh(x):
    y = torch.tanh(x)
    y.data.neg_()
    return y


def square_of_a_moved_input(x):
    z = x * 1.0
    y = z**2
    z.data.add_(1)
    return y


def normalised_weights(w, x):
    v = w * 1.0
    y = v * x
    v.data.div_(v.data.norm())
    return y * v


def softplus_over_its_input(x):
    y = torch.exp(x)
    y.data.log1p_()
    return y


def shifted_softmax(x):
    y = softmax(x, 0)
    y.data.add_(0.1)
    return y


def reused_buffer(x, y):
    a = x * 1.0
    product = a * y
    a.data.copy_(product.data)
    return product


# A backward that is wrong


def matrix_backward(saved, g):
    w, x = saved
    return torch.outer(x, g).T * 2, w.T @ g


def softmax_backward(saved, g):
    y = softmax(saved[0], 0)
    return y * g


def layer_norm(x):
    return (x - x.mean()) / x.std(correction=0)


def layer_norm_backward(saved, g):
    (x,) = saved
    return (g - g.mean()) / x.std(correction=0)


def leaky(x):
    return torch.where(x > 0, x, 0.1 * x)


class Cube(torch.autograd.Function):
    """x³ that keeps its output instead of its input."""

    @staticmethod
    def forward(ctx, x):
        y = x**3
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * x**2


class Scale(torch.autograd.Function):
    """A product whose second factor gets no gradient."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[1], None


class Network(nn.Module):
    """A layer whose activation has a wrong backward."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(W.clone())

    def forward(self, x):
        return custom(torch.tanh, lambda saved, g: g * (1 - saved[0] ** 2))(self.weight @ x)


# Not the same twice

COUNT = itertools.count()
PYTHON = random.Random(0)


def dropout(x):
    return nn.functional.dropout(x, 0.5, training=True)


def noisy(x):
    return x * (1 + 1e-3 * torch.randn(x.shape, dtype=x.dtype))


def gumbel(x):
    return nn.functional.gumbel_softmax(x, tau=0.7, dim=0)


def shuffled(x):
    return x[torch.randperm(len(x))] * vector(1, 2, 3, 4)


def scheduled(x):
    return x.sin() * 0.9 ** next(COUNT)


def augmented(x):
    return x * PYTHON.uniform(0.9, 1.1)


def reparameterised(mu, sigma):
    return mu + sigma * torch.randn(mu.shape, dtype=mu.dtype)


# A point that has no derivative


def hinge(scores, labels):
    return torch.clamp(1 - scores * labels, min=0).sum()


def rectified_layer(w, x):
    return torch.relu(w @ x)


def step_function(x):
    return torch.where(x >= 1, x + 1, x)


def wrapped(angle):
    return torch.remainder(angle, 1.0)


def hard_gate(x):
    return x.sin() * (x > 0)


FUNCTIONS = (
    FunctionPlant(
        "attention whose weights are detached",
        "detached",
        attention_with_detached_weights,
        (drawn(2, 3), drawn(3, 3, seed=2), drawn(3, 2, seed=3)),
    ),
    FunctionPlant("a deviation under no_grad", "detached", normalised_with_a_constant_deviation, X),
    FunctionPlant("a norm by item()", "detached", scaled_by_a_number, X),
    FunctionPlant("clipped by a detached norm", "detached", clipped_by_its_norm, X),
    FunctionPlant("weights by .data", "detached", weights_by_data, (W, X)),
    FunctionPlant(
        "a state detached at every step", "detached", truncated_recurrence, (vector(0.7)[0], X)
    ),
    FunctionPlant("through numpy", "detached", through_numpy, X),
    FunctionPlant("a target that is held", "detached", frozen_target, X),
    FunctionPlant("a factor by tolist()", "detached", square_by_a_list, X),
    FunctionPlant("quantised finely", "rounding_step", quantised, Y),
    FunctionPlant("in fixed point", "rounding_step", in_fixed_point, (Y, Y.cos())),
    FunctionPlant("parts of cents", "rounding_step", with_parts_of_cents, (Y.exp(), Y.cos())),
    FunctionPlant("a sum with an integer", "rounding_step", beside_an_integer, Y),
    FunctionPlant("rounded to decimals", "rounding_step", rounded_to_decimals, Y),
    FunctionPlant("ticks as int", "rounding_step", counted_ticks, Y.abs()),
    FunctionPlant("truncated beside itself", "rounding_step", halves_of_pixels, Y),
    FunctionPlant("a sigmoid doubled by .data", "in_place", doubled_sigmoid, X),
    FunctionPlant("a tanh negated by .data", "in_place", negated_tanh, X),
    FunctionPlant("a square whose base is moved", "in_place", square_of_a_moved_input, X),
    FunctionPlant("weights normalised after use", "in_place", normalised_weights, (X.cos(), X)),
    FunctionPlant("a logarithm over an exponential", "in_place", softplus_over_its_input, X),
    FunctionPlant("a softmax shifted by .data", "in_place", shifted_softmax, X),
    FunctionPlant("a factor overwritten by the product", "in_place", reused_buffer, (X, X.cos())),
    FunctionPlant(
        "a sine with another factor",
        "custom_backward",
        custom(torch.sin, lambda s, g: 1.01 * g * s[0].cos()),
        X,
    ),
    FunctionPlant(
        "a matrix product, doubled", "custom_backward", custom(torch.mv, matrix_backward), (W, X)
    ),
    FunctionPlant(
        "a softmax without its sum",
        "custom_backward",
        custom(lambda x: softmax(x, 0), softmax_backward),
        X,
    ),
    FunctionPlant(
        "a layer norm whose variance is held",
        "custom_backward",
        custom(layer_norm, layer_norm_backward),
        X,
    ),
    FunctionPlant(
        "a leaky rectifier with the rectifier's backward",
        "custom_backward",
        custom(leaky, lambda s, g: g * (s[0] > 0)),
        X,
    ),
    FunctionPlant("a cube of what it did not keep", "custom_backward", Cube, X),
    FunctionPlant("a product with None for a factor", "custom_backward", Scale, (X, X.cos())),
    FunctionPlant("a module with a wrong activation", "custom_backward", Network(), X),
    FunctionPlant("dropout", "random", dropout, X),
    FunctionPlant("noise on the values", "random", noisy, X),
    FunctionPlant("a Gumbel softmax", "random", gumbel, X),
    FunctionPlant("shuffled", "random", shuffled, X),
    FunctionPlant("a rate that falls with each call", "random", scheduled, X),
    FunctionPlant("a factor of Python's own generator", "random", augmented, X),
    FunctionPlant("a draw by mean and deviation", "random", reparameterised, (X, X.exp())),
    FunctionPlant("relu at 0", "kink", torch.relu, vector(0.5, 0.0, -1.0)),
    FunctionPlant("an absolute value at 0", "kink", torch.abs, vector(0.0, 1.5)),
    FunctionPlant(
        "the larger of two that are equal", "kink", torch.maximum, (vector(1.0, 2), vector(1.0, 3))
    ),
    FunctionPlant(
        "a clamp at its bound", "kink", lambda x: torch.clamp(x, -1, 1), vector(0.5, 1.0, -2.0)
    ),
    FunctionPlant("a hinge at the margin", "kink", hinge, (vector(1.0, -0.5), vector(1.0, 1.0))),
    FunctionPlant("the largest of a tie", "kink", lambda x: x.amax(), vector(0.5, 2.0, 2.0)),
    FunctionPlant("a norm at 0", "kink", lambda x: x.norm(), vector(0.0, 0.0)),
    FunctionPlant(
        "a rectified layer with a silent neuron",
        "kink",
        rectified_layer,
        (torch.tensor([[1.0, -1.0], [0.5, 2.0]], dtype=torch.float64), vector(1.5, 1.5)),
    ),
    FunctionPlant("a sign at 0", "jump", torch.sign, vector(0.0, 1.0)),
    FunctionPlant("a floor at 2", "jump", torch.floor, vector(2.0, 0.5)),
    FunctionPlant("a step at 1", "jump", step_function, vector(1.0, 0.5)),
    FunctionPlant("rounded at a half", "jump", torch.round, vector(0.5, 1.2)),
    FunctionPlant("wrapped at a whole number", "jump", wrapped, vector(3.0, 0.25)),
    FunctionPlant(
        "a comparison at its bound", "jump", lambda x: (x > 1).double() * 2 + x, vector(1.0, 2.5)
    ),
    FunctionPlant(
        "a shrinkage at its threshold",
        "jump",
        lambda x: nn.functional.hardshrink(x, 0.5),
        vector(0.5, 1.5),
    ),
    FunctionPlant("a square root at 0", "domain_edge", torch.sqrt, vector(0.0)[0]),
    FunctionPlant("a logarithm at 0", "domain_edge", torch.log, vector(0.0)[0]),
    FunctionPlant("an inverse sine at 1", "domain_edge", torch.asin, vector(1.0)[0]),
    FunctionPlant("an inverse cosine at -1", "domain_edge", torch.acos, vector(-1.0)[0]),
    FunctionPlant("a power below 1 at 0", "domain_edge", lambda x: x**0.3, vector(0.0)[0]),
    FunctionPlant("an inverse tanh at 1", "domain_edge", torch.atanh, vector(1.0)[0]),
    FunctionPlant("x log x at 0", "domain_edge", lambda x: x * torch.log(x), vector(0.0)[0]),
    FunctionPlant("an inverse cosh at 1", "domain_edge", torch.acosh, vector(1.0)[0]),
    FunctionPlant(
        "an entropy with a zero", "domain_edge", lambda p: -(p * p.log()).sum(), vector(0.0, 0.4)
    ),
    FunctionPlant("a reciprocal at 0", "domain_edge", torch.reciprocal, vector(0.0)[0]),
    FunctionPlant(
        "a distance to a circle", "domain_edge", lambda x: (1 - x**2).sqrt().sum(), vector(1.0, 0.4)
    ),
)
