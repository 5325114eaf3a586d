"""JUnit XML of `gradcheck run` and `merge`."""

from xml.etree import ElementTree

import pytest

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.report.junit import JUnit
from gradcheck.results import Change, Result


def result(verdict="pass", **fields):
    known = {
        "case": "c",
        "file": "cases/a.grad.yaml",
        "line": 7,
        "quantity": "dz/dx",
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
        "seconds": 0.5,
    }
    return Result(**{**known, "verdict": verdict, **fields})


@pytest.fixture
def written(tmp_path):
    def written(*found):
        path = tmp_path / "out.xml"
        junit = JUnit(path)
        for one in found:
            (junit.problem if isinstance(one, Problem) else junit.result)(one)
        junit.finish()
        (suite,) = ElementTree.parse(path).getroot()
        return suite

    return written


def test_a_test_is_a_case_in_a_dtype_on_a_device(written):
    suite = written(result(), result(point="2", line=9), result(dtype="float32"))
    found = [(case.get("classname"), case.get("name"), case.get("time")) for case in suite]
    assert found == [
        ("cases.a.grad.yaml", "c[float64-cpu]", "1.000"),
        ("cases.a.grad.yaml", "c[float32-cpu]", "0.500"),
    ]
    assert suite.attrib == {
        "name": "gradcheck",
        "tests": "2",
        "failures": "0",
        "errors": "0",
        "skipped": "0",
        "time": "1.500",
    }


def test_a_test_says_where_it_stands_and_what_became_of_it(written):
    suite = written(
        result(resolution=1e-9), result("fail", line=8, blame="autograd", resolution=1e-7)
    )
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties == {
        "file": "cases/a.grad.yaml",
        "line": "8",
        "verdict": "fail",
        "blame": "autograd",
        "resolution": "1e-07",
    }


def test_what_is_not_right_has_its_text_and_the_command_that_repeats_it(written):
    (failure,) = written(result(), result("fail", blame="handwritten")).iter("failure")
    assert (
        failure.get("message") == "cases/a.grad.yaml:7: fail dz/dx at point 1, blame: handwritten"
    )
    assert failure.text.endswith(
        "repeat: gradcheck run cases/a.grad.yaml::c --dtype float64 --device cpu"
    )


def test_outcomes_are_counted(written):
    suite = written(
        Problem("cases/a.grad.yaml", 3, 5, "wrong", case="broken"),
        result("error", case="a"),
        result("inconclusive", case="b"),
        result("skipped", case="c", notes=("later",)),
        result("xfailed", case="d", notes=("known",)),
        result("fail", case="e", change=Change("known", "known from the baseline")),
        result("pass", case="f", change=Change("worse", "worse than in the baseline")),
        result("pass", case="g"),
    )
    counts = {name: suite.get(name) for name in ("tests", "errors", "failures", "skipped")}
    assert counts == {"tests": "8", "errors": "2", "failures": "2", "skipped": "3"}
    assert [skipped.get("message") for skipped in suite.iter("skipped")] == [
        "skipped: later",
        "xfailed: known",
        "known",
    ]
    assert suite[0].get("name") == "broken[invalid]"


def test_what_xml_cannot_hold_is_replaced(written):
    (failure,) = written(result("fail", notes=("a\x1b[31m\udcff<b>",))).iter("failure")
    assert "  a�[31m�<b>" in failure.text


def test_a_file_that_cannot_be_written_is_said_before_the_run(tmp_path):
    with pytest.raises(UsageError, match=r"out\.xml cannot be written: No such file"):
        JUnit(tmp_path / "missing" / "out.xml")
