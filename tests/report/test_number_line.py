"""Balls to scale: what a reader reads off the line is what the numbers say."""

import math

from gradcheck.report.number_line import WIDTH, number_line
from gradcheck.results import Answer


def drawn(truth="exact", **answers):
    """Each line; the last is the scale."""
    balls = {name: Answer(*answer) for name, answer in answers.items()}
    lines = list(number_line(balls, truth))
    assert [name for name, _ in lines] == [*answers, ""]
    assert all(len(line) <= WIDTH for _, line in lines)
    return [line for _, line in lines]


MIDDLE = WIDTH // 2


def test_the_truth_is_in_the_middle_and_what_differs_near_the_edge():
    left, middle, scale = drawn(handwritten=(1.0, 0.0), exact=(2.0, 0.0))
    assert middle.index("o") == MIDDLE
    assert 0 < left.index("o") < 5
    assert scale.startswith("-1.1e+00")
    assert scale.endswith("+1.1e+00")
    assert "exact" in scale


def test_radii_are_to_the_same_scale_as_distances():
    _, ball, _ = drawn(handwritten=(4.0, 0.0), exact=(0.0, 2.0))
    assert ball.count("-") + 1 == 2 * round(MIDDLE * 2.0 / (4.0 * 1.125)) + 1


def test_the_line_zooms_to_those_that_do_not_overlap():
    formula, wide, middle, _ = drawn(
        formula=(1.0 + 1e-12, 0.0), handwritten=(1.1, 0.2), exact=(1.0, 0.0)
    )
    assert formula.index("o") > middle.index("o")
    assert wide == "<" + "-" * (WIDTH - 2) + ">"


def test_a_published_number_that_agrees_sets_no_scale():
    hand, _, _, scale = drawn(handwritten=(1.5, 1.0), expected=(1.0, 1e6), exact=(1.0, 0.0))
    assert scale.startswith("-1.1e+00")
    assert hand.index("o") > MIDDLE


def test_a_ball_beyond_the_edge_is_an_arrow_to_its_side():
    far, *_ = drawn(expected=(-9.0, 10.0), handwritten=(1e-3, 0.0), exact=(0.0, 0.0))
    assert far == "<" + "-" * (WIDTH - 2) + ">"  # it agrees, off the line as its midpoint is
    left, *_ = drawn(expected=(-9.0, 0.0), numeric=(1e-3, 10.0), exact=(0.0, 0.0))
    assert left.index("o") < MIDDLE
    lines = drawn(handwritten=(math.nan, 0.0), exact=(0.0, 0.0), numeric=(0.0, math.inf))
    assert lines[0] == "(not finite)"
    assert lines[2] == "<" + "-" * (WIDTH - 2) + ">"


def test_answers_that_are_all_the_same_are_drawn_too():
    assert [line.index("o") for line in drawn(handwritten=(3.0, 0.0), exact=(3.0, 0.0))[:2]] == [
        MIDDLE,
        MIDDLE,
    ]
