import json
import math

import pytest

from gradcheck.errors import UsageError
from gradcheck.report.jsonl import JsonLines
from gradcheck.results import Answer, EntryAnswers, Result

FIELDS = {
    "case",
    "file",
    "line",
    "quantity",
    "point",
    "dtype",
    "device",
    "verdict",
    "blame",
    "truth",
    "basis",
    "resolution",
    "difference",
    "worst_entry",
    "oracles",
    "notes",
    "seconds",
    "schema_version",
}
"""Those of DESIGN section 5 but `digits` and `diagnosis`, which belong to later issues."""


def result(**fields):
    return Result("c", "f.grad.yaml", 1, "dy/dx", "1", "float64", "cpu", "pass", **fields)


def read(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def test_a_record_is_a_line_with_the_fields_of_the_schema(tmp_path):
    path = tmp_path / "records.jsonl"
    with JsonLines(path) as lines:
        lines.add(result())
        lines.add(result(formula="a\nb", notes=("± µ", "\u2028", '"')))
    first, second = read(path) if path.read_text(encoding="utf-8").count("\n") == 2 else []
    assert set(first) >= FIELDS
    assert second["formula"] == "a\nb"


def test_numbers_that_are_not_finite_are_valid_json(tmp_path):
    answers = {"handwritten": Answer(math.nan, 0.0), "numeric": Answer(-math.inf, math.inf)}
    path = tmp_path / "records.jsonl"
    with JsonLines(path) as lines:
        lines.add(
            result(
                resolution=math.inf,
                difference=math.nan,
                entries=(EntryAnswers("dy/dx", (), answers),),
            )
        )
    (record,) = read(path)
    assert (record["resolution"], record["difference"]) == ("Infinity", "NaN")
    assert record["oracles"] == {
        "handwritten": {"value": "NaN", "radius": 0.0, "basis": "estimated"},
        "numeric": {"value": "-Infinity", "radius": "Infinity", "basis": "estimated"},
    }


def test_every_record_is_on_the_disk_as_soon_as_it_is_known(tmp_path):
    path = tmp_path / "records.jsonl"
    with JsonLines(path) as lines:
        for count in range(1, 4):
            lines.add(result())
            assert len(read(path)) == count


def test_a_file_of_an_earlier_run_is_replaced(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text("old\n" * 10, encoding="utf-8")
    with JsonLines(path) as lines:
        lines.add(result())
    assert len(read(path)) == 1


def test_a_file_name_that_is_not_utf_8_does_not_stop_the_run(tmp_path):
    path = tmp_path / "records.jsonl"
    with JsonLines(path) as lines:
        lines.add(Result("c", "\udcff.grad.yaml", 1, "", "", "float64", "cpu", "pass"))
    assert read(path)[0]["file"] == "\udcff.grad.yaml"


def test_a_missing_folder_is_said(tmp_path):
    path = tmp_path / "missing" / "records.jsonl"
    with pytest.raises(UsageError) as caught:
        JsonLines(path)
    assert str(caught.value) == f"{path} cannot be written: No such file or directory"


def test_a_full_disk_is_said(tmp_path):
    from pathlib import Path

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with (
        pytest.raises(UsageError, match="/dev/full cannot be written: No space left"),
        JsonLines(full) as lines,
    ):
        lines.add(result())
