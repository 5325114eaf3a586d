"""`gradcheck search`: what is wrong somewhere is found there, what is right is not accused."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gradcheck import check
from gradcheck.casefile.domain import Interval, interval
from gradcheck.casefile.inputs import Given
from gradcheck.casefile.load import load
from gradcheck.cli import cli
from gradcheck.errors import InvalidCaseError, UsageError
from gradcheck.imports import Imports
from gradcheck.jobs import jobs
from gradcheck.runner import run
from gradcheck.search.cases import CaseSearch, chosen, numbers_of
from gradcheck.search.grid import Coarse, Grid, Whole
from gradcheck.search.search import Search
from gradcheck.search.simplest import simpler_than, simplest, weight
from gradcheck.search.slots import Drawn, Entries
from gradcheck.search.space import Space

ROOT = Path(__file__).parent.parent
INF = math.inf
ANY = Interval()


def searched(*arguments):
    """Exit code and output of the command."""
    result = CliRunner().invoke(cli, ["search", *map(str, arguments)], standalone_mode=False)
    assert result.exception is None, result.output
    return result.return_value, result.output


@pytest.fixture
def search(write):
    """The search of the only case of a text."""

    def search(text, *, imports=(), folder="", **settings):
        file = load(write(text))
        assert not file.problems, [str(problem) for problem in file.problems]
        (case,) = file.cases
        allowed = Imports.of(imports, str(folder))
        job = chosen(jobs([case], device="cpu", imports=allowed))
        return CaseSearch(job, **{"examples": 40, **settings})

    return search


@pytest.fixture
def found(search):
    """The values of the only finding of a case, by name."""

    def found(text, **settings):
        searching = search(text, **settings)
        (finding,) = searching.search.findings()
        return {name: array.tolist() for name, array in finding.values.items()}

    return found


@pytest.fixture
def nothing(search):
    """That there is no finding, and points were judged."""

    def nothing(text, **settings):
        searching = search(text, **settings)
        assert [finding.lines for finding in searching.findings()] == []
        assert searching.search.judged > 20
        return searching

    return nothing


# What is found, and the simplest point of it


@pytest.mark.parametrize(
    ("function", "derivative", "point"),
    [
        ("abs(x)**3", "3*x**2", -1.0),  # right for positive numbers alone
        ("x**2", "2*abs(x)", -1.0),
        ("x**2", "where(abs(x) > 100, 3*x, 2*x)", 101.0),
        ("x**2", "where(x > 2.5, 3*x, 2*x)", 3.0),
        ("x**2", "where((x > 0.3) & (x < 0.5), 3*x, 2*x)", 0.4),
        ("x**2", "where(x == 0, 1, 2*x)", 0.0),
        ("sin(x)", "where((abs(x) < 1e-9) & (x != 0), 0, cos(x))", 1e-15),
        ("sin(x)", "where((x > 40.5) & (x < 42), 0, cos(x))", 41.0),
        ("exp(x)", "where(x < -20, 0, exp(x))", -21.0),
    ],
)
def test_a_number_at_which_it_is_wrong(found, function, derivative, point):
    text = f"function: {function}\ninputs: {{x: 3.0}}\nderivatives: {{x: '{derivative}'}}\n"
    if point == 1e-15:
        assert 0 < abs(found(text)["x"]) < 1e-9
    else:
        assert found(text) == {"x": point}


@pytest.mark.parametrize(
    ("condition", "point"),
    [
        ("(x[0] == x[1]) & (x[1] == x[2])", [0.0, 0.0, 0.0]),
        ("(x[0] == x[1]) & (x[0] > 0)", [1.0, 1.0, 0.0]),
        ("(x[0] == 0) & (x[2] != 0)", [0.0, 0.0, 1.0]),
        ("x[1] > 50", [0.0, 51.0, 0.0]),
        ("sum(x) < -5", [-2.0, -2.0, -2.0]),
    ],
)
def test_a_vector_at_which_it_is_wrong(found, condition, point):
    text = f"""
        function: sum(x**2)
        inputs: {{x: [1.0, 2.5, -3.0]}}
        derivatives: {{x: "where({condition}, 3*x + 1, 2*x)"}}
    """
    assert found(text) == {"x": point}


def test_two_inputs_that_coincide(found):
    text = """
        function: x*y**2
        inputs: {x: 3.0, y: {sample: normal}}
        derivatives: {x: "where(x == y, y + 1, y**2)"}
    """
    values = found(text)
    assert values["x"] == values["y"]
    assert abs(values["x"]) <= 2


def test_every_mistake_is_told_once(search):
    text = """
        function: {z: x**2, w: abs(z*y)}
        inputs: {x: 3.0, y: 2.0}
        derivatives: {dz/dx: 2*abs(x), dw/dz: y, dw/dx: dw/dz * dz/dx}
    """
    findings = list(search(text).findings())
    told = [[result.quantity for result in finding.results] for finding in findings]
    assert sorted(quantity for listed in told for quantity in listed) == ["dw/dx", "dw/dz", "dz/dx"]
    roots = [finding.results[0].quantity for finding in findings]
    assert roots == ["dz/dx", "dw/dz"] or roots == ["dw/dz", "dz/dx"]


def test_a_found_point_is_pasted_and_fails_there(search, write):
    text = """
        function: sum(abs(W @ x)**3)
        inputs: {W: {shape: [2, 2], sample: positive}, x: [1.0, 2.0]}
        derivatives: {x: 3*W.T @ (W @ x)**2}
    """
    (finding,) = search(text).findings()
    assert finding.lines[0] == "points:"
    pasted = text.rstrip() + "\n        points:\n        " + finding.lines[1] + "\n"
    (case,) = load(write(pasted)).cases
    results = [result for job in jobs([case], device="cpu") for result in run(job)]
    assert [(r.verdict, r.blame) for r in results] == [("fail", "handwritten")]
    assert results[0].difference == finding.results[0].difference


@pytest.mark.parametrize(
    ("function", "derivative", "told"),
    [
        ("abs(x)**3", "3*x**2", ["the sign is wrong where `x` is negative"]),
        (
            "x**2",
            "where(x > 100, 3*x, 2*x)",
            ["it is to be `2*x` everywhere, not only in one case: write `2*x`"],
        ),
        ("x**2", "3*x", ["it is 3/2 of the right value, everywhere"]),
    ],
)
def test_what_a_mistake_looks_like_is_told(search, function, derivative, told):
    """Of what is right elsewhere only what is wrong in some cases alone."""
    text = f"function: {function}\ninputs: {{x: 2.0}}\nderivatives: {{x: '{derivative}'}}\n"
    (finding,) = search(text).findings()
    (result,) = finding.results
    assert [one.text for one in result.diagnosis] == told


def test_what_is_right_elsewhere_looks_like_no_other_mistake(search):
    """By chance another index makes it right at the point that is found."""
    text = """
        function: sum(x**2)
        inputs: {x: [1.0, 5.0, 3.0]}
        derivatives: {x: "where(x[1] > 50, 3*x + 1, 2*x)"}
    """
    (finding,) = search(text).findings()
    assert finding.results[0].diagnosis == ()


# Domains


@pytest.mark.parametrize("domain", ["(0, inf)", "[0, inf)", "[1, 5]"])
def test_outside_of_the_domain_nothing_is_found(nothing, domain):
    text = f"""
        function: abs(x)**3
        inputs: {{x: 3.0}}
        domain: {{x: "{domain}"}}
        derivatives: {{x: 3*x**2}}
    """
    searching = nothing(text)
    assert searching.without_domain == []


@pytest.mark.parametrize(
    ("domain", "wrong", "point"),
    [
        ("[0, 1]", "x == 1", 1.0),
        ("[0, 1]", "x == 0", 0.0),
        ("[0.3, 1)", "x < 0.3001", 0.3),
        ("(0, 1)", "x > 0.99999999999", 0.9999999999999999),
        ("(0, 1)", "x < 1e-300", 5e-324),
        ("[-7.25, -7]", "x <= -7.25", -7.25),
    ],
)
def test_the_ends_of_a_domain_are_looked_at(found, domain, wrong, point):
    low, high = interval(domain).low, interval(domain).high
    text = f"""
        function: x**2
        inputs: {{x: {(low + high) / 2}}}
        domain: {{x: "{domain}"}}
        derivatives: {{x: "where({wrong}, 3*x + 1, 2*x)"}}
    """
    assert found(text) == {"x": point}


@pytest.mark.parametrize("wrong", ["x == 0", "x == 1", "(x < 0) | (x > 1)"])
def test_open_ends_are_not(nothing, wrong):
    text = f"""
        function: x**2
        inputs: {{x: 0.5}}
        domain: {{x: "(0, 1)"}}
        derivatives: {{x: "where({wrong}, 3*x + 1, 2*x)"}}
    """
    nothing(text)


def test_a_constant_with_a_domain_is_varied_and_written_in_its_place(search):
    text = """
        function: x**c
        inputs: {x: 2.0}
        constants: {c: 2.0, d: 1.0}
        domain: {c: "[1, 4]", x: "(0, inf)"}
        derivatives: {x: 2*x}
    """
    (finding,) = search(text).findings()
    assert finding.lines == ("points:", "  - {inputs: {x: 1.0}}", "constants: {c: 1.0}")


def test_a_constant_without_one_stays(nothing):
    text = """
        function: x**c
        inputs: {x: 2.0}
        constants: {c: 2.0}
        derivatives: {x: 2*x}
    """
    nothing(text)


@pytest.mark.parametrize(
    ("sample", "wrong"),
    [
        ("positive", "x < 0"),
        ('"uniform(1, 2)"', "(x < 1) | (x > 2)"),
        ("normal", "abs(x) > 10000"),
    ],
)
def test_without_a_domain_what_is_drawn_stays_where_it_is_drawn(nothing, sample, wrong):
    text = f"""
        function: x**2
        inputs: {{x: {{sample: {sample}}}}}
        derivatives: {{x: "where({wrong}, 1, 2*x)"}}
    """
    assert nothing(text).without_domain == ["x"]


def test_that_no_domain_is_given_is_told(search):
    text = "function: abs(x)\ninputs: {x: 3.0}\nderivatives: {x: 1}\n"
    (finding,) = search(text).findings()
    assert finding.lines[-1].startswith("no `domain` is given for `x`")


# What is no finding


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        ("log(x)", "1/x"),
        ("sqrt(x)", "1/(2*sqrt(x))"),
        ("x**-2", "-2*x**-3"),
        ("exp(x)", "exp(x)"),  # which overflows
        ("exp(-x**2)", "-2*x*exp(-x**2)"),  # and underflows
        ("relu(x)", "where(x > 0, 1, 0)"),  # has a kink
        ("abs(x)", "sign(x)"),
        ("floor(x)*x", "floor(x)"),  # has jumps
        ("where(x > 0, x*log(x), 0)", "where(x > 0, log(x) + 1, 0)"),
        ("tanh(x)/x", "(1 - tanh(x)**2)/x - tanh(x)/x**2"),
        ("log(1 + exp(x))", "1/(1 + exp(-x))"),
        ("x/abs(x)", "0"),
    ],
)
def test_a_right_derivative_is_not_accused(search, function, derivative):
    text = f"function: {function}\ninputs: {{x: 3.0}}\nderivatives: {{x: '{derivative}'}}\n"
    findings = [f for f in search(text).findings() if "handwritten" in f.results[0].blame]
    assert [(finding.lines, finding.results[0].notes) for finding in findings] == []


@pytest.mark.parametrize(
    ("function", "derivative", "domain"),
    [
        ("exp(x)", "exp(x)", "(-inf, inf)"),
        ("log(x)", "1/x", "(0, inf)"),
        ("log(x)", "1/x", "[0, inf)"),
        ("1/x", "-1/x**2", "(0, inf)"),
        ("log(x/(1 - x))", "1/(x*(1 - x))", "(0, 1)"),
        ("log(x/(1 - x))", "1/(x*(1 - x))", "[0, 1]"),
        ("relu(x)", "where(x > 0, 1, 0)", "(-inf, inf)"),
        ("tanh(x)", "1 - tanh(x)**2", "(-inf, inf)"),
        ("x**20", "20*x**19", "(-inf, inf)"),
    ],
)
def test_nor_at_the_ends_of_its_domain(nothing, function, derivative, domain):
    text = f"""
        function: {function}
        inputs: {{x: 0.5}}
        domain: {{x: "{domain}"}}
        derivatives: {{x: "{derivative}"}}
    """
    nothing(text)


def test_autograd_is_found_wrong_behind_a_where(search):
    text = """
        function: where(x > 0, x*log(x), 0)
        inputs: {x: 3.0}
        derivatives: {x: "where(x > 0, log(x) + 1, 0)"}
    """
    (finding,) = search(text).findings()
    assert [result.blame for result in finding.results] == ["autograd"]
    assert finding.lines[1] == "  - {inputs: {x: -1.0}}"


@pytest.mark.parametrize(
    "text",
    [
        # autograd's last digits are lost to cancellation, by more than is measured
        """
        function: sum(exp(log_softmax(z, 0))*f)
        inputs: {z: [0.5, -0.3, 1.2]}
        constants: {f: [2.5, -0.5, 1.0]}
        derivatives: {z: "softmax(z, 0)*(f - sum(softmax(z, 0)*f))"}
        """,
        # it overflows where it is differentiated twice
        """
        function: {mu: exp(w), f: mu - log(mu)}
        inputs: {w: 0.5}
        derivatives: {d2f/dw2: mu}
        """,
    ],
)
def test_autograd_s_rounding_is_not_accused(nothing, text):
    nothing(text, examples=100)


NO_VALUE = """
    function: x**2
    inputs: {x: 3.0}
    derivatives: {x: 2*x**2/x}
"""


def test_a_formula_without_a_value_counts_inside_of_a_domain_alone(nothing, found):
    nothing(NO_VALUE)
    nothing(NO_VALUE + '    domain: {x: "(0, inf)"}\n')
    assert found(NO_VALUE + '    domain: {x: "(-inf, inf)"}\n') == {"x": 0.0}


def test_digits_are_no_matter_of_a_search(nothing):
    text = """
        function: x - sin(x)
        inputs: {x: 1.5}
        domain: {x: "(-inf, inf)"}
        digits: 6
        derivatives: {x: 1 - cos(x)}
    """
    nothing(text)


def test_a_formula_that_rounds_badly_is_right_where_that_is_proven(nothing):
    text = """
        function: {x: log(y + sqrt(y**2 + 1)), f: sinh(x)}
        inputs: {y: 0.75}
        domain: {y: "(-inf, inf)"}
        derivatives: {d2x/dy2: -sinh(x)/cosh(x)**3}
    """
    nothing(text)


def test_a_wrong_shape_is_wrong_everywhere(found):
    text = """
        function: sum(x**2)
        inputs: {x: [1.0, 2.0]}
        derivatives: {x: "stack([x, x, x])"}
    """
    assert found(text) == {"x": [0.0, 0.0]}


def test_a_smooth_function_of_pieces_is_judged_where_they_meet(found):
    text = """
        function: maximum(x, 0)**2 + minimum(x, 0)**2
        inputs: {x: 3.0}
        derivatives: {x: "where(x == 0, 1, 2*x)"}
    """
    assert found(text) == {"x": 0.0}


def test_a_case_in_a_narrow_dtype_stays_on_its_numbers(found):
    text = """
        function: x**2
        inputs: {x: 0.5}
        domain: {x: "(0, 1)"}
        dtypes: float16
        derivatives: {x: "where(x > 0.9994, 1, 2*x)"}
    """
    assert found(text) == {"x": 1 - 2**-11}


# Kinds of inputs


def test_empty_inputs_stay_empty(search):
    text = """
        function: sum(x**2) + sum(w)
        inputs: {x: [1.0, 2.0], w: {shape: [0, 2], sample: normal}}
        derivatives: {x: 2*abs(x)}
    """
    (finding,) = search(text).findings()
    assert "w: {shape: [0, 2], sample: normal}" in finding.lines[1]


def test_a_case_of_empty_inputs_alone_has_nothing_to_vary(search):
    text = """
        function: sum(w)
        inputs: {w: {shape: [0], sample: normal}}
        derivatives: {w: "ones(0)"}
    """
    assert search(text).is_empty


def test_what_is_drawn_as_a_whole_is_drawn_anew(search):
    text = """
        function: logdet(A)
        inputs: {A: {shape: [2, 2], sample: spd}}
        derivatives: {A: "where(A[0, 1] == 0, 2, 1)*inv(A).T"}
    """
    (finding,) = search(text).search.findings()
    assert finding.values["A"].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_integers_are_drawn_anew_and_what_they_were_is_told(search):
    text = """
        function: sum(index_select(x, 0, i))
        inputs: {x: [1.0, 2.0], i: {shape: [3], sample: "integers(0, 2)"}}
        derivatives: {x: "where(sum(i) > 2, 7, 1)*sum(one_hot(i, 2), 0)"}
    """
    (finding,) = search(text).findings()
    (told,) = [line for line in finding.lines if line.startswith("`i` is drawn")]
    assert told == "`i` is drawn: here it was [1, 1, 1]"
    assert 'i: {shape: [3], sample: "integers(0, 2)"}' in finding.lines[1]


MODULE = """
import torch


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x)
        ctx.k = k
        return x.abs()**3 * k.sum()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2, None


def limited(x):
    return x.clamp(-1, 1)
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "cubes_of_search.py").write_text(MODULE, encoding="utf-8")
    yield {"imports": ["cubes_of_search"], "folder": tmp_path}
    sys.modules.pop("cubes_of_search", None)


KERNEL = """
    function: {python: "cubes_of_search:Cube"}
    inputs: {x: [1.0, 2.0]}
    constants: {k: [1]}
"""


def test_a_function_in_python(search, module):
    searching = search(KERNEL, **module, examples=0)
    (finding,) = searching.findings()
    assert finding.results[0].blame == "autograd"
    x = next(searching.search.findings()).values["x"]
    assert x.min() == -1.0
    assert set(x) <= {-1.0, 0.0, 1.0}


def test_whole_constants_of_it_stay_whole(search, module):
    text = KERNEL + '    domain: {k: [1, 3], x: "(0, inf)"}\n'
    (finding,) = search(text, **module, examples=0).findings()
    assert finding.lines[2] == "constants: {k: [2]}"


def test_a_right_one_is_not_accused_at_its_kinks(nothing, module):
    text = """
        function: {python: "cubes_of_search:limited"}
        inputs: {x: [0.5, 3.0]}
        domain: {x: "(-inf, inf)"}
    """
    nothing(text, **module, examples=30)


def test_a_function_that_is_another_elsewhere_is_told_where_nothing_else_is(search, module):
    text = """
        function: {python: "cubes_of_search:limited"}
        reference: x
        inputs: {x: [0.5]}
    """
    (finding,) = search(text, **module, examples=0).findings()
    assert finding.results[0].blame in ("function", "autograd")
    assert "x: [2.0]" in finding.lines[1] or "x: [-" in finding.lines[1]


def test_what_may_not_be_imported_is_told(search):
    assert "may not be imported" in search(KERNEL).problem


# The command

FILE = """
cases:
  right:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
  wrong:
    function: abs(x)**3
    inputs: {x: 3}
    derivatives: {x: 3*x**2}
"""


def test_it_prints_a_block_and_the_point(write):
    path = write(FILE)
    code, output = searched(path, "--examples", 10)
    assert code == 1
    lines = output.splitlines()
    at = lines.index("  points:")
    assert lines[1].startswith(f"FAIL  {path}:9  wrong  dout/dx  [float64, cpu, point found]")
    assert lines[2].startswith("  blame: handwritten")
    assert lines[at + 1] == "    - {inputs: {x: -1.0}}"
    assert "no `domain` is given for `x`" in lines[at + 2]
    assert f"{path}  2 cases  1 finding, looked at " in output
    assert "not every input has a `domain` in 2 cases" in output


def test_0_nothing_is_found(write):
    code, output = searched(write(FILE), "-k", "right", "--examples", 5)
    assert code == 0
    assert "1 case  nothing found, looked at" in output


def test_quietly_it_prints_the_sum_alone(write):
    code, output = searched(write(FILE), "-q", "--examples", 5)
    assert code == 1
    assert len(output.splitlines()) == 2


def test_2_a_case_is_invalid_and_the_others_are_searched(write):
    text = FILE + "  invalid:\n    function: x**\n    inputs: {x: 3}\n    derivatives: {x: 1}\n"
    code, output = searched(write(text), "--examples", 5)
    assert code == 2
    assert "- {inputs: {x: -1.0}}" in output


def test_5_nothing_is_selected(write):
    assert searched(write(FILE), "-k", "no such case")[0] == 5


def test_a_case_in_error_takes_no_other_with_it(write):
    text = FILE + "  broken:\n    function: x @ x\n    inputs: {x: 3}\n    derivatives: {x: 1}\n"
    code, output = searched(write(text), "--examples", 5)
    assert code == 1
    assert "ERROR  " in output
    assert "- {inputs: {x: -1.0}}" in output
    assert "1 in error" in output


def test_a_crash_takes_no_other_with_it(write, monkeypatch):
    def crash(self):
        if self.job.case.name == "right":
            raise RuntimeError("planted")
        return ""

    monkeypatch.setattr(CaseSearch, "problem", property(crash))
    code, output = searched(write(FILE), "--examples", 5)
    assert code == 1
    assert "right: RuntimeError: planted" in output
    assert "- {inputs: {x: -1.0}}" in output


def test_a_case_of_which_nothing_can_be_varied_is_skipped(write):
    text = FILE + "  none:\n    function: sum(x)\n    inputs: {x: []}\n    derivatives: {x: 1}\n"
    code, output = searched(write(text), "-k", "none")
    assert code == 0
    assert "none: nothing of it can be varied" in output


@pytest.mark.parametrize("key", ["skip: r", "xfail: {reason: r, blame: handwritten}"])
def test_what_is_skipped_or_known_to_fail_is_not_searched(write, key):
    code, output = searched(write(FILE + f"    {key}\n"), "--examples", 5)
    assert code == 0
    assert "skipped  " in output


def test_records_hold_the_point(write, tmp_path):
    path = tmp_path / "found.jsonl"
    searched(write(FILE), "--jsonl", path, "--examples", 5)
    (record,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert (record["case"], record["point"], record["verdict"]) == ("wrong", "found", "fail")
    assert "  - {inputs: {x: -1.0}}" in record["notes"]


def test_a_search_ends_in_time_and_says_so(write, monkeypatch):
    monkeypatch.setattr(Search, "__init__", _hurried(Search.__init__))
    code, output = searched(write(FILE), "-k", "right")
    assert code == 0
    assert "cut short" in output


def _hurried(made):
    def hurried(self, *arguments, **settings):
        made(self, *arguments, **{**settings, "seconds": 0.01})

    return hurried


def test_it_is_the_same_every_time_and_leaves_nothing_behind(write, tmp_path):
    text = """
        function: exp(x*y)
        inputs: {x: 0.5, y: 0.25}
        derivatives: {x: "where((x > 1.3) & (y < -0.7), 0, y*exp(x*y))"}
    """
    path = write(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gradcheck", "search", str(path)]
    printed = [
        subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120
        )
        for _ in range(2)
    ]
    assert [one.returncode for one in printed] == [1, 1]
    first, second = (one.stdout.rpartition("(")[0] for one in printed)
    assert first == second
    assert not any(one.stderr for one in printed)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_seed_is_another_search(search):
    text = """
        function: x**2
        inputs: {x: 0.5}
        derivatives: {x: 2*x}
    """
    points = []
    for seed in (1, 2):
        searching = search(text, seed=seed, examples=20)
        assert not list(searching.findings())
        points.append(set(searching.search._seen))
    assert points[0] != points[1]


def test_hypothesis_is_not_imported_for_anything_else():
    code = "import gradcheck, sys; from gradcheck.cli import main; sys.argv[1:] = sys.argv[1:];"
    code += "import atexit; atexit.register(lambda: print('hypothesis' in sys.modules)); main()"
    for command in ("validate", "run"):
        done = subprocess.run(
            [sys.executable, "-c", code, command, str(ROOT / "cases" / "scalars.grad.yaml")],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=120,
        )
        assert done.stdout.splitlines()[-1] == "False", done.stderr


# From Python


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x.abs() ** 3 * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g * 3 * x**2 * w, g * x.abs() ** 3


@pytest.fixture
def few(monkeypatch):
    """Few examples: a function in Python takes long."""

    def made(self, *arguments, **settings):
        original(self, *arguments, **{**settings, "examples": 5})

    original = Search.__init__
    monkeypatch.setattr(Search, "__init__", made)


def doubles(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_a_function_is_searched_in_its_domain(few):
    report = check(
        Cube, (doubles(1, 2), doubles(3, 4)), domain={"x": (-INF, INF)}, conditions="none"
    )
    assert [result.verdict for result in report.results] == ["pass", "pass", "fail"]
    found = report.results[-1]
    assert (found.point, found.blame, found.quantity) == ("found", "autograd", "dout/dx")
    assert found.notes[-1].startswith("x = torch.tensor([")
    assert found.notes[-1].endswith("], dtype=torch.float64)")
    assert "-1.0" in found.notes[-1]
    assert "found" in str(report)


@pytest.mark.parametrize("domain", [{"x": (0, INF)}, {"x": [0.5, 3]}, {"w": "(-inf, inf)"}])
def test_and_is_right_elsewhere(domain, few):
    inputs = {"x": doubles(1, 2), "w": doubles(3, 4)}
    assert check(Cube.apply, tuple(inputs.values()), domain=domain, conditions="none").ok


def test_derivatives_that_are_numbers_are_those_of_the_point(few):
    report = check(
        lambda x: x**2,
        (doubles(3.0),),
        derivatives={"x": doubles(6.0)},
        domain={"x": [1, 5]},
        conditions="none",
    )
    assert report.ok, str(report)


def test_derivatives_that_are_functions_are_judged_everywhere(few):
    report = check(
        lambda x: x.abs() ** 3,
        (doubles(3.0),),
        derivatives={"x": lambda x: 3 * x**2},
        domain={"x": [-5, 5]},
        conditions="none",
    )
    assert report.results[-1].blame == "handwritten"
    assert "x = torch.tensor([-1.0]" in report.results[-1].notes[-1]


def test_a_text_is_searched_in_its_domain():
    settings = {"derivatives": {"x": "3*x**2"}}
    assert check("abs(x)**3", {"x": 2.0}, domain={"x": [0, INF]}, **settings).ok
    report = check("abs(x)**3", {"x": 2.0}, domain={"x": (-INF, INF)}, **settings)
    assert [result.verdict for result in report.results] == ["pass", "fail"]
    assert report.results[-1].point == "found"
    assert "  - {inputs: {x: -1.0}}" in report.results[-1].notes


def test_in_python_inputs_without_a_domain_stay():
    settings = {"derivatives": {"x": "where(y == 2, 1, 3)*y", "y": "x"}}
    assert check("x*y", {"x": 1.0, "y": 2.0}, domain={"x": (-INF, INF)}, **settings).ok


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ({"z": (0, 1)}, "`domain`: `z` is no input that is a real tensor: there are x, w"),
        ({"xx": (0, 1)}, "`domain`: `xx` is no input that is a real tensor: did you mean `x`?"),
        ({"x": (1, 0)}, "`domain` of `x`: the ends are in the wrong order: did you mean `(0, 1)`?"),
        (
            {"x": 3},
            '`domain` of `x`: an interval such as "(0, 1]", "[0, inf)" or [0, 1], not 3',
        ),
        ({"x": (5, 10)}, "1.0 is outside of the domain of `x`, (5, 10)"),
        (["x"], "`domain` is a mapping, as in {\"x\": (0, inf)}, not ['x']"),
    ],
)
def test_a_domain_that_cannot_be_meant(domain, message):
    with pytest.raises(UsageError) as raised:
        check(Cube, (doubles(1, 2), doubles(3, 4)), domain=domain)
    assert str(raised.value) == message


def test_nor_of_a_text():
    with pytest.raises(InvalidCaseError, match="`z` is no input and no constant"):
        check("x**2", {"x": 2.0}, derivatives={"x": "2*x"}, domain={"z": (0, 1)})


# Parts


def entries(*numbers, domain="(-inf, inf)", grid=None, special=()):
    base = np.array(numbers if len(numbers) != 1 else numbers[0], dtype=np.float64)
    return Entries("x", base, interval(domain), grid or Grid(torch.float64), special)


def test_candidates_are_inside_and_hold_the_ends():
    space = Space([entries(0.5, 0.25, domain="(0, 1]")])
    arrays = [values["x"] for values in space.candidates()]
    assert arrays[0].tolist() == [0.5, 0.25]
    assert all((array > 0).all() and (array <= 1).all() for array in arrays)
    filled = [array.tolist() for array in arrays]
    assert [1.0, 1.0] in filled
    assert [5e-324, 5e-324] in filled
    assert [0.5, 0.5] in filled


def test_special_numbers_are_looked_at_from_both_sides():
    space = Space([entries(0.5, special=[100.0])])
    numbers = {float(values["x"]) for values in space.candidates()}
    wanted = {100.0, math.nextafter(100, INF), math.nextafter(100, 0)}
    assert wanted | {-number for number in wanted} <= numbers


def test_the_numbers_of_a_case_are_those_of_its_formulas(write):
    text = """
        definitions:
          cut(x): where(x > 37.5, 37.5, x)
        cases:
          c:
            function: {y: 3*cut(x1), z: y**2 + 1e-3}
            inputs: {x1: 2.0}
            derivatives: {dz/dx1: 18*x1}
    """
    (case,) = load(write(text)).cases
    assert list(numbers_of(case)) == [3.0, 37.5, 2.0, 0.001, 18.0]


@pytest.mark.parametrize(
    ("dtype", "end", "domain", "number"),
    [
        (torch.float64, 0.0, "(0, 1)", 5e-324),
        (torch.float32, 0.0, "(0, 1)", 2.0**-149),
        (torch.float16, 1.0, "(0, 1)", 1 - 2.0**-11),
        (torch.bfloat16, 1.0, "(0, 1)", 1 - 2.0**-8),
        (torch.float32, 0.1, "[0.1, 1]", 0.10000000149011612),
        (torch.float32, 0.1, "[0, 0.1]", 0.09999999403953552),
    ],
)
def test_the_end_that_a_dtype_holds(dtype, end, domain, number):
    assert Grid(dtype).end(end, interval(domain)) == number


def test_coarse_numbers_leave_room_for_steps():
    grid = Coarse.of(torch.float64, interval("(0, inf)"))
    assert grid.rounded(np.array([1e-9, 0.12345678])).tolist() == [0.0, 0.1235]
    assert grid.end(0.0, interval("(0, inf)")) == 1e-4
    assert Coarse.of(torch.float64, interval("[0, 1e-6]")).places == 9


def test_whole_numbers():
    grid = Whole()
    assert grid.rounded(np.array([1.4, -2.6])).tolist() == [1, -3]
    assert grid.end(0.5, interval("(0.5, 3)")) == 1
    assert grid.end(3.0, interval("(0.5, 3)")) == 2


def test_what_is_drawn_as_a_whole_keeps_its_structure():
    slot = Drawn("A", np.eye(2), lambda number: number * np.eye(2), [np.eye(2)])
    assert slot.filled(1.0) is None
    space = Space([slot])
    assert [values["A"][0, 0] for values in space.candidates()] == [1, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("numbers", "has_it", "simple"),
    [
        ([734.25, -3.5], lambda a, b: a > 100, [101.0, 0.0]),
        ([0.123456, 0.7], lambda a, b: 0.1 < a < 0.2, [0.11, 0.0]),
        ([-17.0, 5.0], lambda a, b: a < 0, [-1.0, 0.0]),
        ([7.5, 7.5], lambda a, b: a == b != 0, [1.0, 1.0]),
        ([7.5, -3.25], lambda a, b: a * b < -2, [3.0, -1.0]),
        ([0.30000000000000004, 0.0], lambda a, b: 0.3 < a < 0.5, [0.4, 0.0]),
        ([2e-12, 1.0], lambda a, b: 0 < abs(a) < 1e-9, [1e-12, 0.0]),
    ],
)
def test_the_simplest(numbers, has_it, simple):
    space = Space([entries(*numbers)])
    values = simplest(space, space.base, lambda values: has_it(*values["x"].tolist()))
    assert values["x"].tolist() == simple


def test_what_a_grid_rounds_back_is_no_simpler():
    grid = Grid(torch.float16)
    space = Space([entries(1 - 2.0**-11, domain="(0, 1)", grid=grid)])
    values = simplest(space, space.base, lambda values: bool(values["x"] > 0.9994))
    assert float(values["x"]) == 1 - 2.0**-11


def test_simpler_numbers_are_simpler():
    for number in (0.1 + 0.2, -1234.567, 1e-9, 3e300, -0.0):
        assert all(weight(one) < weight(number) for one in simpler_than(number))
    order = [0.0, 1.0, -1.0, 2.0, 10.0, 100.0, 0.5, 0.25, 1e-9]
    assert sorted(sorted(order), key=weight) == order


def test_a_point_keeps_its_numbers_when_it_is_written():
    array = np.array([1e-08, -0.0, 1e22])
    np.testing.assert_array_equal(Given.of(array).array("", 0), array)
