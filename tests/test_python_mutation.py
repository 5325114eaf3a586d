"""Wrong versions of derivatives in Python: what they are, and which cases notice them."""

import json
import math
import sys
from itertools import chain

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gradcheck.ball import Ball
from gradcheck.casefile.load import load
from gradcheck.cli import cli
from gradcheck.conditions.subject import Subject
from gradcheck.conditions.table import TABLE
from gradcheck.function_answers import Forward, Reverse, blocks
from gradcheck.imports import Imports
from gradcheck.mutation import python_trial
from gradcheck.mutation.changes import Frame, Wrong, changes
from gradcheck.mutation.mutating import by_entry, mutate
from gradcheck.mutation.outcome import EQUAL, LeftOutError, NotPassingError
from gradcheck.mutation.wrong_passes import CHEAP, is_told_by
from gradcheck.python_function import PythonFunction
from gradcheck.torch_state import checking
from gradcheck.written import WithPasses

MODULE = """
import torch
from torch import nn


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight**2

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g * weight**2, (2 * g * x * weight).sum(0)


def scale(x, weight):
    return x * weight**2


def scale_backward(dout, x, weight):
    return dout * weight**2, (2 * dout * x * weight).sum(0)


def raising_backward(dout, x, weight):
    raise ValueError("not written yet")


class Unsummed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g * weight, g * x


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0] ** 2

    @staticmethod
    def jvp(ctx, t):
        return 3 * t * ctx.saved_tensors[0] ** 2


def swish(x):
    return x * torch.sigmoid(x)


def d_swish(x):
    s = torch.sigmoid(x)
    return s + x * s * (1 - s)


def swish_jvp(dx, x):
    return dx * d_swish(x)


def square(x):
    return x**2


def loss(x):
    return (x**2).sum()


def d_loss(x):
    return 2 * x


def residual(x, bias):
    return torch.tanh(x) + bias


def root(x):
    return torch.where(x > 0, x.sqrt(), torch.nan * x)


def product(x, w):
    return torch.softmax(x @ w, -1)


calls = [0]


def counted(x):
    calls[0] += 1
    return torch.softmax(x, -1)


def d_counted(x):
    p = torch.softmax(x, -1)
    return torch.diag(p) - torch.outer(p, p)


def two(x, h):
    return {"h": torch.tanh(3 * x * h), "c": (h**2, 3)}


class Net(nn.Module):
    def __init__(self, hidden=3):
        super().__init__()
        self.a = nn.Linear(3, hidden)

    def forward(self, x):
        return torch.tanh(self.a(x))


def conjugate_product(z, w):
    return z.conj() * w


class Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, indices):
        ctx.save_for_backward(indices)
        ctx.shape = weight.shape
        return weight[indices]

    @staticmethod
    def backward(ctx, g):
        (indices,) = ctx.saved_tensors
        return torch.sparse_coo_tensor(indices[None], g, ctx.shape), None
"""
NAME = "mutated_kernels"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop(NAME, None)


def written(folder, case):
    """A file with one case, written as the lines below its name."""
    path = folder / "k.grad.yaml"
    body = "\n".join(f"    {line}" for line in case.strip().splitlines())
    path.write_text(f"cases:\n  k:\n{body}\n".replace("mod:", f"{NAME}:"), "utf-8")
    return path


def outcomes(folder, case):
    file = load(written(folder, case))
    assert not file.problems, [str(problem) for problem in file.problems]
    (cases,) = by_entry(file.cases).values()
    return list(mutate(cases, imports=Imports.of([NAME], str(folder))))


def fates(folder, case):
    """The mistakes that were noticed, and those that were not, each set by quantity."""
    found = {}
    for one in outcomes(folder, case):
        noticed, survived = found.setdefault(one.quantity, (set(), set()))
        (noticed if one.fate == "noticed" else survived).add(one.wrong)
    return found


def survivors(folder, case):
    return {one.wrong: one for one in outcomes(folder, case) if one.fate == "survived"}


ENTRYWISE = {
    *("the sign is changed", "twice as much", "half as much", "off by 1e-05", "zero"),
    *("the absolute value", "clipped to [-1, 1]", "1 is added", "squared"),
}
OF_A_COTANGENT = {
    "the cotangent is ignored",
    "the cotangent is squared",
    "only the cotangent's sign counts",
}
ON_A_VECTOR = {
    *("reversed along axis 0", "rolled by one along axis 0", "summed along axis 0"),
    "the last entry is zero",
}
OF_A_BACKWARD = {
    *ENTRYWISE,
    *OF_A_COTANGENT,
    *ON_A_VECTOR,
    "a mean in place of the sum",
    "the cotangent is passed on",
    "the last entry of the cotangent does not count",
}
BY_A_MATRIX = OF_A_BACKWARD | {
    *("reversed along axis 1", "rolled by one along axis 1", "summed along axis 1"),
    "the last row is zero",
}
BY_A_WEIGHT = OF_A_BACKWARD | {"of the cotangent only the first along axis 0 counts"}
INPUTS = '{x: {shape: [4, 3], sample: normal}, weight: {shape: [3], sample: "uniform(1, 2)"}}'


# -- which there are, and that a good case notices them -------------------------------------------


def test_the_backward_of_an_autograd_function_is_what_was_written(folder):
    case = f'function: {{python: "mod:Scale"}}\nreference: x*weight**2\ninputs: {INPUTS}'
    found = outcomes(folder, case)
    assert {(one.fate, one.formula, one.line) for one in found} == {
        ("noticed", f"{NAME}:Scale", 3),
    }
    assert all(one.mistake == one.wrong for one in found)
    by_x, by_weight = (
        [o.wrong for o in found if o.quantity == f"dout/d{n}"] for n in ["x", "weight"]
    )
    assert (set(by_x), set(by_weight)) == (BY_A_MATRIX, BY_A_WEIGHT)
    assert len(by_x) == len(BY_A_MATRIX)


@pytest.mark.parametrize("reference", ["", "reference: x*weight**2"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_backward_in_python_in_every_dtype_with_a_reference_and_without(folder, dtype, reference):
    case = f"""
function: {{python: "mod:scale"}}
backward: {{python: "mod:scale_backward"}}
inputs: {INPUTS}
dtypes: {dtype}
{reference}
"""
    off = {"float64": "1e-05", "float32": "1e-02", "bfloat16": "2e-01"}[dtype]
    renamed = {
        name: {one.replace("1e-05", off) for one in names}
        for name, names in (
            ("dout/dx (backward)", BY_A_MATRIX),
            ("dout/dweight (backward)", BY_A_WEIGHT),
        )
    }
    found = fates(folder, case)
    assert {name: noticed for name, (noticed, _) in found.items()} == renamed
    assert not set().union(*(survived for _, survived in found.values()))


def test_where_the_function_has_a_backward_of_its_own_both_are_changed(folder):
    case = f"""
function: {{python: "mod:Scale"}}
backward: {{python: "mod:scale_backward"}}
inputs: {INPUTS}
"""
    found = outcomes(folder, case)
    assert {(one.quantity, one.formula, one.line) for one in found} == {
        ("dout/dx", f"{NAME}:Scale", 3),
        ("dout/dweight", f"{NAME}:Scale", 3),
        ("dout/dx (backward)", f"{NAME}:scale_backward", 4),
        ("dout/dweight (backward)", f"{NAME}:scale_backward", 4),
    }
    assert {one.fate for one in found} == {"noticed"}


def test_a_jvp(folder):
    case = """
function: {python: "mod:swish"}
jvp: {python: "mod:swish_jvp"}
inputs: {x: [-1.5, 3.0, 1.0, 2.0]}
"""
    ((quantity, (noticed, survived)),) = fates(folder, case).items()
    assert quantity == "dout/dx (jvp)"
    # Unit tangents are their own squares, and nobody gives it others.
    assert noticed == {
        one.replace("cotangent", "tangent") for one in OF_A_BACKWARD - OF_A_COTANGENT
    } | {"the tangent is ignored"}
    assert not survived


def test_a_jvp_of_the_functions_own(folder):
    case = 'function: {python: "mod:Cube"}\ninputs: {x: [-1.5, 3.0, 1.0, 0.2]}'
    found = fates(folder, case)
    assert set(found) == {"dout/dx", "dout/dx (forward mode)"}
    assert found["dout/dx"] == (OF_A_BACKWARD, set())
    noticed, survived = found["dout/dx (forward mode)"]
    assert "the tangent is ignored" in noticed
    assert "the absolute value" not in noticed | survived  # of x**2, wherever it is looked at


def test_an_elementwise_derivative_in_python_is_changed_as_it_was_written(folder):
    case = """
function: {python: "mod:swish"}
derivatives: {x: {python: "mod:d_swish"}}
inputs: {x: [-1.5, 3.0, 1.0, 2.0]}
"""
    (one, *_) = found = outcomes(folder, case)
    assert (one.formula, one.line) == (f"{NAME}:d_swish", 4)
    assert {one.wrong for one in found} == {
        *ENTRYWISE,
        *ON_A_VECTOR,
        "a mean in place of the sum",
        "ones",
    }
    assert {one.fate for one in found} == {"noticed"}


def test_a_jacobian_in_python(folder):
    case = """
function: {python: "mod:counted"}
derivatives: {x: {python: "mod:d_counted"}}
inputs: {x: [-1.5, 3.0, 1.0, 2.0]}
"""
    found = fates(folder, case)
    noticed, survived = found["dout/dx"]
    assert noticed == {
        *(ENTRYWISE - {"clipped to [-1, 1]"}),  # of what is never above 1/4
        *ON_A_VECTOR,
        "a mean in place of the sum",
        "the identity",
        "the last entry of the output does not count",
    }
    assert not survived


def test_formulas_on_a_reference_are_changed_beside(folder):
    case = f"""
function: {{python: "mod:Scale"}}
reference: x*weight**2
backward: {{dx: dout*weight**2, dweight: "sum(2*dout*x*weight, dim=0)"}}
inputs: {INPUTS}
"""
    found = outcomes(folder, case)
    assert [*dict.fromkeys(one.quantity for one in found)] == [
        *("dx", "dweight", "dout/dx", "dout/dweight"),
    ]
    assert {one.fate for one in found if one.quantity.startswith("dout")} == {"noticed"}


def test_however_many_there_are_the_function_is_called_as_often(folder, monkeypatch):
    case = """
function: {python: "mod:counted"}
reference: softmax(x, -1)
inputs: {x: {shape: [5], sample: normal}}
conditions: none
"""

    def calls_with(names):
        def chosen(*given):
            return [one for one in changes(*given) if one.what in names]

        monkeypatch.setattr(python_trial, "changes", chosen)
        before = sys.modules[NAME].calls[0] if NAME in sys.modules else 0
        found = outcomes(folder, case)
        assert {(one.wrong, one.fate) for one in found} == {(name, "noticed") for name in names}
        return sys.modules[NAME].calls[0] - before

    # A clipped one is looked at elsewhere too: nothing here is above 1.
    assert calls_with(OF_A_BACKWARD - {"clipped to [-1, 1]"}) == calls_with({"squared"}) < 16


def test_a_formula_among_the_derivatives_is_changed_in_its_parts(folder):
    case = """
function: {python: "mod:swish"}
derivatives: {x: "sigmoid(x) + out*(1 - sigmoid(x))"}
inputs: {x: [-1.5, 3.0, 1.0, 2.0]}
"""
    found = outcomes(folder, case)
    assert {(one.formula, one.line) for one in found} == {
        ("sigmoid(x) + out*(1 - sigmoid(x))", 4),
    }
    wrong = {one.wrong: one.mistake for one in found}
    assert wrong["-(sigmoid(x) + out*(1 - sigmoid(x)))"] == "the sign is changed"
    assert wrong["sigmoid(x) + x*(1 - sigmoid(x))"] == "`x` for `out`"
    assert len(wrong) >= 10
    assert {one.fate for one in found} == {"noticed"}


def test_nested_outputs_and_what_does_not_depend_on_an_input(folder):
    case = """
function: {python: "mod:two"}
inputs: {x: [0.3, -1.2, 0.5], h: [0.4, 0.9, -2.0]}
"""
    found = fates(folder, case)
    assert list(found) == ["dout['h']/dx", "dout['h']/dh", "dout['c'][0]/dx", "dout['c'][0]/dh"]
    assert not set().union(*(survived for _, survived in found.values()))
    assert found["dout['h']/dx"][0] == OF_A_BACKWARD | {"that by h in its place"}
    # Twice zero is no wrong version of zero.
    assert found["dout['c'][0]/dx"][0] == {
        *("the cotangent is passed on", "1 is added", "that by h in its place"),
    }


def test_what_is_passed_on_as_it_is_has_no_such_wrong_version(folder):
    case = """
function: {python: "mod:residual"}
inputs: {x: {shape: [4, 3], sample: normal}, bias: {shape: [3], sample: normal}}
"""
    noticed, survived = fates(folder, case)["dout/dbias"]
    assert noticed == BY_A_WEIGHT - {"the cotangent is passed on"}
    assert not survived


def test_a_modules_parameters(folder):
    case = """
function: {python: "mod:Net", init: {hidden: 2}}
inputs: {x: {shape: [5, 3], sample: normal}, a_weight: {shape: [2, 3], sample: normal}}
"""
    found = fates(folder, case)
    assert set(found) == {"dout/dx", "dout/da.weight", "dout/da.bias"}
    assert "the last row is zero" in found["dout/da.weight"][0]
    assert not set().union(*(survived for _, survived in found.values()))


def test_complex_numbers(folder):
    case = """
function: {python: "mod:conjugate_product"}
inputs: {z: {shape: [4], sample: normal}, w: {shape: [4], sample: normal}}
dtypes: complex128
"""
    found = fates(folder, case)
    of_parts = {
        "the complex conjugate",
        "without its imaginary part",
        "the derivative's factor is conjugated",
    }
    others = {"dout/dz": "w", "dout/dw": "z"}
    assert set(found) == set(others)
    for quantity, other in others.items():
        assert found[quantity] == (
            OF_A_BACKWARD | of_parts | {f"that by {other} in its place"},
            set(),
        )


def test_where_no_point_can_be_written_none_is_told(folder):
    case = """
function: {python: "mod:square"}
inputs: {x: [0, 0, 0]}
dtypes: complex128
"""
    (one, *_) = survivors(folder, case).values()
    assert not one.inputs


def test_sparse_gradients(folder):
    case = """
function: {python: "mod:Embedding"}
constants: {indices: [0, 2, 3, 2]}
inputs: {weight: {shape: [4, 3], sample: normal}}
"""
    noticed, survived = fates(folder, case)["dout/dweight"]
    assert noticed == BY_A_MATRIX
    assert not survived


def test_a_place_that_no_index_reaches_lets_a_zero_there_survive(folder):
    case = """
function: {python: "mod:Embedding"}
constants: {indices: [0, 2, 2]}
inputs: {weight: {shape: [4, 2], sample: normal}}
"""
    # By a weight, whatever it is: with other indices it would be wrong, and they are constants.
    noticed, survived = fates(folder, case)["dout/dweight"]
    assert "the last row is zero" not in noticed | survived


def test_of_the_sizes_one_has_to_notice(folder):
    case = """
function: {python: "mod:square"}
sizes: {n: [1, 4]}
inputs: {x: {shape: [n], sample: "uniform(-3, 3)"}}
"""
    ((quantity, found),) = fates(folder, case).items()
    assert (quantity, found) == ("dout/dx", (OF_A_BACKWARD, set()))


# -- weak cases -----------------------------------------------------------------------------------


def test_zero_inputs_hide_nearly_everything(folder):
    case = 'function: {python: "mod:square"}\ninputs: {x: [0, 0, 0]}'
    found = survivors(folder, case)
    assert set(found) == OF_A_BACKWARD - {"the cotangent is passed on", "1 is added"}
    assert {one.reason for one in found.values()} == {EQUAL}
    assert all(one.inputs for one in found.values())


def test_symmetric_values_hide_their_order(folder):
    case = """
function: {python: "mod:loss"}
derivatives: {x: {python: "mod:d_loss"}}
inputs: {x: [-1, 2, -1]}
"""
    assert set(survivors(folder, case)) == {"reversed along axis 0"}


def test_a_derivative_of_one_hides_powers(folder):
    case = """
function: {python: "mod:loss"}
derivatives: {x: {python: "mod:d_loss"}}
inputs: {x: [0.5]}
"""
    found = survivors(folder, case)
    assert set(found) == {"ones", "the absolute value", "clipped to [-1, 1]", "squared"}
    # One entry has no order, and no mean that is another than its sum.
    assert {one.wrong for one in outcomes(folder, case)} == ENTRYWISE | {"ones"}


def test_the_point_that_is_told_notices_it(folder):
    case = 'function: {python: "mod:loss"}\ninputs: {x: [0.5]}'
    one = survivors(folder, case)["ones"]
    assert one.reason == EQUAL
    x = one.inputs["x"].array("", 0).tolist()
    assert "ones" not in survivors(folder, case + f"\npoints: [{{}}, {{inputs: {{x: {x}}}}}]")


def test_what_is_too_small_to_be_seen_survives_for_that_reason(folder):
    case = 'function: {python: "mod:loss"}\ninputs: {x: [4.0, 1e-18]}'
    found = survivors(folder, case)
    assert "the last entry is zero" in found
    for one in found.values():
        assert one.reason.startswith("within the resolution of ")
        assert one.inputs


def test_in_a_coarse_dtype_a_pass_may_hide_what_is_not_linear(folder):
    case = """
function: {python: "mod:product"}
inputs: {x: {shape: [3, 6], sample: normal}, w: {shape: [6, 4], sample: normal}}
dtypes: bfloat16
"""
    hidden = survivors(folder, case + "conditions: none")
    reason = "within what rounding does to a pass with random cotangents"
    assert hidden["the cotangent is squared"].reason == reason
    assert set(survivors(folder, case)) < set(hidden)


@pytest.mark.parametrize("conditions", ["", "conditions: [linear]", "conditions: none"])
def test_a_condition_notices_what_no_number_tells(folder, conditions):
    """At a gradient of ½ and a cotangent of at most 1½ nothing is clipped."""
    case = f"""
function: {{python: "mod:swish"}}
inputs: {{x: [0.0, 0.0]}}
{conditions}
"""
    has_them = conditions != "conditions: none"
    assert ("clipped to [-1, 1]" in survivors(folder, case)) != has_them


def test_the_gradient_of_a_neighbour_with_the_same_values(folder):
    case = """
function: {python: "mod:two"}
inputs: {x: [0.3, -1.2, 0.5], h: [0.3, -1.2, 0.5]}
"""
    found = survivors(folder, case)
    assert set(found) == {"that by h in its place", "that by x in its place"}


# -- what cannot be looked at ---------------------------------------------------------------------


def run(folder, case, *options):
    arguments = ["mutate", str(written(folder, case)), *options]
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


ALLOWED = ("--allow-import", NAME)
RAISING = f"""
function: {{python: "mod:scale"}}
backward: {{python: "mod:raising_backward"}}
inputs: {INPUTS}
"""
LARGE = 'function: {python: "mod:square"}\ninputs: {x: {shape: [2000], sample: normal}}'


def test_a_backward_that_raises_does_not_pass(folder):
    with pytest.raises(NotPassingError, match="the backward raises ValueError: not written yet"):
        outcomes(folder, RAISING)
    found = run(folder, RAISING, *ALLOWED)
    assert found.return_value == 1
    assert "left out" in found.output


def test_a_derivative_that_is_wrong_does_not_pass(folder):
    case = 'function: {python: "mod:square"}\nderivatives: {x: x}\ninputs: {x: [1.0, 2.0]}'
    with pytest.raises(NotPassingError, match="dout/dx is wrong at point 1"):
        outcomes(folder, case)


@pytest.mark.parametrize("conditions", ["", "conditions: [-direct_backward]"])
def test_a_case_whose_conditions_do_not_hold_does_not_pass(folder, conditions):
    case = f"""
function: {{python: "mod:Unsummed"}}
reference: x*weight
inputs: {INPUTS}
{conditions}
"""
    if conditions:
        assert {one.fate for one in outcomes(folder, case)} == {"noticed"}
        return
    with pytest.raises(NotPassingError) as error:
        outcomes(folder, case)
    assert str(error.value) == "condition direct_backward does not hold at point 1"


def test_a_function_that_raises_is_told(folder):
    case = 'function: {python: "mod:scale"}\ninputs: {x: [1.0, 2.0], weight: [1.0, 2.0, 3.0]}'
    with pytest.raises(NotPassingError, match="at point 1: RuntimeError"):
        outcomes(folder, case)


def test_nan_is_no_derivative(folder):
    case = 'function: {python: "mod:root"}\ninputs: {x: [1.0, -1.0]}'
    with pytest.raises(NotPassingError):
        outcomes(folder, case)


def test_a_large_jacobian_is_left_out_and_nothing_fails(folder):
    with pytest.raises(LeftOutError):
        outcomes(folder, LARGE)
    found = run(folder, LARGE, *ALLOWED)
    assert found.return_value == 0
    assert "too large" in found.output


def test_a_size_that_is_not_large_is_looked_at(folder):
    case = """
function: {python: "mod:square"}
sizes: {n: [3, 2000]}
inputs: {x: {shape: [n], sample: "uniform(-3, 3)"}}
"""
    assert {one.fate for one in outcomes(folder, case)} == {"noticed"}


def test_nothing_is_imported_that_is_not_allowed(folder):
    found = run(folder, LARGE)
    assert found.return_value == 1
    assert f"`{NAME}` may not be imported" in found.output
    assert NAME not in sys.modules


def test_records(folder):
    case = 'function: {python: "mod:square"}\ninputs: {x: [0.0, 1.0]}'
    found = run(folder, case, *ALLOWED, "--jsonl", "r.jsonl", "-q")
    assert found.exception is None, found.output
    records = [json.loads(line) for line in (folder / "r.jsonl").read_text("utf-8").splitlines()]
    assert {(r["quantity"], r["formula"], r["line"]) for r in records} == {
        ("dout/dx", f"{NAME}:square", 3)
    }
    by_name = {r["wrong"]: r for r in records}
    assert by_name["zero"]["fate"] == "noticed"
    assert by_name["the absolute value"]["fate"] == "noticed"


def test_a_survivor_is_printed_with_its_point(folder):
    case = """
function: {python: "mod:loss"}
derivatives: {x: {python: "mod:d_loss"}}
inputs: {x: [0.5]}
"""
    lines = run(folder, case, *ALLOWED).output.splitlines()
    start = lines.index(f"      4 | {NAME}:d_loss  (dout/dx)")
    assert set(lines[start + 1].removeprefix("  wrong | ").split("; ")) == {
        *("ones", "the absolute value", "clipped to [-1, 1]", "squared"),
    }
    assert lines[start + 2] == f"  {EQUAL}"
    assert lines[start + 6].startswith("      - {inputs: {x: [")


# -- that they are what wrong code does -----------------------------------------------------------


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def last_lost(x):
    found = x.clone()
    found[(-1,) * x.ndim] = 0
    return found


def row_lost(x):
    return torch.cat([x[:-1], torch.zeros_like(x[-1:])])


def first_of_batch(g):
    return torch.cat([g[:1], torch.zeros_like(g[1:])])


AFTER = {
    "the sign is changed": torch.neg,
    "twice as much": lambda x: 2 * x,
    "half as much": lambda x: x / 2,
    "zero": torch.zeros_like,
    "the absolute value": torch.abs,
    "clipped to [-1, 1]": lambda x: x.clamp(-1, 1),
    "1 is added": lambda x: x + 1,
    "squared": torch.square,
    "reversed along axis 0": lambda x: x.flip(0),
    "rolled by one along axis 0": lambda x: x.roll(1, 0),
    "summed along axis 0": lambda x: x.sum(0, keepdim=True).expand_as(x),
    "transposed": lambda x: x.mT,
    "the last entry is zero": last_lost,
    "the last row is zero": row_lost,
}
BEFORE = {
    "the cotangent is ignored": torch.ones_like,
    "the cotangent is squared": torch.square,
    "only the cotangent's sign counts": torch.sign,
    "the last entry of the cotangent does not count": last_lost,
    "of the cotangent only the first along axis 0 counts": first_of_batch,
}
X, W, B = drawn(3, 3), drawn(3, 3, seed=1), drawn(3, seed=2)


def product(x, w, b):
    return torch.tanh(x) @ w * b


def vjp(g, *arguments):
    return torch.func.vjp(product, *arguments)[1](g)


def described(kind, function, which):
    """The right answer, and its frame, of the derivative by one of the inputs."""
    answer = (Reverse if kind == "backward" else Forward)(function)
    block = blocks(function)[which]
    return answer, Frame.of(block, kind, answer.of(block))


def by_name(frame, function):
    return {one.what: one for one in changes(frame, 1e-6, blocks(function))}


@pytest.mark.parametrize("which", [0, 2])
@pytest.mark.parametrize("what", [*AFTER, *BEFORE])
def test_a_change_of_a_backward_is_what_code_with_that_mistake_gives(what, which):
    before, after = BEFORE.get(what, lambda g: g), AFTER.get(what, lambda x: x)

    def backward(g, x, w, b):
        found = list(vjp(g, x, w, b))
        found[which] = after(vjp(before(g), x, w, b)[which])
        return tuple(found)

    with checking():
        function = PythonFunction(product, (X, W, B))
        answer, frame = described("backward", function, which)
        change = by_name(frame, function).get(what)
        if change is None:  # as of a vector that is transposed
            assert (what, which) in {
                ("transposed", 2),
                ("the last row is zero", 2),
                ("of the cotangent only the first along axis 0 counts", 0),
            }
            return
        right, wrong = (
            Wrong(answer, frame, by_name(frame, function)["twice as much"]),
            Wrong(answer, frame, change),
        )
        coded = Reverse(function.with_function(WithPasses(function, backward)))
        np.testing.assert_allclose(wrong.of(frame.block), coded.of(frame.block), atol=1e-14)
        assert wrong.is_told_by_passes == bool(coded.nonlinearity(1e-6))
        assert not right.is_told_by_passes
        held = is_told_by(CHEAP, function, frame.block, change)
        subject = Subject(function.with_function(WithPasses(function, backward)))
        assert held == any(any(TABLE[name](subject)) for name in CHEAP)


def test_a_change_of_a_jvp_is_what_code_with_that_mistake_gives():
    def jvp(dx, dw, db, x, w, b):
        h = torch.tanh(x)
        return ((1 - h**2) * dx) @ w * b + h @ dw * b + (h @ w * db).flip(0)

    with checking():
        function = PythonFunction(product, (X, W, B))
        answer, frame = described("jvp", function, 2)
        wrong = Wrong(answer, frame, by_name(frame, function)["reversed along axis 0"])
        coded = Forward(function.with_function(WithPasses(function, jvp=jvp)))
        np.testing.assert_allclose(wrong.of(frame.block), coded.of(frame.block), atol=1e-14)


SHAPES = [
    ((), ()),
    ((1,), (1,)),
    ((), (3,)),
    ((2,), ()),
    ((2,), (2,)),
    ((4, 3), (3,)),
    ((3,), (4, 3)),
    ((2, 2), (2, 2)),
    ((2, 3), (1, 3)),
    ((2, 1, 3), (3, 1)),
]


@pytest.mark.parametrize("kind", ["backward", "jvp"])
@pytest.mark.parametrize(("output", "input"), SHAPES, ids=str)
def test_of_every_shape_there_are_ten_and_none_is_right_by_its_shape(output, input, kind):
    matrix = drawn(math.prod(output), math.prod(input), seed=3)

    def linear(x):
        return (matrix @ x.reshape(-1)).reshape(output)

    with checking():
        function = PythonFunction(linear, drawn(*input, seed=4))
        answer, frame = described(kind, function, 0)
        found = changes(frame, 1e-6, blocks(function))
        wrongs = [(one.what, Wrong(answer, frame, one)) for one in found]
        right = answer.of(frame.block)
        same = [
            what
            for what, wrong in wrongs
            if np.array_equal(wrong.of(frame.block), right) and wrong.is_same_in_passes
        ]
    assert len(found) >= 10
    assert len({one.what for one in found}) == len(found)
    # Numbers may be below 1, or positive, wherever their shape allows others.
    assert set(same) <= {"clipped to [-1, 1]", "the absolute value"}


def test_of_nothing_there_is_none():
    with checking():
        function = PythonFunction(torch.sin, torch.zeros(0, dtype=torch.float64))
        _, frame = described("backward", function, 0)
        assert changes(frame, 1e-6) == []


class Known:
    """An answer of numbers that are known, with an error."""

    notes = ()
    widened = None

    def __init__(self, found, radius):
        self.found, self.radius = np.array(found), np.array(radius)

    def of(self, block):
        return self.found

    def rounded_of(self, block):
        return Ball(self.found, self.radius, "estimated")


def test_errors_go_the_way_of_the_numbers_and_what_is_not_finite_has_none():
    with checking():
        function = PythonFunction(torch.sin, torch.ones(4, dtype=torch.float64))
        (block,) = blocks(function)
        diagonal = np.diag([math.nan, -math.inf, 3.0, 5.0])
        known = Known(diagonal, np.diag([0.0, 0.0, math.inf, 0.5]))
        frame = Frame(block, "derivative", is_diagonal=True)
        named = by_name(frame, function)

        def found(what):
            ball = Wrong(known, frame, named[what]).rounded_of(block)
            return list(chain(ball.midpoint.diagonal(), ball.radius.diagonal()))

        nan, inf = math.nan, math.inf
        np.testing.assert_equal(found("twice as much"), [nan, -inf, 6, 10, 0, 0, inf, 1])
        np.testing.assert_equal(found("the sign is changed"), [nan, inf, -3, -5, 0, 0, inf, 0.5])
        np.testing.assert_equal(found("zero"), [0] * 8)
        np.testing.assert_equal(found("reversed along axis 0"), [5, 3, -inf, nan, 0.5, inf, 0, 0])
        np.testing.assert_equal(found("the last entry is zero"), [nan, -inf, 3, 0, 0, 0, inf, 0])
        np.testing.assert_equal(found("clipped to [-1, 1]"), [nan, -1, 1, 1, 0, 0, 2, 0])
