"""`gradcheck explain`: a derivation sheet that can be read beside the case."""

import pytest
from click.testing import CliRunner

from gradcheck.cli import cli

CHAIN = """
    about: a chain
    function: {y: x**2, z: sin(y)}
    inputs: {x: 3.0}
    derivatives: {dz/dy: cos(y), dy/dx: 2*x, dz/dx: dz/dy * dy/dx}
"""


@pytest.fixture
def explain(write):
    def explain(text, *options):
        result = CliRunner().invoke(cli, ["explain", str(write(text)), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.output

    return explain


def test_it_shows_each_step_s_value_and_each_link_s_formula_with_its_own(explain):
    lines = explain(CHAIN).splitlines()
    assert lines[0].endswith("a.grad.yaml:2  c, point 1")
    assert lines[1] == "  a chain"
    assert "  x = 3" in lines
    assert "  y = x**2 = 9" in lines
    assert "  z = sin(y) = 0.412118485241757" in lines
    at = lines.index("dz/dx = dz/dy * dy/dx  pass")
    names = [line.split()[0] for line in lines[at + 1 : at + 5]]
    assert names == ["handwritten", "autograd", "numeric", "exact"]
    assert lines[at + 4].split()[1].startswith("-5.46678157130806")
    assert all("|" in line for line in lines[at + 1 : at + 6])


def test_digits_are_shown_for_every_dtype(explain):
    lines = explain(CHAIN).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("digits kept"))
    assert lines[at].split() == ["digits", "kept", "float64", "float32", "float16", "bfloat16"]
    name, who, *kept = lines[at + 1].split()
    assert (name, who) == ("dz/dy", "handwritten")
    assert float(kept[0]) > 15
    assert float(kept[3]) < 3


def test_a_dtype_may_be_chosen(explain):
    out = explain(CHAIN, "--dtype", "float32")
    assert "values in float32" in out
    assert "bfloat16" not in out


def test_what_is_wrong_is_said_and_drawn(explain):
    out = explain(CHAIN.replace("2*x", "2*x*1.000000000001"))
    assert "dy/dx = 2*x*1.000000000001  fail" in out
    assert "blame: handwritten, off by 1.0e-12 of the largest entry" in out
    assert "dz/dx = dz/dy * dy/dx  fail" in out


def test_a_skipped_case_is_explained_all_the_same(explain):
    assert "dz/dx = dz/dy * dy/dx  pass" in explain(CHAIN + "    skip: for now\n")


def test_every_point_has_a_sheet_and_tensors_are_shown(explain):
    out = explain("""
        function: {y: W @ x, L: sum(y**2)}
        constants: {W: {shape: [3, 50], sample: normal}}
        derivatives: {dL/dy: 2*y, dL/dx: 2*W.T @ y}
        inputs: {x: {shape: [50], sample: normal}}
        samples: 2
    """)
    assert "c, point 1.1" in out
    assert "c, point 1.2" in out
    assert "W = [3, 50] from " in out
    assert "  at dL/dy[" in out


def test_a_recurrence_and_several_results_are_shown(explain):
    out = explain("""
        function:
          s: slogdet(A)
          recurrence: {steps: 2, states: {h: {start: 0.5, next: w*h}}}
          out_: s[1]*h
        constants: {A: [[2, 0], [0, 3]]}
        inputs: {w: 2.0}
        derivatives: {dh/dw: 2*w*0.5}
    """)
    assert "h = w*h, from 0.5, 2 times = 2" in out
    assert "s = slogdet(A) = 1., 1.791759" in out


def test_a_function_without_a_value_is_a_sentence(explain):
    out = explain("function: x @ x\ninputs: {x: 2}\nderivatives: {x: 0}")
    assert "x @ x" in out
    assert "Traceback" not in out


def test_a_device_that_is_not_there_is_a_usage_error(explain):
    assert "there is no device cuda:9 here" in explain(CHAIN, "--device", "cuda:9")
