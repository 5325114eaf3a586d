"""Words that make values out of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from flint import arb, fmpq

from gradcheck.rigorous.arguments import whole
from gradcheck.rigorous.elements import ONE, ZERO, Elements, as_value
from gradcheck.rigorous.matrices import identity
from gradcheck.rigorous.numbers import MOST_ENTRIES, OverBudgetError, each_exactly


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size


def _arange(start: Any, end: Any = None, step: Any = fmpq(1)) -> Elements:  # noqa: B008
    if end is None:
        start, end = fmpq(0), start
    count = max(0, math.ceil(float(_float(end - start) / _float(step))))
    if count > MOST_ENTRIES:
        raise OverBudgetError(f"{count:,} entries are more than ball arithmetic takes")
    return np.array([arb(start) + n * arb(step) for n in range(count)] or [], dtype=object)


def _float(number: Any) -> float:
    return float(number.mid()) if isinstance(number, arb) else int(number.p) / int(number.q)


def _one_hot(index: Any, num_classes: int) -> Elements:
    rows = np.asarray(whole(index) if not isinstance(index, np.ndarray) else index)
    made: Elements = each_exactly((rows[..., None] == np.arange(num_classes)).astype(int))
    return made


CREATION: Final[Mapping[str, Callable[..., Any]]] = {
    "zeros": lambda *size: as_value(np.full(_sizes(size), ZERO)),
    "ones": lambda *size: as_value(np.full(_sizes(size), ONE)),
    "eye": lambda n, m=None: identity(n, n if m is None else m),
    "arange": _arange,
    "one_hot": _one_hot,
}
