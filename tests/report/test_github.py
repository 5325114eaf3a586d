"""What GitHub Actions is told: annotations in the log, and the summary of the step."""

import math
import re

import pytest

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.report import github
from gradcheck.report.actions import is_told
from gradcheck.report.github import LARGEST, MOST, GitHub, refusing
from gradcheck.results import Answer, Change, Diagnosis, EntryAnswers, Result


def result(verdict="fail", **fields):
    known = {
        "case": "c",
        "file": "cases/a.grad.yaml",
        "line": 7,
        "quantity": "dz/dx",
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
        "blame": "handwritten",
        "difference": 0.5,
        "required": 1e-6,
    }
    return Result(**{**known, "verdict": verdict, **fields})


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The lines of the log, and the step's summary, for what is found."""
    monkeypatch.chdir(tmp_path)

    def told(*found, head=("1 case, 1 failed",), **environment):
        lines, summary = [], tmp_path / "summary.md"
        known = {"GITHUB_WORKSPACE": str(tmp_path), "GITHUB_STEP_SUMMARY": str(summary)}
        teller = GitHub(lines.append, {**known, **environment})
        for one in found:
            (teller.problem if isinstance(one, Problem) else teller.result)(one)
        teller.finish(*head)
        return lines, summary.read_text(encoding="utf-8") if summary.exists() else None

    return told


def unescaped(line):
    """The message of a workflow command, as GitHub reads it."""
    message = line.split("::", 2)[2]
    return message.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def test_an_annotation_says_who_is_wrong_by_how_much_why_and_how_to_see_it_again(told):
    (line,), _ = told(
        result(
            diagnosis=(Diagnosis("factor", "the factor `dy/dx` is missing"),),
            notes=("the factor `dy/dx` is missing", "a note"),
        )
    )
    assert line.startswith("::error file=cases/a.grad.yaml,line=7,title=fail%3A c dz/dx::blame: ")
    assert "50.00%25 of" in line
    assert unescaped(line) == (
        "blame: handwritten, off by 50.00% of the largest entry\n"
        "the factor `dy/dx` is missing\n"
        "a note\n"
        "in float64, cpu, point 1\n"
        "repeat: gradcheck run cases/a.grad.yaml::c --dtype float64 --device cpu"
    )


def test_a_problem_of_a_file_stands_at_its_line_and_column(told):
    lines, summary = told(Problem("a,b:c.grad.yaml", 3, 22, "no: 100 %\nof it", " x @@ x", 2, "c"))
    assert lines == [
        "::error file=a%2Cb%3Ac.grad.yaml,line=3,col=22,title=invalid%3A c::no: 100 %25%0Aof it"
    ]
    assert "    3 |  x @@ x\n" in summary


def test_a_line_cannot_be_broken_out_of(told):
    (line,), _ = told(result(case="c\n::error::x", notes=("a\r\n::set-output name=x::y",)))
    assert "\n" not in line
    assert "\r" not in line


def test_the_worst_come_first(told):
    lines, _ = told(
        result("inconclusive", case="open", resolution=1e-3),
        result("inconclusive", case="wide_open", resolution=math.inf),
        Problem("a.grad.yaml", 3, 1, "wrong", case="invalid"),
        result("pass", case="worse", change=Change("worse", "it was fine")),
        result("xpassed", case="xpassed"),
        result("error", case="error", difference=None),
        result("fail", case="small", difference=1e-3),
        result("fail", case="large", difference=0.9),
        result("fail", case="float32", difference=0.9, required=1e-3),
        result("fail", case="nan", difference=math.nan),
    )
    titles = [re.search(r"title=([^:]*)::", line)[1].split()[-2:] for line in lines]
    assert [title[0] if title[-1] == "dz/dx" else title[1] for title in titles] == [
        *("nan", "large", "small", "float32", "error", "xpassed", "worse", "invalid"),
        *("wide_open", "open"),
    ]
    assert [line.split()[0] for line in lines] == ["::error"] * 8 + ["::warning"] * 2


def test_what_fails_alike_is_one_annotation_with_the_worst(told):
    lines, summary = told(
        result(difference=0.1),
        result(difference=0.3, point="2"),
        result(difference=0.2, dtype="float32", required=1e-3),
    )
    assert len(lines) == 1
    assert "off by 30.00%" in unescaped(lines[0])
    assert "in float64, cpu, point 2, and 2 times more at other points" in unescaped(lines[0])
    assert summary.count("FAIL  ") == 3


def test_what_is_equally_bad_is_told_by_file_and_line_whoever_finds_it_first(told):
    found = [result(file=file, line=line) for file in ("b", "a") for line in (10, 9)]
    places = [re.findall(r"file=(\w),line=(\d+)", line)[0] for line in told(*found)[0]]
    assert places == [("a", "9"), ("a", "10"), ("b", "9"), ("b", "10")]


def test_as_many_as_github_shows_and_the_rest_is_counted(told):
    found = [result(line=n, difference=n / 100) for n in range(1, 15)]
    maybe = [result("inconclusive", line=n + 50, resolution=1.0) for n in range(12)]
    lines, summary = told(*found, *maybe)
    assert [line.split()[0] for line in lines] == (
        ["::error"] * MOST + ["::warning"] * MOST + ["::notice"]
    )
    assert "line=14," in lines[0]
    assert lines[-1] == (
        "::notice title=gradcheck::6 places more where something is wrong: in the step's summary"
    )
    assert summary.count("<details>") == 26
    assert told(*found, GITHUB_STEP_SUMMARY="")[0][-1].endswith(
        "4 places more where something is wrong: in the log"
    )


def test_nothing_is_annotated_where_all_is_right_and_the_summary_says_so(told):
    lines, summary = told(result("pass"), result("skipped"), result("xfailed"), head=("3 passed",))
    assert lines == []
    assert summary == "### gradcheck: 3 passed\n\n\n"


def test_a_path_is_the_repository_s_wherever_the_command_is_run(told, tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    outside = str(tmp_path / "sub")
    monkeypatch.setenv("PWD", outside)

    def path(file, **environment):
        return re.search("file=(.*?),line", told(result(file=file), **environment)[0][0])[1]

    assert path(str(tmp_path / "cases" / "a.grad.yaml")) == "cases/a.grad.yaml"
    assert path("a.grad.yaml", GITHUB_WORKSPACE=outside) == "a.grad.yaml"
    assert path("a.grad.yaml", GITHUB_WORKSPACE="") == "a.grad.yaml"
    monkeypatch.chdir(outside)
    (line,), _ = _told_here(result(file="../a.grad.yaml"), GITHUB_WORKSPACE=str(tmp_path))
    assert "file=a.grad.yaml," in line
    (tmp_path / "link").symlink_to(tmp_path)
    (line,), _ = _told_here(result(file="a.grad.yaml"), GITHUB_WORKSPACE=str(tmp_path / "link"))
    assert "file=sub/a.grad.yaml," in line


def _told_here(one, **environment):
    lines = []
    teller = GitHub(lines.append, environment)
    teller.result(one)
    teller.finish("head")
    return lines, None


def test_the_summary_has_each_block_with_a_link_to_the_line(told):
    entry = EntryAnswers("dz/dx", (), {"handwritten": Answer(3.0, 1e-15)})
    _, summary = told(
        result(entries=(entry,), formula="a `b` ```c```", file="cases/a b.grad.yaml", case="<c>"),
        head=("1 case, 1 failed", "2 results of the baseline not looked at <"),
        GITHUB_SERVER_URL="https://github.com",
        GITHUB_REPOSITORY="me/it",
        GITHUB_SHA="abc",
    )
    url = "https://github.com/me/it/blob/abc/cases/a%20b.grad.yaml#L7"
    assert (
        summary
        == f"""\
### gradcheck: 1 case, 1 failed

2 results of the baseline not looked at &lt;


<details><summary><a href="{url}">cases/a b.grad.yaml:7</a> fail: &lt;c&gt; dz/dx</summary>

````text
FAIL  cases/a b.grad.yaml:7  <c>  dz/dx  [float64, cpu, point 1]
  blame: handwritten, off by 50.00% of the largest entry
      7 | a `b` ```c```
  entry  handwritten
  dz/dx  3 ± 1.0e-15
  repeat: gradcheck run 'cases/a b.grad.yaml::<c>' --dtype float64 --device cpu
````
</details>
"""
    )


def test_what_a_baseline_knows_is_listed_and_not_annotated(told):
    lines, summary = told(result(change=Change("known", "known from the baseline")))
    assert lines == []
    assert "- <code>KNOWN  cases/a.grad.yaml:7  c  dz/dx  [float64, cpu, point 1]</code>" in summary


def test_a_summary_keeps_below_its_limit_and_says_what_is_left_out(told, tmp_path):
    found = [result(line=n, notes=("long " * 200,)) for n in range(1, 1001)]
    _, summary = told(*found)
    size = len(summary.encode())
    kept = summary.count("<details>")
    assert LARGEST - 4_000 < size <= LARGEST
    assert summary.count("</details>") == kept
    assert summary.endswith(
        f"\n{1000 - kept} more are left out, as a step's summary has a limit: see the log.\n"
    )
    _, summary = told(found[0])  # another command of the same step
    assert summary.endswith("\n1 more is left out, as a step's summary has a limit: see the log.\n")
    told(*found)
    assert (tmp_path / "summary.md").stat().st_size <= LARGEST + 4_000


def test_a_long_message_is_cut(told):
    (line,), _ = told(result(notes=("x" * 10_000,)))
    assert len(line) < github.LONGEST + 200
    assert line.endswith("x…")


def test_a_summary_that_cannot_be_written_is_said(told, tmp_path):
    with pytest.raises(UsageError, match=r"summary\.md cannot be written: No such file"):
        told(result(), GITHUB_STEP_SUMMARY=str(tmp_path / "missing" / "summary.md"))


def test_a_name_that_is_no_utf_8_is_told(told):
    _, summary = told(result(file="\udcff.grad.yaml"))
    assert "\\udcff.grad.yaml:7" in summary


@pytest.mark.parametrize(
    ("choice", "value", "told"),
    [
        ("auto", "true", True),
        ("auto", "false", False),
        ("auto", None, False),
        ("on", None, True),
        ("off", "true", False),
    ],
)
def test_github_is_told_where_actions_runs_or_as_it_is_chosen(monkeypatch, choice, value, told):
    if value:
        monkeypatch.setenv("GITHUB_ACTIONS", value)
    assert is_told(choice) is told


def test_what_cannot_be_done_is_annotated(monkeypatch):
    lines = []
    with pytest.raises(UsageError), refusing("on", lines.append):
        raise UsageError("shard 2/3 is missing")
    assert lines == ["::error title=gradcheck::shard 2/3 is missing"]
    with pytest.raises(UsageError), refusing("auto", lines.append):
        raise UsageError("shard 2/3 is missing")
    assert len(lines) == 1
