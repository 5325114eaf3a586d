import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gradcheck.cli import cli, main
from gradcheck.conditions.names import DEFAULT, OPT_IN

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("programs_on_the_cpu")
GOOD = """
defaults: {tags: [all], devices: cpu}
cases:
  square:
    about: y = x²
    tags: [scalar]
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
    dtypes: [float64, float32]
  total:
    sizes: {n: [1, 2]}
    function: sum(x)
    inputs: {x: {shape: [n], sample: normal}}
    derivatives: {x: 1}
"""
WRONG = """
cases:
  wrong:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 3*x}
"""
INVALID = """
cases:
  invalid:
    function: x**
    inputs: {x: 3}
    derivatives: {x: 2*x}
  valid:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
"""


def gradcheck(*arguments):
    """Exit code and output of a command, run in this process."""
    result = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    return result, result.return_value, result.output


def run(*arguments):
    result, code, output = gradcheck("run", *arguments)
    assert result.exception is None, output
    return code, output


def process(*arguments, code="from gradcheck.cli import main; main()", **settings):
    """A process of its own, as the command `gradcheck` is one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        **settings,
    )


def records(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


# Exit codes


def test_0_all_passed(write):
    path = write(GOOD)
    code, output = run(path)
    assert code == 0
    assert output.splitlines()[0] == f"{path}  3 cases  4 passed"
    assert output.splitlines()[1].startswith("3 cases, 4 passed  (")


def test_0_all_skipped_with_the_count_said(write):
    code, output = run(write(WRONG), "--device", "cuda:77")
    assert code == 0
    assert "1 case, 1 skipped" in output


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "1 failed"),
        ({"x**2": "relu(x)", "{x: 3}": "{x: 0}", "3*x": "1"}, "1 inconclusive"),
        ({"x**2": "x @ x"}, "1 in error"),
        ({"3*x}": "2*x}\n    xfail: {reason: r, blame: handwritten}"}, "1 passed unexpectedly"),
    ],
)
def test_1_something_is_not_right(write, change, word):
    text = WRONG
    for old, new in change.items():
        text = text.replace(old, new)
    code, output = run(write(text))
    assert code == 1
    assert word in output


def test_2_a_case_is_invalid_and_the_others_still_run(write):
    path = write(INVALID)
    code, output = run(path)
    assert code == 2
    assert f"{path}:3:" in output
    assert "1 case, 1 passed, 1 problem in the files" in output


def test_2_a_file_is_invalid_and_the_others_still_run(write):
    path = write(GOOD)
    write("cases: [", "broken.grad.yaml")
    code, output = run(path.parent)
    assert code == 2
    assert "3 cases, 4 passed, 1 problem in the files" in output


def test_2_nothing_but_an_invalid_case(write):
    path = write(INVALID)
    assert run(f"{path}::invalid")[0] == 2


def test_3_an_internal_error_is_said_with_its_traceback(write):
    broken = (
        "import gradcheck.selection\n"
        "def select(*arguments): raise RuntimeError('a bug')\n"
        "gradcheck.selection.select = select\n"
        "from gradcheck.cli import main; main()"
    )
    done = process("run", write(GOOD), code=broken)
    assert done.returncode == 3
    assert done.stderr.startswith("gradcheck: internal error, please report it:\nTraceback")
    assert done.stderr.endswith("RuntimeError: a bug\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "missing.grad.yaml"],
            "gradcheck: there is no file or directory missing.grad.yaml",
        ),
        (["run", "--nonsense"], "No such option '--nonsense'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["run", "a.grad.yaml", "--dtype", "float8"], "'float8' is not one of 'float64'"),
        (
            ["run", "a.grad.yaml", "--device", "gpu"],
            "`gpu` is none of auto, cpu, cuda, cuda:1 and all",
        ),
        (
            ["run", "a.grad.yaml::squar"],
            "there is no case `squar` in a.grad.yaml: did you mean `square`?",
        ),
        (
            ["run", "a.grad.yaml", "--jsonl", "missing/r.jsonl"],
            "gradcheck: missing/r.jsonl cannot be written: No such file or directory",
        ),
        (
            ["run", "--jsonl", "a.grad.yaml"],
            "--jsonl would write over the case file a.grad.yaml",
        ),
    ],
)
def test_4_usage(write, monkeypatch, capsys, arguments, message):
    path = write(GOOD)
    (path.parent / "cases").mkdir()
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(sys, "argv", ["gradcheck", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 4
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert path.read_text(encoding="utf-8").strip() == GOOD.strip()


@pytest.mark.parametrize("options", [["-k", "zzz"], ["--tag", "none"], ["--dtype", "float16"]])
def test_5_nothing_selected(write, options):
    code, output = run(write(GOOD), *options)
    assert code == 5
    assert output == "nothing selected\n"


def test_5_an_empty_folder(tmp_path):
    assert run(tmp_path)[0] == 5
    assert gradcheck("list", tmp_path)[1] == 5
    assert gradcheck("validate", tmp_path)[1] == 5


# Selection and options


@pytest.mark.parametrize(
    ("options", "summary"),
    [
        (["-k", "SQUARE"], "1 case, 2 passed"),
        (["-k", "total-n2"], "1 case, 1 passed"),
        (["--tag", "scalar"], "1 case, 2 passed"),
        (["--tag", "scalar", "--tag", "all"], "3 cases, 4 passed"),
        (["--dtype", "float32"], "1 case, 1 passed"),
        (["--dtype", "float32", "--dtype", "float64"], "3 cases, 4 passed"),
        (["--device", "cpu"], "3 cases, 4 passed"),
    ],
)
def test_options_choose_what_runs(write, options, summary):
    assert summary in run(write(GOOD), *options)[1]


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("square", "1 case, 2 passed"),
        ("total", "2 cases, 2 passed"),
        ("total-n1", "1 case, 1 passed"),
    ],
)
def test_a_case_is_chosen_by_its_name_or_its_entry(write, name, summary):
    assert summary in run(f"{write(GOOD)}::{name}")[1]


def test_a_case_chosen_twice_runs_once(write):
    path = write(GOOD)
    assert "1 case, 2 passed" in run(f"{path}::square", f"{path}::square")[1]


def test_exitfirst_stops_at_the_first_failure(write):
    text = WRONG + WRONG.replace("cases:\n", "").replace("wrong:", "wrong_too:")
    path = write(text)
    assert run(path)[1].count("FAIL") == 2
    code, output = run(path, "-x")
    assert (code, output.count("FAIL")) == (1, 1)
    assert "1 case, 1 failed" in output


def test_quiet_is_one_line_and_verbose_one_for_every_claim(write):
    path = write(GOOD)
    assert len(run(path, "-q")[1].splitlines()) == 1
    lines = run(path, "-v")[1].splitlines()
    assert len(lines) == 4 + 2
    assert lines[0].startswith("  pass  square  dout/dx  float64 cpu point 1  resolution ")


def test_the_default_is_the_folder_cases(write, monkeypatch):
    path = write(GOOD)
    folder = path.parent / "cases"
    folder.mkdir()
    path.rename(folder / "a.grad.yaml")
    monkeypatch.chdir(path.parent)
    code, output = run()
    assert code == 0
    assert output.startswith("cases/a.grad.yaml  3 cases  4 passed")


def test_a_failure_shows_the_command_that_repeats_it(write):
    path = write(WRONG)
    output = run(path, "--device", "cpu")[1]
    (line,) = [line for line in output.splitlines() if "repeat: " in line]
    command = line.partition("repeat: gradcheck run ")[2].split()
    assert command == [f"{path}::wrong", "--dtype", "float64", "--device", "cpu"]
    assert run(*command)[1].count("FAIL") == 1


def test_no_colour_codes_when_piped(write):
    output = run(write(WRONG))[1]
    assert "FAIL" in output
    assert "\x1b" not in output


def test_jsonl_has_a_record_for_every_result(write, tmp_path):
    code, _ = run(write(GOOD), "--jsonl", tmp_path / "r.jsonl", "--device", "cpu")
    assert code == 0
    found = [(r["case"], r["dtype"], r["verdict"]) for r in records(tmp_path / "r.jsonl")]
    assert found == [
        ("square", "float64", "pass"),
        ("square", "float32", "pass"),
        ("total-n1", "float64", "pass"),
        ("total-n2", "float64", "pass"),
    ]


# The other commands


def test_list_shows_cases_with_dtypes_and_what_they_are_about(write):
    path = write(GOOD)
    _, code, output = gradcheck("list", path)
    assert code == 0
    assert output.splitlines() == [
        f"{path}::square  [float64, float32]  y = x²",
        f"{path}::total-n1  [float64]",
        f"{path}::total-n2  [float64]",
    ]
    assert gradcheck("list", path, "-k", "n2")[2].count("\n") == 1
    assert gradcheck("list", path, "--tag", "scalar")[2].count("\n") == 1


def test_list_shows_problems_too(write):
    path = write(INVALID)
    _, code, output = gradcheck("list", path)
    assert code == 2
    assert f"{path}::valid" in output


def test_validate_counts_cases_and_problems(write):
    path = write(GOOD)
    assert gradcheck("validate", path)[1:] == (0, "3 cases in 1 file, all valid\n")
    write(INVALID, "b.grad.yaml")
    _, code, output = gradcheck("validate", path.parent)
    assert code == 2
    assert output.splitlines()[-1] == "4 cases in 2 files, 1 problem"


def test_validate_shows_a_problem_with_its_line_and_a_caret(write):
    path = write(INVALID)
    output = gradcheck("validate", path)[2].splitlines()
    assert output[0].startswith(f"{path}:3:")
    assert output[1] == "    3 |     function: x**"
    assert set(output[2].partition("|")[2].strip()) == {"^"}


def test_words_lists_the_vocabulary():
    _, code, output = gradcheck("words")
    assert not code
    assert "\nelementwise\n" in output
    assert "softmax(input, dim)" in output


def test_conditions_are_listed_with_what_must_hold():
    _, code, output = gradcheck("conditions")
    assert not code
    first, second = output.split("\nlooked at where a case names it\n")
    assert first.startswith("\nlooked at unless a case says otherwise\n")
    assert all(f"  {name} " in first and text in first for name, text in DEFAULT.items())
    assert all(f"  {name} " in second and text in second for name, text in OPT_IN.items())


def test_schema_is_a_json_schema():
    _, code, output = gradcheck("schema")
    assert not code
    assert json.loads(output)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("command", [[], ["--help"], ["run", "--help"]])
def test_help_says_the_exit_codes(command):
    output = gradcheck(*command, *([] if command else ["--help"]))[2]
    assert ("Exit codes: 0 all passed;" in output) == (command != ["run", "--help"])


def test_version():
    assert gradcheck("--version")[2].strip().endswith("0.1.0")


# As a process


LAZY = """
import sys
try:
    {code}
except SystemExit as done:
    assert not done.code, done.code
assert "torch" not in sys.modules, "torch was imported"
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "a.grad.yaml"],
        ["list", "a.grad.yaml"],
        ["words"],
        ["conditions"],
        ["schema"],
        ["--help"],
        None,
    ],
    ids=lambda a: a[0] if a else "import",
)
def test_torch_is_not_imported_where_nothing_is_computed(write, arguments):
    code = "import gradcheck" if arguments is None else "from gradcheck.cli import main; main()"
    done = process(*(arguments or []), code=LAZY.format(code=code), cwd=write(GOOD).parent)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_keeps_what_was_written(write, tmp_path):
    case = (
        "  c{n}:\n    function: sum(tanh(x))\n    derivatives: {{x: 1 - tanh(x)**2}}\n"
        "    inputs: {{x: {{shape: [300], sample: normal}}}}\n"
    )
    path = write("cases:\n" + "".join(case.format(n=n) for n in range(400)))
    out = tmp_path / "r.jsonl"
    running = subprocess.Popen(
        [
            *(sys.executable, "-c", "from gradcheck.cli import main; main()"),
            *("run", str(path), "--device", "cpu", "--jsonl", str(out)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # Started in the background, a shell's children ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not (out.exists() and out.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert 0 < len(records(out)) < 400
    assert f"{len(records(out))} passed" in output


@pytest.mark.skipif(not shutil.which("bash"), reason="needs a shell")
@pytest.mark.parametrize("command", ["list", "run"])
def test_a_broken_pipe_is_quiet(write, command):
    case = "  c{n}:\n    function: x**2\n    inputs: {{x: 3}}\n    derivatives: {{x: 3*x}}\n"
    path = write("cases:\n" + "".join(case.format(n=n) for n in range(300)))
    python = f"{sys.executable} -c 'from gradcheck.cli import main; main()'"
    done = subprocess.run(
        ["bash", "-c", f"{python} {command} {path} | head -n 1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    # What `list` prints fits into the pipe: it may be done before anybody stops to read.
    assert done.returncode in ((0, 141) if command == "list" else (141,))


def test_a_terminal_without_the_characters_gets_escapes_instead(write, monkeypatch):
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["gradcheck", "run", str(write(WRONG))])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii"))
    with pytest.raises(SystemExit) as caught:
        main()
    sys.stdout.flush()
    assert caught.value.code == 1
    assert b"9 \\xb1 " in screen.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_said_without_a_traceback(write, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gradcheck", "run", str(write(GOOD)), "--jsonl", "/dev/full"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 4
    errors = capsys.readouterr().err
    assert errors == "gradcheck: /dev/full cannot be written: No space left on device\n"


def test_words_shows_what_a_word_states_of_its_derivative():
    _, code, output = gradcheck("words", "tanh", "softmax", "matmul", "flip", "fold")
    assert not code
    assert "  derivative by input: 1 - out**2\n" in output
    assert "  cotangent of input: out*(cotangent - sum(cotangent*out, dim, keepdim=True))" in output
    assert "  is made of other words, which state their derivatives\n" in output
    assert "  moves entries, and so tangents, and cotangents back\n" in output
    assert "  sums entries that it moves, and so tangents; moves cotangents back\n" in output


def test_an_unknown_word_is_a_usage_error_with_a_suggestion():
    result, *_ = gradcheck("words", "sigmoyd")
    assert isinstance(result.exception, click.UsageError)
    assert "`sigmoyd` is not a word: did you mean `sigmoid`?" in str(result.exception)


def test_words_says_which_have_a_ball_meaning():
    assert "Every word has a meaning in ball arithmetic" in gradcheck("words")[2]


# Functions in Python

PYTHON = """
function: {python: "mycli.kernels:double", arguments: {factor: 2}}
reference: 2*x
inputs: {x: 3}
derivatives: {x: 2}
dtypes: [float64, float32]
"""
FORBIDDEN = (
    "  `mycli.kernels` may not be imported: allow it with --allow-import mycli.kernels "
    "(in pytest --gradcheck-allow-import, or gradcheck_allow_import in the ini file)"
)


@pytest.fixture
def kernel(write, tmp_path, monkeypatch):
    """Writes a case of a function in Python, and its module where the command is run."""

    def kernel(body):
        (tmp_path / "mycli").mkdir()
        (tmp_path / "mycli" / "kernels.py").write_text(f"def double(x, factor):\n    {body}\n")
        write(PYTHON)
        return "a.grad.yaml"

    def judge(place, imports):
        """Whether the function gives what its reference does."""
        written = place.case.kernel
        value = imports.load(written.function)(place.environment["x"], **written.arguments)
        verdict = "pass" if value == place.environment["out"] else "fail"
        yield {"quantity": "out", "verdict": verdict}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    stub = types.ModuleType("gradcheck.kernels")
    stub.judge_kernel = judge
    monkeypatch.setitem(sys.modules, "gradcheck.kernels", stub)
    yield kernel
    for name in [name for name in sys.modules if name.partition(".")[0] == "mycli"]:
        del sys.modules[name]


def test_a_module_that_is_not_allowed_is_told_once_for_a_dtype_and_the_rest_is_judged(kernel):
    code, output = run(kernel("open('ran', 'w')"))
    lines = output.splitlines()
    assert code == 1
    assert lines[1] == "ERROR  a.grad.yaml:3  c  [float64, cpu]"
    assert lines[2] == FORBIDDEN
    assert lines[3] == "  repeat: gradcheck run a.grad.yaml::c --dtype float64 --device cpu"
    assert output.count(FORBIDDEN) == 2
    assert lines[-1].startswith("1 case, 2 passed, 2 in error")
    assert not Path("ran").exists()
    assert "mycli" not in sys.modules


def test_an_allowed_module_is_found_where_the_command_is_run(kernel):
    code, output = run(kernel("return factor*x"), "--allow-import", "mycli")
    assert code == 0
    assert output.splitlines()[-1].startswith("1 case, 4 passed")


def test_the_command_that_repeats_a_case_allows_what_was_allowed_for_it(kernel):
    path = kernel("return factor + x + 7")
    allowed = ["--allow-import", "other", "--allow-import", "mycli.kernels"]
    code, output = run(path, "--dtype", "float64", *allowed)
    assert code == 1
    (line,) = [line for line in output.splitlines() if "repeat: " in line]
    assert line == (
        "  repeat: gradcheck run a.grad.yaml::c --dtype float64 --device cpu "
        "--allow-import mycli.kernels"
    )
    again = run(*line.split()[3:])
    assert again[0] == 1
    assert again[1].splitlines()[:-1] == output.splitlines()[:-1]


def test_a_module_that_raises_is_told_with_its_line(kernel):
    path = kernel("return x")
    Path("mycli/kernels.py").write_text("import sys\n\nsys.exit('no')\n")
    code, output = run(path, "--dtype", "float64", "--allow-import", "mycli")
    assert code == 1
    assert output.splitlines()[2] == (
        "  `mycli.kernels` cannot be imported: SystemExit: no, from mycli/kernels.py:3 in <module>"
    )


def test_explain_imports_what_is_allowed(kernel):
    path = kernel("return factor*x")
    for allowed, told in ((), 1), (["--allow-import", "mycli"], 0):
        _, code, output = gradcheck("explain", path, "--dtype", "float64", *allowed)
        assert code == 0
        assert output.count("may not be imported") == told


@pytest.mark.parametrize("command", ["run", "explain"])
def test_what_is_allowed_is_the_name_of_a_module(kernel, command):
    result, *_ = gradcheck(command, kernel("return x"), "--allow-import", "mycli/kernels.py")
    assert str(result.exception) == (
        "`mycli/kernels.py` names no module: write it as in mykernels.norm"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_under_the_output_is_one_line(write):
    command = [sys.executable, "-m", "gradcheck", "run", str(write(GOOD))]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 4
    told = "gradcheck: the output cannot be written: No space left on device\n"
    assert done.stderr == told
