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
from gradcheck.jobs import Job, jobs
from gradcheck.leaves import NAMES, coarsest
from gradcheck.results import Result
from gradcheck.runner import run

_FILE: Final = "check"


def check_expression(
    function: str | Mapping[str, Any],
    inputs: Any,
    derivatives: Mapping[str, Any],
    name: str,
    settings: Mapping[str, Any],
) -> Iterator[Result]:
    """The results of the case that a file with these keys would have; a setting may be None.

    Raises:
        UsageError: The inputs are no mapping of names to values, or a value no case can hold.
        InvalidCaseError: The case is not valid.
    """
    if not isinstance(inputs, Mapping):
        raise UsageError("inputs of an expression are a mapping of names to values")
    given = {key: value for key, value in settings.items() if value is not None}
    domain = given.get("domain")
    if isinstance(domain, Mapping):
        from gradcheck.search.domains import as_text

        given["domain"] = {name: as_text(written) for name, written in domain.items()}
    case = {
        "function": function,
        "inputs": inputs,
        **({"derivatives": derivatives} if derivatives else {}),
        **({"dtypes": dtype} if (dtype := _dtype(inputs)) else {}),
        **given,
    }
    cases = {name: {key: _plain(value, key) for key, value in case.items()}}
    text = json.dumps({"cases": cases}, ensure_ascii=False, indent=1)
    file = read(Document.parse(text, _FILE))
    if file.problems:
        problems = [replace(problem, file="") for problem in file.problems]
        raise InvalidCaseError(problems, "\n".join(one.with_caret() for one in problems))
    for job in jobs(file.cases):
        for result in (*run(job), *(_found(job, domain) if domain else ())):
            written = tuple(replace(one, line=0) for one in result.derivation)
            yield replace(result, file="", line=0, derivation=written)


def _found(job: Job, domain: Mapping[str, Any]) -> Iterator[Result]:
    """What is wrong elsewhere in the domain."""
    from gradcheck.search.cases import CaseSearch

    search = CaseSearch(job, only=domain)
    if not search.is_empty and not search.problem:
        for finding in search.findings():
            yield from finding.noted


def _dtype(inputs: Mapping[str, Any]) -> str:
    """The dtype of inputs that are tensors; empty where none is."""
    dtypes = [value.dtype for value in inputs.values() if isinstance(value, torch.Tensor)]
    floating = [dtype for dtype in dtypes if dtype.is_floating_point]
    return NAMES[coarsest(floating)] if floating else ""


def _plain(value: Any, where: str) -> Any:
    """As a case file has it: tensors and arrays as nested lists of numbers, dtypes by name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, torch.Tensor):
        return _plain(value.detach().tolist(), where)
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist(), where)
    if isinstance(value, (list, tuple)):
        return [_plain(one, where) for one in value]
    if isinstance(value, torch.dtype):
        return NAMES.get(value, str(value))
    if isinstance(value, torch.device):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UsageError(f"`{where}` holds {value!r}: a formula is a text, a value is of real numbers")
