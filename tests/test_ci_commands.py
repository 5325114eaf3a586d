"""What the command line does in a job of CI: GitHub, JUnit, baselines, shards."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from gradcheck.cli import cli
from gradcheck.errors import UsageError

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("programs_on_the_cpu")
CASES = """
cases:
  square:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
    dtypes: [float64, float32]
  wrong:
    function: {y: x**2, z: sin(y)}
    points: [{inputs: {x: 3}}, {inputs: {x: 1}}]
    derivatives:
      dz/dy: cos(y)
      dz/dx: dz/dy * y
  kink:
    function: relu(x)
    inputs: {x: 0}
    derivatives: {x: 1}
  skipped: {skip: later, function: x, inputs: {x: 1}, derivatives: {x: 1}}
"""
INVALID = """
cases:
  invalid: {function: x**, inputs: {x: 3}, derivatives: {x: 2*x}}
"""


@pytest.fixture
def folder(write, monkeypatch, tmp_path):
    """A folder with a file of cases, and one with a case that is invalid."""
    write(CASES)
    write(INVALID, "b.grad.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def actions(folder, monkeypatch):
    """What is there where GitHub Actions runs a command; the path of the step's summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    return folder / "summary.md"


def gradcheck(*arguments):
    """Exit code and output of a command, run in this process."""
    found = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    if found.exception:
        raise found.exception
    return found.return_value, found.output


def run(*arguments):
    return gradcheck("run", *arguments, "--device", "cpu")


def annotations(output):
    return [line for line in output.splitlines() if line.startswith("::")]


def places(output):
    """The level, path and line of each annotation."""
    pattern = r"^::(\w+) file=([^,]*),line=(\d+)"
    return [m.groups() for m in re.finditer(pattern, output, re.MULTILINE)]


def records(path):
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def tally(output):
    """The last line, without how long it took."""
    return output.splitlines()[-1].rpartition("  (")[0]


# GitHub


def test_run_annotates_files_relative_to_the_repository_and_writes_a_summary(actions, folder):
    code, output = run(".")
    assert code == 2
    inside = folder.name
    assert places(output) == [
        ("error", f"{inside}/a.grad.yaml", "12"),
        ("error", f"{inside}/b.grad.yaml", "2"),
        ("warning", f"{inside}/a.grad.yaml", "16"),
    ]
    summary = actions.read_text("utf-8")
    assert summary.startswith(f"### gradcheck: {tally_of(output)}\n")
    assert summary.count("<details>") == 3


def tally_of(output):
    """The line that sums up, which annotations follow."""
    return tally("\n".join(line for line in output.splitlines() if not line.startswith("::")))


def test_validate_annotates_what_is_invalid(actions, folder):
    code, output = gradcheck("validate", ".")
    assert code == 2
    assert places(output) == [("error", f"{folder.name}/b.grad.yaml", "2")]
    assert "### gradcheck: 4 cases in 2 files, 1 problem\n" in actions.read_text("utf-8")


def test_files_without_a_case_that_can_run_are_annotated(actions):
    code, output = run("b.grad.yaml")
    assert (code, len(annotations(output))) == (2, 1)
    assert "### gradcheck: nothing selected" in actions.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "count"), [(["--github", "off"], 0), (["--github", "auto"], 3), ([], 3)]
)
def test_github_is_told_where_it_runs_unless_told_otherwise(actions, options, count):
    assert len(annotations(run(".", *options)[1])) == count
    assert actions.exists() == bool(count)


def test_github_is_told_elsewhere_where_that_is_chosen(folder):
    assert annotations(run(".")[1]) == []
    assert len(annotations(run(".", "--github", "on")[1])) == 3


def test_a_shard_leaves_it_to_merge(actions):
    options = ["--shard", "1/1", "--jsonl", "r.jsonl"]
    assert annotations(run(".", *options)[1]) == []
    assert len(annotations(run(".", *options, "--github", "on")[1])) == 3
    assert len(annotations(gradcheck("merge", "r.jsonl")[1])) == 3


def test_a_shard_that_is_missing_is_annotated(actions, capfd):
    run(".", "--shard", "1/2", "--jsonl", "r.jsonl")
    with pytest.raises(UsageError):
        gradcheck("merge", "r.jsonl")
    found = CliRunner().invoke(cli, ["merge", "r.jsonl"], standalone_mode=False)
    assert found.output == "::error title=gradcheck::shard 2/2 is missing beside r.jsonl\n"


# JUnit


@pytest.mark.parametrize("option", ["--jsonl", "--baseline"])
def test_junit_takes_no_file_of_records(folder, option):
    run("a.grad.yaml", "--jsonl", "r.jsonl")
    written = Path("r.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"--junit would write over the records in r\.jsonl"):
        run("a.grad.yaml", option, "r.jsonl", "--junit", "./r.jsonl")
    assert Path("r.jsonl").read_bytes() == written


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
def test_who_cannot_write_keeps_nobody_else_from_it(actions, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    done = process("run", "a.grad.yaml", "-q", "--junit", "/dev/full")
    assert (done.returncode, len(annotations(done.stdout))) == (4, 2)
    assert "/dev/full cannot be written: No space left on device" in done.stderr


def test_junit_is_written_though_nobody_reads_the_terminal(folder):
    code = (
        "import os, sys\nfrom gradcheck.cli import main\n"
        "reader, writer = os.pipe()\nos.close(reader)\nos.dup2(writer, 1)\nmain()\n"
    )
    options = ["-q", "--device", "cpu", "--junit", "out.xml"]
    done = python(code, "run", "a.grad.yaml", *options)
    assert done.returncode == 141
    assert ElementTree.parse("out.xml").getroot()[0].get("tests") == "5"


def test_junit_has_the_tests_that_pytest_has(folder):
    code, _ = run(".", "--junit", "out.xml")
    assert code == 2
    suite = ElementTree.parse("out.xml").getroot()[0]
    found = {case.get("name"): [child.tag for child in case][1:] for case in suite}
    assert found == {
        "invalid[invalid]": ["error"],
        "square[float64-cpu]": [],
        "square[float32-cpu]": [],
        "wrong[float64-cpu]": ["failure"],
        "kink[float64-cpu]": ["failure"],
        "skipped[float64-cpu]": ["skipped"],
    }


# Baselines


@pytest.fixture
def baseline(folder):
    assert run("a.grad.yaml", "--jsonl", "baseline.jsonl")[0] == 1
    return "baseline.jsonl"


def edit(path, old, new):
    text = Path(path).read_text("utf-8")
    assert text.count(old) == 1
    Path(path).write_text(text.replace(old, new), "utf-8")


def test_what_is_known_does_not_fail(baseline):
    code, output = run("a.grad.yaml", "--baseline", baseline)
    assert code == 0
    assert tally(output) == "4 cases, 4 passed, 3 known from the baseline, 1 skipped"
    lines = [line for line in output.splitlines() if line.startswith("KNOWN")]
    assert lines[0] == (
        "KNOWN  a.grad.yaml:12  wrong  dz/dx  [float64, cpu, point 1]  "
        "fail, known from the baseline"
    )
    assert len(lines) == 3


def test_known_and_invalid_is_still_invalid(baseline):
    assert run(".", "--baseline", baseline)[0] == 2


def test_what_is_new_fails(baseline):
    edit("a.grad.yaml", "{x: 2*x}", "{x: 3*x}")
    code, output = run("a.grad.yaml", "--baseline", baseline)
    assert code == 1
    assert "  worse than in the baseline: it was pass, it is fail\n" in output
    assert tally(output).endswith("2 passed, 2 failed, 3 known from the baseline, 1 skipped")
    edit("a.grad.yaml", "  square:", "  another:")
    code, output = run("a.grad.yaml", "--baseline", baseline)
    assert code == 1
    assert "  new: the baseline does not have it\n" in output
    assert "2 results of the baseline not looked at\n" in output


def test_what_passes_with_fewer_digits_fails(baseline):
    lines = records(baseline)
    lines[1]["digits"]["autograd"] = 9.9
    Path(baseline).write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, output = run("a.grad.yaml::square", "--baseline", baseline)
    assert code == 1
    assert re.search(
        r"^WORSE  a.grad.yaml:5  square  dout/dx  \[float32, cpu, point 1\]\n"
        r"(.*\n)*?  worse than in the baseline: autograd kept 9.9 digits, it keeps 7.2\n",
        output,
        re.MULTILINE,
    )
    assert "of the baseline not looked at, of which failed: a.grad.yaml::wrong dz/dx" in output


def test_what_got_better_is_told_and_does_not_fail(baseline):
    edit("a.grad.yaml", "dz/dy * y", "dz/dy * 2*x")
    code, output = run("a.grad.yaml", "--baseline", baseline)
    assert code == 0
    assert "2 better than in the baseline (-v shows them)" in tally(output)
    assert run("a.grad.yaml", "--baseline", baseline, "-v")[1].count("it was fail, it is pass") == 2


def test_exitfirst_goes_on_where_it_is_known(baseline):
    assert run("a.grad.yaml", "--baseline", baseline, "-x")[0] == 0


def test_a_record_does_not_depend_on_the_baseline_whose_place_it_may_take(baseline):
    before = records(baseline)
    assert run("a.grad.yaml", "--baseline", baseline, "--jsonl", baseline)[0] == 0
    after = records(baseline)
    for record in (*before, *after):
        del record["seconds"]
    assert after == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version": 1, "case": "squ', ":1: the record is cut off"),
        ("fine\n", ":1: this is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"schema_version": 9}\n', ":1: this record has schema_version 9, this gradcheck reads 1"),
    ],
)
def test_a_baseline_that_is_none_is_refused_with_its_line(folder, text, message):
    Path("baseline.jsonl").write_text(text)
    with pytest.raises(UsageError) as caught:
        run("a.grad.yaml", "--baseline", "baseline.jsonl", "--jsonl", "r.jsonl")
    assert str(caught.value).startswith(f"baseline.jsonl{message}")
    assert not Path("r.jsonl").exists()


# Shards


def without_seconds(path):
    listed = [record for record in records(path) if "run" not in record]
    return sorted(json.dumps({**record, "seconds": 0}) for record in listed)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_merged_shards_are_one_run(folder, count):
    code, whole = run(".", "--jsonl", "whole.jsonl")
    names = [f"{number}.jsonl" for number in range(1, count + 1)]
    for number, name in enumerate(names, 1):
        run(".", "--shard", f"{number}/{count}", "--jsonl", name)
    merged = gradcheck("merge", *reversed(names), "--jsonl", "merged.jsonl")
    assert merged[0] == code
    assert tally(merged[1]) == tally(whole)
    assert without_seconds("merged.jsonl") == without_seconds("whole.jsonl")
    blocks = [re.sub(r"\n  (entry|dz/dx|dout/dx) .*", "", text) for text in (whole, merged[1])]
    assert blocks[0].splitlines()[:-1] == blocks[1].splitlines()[:-1]
    assert gradcheck("merge", "merged.jsonl", "-q")[0] == code


def test_shards_and_their_verdict_know_what_a_baseline_knows(baseline):
    for number in (1, 2):
        options = ["--shard", f"{number}/2", "--jsonl", f"{number}.jsonl", "--baseline", baseline]
        code, output = run("a.grad.yaml", *options)
        assert code == 0
        assert "not looked at" not in output
    code, output = gradcheck("merge", "1.jsonl", "2.jsonl", "--baseline", baseline)
    assert (code, tally(output)) == (0, "4 cases, 4 passed, 3 known from the baseline, 1 skipped")
    assert gradcheck("merge", "1.jsonl", "2.jsonl")[0] == 1


def test_a_shard_without_a_case_of_its_own_passes(folder):
    code, output = run("a.grad.yaml::square", "--shard", "2/2", "--jsonl", "2.jsonl")
    assert (code, output.splitlines()[-1][:20]) == (0, "0 cases, nothing run")
    assert run("a.grad.yaml", "-k", "none", "--shard", "1/2")[0] == 5


def test_shards_in_which_nothing_can_run_are_joined_and_what_is_invalid_is_annotated(actions):
    for number in (1, 2):
        options = ["--shard", f"{number}/2", "--jsonl", f"{number}.jsonl"]
        assert run("b.grad.yaml", *options)[0] == 2
    code, output = gradcheck("merge", "1.jsonl", "2.jsonl", "--junit", "out.xml")
    assert (code, places(output)) == (2, places(run("b.grad.yaml")[1]))
    assert ElementTree.parse("out.xml").getroot()[0].get("errors") == "1"


def test_shards_of_nothing_are_nothing(folder):
    assert run("a.grad.yaml", "-k", "none", "--shard", "1/1", "--jsonl", "1.jsonl")[0] == 5
    code, output = gradcheck("merge", "1.jsonl")
    assert (code, output) == (5, "nothing selected\n")


def test_a_shard_that_stops_at_its_first_failure_is_not_whole(folder):
    run("a.grad.yaml", "-x", "--shard", "1/1", "--jsonl", "r.jsonl")
    with pytest.raises(UsageError, match="does not say that its run came to an end"):
        gradcheck("merge", "r.jsonl")


def test_shards_of_different_cases_are_not_of_one_run(folder):
    run("a.grad.yaml", "--shard", "1/2", "--jsonl", "1.jsonl")
    edit("a.grad.yaml", "{x: 2*x}", "{x: 3*x}")
    run("a.grad.yaml", "--shard", "2/2", "--jsonl", "2.jsonl")
    with pytest.raises(UsageError, match=r"2/2 is missing beside 1\.jsonl: 2\.jsonl is of another"):
        gradcheck("merge", "1.jsonl", "2.jsonl")


def process(*arguments):
    code = (
        "import sys\nfrom gradcheck.cli import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules)\n"
    )
    return python(code, *arguments)


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_merge_and_validate_import_no_torch_and_a_missing_shard_exits_with_4(actions):
    run("a.grad.yaml", "--shard", "1/2", "--jsonl", "1.jsonl")
    run("a.grad.yaml", "--shard", "2/2", "--jsonl", "2.jsonl")
    for arguments, code in (
        (["merge", "1.jsonl", "2.jsonl"], 1),
        (["merge", "1.jsonl"], 4),
        (["validate", "a.grad.yaml"], 0),
    ):
        done = process(*arguments)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (code, "False"), done.stderr
    assert process("merge", "1.jsonl").stderr == "gradcheck: shard 2/2 is missing beside 1.jsonl\n"
    assert process("merge").returncode == 4
    assert process("run", ".", "--shard", "3/2").stderr.startswith("gradcheck: `3/2` is no shard: ")
