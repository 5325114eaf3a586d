"""The error by entry, as it is drawn in a terminal."""

import numpy as np

import gradcheck
from gradcheck.ball import Ball
from gradcheck.error_map import MOST, error_map
from gradcheck.report.picture import COLUMNS, ROWS, picture
from gradcheck.results import ErrorMap, dimensions_down


def balls(truth, answer, radius=0.0):
    return [Ball(np.asarray(a), np.full(np.shape(a), radius), "proven") for a in (truth, answer)]


def test_an_entry_that_overlaps_the_truth_is_right():
    truth, answer = balls([1.0, 2.0, 4.0], [1.0, 2.1, 4.4], 0.06)
    found = error_map(truth, [answer], 4.0)
    assert found.shape == (3,)
    assert found.wrong == 1
    np.testing.assert_allclose(found.cells, [[0, 0, 0.1]], atol=1e-12)


def test_of_several_answers_the_worst_counts_and_numbers_have_no_map():
    truth, one = balls([[1.0, 2.0]], [[1.0, 2.2]])
    _, other = balls([[1.0, 2.0]], [[1.4, 2.0]])
    np.testing.assert_allclose(error_map(truth, [one, other], 2.0).cells, [[0.2, 0.1]])
    assert error_map(*balls(1.0, 2.0)[:1], balls(1.0, 2.0)[1:], 1.0) is None
    assert error_map(*balls(np.zeros((0, 3)), np.zeros((0, 3)))[:1], [], 1.0) is None


def test_many_entries_are_drawn_as_few_cells_that_lose_no_error():
    answer = np.zeros((300, 500))
    answer[299, 499] = 1.0
    truth, wrong = balls(np.zeros((300, 500)), answer)
    found = error_map(truth, [wrong], 1.0)
    assert (len(found.cells), len(found.cells[0])) == (MOST, MOST)
    assert found.cells[-1][-1] == 1.0
    lines = list(picture(found))
    assert len(lines) == 1 + ROWS
    assert {len(line) for line in lines[1:]} == {2 + COLUMNS}
    assert lines[-1][-1] == "█"
    assert sum(line.count("█") for line in lines[1:]) == 1


def test_a_jacobian_is_drawn_as_a_matrix():
    assert dimensions_down((3, 2, 3, 2)) == 2
    assert [dimensions_down(shape) for shape in ((5,), (2, 9), (9, 1), (100, 3))] == [0, 1, 1, 1]
    truth = np.eye(6).reshape(3, 2, 3, 2)
    found = error_map(*balls(truth, 2 * truth)[:1], balls(truth, 2 * truth)[1:], 1.0)
    np.testing.assert_array_equal(found.cells, np.eye(6))


def test_shades_are_decades_of_the_largest_entry():
    errors = ErrorMap((1, 5), ((0.0, 1e-9, 5e-3, 0.05, 0.5),), 4)
    head, row = picture(errors)
    assert row == "  ·░▒▓█"
    assert head == (
        "errors of [1, 5], 4 wrong, of the largest entry: "
        "· right, ░ below 0.1 %, ▒ from 0.1 %, ▓ from 1 %, █ from 10 %"
    )


def test_a_value_that_is_not_finite_is_as_wrong_as_can_be():
    truth, answer = balls([1.0, 2.0], [np.nan, 2.0])
    assert list(picture(error_map(truth, [answer], 2.0)))[1] == "  █·"


def test_a_failing_tensor_is_drawn_in_its_block():
    wrong = "2*x*[[1, 1, 1, 1], [1, 1, 2, 1]]"
    x = [[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 1.5]]
    report = gradcheck.check("sum(x**2)", {"x": x}, derivatives={"x": wrong})
    lines = str(report).splitlines()
    at = next(i for i, line in enumerate(lines) if "errors of [2, 4]" in line)
    assert [line.strip() for line in lines[at + 1 : at + 3]] == ["····", "··█·"]
    assert "only the entry [1, 2] is wrong" in str(report)
