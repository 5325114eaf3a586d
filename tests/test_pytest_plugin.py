"""Case files in pytest: every test runs pytest in a process of its own, on files written for it."""

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
from parallel import SHUFFLED

pytestmark = pytest.mark.usefixtures("programs_on_the_cpu")
GOOD = """
cases:
  square:
    tags: [power]
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
    dtypes: [float64, float32]
  cube:
    tags: [power, odd-one]
    function: x**3
    inputs: {x: 2}
    derivatives: {x: 3*x**2}
  affine:
    sizes: {n: [1, 2]}
    function: sum(w*x)
    inputs: {w: {shape: [n], sample: normal}, x: {shape: [n], sample: normal}}
    derivatives: {w: x, x: w}
"""
IDS = [
    "a.grad.yaml::square[float64-cpu]",
    "a.grad.yaml::square[float32-cpu]",
    "a.grad.yaml::cube[float64-cpu]",
    "a.grad.yaml::affine-n1[float64-cpu]",
    "a.grad.yaml::affine-n2[float64-cpu]",
]
WRONG = """
cases:
  right:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
  wrong:
    function: {y: x**2, z: sin(y)}
    points: [{inputs: {x: 3}}, {inputs: {x: 1}}]
    derivatives:
      dz/dy: cos(y)
      dz/dx: dz/dy * y
"""


@pytest.fixture
def files(pytester):
    """Writes files by name, and keeps pytest from looking further up for its settings."""

    def files(**texts):
        pytester.makeini("[pytest]")
        for name, text in texts.items():
            suffix = ".py" if name.startswith("test_") else ".grad.yaml"
            (pytester.path / f"{name}{suffix}").write_text(text, encoding="utf-8")

    return files


@pytest.fixture
def run(pytester):
    def run(*arguments):
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


def test_an_item_is_a_case_in_a_dtype_on_a_device_whose_id_never_changes(files, run):
    files(a=GOOD)
    for _ in range(2):
        listed = run("--collect-only", "-q", "--gradcheck-device", "cpu").outlines
        assert listed[: len(IDS)] == IDS
    assert not any("=" in name or name.count("::") > 1 for name in IDS)
    run("-q", "--gradcheck-device", "cpu").assert_outcomes(passed=5)


def test_a_case_is_named_with_or_without_its_dtype(files, run):
    files(a=GOOD)
    run("a.grad.yaml::square").assert_outcomes(passed=2)
    run("a.grad.yaml::square[float32-cpu]").assert_outcomes(passed=1)


def test_the_names_of_case_files_are_set_in_the_ini_file(files, run, pytester):
    files(a=GOOD)
    (pytester.path / "b.cases.yaml").write_text(GOOD)
    run("--collect-only", "-o", "gradcheck_files=*.cases.yaml *.other").stdout.fnmatch_lines(
        ["*b.cases.yaml*", "*5 tests collected*"]
    )


def test_cases_are_chosen_by_keyword_and_by_tag_without_a_warning(files, run):
    files(a=GOOD)
    strict = ["-W", "error", "--strict-markers"]
    run("-k", "affine", *strict).assert_outcomes(passed=2, deselected=3)
    run("-k", "float32 or cube", *strict).assert_outcomes(passed=2, deselected=3)
    run("-m", "power", *strict).assert_outcomes(passed=3, deselected=2)
    run("-m", "odd-one and power", *strict).assert_outcomes(passed=1, deselected=4)
    run("-m", "not power", *strict).assert_outcomes(passed=2, deselected=3)


def test_last_failed_and_exitfirst(files, pytester):
    files(a=WRONG, b=WRONG)
    pytester.runpytest_subprocess("-x").assert_outcomes(passed=1, failed=1)
    pytester.runpytest_subprocess().assert_outcomes(passed=2, failed=2)
    pytester.runpytest_subprocess("--lf").assert_outcomes(failed=2)
    pytester.runpytest_subprocess("--ff", "-x").assert_outcomes(failed=1)


MODES = ["no", "load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"]


@pytest.mark.parametrize("mode", MODES)
def test_no_item_is_lost_between_workers(files, run, mode):
    files(a=GOOD, b=GOOD, c=WRONG)
    each = 2 if mode == "each" else 1
    done = run("-n", "2", "--dist", mode)
    done.assert_outcomes(passed=11 * each, failed=each)


def test_junit_says_where_a_case_stands_and_what_became_of_it(files, run, pytester):
    files(a=WRONG, b="cases:\n  s: {skip: later, function: x, inputs: {x: 1}, derivatives: {x: 1}}")
    run("--junit-xml", "out.xml")
    found = {}
    for case in ElementTree.parse(pytester.path / "out.xml").iter("testcase"):
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        found[case.get("name")] = properties
    assert found["s[float64-cpu]"] == {"file": "b.grad.yaml", "line": "2", "verdict": "skipped"}
    right, wrong = found["right[float64-cpu]"], found["wrong[float64-cpu]"]
    assert (right["file"], right["line"]) == ("a.grad.yaml", "3")
    assert (right["verdict"], right["blame"]) == ("pass", "")
    assert 0 <= float(right["resolution"]) < 1e-6
    assert (wrong["file"], wrong["line"]) == ("a.grad.yaml", "12")
    assert (wrong["verdict"], wrong["blame"]) == ("fail", "handwritten")


def test_a_failure_begins_with_its_path_and_line_and_is_repeated_by_its_command(
    files, run, pytester
):
    files(a=WRONG)
    (pytester.path / "below").mkdir()
    pytester.chdir()
    out = run("--rootdir=.", "a.grad.yaml", "-vv")
    out.stdout.fnmatch_lines(
        [
            "*_ wrong?float64-cpu? _*",
            "a.grad.yaml:12: fail dz/dx at point 1, blame: handwritten, off by 33.33% of the "
            "largest entry; autograd agrees with the truth",
            "     12 | dz/dy * y",
            "  entry  handwritten * autograd * numeric * exact (truth)",
            "  dz/dx  -8.20017235696 ± *",
            "a.grad.yaml:12: fail dz/dx at point 2, blame: handwritten, off by 50.00% *",
            "  repeat: pytest 'a.grad.yaml::wrong[[]float64-cpu]'",
            "FAILED a.grad.yaml::wrong?float64-cpu? - a.grad.yaml:12: fail dz/dx at point 1, *",
        ],
        consecutive=False,
    )
    command = re.search(r"repeat: pytest (.*)", out.stdout.str())
    run(*shlex.split(command[1])).assert_outcomes(failed=1)


def test_what_is_invalid_fails_by_itself_and_the_rest_runs(files, run):
    files(
        a=WRONG.replace("x**2\n    inputs: {x: 3}\n    der", "q**2\n    inputs: {x: 3}\n    der"),
        b="cases: [1",
        c="cases:\n  a::b=c: {function: x, inputs: {x: 1}, derivatives: {x: 1}}\n" + GOOD[7:],
    )
    out = run("-v", "-rf")
    out.assert_outcomes(passed=5, failed=4)
    out.stdout.fnmatch_lines(
        [
            "a.grad.yaml:4:15: `q` is not known: known are x",
            "    4 |     function: q[*][*]2",
            "b.grad.yaml:1:8: *",
            "c.grad.yaml:2:3: `a::b=c` is no name of a case: use letters, digits, _, . and -",
            "FAILED a.grad.yaml::right?invalid? - a.grad.yaml:4:15: *",
            "FAILED a.grad.yaml::wrong?float64-cpu? - *",
            "FAILED b.grad.yaml::?invalid? - b.grad.yaml:1:8: *",
            "FAILED c.grad.yaml::a__b_c?invalid? - *",
        ]
    )
    assert "Traceback" not in out.stdout.str()


def test_skip_and_xfail_are_pytests_own(files, run):
    case = "function: x**2, inputs: {x: 3}"
    files(
        a=f"""\
cases:
  skipped: {{{case}, derivatives: {{x: 3*x}}, skip: the kernel is not ported}}
  missing: {{{case}, derivatives: {{x: 2*x}}, devices: "cuda:7"}}
  known: {{{case}, derivatives: {{x: 3*x}}, xfail: {{reason: a slip, blame: handwritten}}}}
  mended: {{{case}, derivatives: {{x: 2*x}}, xfail: {{reason: a slip, blame: handwritten}}}}
  other: {{{case}, derivatives: {{x: 3*x}}, xfail: {{reason: a slip, blame: autograd}}}}
"""
    )
    out = run("-rsxf")
    out.assert_outcomes(skipped=2, xfailed=1, failed=2)
    out.stdout.fnmatch_lines(
        [
            "SKIPPED [[]1] a.grad.yaml: the kernel is not ported",
            "SKIPPED [[]1] a.grad.yaml: there is no device cuda:7 here",
            "XFAIL a.grad.yaml::known?float64-cpu? - a slip",
            "FAILED a.grad.yaml::mended?float64-cpu? - [[]XPASS(strict)] a slip",
            "FAILED a.grad.yaml::other?float64-cpu? - a.grad.yaml:6: fail dout/dx *",
        ]
    )
    run("--runxfail", "a.grad.yaml::mended").assert_outcomes(passed=1)


def test_devices_in_place_of_the_cases_own(files, run, pytester):
    files(a=GOOD)
    out = run("--gradcheck-device", "cuda:7", "-rs")
    out.assert_outcomes(skipped=5)
    out.stdout.fnmatch_lines(["SKIPPED [[]5] a.grad.yaml: there is no device cuda:7 here"])
    wrong = run("--gradcheck-device", "gpu")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(
        ["ERROR: --gradcheck-device: `gpu` is none of auto, cpu, cuda, cuda:1 and all"]
    )


def test_the_devices_of_the_machine_can_be_set_by_a_conftest(files, run, pytester):
    files(a=GOOD)
    pytester.makeconftest(
        """
        import gradcheck.devices
        there = {"cpu": "cpu", "cuda:0": "A100", "cuda:1": "A100"}
        gradcheck.devices.available = lambda: there
        """
    )
    listed = run("--collect-only", "-q", "a.grad.yaml::cube").outlines
    assert listed[:2] == [
        "a.grad.yaml::cube[float64-cpu]",
        "a.grad.yaml::cube[float64-cuda:0]",
    ]


def test_a_run_without_case_files_imports_neither_torch_nor_pydantic(files, run):
    files(
        test_imports="""
import sys

def test_nothing_heavy_is_there(request):
    assert request.config.pluginmanager.has_plugin("gradcheck")
    assert "torch" not in sys.modules
    assert "pydantic" not in sys.modules
    assert "numpy" not in sys.modules
"""
    )
    run().assert_outcomes(passed=1)


# Python tests beside the cases find torch as they left it.
BEFORE = """
import pytest, torch

def test_before():
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float16)
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(2)
"""
AFTER = """
import torch

def test_after():
    state = torch.get_rng_state()
    torch.manual_seed(7)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_default_dtype() == torch.float16
    assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_num_threads() == 2
    assert torch.is_grad_enabled()
"""


def test_torchs_generator_and_settings_are_left_as_they_were_found(files, run):
    files(test_1=BEFORE, b=GOOD, c=WRONG, test_z=AFTER)
    names = ["test_1.py", "b.grad.yaml", "c.grad.yaml", "test_z.py"]
    run(*names).assert_outcomes(passed=8, failed=1)


def outcomes(path):
    """Verdict and digits of every case in a JUnit file."""
    return {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in ElementTree.parse(path).iter("testcase")
        if "grad" in case.get("classname")
    }


def test_verdicts_and_digits_do_not_depend_on_order_workers_or_neighbours(files, run, pytester):
    files(test_1=BEFORE, b=GOOD, c=WRONG)
    reverse = pytester.makepyfile(
        backwards="def pytest_collection_modifyitems(items): items.reverse()"
    )
    run("b.grad.yaml", "c.grad.yaml", "--junit-xml", "1.xml")
    run("-p", reverse.stem, "b.grad.yaml", "c.grad.yaml", "--junit-xml", "2.xml")
    run("-n", "2", "b.grad.yaml", "c.grad.yaml", "--junit-xml", "3.xml")
    run("test_1.py", "b.grad.yaml", "c.grad.yaml", "--junit-xml", "4.xml")
    first = outcomes(pytester.path / "1.xml")
    assert len(first) == 7
    assert all(outcomes(pytester.path / f"{number}.xml") == first for number in (2, 3, 4))


# Functions in Python

PYTHON = """
cases:
  double:
    function: {python: "mymodule:double"}
    reference: 2*x
    inputs: {x: 3}
    derivatives: {x: 2}
"""
# What stands for the judge of functions in Python: whether they give what their reference does.
JUDGE = """
import sys
import types


def judge_kernel(place, imports):
    value = imports.load(place.case.kernel.function)(place.environment["x"])
    verdict = "pass" if value == place.environment["out"] else "fail"
    yield {"quantity": "out", "verdict": verdict}


module = types.ModuleType("gradcheck.kernels")
module.judge_kernel = judge_kernel
sys.modules["gradcheck.kernels"] = module
"""
FORBIDDEN = (
    "*`mymodule` may not be imported: allow it with --allow-import mymodule "
    "(in pytest --gradcheck-allow-import, or gradcheck_allow_import in the ini file)"
)


@pytest.fixture
def kernel(files, pytester):
    def kernel(body, ini=""):
        files(k=PYTHON)
        pytester.makeini(f"[pytest]\n{ini}\n")
        pytester.makeconftest(JUDGE)
        (pytester.path / "mymodule.py").write_text(f"def double(x):\n    return {body}\n")

    return kernel


def test_a_module_is_imported_only_where_that_is_allowed(kernel, run):
    kernel("2*x")
    forbidden = run("k.grad.yaml")
    forbidden.assert_outcomes(failed=1)
    forbidden.stdout.fnmatch_lines(["k.grad.yaml:4: error", FORBIDDEN])
    run("k.grad.yaml", "--gradcheck-allow-import", "mymodule").assert_outcomes(passed=1)
    run("k.grad.yaml", "--gradcheck-allow-import", "other").assert_outcomes(failed=1)


def test_modules_are_allowed_in_the_ini_file_and_found_from_any_folder(kernel, run, pytester):
    kernel("2*x", "gradcheck_allow_import = other mymodule")
    run("k.grad.yaml").assert_outcomes(passed=1)
    below = pytester.mkdir("below")
    (below / "b.grad.yaml").write_text(PYTHON)
    run("below").assert_outcomes(passed=1)
    run("-n", "2").assert_outcomes(passed=2)


def test_a_module_that_the_option_allows_is_so_in_the_command_that_repeats_a_case(kernel, run):
    kernel("3*x")
    out = run("k.grad.yaml", "--gradcheck-allow-import", "mymodule")
    out.assert_outcomes(failed=1)
    command = re.search(r"repeat: pytest (.*)", out.stdout.str())[1]
    assert command == "--gradcheck-allow-import mymodule 'k.grad.yaml::double[float64-cpu]'"
    again = run(*shlex.split(command))
    again.assert_outcomes(failed=1)
    assert "k.grad.yaml:3: fail out at point 1" in again.stdout.str()


def test_a_module_that_the_ini_file_allows_needs_no_option_to_repeat_a_case(kernel, run):
    kernel("3*x", "gradcheck_allow_import = mymodule")
    out = run("k.grad.yaml")
    assert "  repeat: pytest 'k.grad.yaml::double[float64-cpu]'" in out.outlines


def test_what_is_allowed_is_the_name_of_a_module(kernel, run):
    kernel("2*x")
    out = run("k.grad.yaml", "--gradcheck-allow-import", "my/module.py")
    assert out.ret == 4
    assert "`my/module.py` names no module: write it as in mykernels.norm" in out.stderr.str()


# GitHub

INVALID = "cases:\n  bad: {function: x**, inputs: {x: 1}, derivatives: {x: 1}}\n"
SKIPPED = "cases:\n  s: {skip: later, function: x, inputs: {x: 1}, derivatives: {x: 1}}\n"


@pytest.fixture
def actions(pytester, monkeypatch):
    """What is there where GitHub Actions runs pytest; the path of the step's summary."""
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    return summary


@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_github_is_told_once_by_however_many_workers(files, run, pytester, actions, options):
    files(a=WRONG, b=INVALID, c=SKIPPED, test_python="def test_it(): pass")
    lines = run(*options).outlines
    told = [line for line in lines if line.startswith("::")]
    inside = pytester.path.name
    assert [line.split(",")[:2] for line in told] == [
        [f"::error file={inside}/a.grad.yaml", "line=12"],
        [f"::error file={inside}/b.grad.yaml", "line=2"],
    ]
    assert "off by" in told[0]
    summary = actions.read_text("utf-8")
    assert summary.startswith(
        "### gradcheck: 3 cases, 3 passed, 2 failed, 1 skipped, 1 problem in the files\n"
    )
    assert summary.count("<details>") == 2


def test_github_is_told_where_that_is_chosen(files, run, actions, monkeypatch):
    files(a=WRONG)
    run("--gradcheck-github", "off").stdout.no_fnmatch_line("::*")
    assert not actions.exists()
    monkeypatch.delenv("GITHUB_ACTIONS")
    run().stdout.no_fnmatch_line("::*")
    run("--gradcheck-github", "on").stdout.fnmatch_lines(["::error file=*"])


def test_a_summary_that_cannot_be_written_is_said_and_all_else_is_told(
    files, run, actions, monkeypatch
):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(actions.parent))
    files(a=WRONG)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    error = f"ERROR: {actions.parent} cannot be written: Is a directory"
    result.stdout.fnmatch_lines(["::error file=*", error, "FAILED a.grad.yaml*", "*1 failed*"])


def test_github_is_told_nothing_where_there_are_no_cases(files, run, actions):
    files(test_python="def test_it(): assert False")
    run().stdout.no_fnmatch_line("::*")
    assert not actions.exists()


ROUGH = """
import ctypes, os, signal

def fine(x):
    return 2 * x

def crash(x):
    ctypes.string_at(0)

def killed(x):
    os.kill(os.getpid(), signal.SIGKILL)

def hang(x):
    ctypes.PyDLL(None).sleep(1000)
"""
ROUGH_CASES = "cases:\n" + "".join(
    f'  {name}{number}: {{function: {{python: "rough:{name}"}}, inputs: {{x: 1.5}}{limit}}}\n'
    for number in (1, 2)
    for name, limit in (("fine", ""), ("crash", ""), ("killed", ""), ("hang", ", timeout: 2"))
)


@pytest.mark.parametrize("options", [[], ["-n", "1"], ["-n", "2"]])
def test_cases_that_crash_or_hang_fail_by_name_and_the_rest_is_run(files, run, pytester, options):
    files(r=ROUGH_CASES)
    pytester.makeini("[pytest]\ngradcheck_allow_import = rough\n")
    (pytester.path / "rough.py").write_text(ROUGH, encoding="utf-8")
    (pytester.path / "test_beside.py").write_text("def test_beside(): pass\n", encoding="utf-8")
    done = run("-rf", *options)
    done.assert_outcomes(passed=3, failed=6)
    assert "replacing crashed worker" not in done.stdout.str()
    for number in (1, 2):
        done.stdout.fnmatch_lines_random(
            [f"FAILED r.grad.yaml::{name}{number}[[]float64-cpu[]]*" for name in ("crash", "hang")]
        )
    done.stdout.fnmatch_lines_random(
        [
            "  the process that checked it died of SIGSEGV at rough.py:8 in crash",
            "  the process that checked it was killed (SIGKILL), as it is where memory runs out",
            "  it was ended after 2 s at rough.py:14 in hang: it needs a longer `timeout`, *",
        ]
    )


def test_what_a_conftest_sets_further_down_counts_for_functions_there(files, run, pytester):
    files(a=GOOD)
    pytester.makeini("[pytest]\ngradcheck_allow_import = scaled\n")
    below = pytester.mkdir("below")
    (below / "k.grad.yaml").write_text(SCALED, encoding="utf-8")
    elsewhere = pytester.mkdir("elsewhere")
    setting = "import os, sys\nos.environ['SCALE'] = '3'\nsys.path += ['elsewhere']\n"
    (below / "conftest.py").write_text(setting, encoding="utf-8")
    function = "import os\ndef scaled(x):\n    return float(os.environ['SCALE']) * x\n"
    (elsewhere / "scaled.py").write_text(function, encoding="utf-8")
    run().assert_outcomes(passed=6)


SCALED = """
cases:
  k:
    function: {python: "scaled:scaled"}
    reference: 3*x
    inputs: {x: [1.5, 2]}
"""


KILLS = """
import os, signal

def pytest_runtest_call(item):
    if item.name.startswith("cube"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_case_of_a_worker_that_is_killed_fails_by_name_and_github_is_told(files, run, pytester):
    files(a=GOOD)
    pytester.makeconftest(KILLS)
    done = run("-n", "2", "--gradcheck-github", "on", "--gradcheck-html", "page.html")
    done.assert_outcomes(passed=4, failed=1)
    (annotation,) = [line for line in done.outlines if line.startswith("::error")]
    assert "a.grad.yaml,line=9," in annotation
    assert "crashed while running 'a.grad.yaml::cube[float64-cpu]'" in annotation
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert "1 in error" in page


LIBRARY = Path(__file__).parent.parent / "cases"
PARTS = ("scalars", "autograd", "losses", "recurrences", "complex")


def test_neither_the_order_nor_the_number_of_workers_changes_a_digit(files, run, pytester):
    files(**{name: (LIBRARY / f"{name}.grad.yaml").read_text("utf-8") for name in PARTS})
    pytester.makeconftest(SHUFFLED)
    found = []
    for order, workers in ((20261, 0), (20262, 1), (20263, 2)):
        print("order", order, "workers", workers)
        assert run("--order", str(order), "-n", str(workers)).ret == 0
        files_of_it = pytester.path.glob(f"{order}-*.found")
        found.append(sorted("".join(f.read_text("utf-8") for f in files_of_it).splitlines()))
    assert len(found[0]) > 500
    assert found[0] == found[1] == found[2]
