"""Every word of the vocabulary in torch, held against a computation that does not use torch."""

import math

import mpmath
import numpy as np
import pytest
import torch
from word_examples import CANCELLING, CASES, EXAMPLES, UNARY, VALUES, folded, inside, unfolded

from gradcheck.language.parser import parse
from gradcheck.language.tree import Call, walk
from gradcheck.language.vocabulary import WORDS
from gradcheck.torch_meaning import TorchMeaning

CPU = torch.device("cpu")
FLOATS = [torch.float64, torch.float32]


def evaluate(text, dtype=torch.float64, scope=None):
    meaning = TorchMeaning(dtype, CPU)
    return meaning.tensor(parse(text).evaluate(scope or scoped(dtype), meaning))


def scoped(dtype):
    tensors = {name: torch.from_numpy(value) for name, value in VALUES.items()}
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


# Elementwise words against mpmath, at random and at hard points


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_an_elementwise_word_is_the_function_of_mathematics(name, dtype):
    points = inside(name, dtype)
    found = evaluate(f"{name}(x)", dtype, {"x": torch.tensor(points, dtype=dtype)})
    assert found.dtype == dtype
    information = torch.finfo(dtype)
    with mpmath.workdps(60):
        for x, value in zip(points, found.tolist(), strict=True):
            if name in ("lgamma", "digamma") and x <= 0 and x == math.floor(x):
                continue
            exact = UNARY[name](mpmath.mpf(x))
            if abs(exact) > information.max:
                assert value == math.copysign(math.inf, exact)
                continue
            size = abs(x) if name in CANCELLING else abs(exact)
            slack = 64 * information.eps * size + information.tiny
            nearby = UNARY[name](mpmath.mpf(x) * (1 + 32 * mpmath.mpf(information.eps)))
            assert abs(value - exact) <= slack + abs(nearby - exact), x


NAN, INFINITY = math.nan, math.inf
EDGES = [
    ("exp(x)", [NAN, INFINITY, -INFINITY, 1000.0, -1000.0], [NAN, INFINITY, 0, INFINITY, 0]),
    ("log(x)", [NAN, INFINITY, 0.0, -0.0, -1.0], [NAN, INFINITY, -INFINITY, -INFINITY, NAN]),
    ("log1p(x)", [-1.0, -2.0, INFINITY, NAN], [-INFINITY, NAN, INFINITY, NAN]),
    ("expm1(x)", [-INFINITY, INFINITY, -1000.0], [-1, INFINITY, -1]),
    ("sqrt(x)", [-1.0, INFINITY, NAN, 0.0], [NAN, INFINITY, NAN, 0]),
    ("rsqrt(x)", [0.0, INFINITY, -1.0], [INFINITY, 0, NAN]),
    ("reciprocal(x)", [0.0, -0.0, INFINITY], [INFINITY, -INFINITY, 0]),
    ("sigmoid(x)", [1000.0, -1000.0, NAN], [1, 0, NAN]),
    ("logsigmoid(x)", [1000.0, -1000.0, NAN], [0, -1000, NAN]),
    ("softplus(x)", [1000.0, -1000.0, 20.5, NAN], [1000, 0, 20.5, NAN]),
    ("softplus(x, 2, 10)", [5.5, -1000.0], [5.5, 0]),
    ("relu(x)", [NAN, INFINITY, -INFINITY], [NAN, INFINITY, 0]),
    ("leaky_relu(x, 0.25)", [-4.0, 4.0, NAN], [-1, 4, NAN]),
    ("elu(x, alpha=2)", [-1000.0, 3.0], [-2, 3]),
    ("gelu(x)", [1000.0, -1000.0, 0.0], [1000, 0, 0]),
    ("silu(x)", [1000.0, -1000.0, 0.0], [1000, 0, 0]),
    ("tanh(x)", [1000.0, -1000.0, NAN], [1, -1, NAN]),
    ("asin(x)", [2.0, NAN], [NAN, NAN]),
    ("acos(x)", [1.0, 2.0], [0, NAN]),
    ("erfc(x)", [1000.0, -1000.0], [0, 2]),
    ("lgamma(x)", [0.0, -1.0, 1.0, 2.0, NAN], [INFINITY, INFINITY, 0, 0, NAN]),
    ("digamma(x)", [0.0, -1.0, NAN], [-INFINITY, NAN, NAN]),
    ("sign(x)", [NAN, 0.0, -3.0], [0, 0, -1]),
    ("round(x)", [0.5, 1.5, -0.5, 2.5], [0, 2, 0, 2]),
    ("xlogy(x, 0)", [0.0, 1.0, NAN], [0, -INFINITY, NAN]),
    ("xlogy(0, x)", [0.0, INFINITY, NAN], [0, 0, NAN]),
    ("maximum(x, 0)", [NAN, -1.0, 2.0], [NAN, 0, 2]),
    ("minimum(x, 0)", [NAN, -1.0, 2.0], [NAN, -1, 0]),
    ("clamp(x, -1, 1)", [NAN, -5.0, 5.0, 0.5], [NAN, -1, 1, 0.5]),
    ("clamp(x, max=1)", [-5.0, 5.0], [-5, 1]),
    ("clamp(x, 3, 1)", [0.0], [1]),
    ("where(x > 0, 1/x, 0)", [2.0, 0.0, NAN], [0.5, 0, 0]),
    ("hypot(x, x)", [1e200, 0.0, INFINITY], [math.sqrt(2) * 1e200, 0, INFINITY]),
    ("logaddexp(x, 0)", [1000.0, -INFINITY, -1000.0], [1000, 0, 0]),
    ("atan2(x, -1)", [0.0, -0.0], [math.pi, -math.pi]),
    ("x // 2", [3.0, -3.0, NAN], [1, -2, NAN]),
    ("x % 3", [-1.0, 4.0, 0.0], [2, 1, 0]),
    ("x**0", [NAN, 0.0, INFINITY], [1, 1, 1]),
    ("x**0.5", [-1.0, 4.0], [NAN, 2]),
    ("2**x", [2000.0, -2000.0], [INFINITY, 0]),
    ("x/0", [1.0, -1.0, 0.0], [INFINITY, -INFINITY, NAN]),
]


@pytest.mark.parametrize(("text", "points", "expected"), EDGES, ids=[text for text, *_ in EDGES])
def test_a_word_at_the_edges_of_its_domain(text, points, expected):
    found = evaluate(text, scope={"x": torch.tensor(points, dtype=torch.float64)})
    np.testing.assert_allclose(found.numpy(), np.array(expected, dtype=float), rtol=1e-15)


# All other words against numpy and plain loops


def test_every_word_has_an_example():
    assert set(EXAMPLES) | set(UNARY) == set(WORDS)


def test_every_example_calls_its_word():
    for name, examples in EXAMPLES.items():
        for text, _ in examples:
            words = {node.word for node in walk(parse(text).tree) if isinstance(node, Call)}
            assert WORDS[name] in words, text


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_a_word_is_what_its_definition_says(text, expected, dtype):
    found = evaluate(text, dtype)
    expected = np.asarray(expected)
    assert found.dtype == (torch.bool if expected.dtype == bool else dtype)
    assert found.shape == expected.shape
    tolerance = 64 * torch.finfo(dtype).eps
    np.testing.assert_allclose(found.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_any_size_step_and_padding_are_those_of_a_loop(seed):
    random = np.random.RandomState(seed)
    kernel, dilation, stride = random.randint(1, 4, (3, 2)).tolist()
    padding = random.randint(0, 3, 2).tolist()
    size = (np.multiply(dilation, np.subtract(kernel, 1)) + random.randint(1, 4, 2)).tolist()
    images = random.uniform(-1, 1, (2, 3, *size))
    columns = unfolded(images, kernel, dilation, padding, stride)
    weights = random.uniform(-1, 1, columns.shape)
    scope = {"x": torch.from_numpy(images), "y": torch.from_numpy(weights)}
    settings = f"{kernel}, {dilation}, {padding}, {stride}"
    np.testing.assert_array_equal(evaluate(f"unfold(x, {settings})", scope=scope), columns)
    found = evaluate(f"fold(y, {size}, {settings})", scope=scope)
    expected = folded(weights, size, kernel, dilation, padding, stride)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose((found.numpy() * images).sum(), (weights * columns).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("text", [text for text, _ in CASES] + [f"{name}(x)" for name in UNARY])
def test_no_word_yields_another_floating_dtype(text, dtype):
    unsupported = ("det(", "logdet", "inv", "solve", "cholesky")
    if any(word in text for word in unsupported) and dtype != torch.float32:
        return
    assert evaluate(text, dtype).dtype in (dtype, torch.bool)


@pytest.mark.parametrize(
    "name", [name for name in UNARY if WORDS[name].parameters[0].kind == "tensor"]
)
def test_an_elementwise_word_takes_a_plain_number(name):
    at = evaluate(f"{name}(x)", scope={"x": torch.tensor(0.25, dtype=torch.float64)})
    assert torch.equal(evaluate(f"{name}(0.25)"), at)


CONSTANT = {
    "imag",
    "floor",
    "round",
    "sign",
    "detach",
    "zeros_like",
    "ones_like",
    "full_like",
    "one_hot",
}
CONSTANT |= {"zeros", "ones", "eye", "arange", "pi", "e", "lt", "le", "gt", "ge", "eq", "ne"}
CONSTANT |= {"logical_and", "logical_or", "logical_not", "floor_divide"}


@pytest.mark.parametrize("name", sorted(set(WORDS) - CONSTANT))
def test_a_word_has_a_gradient(name):
    scope = scoped(torch.float64)
    leaves = [tensor.requires_grad_() for tensor in scope.values() if tensor.is_floating_point()]
    text = EXAMPLES[name][0][0] if name in EXAMPLES else f"{name}(x/4 + 0.6)"
    torch.sum(evaluate(text, scope=scope)).backward()
    assert any(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)


@pytest.mark.parametrize("text", ["sign(x)", "round(x)", "floor(x)", "x // y", "detach(x)"])
def test_a_step_function_has_none(text):
    scope = scoped(torch.float64)
    scope["x"].requires_grad_()
    found = evaluate(text, scope=scope)
    if found.requires_grad:
        found.sum().backward()
        assert not scope["x"].grad.any()


TORCH_WORDS = [w for w in WORDS.values() if w.torch.startswith("torch.") and w.signature]


@pytest.mark.parametrize("word", TORCH_WORDS, ids=lambda word: word.name)
def test_argument_names_are_torch_s_own(word):
    """Called with every value by name, torch complains of no name."""
    function = torch
    for part in word.torch.split(".")[1:]:
        function = getattr(function, part)
    with pytest.raises(Exception) as error:  # noqa: PT011
        function(**{parameter.name: object() for parameter in word.parameters})
    assert "unexpected keyword" not in str(error.value)
    assert "unrecognized keyword" not in str(error.value)
