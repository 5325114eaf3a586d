"""The library's cases pass sharply, and none of them passes when a formula in it is wrong."""

import copy
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from torch import Tensor

from gradcheck.casefile.case import COMPLEX, DEFAULT_RESOLUTION, Case
from gradcheck.casefile.document import Document
from gradcheck.casefile.files import find
from gradcheck.casefile.load import load, read
from gradcheck.claims import RecurrentFormula
from gradcheck.cli import cli
from gradcheck.diagnoses import Diagnoses
from gradcheck.jobs import jobs
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Name, Number, walk
from gradcheck.lines import Line, PassFormula, Sweep
from gradcheck.modes import is_cotangent
from gradcheck.place import Place
from gradcheck.results import Result
from gradcheck.runner import run as run_job

HERE = Path(__file__).parent
ROOT = HERE.parent
PATHS = list(find([str(ROOT / "cases")]))
LIBRARY = [load(path) for path in PATHS]
DOCUMENTS = [Document.read(path).data for path in PATHS]
AT_A_KINK = {
    ("relu_at_its_kink", "1"),
    ("hardtanh_at_its_corners", "1"),
    ("mae_at_a_perfect_prediction", "1"),
    ("bce_with_logits_at_zero", "1"),
    ("hinge_at_the_margin", "1"),
}
"""Points at which the exact oracle would have to make a choice: nothing is proven there."""
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
    # the deviations from a mean add up to 0
    (
        "batch_norm_of_the_paper",
        "sum(dxhat, 0) * -1/sqrt(variance + eps) + dvariance * sum(-2*(x - mu), 0)/m",
        "(sum(dxhat, 0) * -1/sqrt(variance + eps))",
    ),
    ("batch_norm_in_stages", "dxmu + ones(N, D)/N * dmu", "dxmu + (1/(N)) * dmu"),
}


NOTHING = "dvariance * sum(-2*(x - mu), 0)/m"
"""A term of the batch norm paper that is 0, whatever its factors."""


@dataclass(frozen=True)
class Written:
    """A formula of the library, where it stands in its case, and what it is said to be of."""

    case: Case
    path: tuple[str | int, ...]
    expression: Expression

    def __str__(self) -> str:
        return f"{self.case.name} {'.'.join(map(str, self.path))}"


def chosen_cases() -> Iterator[tuple[Case, dict]]:
    """Every entry of the library with its data: the case with the largest sizes."""
    for file, document in zip(LIBRARY, DOCUMENTS, strict=True):
        by_entry: dict[str, Case] = {}
        for case in file.cases:
            known = by_entry.get(case.entry)
            if known is None or sum(case.sizes.values()) > sum(known.sizes.values()):
                by_entry[case.entry] = case
        for entry, case in by_entry.items():
            yield case, document["cases"][entry]


def written_formulas() -> Iterator[Written]:
    for case, data in chosen_cases():
        expressions = {e.text: e for e in case_expressions(case)}
        for block in ("derivatives", "backward", "jvp"):
            for path, text in leaves(data.get(block, {}), (block,)):
                is_zero = str(text) == "0" or str(text).startswith("zeros")
                if str(text) in expressions and not is_zero:
                    yield Written(case, path, expressions[str(text)])


def case_expressions(case: Case) -> Iterator[Expression]:
    for claim in (*case.claims, *case.seconds):
        for formula in claim.formulas:
            if isinstance(formula, PassFormula):
                for statement in (*formula.before, formula.own):
                    yield from statement_expressions(statement)
            elif isinstance(formula, RecurrentFormula):
                for state in formula.recurrence.states:
                    yield from (state.start, state.next)
            else:
                yield formula.expression


def statement_expressions(statement: Line | Sweep) -> Iterator[Expression]:
    if isinstance(statement, Line):
        yield statement.expression
        return
    for line in statement.lines:
        yield from [line.expression] if isinstance(line, Line) else [line.start, line.next]


def leaves(data: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def wrong_versions(written: Written) -> Iterator[str]:
    """The formula with its sign changed, scaled, a term or factor dropped, a name transposed."""
    text = written.expression.text
    yield f"-({text})"
    yield f"1.001*({text})"
    dimensions = dimensions_of(written.case)
    for node in walk(written.expression.tree):
        if isinstance(node, Call) and text[node.start : node.end] not in NOTHING:
            for part in wrong_parts(node, text, dimensions):
                yield text[: node.start] + part + text[node.end :]


def wrong_parts(node: Call, text: str, dimensions: dict[str, int]) -> Iterator[str]:
    operands = [text[argument.start : argument.end] for argument in node.arguments]
    match node.word.name:
        case "add" | "mul":
            yield from (f"({operand})" for operand in operands if operand != "1")
        case "sub":
            yield from (f"({operands[0]})", f"(-{operands[1]})")
        case "div" if operands[0] != "1":
            yield from (f"({operands[0]})", f"(1/({operands[1]}))")
        case "T":
            yield operands[0]
        case "matmul" | "tensordot":
            for argument in node.arguments:
                if isinstance(argument, Name) and dimensions.get(argument.name, 2) > 1:
                    start, end = argument.start - node.start, argument.end - node.start
                    whole = text[node.start : node.end]
                    yield f"{whole[:start]}{whole[start:end]}.mT{whole[end:]}"


@functools.cache
def dimensions_of(case: Case) -> dict[str, int]:
    """Those of each value, and of its cotangent or tangent."""
    environment = Place.at(case, case.points[-1], "float64", "cpu").environment
    found = {name: value.ndim for name, value in environment.items() if isinstance(value, Tensor)}
    return {**{f"d{name}": count for name, count in found.items()}, **found}


def results_with(written: Written, formula: str) -> Iterator[Result]:
    """What comes of the case, in float64, with one formula replaced."""
    document = next(d for f, d in zip(LIBRARY, DOCUMENTS, strict=True) if written.case in f.cases)
    data = copy.deepcopy(document["cases"][written.case.entry])
    place = data
    for key in written.path[:-1]:
        place = place[key]
    place[written.path[-1]] = formula
    data["dtypes"], data["samples"] = "float64", 1
    for one in (data, *data.get("points", [])):
        one.pop("expect", None)
        one.pop("cotangents", None)
    whole = {k: document[k] for k in ("definitions", "defaults") if k in document}
    text = json.dumps({**whole, "cases": {written.case.entry: data}}, default=float)
    file = read(Document.parse(text, "wrong"))
    assert not file.problems, file.problems
    (case,) = [case for case in file.cases if case.name == written.case.name]
    for job in jobs([case]):
        yield from run_job(job)


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


@pytest.mark.usefixtures("programs_on_the_cpu")
def test_the_library_passes_as_a_user_runs_it(tmp_path):
    """In a process of its own: nothing is warned of, nothing is missing, all is proven."""
    path = tmp_path / "records.jsonl"
    command = [sys.executable, "-m", "gradcheck", "run", "-q", "cases", "--jsonl", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    records = read_records(path)
    assert_every_quantity_is_there(records)
    for record in records:
        assert_it_passes(record)


def assert_every_quantity_is_there(records):
    found = {(r["case"], r["quantity"], r["point"], r["dtype"]) for r in records}
    wanted = {
        (case.name, claim.quantity, point.label, dtype)
        for case in CASES
        for claim in (*case.claims, *case.seconds)
        for point in case.points
        for dtype in case.dtypes
        if not point.again or is_cotangent(claim)
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


def assert_it_passes(record):
    """At the default resolution, with a truth that is proven where it can be."""
    assert record["verdict"] == "pass", record
    if record["resolution"] is None:  # a gradient that is none: no number to be sharp about
        assert record["quantity"].endswith(".grad"), record
        assert record["notes"][0].startswith("none: "), record
        return
    assert record["resolution"] <= DEFAULT_RESOLUTION[record["dtype"]], record
    if (record["case"], record["point"]) in AT_A_KINK:
        assert record["truth"] == "numeric", record
    elif record["dtype"] not in COMPLEX:
        is_evaluation = record["formula"] == "" and "exact" not in record["oracles"]
        assert record["truth"] == ("" if is_evaluation else "exact"), record


@pytest.fixture
def undiagnosed(monkeypatch):
    """What wrong formulas look like is left open: there are thousands of them."""
    monkeypatch.setattr(Diagnoses, "told", lambda self, fields, *given: fields)


@pytest.mark.usefixtures("undiagnosed")
@pytest.mark.parametrize("written", list(written_formulas()), ids=str)
def test_no_wrong_version_of_a_formula_passes(written):
    planted = 0
    for formula in dict.fromkeys(wrong_versions(written)):
        failed = (r for r in results_with(written, formula) if r.verdict != "pass")
        if (written.case.entry, written.expression.text, formula) in EQUIVALENT:
            assert next(failed, None) is None, f"{formula} is equivalent"
            continue
        planted += 1
        shown = []
        for result in failed:
            shown.append(result)
            assert (result.verdict, result.blame) == ("fail", "handwritten"), (formula, result)
            if is_local(written) or result.formula == formula:
                break
        assert shown, f"{formula} passed"
        assert is_local(written) or shown[-1].formula == formula, (formula, shown)
    assert planted


def is_local(written: Written) -> bool:
    """Whether it is a line for later ones, or a start: what it makes wrong is elsewhere."""
    block, *inner = written.path
    return block in ("backward", "jvp") or "start" in inner or "recurrence" in inner


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


PLANTED = [
    (case, line, wrong, mistake)
    for case, listed in yaml.safe_load((HERE / "planted_mistakes.yaml").read_text("utf-8")).items()
    for line, wrong, mistake in listed
]


def test_many_realistic_mistakes_are_planted():
    assert len(PLANTED) >= 250


@pytest.mark.usefixtures("undiagnosed")
@pytest.mark.parametrize(("case", "line", "wrong", "mistake"), PLANTED)
def test_a_realistic_mistake_is_blamed_on_its_line(case, line, wrong, mistake):
    written = planted_at(case, line)
    first = next((r for r in results_with(written, wrong) if r.verdict != "pass"), None)
    assert first is not None, f"{mistake}: it passed"
    assert (first.verdict, first.blame) == ("fail", "handwritten"), (mistake, first)
    name = next(part for part in reversed(line.split(".")) if not part.isdigit())
    assert first.quantity.removesuffix(" (jvp)").removesuffix("[t]") == name, (mistake, first)


def planted_at(entry: str, line: str) -> Written:
    """Where a line stands: `dW` in `backward`, `jvp.dz`, `recurrence.dh` in what is carried."""
    case, data = next((c, d) for c, d in chosen_cases() if c.entry == entry)
    path = line.split(".") if line.startswith("jvp.") else ["backward", *line.split(".")]
    found: list[str | int] = []
    for part in path:
        found.append(int(part) if part.isdigit() else part)
        data = data[found[-1]]
    if isinstance(data, dict):
        found.append("next")
        data = data["next"]
    return Written(case, tuple(found), Expression(str(data), Number(0, 0, 0)))


def test_the_table_of_the_library_is_what_the_command_prints(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(cli, ["list", "--table"], standalone_mode=False)
    text = (ROOT / "cases" / "README.md").read_text("utf-8")
    assert text.endswith("\n\n" + result.output)
    assert len({case.entry for case in CASES}) >= 400


def test_every_case_says_where_it_comes_from():
    assert [case.name for case in CASES if not case.source] == []
