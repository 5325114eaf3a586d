"""The workflow in README.md: what a linter says of it, and what its commands do."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gradcheck.cli import cli

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
WORKFLOW = README.partition("## In CI\n\n```yaml\n")[2].partition("```")[0]
JOBS = yaml.safe_load(WORKFLOW)["jobs"]
POLICY = "rules: {unpinned-uses: {config: {policies: {actions/*: ref-pin}}}}\n"
"""GitHub's own actions may be named by version, which a reader can follow."""
ZIZMOR = shutil.which("zizmor", path=Path(sys.executable).parent) or shutil.which("zizmor")
linted = pytest.mark.skipif(not ZIZMOR, reason="zizmor, of the extra `test`, is not installed")


@pytest.fixture
def workflow(tmp_path):
    path = tmp_path / ".github" / "workflows" / "derivatives.yml"
    path.parent.mkdir(parents=True)
    path.write_text(WORKFLOW, encoding="utf-8")
    return path


def lint(path, *command):
    return subprocess.run(
        command, cwd=path.parent.parent.parent, capture_output=True, text=True, timeout=60
    )


def zizmor(path):
    config = path.parent.parent / "zizmor.yml"
    config.write_text(POLICY, encoding="utf-8")
    where = ("--offline", "--strict-collection", "--config", str(config), str(path))
    return lint(path, str(ZIZMOR), "--no-progress", *where)


@linted
def test_a_linter_finds_nothing(workflow):
    done = zizmor(workflow)
    assert done.returncode == 0, done.stdout + done.stderr


@linted
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("runs-on: ubuntu-latest", "run-on: ubuntu-latest"),
        (", with: {persist-credentials: false}", ""),
        ("permissions: {contents: read}", "permissions: write-all"),
        ("--shard ${{ matrix.shard }}/3", "--shard ${{ github.head_ref }}"),
    ],
)
def test_the_linter_finds_what_is_wrong(workflow, old, new):
    assert old in WORKFLOW
    workflow.write_text(WORKFLOW.replace(old, new), encoding="utf-8")
    assert zizmor(workflow).returncode != 0


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not installed")
def test_actionlint_finds_nothing(workflow):
    done = lint(workflow, "actionlint", "-shellcheck=", str(workflow))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_jobs_and_the_matrix_that_are_named_are_there():
    assert {job["needs"] for job in JOBS.values() if "needs" in job} <= set(JOBS)
    assert set(re.findall(r"\$\{\{ (.*?) \}\}", WORKFLOW)) == {"matrix.shard"}
    assert list(JOBS["check"]["strategy"]["matrix"]) == ["shard"]


def commands(job, **matrix):
    """The arguments of each gradcheck command of a job."""
    for step in JOBS[job]["steps"]:
        for command in step.get("run", "").split(" && "):
            for name, value in matrix.items():
                command = command.replace(f"${{{{ matrix.{name} }}}}", str(value))
            if command.startswith("gradcheck "):
                yield command.split()[1:]


def exit_code(arguments):
    """Of a command whose last argument may be a pattern."""
    files = [str(path) for path in sorted(Path().glob(arguments[-1]))]
    arguments = [*arguments[:-1], *(files or arguments[-1:])]
    found = CliRunner().invoke(cli, arguments, standalone_mode=False)
    return found.return_value if found.exception is None else str(found.exception)


def test_its_commands_check_all_cases_and_give_one_verdict(write, tmp_path, monkeypatch):
    case = "  c{n}:\n    function: x**2\n    inputs: {{x: 3}}\n    derivatives: {{x: {d}}}\n"
    (tmp_path / "cases").mkdir()
    right = "cases:\n" + "".join(case.format(n=n, d="2*x") for n in range(5))
    write(right, "cases/a.grad.yaml")
    monkeypatch.chdir(tmp_path)
    (merge,) = commands("verdict")

    def verdict():
        for shard in JOBS["check"]["strategy"]["matrix"]["shard"]:
            (run,) = commands("check", shard=shard)
            exit_code(run)
        return exit_code(merge)

    assert verdict() == 0
    write(right.replace("2*x", "3*x", 1), "cases/a.grad.yaml")
    assert verdict() == 1
    Path("2.jsonl").unlink()
    assert exit_code(merge) == "shard 2/3 is missing beside 1.jsonl"
