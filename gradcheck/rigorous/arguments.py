"""What is written for an argument → what a word's function takes: indices, masks and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from flint import arb, fmpq


def raw(value: Any) -> Any:
    """A mask as it is; an index as whole numbers, where all are."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        entries = [_maybe_whole(entry) for entry in value.reshape(-1)]
        return value if None in entries else np.array(entries, dtype=int).reshape(value.shape)
    whole = _maybe_whole(value)
    return value if whole is None else whole


def _maybe_whole(element: Any) -> int | None:
    if type(element) is not arb or not element.is_exact() or not element.is_integer():
        return None
    return int(element.mid().fmpz())


def whole(value: Any) -> Any:
    if isinstance(value, int):
        return value
    if isinstance(value, fmpq) and value.q == 1:
        return int(value.p)
    whole = _maybe_whole(value)
    if whole is None:
        raise ValueError("this is no whole number")
    return whole


def _wholes(value: Any) -> Any:
    return [_wholes(item) for item in value] if isinstance(value, list) else whole(value)


def index_of(item: Any) -> Any:
    if isinstance(item, slice):
        bounds = (item.start, item.stop, item.step)
        return slice(*(None if bound is None else whole(bound) for bound in bounds))
    if isinstance(item, list):
        return np.array(item if all(isinstance(i, bool) for i in item) else _wholes(item))
    if isinstance(item, np.ndarray):
        return raw(item)
    return item if item is None or item is ... or isinstance(item, bool) else whole(item)


def _same(value: Any) -> Any:
    return value


SETTINGS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "int": whole,
    "ints": _wholes,
    "number": lambda value: fmpq(value) if isinstance(value, int) else value,
    "flag": _same,
    "text": _same,
}
