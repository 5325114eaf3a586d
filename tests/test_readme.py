"""What README.md says is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradcheck.casefile.models import Case, json_schema
from gradcheck.cli import cli
from gradcheck.report.terminal import STYLE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "cases" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "tests" / "benchmarks" / "README.md",
]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def first_case(tmp_path, monkeypatch):
    """README's first case, as the file that its first line names."""
    text, _ = blocks("yaml")
    name = text.splitlines()[0].removeprefix("# ")
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def without_radii(text: str) -> list[str]:
    """The words of a block but for the radii, whose digits depend on the machine's arithmetic."""
    return re.sub(r"± \S+", "±", text).split()


def run(*arguments):
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


def test_ci_runs_the_two_commands_that_a_newcomer_is_told():
    told = [command.strip() for command in blocks("console")]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert len(told) == 2
    assert [line for line in ci if "pip install" in line] == told


def test_the_first_case_passes(first_case):
    result = run("run")
    assert result.return_value == 0, result.output


def test_the_first_case_made_wrong_prints_the_block_shown(first_case):
    text = first_case.read_text(encoding="utf-8")
    assert text.count("dz/dx: dz/dy * dy/dx") == 1
    first_case.write_text(text.replace("dz/dx: dz/dy * dy/dx", "dz/dx: dz/dy"), "utf-8")
    result = run("run")
    (shown,) = blocks("text")
    assert result.return_value == 1
    printed = result.output.split("\ncases/")[0]
    assert without_radii(printed) == without_radii(shown)


@pytest.mark.parametrize("document", ["README.md", "docs/passes.md"])
def test_the_case_of_a_backward_passes(tmp_path, document):
    (text,) = blocks("yml", (ROOT / document).read_text(encoding="utf-8"))
    path = tmp_path / "backward.grad.yaml"
    path.write_text(text, encoding="utf-8")
    result = run("run", str(path))
    assert result.return_value == 0, result.output


def test_every_key_of_a_case_is_in_the_table():
    table = README[README.index("| key of a case |") : README.index("A file may also have")]
    named = set(re.findall(r"`(\w+)", table))
    assert set(Case.model_fields) <= named


def test_the_keys_of_a_file_are_named():
    for key in json_schema()["properties"]:
        assert f"`{key}:`" in README or f"`{key}`" in README or key == "cases"


def test_the_main_verdicts_are_explained():
    for verdict in set(STYLE) - {"skipped", "xfailed", "xpassed"}:
        assert f"| `{verdict}` |" in README


def test_every_command_is_named():
    for command in cli.commands:
        assert f"`gradcheck {command}" in README


def test_the_kernel_passes_and_without_its_sum_prints_the_block_shown(tmp_path):
    (program,), (shown,) = blocks("python"), blocks("txt")
    path = tmp_path / "scale.py"
    command = [sys.executable, path.name]

    def printed(text):
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    right = printed(program)
    assert all(line.startswith("  pass  Scale") for line in right.splitlines())
    assert program.count("(cotangent * x).sum(0)") == 1
    wrong = printed(program.replace("(cotangent * x).sum(0)", "cotangent * x"))
    assert without_radii(wrong) == without_radii(shown)


def test_the_section_on_kernels_is_short():
    section = README[README.index("## Checking a kernel") : README.index("## Case files")]
    assert len(section.splitlines()) <= 40


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_and_nothing_is_left_to_fill_in(document):
    text = document.read_text(encoding="utf-8")
    assert re.findall(r"@[A-Z_]+@|TODO|TBD", text) == []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(document: Path) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len(README.splitlines()) < 250
