"""Words that take many entries together: over dimensions, which keep size 1, or along one.

Each works on rows, (rows, entries); `total` sums them, as the arithmetic at hand does, or for
`cumsum` makes the sums up to each entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from flint import arb

from gradcheck.rigorous.elements import NAN, ONE, ZERO, Elements, compared, constant
from gradcheck.rigorous.pointwise import POINTWISE, lifted

Total = Callable[[Elements], Elements]
"""Sums of rows: (rows, entries) → (rows,)."""

_log = lifted("log")
_exp = lifted("exp")
_sqrt = lifted("sqrt")
_abs = lifted("abs")
_power = lifted("pow")
_divide = lifted("div")
_multiply: Any = lifted("mul")
_maximum: Any = np.frompyfunc(POINTWISE["maximum"], 2, 1)
_minimum: Any = np.frompyfunc(POINTWISE["minimum"], 2, 1)


def in_rows(x: Elements, dims: tuple[int, ...]) -> Elements:
    """The entries that are taken together over `dims`, a row of them for each of the others."""
    kept = [d for d in range(x.ndim) if d not in dims]
    entries = math.prod(x.shape[d] for d in dims)
    rows = math.prod(x.shape[d] for d in kept)
    return x.transpose(*kept, *dims).reshape(rows, entries)


def _reducing(reduce: Callable[..., Elements]) -> Callable[..., Elements]:
    """`reduce`, (rows, entries) → (rows,), over any dimensions, which keep size 1."""

    def reduced(total: Total, x: Elements, dims: tuple[int, ...], **settings: Any) -> Elements:
        shape = [1 if d in dims else n for d, n in enumerate(x.shape)]
        return reduce(total, in_rows(x, dims), **settings).reshape(shape)

    return reduced


def _mean(total: Total, x: Elements) -> Elements:
    return _divide(total(x), arb(x.shape[-1]))


def _variance(total: Total, x: Elements, correction: Any = ONE) -> Elements:
    centred = x - _mean(total, x)[:, None]
    left = arb(x.shape[-1]) - correction
    if not left > 0:
        return np.full(len(x), NAN)
    return _divide(total(centred * centred), left)


def _prod(total: Total, x: Elements) -> Elements:
    product: Elements = _multiply.reduce(x, axis=-1, initial=ONE)
    return product


def _chosen(choose: Any) -> Callable[..., Elements]:
    return lambda total, x: choose.reduce(x, axis=-1)


def _peak(x: Elements) -> Elements:
    """A constant near the largest entry of each row, (rows, 1). Exact results do not show it."""
    middle = np.frompyfunc(lambda e: constant(e).mid(), 1, 1)(x)
    larger: Any = np.frompyfunc(lambda a, b: a if a > b else b, 2, 1)
    peak: Elements = larger.reduce(middle, axis=-1)
    return peak[:, None]


def _logsumexp(total: Total, x: Elements) -> Elements:
    peak = _peak(x)
    return _log(total(_exp(x - peak))) + peak[:, 0]


def _norm(total: Total, x: Elements, p: Any = 2) -> Elements:
    if p == 2:
        return _sqrt(total(x * x))
    if p == 1:
        return total(_abs(x))
    if p == 0:
        return total(np.frompyfunc(lambda e: ONE if compared(e, ZERO) else ZERO, 1, 1)(x))
    return _power(total(_power(_abs(x), p)), 1 / p)


REDUCTIONS: Final[Mapping[str, Callable[..., Elements]]] = {
    "sum": _reducing(lambda total, x: total(x)),
    "mean": _reducing(_mean),
    "prod": _reducing(_prod),
    "amax": _reducing(_chosen(_maximum)),
    "amin": _reducing(_chosen(_minimum)),
    "var": _reducing(_variance),
    "std": _reducing(lambda total, x, correction=ONE: _sqrt(_variance(total, x, correction))),
    "logsumexp": _reducing(_logsumexp),
    "norm": _reducing(_norm),
}


def _along(scan: Callable[..., Elements]) -> Callable[..., Elements]:
    """`scan`, (rows, entries) → (rows, entries), along any dimension."""

    def along(total: Total, x: Elements, dim: int) -> Elements:
        moved = np.moveaxis(x, dim, -1)
        rows = scan(total, moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1]))
        return np.moveaxis(rows.reshape(moved.shape), -1, dim)

    return along


def _softmax(total: Total, x: Elements) -> Elements:
    grown = _exp(x - _peak(x))
    return _divide(grown, total(grown)[:, None])


def _log_softmax(total: Total, x: Elements) -> Elements:
    shifted = x - _peak(x)
    return shifted - _log(total(_exp(shifted)))[:, None]


SCANS: Final[Mapping[str, Callable[..., Elements]]] = {
    "softmax": _along(_softmax),
    "log_softmax": _along(_log_softmax),
    "cumsum": _along(lambda running, x: running(x)),
    "cumprod": _along(lambda total, x: _multiply.accumulate(x, axis=-1, dtype=object)),
}
