"""Mistakes that the pattern of an error tells, whatever was written."""

import numpy as np
import pytest

from gradcheck.diagnosis.choosing import best
from gradcheck.diagnosis.evidence import Evidence, lay
from gradcheck.diagnosis.patterns import patterns, times, weak_patterns

SEED = 20261126
RANDOM = np.random.RandomState(SEED)
X = RANDOM.standard_normal((3, 4))
ROWS = RANDOM.standard_normal(4)
W = RANDOM.standard_normal((3, 4, 4))


def evidence(truth, found, outputs=0, **values):
    return Evidence(np.asarray(truth), np.asarray(found), outputs, values)


def kinds(e):
    return [one.kind for one in best(list(patterns(e)) or weak_patterns(e))]


def texts(e):
    return [one.text for one in best(list(patterns(e)) or weak_patterns(e))]


def changed(array, index, by=1.0):
    other = array.copy()
    other[index] += by
    return other


@pytest.mark.parametrize(
    ("e", "kind"),
    [
        (evidence(X, -X), "sign"),
        (evidence(X, 0.5 * X), "constant_factor"),
        (evidence(X, 1.001 * X), "constant_factor"),
        (evidence(X, -3 * X), "constant_factor"),
        (evidence(X * X**2, X**2, x=X), "missing_factor"),
        (evidence(X**2, X**2 / X, x=X), "missing_factor"),
        (evidence(X, X * X**2, x=X), "extra_factor"),
        (evidence(X * np.sqrt(np.abs(X)), X, v=np.abs(X)), "missing_factor"),
        (evidence(X + np.exp(X), np.exp(X), x=X), "missing_term"),
        (evidence(np.exp(X), X + np.exp(X), x=X), "extra_term"),
        (evidence(np.exp(X) + X * X[:, ::-1], np.exp(X), x=X, y=X[:, ::-1]), "missing_term"),
        (evidence(W, np.swapaxes(W, 1, 2)), "transposed"),
        (evidence(W, W[:, ::-1]), "permuted"),
        (evidence(W, np.roll(W, 1, axis=2)), "permuted"),
        (evidence(W, np.broadcast_to(W.sum(1, keepdims=True), W.shape)), "reduction"),
        (evidence(np.abs(X), X, x=X), "sign_where_negative"),
        (evidence(np.where(X > 0, X, 2.0), np.where(X > 0, X, 0.0), x=X), "lost_outside"),
        (evidence(np.where(X > 0, X, 0.0), X, x=X), "lost_outside"),
        (evidence(W, changed(W, (slice(None), 1))), "row"),
        (evidence(W, changed(W, (slice(None), slice(None), 2))), "column"),
        (evidence(W, changed(W, (slice(None), slice(1, 3), slice(0, 2)))), "block"),
        (evidence(W, changed(W, (slice(None), 1, 2))), "entry"),
    ],
)
def test_each_pattern_is_told_first(e, kind):
    assert kinds(e)[0] == kind, f"seed {SEED}"


@pytest.mark.parametrize(
    ("truth", "found"),
    [(X, X + RANDOM.standard_normal(X.shape)), (W, RANDOM.standard_normal(W.shape)), (X, X)],
)
def test_what_fits_nothing_is_silent(truth, found):
    assert kinds(evidence(truth, found, x=RANDOM.standard_normal(truth.shape))) == []


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (0.5, "half of the right value"),
        (2.0, "twice the right value"),
        (-2.0, "minus twice the right value"),
        (2 / 3, "2/3 of the right value"),
        (12.0, "12 times the right value"),
        (2**0.5, "√2 times the right value"),
        (-(0.5**0.5), "-√1/2 times the right value"),
        (1.00123, "1.00123 times the right value"),
    ],
)
def test_a_factor_is_written_as_the_small_fraction_that_it_is(factor, words):
    assert times(factor) == words


def test_a_factor_that_is_a_named_constant_is_called_by_its_name():
    rate = np.full(3, 0.7)
    text = "it is 10/7 of the right value, everywhere: the factor `rate` is missing"
    assert texts(evidence(0.7 * X, X, rate=rate))[0] == text


def test_a_value_lies_along_each_dimension_of_its_size():
    rows = np.tile(ROWS, (3, 1))
    assert len(list(lay(rows, (4, 4)))) == 2
    assert len(list(lay(rows, (4, 3)))) == 1
    assert list(lay(rows, (3,))) == []
    found = texts(evidence(W * ROWS[:, None], W, r=rows))
    assert found == ["the factor `r` is missing"]


def test_the_order_of_permuted_lines_is_said():
    assert "reversed" in texts(evidence(W, W[:, ::-1]))[0]
    assert "rolled by 3" in texts(evidence(W, np.roll(W, 1, axis=1)))[0]
    swapped = W.copy()
    swapped[:, [0, 2]] = W[:, [2, 0]]
    assert "0 and 2 are swapped" in texts(evidence(W, swapped))[0]


def test_a_symmetric_matrix_is_not_called_transposed():
    symmetric = W + np.swapaxes(W, 1, 2)
    assert "transposed" not in kinds(evidence(symmetric, np.swapaxes(symmetric, 1, 2) * 2))


def test_an_elementwise_derivative_is_looked_at_entry_by_entry():
    diagonal = np.stack([np.diag(row) for row in X])
    wrong = np.stack([np.diag(row * other) for row, other in zip(X, X**2 + 1, strict=True)])
    found = texts(evidence(diagonal, wrong, 1, v=X**2 + 1))
    assert found == ["the factor `v` is there once too often"]


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 0), (3, 0, 2)])
def test_numbers_and_empty_arrays_are_looked_at(shape):
    truth = np.full(shape, 2.0)
    assert kinds(evidence(truth, -truth)) == (["sign"] if truth.size else [])


def test_values_that_are_not_finite_fit_nothing():
    found = X.copy()
    found[0, 0] = np.nan
    infinite = np.where(X > 0, np.inf, X)
    assert kinds(evidence(X, found, x=infinite)) in ([], ["entry"])
