"""Terms and factors among products of what is known."""

import numpy as np

from gradcheck.diagnosis.evidence import Evidence
from gradcheck.diagnosis.terms import missing_products

RANDOM = np.random.RandomState(5)
A, B, C = RANDOM.uniform(0.5, 2.0, (3, 6, 2))


def told(truth, found, **values):
    return [(one.kind, one.text) for one in missing_products(Evidence(truth, found, 0), values)]


def test_a_sum_in_a_product_is_in_parentheses():
    values = {"x + y": A + B, "z": C}
    assert told(B + 2 * (A + B) * C, B, **values) == [
        ("missing_term", "the term `2*(x + y)*z` is missing")
    ]
    assert told(B - (A + B) / C, B, **values) == [
        ("missing_term", "the term `-(x + y)/z` is missing")
    ]


def test_a_factor_is_looked_for_where_no_term_fits():
    values = {"x": A, "y": C}
    assert told(B * A * C, B, **values) == [("missing_factor", "the factor `x*y` is missing")]
    assert told(B, B * A * C, **values) == [
        ("extra_factor", "a factor `x*y` is there once too often")
    ]


def test_with_few_numbers_nothing_is_said():
    assert told((B * A)[:2, :1], B[:2, :1], x=A[:2, :1]) == []
