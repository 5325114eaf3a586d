"""Right functions, which no condition may accuse; and what is not asked of them, and why."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import gradcheck

DTYPES = [torch.float64, torch.float32, torch.bfloat16]


def normal(*shape, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


X, Y, ROW = normal(4, 3), normal(4, 3, seed=4), normal(3, seed=5)
SQUARE = normal(3, 3) @ normal(3, 3).T + 3 * torch.eye(3, dtype=torch.float64)


class Flat(torch.autograd.Function):
    """Refuses what is not contiguous."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.view(-1).sin().view(x.shape)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos()


class Shortcut(torch.autograd.Function):
    """Computes the gradients that are needed alone."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y.exp()

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        by_x = g * y.exp() if ctx.needs_input_grad[0] else None
        return by_x, g * x * y.exp() if ctx.needs_input_grad[1] else None


class Sorted(torch.autograd.Function):
    """Two outputs, one of them of integers."""

    @staticmethod
    def forward(ctx, x):
        values, order = x.sort(-1)
        ctx.mark_non_differentiable(order)
        ctx.save_for_backward(order)
        return values, order

    @staticmethod
    def backward(ctx, g, _):
        (order,) = ctx.saved_tensors
        return torch.zeros_like(g).scatter(-1, order, g)


class Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index)
        ctx.rows = len(x)
        return x[index]

    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        return g.new_zeros((ctx.rows, *g.shape[1:])).index_add(0, index, g), None


RIGHT = {
    "rows by hand": (Rows.apply, (X, torch.tensor([3, 0, 0]))),
    "refuses strides": (Flat.apply, (X,)),
    "needs_input_grad": (Shortcut.apply, (X, Y)),
    "integers beside": (Sorted.apply, (X,)),
    "broadcast": (torch.mul, (X, ROW)),
    "a view": (lambda x: x.t(), (X,)),
    "itself": (lambda x: x, (X,)),
    "nothing of one input": (lambda x, y: x.sin() + 0 * y, (X, Y)),
    "rows": (lambda x, index: x[index], (X, torch.tensor([3, 0, 0]))),
    "added up by index": (
        lambda x, y, index: x.index_add(0, index, y),
        (X, Y, torch.tensor([3, 0, 0, 1])),
    ),
    "cross entropy": (functional.cross_entropy, (X, torch.tensor([2, 0, 1, 1]))),
    "layer norm": (lambda x, weight: functional.layer_norm(x, (3,), weight), (X, ROW)),
    "normalised": (lambda x: functional.normalize(x, dim=-1), (X,)),
    "cumulative": (lambda x: x.cumsum(0).logsumexp(1), (X,)),
    "a norm": (torch.linalg.vector_norm, (X,)),
    "a median": (torch.median, (X.flatten()[:7],)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("function", "inputs"), RIGHT.values(), ids=RIGHT)
def test_a_right_function_is_accused_in_no_dtype(function, inputs, dtype):
    given = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    report = gradcheck.check(function, given)
    bad = [r for r in report.results if r.quantity.startswith("condition ")]
    assert not bad, str(report)
    assert report.verdict in ("pass", "inconclusive"), str(report)


WIDE = {
    "solved": (torch.linalg.solve, (SQUARE, X.T)),
    "cholesky": (lambda a: torch.linalg.cholesky((a + a.T) / 2), (SQUARE,)),
    "determinant": (torch.logdet, (SQUARE,)),
    "a transform": (lambda x: torch.fft.rfft(x).abs(), (X,)),
    "complex": (lambda z: z * z.conj() + z.exp(), (torch.complex(X, Y),)),
    "pooled": (lambda x: functional.max_pool1d(x[None], 2), (normal(2, 6),)),
    "convolved": (functional.conv1d, (normal(2, 3, 6), normal(4, 3, 2))),
    "attention": (functional.scaled_dot_product_attention, (X, Y, normal(4, 3, seed=6))),
    "smooth at 0": (lambda x: (x**2 + 1e-300).sqrt(), (X,)),
    "huge": (lambda x: x * 1e200, (X,)),
    "tiny": (lambda x: x * 1e-200, (X,)),
}


NOTHING = {
    "centred": lambda x: (x - x.mean()).sum(),
    "centred, beside a line": lambda x: (x - x.mean()).sum() + 3 * x[0],
    "a mean of what is centred": lambda x: (x - x.mean()).mean(),
    "probabilities": lambda x: torch.softmax(x, 0).sum(),
    "normalised": lambda x: functional.layer_norm(x, x.shape).sum(),
    "thirds": lambda x: (x / 3 + x / 3 + x / 3 - x).sum(),
    "a variance": lambda x: (x**2).mean() - x.mean() ** 2 - x.var(unbiased=False),
}
"""Functions that are constant, or a line, but for rounding."""


@pytest.mark.parametrize("function", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0])
def test_where_all_but_rounding_cancels_nobody_is_accused(function, size):
    report = gradcheck.check(function, size * normal(3), conditions="none")
    assert report.ok, str(report)


def singular(a):
    """As a determinant where rounding decides whether two rows are one."""
    apart = (a[0] - a[1]).abs().sum()
    return (apart + (1e-16 if a.stride(0) == 0 else 0)).log()


def test_where_expanded_rows_make_it_infinite_nothing_is_told():
    report = gradcheck.check(singular, SQUARE)
    assert report.ok, str(report)
    assert "expanded_inputs (it is not finite where inputs are expanded" in str(report)


@pytest.mark.parametrize(("function", "inputs"), WIDE.values(), ids=WIDE)
def test_a_right_function_of_float64_passes_with_all_conditions(function, inputs):
    report = gradcheck.check(function, inputs)
    assert report.ok, str(report)


def seeded(make):
    torch.manual_seed(0)
    return make().double()


MODULES = {
    "a linear layer": (lambda: nn.Linear(3, 2), (X,)),
    "an embedding": (lambda: nn.Embedding(5, 2), (torch.tensor([1, 4, 1]),)),
    "a sparse embedding": (lambda: nn.Embedding(5, 2, sparse=True), (torch.tensor([1, 4, 1]),)),
    "batch norm": (lambda: nn.BatchNorm1d(3), (X,)),
    "batch norm, eval": (lambda: nn.BatchNorm1d(3).eval(), (X,)),
    "an LSTM": (lambda: nn.LSTM(3, 2), (X,)),
    "a transformer's layer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True),
        (normal(2, 3, 4),),
    ),
    "a normed weight": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2)).eval(),
        (X,),
    ),
    "a tied weight": (lambda: Tied(), (X,)),
}


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.there = nn.Linear(3, 3, bias=False)
        self.back = nn.Linear(3, 3, bias=False)
        self.back.weight = self.there.weight

    def forward(self, x):
        return self.back(self.there(x).tanh())


@pytest.mark.parametrize(("make", "inputs"), MODULES.values(), ids=MODULES)
def test_a_module_of_torchs_passes_with_all_conditions(make, inputs):
    report = gradcheck.check(seeded(make), inputs)
    assert report.ok, str(report)


def not_looked_at(function, inputs):
    report = gradcheck.check(function, inputs)
    (result,) = [r for r in report.results if r.quantity == "conditions"]
    return " ".join(result.notes)


def test_a_forward_that_refuses_a_layout_is_told_and_not_accused():
    notes = not_looked_at(Flat.apply, X)
    for name in ("transposed_inputs", "sliced_inputs"):
        assert f"{name} (the forward refuses such inputs: RuntimeError: view size" in notes


def test_a_second_derivative_is_as_torchs_own_check_has_it():
    """torch 2.13 has that of its normed weight wrong."""
    v, g = normal(2, 3), normal(2, 1, seed=4).abs()

    def weight(v, g):
        return torch._weight_norm(v, g, 0)

    required = (v.clone().requires_grad_(), g.clone().requires_grad_())
    torchs = torch.autograd.gradgradcheck(weight, required, raise_exception=False)
    assert gradcheck.check(weight, (v, g), conditions="double_backward").ok == torchs


def test_what_integers_point_into_is_not_emptied():
    notes = not_looked_at(Rows.apply, (X, torch.tensor([3, 0, 0])))
    assert "empty_inputs (its integers may point into what would be empty)" in notes


def test_what_is_torchs_own_is_given_no_sizes_that_may_end_the_process():
    notes = not_looked_at(torch.mul, (X, ROW))
    for name in ("empty_inputs", "broadcast_inputs"):
        assert f"{name} (its backward is torch's own)" in notes


def test_a_gradient_that_is_sparse_is_right_here_but_not_to_those_who_expect_torchs_check():
    weight = normal(5, 2).requires_grad_()
    index = torch.tensor([1, 4])

    def embedded(weight):
        return functional.embedding(index, weight, sparse=True)

    assert gradcheck.check(embedded, weight).ok
    assert not gradcheck.gradcheck(embedded, weight, raise_exception=False)
