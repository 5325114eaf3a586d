"""Inputs: numbers exactly as they are written, and draws that never change."""

from decimal import Decimal

import numpy as np
import pytest
from numpy.random import RandomState

from gradcheck.casefile.document import Document
from gradcheck.casefile.inputs import DISTRIBUTIONS, Given, Sampled
from gradcheck.casefile.load import read

MATRICES = [(4, 4), (5, 3), (3, 5), (1, 1), (2, 3, 3), (2, 5, 3), (2, 2, 3, 4)]

# Computed once, with numpy 2: a change of any of these changes every published run.
GOLDEN = {
    "normal": [
        [-1.0510675331289612, -0.9066492135116202],
        [-0.3758823592066586, 0.19939697084961194],
    ],
    "uniform": [
        [0.29825577448551277, 0.2661203448098428],
        [0.723942415615206, 0.07784713002802612],
    ],
    "uniform(-1, 1)": [
        [-0.40348845102897446, -0.4677593103803144],
        [0.447884831230412, -0.8443057399439478],
    ],
    "positive": [
        [1.1510675331289613, 1.0066492135116203],
        [0.47588235920665856, 0.2993969708496119],
    ],
    "integers": [[7, 5], [6, 7]],
    "integers(-3, 3)": [[2, 0], [-3, 0]],
    "spd": [[1.9633778777795197, 0.10714731862031829], [0.10714731862031829, 1.0905233499733822]],
    "orthogonal": [
        [-0.7572116527302141, -0.6531695897464745],
        [-0.6531695897464744, 0.7572116527302141],
    ],
}


def load(*, name="case", file="f.yaml", value="{shape: [2, 3], sample: normal}", input="x"):
    text = f"""\
cases:
  {name}:
    function: sum({input}*1)
    inputs: {{{input}: {value}}}
    samples: 2
    derivatives: {{{input}: 1}}
"""
    found = read(Document.parse(text, file))
    assert found.problems == ()
    return found.cases[0]


def drawn(case, draw=0, input="x"):
    point = case.points[draw]
    return point.values[input].array(f"{case.name}.{input}", point.draw)


@pytest.mark.parametrize("written", GOLDEN)
def test_the_stream_never_changes(written):
    name, _, parameters = written.rstrip(")").partition("(")
    ends = tuple(float(end) for end in parameters.split(",")) if parameters else ()
    array = Sampled((2, 2), name, ends).array("case.x", 0)
    # The logarithm below a normal draw is the machine's own, right to its last digit or so.
    np.testing.assert_allclose(array, GOLDEN[written], rtol=1e-14)


def test_every_distribution_has_its_golden_numbers():
    assert {written.partition("(")[0] for written in GOLDEN} == set(DISTRIBUTIONS)


def test_normal_is_the_frozen_stream_of_numpy():
    # The seed is the CRC-32 (of PNG and zip) of "case.x:0".
    expected = RandomState(3550263042).standard_normal((2, 3))
    np.testing.assert_array_equal(Sampled((2, 3), "normal").array("case.x", 0), expected)


def test_uniform_is_the_frozen_stream_of_numpy():
    expected = RandomState(3550263042).uniform(-2.0, 5.0, (2, 3))
    array = Sampled((2, 3), "uniform", (-2.0, 5.0)).array("case.x", 0)
    np.testing.assert_allclose(array, expected, rtol=1e-15)


def test_draws_are_the_same_again_and_in_a_renamed_file():
    first = drawn(load())
    np.testing.assert_array_equal(first, drawn(load()))
    np.testing.assert_array_equal(first, drawn(load(file="other/name.grad.yaml")))


@pytest.mark.parametrize(
    "other",
    [
        lambda: drawn(load(), draw=1),
        lambda: drawn(load(name="other")),
        lambda: drawn(load(input="y"), input="y"),
    ],
    ids=["draw", "case", "input"],
)
def test_draws_differ_from_each_other(other):
    assert not np.any(drawn(load()) == other())


def test_draws_differ_between_points_and_sizes():
    text = """\
cases:
  case:
    sizes: {n: [2, 3]}
    function: sum(x)*y
    inputs: {x: {shape: [n], sample: uniform}}
    derivatives: {y: sum(x)}
    points: [{inputs: {y: 1}, samples: 2}, {inputs: {y: 1}}]
"""
    cases = read(Document.parse(text, "f.yaml")).cases
    first = [float(drawn(case, draw)[0]) for case in cases for draw in range(3)]
    assert len({*first}) == 6


@pytest.mark.parametrize("shape", MATRICES)
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    array = Sampled(shape, "orthogonal").array("seed", 0)
    assert (array.shape, array.dtype) == (shape, np.float64)
    if shape[-2] > shape[-1]:
        array = np.swapaxes(array, -1, -2)
    gram = array @ np.swapaxes(array, -1, -2)
    identity = np.broadcast_to(np.eye(gram.shape[-1]), gram.shape)
    np.testing.assert_allclose(gram, identity, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [s for s in MATRICES if s[-1] == s[-2]])
def test_spd_is_symmetric_and_positive_definite(shape):
    array = Sampled(shape, "spd").array("seed", 0)
    assert (array.shape, array.dtype) == (shape, np.float64)
    np.testing.assert_array_equal(array, np.swapaxes(array, -1, -2))
    assert np.linalg.eigvalsh(array).min() >= 1 - 1e-12


def test_matrices_of_a_batch_differ():
    for distribution in ("spd", "orthogonal"):
        first, second = Sampled((2, 3, 3), distribution).array("seed", 0)
        assert not np.any(first == second)


def test_positive_is_away_from_zero():
    assert Sampled((1000,), "positive").array("seed", 0).min() >= 0.1


@pytest.mark.parametrize(("parameters", "low", "high"), [((), 0, 10), ((-3.0, 3.0), -3, 3)])
def test_integers_are_whole_and_in_their_range(parameters, low, high):
    array = Sampled((1000,), "integers", parameters).array("seed", 0)
    assert array.dtype == np.int64
    assert {*array.tolist()} == {*range(low, high)}


def test_the_largest_integers():
    array = Sampled((10,), "integers", (-(2.0**53), 2.0**53)).array("seed", 0)
    assert np.all(np.abs(array) <= 2**53)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-7.0, -3.0), (-1e300, 1e300)])
def test_uniform_stays_in_its_interval(ends):
    array = Sampled((1000,), "uniform", ends).array("seed", 0)
    assert ends[0] <= array.min() < array.max() < ends[1]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_a_shape_with_0(distribution, shape):
    assert Sampled(shape, distribution).array("seed", 0).shape == shape


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_an_orthogonal_matrix_without_entries(shape):
    assert Sampled(shape, "orthogonal").array("seed", 0).shape == shape


@pytest.mark.parametrize("distribution", ["normal", "uniform", "positive", "integers"])
def test_a_number_is_drawn_with_shape_nothing(distribution):
    array = Sampled((), distribution).array("seed", 0)
    assert isinstance(array, np.ndarray)
    assert array.shape == ()


def test_given_numbers_are_exactly_those_written():
    numbers = [[Decimal("0.1"), 2], [Decimal("1e-320"), Decimal("-0.0")]]
    array = Given(numbers).array("seed", 0)
    assert array.dtype == np.float64
    assert array.tolist() == [[0.1, 2.0], [1e-320, 0.0]]
    assert np.signbit(array[1, 1])


@pytest.mark.parametrize(
    ("written", "rounded"),
    [
        ("9007199254740993", 9007199254740992.0),
        ("0.30000000000000004", 0.1 + 0.2),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("1e-400", 0.0),
    ],
)
def test_given_numbers_are_rounded_to_the_nearest_float64(written, rounded):
    array = drawn(load(value=written))
    assert (array.shape, array.item()) == ((), rounded)


@pytest.mark.parametrize("value", ["[]", "[[], []]", "[[1.5]]", "[[1, 2], [3, 4], [5, 6]]"])
def test_given_numbers_keep_their_shape(value):
    shape = {"[]": (0,), "[[], []]": (2, 0), "[[1.5]]": (1, 1)}.get(value, (3, 2))
    assert drawn(load(value=value)).shape == shape


def test_a_constant_may_be_infinite():
    text = """\
cases:
  masked:
    constants: {mask: [0, -.inf, .nan]}
    inputs: {x: 1}
    function: sum(where(mask == 0, x, mask))
    derivatives: {x: 1}
"""
    found = read(Document.parse(text, "f.yaml"))
    assert found.problems == ()
    array = found.cases[0].points[0].values["mask"].array("seed", 0)
    np.testing.assert_array_equal(array, [0.0, -np.inf, np.nan])
