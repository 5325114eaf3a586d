"""Points near those of a case: which values move, how far, and that they are always the same."""

from itertools import islice

import numpy as np
import pytest

from gradcheck.casefile.load import load
from gradcheck.elsewhere import FIRST_DRAW, KINDS, points_elsewhere

CASE = """
function: sum(x*w)*c + sum(s)
inputs: {x: [2.0, -3.0, 0.0], w: [0.5, 0.25, 1.0], s: {shape: [3], sample: normal}}
constants: {c: 4}
derivatives: {x: w*c}
"""


@pytest.fixture
def elsewhere(write):
    """The first points of a case's own and others, with their values."""

    def elsewhere(text, count, **options):
        (case,) = load(write(text)).cases
        points = list(islice(points_elsewhere(case, **options), count))
        return case, points, [values(case, point) for point in points]

    return elsewhere


def values(case, point):
    return {
        name: value.array(f"{case.name}.{name}", point.draw) for name, value in point.values.items()
    }


def test_inputs_move_in_four_ways_and_constants_stay(elsewhere):
    _, points, found = elsewhere(CASE, 12)
    x = np.array([2.0, -3.0, 0.0])
    for number, here in enumerate(found):
        moved = np.abs(here["x"] - x)
        assert (here["x"] != x).all()
        assert here["c"] == 4
        match KINDS[number % len(KINDS)]:
            case "by half":
                assert (moved[:2] <= 0.5 * np.abs(x[:2]) + 1e-3).all()
            case "a little":
                assert (moved[:2] <= 0.1 * np.abs(x[:2]) + 1e-3).all()
            case "anywhere":
                assert (np.abs(here["x"]) <= 4.5).all()
            case "far":
                assert 4.5 < np.abs(here["x"]).max() <= 3000
    drawn = np.array([here["s"] for here in found])
    assert len(np.unique(drawn)) == drawn.size
    assert [point.draw for point in points] == list(range(FIRST_DRAW, FIRST_DRAW + 12))
    assert not [point for point in points if point.expectations or point.cotangents]


def test_constants_move_where_they_are_to(elsewhere):
    _, _, found = elsewhere(CASE, 6, constants=True)
    assert len({float(here["c"]) for here in found} | {4.0}) == 7


def test_they_are_the_same_always_and_short(elsewhere):
    first, again = (elsewhere(CASE, 6)[2] for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert all((one[name] == other[name]).all() for name in one)
        assert all(len(f"{number:.12g}".lstrip("-0.")) <= 5 for number in one["x"])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_point_of_a_case_is_moved_in_every_way(elsewhere, count):
    base = [10.0 ** (3 * number) for number in range(1, count + 1)]
    points = ", ".join(f"{{inputs: {{x: {x}}}}}" for x in base)
    case = f"function: x**2\nderivatives: {{x: 2*x}}\npoints: [{points}]"
    _, _, found = elsewhere(case, 4 * len(KINDS) * count)
    for number, x in enumerate(base):
        moved = [abs(float(here["x"]) / x - 1) for here in found[number::count]]
        assert sum(share < 0.1 for share in moved) >= 4, moved
        assert sum(share < 0.5 for share in moved) >= 8, moved
        assert sum(share > 0.5 for share in moved) >= 1, moved


def test_none_leaves_the_domain(elsewhere):
    domain = 'domain: {x: "[-3, 2]", w: "(0, inf)", c: "(3.9, 4.1)"}'
    _, _, found = elsewhere(CASE + domain, 60, constants=True)
    for here in found:
        assert ((here["x"] >= -3) & (here["x"] <= 2)).all()
        assert (here["w"] > 0).all()
        assert 3.9 < here["c"] < 4.1
    for name in "xwc":  # of the constant, what is moved a little is inside
        assert len({str(here[name]) for here in found}) > 5
