"""More functions with a labelled mistake, written by one who knew nothing of the diagnosis."""

from dataclasses import replace

import torch
from planted_functions import FunctionPlant, W, X, Y, drawn, vector
from planting import is_second_half
from torch import nn
from torch.nn.functional import rrelu, softmax
from wrong_functions import custom

# A path that is cut


def attention_with_a_detached_mask(q, k, v):
    scores = q @ k.T
    mask = torch.sigmoid(4 * (scores - scores.mean())).detach()
    return (softmax(scores, -1) * mask) @ v


def centred_by_a_running_mean(x, momentum=0.3):
    mean = torch.zeros_like(x[0])
    with torch.no_grad():
        mean.mul_(1 - momentum).add_(momentum * x.mean(0))
    return (x - mean) ** 2


def rotated(angle, point):
    c, s = angle.cos(), angle.sin()
    return torch.tensor([[c, -s], [s, c]], dtype=point.dtype) @ point + angle


def spectrally_normalised(w):
    with torch.no_grad():
        u = nn.functional.normalize(w.sum(1), dim=0)
        v = nn.functional.normalize(w.T @ u, dim=0)
        u = nn.functional.normalize(w @ v, dim=0)
    return w / (u @ w @ v)


def losses_added_by_item(prediction, target):
    total = ((prediction - target) ** 2).mean()
    total += 0.1 * (prediction**4).mean().item()
    return total


# A step between


def straight_through(w, x, scale=1.0):
    ratio = w / scale
    return scale * (ratio + (ratio.round() - ratio).detach()) @ x


def binned_times(t, width=1e-9):
    return torch.div(t, width, rounding_mode="floor") * width + 0.5 * t


def nearest_code(z, codes):
    code = codes[torch.cdist(z, codes).argmin(1)]
    return (z + (code - z).detach()) ** 2


def with_short_mantissas(x, bits=22):
    short = (x.contiguous().view(torch.int64) >> bits << bits).view(torch.float64)
    return x + short**2


def snapped_to_a_grid(x, spacing=1e-9):
    y = x.exp()
    return y - torch.remainder(y, spacing)


# In place, behind autograd's back


def exponential_with_a_ceiling(x):
    y = torch.exp(x)
    y.data.clamp_(max=1.5)
    return y


def sorted_through_numpy(x):
    y = x * 1.0
    y.detach().numpy().sort()
    return y * vector(1, 2, 3, 4)


def with_a_boundary_condition(x):
    y = x * 1.0
    y.data[0] = y.data[1]
    return y**2


def residual_under_no_grad(x):
    h = x.sin()
    with torch.no_grad():
        h.add_(x**2)
    return h


def pruned_after_the_product(w, x):
    kept = w * 1.0
    y = kept @ x
    kept.detach().numpy()[kept.detach().numpy() < 0] = 0
    return y


# A backward that is wrong


def swish_backward(saved, g):
    return g * torch.sigmoid(saved[0])


def mean_square(x, y):
    return ((x - y) ** 2).mean()


def mean_square_backward(saved, g):
    x, y = saved
    return 2 * g * (x - y), -2 * g * (x - y)


class Reversal(torch.autograd.Function):
    """The identity, whose gradient is turned round on purpose."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return -0.5 * g


class Quantise(torch.autograd.Function):
    """Rounding that lets gradients pass within the range."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (4 * x.clamp(-2, 2)).round() / 4

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() <= 2)


# Not the same twice


FORMER = []


def scaled_by_former_losses(x):
    loss = x.tanh() ** 2
    FORMER.append(loss.sum().item())
    return loss / sum(FORMER) ** 0.5


def fresh_layer(x):
    return nn.Linear(4, 2, dtype=x.dtype)(x)


def sampled_actions(logits):
    actions = torch.multinomial(softmax(logits, 0), 6, replacement=True)
    return torch.log_softmax(logits, 0)[actions].sum()


def monte_carlo_integral(x):
    return (x * torch.rand(16, 1, dtype=x.dtype)).sin().mean(0)


# A point that has no derivative


def pinball(prediction, target, quantile=0.9):
    error = target - prediction
    return torch.maximum(quantile * error, (quantile - 1) * error).mean()


def triplet(anchor, positive, negative):
    return torch.relu((anchor - positive).norm() - (anchor - negative).norm() + 1)


def value_of_the_best(scores, values):
    return values[scores.argmax()] * scores.sum()


def taxed(income):
    rates = vector(0.1, 0.2, 0.4)
    return income * rates[torch.bucketize(income.detach(), vector(1.0, 2.0))]


def halved_until_small(x):
    while x > 1:
        x = x / 2
    return x


def the_two_largest(x):
    return x * (x >= x.topk(2).values[-1])


def area_of_a_triangle(sides):
    half = sides.sum() / 2
    return torch.sqrt(half * (half - sides).prod())


def cross_entropy(p, target):
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


def lorentz_factor(velocity):
    return 1 / torch.sqrt(1 - velocity @ velocity)


_PLANTS = (
    FunctionPlant(
        "attention whose soft mask is detached",
        "detached",
        attention_with_a_detached_mask,
        (drawn(2, 3), drawn(3, 3, seed=2), drawn(3, 2, seed=3)),
    ),
    FunctionPlant(
        "a running mean under no_grad", "detached", centred_by_a_running_mean, drawn(3, 2, seed=6)
    ),
    FunctionPlant(
        "a rotation by torch.tensor", "detached", rotated, (vector(0.7)[0], vector(1.5, -0.4))
    ),
    FunctionPlant("a spectral norm after one iteration", "detached", spectrally_normalised, W),
    FunctionPlant("a second loss by item()", "detached", losses_added_by_item, (X, Y)),
    FunctionPlant(
        "weights rounded straight through",
        "rounding_step",
        straight_through,
        (2 * W.cos(), X),
        ("detached",),
    ),
    FunctionPlant("times in bins", "rounding_step", binned_times, Y.exp()),
    FunctionPlant(
        "the nearest code, straight through",
        "rounding_step",
        nearest_code,
        (vector(0.2, 0.1, 0.9, -1.2).reshape(2, 2), vector(0, 0, 1, -1, 3, 1).reshape(3, 2)),
        ("detached",),
    ),
    FunctionPlant("mantissas cut short", "rounding_step", with_short_mantissas, Y),
    FunctionPlant("less its remainder", "rounding_step", snapped_to_a_grid, Y),
    FunctionPlant(
        "an exponential clamped by .data", "in_place", exponential_with_a_ceiling, X - 0.25
    ),
    FunctionPlant("sorted in a numpy view", "in_place", sorted_through_numpy, X),
    FunctionPlant("a boundary copied by .data", "in_place", with_a_boundary_condition, X),
    FunctionPlant(
        "a residual added under no_grad", "in_place", residual_under_no_grad, X, ("detached",)
    ),
    FunctionPlant(
        "weights pruned in a numpy view after use", "in_place", pruned_after_the_product, (W, X)
    ),
    FunctionPlant(
        "a swish without its second term",
        "custom_backward",
        custom(lambda x: x * torch.sigmoid(x), swish_backward),
        X,
    ),
    FunctionPlant(
        "a mean square whose backward forgets the count",
        "custom_backward",
        custom(mean_square, mean_square_backward),
        (X, Y),
    ),
    FunctionPlant(
        "a reversed gradient", "custom_backward", lambda x: Reversal.apply(x.sin()) ** 2, X
    ),
    FunctionPlant(
        "a running sum whose backward runs forwards",
        "custom_backward",
        custom(lambda x: x.cumsum(0), lambda saved, g: g.cumsum(0)),
        X,
    ),
    FunctionPlant(
        "a quantiser that lets gradients pass",
        "custom_backward",
        Quantise,
        X,
        ("rounding_step",),
    ),
    FunctionPlant("a layer made anew", "random", fresh_layer, X),
    FunctionPlant("actions that are sampled", "random", sampled_actions, X),
    FunctionPlant(
        "a sum that grows with every call", "random", scaled_by_former_losses, X, ("detached",)
    ),
    FunctionPlant("a random slope", "random", lambda x: rrelu(x, 0.1, 0.5, training=True), X),
    FunctionPlant("an integral by Monte Carlo", "random", monte_carlo_integral, X),
    FunctionPlant(
        "a quantile met exactly", "kink", pinball, (vector(0.5, -1.0, 2.0), vector(1.0, -1.0, 1.5))
    ),
    FunctionPlant(
        "a triplet at its margin",
        "kink",
        triplet,
        (vector(0.0, 0.0), vector(3.0, 4.0), vector(6.0, 0.0)),
    ),
    FunctionPlant(
        "sorted with a tie",
        "kink",
        lambda x: torch.sort(x).values * vector(1, 3, 5),
        vector(0.5, 2.0, 0.5),
    ),
    FunctionPlant(
        "a spectral norm of the identity",
        "kink",
        lambda a: torch.linalg.matrix_norm(a, 2),
        torch.eye(2, dtype=torch.float64),
    ),
    FunctionPlant(
        "the root of a square at 0",
        "kink",
        lambda x: torch.sqrt(x**2).sum(),
        vector(0.0, -1.5),
        ("domain_edge",),
    ),
    FunctionPlant(
        "the best of two that are equal",
        "jump",
        value_of_the_best,
        (vector(1.0, 1.0, 0.2), vector(2.0, -1.0, 0.5)),
    ),
    FunctionPlant("an angle at its cut", "jump", torch.atan2, (vector(0.0, 1.0), vector(-1.0, 2))),
    FunctionPlant("a tax at the bound of a bracket", "jump", taxed, vector(0.6, 2.0)),
    FunctionPlant("halved until it is small", "jump", halved_until_small, vector(4.0)[0]),
    FunctionPlant("the two largest of a tie", "jump", the_two_largest, vector(0.5, 2.0, 0.5)),
    FunctionPlant("a flat triangle", "domain_edge", area_of_a_triangle, vector(1.0, 2.0, 3.0)),
    FunctionPlant(
        "a geometric mean with a zero",
        "domain_edge",
        lambda x: x.log().mean().exp(),
        vector(0.0, 2.0, 0.5),
    ),
    FunctionPlant("a quantile of certainty", "domain_edge", torch.special.ndtri, vector(1.0)[0]),
    FunctionPlant(
        "a cross entropy that is certain",
        "domain_edge",
        cross_entropy,
        (vector(0.4, 1.0), vector(0.5, 0.7)),
    ),
    FunctionPlant("at the speed of light", "domain_edge", lorentz_factor, vector(0.6, 0.8)),
)

UNSEEN = tuple(
    replace(plant, is_held_out=is_second_half(plant.kind, plant.name)) for plant in _PLANTS
)
"""With half of them no diagnosis was made."""
