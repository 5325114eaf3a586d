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
        SURVIVED  products.grad.yaml:2  weak  1 of 10 wrong versions
              6 | w  (dout/dx)
          wrong | x
          the same at every point of the case
          it would be noticed with:
            points:
              - {}  # the case as it is
    """)
        .rstrip()
        .splitlines()
    )
    ((point,),) = [yaml.safe_load(at)]
    assert set(point["inputs"]) == {"x", "w"}
    assert point["inputs"]["x"] != point["inputs"]["w"]
    assert of_file == "products.grad.yaml  1 case  90.0 %  (9 noticed, 1 survived)"
    assert summary == "1 formula of 1 case, 90.0 %  (9 noticed, 1 survived)"


ONES = """
cases:
  ones:
    function: {y: x*w, z: y**2 + x, loss: (z - t)**2}
    inputs: {x: 1, w: 1}
    constants: {t: 1}
    derivatives: {dy/dx: w, dz/dy: 2*y, dloss/dz: 2*(z - t), dloss/dw: dloss/dz*dz/dy*x}
"""


def test_a_weak_case_reads_in_a_few_lines_that_end_with_what_mends_it(write):
    path = write(ONES)
    _, output = mutate(path)
    lines = output.splitlines()[1:-2]
    assert lines[0].startswith(f"SURVIVED  {path}:2  ones  18 of ")
    assert [line for line in lines if "|" in line and "wrong" not in line] == [
        "      6 | w  (dy/dx)",
        "      6 | 2*y  (dz/dy)",
        "      6 | 2*(z - t)  (dloss/dz)",
        "      6 | dloss/dz*dz/dy*x  (dloss/dw)",
    ]
    assert lines[4] == "  wrong | 2; 2 / y; 2*(y * y); 2*x; and 1 more"
    at = lines.index("  all would be noticed with:")
    assert at == len(lines) - 4 == 10
    pasted = "\n".join(lines[at + 1 :])
    path.write_text(f"{ONES.rstrip()}\n{pasted}\n", encoding="utf-8")
    code, output = mutate(path, "--min-score", 100)
    assert code == 0, output
    assert "SURVIVED" not in output


def test_all_that_survived_is_a_line_each_where_that_is_asked_for(write):
    _, output = mutate(write(ONES), "-v")
    told = [line for line in output.splitlines() if line.startswith("  wrong | ")]
    assert len(told) == 18
    assert "  wrong | 2*w  (`w` for `y`)" in told


def test_each_reason_is_told_once_and_a_point_for_as_many_as_it_notices(write):
    path = write("""
        function: {S: Q @ K.T / sqrt(d), y: sum(S**2*c)}
        sizes: {n: 2, d: 2}
        inputs: {Q: {shape: [n, d], sample: normal}, K: {shape: [n, d], sample: normal}}
        constants: {c: [[1, 1], [1, 1]]}
        derivatives: {dy/dQ: 2*(S*c) @ K / sqrt(d)}
    """)
    lines = mutate(path)[1].splitlines()
    at = lines.index("  the same at every point of the case, where `d` and `n` are both 2")
    assert lines[at - 1] == "  wrong | 2*(S*c) @ K / sqrt(n)"
    assert lines[at + 1].endswith(" would be noticed with:")
    assert lines[at + 1].startswith("  4 ")
    assert "  c  5 of " in lines[1]
    assert lines[at + 5].startswith("    constants: {c: [[")


def test_a_case_that_has_points_is_told_those_to_add(write):
    path = write("""
        function: x*w
        points: [{inputs: {x: 2.0, w: 2.0}}, {inputs: {x: 3.0, w: 3.0}}]
        derivatives: {x: w}
    """)
    _, output = mutate(path)
    assert "- {}" not in output
    assert "      - {inputs: {x: " in output


def test_where_something_is_published_it_belongs_to_the_points(write):
    path = write("""
        function: x*w
        inputs: {x: 2.0, w: 2.0}
        derivatives: {x: w}
        expect: {out: 4}
    """)
    assert "      - {}  # the case as it is; its `expect` belongs here" in mutate(path)[1]


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
    others = [line for line in lines if not line.startswith("  products")]
    assert others == plain.replace("| x\n", "| x  (`x` for `w`)\n").splitlines()


def test_a_point_of_many_numbers_is_left_to_the_records(write, tmp_path):
    path = write("""
        function: sum(x*w)*c
        inputs: {x: {shape: [40], sample: "uniform(1, 2)"}, w: {shape: [40], sample: normal}}
        constants: {c: 1}
        derivatives: {x: w*c}
    """)
    records = tmp_path / "records.jsonl"
    _, output = mutate(path, "--jsonl", records)
    assert "  all would be noticed at 1 point, of 81 numbers: --jsonl writes them down" in output
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
    assert summary.endswith(", 1 left out")
    assert mutate(f"{path}::strong")[0] == 0
    code, output = mutate(f"{path}::wrong")
    assert code == 1
    assert output.splitlines()[1:] == ["0 formulas of 0 cases, nothing looked at, 1 left out"]


WITHOUT = """
  without:
    function: x**2
    inputs: {x: 3.0}
    expect: {out: 9}
"""


def test_cases_that_are_not_looked_at_are_counted(write):
    path = write(FILE + NOT_TO_PASS + WITHOUT)
    code, output = mutate(path, "-q")
    assert code == 0
    assert output.startswith("2 formulas of 2 cases, ")
    assert output.endswith(", 3 skipped")
    _, output = mutate(path, "-v")
    told = [line for line in output.splitlines() if line.startswith("skipped  ")]
    assert told == [
        f"skipped  {path}::skipped: later",
        f"skipped  {path}::failing: it is known to fail: by hand",
        f"skipped  {path}::without: no derivative is written in it",
    ]


@pytest.mark.parametrize("name", ["skipped", "failing", "without"])
def test_where_nothing_is_looked_at_that_is_said_in_place_of_a_sum(write, name):
    code, output = mutate(write(FILE + NOT_TO_PASS + WITHOUT), "-k", f"::{name}")
    assert code == 5
    assert output == "nothing selected: 1 skipped"


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
    assert output == "nothing selected"


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
