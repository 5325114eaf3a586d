"""Cases whose function is in Python, from the file to the verdict."""

import json
import os
import sys

import pytest
import torch
from click.testing import CliRunner

from gradcheck import kernels
from gradcheck.beside import Beside
from gradcheck.casefile.load import load
from gradcheck.cli import cli
from gradcheck.function_check import judge_function
from gradcheck.imports import Imports
from gradcheck.jobs import jobs
from gradcheck.place import Place
from gradcheck.plan import Plan, judge_plan
from gradcheck.python_function import PythonFunction
from gradcheck.references import reference_of
from gradcheck.runner import run
from gradcheck.settings import Settings
from gradcheck.torch_state import checking

MODULE = """
import torch
from torch import nn


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, power=1):
        ctx.save_for_backward(x, weight)
        ctx.power = power
        return x * weight**power

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        p = ctx.power
        return g * weight**p, (g * x * p * weight**(p - 1)).sum(0), None


def scale_backward(dout, x, weight, power):
    return dout * weight**power, (dout * x * power * weight**(power - 1)).sum(0)


def scale_backward_wrong(dout, x, weight, power):
    return dout * weight**power, (dout * x * weight**(power - 1)).sum(0)


def swish(x, mean=0.0):
    return (x - mean) * torch.sigmoid(x - mean)


def d_swish(x):
    s = torch.sigmoid(x)
    return s + x * s * (1 - s)


def swish_jvp(dx, x):
    return dx * d_swish(x)


def swish_jvp_of_sizes(dx, x):
    return dx.abs() * d_swish(x)


def raising(x):
    return _inner(x)


def _inner(x):
    raise ValueError("grid too large")


def narrow(x):
    if x.dtype != torch.float32:
        raise TypeError("float32 only")
    return x * x


def two(x, h):
    return {"h": torch.tanh(x + h), "c": (x * h, 3)}


class Net(nn.Module):
    def __init__(self, hidden=3):
        super().__init__()
        self.a = nn.Linear(3, hidden)
        self.norm = nn.BatchNorm1d(hidden)

    def forward(self, x, gain=1.0):
        return gain * torch.tanh(self.norm(self.a(x)))


net = Net()
NUMBER = 3


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.seq = nn.Sequential(nn.Tanh(), nn.Linear(2, 2))

    def forward(self, x):
        return self.seq(x)


cut = Cut()


def cut_plainly(a, seq_1_bias, seq_1_weight):
    return torch.tanh(a) @ seq_1_weight.T + seq_1_bias


def d_bias(x):
    return torch.eye(2, dtype=x.dtype).expand(len(x), 2, 2)


class CE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, target):
        p = logits.softmax(-1)
        ctx.save_for_backward(p, target)
        return -p.gather(-1, target[:, None]).log().sum()

    @staticmethod
    def backward(ctx, g):
        p, target = ctx.saved_tensors
        return g * p.scatter_add(-1, target[:, None], -torch.ones_like(p)), None


def reference_fn(z, t):
    return nn.functional.cross_entropy(z, t, reduction="sum")


def reference_of_three(z, t, w):
    return z


def swapped(target, z):
    return z


def kind(x, table, number, other):
    assert (table.dtype, number.dtype, other.dtype) == (torch.int64, torch.int64, x.dtype)
    return x[table] * number * other.sum()


def power(weight, x):
    return weight * x**2


def plain_power(a, b):
    return a * b**2


def dropout(x):
    return torch.nn.functional.dropout(x, 0.5)


@torch.library.custom_op("gradcheck_tests::cube", mutates_args=())
def cube(x: torch.Tensor, factor: float) -> torch.Tensor:
    return factor * x**3


@cube.register_fake
def _(x, factor):
    return torch.empty_like(x)


def _setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])
    ctx.factor = inputs[1]


cube.register_autograd(
    lambda ctx, g: (3 * ctx.factor * g * ctx.saved_tensors[0] ** 2, None), setup_context=_setup
)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "kernels_under_test.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("kernels_under_test", None)


def results(folder, case, *options):
    """The records of a case, written as the lines below its name, by quantity."""
    path = folder / "k.grad.yaml"
    body = "\n".join(f"    {line}" for line in case.strip().splitlines())
    path.write_text(f"cases:\n  k:\n{body}\n".replace("mod:", "kernels_under_test:"), "utf-8")
    found = CliRunner().invoke(
        cli,
        ["run", str(path), "--jsonl", "r.jsonl", "--allow-import", "kernels_under_test", *options],
        standalone_mode=False,
    )
    assert found.exception is None, found.output
    records = [json.loads(line) for line in (folder / "r.jsonl").read_text("utf-8").splitlines()]
    return {r["quantity"]: r for r in records}, found


def verdicts(folder, case):
    return {q: (r["verdict"], r["blame"]) for q, r in results(folder, case)[0].items()}


SCALE = """
function: {python: "mod:Scale", arguments: {power: 2}}
reference: x*weight**2
inputs: {x: {shape: [4, 3], sample: normal}, weight: {shape: [3], sample: positive}}
"""


def test_an_autograd_function_with_a_reference_and_a_backward_in_every_dtype(folder):
    dtypes = "dtypes: [float64, float32, float16, bfloat16]\nbackward: {python: mod:scale_backward}"
    path_results, found = results(folder, SCALE + dtypes)
    assert found.return_value == 0, found.output
    assert set(path_results) == {
        "out",
        "dout/dx",
        "dout/dweight",
        "dout/dx (backward)",
        "dout/dweight (backward)",
        "conditions",
        "conditions (backward)",
    }
    lines = (folder / "r.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["dtype"] for line in lines} == {
        "float64",
        "float32",
        "float16",
        "bfloat16",
    }


def test_a_wrong_backward_in_python_is_told_with_its_line_and_name(folder):
    case = SCALE + "backward: {python: mod:scale_backward_wrong}\nconditions: none"
    records, found = results(folder, case)
    bad = records["dout/dweight (backward)"]
    assert (bad["verdict"], bad["blame"], bad["line"]) == ("fail", "handwritten", 6)
    assert bad["formula"] == "kernels_under_test:scale_backward_wrong"
    assert "k.grad.yaml:6" in found.output
    assert "--allow-import kernels_under_test" in found.output
    assert records["dout/dx (backward)"]["verdict"] == "pass"


def test_formulas_of_a_derivative_without_a_reference(folder):
    case = """
function: {python: "mod:swish"}
inputs: {x: {shape: [5], sample: normal}}
conditions: none
derivatives:
  x:
    - sigmoid(x) + x*sigmoid(x)*(1 - sigmoid(x))
    - sigmoid(x) + out*(1 - sigmoid(x))
    - {python: "mod:d_swish"}
    - sigmoid(x)
"""
    path = folder / "k.grad.yaml"
    _, found = results(folder, case)
    lines = (folder / "r.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [(r["verdict"], r["formula"]) for r in records] == [
        ("pass", "sigmoid(x) + x*sigmoid(x)*(1 - sigmoid(x))"),
        ("pass", "sigmoid(x) + out*(1 - sigmoid(x))"),
        ("pass", "kernels_under_test:d_swish"),
        ("fail", "sigmoid(x)"),
    ]
    assert f"{path.name}:11" in found.output


def test_formulas_beside_a_reference_are_claims_on_it(folder):
    lines = "conditions: none\nbackward: {dx: dout*weight**2, dweight: 'sum(dout*x, 0)'}"
    records, _ = results(folder, SCALE + lines)
    assert (records["dx"]["verdict"], records["dx"]["truth"]) == ("pass", "exact")
    assert (records["dweight"]["verdict"], records["dweight"]["blame"]) == ("fail", "handwritten")
    assert records["dout/dweight"]["verdict"] == "pass"


def test_a_jvp_in_python(folder):
    case = """
function: {python: "mod:swish"}
inputs: {x: {shape: [5], sample: normal}}
jvp: {python: "mod:swish_jvp"}
conditions: none
"""
    assert verdicts(folder, case)["dout/dx (jvp)"] == ("pass", "")


def test_a_jvp_in_python_that_is_not_linear_in_its_tangent(folder):
    case = """
function: {python: "mod:swish"}
inputs: {x: {shape: [5], sample: normal}}
jvp: {python: "mod:swish_jvp_of_sizes"}
conditions: none
"""
    told = verdicts(folder, case)["condition linear (jvp)"]
    assert told == ("fail", "handwritten")


def test_an_input_may_be_called_as_a_word_is(folder):
    case = """
function: {python: "mod:swish"}
inputs: {x: {shape: [5], sample: normal}, mean: 0.5}
conditions: none
"""
    assert verdicts(folder, case) == {"dout/dx": ("pass", ""), "dout/dmean": ("pass", "")}


def test_an_exception_in_the_users_code_is_that_cases_error_with_its_own_lines(folder):
    records, found = results(folder, 'function: {python: "mod:raising"}\ninputs: {x: 1.0}')
    (record,) = records.values()
    assert (record["verdict"], record["blame"]) == ("error", "function")
    (note,) = record["notes"]
    inner, outer = (
        MODULE.splitlines().index(line) + 1
        for line in ('    raise ValueError("grid too large")', "    return _inner(x)")
    )
    assert note == (
        f"ValueError: grid too large, from kernels_under_test.py:{inner} in _inner, "
        f"from kernels_under_test.py:{outer} in raising"
    )
    assert "Traceback" not in found.output


def test_a_function_that_has_float32_only(folder):
    case = """
function: {python: "mod:narrow"}
reference: x**2
inputs: {x: {shape: [3], sample: normal}}
dtypes: float32
"""
    assert set(verdicts(folder, case).values()) == {("pass", "")}


def test_several_nested_outputs(folder):
    inputs = """
function: {python: "mod:two"}
inputs: {x: {shape: [3], sample: normal}, h: {shape: [3], sample: normal}}
conditions: none
"""
    assert set(verdicts(folder, inputs)) == {
        "dout['h']/dx",
        "dout['h']/dh",
        "dout['c'][0]/dx",
        "dout['c'][0]/dh",
    }
    reference = inputs.replace("x: {shape", "x: {shape") + (
        "reference: {h_next: tanh(x + h), c: x*h}\noutputs: [h_next, c]\n"
        "derivatives: {dh_next/dx: 1 - h_next**2}"
    )
    assert set(verdicts(folder, reference).values()) == {("pass", "")}


def test_a_module_is_made_with_its_arguments_and_has_parameters_as_inputs(folder):
    case = """
function: {python: "mod:Net", init: {hidden: 2}, arguments: {gain: 0.5}}
inputs: {x: {shape: [5, 3], sample: normal}, a_weight: {shape: [2, 3], sample: normal}}
"""
    found = verdicts(folder, case)
    assert set(found.values()) == {("pass", "")}
    assert {"dout/dx", "dout/da.weight", "dout/da.bias", "dout/dnorm.weight"} <= set(found)


CUT = """
function: {python: "mod:Cut"}
inputs:
  x: {shape: [3, 2], sample: normal}
  seq_1_weight: {shape: [2, 2], sample: normal}
  seq_1_bias: [1, 2]
conditions: none
"""


def test_a_derivative_by_a_parameter_is_called_as_in_the_file_or_as_in_reports(folder):
    eye = "[[[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 1]]]"
    for key in ("seq_1_bias", "dout/dseq_1_bias", "dout/dseq.1.bias"):
        records, found = results(folder, f"{CUT}derivatives: {{{key}: '{eye}'}}")
        assert found.return_value == 0, found.output
        assert records["dout/dseq.1.bias"]["formula"] == eye
    found = verdicts(folder, CUT + f"derivatives: {{seq_1_bias: '{eye.replace('1', '2')}'}}")
    assert found["dout/dseq.1.bias"] == ("fail", "handwritten")
    by_function = CUT + "reference: tanh(x) @ seq_1_weight.T + seq_1_bias\n"
    by_function += 'derivatives: {seq_1_bias: {python: "mod:d_bias"}}'
    assert verdicts(folder, by_function)["dout/dseq.1.bias"] == ("pass", "")


def test_a_module_equals_an_instance_of_one_in_every_dtype(folder):
    case = CUT + 'dtypes: [float64, float32]\nreference: {python: "mod:cut"}'
    assert verdicts(folder, case.replace("mod:Cut", "mod:cut")) == {
        "out": ("pass", ""),
        "dout/dx": ("pass", ""),
        "dout/dseq.1.weight": ("pass", ""),
        "dout/dseq.1.bias": ("pass", ""),
    }


# A cross entropy, whose target is whole numbers

CE = """
function: {python: "mod:CE"}
constants: {target: [2, 0, 1]}
inputs: {logits: {shape: [3, 4], sample: normal}}
conditions: none
"""
RIGHT = {"out": ("pass", ""), "dout/dlogits": ("pass", "")}


@pytest.mark.parametrize(
    "reference",
    [
        "-sum(gather(log_softmax(logits, -1), 1, unsqueeze(target, -1)))",
        "-sum(one_hot(target, 4) * log_softmax(logits, -1))",
    ],
)
def test_a_constant_that_is_written_in_whole_numbers_is_of_whole_numbers(folder, reference):
    assert verdicts(folder, f'{CE}reference: "{reference}"') == RIGHT
    as_floats = CE.replace("[2, 0, 1]", "[2.0, 0, 1]")
    ((verdict, blame),) = verdicts(folder, f'{as_floats}reference: "{reference}"').values()
    assert (verdict, blame) == ("error", "function")


def test_numbers_with_a_point_and_inputs_are_of_the_cases_dtype(folder):
    case = """
function: {python: "mod:kind"}
constants: {table: [[1, 0], [0, 0]], number: 3, other: [2.0, 1]}
inputs: {x: [1, 2]}
dtypes: [float64, bfloat16]
conditions: none
"""
    assert verdicts(folder, case) == {"dout/dx": ("pass", "")}


def test_a_reference_in_python_is_called_in_order_where_its_parameters_have_other_names(folder):
    assert verdicts(folder, f'{CE}reference: {{python: "mod:reference_fn"}}') == RIGHT
    for function in ("power", "plain_power"):
        case = f"""
function: {{python: "mod:power"}}
reference: {{python: "mod:{function}"}}
inputs: {{x: [1, 2], weight: [3, 4]}}
conditions: none
"""
        assert set(verdicts(folder, case).values()) == {("pass", "")}
    by_order = CUT.replace("mod:Cut", "mod:cut")  # whose parameters are weight, bias
    records, _ = results(folder, f'{by_order}reference: {{python: "mod:cut_plainly"}}')
    (record,) = records.values()
    assert record["notes"] == [
        "`kernels_under_test:cut_plainly` has no parameter `x`: it has a, seq_1_bias, seq_1_weight"
    ]


def test_an_instance_of_a_module_stays_as_it_was(folder):
    case = """
function: {python: "mod:net"}
inputs: {x: {shape: [5, 3], sample: normal}, a_bias: [1, 2, 3]}
"""
    assert set(verdicts(folder, case).values()) == {("pass", "")}
    imports = Imports.of(["kernels_under_test"], str(folder))
    listed = jobs(load(folder / "k.grad.yaml").cases, imports=imports)
    assert {r.verdict for job in listed for r in run(job)} == {"pass"}
    net = sys.modules["kernels_under_test"].net
    assert net.norm.num_batches_tracked == 0
    assert not torch.equal(net.a.bias, torch.tensor([1.0, 2.0, 3.0]))
    assert net.a.weight.dtype is torch.float32


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            'function: {python: "mod:net"}\ninputs: {x: [[1, 2, 3]], a_bias: [1, 2]}',
            "the module's `a_bias` has shape [3], but its value [2]",
        ),
        (
            'function: {python: "mod:swish"}\ninputs: {x: 1.0, maen: 2.0}',
            "`kernels_under_test:swish` has no parameter `maen`: did you mean `mean`?",
        ),
        (
            'function: {python: "mod:swish", init: {a: 1}}\ninputs: {x: 1.0}',
            "`init` is for the class of a module",
        ),
        (
            'function: {python: "mod:NUMBER"}\ninputs: {x: 1.0}',
            "`kernels_under_test:NUMBER` is no function: it is of type int",
        ),
        (
            'function: {python: "mod:swihs"}\ninputs: {x: 1.0}',
            "`kernels_under_test` has no `swihs`: did you mean `swish`?",
        ),
        (
            f'{CE}reference: {{python: "mod:reference_of_three"}}',
            "`kernels_under_test:reference_of_three` has no parameter `logits`: it has z, t, w",
        ),
        (
            f'{CE}reference: {{python: "mod:swapped"}}',
            "`kernels_under_test:swapped` has no parameter `logits`: it has target, z",
        ),
        (
            'function: {python: "mod:cut"}\ninputs: {x: [[1, 2]]}\nreference: {python: "mod:Net"}',
            "a reference is a function, and `kernels_under_test:Net` is the class of a module: an "
            "instance of one works",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(folder, case, message):
    records, found = results(folder, case)
    assert [(r["verdict"], r["notes"]) for r in records.values()] == [("error", [message])]
    assert found.return_value == 1


def test_a_custom_operator(folder):
    case = """
function: {python: "mod:cube", arguments: {factor: 0.5}}
reference: x**3/2
inputs: {x: {shape: [5], sample: normal}}
conditions: [all, opcheck]
"""
    records, _ = results(folder, case)
    assert {r["verdict"] for r in records.values()} == {"pass"}


def test_randomness_is_fixed_where_that_is_asked_for(folder):
    case = 'function: {python: "mod:dropout"}\ninputs: {x: {shape: [50], sample: normal}}'
    assert verdicts(folder, case) == {"condition deterministic": ("fail", "function")}
    before = torch.random.get_rng_state()
    assert set(verdicts(folder, case + "\nrng: fixed").values()) == {("pass", "")}
    assert torch.equal(before, torch.random.get_rng_state())


def test_conditions_are_chosen_by_name(folder):
    case = 'function: {python: "mod:swish"}\ninputs: {x: 0.5}\nconditions: [linear, -linear]'
    assert set(verdicts(folder, case)) == {"dout/dx"}
    one = case.replace("[linear, -linear]", "linear")
    records, _ = results(folder, one)
    assert records["conditions"]["notes"] == ["1 hold: linear"]


def test_a_case_that_raises_takes_no_other_with_it(folder):
    path = folder / "k.grad.yaml"
    path.write_text(
        """cases:
  a: {function: {python: "kernels_under_test:raising"}, inputs: {x: 1.0}}
  b: {function: {python: "kernels_under_test:swish"}, inputs: {x: 1.0}}
  c: {function: {python: "not_allowed:swish"}, inputs: {x: 1.0}}
  d: {function: x**2, inputs: {x: 1.0}, derivatives: {x: 2*x}}
""",
        "utf-8",
    )
    imports = Imports.of(["kernels_under_test"], str(folder))
    listed = list(jobs(load(path).cases, imports=imports))
    found = {job.case.name: {r.verdict for r in run(job)} for job in listed}
    assert found == {"a": {"error"}, "b": {"pass"}, "c": {"error"}, "d": {"pass"}}


def test_explain_shows_a_function_in_python(folder):
    results(folder, SCALE)
    arguments = ["explain", "k.grad.yaml", "--allow-import", "kernels_under_test"]
    found = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert found.exception is None, found.output
    assert "x*weight**2" in found.output
    assert "reference" in found.output


# -- another device ----------------------------------------------------------------------------


def test_the_answer_of_the_cpu_stands_beside_one_that_is_wrong():
    """As a kernel that is wrong on its device only; here both are functions on the CPU."""
    x = torch.tensor([0.3, -1.2], dtype=torch.float64)

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0].cos()

    with checking():
        at, beside = PythonFunction(Wrong.apply, x), PythonFunction(torch.sin, x)
        (fields,) = judge_plan(at, Plan(beside=Beside(lambda: lambda: beside)))
        assert (fields["verdict"], fields["blame"]) == ("fail", "autograd")
        answers = fields["entries"][0].answers
        assert answers["cpu"].value == pytest.approx(float(x[fields["entries"][0].index[0]].cos()))
        never = Beside(lambda: pytest.fail("what is right is asked for on the CPU too"))
        (right,) = judge_function(beside, Settings(), beside=never)
        assert right["verdict"] == "pass"


class Doubled(torch.autograd.Function):
    """The sine, whose backward has one entry that is twice what it should be."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        found = g * x.cos()
        found[7] *= 2
        return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("reference", [None, "sin(x)"])
def test_so_it_does_where_there_are_many_entries(dtype, reference):
    x = torch.linspace(-1, 1, 3_000, dtype=dtype)
    made = None if reference is None else reference_of(reference, x, False)
    with checking():
        at = PythonFunction(lambda x: Doubled.apply(x), x)
        beside = Beside(lambda: lambda: PythonFunction(torch.sin, x))
        *_, fields = judge_plan(at, Plan(reference=made, beside=beside))
    assert fields["verdict"] == "fail"
    assert all("cpu" in entry.answers for entry in fields["entries"])
    answers = fields["entries"][0].answers
    assert answers["cpu"].value == pytest.approx(answers[fields["truth"]].value, rel=1e-3)
    assert answers["autograd"].value == pytest.approx(2 * answers["cpu"].value, rel=1e-3)


class NotThere(torch.autograd.Function):
    """The sine, whose kernels ask not where their data are: of a backward, or of both."""

    action = staticmethod(lambda: None)

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        NotThere.action()
        return g * ctx.saved_tensors[0].cos()


def fails():
    raise ValueError("no such pointer here")


@pytest.mark.parametrize("action", [fails, lambda: os.kill(os.getpid(), 9)])
def test_what_does_not_run_on_the_cpu_is_not_seen_there(action, monkeypatch):
    x = torch.tensor([0.3, -1.2], dtype=torch.float64)

    def forward(x):
        action()
        return x.sin()

    with checking():
        at = PythonFunction(lambda x: Doubled.apply(x.repeat(8)), x)
        monkeypatch.setattr(NotThere, "action", staticmethod(action))
        for function in (forward, NotThere.apply):
            beside = Beside(lambda function=function: lambda: PythonFunction(function, x))
            (fields,) = judge_plan(at, Plan(beside=beside))
            assert fields["verdict"] == "fail"
            assert "cpu" not in fields["entries"][0].answers


def test_on_another_device_the_function_is_called_there_and_on_the_cpu(folder, monkeypatch):
    """The devices are made up: the place is told to be elsewhere, its tensors stay."""
    results(folder, SCALE)
    (case,) = load(folder / "k.grad.yaml").cases
    imports = Imports.of(["kernels_under_test"], str(folder))
    with checking():
        place = Place.at(case, case.points[0], "float64", "cpu")
        check = kernels._Check(place, imports)
        assert check._beside() is None
        monkeypatch.setattr(kernels, "CPU", torch.device("meta"))
        assert check._beside().function is None  # which has no values there


@pytest.mark.usefixtures("cuda")
def test_a_function_on_cuda_and_on_the_cpu(folder):
    records, found = results(folder, SCALE, "--device", "cuda")
    assert found.return_value == 0, found.output
    assert {r["device"] for r in records.values()} == {"cuda:0"}
