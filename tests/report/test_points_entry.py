"""A point as an entry to be pasted: it loads back as the same numbers."""

import math
from decimal import Decimal

import numpy as np
import pytest

from gradcheck.casefile.document import Document
from gradcheck.casefile.inputs import Given, Sampled
from gradcheck.casefile.load import read
from gradcheck.report.points_entry import constants_line, points_entry

HARD = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1e-08, 1e22, 1e23, 5e-324, 2.2250738585072014e-308),
    *(1.7976931348623157e308, 1 / 3, 123456789.125, 1e16, 9007199254740993.0, -1e-300),
)


def read_back(entry):
    (point,) = Document.parse(entry, "f.yaml").data
    return point["inputs"]


def same(a, b):
    return a == b and math.copysign(1, a) == math.copysign(1, b)


def test_it_looks_as_a_person_would_write_it():
    values = {"x": Given(Decimal("-1.0")), "W": Given([[Decimal("1.0"), Decimal("2.0")]])}
    assert points_entry(values) == "- {inputs: {x: -1.0, W: [[1.0, 2.0]]}}"


def test_constants_are_a_line_of_the_case():
    assert constants_line({"c": Given(Decimal("0.5"))}) == "constants: {c: 0.5}"


@pytest.mark.parametrize("number", HARD)
def test_a_number_loads_back_as_it_was(number):
    values = {"x": Given.of(np.array(number)), "v": Given.of(np.array([number, number]))}
    entry = points_entry(values)
    found = read_back(entry)
    assert isinstance(found["x"], (int, Decimal)), entry
    assert same(float(found["x"]), number)
    assert [float(one) for one in found["v"]] == [number, number]
    assert repr(number) in entry


def test_whole_numbers_stay_whole():
    values = {"i": Given([0, 2**60]), "j": Given.of(np.array([3, 4]))}
    assert points_entry(values) == f"- {{inputs: {{i: [0, {2**60}], j: [3, 4]}}}}"


def test_more_digits_than_a_float_has_are_left_out():
    assert points_entry({"x": Given(Decimal("0.1000000000000000055511151231257827"))}) == (
        "- {inputs: {x: 0.1}}"
    )


def test_what_is_not_finite_is_as_yaml_has_it():
    line = constants_line({"c": Given([Decimal("NaN"), Decimal("-Infinity"), Decimal("Infinity")])})
    assert line == "constants: {c: [.nan, -.inf, .inf]}"


@pytest.mark.parametrize("name", ["true", "null", "Null", "FALSE"])
def test_a_name_that_yaml_takes_for_something_else_is_in_quotes(name):
    assert read_back(points_entry({name: Given(1)})) == {name: 1}


@pytest.mark.parametrize("name", ["y", "n", "on", "yes", "e1", "_x"])
def test_other_names_are_as_they_are(name):
    entry = points_entry({name: Given(1)})
    assert entry == f"- {{inputs: {{{name}: 1}}}}"
    assert read_back(entry) == {name: 1}


def test_what_is_drawn_stays_so():
    values = {
        "a": Sampled((2, 0), "normal"),
        "b": Sampled((), "uniform", (-0.5, 2.0)),
        "c": Sampled((3,), "integers", (0.0, 2.0)),
    }
    assert points_entry(values) == (
        '- {inputs: {a: {shape: [2, 0], sample: normal}, b: {sample: "uniform(-0.5, 2)"}, '
        'c: {shape: [3], sample: "integers(0, 2)"}}}'
    )


def test_the_entry_is_a_point_of_a_case():
    values = {"x": Given.of(np.array([[1e-08, -0.0], [1e22, 0.1]])), "y": Given.of(np.array(2.0))}
    text = f"""\
cases:
  a:
    function: x*y
    derivatives: {{x: y}}
    points:
      {points_entry(values)}
"""
    file = read(Document.parse(text, "f.yaml"))
    assert not file.problems
    (point,) = file.cases[0].points
    for name, value in values.items():
        np.testing.assert_array_equal(point.values[name].array("", 0), value.array("", 0))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3), (1, 2, 2)])
def test_an_array_keeps_its_shape(shape):
    array = np.arange(math.prod(shape), dtype=np.float64).reshape(shape) / 7
    np.testing.assert_array_equal(Given.of(array).array("", 0), array)
