import json
import math

import pytest

from gradcheck.results import BAD, Answer, Change, EntryAnswers, Result, Summary


def result(**fields):
    known = {
        "case": "c",
        "file": "f.grad.yaml",
        "line": 3,
        "quantity": "dy/dx",
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
        "verdict": "pass",
    }
    return Result(**{**known, **fields})


ENTRY = EntryAnswers(
    "dy[1]/dx", (1,), {"handwritten": Answer(2.0, 0.5, "bounded"), "numeric": Answer(2.1, 0.1)}
)


def test_a_record_has_the_fields_of_the_schema():
    record = result(
        blame="handwritten",
        formula="2*x",
        truth="numeric",
        basis="estimated",
        resolution=1e-9,
        required=1e-6,
        difference=0.05,
        digits={"handwritten": 1.3010299},
        entries=(ENTRY,),
        notes=("a note",),
        imports=("kernels",),
        seconds=0.12345678,
    ).record()
    assert record == {
        "schema_version": 1,
        "case": "c",
        "file": "f.grad.yaml",
        "line": 3,
        "quantity": "dy/dx",
        "formula": "2*x",
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
        "verdict": "pass",
        "blame": "handwritten",
        "truth": "numeric",
        "basis": "estimated",
        "resolution": 1e-9,
        "required": 1e-6,
        "difference": 0.05,
        "digits": {"handwritten": 1.3},
        "worst_entry": [1],
        "entry": "dy[1]/dx",
        "oracles": {
            "handwritten": {"value": 2.0, "radius": 0.5, "basis": "bounded"},
            "numeric": {"value": 2.1, "radius": 0.1, "basis": "estimated"},
        },
        "notes": ["a note"],
        "diagnosis": [],
        "imports": ["kernels"],
        "seconds": 0.123457,
    }


def test_a_record_without_entries_has_nothing_at_the_worst_one():
    record = result().record()
    assert (record["worst_entry"], record["oracles"], record["resolution"]) == (None, {}, None)


def test_the_entry_of_a_number_has_an_empty_index():
    entry = EntryAnswers("dy/dx", (), {"numeric": Answer(1.0, 0.0)})
    assert result(entries=(entry,)).record()["worst_entry"] == []


@pytest.mark.parametrize(
    ("number", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_a_number_that_is_not_finite_becomes_a_text(number, text):
    entry = EntryAnswers("dy/dx", (), {"numeric": Answer(number, number)})
    record = result(resolution=number, difference=number, entries=(entry,)).record()
    json.dumps(record, allow_nan=False)
    assert record["resolution"] == record["difference"] == text
    assert record["oracles"]["numeric"] == {"value": text, "radius": text, "basis": "estimated"}


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "error", "xpassed"])
def test_a_run_fails_by_a_verdict_that_is_bad(verdict):
    assert verdict in BAD
    assert result(verdict=verdict).is_bad
    summary = Summary()
    summary.add(result())
    summary.add(result(verdict=verdict))
    assert summary.exit_code == 1


@pytest.mark.parametrize("verdict", ["pass", "skipped", "xfailed"])
def test_a_run_does_not_fail_by_any_other(verdict):
    summary = Summary()
    summary.add(result(verdict=verdict))
    assert not result(verdict=verdict).is_bad
    assert summary.exit_code == 0


def test_what_a_baseline_knows_does_not_fail_a_run_and_what_got_worse_does():
    known = result(verdict="fail", change=Change("known", "known from the baseline"))
    worse = result(change=Change("worse", "worse than in the baseline"))
    new = result(verdict="fail", change=Change("new", "new"))
    better = result(change=Change("better", "better than in the baseline"))
    assert [r.is_bad for r in (known, worse, new, better)] == [False, True, True, False]
    assert [r.standing for r in (known, worse, new, better)] == ["known", "worse", "fail", "pass"]
    summary = Summary()
    summary.add(known)
    summary.add(better)
    assert (summary.counts, summary.better, summary.exit_code) == ({"known": 1, "pass": 1}, 1, 0)
    summary.add(worse)
    assert (summary.counts["worse"], summary.exit_code) == (1, 1)


def test_a_problem_of_a_file_is_exit_code_2_whatever_else_there_is():
    summary = Summary(problems=1)
    assert summary.exit_code == 2
    summary.add(result(verdict="fail"))
    assert summary.exit_code == 2


def test_a_summary_counts_results_and_cases():
    summary = Summary()
    for name in ("a", "a", "b"):
        summary.add(result(case=name))
    summary.add(result(case="b", file="other.grad.yaml", verdict="fail"))
    assert summary.counts == {"pass": 3, "fail": 1}
    assert len(summary.cases) == 3
