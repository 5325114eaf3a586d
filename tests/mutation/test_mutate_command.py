"""`gradcheck mutate`: what it prints and writes, and the codes that it exits with."""

import json
import re
from textwrap import dedent

import pytest
import yaml
from click.testing import CliRunner

from gradcheck.cli import cli
from gradcheck.mutation.outcome import Score
from gradcheck.report.mutation import _percent

FILE = """
cases:
  weak:
    tags: [products]
    function: x*w
    inputs: {x: 2.0, w: 2.0}
    derivatives: {x: w}
  strong:
    function: x**2
    inputs: {x: 3.0}
    derivatives: {x: 2*x + sum(0*x)}
"""
WRONG = """
  wrong:
    function: x**2
    inputs: {x: 3.0}
    derivatives: {x: 3*x}
"""
NOT_TO_PASS = """
  skipped:
    function: x**2
    inputs: {x: 3.0}
    derivatives: {x: 3*x}
    skip: later
  failing:
    function: x**2
    inputs: {x: 3.0}
    derivatives: {x: 3*x}
    xfail: {reason: by hand, blame: handwritten}
"""
INVALID = """
  invalid:
    function: x**
    inputs: {x: 3.0}
    derivatives: {x: 2*x}
"""


def mutate(*arguments):
    """Exit code and output of the command, without the seconds that it took."""
    command = ["mutate", *map(str, arguments)]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert result.exception is None, result.output
    output = re.sub(r"  \(\d+\.\d s\)$", "", result.output.rstrip(), flags=re.MULTILINE)
    return result.return_value, output


@pytest.fixture
def weak(write, monkeypatch, tmp_path):
    """The file in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    return write(FILE, "products.grad.yaml").name


def test_what_survived_is_printed_with_a_point_to_add(weak):
    code, output = mutate(f"{weak}::weak")
    *block, at, of_file, summary = output.splitlines()
    assert code == 0
    assert (
        block
        == dedent("""
        SURVIVED  products.grad.yaml:6  weak  dout/dx
              6 | w
          wrong | x
          `x` for `w`: the same at every point of the case
          it is noticed at this point:
    """)
        .rstrip()
        .splitlines()
    )
    ((point,),) = [yaml.safe_load(at)]
    assert set(point["inputs"]) == {"x", "w"}
    assert point["inputs"]["x"] != point["inputs"]["w"]
    assert of_file == "products.grad.yaml  1 cases  90.0 %  (9 noticed, 1 survived)"
    assert summary == "1 formulas of 1 cases, 90.0 %  (9 noticed, 1 survived)"


def test_how_much_is_printed(weak):
    quiet, plain, verbose = (mutate(weak, *option)[1] for option in (["-q"], [], ["-v"]))
    (summary,) = quiet.splitlines()
    assert summary.startswith("2 formulas of 2 cases, ")
    assert plain.splitlines()[-1] == summary
    assert "SURVIVED" in plain
    assert "::" not in plain
    lines = verbose.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  products")] == [
        "products.grad.yaml::weak",
        "products.grad.yaml::strong",
    ]
    assert [line for line in lines if not line.startswith("  products")] == plain.splitlines()


def test_a_point_of_many_numbers_is_left_to_the_records(write, tmp_path):
    path = write("""
        function: sum(x*w)*c
        inputs: {x: {shape: [40], sample: "uniform(1, 2)"}, w: {shape: [40], sample: normal}}
        constants: {c: 1}
        derivatives: {x: w*c}
    """)
    records = tmp_path / "records.jsonl"
    _, output = mutate(path, "--jsonl", records)
    assert "  it is noticed at a point of 81 numbers, which --jsonl writes down" in output
    survived = [one for one in read(records) if one["fate"] == "survived"]
    assert {len(one["inputs"]["x"]) for one in survived} == {40}


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_wrong_version_is_a_record(weak, tmp_path):
    path = tmp_path / "records.jsonl"
    _, output = mutate(weak, "--jsonl", path)
    records = read(path)
    assert {tuple(record) for record in records} == {
        (
            *("schema_version", "file", "line", "case", "quantity", "formula", "wrong"),
            *("mistake", "fate", "reason", "inputs", "constants"),
        )
    }
    fates = [record["fate"] for record in records]
    assert f"({fates.count('noticed')} noticed, 1 survived, " in output.splitlines()[-1]
    assert set(fates) == {"noticed", "survived", "equivalent"}
    (survived,) = [record for record in records if record["fate"] == "survived"]
    assert survived | {"inputs": None} == {
        "schema_version": 1,
        "file": weak,
        "line": 6,
        "case": "weak",
        "quantity": "dout/dx",
        "formula": "w",
        "wrong": "x",
        "mistake": "`x` for `w`",
        "fate": "survived",
        "reason": "the same at every point of the case",
        "inputs": None,
        "constants": {},
    }
    assert {type(number) for number in survived["inputs"].values()} == {float}
    assert all(not r["inputs"] and not r["reason"] for r in records if r["fate"] != "survived")


@pytest.mark.parametrize(("least", "code"), [(0, 0), (89.9, 0), (90, 0), (90.1, 1), (100, 1)])
def test_a_score_can_be_asked_for(weak, least, code):
    assert mutate(f"{weak}::weak", "-q", "--min-score", least)[0] == code


def test_equivalent_ones_do_not_count(weak):
    code, output = mutate(f"{weak}::strong", "--min-score", 100)
    assert code == 0
    assert "100.0 %  (" in output
    assert "equivalent)" in output


def test_a_case_that_does_not_pass_is_left_out_and_fails(write):
    path = write(FILE + WRONG)
    code, output = mutate(path, "-q")
    left, summary = output.splitlines()
    assert code == 1
    assert left == f"left out  {path}::wrong: dout/dx is wrong at point 1"
    assert summary.startswith("2 formulas of 2 cases, ")
    assert mutate(f"{path}::strong")[0] == 0
    code, output = mutate(f"{path}::wrong")
    assert code == 1
    assert "0 formulas of 0 cases, nothing looked at" in output


def test_cases_that_are_not_to_pass_are_not_looked_at(write):
    path = write(FILE + NOT_TO_PASS)
    code, output = mutate(path, "-q")
    assert code == 0
    assert output.startswith("2 formulas of 2 cases, ")
    assert mutate(path, "-k", "failing")[0] == 5
    assert mutate(path, "-k", "skipped")[0] == 5


def test_a_case_that_is_invalid_is_told_and_the_others_are_looked_at(write):
    code, output = mutate(write(FILE + INVALID))
    assert code == 2
    assert "a.grad.yaml:13:17: " in output
    assert "2 formulas of 2 cases, " in output


def test_cases_can_be_chosen(weak):
    assert mutate(weak, "--tag", "products")[1].endswith(mutate(f"{weak}::weak", "-q")[1])
    assert mutate(weak, "-k", "stro", "-q")[1] == mutate(f"{weak}::strong", "-q")[1]
    code, output = mutate(weak, "-k", "neither")
    assert code == 5
    assert output.endswith("nothing selected")


def test_a_case_without_formulas_is_nothing_to_look_at(write):
    code, output = mutate(write("{function: x**2, inputs: {x: 3.0}, expect: {out: 9}}"))
    assert code == 5
    assert output.endswith("nothing selected")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cuda"], "there is no device cuda here"),
        (["--jsonl", "products.grad.yaml"], "would write over the case file"),
        (["--min-score", "101"], "101.0 is not in the range"),
    ],
)
def test_wrong_usage(weak, arguments, message):
    result = CliRunner().invoke(cli, ["mutate", weak, *arguments], standalone_mode=False)
    assert message in str(result.exception.format_message())


def test_a_score_is_rounded_down():
    """100 % is all of them."""
    assert _percent(Score({"noticed": 99_999, "survived": 1})) == "99.9 %"
    assert _percent(Score({"noticed": 997, "survived": 3})) == "99.7 %"
    assert _percent(Score({"noticed": 1, "equivalent": 7})) == "100.0 %"
    assert _percent(Score({"survived": 2})) == "0.0 %"
    assert Score().percent == 100
