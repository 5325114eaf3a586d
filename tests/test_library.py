"""The library's cases pass sharply, and none of them passes when a formula in it is wrong."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradcheck.casefile.case import DEFAULT_RESOLUTION, Case
from gradcheck.casefile.load import find, load
from gradcheck.claims import Claim, RecurrentFormula
from gradcheck.cli import cli
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Name, walk
from gradcheck.place import Place

ROOT = Path(__file__).parent.parent
LIBRARY = [load(path) for path in find([str(ROOT / "cases")])]
CASES = [case for file in LIBRARY for case in file.cases]

# Changes that are no mistakes, at any point: what is dropped is the factor 1 or the term 0.
EQUIVALENT = {
    ("matrix_mse", "dloss/dlosses * dlosses/dz", "(dlosses/dz)"),
    ("sum_of_squares", "dloss/dsquares * dsquares/dx", "(dsquares/dx)"),
    (
        "logistic_regression",
        "dloss/dy_pred * dy_pred/dz * dz/db",
        "(dloss/dy_pred * dy_pred/dz)",
    ),
    ("mean_of_squares", "ones_like(squares)/3", "(1/(3))"),  # a plain number fills a gradient
    ("difference_from_square", "0 - 1", "(-1)"),
    ("difference_from_square", "(0 - 1)*2*x", "((-1))*2*x"),
    # the .T of a vector is the vector
    ("weights_accumulate_over_a_batch", "-2*X.T @ residual", "-2*X.T @ residual.T"),
    ("recursive_h_t", "0", "-(0)"),
    ("recursive_h_t", "0", "1.001*(0)"),
}


@dataclass(frozen=True)
class Written:
    """A formula of the library, and what stands before it on its line."""

    case: Case
    claim: Claim
    expression: Expression
    key: str

    def __str__(self) -> str:
        return f"{self.case.name} {self.claim.quantity} {self.expression.text}"


def written_formulas() -> Iterator[Written]:
    for case in CASES:
        for claim in case.claims:
            for formula in claim.formulas:
                if isinstance(formula, RecurrentFormula):
                    states = formula.recurrence.states
                    state = next(s for s in states if s.name == formula.name)
                    yield Written(case, claim, state.start, "start: ")
                    yield Written(case, claim, state.next, "next: ")
                else:
                    yield Written(case, claim, formula.expression, "")


def wrong_versions(written: Written) -> Iterator[str]:
    """The formula with its sign changed, scaled, a term or factor dropped, transposed."""
    text = written.expression.text
    yield f"-({text})"
    yield f"1.001*({text})"
    if is_matrix(written):
        yield f"({text}).T"
    for node in walk(written.expression.tree):
        if isinstance(node, Call):
            for part in wrong_parts(node, text):
                yield text[: node.start] + part + text[node.end :]


def wrong_parts(node: Call, text: str) -> Iterator[str]:
    operands = [text[argument.start : argument.end] for argument in node.arguments]
    match node.word.name:
        case "add" | "mul":
            yield from (f"({operand})" for operand in operands)
        case "sub":
            yield from (f"({operands[0]})", f"(-{operands[1]})")
        case "div":
            yield from (f"({operands[0]})", f"(1/({operands[1]}))")
        case "T":
            yield operands[0]
        case "matmul" | "tensordot":
            for argument in node.arguments:
                if isinstance(argument, Name):
                    start, end = argument.start - node.start, argument.end - node.start
                    whole = text[node.start : node.end]
                    yield f"{whole[:start]}{whole[start:end]}.T{whole[end:]}"


def is_matrix(written: Written) -> bool:
    place = Place.at(written.case, written.case.points[-1], "float64", "cpu")
    return place.environment[written.claim.input].ndim == 2


def with_formula(written: Written, formula: str) -> str:
    """The case's file with one formula replaced."""
    lines = Path(written.case.file).read_text(encoding="utf-8").splitlines()
    line = lines[written.expression.line - 1]
    old = written.expression.text
    before = next(b for b in (written.key, ": ", "- ") if b and b + old in line)
    start = line.rindex(before + old) + len(before)
    assert line[start : start + len(old)] == old
    lines[written.expression.line - 1] = f'{line[:start]}"{formula}"{line[start + len(old) :]}'
    return "\n".join(lines) + "\n"


def read_records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(path: Path, *arguments: str) -> tuple[int, str, list[dict]]:
    """Exit code, output and records of `gradcheck run`."""
    records = Path(str(path).partition("::")[0]).parent / "records.jsonl"
    result = CliRunner().invoke(
        cli, ["run", str(path), "--jsonl", str(records), *arguments], standalone_mode=False
    )
    assert result.exception is None, result.output
    return result.return_value, result.output, read_records(records)


@pytest.fixture(scope="module")
def library_records(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "records.jsonl"
    result = CliRunner().invoke(
        cli, ["run", str(ROOT / "cases"), "--jsonl", str(path)], standalone_mode=False
    )
    assert result.return_value == 0, result.output
    return read_records(path)


def test_every_quantity_is_there_at_every_point(library_records):
    found = {(r["case"], r["quantity"], r["point"], r["dtype"]) for r in library_records}
    wanted = {
        (case.name, claim.quantity, point.label, dtype)
        for case in CASES
        for claim in case.claims
        for point in case.points
        for dtype in case.dtypes
    }
    published = {
        (case.name, expectation.quantity, point.label, expectation.dtype or case.widest)
        for case in CASES
        for point in case.points
        for expectation in point.expectations
    }
    gradients = {
        (case.name, f"{name}.grad", point.label, dtype)
        for case in CASES
        for name in case.gradients
        for point in case.points
        for dtype in case.dtypes
    }
    assert wanted | published | gradients == found


def test_every_record_passes_at_the_default_resolution_and_names_its_truth(library_records):
    for record in library_records:
        assert record["verdict"] == "pass", record
        if record["resolution"] is None:  # a gradient that is none: no number to be sharp about
            assert record["quantity"].endswith(".grad"), record
            assert record["notes"][0].startswith("none: "), record
            continue
        assert record["resolution"] <= DEFAULT_RESOLUTION[record["dtype"]], record
        is_evaluation = record["formula"] == "" and "exact" not in record["oracles"]
        assert record["truth"] == ("" if is_evaluation else "exact"), record


@pytest.mark.parametrize("written", list(written_formulas()), ids=str)
def test_no_wrong_version_of_a_formula_passes(written, tmp_path):
    planted = 0
    for formula in dict.fromkeys(wrong_versions(written)):
        path = tmp_path / "wrong.grad.yaml"
        path.write_text(with_formula(written, formula), encoding="utf-8")
        name, quantity = written.case.name, written.claim.quantity
        code, output, records = run(Path(f"{path}::{name}"), "--dtype", "float64")
        if (name, written.expression.text, formula) in EQUIVALENT:
            assert code == 0, f"{formula} is equivalent\n{output}"
            continue
        planted += 1
        assert code == 1, f"{formula} passed"
        failed = [r for r in records if r["verdict"] != "pass"]
        assert {r["verdict"] for r in failed} == {"fail"}, output
        assert {r["blame"] for r in failed} == {"handwritten"}, output
        line = written.expression.line
        assert any(r["quantity"] == quantity and r["line"] == line for r in failed), output
        heading = f"FAIL  {path}:{line}  {name}  {quantity}  ["
        block = output[output.index(heading) :].split("\n\n")[0]
        first = next(r for r in failed if r["quantity"] == quantity and r["line"] == line)
        if first["oracles"]:
            assert "\n  entry " in block
            assert entry_label(quantity, first["worst_entry"]) in block
        else:
            assert "the formula has shape" in block or "the formula has no value" in block
    assert planted or written.expression.text == "0"


def entry_label(quantity: str, index: list[int]) -> str:
    """How the block begins the row of an entry: by the name of what is differentiated."""
    name = quantity.partition("/")[0].removesuffix("[t]")
    return f"\n  {name}"


@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [
        ("square", "x: 6}", "x: 7}"),
        ("square", "out: 9,", "out: 9.2,"),
        ("sine_of_square", "-5.466781571308061", "-5.466781571408061"),
        ("sine_of_square", "-7.6613", "-7.6616"),
        ("sine_of_square", "-0.2879", "-0.2875"),
        ("squared_difference_from_square", "-36", "-37"),
    ],
)
def test_a_wrong_published_number_is_blamed(case, right, wrong, tmp_path):
    text = (ROOT / "cases" / "scalars.grad.yaml").read_text(encoding="utf-8")
    assert text.count(right) == 1
    path = tmp_path / "wrong.grad.yaml"
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    code, output, records = run(Path(f"{path}::{case}"))
    failed = [r for r in records if r["verdict"] != "pass"]
    assert code == 1
    assert {(r["verdict"], r["blame"]) for r in failed} == {("fail", "expected")}, output
    assert "blame: expected" in output


def test_running_the_library_warns_of_nothing():
    command = [sys.executable, "-m", "gradcheck", "run", "-q", "cases"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
