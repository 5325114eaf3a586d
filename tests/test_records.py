"""Files of records → results again, and what is no such file."""

import json
import math
from dataclasses import replace

import pytest

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.records import RunEnd, read, result_of
from gradcheck.report.jsonl import JsonLines
from gradcheck.results import Answer, Diagnosis, EntryAnswers, ErrorMap, Result, Written

ENTRY = EntryAnswers(
    "dy[1]/dx", (1,), {"handwritten": Answer(math.nan, 0.5, "bounded"), "exact": Answer(2.0, 0.0)}
)
SECOND = EntryAnswers("dy[0]/dx", (0,), {"exact": Answer(math.inf, 0.0, "proven")})
FULL = Result(
    *("c", "f.grad.yaml", 3, "dy/dx", "1", "float32", "cpu", "fail"),
    blame="handwritten",
    formula="2*x",
    truth="exact",
    basis="proven",
    resolution=math.inf,
    required=1e-3,
    difference=0.5,
    digits={"autograd": 7.22},
    entries=(ENTRY, SECOND),
    notes=("a note",),
    diagnosis=(Diagnosis("sign", "the sign is wrong"),),
    seconds=0.25,
    imports=("kernels",),
    errors=ErrorMap((2,), ((math.inf, 0.5),), 2),
    derivation=(Written("step", "y", "x**2", 2),),
)
END = RunEnd("0.1.0", 1, 1, "abc", 1, (Problem("f.grad.yaml", 1, 2, "wrong", "x"),), 0.5)


@pytest.fixture
def written(tmp_path):
    """Writes records to a file."""

    def written(*records):
        path = tmp_path / "r.jsonl"
        with JsonLines(path) as lines:
            for record in records:
                lines.add(record)
        return path

    return written


def test_a_result_is_what_it_was_when_its_record_is_read(written):
    back = read(written(FULL)).results[0]
    assert back.record() == FULL.record()
    assert [entry.label for entry in back.entries] == ["dy[1]/dx", "dy[0]/dx"]
    assert back.entries[1] == SECOND
    assert (back.errors, back.derivation) == (FULL.errors, FULL.derivation)
    assert (back.required, back.imports) == (FULL.required, FULL.imports)


def test_errors_have_two_digits_and_what_is_right_is_short():
    errors = ErrorMap((2, 2), ((0.0, 0.123456), (math.nan, 1.26e-9)), 3)
    assert errors.record()["cells"] == [[0, 0.12], ["NaN", 1.3e-9]]


def test_what_is_right_has_a_record_without_evidence():
    record = replace(FULL, entries=(ENTRY,), errors=None, derivation=()).record()
    assert not record.keys() & {"more_entries", "errors", "derivation"}


def test_a_run_that_ended_says_so(written):
    found = read(written(FULL, END))
    assert (len(found.results), found.end) == (1, END)
    assert read(written(FULL)).end is None


def test_a_record_of_an_earlier_gradcheck_has_what_it_has():
    record = FULL.record()
    since = ("required", "entry", "imports", "diagnosis", "more_entries", "errors", "derivation")
    for name in since:
        del record[name]
    (entry,) = result_of(record).entries
    assert entry.label == "dy/dx"
    assert result_of(record).required is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-20], "2: the record is cut off"),
        (lambda text: text[: text.index('"case"', 300)], "2: the record is cut off"),
        (lambda text: "# known\n" + text, "1: this is no JSON: Expecting value: line 1 column 1"),
        (lambda text: "[1]\n" + text, "1: this is no record of `gradcheck run --jsonl`"),
        (
            lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
            "1: this record has schema_version 2, this gradcheck reads 1: write the file anew",
        ),
        (
            lambda text: text.replace('"fail"', '"failed"'),
            "1: this is no record of `gradcheck run --jsonl`: `verdict`: Input should be 'pass',",
        ),
        (
            lambda text: text.replace('"more_entries": [', '"more_entries": [1, '),
            "1: this is no record of `gradcheck run --jsonl`: `more_entries`",
        ),
        (
            lambda text: '{"schema_version": 1, "mistake": "sign"}\n',
            "1: this is no record of `gradcheck run --jsonl`: `case`: Field required",
        ),
    ],
)
def test_what_is_no_file_of_records_is_refused_with_its_line(written, change, message):
    path = written(FULL, FULL)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{message}")
    assert "\n" not in str(caught.value)


def test_a_file_without_its_last_line_end_is_whole(written):
    path = written(FULL)
    path.write_text(path.read_text(encoding="utf-8").strip(), encoding="utf-8")
    assert len(read(path).results) == 1


def test_a_file_that_other_programs_wrote_anew_is_read(written):
    path = written(FULL)
    path.write_text("\ufeff" + path.read_text("utf-8").replace("\n", "\r\n\r\n"), "utf-8")
    assert len(read(path).results) == 1


def test_nothing_follows_the_end_of_a_run(written):
    path = written(FULL, END, FULL)
    with pytest.raises(UsageError, match=r":3: nothing may follow the record that ends a run$"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", " is empty"), (b"\xff\xfe1", ":1: this is no JSON"), (None, " cannot be read: No such")],
)
def test_what_cannot_be_read_is_said(tmp_path, content, message):
    path = tmp_path / "r.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_a_record_of_a_finished_run_is_json():
    assert json.loads(json.dumps(END.record()))["run"]["problems"][0]["message"] == "wrong"
