"""An expression of the case language with its inputs, given in Python, as a case that is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from gradcheck.casefile.document import Document
from gradcheck.casefile.load import read
from gradcheck.errors import InvalidCaseError, UsageError
from gradcheck.leaves import NAMES, coarsest
from gradcheck.results import Result
from gradcheck.runner import jobs, run

_FILE: Final = "check"


def check_expression(
    function: str,
    inputs: Any,
    derivatives: Mapping[str, Any],
    name: str,
    settings: Mapping[str, Any],
) -> Iterator[Result]:
    """The results of the case that a file with these keys would have; a setting may be None.

    Raises:
        UsageError: The inputs are no mapping of names to values.
        InvalidCaseError: The case is not valid.
    """
    if not isinstance(inputs, Mapping):
        raise UsageError("inputs of an expression are a mapping of names to values")
    given = {key: value for key, value in settings.items() if value is not None}
    case = {
        "function": function,
        "inputs": inputs,
        **({"derivatives": derivatives} if derivatives else {}),
        **({"dtypes": dtype} if (dtype := _dtype(inputs)) else {}),
        **given,
    }
    text = json.dumps({"cases": {name: _plain(case)}}, ensure_ascii=False, indent=1)
    file = read(Document.parse(text, _FILE))
    if file.problems:
        raise InvalidCaseError(file.problems)
    for job in jobs(file.cases):
        for result in run(job):
            yield replace(result, file="", line=0)


def _dtype(inputs: Mapping[str, Any]) -> str:
    """The dtype of inputs that are tensors; empty where none is."""
    dtypes = [value.dtype for value in inputs.values() if isinstance(value, torch.Tensor)]
    floating = [dtype for dtype in dtypes if dtype.is_floating_point]
    return NAMES[coarsest(floating)] if floating else ""


def _plain(value: Any) -> Any:
    """Tensors and arrays as nested lists of numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, torch.Tensor):
        return value.detach().tolist()
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
