"""What pytest shows of a case that failed."""

from gradcheck.report.item import failure_text
from gradcheck.results import Answer, EntryAnswers, Result


def result(**fields):
    known = {
        "case": "c",
        "file": "a.grad.yaml",
        "line": 7,
        "quantity": "dz/dx",
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
        "verdict": "fail",
    }
    return Result(**{**known, **fields})


def test_every_part_begins_with_path_and_line_the_worst_first():
    entry = EntryAnswers("dz/dx", (), {"handwritten": Answer(3.0, 1e-15)})
    text = failure_text(
        [
            result(verdict="pass"),
            result(verdict="inconclusive", line=9, notes=("try another point",)),
            result(blame="handwritten", formula="2*x", entries=(entry,)),
            result(blame="handwritten", formula="2*x", entries=(entry,), point="2"),
            result(verdict="error", quantity="", point="", line=3, blame="function"),
        ],
        "pytest here",
    )
    assert (
        text
        == """\
a.grad.yaml:3: error, blame: function

a.grad.yaml:7: fail dz/dx at point 1, blame: handwritten
      7 | 2*x
  entry  handwritten
  dz/dx  3 ± 1.0e-15
a.grad.yaml:7: fail dz/dx at point 2, blame: handwritten

a.grad.yaml:9: inconclusive dz/dx at point 1, the derivative cannot be told
  try another point
  repeat: pytest here"""
    )
