"""Formulas in torch: values as by hand, one dtype, a budget of elements, and no surprises."""

import contextlib
import itertools
import resource
import time
import tracemalloc

import pytest
import torch

from gradcheck import budget
from gradcheck.errors import EvaluationError, ExpressionError, GradcheckError
from gradcheck.language.expression import Definition
from gradcheck.language.parser import parse
from gradcheck.language.vocabulary import WORDS
from gradcheck.oracles.monte_carlo import MonteCarlo, Noise
from gradcheck.torch_meaning import TorchMeaning

CPU = torch.device("cpu")
D = torch.float64

a = torch.tensor([[1.5, -2.0, 0.25], [3.0, 0.5, -1.0]], dtype=D)
b = torch.tensor([0.5, 2.0, -4.0], dtype=D)
s = torch.tensor(2.0, dtype=D)
k = torch.tensor([1, 0])
SCOPE = {"a": a, "b": b, "s": s, "k": k, "n": 3}


def evaluate(text, scope=None, dtype=D, **known):
    meaning = TorchMeaning(dtype, CPU)
    expression = parse(text, definitions=known, scope=scope or SCOPE)
    return meaning.tensor(expression.evaluate(scope or SCOPE, meaning))


def define(name, parameters, *steps, **known):
    read = [(step, parse(text, definitions=known)) for step, text in steps]
    return Definition(name, tuple(parameters), tuple(read))


def refusal(text, **known):
    with pytest.raises(EvaluationError) as error:
        evaluate(text, **known)
    return error.value.message, error.value.start, error.value.end


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b*s", a + b * s),
        ("-b**2 + 2**-b", -(b**2) + 2**-b),
        ("b @ a.T / 3 - 1", b @ a.T / 3 - 1),
        ("a.mT @ a", a.mT @ a),
        ("a // 2 % 3", torch.floor(a / 2).remainder(3)),
        ("s**s**s", s**4),
        ("1/3*b", 1 / 3 * b),
        ("torch.sin(b) + math.pi", torch.sin(b) + torch.pi),
        ("torch.nn.functional.relu(a)", a.clamp(min=0)),
        ("a[0]", a[0]),
        ("a[-1, 1]", a[1, 1]),
        ("a[:, 1:]", a[:, 1:]),
        ("a[..., ::2]", a[..., ::2]),
        ("a[None, :, None]", a[None, :, None]),
        ("b[:n - 1]", b[:2]),
        ("b[s - 1:]", b[1:]),
        ("a[k]", a[[1, 0]]),
        ("a[[1, 0], [2, 0]]", a[[1, 0], [2, 0]]),
        ("a[:, [0, 2]]", a[:, [0, 2]]),
        ("b[arange(2)]", b[:2]),
        ("b[b > 0]", b[:2]),
        ("b[[True, False, True]]", b[[0, 2]]),
        ("a[a > 0]", a[a > 0]),
        ("[1, 2, 3][0]", torch.tensor(1.0, dtype=D)),
        ("[b, 2*b]", torch.stack([b, 2 * b])),
        ("[[1, s], [0, 0.5]]", torch.tensor([[1, 2], [0, 0.5]], dtype=D)),
        ("b + [1, 2, 3]", b + torch.tensor([1, 2, 3])),
        ("(a > 0) & ~(a > 1)", (a > 0) & ~(a > 1)),
        ("sum(a, dim=[0, 1], keepdim=True)", a.sum().reshape(1, 1)),
        ("slogdet(a @ a.T)[1]", torch.logdet(a @ a.T)),
        ("x_plus(1, y=b) + x_plus(y=s, x=b)", 1 + 2 * b + b + 2 * s),
        ("softplus(b, s)", torch.nn.functional.softplus(b, 2)),
    ],
)
def test_a_formula_is_worth_what_torch_says(text, expected):
    x_plus = define("x_plus", "xy", ("x_plus", "x + 2*y"))
    assert torch.equal(evaluate(text, x_plus=x_plus), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2**10", 1024.0),
        ("2**63", 2.0**63),
        ("(-2)**63", -(2.0**63)),
        ("3**40", 3.0**40),
        ("0**0", 1.0),
        ("1**10**18", 1.0),
        ("2**-1", 0.5),
        ("10**30", 1e30),
        ("10**18*10**18", 1e36),
        ("9223372036854775807 + 1", 2.0**63),
        ("100000000000000000000000", 1e23),
        ("s*100000000000000000000000", 2e23),
        ("7 // 2 + 7 % 4", 6.0),
        ("1e308*10", float("inf")),
        ("(1 < 2) + True", 2.0),
    ],
)
def test_plain_numbers_are_floats_where_they_outgrow_64_bits(text, expected):
    assert evaluate(text).item() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_indices_in_lists_are_exact_in_any_dtype(dtype):
    scope = {"x": torch.arange(300, dtype=torch.float32), "y": torch.arange(300).float()[None]}
    assert evaluate("x[[257, 299]]", scope, dtype).tolist() == [257, 299]
    picked = parse("index_select(x, 0, [257, 1])").evaluate(scope, TorchMeaning(torch.float32, CPU))
    assert picked.tolist() == [257, 1]


def test_an_index_that_may_have_been_rounded_is_refused():
    scope = {"x": torch.zeros(300, dtype=torch.bfloat16)}
    with pytest.raises(EvaluationError) as error:
        evaluate("x[arange(300)]", scope, torch.bfloat16)
    assert error.value.message == "an index this large is not exact in bfloat16"


def test_a_list_passed_to_a_definition_may_be_a_setting_or_a_value():
    total = define("total", "xd", ("total", "sum(x, d)"))
    assert torch.equal(evaluate("total(a, [0, 1])", total=total), a.sum())
    assert evaluate("total([[1, 2], [3, 4]], 0)", total=total).tolist() == [4, 6]


# detach


def test_detached_values_are_recorded_in_order():
    meaning = TorchMeaning(D, CPU)
    parse("detach(s) + 2*detach(s + 1) + detach(4)").evaluate(SCOPE, meaning)
    assert [value.item() for value in meaning.detached] == [2, 3, 4]


def test_detached_values_are_replayed_in_order():
    replay = [torch.tensor(value, dtype=D) for value in (10.0, 20.0)]
    meaning = TorchMeaning(D, CPU, replay)
    assert parse("detach(s) + 2*detach(s + 1)").evaluate(SCOPE, meaning).item() == 50
    assert meaning.detached == replay


def test_a_definition_used_twice_records_and_replays_both():
    held = define("held", "x", ("kept", "detach(x)"), ("held", "kept*x"))
    expression = parse("held(s) + held(3*s)", definitions={"held": held})
    first = TorchMeaning(D, CPU)
    assert expression.evaluate(SCOPE, first).item() == 40
    assert [value.item() for value in first.detached] == [2, 6]
    again = TorchMeaning(D, CPU, first.detached)
    assert expression.evaluate({"s": s + 1}, again).item() == 2 * 3 + 6 * 9


def test_a_detached_value_has_no_gradient():
    x = torch.tensor(3.0, dtype=D, requires_grad=True)
    evaluate("x*detach(x)", {"x": x}).backward()
    assert x.grad.item() == 3


def test_a_replay_that_is_too_short_says_so():
    with pytest.raises(EvaluationError) as error:
        parse("detach(s)").evaluate(SCOPE, TorchMeaning(D, CPU, []))
    assert error.value.message == "detach is used more often than when its values were recorded"


# Refusals


POWER = "this power is larger than any float64"
REAL = "this power of a negative number is not real"
ZERO = "division by zero"
SEVERAL = "this has several results: choose one, as in slogdet(x)[0]"
WHOLE = "an index is made of whole numbers"
FIT = "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1"
SIZE = "`size` is a whole number or a list of them"
PAIR = "is a whole number from {} to 16,777,216, or two of them"
IMAGES = "images are (N, C, H, W), or one of them, not [2, 3]"
COLUMNS = "columns are (N, C*kernel, blocks), or those of one image, not []"
DIVISIBLE = (
    "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
    "but got input.size(1)=2 and kernel_size=(3, 1)"
)


@pytest.mark.parametrize(
    ("text", "message", "start", "end"),
    [
        ("9**9**9**9", POWER, 3, 10),
        ("2**2**100", POWER, 0, 9),
        ("10**10**10", POWER, 0, 10),
        ("-10**10**10", POWER, 1, 11),
        ("(-10)**10**10", POWER, 0, 13),
        ("1.5**10**10", POWER, 0, 11),
        ("10.0**400", POWER, 0, 9),
        ("1 + (-8)**0.5", REAL, 4, 13),
        ("(-8)**(1/3)", REAL, 0, 11),
        ("0**-1", ZERO, 0, 5),
        ("0.0**-0.5", ZERO, 0, 9),
        ("1/0", ZERO, 0, 3),
        ("s + 1.0/0", ZERO, 4, 9),
        ("1//0", ZERO, 0, 4),
        ("1 % 0", ZERO, 0, 5),
        ("slogdet(a @ a.T) + 1", SEVERAL, 0, 20),
        ("sum(slogdet(a @ a.T))", SEVERAL, 0, 21),
        ("slogdet(a @ a.T)[0, 1]", "choose one of the results, as in slogdet(x)[0]", 0, 22),
        ("slogdet(a @ a.T)[2]", "tuple index out of range", 0, 19),
        ("b[1.5]", WHOLE, 0, 6),
        ("b[10**30]", WHOLE, 0, 9),
        ("b[b]", WHOLE, 0, 4),
        ("b[[0.5]]", WHOLE, 0, 8),
        ("gather(b, 0, [0.5])", WHOLE, 0, 19),
        ("one_hot(b, 3)", WHOLE, 0, 13),
        ("b[0.5:]", "the bounds of a slice are whole numbers", 0, 7),
        ("b[:10**30]", "the bounds of a slice are whole numbers", 0, 10),
        ("b[::-1]", "step must be greater than zero", 0, 7),
        ("b[3]", "index 3 is out of bounds for dimension 0 with size 3", 0, 4),
        ("b[[0, 3]]", "index 3 is out of bounds for dimension 0 with size 3", 0, 9),
        ("5[0]", "too many indices for tensor of dimension 0", 0, 4),
        ("one_hot(k, 1)", "a class is a whole number from 0 to 0", 0, 13),
        ("a + [1, 2]", FIT, 0, 10),
        ("[[1, 2], [3]] + 1", "the items of a list have different shapes, [2] and [1]", 0, 17),
        ("sum(a, dim=b)", "`dim` is a whole number or a list of them", 0, 13),
        ("sum(a, dim=0.5)", "`dim` is a whole number or a list of them", 0, 15),
        ("sum(a, 0, 1)", "`keepdim` is True or False", 0, 12),
        ("softmax(a, True)", "`dim` is a whole number", 0, 16),
        ("tril(a, 2**62 + 1)", "`diagonal` is a whole number", 0, 18),
        ("softplus(a, b)", "`beta` is a plain number: no derivative is taken by it", 0, 14),
        ("arange(b)", "`start` is a plain number: no derivative is taken by it", 0, 9),
        ("zeros(1.5)", SIZE, 0, 10),
        ("zeros([[2]])", SIZE, 0, 12),
        ("zeros(10**30)", SIZE, 0, 13),
        ("expand(s, [2], 3)", SIZE, 0, 17),
        ("unfold([[a]], 0)", f"`kernel_size` {PAIR.format(1)}", 0, 16),
        ("unfold([[a]], [1, 1, 1])", f"`kernel_size` {PAIR.format(1)}", 0, 24),
        ("unfold([[a]], [[1], 2])", f"`kernel_size` {PAIR.format(1)}", 0, 23),
        ("unfold([[a]], 1, stride=0)", f"`stride` {PAIR.format(1)}", 0, 26),
        ("unfold([[a]], 1, padding=-1)", f"`padding` {PAIR.format(0)}", 0, 28),
        ("unfold([[a]], 1, 2**62)", f"`dilation` {PAIR.format(1)}", 0, 23),
        ("unfold([[a]], 0.5)", "`kernel_size` is a whole number or a list of them", 0, 18),
        ("unfold(a, 1)", IMAGES, 0, 12),
        ("fold(s, 1, 1)", COLUMNS, 0, 13),
        ("fold(a, 0, 1)", f"`output_size` {PAIR.format(1)}", 0, 13),
        ("fold([a], [5, 1], [3, 1])", DIVISIBLE, 0, 25),
        ("[a, a].T", ".T is for matrices, this has 3 dimensions: use .mT", 0, 8),
        ("b.mT", ".mT is for matrices, this has 1 dimensions", 0, 4),
        ("gelu(a, approximate='x')", "approximate argument must be either none or tanh", 0, 24),
        ("arange(10**9)", "this range has more than 16,777,216 elements", 0, 13),
        ("arange(0, 1, 10**-300)", "this range has more than 16,777,216 elements", 0, 22),
        ("reshape(a, [" + "1, " * 70 + "6])", "a value has at most 64 dimensions, not 71", 0, 225),
        ("b[" + "None, " * 70 + "]", "a value has at most 64 dimensions, not 71", 0, 423),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_and_where(text, message, start, end):
    assert refusal(text) == (message, start, end)


def test_a_ragged_list_is_refused_at_the_top_as_well():
    assert refusal("[[1, 2], [3]]")[0] == "the items of a list have different shapes, [2] and [1]"


def test_a_setting_that_autograd_would_have_to_differentiate_is_refused():
    x = torch.tensor(2.0, dtype=D, requires_grad=True)
    with pytest.raises(EvaluationError) as error:
        evaluate("leaky_relu(1, x)", {"x": x})
    message = "`negative_slope` is a plain number: no derivative is taken by it"
    assert error.value.message == message


BIG = {
    "v": torch.zeros(()).double().expand(10**6),
    "u": torch.zeros(()).double().expand(4096, 4096),
    "hollow": torch.zeros(10**6, 0, dtype=D),
    "wide": torch.zeros(0, 10**6, dtype=D),
    "none": torch.zeros(10**12, 0, dtype=D),
    "at": torch.zeros((), dtype=torch.int64).expand(4096, 4096),
    "flat": torch.zeros((), dtype=torch.int64).expand(2**24),
    "s": s,
}
LARGE = {
    "zeros(10**12)": "[1000000000000]",
    "ones(10**6, 10**6)": "[1000000, 1000000]",
    "zeros([10**6, 10**6])": "[1000000, 1000000]",
    "zeros(4294967296, 4294967296)": "[4294967296, 4294967296]",
    "eye(10**6)": "[1000000, 1000000]",
    "eye(1, 10**12)": "[1, 1000000000000]",
    "expand(s, 10**12)": "[1000000000000]",
    "expand(v, 10**6, -1)": "[1000000, 1000000]",
    "one_hot(0, 10**12)": "[1000000000000]",
    "one_hot(v, 10**6)": "[1000000, 1000000]",
    "diag(v)": "[1000000, 1000000]",
    "diag([1, 2], 10**9)": "[1000000002, 1000000002]",
    "diag([1, 2], -10**9)": "[1000000002, 1000000002]",
    "outer(v, v)": "[1000000, 1000000]",
    "kron(v, v)": "[1000000, 1000000]",
    "v[:, None] + v": "[1000000, 1000000]",
    "v[:, None] < v": "[1000000, 1000000]",
    "where(v[:, None] > 0, v, 0)": "[1000000, 1000000]",
    "maximum(v[:, None], v)": "[1000000, 1000000]",
    "clamp(v[:, None], max=v)": "[1000000, 1000000]",
    "v[:, None] @ v[None]": "[1000000, 1000000]",
    "hollow @ wide": "[1000000, 1000000]",
    "einsum('i,j->ij', v, v)": "[1000000, 1000000]",
    "einsum('ij,jk->ik', hollow, wide)": "[1, 1000000, 1000000]",
    "tensordot(v, v, 0)": "[1000000, 1000000]",
    "tensordot(hollow, wide, 1)": "[1000000, 1000000]",
    "sum(none, 1)": "[1000000000000]",
    "prod(none, 1)": "[1000000000000]",
    "stack([u, u])": "[2, 4096, 4096]",
    "concatenate([u, u])": "[8192, 4096]",
    "[u, u, u]": "[3, 4096, 4096]",
    "u[at]": "[4096, 4096, 4096]",
    "u[:, at]": "[4096, 4096, 4096]",
    "index_select(u, 0, flat)": "[16777216, 4096]",
    "unfold([[[[s]]]], 1, padding=10**4)": "[1, 1, 400040001]",
    "unfold([[[[s]]]], 10**4, padding=10**4)": "[1, 100000000, 100040004]",
    "unfold(u[None, None], 2)": "[1, 4, 16769025]",
    "fold([[[s]]], 10**5, 1, stride=10**5)": "[1, 1, 100000, 100000]",
    "fold(v[:, None, None], [1, 100], 1, stride=100)": "[1000000, 1, 1, 100]",
}
TOO_LARGE = r"a tensor of shape {} has [\d,]+ elements, more than 16,777,216"


@pytest.fixture(scope="module")
def _warm():
    """The first run without data loads torch's shape functions."""
    for text in LARGE:
        with pytest.raises(EvaluationError):
            evaluate(text, BIG)


@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize("text", LARGE)
def test_a_result_over_the_budget_is_refused_before_it_is_allocated(text):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        with pytest.raises(EvaluationError) as error:
            evaluate(text, BIG)
        seconds.append(time.perf_counter() - start)
    shape = LARGE[text].replace("[", r"\[").replace("]", r"\]")
    assert error.match(TOO_LARGE.format(shape))
    assert min(seconds) < 0.05
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


@pytest.mark.parametrize("text", ["9**9**9**9", "2**2**100", "(-7)**7**7**7", "10**18*10**18"])
def test_a_power_bomb_allocates_nothing(text):
    tracemalloc.start()
    with contextlib.suppress(EvaluationError):
        evaluate(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_squares_of_squares_do_not_explode():
    known = {}
    for level in range(16):
        body = f"p{level - 1}(x*x)" if level else "x*x"
        known[f"p{level}"] = define(f"p{level}", "x", (f"p{level}", body), **known)
    assert evaluate("p15(10**18)", **known).item() == float("inf")


def test_lists_of_lists_of_lists_stay_within_the_budget():
    pair = define("pair", "x", ("y", "[x, x]"), ("z", "[y, y]"), ("pair", "[z, z]"))
    assert evaluate("sum(pair(pair(1)))", pair=pair).item() == 64
    message, *_ = refusal("pair(" * 40 + "1" + ")" * 40, pair=pair)
    assert "elements, more than 16,777,216" in message


# In company


def test_a_dry_run_ignores_other_modes():
    vector = torch.ones(5000, dtype=D)
    with MonteCarlo(Noise(2.0**-53, 0)):
        total = evaluate("sum(x*x) + sum(zeros(2))", {"x": vector})
    assert total.item() == pytest.approx(5000)


@pytest.mark.parametrize(
    "text",
    ["sum(x*x)", "x[0] + x[n - 1]", "x[[0, 2]]", "[x, 2*x]", "eye(3) @ x", "where(x > 0, x, 0)",
     "outer(x, x)", "clamp(x, 0, x)", "zeros(3) + x", "detach(x)*x", "one_hot([0, 2], 3) @ x",
     "unfold(x[None, None], [1, 2])", "fold([x, 2*x], [1, 4], [1, 2])"],
)  # fmt: skip
@pytest.mark.parametrize("elements", [budget.ELEMENT_BUDGET, 10])
def test_a_formula_can_be_mapped_over_many_points(text, elements, monkeypatch):
    points = torch.arange(12, dtype=D).reshape(4, 3) - 5.5
    scope = {"n": 3}
    single = torch.stack([evaluate(text, {**scope, "x": x}) for x in points])
    monkeypatch.setattr(budget, "is_surely_within", lambda values, **_: elements > 10)
    mapped = torch.func.vmap(lambda x: evaluate(text, {**scope, "x": x}))(points)
    assert torch.equal(mapped, single)


def test_gradients_flow_through_a_formula_that_was_run_dry():
    x = torch.ones(5000, dtype=D, requires_grad=True)
    evaluate("sum(x*x)", {"x": x}).backward()
    assert torch.equal(x.grad, 2 * torch.ones(5000, dtype=D))


RUBBISH = ["a", "b", "k", "0", "-1", "10**30", "0.5", "None", "True", "[]", "[[1,2],[3]]"]
RUBBISH += ["'ij'", "a>0", "slogdet(a@a.T)", "..."]


SHAPES = ["{} + {}", "{}**{}", "{} @ {}", "{}[{}]", "{}[{}:]", "{}/{}", "{} % {}", "[{}, {}]"]
SHAPES += [f"{word}({{}}, {{}})" for word in WORDS] + [f"{word}({{}}) < {{}}" for word in WORDS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_written_only_errors_of_ours_come_out(shape):
    for first, second in itertools.product(RUBBISH, RUBBISH):
        message = said(shape.format(first, second))
        assert message is None or (message and "\n" not in message)


def said(text):
    """What the refusal of a formula says, None if it has a value."""
    try:
        evaluate(text)
    except (ExpressionError, EvaluationError) as error:
        return str(error)
    return None


def test_all_errors_have_one_root():
    assert issubclass(ExpressionError, GradcheckError)
    assert issubclass(EvaluationError, GradcheckError)


def test_a_broadcast_within_the_budget_needs_no_dry_run(monkeypatch):
    monkeypatch.setattr(budget, "dry_run", lambda *_, **__: pytest.fail("dry run"))
    matrix, row = torch.ones(5000, 100, dtype=D), torch.ones(100, dtype=D)
    assert evaluate("sum(x*x - y)", {"x": matrix, "y": row}).item() == 0
