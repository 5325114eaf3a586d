"""What a shell offers at TAB, through click's own completion."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete, get_completion_class

from gradcheck.cli import cli

ROOT = Path(__file__).parent.parent
FILE = """
defaults: {tags: all}
cases:
  square:
    tags: [scalar, power]
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
  square_root:
    function: sqrt(x)
    inputs: {x: 3}
  sine: {function: "sin(", tags: odd}
"""


def completed(*arguments):
    """What is offered for the last of the arguments."""
    *args, incomplete = map(str, arguments)
    shell = ShellComplete(cli, {}, "gradcheck", "_GRADCHECK_COMPLETE")
    return shell.get_completions(args, incomplete)


def offered(*arguments):
    return [item.value for item in completed(*arguments)]


@pytest.fixture
def folder(write, tmp_path, monkeypatch):
    """A folder with case files, and others beside them."""
    (tmp_path / "cases" / "more").mkdir(parents=True)
    for name in ("a.grad.yaml", "cases/b.grad.yaml", "cases/more/c.grad.yaml"):
        write(FILE, name)
    for name in ("notes.txt", "cases/other.yaml", ".hidden.grad.yaml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["run", "list", "validate", "explain", "mutate", "search"])
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ["cases/", "a.grad.yaml"]),
        ("a", ["a.grad.yaml"]),
        ("cases/", ["cases/more/", "cases/b.grad.yaml"]),
        ("cases/b", ["cases/b.grad.yaml"]),
        ("cases/n", []),
        ("missing/", []),
        ("a.grad.yaml::", ["a.grad.yaml::square", "a.grad.yaml::square_root", "a.grad.yaml::sine"]),
        ("a.grad.yaml::square_", ["a.grad.yaml::square_root"]),
        ("missing.grad.yaml::", []),
        ("notes.txt::", []),
    ],
)
def test_paths_are_case_files_and_their_cases(folder, command, typed, expected):
    assert offered(command, typed) == expected


def test_a_further_path_is_completed_like_the_first(folder):
    assert offered("run", "a.grad.yaml", "-x", "cases/b.grad.yaml::si") == [
        "cases/b.grad.yaml::sine"
    ]


def test_a_folder_alone_is_left_to_the_shell_which_goes_on_inside_of_it(folder):
    (item,) = completed("run", "ca")
    assert (item.type, item.value) == ("dir", "ca")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--tag", ""], ["all", "odd", "power", "scalar"]),
        (["run", "a.grad.yaml", "--tag", "s"], ["scalar"]),
        (["list", "--tag", "p", "a.grad.yaml", "--tag", "o"], ["odd"]),
        (["mutate", "a.grad.yaml::square", "--tag", "a"], ["all"]),
        (["search", "cases/more", "missing", "--tag", "pow"], ["power"]),
        (["run", "notes.txt", "--tag", ""], []),
    ],
)
def test_tags_are_those_of_the_files_named_or_of_the_folder_cases(folder, arguments, expected):
    assert offered(*arguments) == expected


def test_words_are_completed_and_explained():
    items = completed("words", "softp")
    assert [item.value for item in items] == ["softplus"]
    assert items[0].help
    assert offered("words", "tan", "softp") == ["softplus"]


@pytest.mark.parametrize("text", ["cases: [", "cases: 3", "", "[]", "cases: {a: {tags: [{}, 1]}}"])
def test_a_file_with_anything_in_it_is_no_trouble(folder, write, text):
    (folder / "bad.grad.yaml").write_text(text, encoding="utf-8")
    assert offered("run", "bad.grad.yaml::") == (["bad.grad.yaml::a"] if "{a:" in text else [])
    assert offered("run", "bad.grad.yaml", "--tag", "") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.grad.yaml", "::", "square_"], ["plain,square_root"]),
        (["a.grad.yaml", "::"], ["plain,square", "plain,square_root", "plain,sine"]),
        (["a.grad.yaml::square_"], ["plain,a.grad.yaml::square_root"]),
        (["a.grad.yaml", "::", "sine", "a"], ["plain,a.grad.yaml"]),
    ],
)
def test_bash_takes_a_case_for_three_words(folder, monkeypatch, words, expected):
    monkeypatch.setenv("COMP_WORDS", "\n".join(["gradcheck", "run", *words]))
    monkeypatch.setenv("COMP_CWORD", str(1 + len(words)))
    shell = get_completion_class("bash")(cli, {}, "gradcheck", "_GRADCHECK_COMPLETE")
    assert shell.complete().splitlines() == expected


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "m"], r"my\ \(old\)\ a.grad.yaml"),
        (["run", '"m'], "my (old) a.grad.yaml"),
        (["run", r"my\ \(old\)\ a.grad.yaml", "::", "square_"], "square_root"),
    ],
)
def test_a_space_is_filled_in_so_that_bash_reads_it(folder, words, expected):
    (folder / "my (old) a.grad.yaml").write_text(FILE, encoding="utf-8")
    program = folder / "gradcheck"
    program.write_text(
        f"#!{shutil.which('bash')}\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m gradcheck\n"
    )
    program.chmod(0o755)
    script = (
        'eval "$(_GRADCHECK_COMPLETE=bash_source gradcheck)"\n'
        'COMP_WORDS=(gradcheck "$@") COMP_CWORD=$#\n'
        "_gradcheck_completion gradcheck\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
    )
    assert done.stdout == f"{expected}\n", done.stderr


PROGRAM = """
import sys
from gradcheck.cli import main
try:
    main()
finally:
    assert not {"torch", "pydantic"} & {*sys.modules}
"""


def process(instruction, *words):
    """The command as a shell calls it."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "_GRADCHECK_COMPLETE": instruction,
        "COMP_WORDS": "\n".join(["gradcheck", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "a.grad.yaml::square_"], "plain\na.grad.yaml::square_root\n_\n"),
        (["run", "--tag", "sc"], "plain\nscalar\n_\n"),
        (["words", "softpl"], "plain\nsoftplus\n"),
    ],
)
def test_nothing_slow_is_imported(folder, words, expected):
    done = process("zsh_complete", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(expected)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_that_is_told_sets_a_shell_up(shell):
    if shell == "bash" and not shutil.which("bash"):
        pytest.skip("there is no bash here")
    told = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    assert f"_GRADCHECK_COMPLETE={shell}_source gradcheck" in told
    done = process(f"{shell}_source")
    assert done.returncode == 0
    assert f"_GRADCHECK_COMPLETE={shell}_complete" in done.stdout
