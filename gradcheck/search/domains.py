"""Domains as a caller in Python writes them: `{"x": (0, inf), "p": [0, 1], "w": "[-2, 2)"}`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from gradcheck.casefile.domain import EXAMPLE, Interval, NoIntervalError, interval
from gradcheck.errors import UsageError
from gradcheck.language.spelling import suggestion


def as_text(written: Any) -> Any:
    """An interval as a case file has it: a tuple has round brackets, its ends are not in it.

    What is no interval is returned as it is, to be refused where it is read.
    """
    if not isinstance(written, (tuple, list)) or len(written) != 2:
        return written
    if not all(isinstance(end, (int, float, np.integer, np.floating)) for end in written):
        return written
    left, right = ("(", ")") if isinstance(written, tuple) else ("[", "]")
    low, high = (_number(end) for end in written)
    return f"{left}{low}, {high}{right}"


def _number(end: Any) -> str:
    return str(Decimal(end)) if isinstance(end, int) else repr(float(end))


def intervals(domain: Mapping[str, Any], known: Collection[str]) -> dict[str, Interval]:
    """The intervals by the names of inputs, of which there are those that are `known`.

    Raises:
        UsageError: A name is that of no input, or it is no interval.
    """
    if not isinstance(domain, Mapping):
        raise UsageError(f'`domain` is a mapping, as in {{"x": (0, inf)}}, not {domain!r}')
    found = {}
    for name, written in domain.items():
        if name not in known:
            near = suggestion(str(name), known) or f": there are {', '.join(known)}"
            raise UsageError(f"`domain`: `{name}` is no input that is a real tensor{near}")
        try:
            found[name] = interval(as_text(written))
        except NoIntervalError as error:
            what = error.message or f"{EXAMPLE}, not {written!r}"
            raise UsageError(f"`domain` of `{name}`: {what}") from None
    return found
