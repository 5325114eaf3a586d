"""Good case files: what the cases that they hold are."""

import subprocess
import sys
import time
from decimal import Decimal

import pytest

from gradcheck.casefile.document import Document
from gradcheck.casefile.files import find
from gradcheck.casefile.inputs import Given
from gradcheck.casefile.load import load, read
from gradcheck.errors import UsageError
from gradcheck.functions import Recurrence

# Section 2 of the design, as far as this version goes.
DESIGN = """\
definitions:                                   # helpers: every case of this file may use them
  mse(y, y_hat): (y - y_hat)**2
  d_mse(y, y_hat): -2*(y - y_hat)
  binary_cross_entropy(prediction, target):    # an expression, or steps
    p: clamp(prediction, 1e-8, 1 - 1e-8)
    loss: -(target*log(p) + (1 - target)*log(1 - p))

cases:
  sin_of_square:
    about: z = sin(y), y = x²
    function: sin(x**2)                        # the output is called `out`
    derivatives:
      x: 2*x*cos(x**2)                         # short for dout/dx
    points:                                    # or `inputs:` for a single point
      - {inputs: {x: 3.0}, expect: {x: -5.4668}}
      - {inputs: {x: 4.0}, expect: {out: -0.2879, x: -7.6613}}

  logistic_regression:
    about: one example (cgpa 6.7, not placed) through a sigmoid and binary cross-entropy
    constants: {x: 6.7, y: 0.0}                # given, not differentiated
    inputs: {w: 1.0, b: 0.0}
    function:                                  # steps, in order; the last is the output
      z: w*x + b
      y_pred: sigmoid(z)
      loss: binary_cross_entropy(y_pred, y)
    derivatives:                               # Leibniz notation
      dloss/dy_pred: (y_pred - y)/(y_pred*(1 - y_pred))
      dy_pred/dz:                              # alternatives: each must be right
        - y_pred*(1 - y_pred)
        - exp(-z)/(1 + exp(-z))**2
      dz/dw: x
      dz/db: 1
      dloss/dw: dloss/dy_pred * dy_pred/dz * dz/dw
      dloss/db: dloss/dy_pred * dy_pred/dz * dz/db
    expect: {loss: 6.7012, dloss/dw: 6.6918, dloss/db: 0.9988}

  matrix_mse:
    constants: {x: [[2], [1]], y: [[5, 2], [2.5, 2]]}
    inputs: {w: [[3, 1]]}
    function:
      z: x @ w
      loss: sum(mse(y, z))
    derivatives:
      dloss/dw: x.T @ d_mse(y, z)
    expect: {dloss/dw: [[5, -2]]}

  recursive_h_t:
    about: h(t) = w_h · h(t-1), two steps
    inputs: {w_h: 2.0, h_0: 0.5}
    function:
      recurrence:                              # a step like any other
        steps: 2
        states:
          h: {start: h_0, next: w_h*h}
    derivatives:
      recurrence:                              # checked at every step
        dh/dw_h: {start: 0, next: h + w_h * dh/dw_h}
        dh/dh_0: {start: 1, next: w_h * dh/dh_0}
      dh/dw_h: 2*w_h*h_0                       # and in closed form
    expect: {dh/dw_h: [0.5, 2], dh/dh_0: [2, 4]}   # of a recurrence: step by step

  affine:
    sizes: {m: 3, n: [1, 2, 7]}                # named dimensions; a list makes one case for each
    inputs:
      W: {shape: [m, n], sample: normal}
      x: {shape: [n], sample: "uniform(-1, 1)"}
      b: {shape: [m], sample: normal}
    samples: 3                                 # draws of the sampled inputs
    function:
      z: W @ x + b
    derivatives:
      dz/dx: W
"""


def loaded(text):
    """The cases by name, of a text without mistakes."""
    found = read(Document.parse(text, "f.yaml"))
    assert [str(problem) for problem in found.problems] == []
    return {case.name: case for case in found.cases}


def one(text):
    (case,) = loaded(text).values()
    return case


@pytest.fixture(scope="module")
def design():
    return loaded(DESIGN)


# The examples of the design


def test_the_examples_of_the_design_load(design):
    names = ["sin_of_square", "logistic_regression", "matrix_mse", "recursive_h_t"]
    assert [*design] == [*names, "affine-n1", "affine-n2", "affine-n7"]


def test_a_case_knows_where_it_stands(design):
    case = design["sin_of_square"]
    assert (case.file, case.line) == ("f.yaml", 9)
    assert case.about == "z = sin(y), y = x²"
    assert [claim.line for claim in case.claims] == [13]
    assert [f.line for claim in case.claims for f in claim.formulas] == [13]


def test_points(design):
    first, second = design["sin_of_square"].points
    assert (first.label, second.label) == ("1", "2")
    assert first.values == {"x": Given(Decimal("3.0"))}
    assert [(e.quantity, e.printed) for e in second.expectations] == [
        ("out", Decimal("-0.2879")),
        ("dout/dx", Decimal("-7.6613")),
    ]


def test_links_and_alternatives(design):
    claims = {claim.quantity: claim for claim in design["logistic_regression"].claims}
    links = ["dloss/dy_pred", "dy_pred/dz", "dz/dw", "dz/db", "dloss/dw", "dloss/db"]
    assert [*claims] == links
    assert [f.text for f in claims["dy_pred/dz"].formulas] == [
        "y_pred*(1 - y_pred)",
        "exp(-z)/(1 + exp(-z))**2",
    ]
    (chain,) = claims["dloss/dw"].formulas
    assert [*chain.links] == ["dloss/dy_pred", "dy_pred/dz", "dz/dw"]
    assert chain.links["dy_pred/dz"].text == "y_pred*(1 - y_pred)"


def test_constants_are_given_but_not_differentiated(design):
    case = design["matrix_mse"]
    assert case.function.given == ("w", "x", "y")
    assert {*case.points[0].values} == {"w", "x", "y"}
    assert case.points[0].values["y"] == Given([[5, 2], [Decimal("2.5"), 2]])


def test_a_recurrence_and_its_published_steps(design):
    case = design["recursive_h_t"]
    (step,) = case.function.steps
    assert isinstance(step, Recurrence)
    assert case.function.output == "h"
    assert [claim.quantity for claim in case.claims] == ["dh/dw_h", "dh[t]/dw_h", "dh[t]/dh_0"]
    expected = [(e.quantity, e.printed) for e in case.points[0].expectations]
    assert expected == [("dh[t]/dw_h", [Decimal("0.5"), 2]), ("dh[t]/dh_0", [2, 4])]


def test_sizes_make_a_case_each(design):
    for n in (1, 2, 7):
        case = design[f"affine-n{n}"]
        assert case.sizes == {"m": 3, "n": n}
        assert [point.label for point in case.points] == ["1.1", "1.2", "1.3"]
        assert [point.draw for point in case.points] == [0, 1, 2]
        values = case.points[0].values
        assert [values[name].shape for name in "Wxb"] == [(3, n), (n,), (3,)]
        assert values["x"].parameters == (-1.0, 1.0)


def test_several_lists_of_sizes_make_every_combination():
    cases = loaded("""
cases:
  a:
    sizes: {m: [1, 2], k: 5, n: [3, 4]}
    inputs: {x: {shape: [m, n], sample: normal}}
    function: sum(x)*k + m/n
    derivatives: {x: "k*ones(m, n)"}
""")
    assert [*cases] == ["a-m1-n3", "a-m1-n4", "a-m2-n3", "a-m2-n4"]
    assert cases["a-m2-n3"].sizes == {"m": 2, "k": 5, "n": 3}
    assert cases["a-m2-n3"].line == 3


# Settings


SQUARE = """
  {}:
    function: x**2
    inputs: {{x: 3}}
    derivatives: {{x: 2*x}}
"""


def test_what_a_case_is_without_settings():
    case = one("cases:" + SQUARE.format("a"))
    assert (case.dtypes, case.devices, case.tags) == (("float64",), ("auto",), frozenset())
    assert (case.resolution, case.skip, case.xfail) == (None, None, None)
    assert (case.about, case.source, case.sizes) == ("", "", {})
    assert case.required_resolution("float64") == 1e-6


def test_defaults_are_every_case_s_unless_it_says_otherwise():
    cases = loaded(
        """
defaults:
  tags: [chapter_2]
  source: the book
  dtypes: [float32, float64]
  devices: cpu
  resolution: 1e-4
cases:"""
        + SQUARE.format("a")
        + SQUARE.format("b")
        + """\
    tags: slow
    source: the paper
    dtypes: float16
    devices: [cuda, 'cuda:1']
    resolution: 0.1
"""
    )
    a, b = cases["a"], cases["b"]
    assert (a.dtypes, a.devices) == (("float32", "float64"), ("cpu",))
    assert (a.tags, a.source, a.resolution) == ({"chapter_2"}, "the book", 1e-4)
    assert (b.dtypes, b.devices) == (("float16",), ("cuda", "cuda:1"))
    assert (b.tags, b.source, b.resolution) == ({"chapter_2", "slow"}, "the paper", 0.1)


def test_what_is_named_twice_is_run_once():
    case = one(
        "cases:" + SQUARE.format("a") + "    dtypes: [float32, float32]\n    devices: [cpu, cpu]\n"
    )
    assert (case.dtypes, case.devices) == (("float32",), ("cpu",))


def test_skip_and_xfail():
    case = one(
        "cases:"
        + SQUARE.format("a")
        + "    skip: no time\n    xfail: {reason: known, blame: autograd}\n"
    )
    assert case.skip == "no time"
    assert (case.xfail.reason, case.xfail.blame) == ("known", "autograd")


# Definitions


def test_definitions_with_steps_use_those_above_them():
    case = one("""
definitions:
  half(x): x/2
  mean_square(y, y_hat):
    error: y - y_hat
    loss: 2*half(error**2)
cases:
  a:
    constants: {y: 1}
    inputs: {w: 2}
    function: mean_square(y, w) + mean_square(y_hat=w, y=1)
    derivatives: {w: 4*(w - y)}
""")
    (step,) = case.function.steps
    assert step.expression.names == ("y", "w")
    assert step.expression.cost > 6


def test_an_argument_may_be_named_like_an_input():
    assert one("""
definitions:
  double(x): 2*x
cases:
  a: {function: double(x), inputs: {x: 1}, derivatives: {x: 2}}
""")


# Numbers


def test_published_numbers_are_kept_as_they_are_printed():
    case = one(
        """
cases:
  a:
    function: x*c
    constants: {c: 1e-6}
    inputs: {x: [8.2992e-07, 2.2300]}
    derivatives: {x: c}
    expect: {out: [1, 2.2300], x: [[1e-6, 0], [0.0, .inf]]}
"""
    )
    out, x = (expectation.printed for expectation in case.points[0].expectations)
    assert out == [1, Decimal("2.2300")]
    assert out[1].as_tuple().exponent == -4
    assert [type(number) for number in out] == [int, Decimal]
    assert x == [[Decimal("1e-6"), 0], [Decimal("0.0"), Decimal("Infinity")]]
    assert str(case.points[0].values["x"].numbers[0]) == "8.2992E-7"


@pytest.mark.parametrize("formula", ["1", "-1", "0.10", "1e-6", "+2", "'3'", "1."])
def test_a_formula_may_be_a_number(formula):
    case = one(f"""
cases:
  a:
    function: {{z: x, half: 0.5, out: z*half*2}}
    inputs: {{x: 3}}
    derivatives: {{x: {formula}, dout/dz: [{formula}]}}
""")
    assert [claim.formulas[0].text for claim in case.claims] == [formula.strip("'")] * 2


def test_of_handwritten():
    case = one("""
cases:
  a:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
    dtypes: [float32, float64]
    expect:
      - {x: 6.0}
      - {of: handwritten, dtype: float32, x: 6, out: 9}
""")
    expectations = case.points[0].expectations
    assert [(e.quantity, e.of, e.dtype) for e in expectations] == [
        ("dout/dx", "truth", None),
        ("dout/dx", "handwritten", "float32"),
        ("out", "handwritten", "float32"),
    ]


# Files


def test_a_case_file_on_disk(tmp_path):
    path = tmp_path / "a.grad.yaml"
    path.write_text("cases:" + SQUARE.format("a"), encoding="utf-8")
    found = load(path)
    assert (found.name, found.problems) == (path.as_posix(), ())
    assert [case.file for case in found.cases] == [path.as_posix()]


def test_a_file_that_is_not_there(tmp_path):
    found = load(tmp_path / "none.grad.yaml")
    assert [problem.message for problem in found.problems] == [
        "the file cannot be read: No such file or directory"
    ]


def test_find(tmp_path):
    for name in ("b.grad.yaml", "a.grad.yaml", "c.yaml", "inner/d.grad.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    found = [path.relative_to(tmp_path).as_posix() for path in find([str(tmp_path)])]
    assert found == ["a.grad.yaml", "b.grad.yaml", "inner/d.grad.yaml"]
    assert [path.name for path in find([str(tmp_path / "c.yaml")])] == ["c.yaml"]
    missing = tmp_path / "missing"
    with pytest.raises(UsageError, match="there is no file or directory"):
        list(find([str(missing)]))


# Speed


def test_reading_imports_no_torch():
    code = "import sys, gradcheck.casefile.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_case_is_loaded_in_about_half_a_millisecond(tmp_path):
    path = tmp_path / "many.grad.yaml"
    definitions = "definitions:\n  mse(y, y_hat): (y - y_hat)**2\n"
    cases = "".join(
        f"""\
  case_{number}:
    inputs: {{w: 1.{number}, b: 0.0}}
    constants: {{x: 6.7, y: 0.0}}
    function: {{z: w*x + b, loss: "mse(y, sigmoid(z))"}}
    derivatives:
      dloss/dz: -2*(y - sigmoid(z))*sigmoid(z)*(1 - sigmoid(z))
      dloss/dw: dloss/dz * x
    expect: {{loss: 0.99, dloss/dw: 1.5}}
"""
        for number in range(3_000)
    )
    path.write_text(definitions + "cases:\n" + cases, encoding="utf-8")
    start = time.process_time()
    found = load(path)
    took = time.process_time() - start
    assert (len(found.cases), found.problems) == (3_000, ())
    assert took / 3_000 < 2e-3  # 0.5 ms where nothing else runs
