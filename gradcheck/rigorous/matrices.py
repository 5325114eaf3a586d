"""Linear algebra on matrices of elements, by the algorithms that torch's library uses.

Elimination works on series as well as on balls, so no rule for a derivative is needed. Arrays are
(..., n, n) and (..., n, k).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from flint import arb

from gradcheck.rigorous.elements import (
    NAN,
    ONE,
    ZERO,
    Elements,
    as_array,
    boxed,
    constant,
    divided,
)
from gradcheck.rigorous.pointwise import lifted

_quotients = lifted("div")


def identity(n: int, m: int) -> Elements:
    """The n × m matrix with 1 on its diagonal."""
    matrix = np.full((n, m), ZERO)
    matrix[np.arange(min(n, m)), np.arange(min(n, m))] = ONE
    return matrix


def _size(x: Any) -> arb:
    return abs(constant(x)).mid()


def _eliminated(a: Elements, b: Elements) -> tuple[Elements, Elements, int]:
    """U and c with U x = c where A x = b, U upper triangular, and the sign of the permutation.

    Gaussian elimination with partial pivoting: Golub and Van Loan, Matrix Computations, 3.4.
    """
    work, sign = np.concatenate([a, b], axis=1), 1
    n = len(a)
    for column in range(n):
        pivot = max(range(column, n), key=lambda row: float(_size(work[row, column])))
        if pivot != column:
            work[[column, pivot]] = work[[pivot, column]]
            sign = -sign
        for row in range(column + 1, n):
            factor = divided(work[row, column], work[column, column])
            work[row, column:] = work[row, column:] - boxed(factor) * work[column, column:]
    return work[:, :n], work[:, n:], sign


def _det(a: Elements) -> Elements:
    upper, _, sign = _eliminated(a, a[:, :0])
    product: Elements = np.multiply.reduce(np.diagonal(upper), initial=arb(sign))
    return product


def _solved(a: Elements, b: Elements) -> Elements:
    upper, right, _ = _eliminated(a, b)
    x = right.copy()
    for row in reversed(range(len(a))):
        for column in range(row + 1, len(a)):
            x[row] = x[row] - boxed(upper[row, column]) * x[column]
        x[row] = _quotients(x[row], boxed(upper[row, row]))
    return x


def _cholesky(a: Elements) -> Elements:
    """L with L Lᵀ the symmetric part of A: Golub and Van Loan, Matrix Computations, 4.2.5."""
    n = len(a)
    symmetric = _quotients(a + a.T, arb(2))
    factor = np.full((n, n), ZERO)
    for j in range(n):
        left = symmetric[j, j] - sum((factor[j, k] * factor[j, k] for k in range(j)), ZERO)
        factor[j, j] = left.sqrt() if constant(left) > 0 else NAN
        for i in range(j + 1, n):
            left = symmetric[i, j] - sum((factor[i, k] * factor[j, k] for k in range(j)), ZERO)
            factor[i, j] = divided(left, factor[j, j])
    return factor


def _stacked(function: Callable[..., Any]) -> Callable[..., Elements]:
    """`function`, which makes a number or a matrix of matrices, for stacks of them."""

    def stacked(*stacks: Elements) -> Elements:
        batch = np.broadcast_shapes(*(stack.shape[:-2] for stack in stacks))
        whole = [np.broadcast_to(stack, batch + stack.shape[-2:]) for stack in stacks]
        made = [as_array(function(*(stack[at] for stack in whole))) for at in np.ndindex(batch)]
        if not made:
            return np.empty(batch, dtype=object)
        return np.stack(made).reshape(batch + made[0].shape)

    return stacked


MATRICES: Final[Mapping[str, Callable[..., Elements]]] = {
    "det": _stacked(_det),
    "inv": _stacked(lambda a: _solved(a, identity(len(a), len(a)))),
    "solve": _stacked(_solved),
    "cholesky": _stacked(_cholesky),
}
