"""`gradcheck new`: what it writes, what it asks for, and what it refuses."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradcheck.cli import cli, main

ROOT = Path(__file__).parent.parent.parent
KERNEL = """
import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, cotangent):
        x, weight = ctx.saved_tensors
        return cotangent * weight, cotangent * x


class Layer(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)


def powered(x, exponent=2):
    return x**exponent
"""

NO_PLACE = (
    "a case cannot be added to these: each has to be lines of its own, up to the file's end; or "
    "choose another --file"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def module(folder, monkeypatch):
    (folder / "scaling_of_new.py").write_text(KERNEL, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "scaling_of_new"
    sys.modules.pop("scaling_of_new", None)


def gradcheck(*arguments):
    """Exit code and output of a command that goes well."""
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def new(*arguments):
    """The lines that a new case is told by."""
    return gradcheck("new", *arguments)[1].splitlines()


@pytest.fixture
def refused(monkeypatch, capsys):
    """What is said of a command that is refused: as a user sees it, with nothing written."""

    def refused(*arguments):
        before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
        monkeypatch.setattr(sys, "argv", ["gradcheck", "new", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 4
        after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
        assert {k: v for k, v in after.items() if "__pycache__" not in str(k)} == before
        return capsys.readouterr().err

    return refused


def read(path):
    return Path(path).read_text(encoding="utf-8")


# What is written


def test_a_formula():
    assert new("softplus", "--function", "log1p(exp(x))", "--at", "x=0.5") == [
        "wrote cases/softplus.grad.yaml",
        "cases/softplus.grad.yaml:9:9: `x` is left to write: its formula stands here",
        "then: gradcheck run cases/softplus.grad.yaml::softplus",
        "for your editor to know the keys: gradcheck schema > gradcheck.schema.json",
    ]
    assert read("cases/softplus.grad.yaml") == (
        "# yaml-language-server: $schema=../gradcheck.schema.json\n"
        "cases:\n"
        "  softplus:\n"
        "    # about:  one line for the reader\n"
        "    function: log1p(exp(x))\n"
        "    inputs: {x: 0.5}\n"
        "    # constants:  given values that are not differentiated by\n"
        "    derivatives:\n"
        "      x:                      # write dout/dx here\n"
        "    # expect:  published numbers, by the names of values and derivatives\n"
    )


def test_what_is_left_to_write_keeps_a_case_from_passing_and_then_it_passes():
    new("square", "--function", "x**2", "--at", "x=3")
    for command in ("validate", "run"):
        code, output = gradcheck(command)
        assert code == 2
        assert "cases/square.grad.yaml:9:9: `x` is left to write: its formula stands here" in output
    path = Path("cases/square.grad.yaml")
    path.write_text(read(path).replace("      x:    ", "      x: 2*x"), encoding="utf-8")
    assert gradcheck("validate")[0] == 0
    assert gradcheck("run", "cases/square.grad.yaml::square", "--device", "cpu")[0] == 0


def test_steps_with_several_inputs():
    lines = new(
        *("chain", "--function", "y: x**2", "--function", "z: sum(w*sin(y))"),
        *("--at", "x=[1, 2]", "--at", "w={shape: [2], sample: normal}", "--file", "c.grad.yaml"),
    )
    assert lines == [
        "wrote c.grad.yaml",
        "c.grad.yaml:13:13: `dz/dx` is left to write: its formula stands here",
        "c.grad.yaml:14:13: `dz/dw` is left to write: its formula stands here",
        "then: gradcheck run c.grad.yaml::chain",
        "for your editor to know the keys: gradcheck schema > gradcheck.schema.json",
    ]
    assert read("c.grad.yaml") == (
        "# yaml-language-server: $schema=gradcheck.schema.json\n"
        "cases:\n"
        "  chain:\n"
        "    # about:  one line for the reader\n"
        "    function:                 # steps, in order; the last is the output\n"
        "      y: x**2\n"
        "      z: sum(w*sin(y))\n"
        "    inputs: {x: [1, 2], w: {shape: [2], sample: normal}}\n"
        "    # constants:  given values that are not differentiated by\n"
        "    derivatives:\n"
        "      # dy/dx:                # a link, which may be checked as well\n"
        "      # dz/dy:                # a link, which may be checked as well\n"
        "      dz/dx:                  # write dz/dx here\n"
        "      dz/dw:                  # write dz/dw here\n"
        "    # expect:  published numbers, by the names of values and derivatives\n"
    )


def test_many_inputs_are_a_line_each():
    values = [part for name in "abcdfg" for part in ("--at", f"{name}=[1.5, 2.5, 3.5]")]
    new("total", "--function", "a + b + c + d + f + g", *values)
    assert "    inputs:\n      a: [1.5, 2.5, 3.5]\n" in read("cases/total.grad.yaml")
    assert gradcheck("validate")[1].splitlines()[-1] == "0 cases in 1 file, 6 problems"


@pytest.mark.parametrize("formula", ["[x, x]", "{x}", "x['a']", "~(x > 0)", "-x", "@x", "x # y"])
def test_what_yaml_would_read_otherwise_is_in_quotes_or_refused(formula):
    result = CliRunner().invoke(cli, ["new", "a", "--function", formula, "--at", "x=1"])
    if result.exit_code == 0:
        _, output = gradcheck("validate")
        assert output.splitlines()[-1] == "0 cases in 1 file, 1 problem"
        assert "is left to write" in output
    else:
        assert "Traceback" not in result.output
        assert not Path("cases").exists()


def test_a_name_that_yaml_would_read_otherwise():
    new("1e5", "--function", "x", "--at", "x=1")
    assert '  "1e5":\n' in read("cases/1e5.grad.yaml")


def test_the_hint_on_the_schema_ends_where_it_is_there():
    Path("gradcheck.schema.json").write_text("{}", encoding="utf-8")
    assert len(new("a", "--function", "x", "--at", "x=1")) == 3


def test_a_file_elsewhere_has_its_schema_beside_it(folder, monkeypatch):
    (folder / "here").mkdir()
    (folder / "there").mkdir()
    monkeypatch.chdir(folder / "here")
    *_, hint = new("a", "--function", "x", "--at", "x=1", "--file", "../there/a.grad.yaml")
    assert hint.endswith("gradcheck schema > ../there/gradcheck.schema.json")
    assert "$schema=gradcheck.schema.json" in read("../there/a.grad.yaml")


# Into a file that is there


def test_a_case_is_added_to_a_file_which_else_stays_as_it_is():
    text = (
        "# mine\ndefinitions:\n  squared(a): a**2   # a helper\n\ncases:\n    old:   # is kept\n"
        "        function: x\n        inputs: {x: 1}\n        derivatives: {x: 1}\n"
    )
    path = Path("mine.grad.yaml")
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    lines = new("added", "--function", "squared(x)", "--at", "x=1", "--file", "mine.grad.yaml")
    assert lines == [
        "added to mine.grad.yaml",
        "mine.grad.yaml:17:11: `x` is left to write: its formula stands here",
        "then: gradcheck run mine.grad.yaml::added",
    ]
    assert read(path).startswith(f"{text}\n    added:\n      # about:")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert gradcheck("validate", "mine.grad.yaml")[1].splitlines()[-1] == (
        "1 case in 1 file, 1 problem"
    )


def test_a_file_with_a_case_that_is_left_to_write_takes_a_further_one():
    for name in ("a", "b"):
        new(name, "--function", "x", "--at", "x=1", "--file", "two.grad.yaml")
    assert gradcheck("validate", "two.grad.yaml")[1].splitlines()[-1] == (
        "0 cases in 1 file, 2 problems"
    )


def test_a_link_to_a_file_stays_one(folder):
    (folder / "real.grad.yaml").write_text("cases:\n", encoding="utf-8")
    (folder / "link.grad.yaml").symlink_to("real.grad.yaml")
    new("a", "--function", "x", "--at", "x=1", "--file", "link.grad.yaml")
    assert (folder / "link.grad.yaml").is_symlink()
    assert "function: x" in read("real.grad.yaml")


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "a --function log1p(exp(x) --at x=1",
            "gradcheck: not a formula: '(' was never closed\n"
            "      | log1p(exp(x)\n"
            "      |      ^\n",
        ),
        (
            "a --function y:|logp(x) --at x=1",
            "gradcheck: `logp` is not a word: did you mean `log1p`?\n"
            "      | y: logp(x)\n"
            "      |    ^^^^\n",
        ),
        (
            "a --function w*x+b",
            "gradcheck: the function uses w, x and b without a value: "
            "add --at w=0.5 --at x=0.5 --at b=0.5\n",
        ),
        ("a --function x --at x=1 --at v=1", "gradcheck: `v` is not used by the function\n"),
        (
            "a --function 2",
            "gradcheck: the function uses no name: there is nothing to differentiate by\n",
        ),
        (
            "a --function x --at x",
            "gradcheck: `x` gives no input a value: write --at x=3 or --at x=[1,2]\n",
        ),
        (
            "a --function x --at x=1,w=2",
            "gradcheck: `1,w=2` is no value of `x`: write a number, a list such as [1, 2] or "
            "{shape: [3], sample: normal}, with an --at for each input\n",
        ),
        (
            "a --function x --at x={shape:|[2],|sample:|uniform(0,|1)}",
            'gradcheck: a formula with a comma inside {…} needs quotes: write "uniform(0, 1)"\n'
            "      | {shape: [2], sample: uniform(0, 1)}\n"
            "      |                      ^^^^^^^^^^^^^\n",
        ),
        (
            "a --function x --at x=[1,|[2]",
            "gradcheck: this [ is never closed\n      | [1, [2]\n      | ^\n",
        ),
        ("a --function x --at x=1 --at x=2", "gradcheck: `x` is already given another value\n"),
        (
            "a --function x*e --at x=1 --at e=2",
            "gradcheck: `e` hides a word of the language: use another name, such as `e_`\n",
        ),
        (
            "a --function x --at x=[1,[2]]",
            "gradcheck: this is a list of 1, the item before it a number\n"
            "      |     inputs: {x: [1,[2]]}\n"
            "      |                    ^^^\n",
        ),
        (
            "a --function x --function y:|x --at x=1",
            "gradcheck: of several steps each is `name: formula`: `x` has no name\n",
        ),
        (
            "a --function y:|x --function y:|x --at x=1",
            "gradcheck: two steps are called `y`\n",
        ),
        (
            "a --function x:|x**2 --at x=1",
            "gradcheck: `x` is a step as well as an input: use another name\n",
        ),
        (
            "a --function out**2 --at out=1",
            "gradcheck: `out` is the name of the output: use another name\n",
        ),
        (
            "a --function y:|x --function z:|v --function v:|x --at x=1",
            "gradcheck: `v` is not known yet: it is computed below\n"
            "      |       z: v\n"
            "      |          ^\n",
        ),
        (
            "a --function y:|x --function z:|w --at x=1 --at w=1",
            "gradcheck: `dz/dx`: `z` does not depend on `x`\n"
            "      |       dz/dx: 0                # write dz/dx here\n"
            "      |       ^^^^^\n",
        ),
        (
            "a|b --function x --at x=1",
            "gradcheck: `a b` is no name of a case: use letters, digits, _, . and -\n",
        ),
        (
            "../a --function x --at x=1",
            "gradcheck: `../a` is no name of a case: use letters, digits, _, . and -\n",
        ),
        (
            "a --function x --at x=1 --file a.yaml",
            "gradcheck: `gradcheck run` finds *.grad.yaml: a.yaml needs another name\n",
        ),
        (
            "a --function x --at x=1 --file a::b.grad.yaml",
            "gradcheck: `gradcheck run` takes `::` for a file's end: a::b.grad.yaml needs another "
            "name\n",
        ),
        (
            "a --python kernels.norm --at x=1",
            "gradcheck: `kernels.norm` is not `module:name`, as in mykernels.norm:RMSNorm\n",
        ),
        (
            "a --python kernels:norm",
            "gradcheck: give the inputs of `kernels:norm`, as in --at x=0.5; "
            "--allow-import kernels tells which\n",
        ),
    ],
)
def test_a_mistake_is_told_in_one_message(refused, arguments, message):
    assert refused(*(one.replace("|", " ") for one in arguments.split())) == message


@pytest.mark.parametrize("arguments", [["a"], ["a", "--function", "x", "--python", "a:b"]])
def test_there_is_one_function(refused, arguments):
    assert "Error: give the function: by --function, or by --python\n" in refused(*arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases:\n  a: {}\n", "there is a case `a` in old.grad.yaml already: choose another name"),
        ("cases: {b: {}}\n", f"old.grad.yaml:1:8: {NO_PLACE}"),
        ("# none\ncases: null\n", f"old.grad.yaml:2:8: {NO_PLACE}"),
        ("cases:\n  b: {}\n...\n", f"old.grad.yaml:2:3: {NO_PLACE}"),
        (
            "cases: {a: 1]\n",
            'old.grad.yaml:1:13: expected "," or "}" here, for the { opened at line 1, column 8',
        ),
    ],
)
def test_a_file_is_never_written_over(refused, text, message):
    Path("old.grad.yaml").write_text(text, encoding="utf-8")
    told = refused("a", "--function", "x", "--at", "x=1", "--file", "old.grad.yaml")
    assert told.splitlines()[0] == f"gradcheck: {message}"


def test_a_file_that_is_not_text_is_told(refused):
    Path("old.grad.yaml").write_bytes(b"\xff")
    told = refused("a", "--function", "x", "--at", "x=1", "--file", "old.grad.yaml")
    assert "the file is not UTF-8" in told


def test_a_file_that_is_read_only_stays_as_it_is(refused, folder, monkeypatch):
    path = folder / "old.grad.yaml"
    path.write_text("cases:\n", encoding="utf-8")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may
    told = refused("a", "--function", "x", "--at", "x=1", "--file", "old.grad.yaml")
    assert told == f"gradcheck: {path} cannot be written: it is read-only\n"


def test_a_folder_that_cannot_be_written_to_is_told(refused):
    told = refused("a", "--function", "x", "--at", "x=1", "--file", "/proc/a.grad.yaml")
    assert told == "gradcheck: /proc/a.grad.yaml cannot be written: No such file or directory\n"


# Functions in Python


def test_a_function_in_python_is_a_case_that_runs(module):
    lines = new("s", "--python", f"{module}:Scale", "--at", "x=[1, 2]", "--at", "weight=[3, 4]")
    assert lines[:2] == [
        "wrote cases/s.grad.yaml",
        f"then: gradcheck run cases/s.grad.yaml::s --allow-import {module}",
    ]
    assert module not in sys.modules
    assert read("cases/s.grad.yaml") == (
        "# yaml-language-server: $schema=../gradcheck.schema.json\n"
        "cases:\n"
        "  s:\n"
        "    # about:  one line for the reader\n"
        f'    function: {{python: "{module}:Scale"}}\n'
        "    inputs: {x: [1, 2], weight: [3, 4]}\n"
        "    # constants:  given values that are not differentiated by\n"
        "    # reference:  the formula that it must equal, for a truth that is proven\n"
        "    # derivatives:  by input, as formulas or {python: module:name}\n"
    )
    assert gradcheck("validate")[0] == 0
    command = lines[1].removeprefix("then: gradcheck ").split()
    assert gradcheck(*command, "--device", "cpu")[0] == 0


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("Scale", [], "uses x and weight without a value: add --at x=0.5 --at weight=0.5"),
        ("Scale", ["x=1"], "uses weight without a value: add --at weight=0.5"),
        ("Scale", ["x=1", "wight=1"], "has no parameter `wight`: did you mean `weight`?"),
        ("Layer", [], "uses input without a value: add --at input=0.5"),
        ("powered", ["y=1"], "has no parameter `y`: it has x, exponent"),
    ],
)
def test_an_allowed_module_tells_the_parameters(refused, module, name, values, message):
    given = [part for value in values for part in ("--at", value)]
    told = refused("a", "--python", f"{module}:{name}", "--allow-import", module, *given)
    assert told == f"gradcheck: `{module}:{name}` {message}\n"


def test_a_function_that_is_not_there_is_told(refused, module):
    told = refused("a", "--python", f"{module}:Scal", "--allow-import", module)
    assert told == f"gradcheck: `{module}` has no `Scal`: did you mean `Scale`?\n"


@pytest.mark.parametrize(
    ("name", "values"),
    [("powered", ["x=1"]), ("Layer", ["input={shape: [3, 2], sample: normal}", "weight=[[1, 2]]"])],
)
def test_a_default_or_a_parameter_of_a_module_may_be_left_out_or_given(module, name, values):
    given = [part for value in values for part in ("--at", value)]
    new("a", "--python", f"{module}:{name}", "--allow-import", module, *given)
    assert gradcheck("validate")[0] == 0


@pytest.mark.parametrize("function", [["--function", "x**2"], ["--python", "missing:f"]])
def test_torch_is_not_imported(function):
    code = (
        "import sys; from gradcheck.cli import cli; cli(standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "new", "a", *function, "--at", "x=1"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
