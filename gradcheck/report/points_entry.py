"""Values of inputs as an entry of a case's `points:`, to be pasted into its file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal

from gradcheck.casefile.core_schema import plain_value
from gradcheck.casefile.inputs import Given, Numbers, Sampled


def points_entry(values: Mapping[str, Given | Sampled]) -> str:
    """The entry of `points:` with these inputs: `- {inputs: {x: -1.0, W: [[1.0, 2.0]]}}`.

    Each number is the shortest text that gives back the same float64; whole numbers stay whole.
    Constants are not among the values: no point gives them, so that they are pasted in place of the
    case's own, as `constants_line` writes them.
    """
    return f"- {{inputs: {_mapping(values)}}}"


def constants_line(values: Mapping[str, Given | Sampled]) -> str:
    """The line of a case with these constants: `constants: {c: 2.0}`."""
    return f"constants: {_mapping(values)}"


def _mapping(values: Mapping[str, Given | Sampled]) -> str:
    pairs = (f"{_key(name)}: {_value(value)}" for name, value in values.items())
    return f"{{{', '.join(pairs)}}}"


def _key(name: str) -> str:
    """A name as a key: one that YAML would take for something else, such as `true`, in quotes."""
    return name if isinstance(plain_value(name), str) else json.dumps(name)


def _value(value: Given | Sampled) -> str:
    if isinstance(value, Given):
        return _numbers(value.numbers)
    parameters = ", ".join(repr(number).removesuffix(".0") for number in value.parameters)
    sample = f'"{value.distribution}({parameters})"' if parameters else value.distribution
    shape = f"shape: {list(value.shape)}, " if value.shape else ""
    return f"{{{shape}sample: {sample}}}"


def _numbers(numbers: Numbers) -> str:
    if isinstance(numbers, list):
        return f"[{', '.join(map(_numbers, numbers))}]"
    return str(numbers) if isinstance(numbers, int) else _decimal(numbers)


def _decimal(number: Decimal) -> str:
    value = float(number)
    if math.isfinite(value):
        return repr(value)
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
