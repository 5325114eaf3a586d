"""Points: whose values hold, how they are drawn and numbered, and what is published for them."""

from decimal import Decimal

import pytest

from gradcheck.casefile.document import Document
from gradcheck.casefile.inputs import Given, Sampled
from gradcheck.casefile.load import read


def points(text):
    found = read(Document.parse("cases:\n  a:\n" + text, "f.yaml"))
    assert [str(problem) for problem in found.problems] == []
    return found.cases[0].points


ROOM = """\
    function: x*y
    derivatives: {x: y}
"""


def test_a_single_point():
    (point,) = points(ROOM + "    inputs: {x: 1, y: 2.50}\n")
    assert (point.label, point.draw, point.expectations) == ("1", 0, ())
    assert point.values == {"x": Given(1), "y": Given(Decimal("2.50"))}


def test_a_point_s_own_inputs_come_before_the_case_s():
    first, second = points(
        ROOM + "    inputs: {x: 1}\n    points: [{inputs: {y: 2}}, {inputs: {x: 3, y: 4}}]\n"
    )
    assert first.values == {"x": Given(1), "y": Given(2)}
    assert second.values == {"x": Given(3), "y": Given(4)}


def test_a_point_without_inputs_is_at_the_case_s():
    (point,) = points(ROOM + "    inputs: {x: 1, y: 2}\n    points: [{expect: {x: 2}}]\n")
    assert point.values == {"x": Given(1), "y": Given(2)}
    assert [one.quantity for one in point.expectations] == ["dout/dx"]


def test_inputs_may_stand_in_points_alone():
    (point,) = points(ROOM + "    constants: {y: 2}\n    points: [{inputs: {x: 1}}]\n")
    assert point.values == {"x": Given(1), "y": Given(2)}


def test_every_point_has_its_own_expect():
    first, second = points(
        ROOM
        + """\
    points:
      - {inputs: {x: 1, y: 2}, expect: {x: 2}}
      - {inputs: {x: 1, y: 3}, expect: [{x: 3}, {out: 3}]}
"""
    )
    assert [(one.quantity, one.printed) for one in first.expectations] == [("dout/dx", 2)]
    assert [(one.quantity, one.printed) for one in second.expectations] == [
        ("dout/dx", 3),
        ("out", 3),
    ]


def test_draws_are_numbered_through_the_case():
    sampled = points(
        ROOM
        + """\
    samples: 2
    points:
      - {inputs: {x: 1, y: {sample: normal}}}
      - {inputs: {x: 1, y: 1}}
      - {inputs: {x: 1, y: {sample: normal}}, samples: 3}
"""
    )
    assert [point.label for point in sampled] == ["1.1", "1.2", "2", "3.1", "3.2", "3.3"]
    assert [point.draw for point in sampled] == [0, 1, 2, 3, 4, 5]


def test_one_sample_needs_no_number():
    (point,) = points(ROOM + "    inputs: {x: 1, y: {sample: normal}}\n")
    assert point.label == "1"


def test_samples_are_of_sampled_inputs_alone():
    assert len(points(ROOM + "    samples: 9\n    inputs: {x: 1, y: 2}\n")) == 1


def test_a_sampled_constant_is_drawn_too():
    text = ROOM + "    samples: 2\n    constants: {y: {sample: positive}}\n    inputs: {x: 1}\n"
    assert [point.label for point in points(text)] == ["1.1", "1.2"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{sample: normal}", Sampled((), "normal")),
        ("{shape: [], sample: normal}", Sampled((), "normal")),
        ("{shape: [2, 0], sample: positive}", Sampled((2, 0), "positive")),
        ("{shape: [n, 2, n], sample: normal}", Sampled((3, 2, 3), "normal")),
        ("{shape: [n, n], sample: spd}", Sampled((3, 3), "spd")),
        ("{shape: [5, n], sample: orthogonal}", Sampled((5, 3), "orthogonal")),
        ("{sample: uniform}", Sampled((), "uniform")),
        ("{sample: uniform()}", Sampled((), "uniform")),
        ("{sample: ' uniform ( -1e-3 , 2 ) '}", Sampled((), "uniform", (-1e-3, 2.0))),
        ("{shape: [4], sample: 'integers(-3, 3)'}", Sampled((4,), "integers", (-3.0, 3.0))),
        ("{shape: [4], sample: 'integers(0, 1e3)'}", Sampled((4,), "integers", (0.0, 1e3))),
        ("{shape: [128, 128], sample: spd}", Sampled((128, 128), "spd")),
        ("{shape: [16777216], sample: normal}", Sampled((2**24,), "normal")),
    ],
)
def test_what_may_be_drawn(written, value):
    text = f"{ROOM}    sizes: {{n: 3}}\n    constants: {{y: {written}}}\n    inputs: {{x: 1}}\n"
    assert points(text)[0].values["y"] == value


def test_integers_may_be_an_index():
    text = """\
    constants: {index: {shape: [3], sample: 'integers(0, 2)'}}
    inputs: {x: [1, 2]}
    function: sum(index_select(x, 0, index))
    derivatives: {x: "sum(one_hot(index, 2), 0)"}
"""
    array = points(text)[0].values["index"].array("seed", 0)
    assert array.dtype == "int64"
