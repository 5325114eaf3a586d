"""An editor with the YAML language server completes and checks case files by the JSON Schema."""

import json
import re
from pathlib import Path

import language_server
import pytest
from click.testing import CliRunner
from language_server import LanguageServer

from gradcheck.cli import cli

ROOT = Path(__file__).parent.parent
TOLD = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
PROGRAM = language_server.program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=language_server.ADVICE)

GOOD = """
defaults: {tags: scalar}
cases:
  square:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: 2*x}
    expect: {out: 9, x: 6}
  kernel:
    function: {python: "mykernels.norm:RMSNorm", init: {n: 4}}
    reference: {python: "mykernels.slow:rms_norm"}
    inputs: {x: {shape: [2, 4], sample: normal}}
    backward: {python: "mykernels.norm:backward"}
"""
BAD = """
cases:
  square:
    function: x**2
    inputs: {x: 3}
    derivates: {x: 2*x}
"""
UNWRITTEN = """
cases:
  square:
    function: x**2
    inputs: {x: 3}
    derivatives: {x: }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project in which the schema is where users are told to have it."""
    folder = tmp_path_factory.mktemp("project")
    assert "`gradcheck schema > gradcheck.schema.json`" in TOLD
    schema = CliRunner().invoke(cli, ["schema"]).output
    (folder / "gradcheck.schema.json").write_text(schema, encoding="utf-8")
    return folder


def the_line():
    """The first line of a file, for editors, as users are told."""
    return re.search(r"# yaml-language-server: [^`]+", TOLD)[0]


@pytest.fixture(scope="module", params=["line", "setting"])
def written(request, folder):
    """Writes a case file, which the server knows by its first line or by the editor's setting."""
    head, schemas = "", {}
    if request.param == "line":
        head = the_line()
    else:
        schemas = json.loads(re.search(r'`"yaml.schemas": (\{.*?\})`', TOLD)[1])
    with LanguageServer(PROGRAM, folder, schemas) as server:

        def written(text, name):
            path = folder / f"{request.param}_{name}.grad.yaml"
            path.write_text(head + text, encoding="utf-8")
            return server, path

        yield written


def test_a_good_file_has_no_mark(written):
    server, path = written(GOOD, "good")
    assert server.problems(path) == []


def test_a_bad_key_is_marked_where_it_stands(written):
    server, path = written(BAD, "bad")
    assert server.problems(path) == [(6, 5, "derivates", "Property derivates is not allowed.")]


def test_a_derivative_that_is_left_to_write_is_marked(written):
    server, path = written(UNWRITTEN, "unwritten")
    ((line, _, _, message),) = server.problems(path)
    assert (line, message) == (6, "Incorrect type. Expected one of string, number.")


def test_the_pointer_shows_a_key_and_an_example(written):
    server, path = written(GOOD, "pointed")
    server.problems(path)
    shown = server.hover(path, 5, 6)
    assert "A formula, whose value is called" in shown
    assert "sin(x**2)" in shown


def test_keys_are_completed(written):
    server, path = written(BAD.replace("derivates: {x: 2*x}", "deri"), "completed")
    server.problems(path)
    assert "derivatives" in server.completions(path, 6, 9)


def test_a_new_case_is_marked_where_it_is_left_to_write(folder, monkeypatch):
    monkeypatch.chdir(folder)
    CliRunner().invoke(cli, ["new", "square", "--function", "x**2", "--at", "x=3"])
    path = folder / "cases" / "square.grad.yaml"
    with LanguageServer(PROGRAM, folder) as server:
        ((line, *_),) = server.problems(path)
    assert path.read_text(encoding="utf-8").splitlines()[line - 1].strip().startswith("x: ")


def test_the_library_has_no_mark(folder):
    with LanguageServer(PROGRAM, folder, {"gradcheck.schema.json": "*.grad.yaml"}) as server:
        for path in sorted((ROOT / "cases").glob("*.grad.yaml")):
            assert server.problems(path) == []
