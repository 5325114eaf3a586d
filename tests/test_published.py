from decimal import Decimal

import numpy as np
import pytest
import torch

from gradcheck.errors import ShapeError
from gradcheck.published import expected_ball, filled


def ball(printed, shape=()):
    return expected_ball(printed, lambda value: filled(value, shape))


@pytest.mark.parametrize(
    ("printed", "unit"),
    [
        (9, 0.0),
        (-36, 0.0),
        (Decimal("6.7"), 0.1),
        (Decimal("6.6918"), 1e-4),
        (Decimal("2.2300"), 1e-4),
        (Decimal("1.0"), 0.1),
        (Decimal("8.2992e-07"), 1e-11),
        (Decimal("1e3"), 1e3),
        (Decimal("-0.00"), 0.01),
        (Decimal("NaN"), 0.0),
        (Decimal("Infinity"), 0.0),
    ],
)
def test_the_radius_is_one_unit_of_the_last_printed_digit(printed, unit):
    answer = ball(printed)
    assert answer.radius == pytest.approx(unit)
    np.testing.assert_equal(float(answer.midpoint), float(printed))


def test_lists_are_published_entry_by_entry():
    answer = ball([[1, Decimal("0.25")]], (1, 2))
    assert answer.midpoint.tolist() == [[1, 0.25]]
    assert answer.radius.tolist() == [[0, 0.01]]


def test_a_plain_number_fills_a_value():
    assert ball(Decimal("1.5"), (2, 2)).midpoint.tolist() == [[1.5, 1.5]] * 2


def test_another_shape_is_refused():
    with pytest.raises(ShapeError) as caught:
        ball([1, 2], (3,))
    assert str(caught.value) == "shape [2], but the value has shape [3]"


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ShapeError, match="rows of different lengths"):
        ball([[1, 2], [3]], (2, 2))


PUBLISHED = """
    function: x**2/3
    inputs: {{x: 2.0}}
    derivatives: {{x: 2*x/3}}
    expect: {{{name}: {printed}}}
"""


@pytest.mark.parametrize(
    ("name", "printed", "verdict"),
    [
        ("out", "1.3333", "pass"),
        ("out", "1.3334", "pass"),
        ("out", "1.3335", "fail"),
        ("out", "1.33330", "fail"),
        ("out", "1", "fail"),
        ("out", "13e-1", "pass"),
        ("dout/dx", "1.333", "pass"),
        ("x", "1.335", "fail"),
        ("x", "1.3333333333333333333333333333", "pass"),
        ("x", "1.3333333343333333333333333333", "fail"),
        ("x", ".nan", "fail"),
        ("x", ".inf", "fail"),
        ("out", ".nan", "fail"),
        ("out", "-.inf", "fail"),
    ],
)
def test_published_numbers_are_met_to_their_printed_digits(check, name, printed, verdict):
    results = check(PUBLISHED.format(name=name, printed=printed))
    worst = [r for r in results if r.verdict != "pass"]
    assert [(r.verdict, r.blame) for r in worst] == ([("fail", "expected")] * (verdict == "fail"))


def test_an_integer_has_to_be_met_to_within_rounding(check):
    text = """
        function: x**2
        inputs: {{x: 3}}
        derivatives: {{x: {formula}}}
        expect: {{out: 9, x: 6}}
    """
    assert {r.verdict for r in check(text.format(formula="2*x"))} == {"pass"}
    for published in ("out: 9.0, x: 7", "out: 10, x: 6"):
        changed = text.format(formula="2*x").replace("out: 9, x: 6", published)
        assert [r.blame for r in check(changed) if r.verdict == "fail"] == ["expected"]


def test_the_difference_of_a_wrong_published_number_is_its_own(check_one):
    result = check_one("""
        function: x**2
        inputs: {x: 3}
        derivatives: {x: 2*x}
        expect: {x: 9}
    """)
    assert result.blame == "expected"
    assert result.difference == pytest.approx(0.5)  # 3 of 6
    assert set(result.entries[0].answers) == {"handwritten", "autograd", "exact", "expected"}


def test_a_wrong_published_number_and_a_wrong_formula_are_both_blamed(check_one):
    result = check_one("""
        function: x**2
        inputs: {x: 3}
        derivatives: {x: 3*x}
        expect: {x: 9}
    """)
    assert result.blame == "handwritten,expected"


def test_numbers_are_held_to_the_truth_in_the_widest_dtype_only(check):
    results = check("""
        function: x/3
        inputs: {x: 1}
        derivatives: {x: 1/3}
        dtypes: [float32, float64]
        expect: {out: 0.3333333333333333, x: 0.3333333333333333}
    """)
    assert {(r.quantity, r.dtype) for r in results} == {
        ("dout/dx", "float32"),
        ("dout/dx", "float64"),
        ("out", "float64"),
    }
    assert {r.verdict for r in results} == {"pass"}


OF_HANDWRITTEN = """
    function: x/3
    inputs: {{x: 1.0}}
    derivatives: {{x: 1/3 + 0*x}}
    dtypes: [float64, float32]
    expect: {{of: handwritten, dtype: float32, dout/dx: {printed}}}
"""


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        (str(float(torch.tensor(1 / 3))), "pass"),  # 0.3333333432674408
        ("0.33333334", "pass"),
        ("0.3333", "pass"),
        ("0.3333335", "fail"),
        ("0.3336", "fail"),
    ],
)
def test_of_handwritten_is_held_to_the_evaluation_in_its_dtype(check, printed, verdict):
    results = {r.dtype: r for r in check(OF_HANDWRITTEN.format(printed=printed))}
    assert results["float64"].verdict == "pass"
    assert "expected" not in results["float64"].entries[0].answers
    assert results["float32"].verdict == verdict


def test_what_an_evaluation_gave_says_nothing_about_a_wrong_formula(check):
    results = check("""
        function: x/3
        inputs: {x: 1.0}
        derivatives: {x: 1/2 + 0*x}
        expect: {of: handwritten, dtype: float64, x: 0.9}
    """)
    assert [r.blame for r in results] == ["handwritten"]


def test_an_elementwise_derivative_may_be_published_as_its_diagonal(check_one):
    text = """
        function: x**2
        inputs: {{x: [1, 2]}}
        derivatives: {{x: 2*x}}
        expect: {{x: {printed}}}
    """
    assert check_one(text.format(printed="[2, 4]")).verdict == "pass"
    assert check_one(text.format(printed="[[2, 0], [0, 4]]")).verdict == "pass"
    assert check_one(text.format(printed="[2, 5]")).blame == "expected"


def test_a_published_number_of_another_shape_is_wrong_and_says_why(check_one):
    result = check_one("""
        function: sum(x**2)
        inputs: {x: [1, 2]}
        derivatives: {x: 2*x}
        expect: {x: [2, 4, 6]}
    """)
    assert (result.verdict, result.blame) == ("fail", "expected")
    assert result.notes == (
        "the published value has shape [3], but the gradient has the input's shape [2]",
    )


def test_a_link_without_a_formula_may_be_published(check):
    results = check("""
        function: {z: 3*x, y: z**2}
        inputs: {x: 2}
        expect: {dy/dz: 12, dy/dx: 35}
    """)
    assert [(r.quantity, r.verdict, r.blame) for r in results] == [
        ("dy/dz", "pass", ""),
        ("dy/dx", "fail", "expected"),
    ]


def test_a_recurrences_values_are_published_step_by_step(check):
    text = """
        function:
          recurrence: {{steps: 2, states: {{h: {{start: h_0, next: w*h}}}}}}
        inputs: {{w: 2.0, h_0: 0.5}}
        derivatives:
          recurrence: {{dh/dw: {{start: 0, next: h + w*dh/dw}}}}
        expect: {{dh/dw: {printed}}}
    """
    assert {r.verdict for r in check(text.format(printed="[0.5, 2]"))} == {"pass"}
    (wrong,) = check(text.format(printed="[0.5, 3]"))
    assert (wrong.blame, wrong.entries[0].label) == ("expected", "dh/dw at step 2")
    (short,) = check(text.format(printed="[0.5]"))
    assert short.notes == (
        "the published value has not 2 steps, a recurrence's values are listed by step",
    )


def test_a_mask_is_published_as_0_and_1(check):
    results = check("""
        function: {m: x > 1, y: "sum(where(m, x, 0*x))"}
        inputs: {x: [0.5, 2.0]}
        expect: {m: [0, 1], y: 2}
    """)
    assert [(r.quantity, r.verdict) for r in results] == [("m", "pass"), ("y", "pass")]
