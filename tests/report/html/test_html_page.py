"""The page that `gradcheck run`, `merge` and pytest write, as text: what is in it, and when."""

import base64
import hashlib
import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gradcheck import cli
from gradcheck.casefile.problems import Problem
from gradcheck.checker import Checker
from gradcheck.report.html.page import page
from gradcheck.report.html.reader import Html
from gradcheck.results import Change, Result

CASES = """
cases:
  right:
    inputs: {x: 2.0}
    function: x**2
    derivatives: {x: 2*x}
  wrong:
    inputs: {x: [1.0, 2.0, 3.0, 0.5, 0.25, 4.0, 1.5]}
    function: {y: x**2, z: sin(y)}
    derivatives: {dy/dx: 3*x, dz/dx: cos(y)*dy/dx}
  wide:
    inputs: {x: 0.0}
    function: abs(x)
    derivatives: {x: sign(x)}
"""
BROKEN = """
  broken:
    inputs: {x: 2.0}
    function: x +
    derivatives: {x: 1}
"""


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Runs gradcheck in a folder with cases; returns the exit code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.grad.yaml").write_text(CASES, encoding="utf-8")

    def command(*arguments, code=1):
        monkeypatch.setattr(sys, "argv", ["gradcheck", *arguments])
        assert cli._main() == code

    return command


def without_times(path):
    """A page's text; how long things took is in its rows and in its header."""
    text = path.read_text(encoding="utf-8")
    table = json.loads(re.search(r'id="table">(.*?)</script>', text, re.DOTALL)[1])
    seconds = table["columns"]["results"].index("seconds")
    for row in table["results"]:
        assert row[seconds] > 0
        row[seconds] = 0
    text = re.sub(r'id="table">.*?</script>', "", text, flags=re.DOTALL)
    return re.sub(r"\d+\.\d s ·", "", text), table


def test_shards_make_the_page_that_one_run_makes(command, tmp_path):
    command("run", "a.grad.yaml", "--html", "whole.html")
    for shard in "12":
        command("run", "a.grad.yaml", "--shard", f"{shard}/2", "--jsonl", f"{shard}.jsonl")
    command("merge", "1.jsonl", "2.jsonl", "--html", "merged.html")
    assert without_times(tmp_path / "merged.html") == without_times(tmp_path / "whole.html")


def test_pytest_writes_the_page_that_a_run_writes(command, pytester):
    pytester.path.joinpath("a.grad.yaml").write_text(CASES, encoding="utf-8")
    command("run", "a.grad.yaml", "--html", "run.html")
    pytester.runpytest_inprocess("--gradcheck-html", "page.html", "-p", "no:cacheprovider")
    assert without_times(pytester.path / "page.html") == without_times(pytester.path / "run.html")


def test_workers_hand_on_what_the_page_needs(pytester):
    pytester.path.joinpath("a.grad.yaml").write_text(CASES + BROKEN, encoding="utf-8")
    pytester.runpytest_subprocess("-n", "1", "--gradcheck-html", "page.html")
    text = (pytester.path / "page.html").read_text(encoding="utf-8")
    _, table = without_times(pytester.path / "page.html")
    assert {row[2] for row in table["claims"]} == {"right", "wrong", "wide"}
    assert "a.grad.yaml:18:17: not a formula" in text


def test_pytest_refuses_a_page_in_place_of_a_case_file(pytester):
    path = pytester.path.joinpath("a.grad.yaml")
    path.write_text(CASES, encoding="utf-8")
    result = pytester.runpytest_subprocess("--gradcheck-html", "a.grad.yaml")
    result.stderr.fnmatch_lines(["*--gradcheck-html would write over the case file a.grad.yaml"])
    assert path.read_text(encoding="utf-8") == CASES


def test_a_page_in_place_of_a_case_file_is_refused():
    result = CliRunner().invoke(cli.cli, ["run", "--html", "a.grad.yaml"])
    assert "--html would write over the case file a.grad.yaml" in result.output


def test_a_page_that_cannot_be_written_is_said_before_the_run(command, capsys):
    command("run", "a.grad.yaml", "--html", "missing/page.html", code=4)
    captured = capsys.readouterr()
    assert (
        captured.err
        == "gradcheck: missing/page.html cannot be written: No such file or directory\n"
    )
    assert captured.out == ""


def test_what_is_invalid_is_listed_with_its_place(command, tmp_path):
    (tmp_path / "a.grad.yaml").write_text(CASES + BROKEN, encoding="utf-8")
    command("run", "a.grad.yaml", "--html", "page.html", code=2)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "1 problem in the files: what is there was not run" in text
    assert "a.grad.yaml:18:17: not a formula" in text
    _, table = without_times(tmp_path / "page.html")
    assert len(table["claims"]) == 4


def test_a_run_without_cases_has_a_page_that_says_so(command, tmp_path):
    command("run", "a.grad.yaml", "-k", "absent", "--html", "page.html", code=5)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>✕ gradcheck: nothing selected</title>" in text


def test_a_run_that_is_interrupted_leaves_what_it_knew(command, tmp_path, monkeypatch):
    def interrupted(checker, job, then):
        yield from run(checker, job, then)
        if job.case.name == "wrong":
            raise KeyboardInterrupt

    run = Checker.run
    monkeypatch.setattr(Checker, "run", interrupted)
    command("run", "a.grad.yaml", "--html", "page.html", code=130)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "the run was stopped before its end: not all was looked at" in text
    _, table = without_times(tmp_path / "page.html")
    assert {row[2] for row in table["claims"]} == {"right", "wrong"}


def test_a_run_that_ends_at_its_first_failure_says_so(command, tmp_path):
    command("run", "a.grad.yaml", "-x", "--html", "page.html")
    assert "the run was stopped before its end" in (tmp_path / "page.html").read_text("utf-8")
    command("run", "a.grad.yaml", "--html", "page.html")
    assert "the run was stopped" not in (tmp_path / "page.html").read_text("utf-8")


def test_what_a_baseline_says_is_on_the_page(tmp_path):
    known = Change("known", "known from the baseline")
    place = ("c", "a.grad.yaml", 7, "dz/dx", "1", "float64", "cpu", "fail")
    html = Html(tmp_path / "page.html")
    html.result(Result(*place, blame="handwritten", change=known))
    html.finish("1 case")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>1</b> known from the baseline" in text
    assert text.index("✓ gradcheck: 1 case") > 0


NASTY = "</script><img src=x onerror=alert(1)>{{script}}<!--"


def test_no_content_gets_out_of_its_place():
    bad = Result(NASTY, NASTY, 7, NASTY, "1", "float64", "cpu", "fail", notes=(NASTY,))
    text = page([bad], [Problem(NASTY, 1, 1, NASTY, NASTY)], [NASTY, NASTY])
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 3
    assert text.count("<!--") == 0
    assert text.count("{{") == text.count("}}")


def test_the_page_runs_its_own_script_and_loads_nothing():
    text = page([], [], ["nothing"])
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    assert "@import" not in text


def test_a_browser_without_scripts_reads_what_failed():
    bad = Result("c", "a.grad.yaml", 7, "dz/dx", "1", "float64", "cpu", "fail")
    text = page([bad], [], ["1 case, 1 failed"])
    said = text.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "FAIL  a.grad.yaml:7  c  dz/dx" in said
    assert '<span class="is-fail"><b>1</b> failed </span>' in text


def test_a_run_without_a_page_imports_none_of_it(command, tmp_path):
    code = (
        "import sys, gradcheck.cli as cli; sys.argv = ['gradcheck', 'run', 'a.grad.yaml', '-q'];"
        "cli._main(); print([m for m in sys.modules if 'report.html' in m])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.splitlines()[-1] == "[]"
