import time

import pytest
import torch

from gradcheck.functions import Segment, Step
from gradcheck.language.parser import parse
from gradcheck.oracles.autograd import jacobian
from gradcheck.torch_meaning import TorchMeaning

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def answer(text, value, dtype=torch.float64, **held):
    segment = Segment((Step("y", parse(text, scope=["x", *held])),), "x", "y", held)
    meaning = TorchMeaning(dtype, torch.device("cpu"))
    return jacobian(segment, torch.as_tensor(value).to(dtype), meaning)


def test_a_jacobian_has_the_shape_of_output_and_input():
    result = answer("outer(x, x)", [1.0, 2.0, 3.0])
    assert result.shape == (3, 3, 3)
    assert result[1, 2].tolist() == [0, 3, 2]


def test_a_scalars_jacobian_is_a_scalar():
    assert answer("x**3", 2.0).shape == ()
    assert answer("x**3", 2.0) == 12


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_answer_is_in_the_checks_dtype(dtype):
    result = answer("sin(x)", [0.5, 1.0], dtype)
    assert result.dtype == dtype
    assert result[0, 1] == 0


def test_an_output_without_a_path_has_derivative_0():
    assert answer("3", [1.0, 2.0]).tolist() == [0, 0]
    assert answer("detach(x)*2", [1.0, 2.0]).tolist() == [[0, 0], [0, 0]]
    assert answer("x > 1", [1.0, 2.0]).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(("text", "shape"), [("x", (0, 0)), ("sum(x)", (0,)), ("zeros(0)", (0, 0))])
def test_empty_tensors_have_empty_jacobians(text, shape):
    assert answer(text, torch.zeros(0)).shape == shape


def test_detach_is_a_constant():
    assert answer("detach(x)*x", 3.0) == 3


def test_it_works_where_gradients_are_switched_off():
    with torch.no_grad():
        assert answer("exp(x)", [0.0, 1.0])[0].tolist() == [1, 0]


def test_the_point_is_left_alone():
    point = torch.tensor([1.0, 2.0], dtype=torch.float64)
    answer("x**2", point)
    assert not point.requires_grad
    assert point.grad is None


def test_the_passes_of_many_outputs_do_not_cost_the_square_of_their_number():
    start = time.perf_counter()
    assert answer("tanh(x)", torch.zeros(1000)).shape == (1000, 1000)
    assert time.perf_counter() - start < 3  # 13 s if every pass filled in the others' zeros


def segment(text, end="y"):
    return Segment((Step(end, parse(text)),), "x", end, {})


@pytest.mark.parametrize("count", [2, 20, 300])
def test_many_outputs_have_the_gradients_that_each_has_alone(count):
    x = torch.linspace(-1, 1, count, dtype=torch.float64)
    meaning = TorchMeaning(torch.float64, torch.device("cpu"))
    found = jacobian(segment("tanh(cumsum(x, 0))*x[0]"), x, meaning)
    leaf = x.clone().requires_grad_()
    output = torch.tanh(torch.cumsum(leaf, 0)) * leaf[0]
    alone = [torch.autograd.grad(entry, leaf, retain_graph=True)[0] for entry in output]
    assert torch.allclose(found, torch.stack(alone), rtol=1e-14, atol=1e-15)


class _Unbatchable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        assert gradient.sum().item() == 1  # which no batch can be asked
        return gradient * 2


def test_a_backward_that_cannot_be_batched_goes_one_by_one():
    class Doubling:
        reads = frozenset({"x"})
        writes = ("y",)

        def run(self, environment, meaning):
            environment["y"] = _Unbatchable.apply(environment["x"])

    x = torch.ones(20, dtype=torch.float64)
    meaning = TorchMeaning(torch.float64, torch.device("cpu"))
    found = jacobian(Segment((Doubling(),), "x", "y", {}), x, meaning)
    assert torch.equal(found, 2 * torch.eye(20, dtype=torch.float64))
