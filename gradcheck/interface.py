"""The Python interface: a function, or the text of one, is checked at a point."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from gradcheck.conclusion import Fields
from gradcheck.errors import UsageError
from gradcheck.expression_check import check_expression
from gradcheck.function_answers import blocks
from gradcheck.function_check import RaisedError, judge_function
from gradcheck.python_function import PythonFunction
from gradcheck.report.report import Report
from gradcheck.results import Result
from gradcheck.settings import Settings, demands_of
from gradcheck.torch_state import checking
from gradcheck.user_code import account_of, name_of, place_of

Derivatives = Mapping[str, Any]


def check(
    function: Callable[..., Any] | str | Mapping[str, Any],
    inputs: Any,
    *,
    derivatives: Derivatives | None = None,
    resolution: float | None = None,
    subgradient: bool = False,
    masked: bool = False,
    forward: bool = False,
    name: str | None = None,
    **case: Any,
) -> Report:
    """Whether torch's derivatives of a function at a point, and hand-written ones, are right.

    `inputs` are the positional arguments (a tuple or a list), one tensor, or a mapping of keyword
    arguments; each may be nested. Those that are tensors of floating-point or complex numbers are
    differentiated by: if any requires grad, only those that do. In a complex sense each counts as
    its real and its imaginary part, as torch's conjugate convention has it.

    `derivatives` are hand-written ones, by the name of an input or as `dout/dx`: a number, an
    array, or a function of the same arguments. Its shape says what it is: a gradient, a Jacobian,
    or elementwise. `resolution` is the relative error that must be noticed (1e-6 in float64). At a
    kink, `subgradient` accepts what lies between the one-sided derivatives. `masked` looks at the
    specified elements of sparse inputs only, and `forward` at torch's forward mode too.

    A `function` that is a text, or a mapping of steps, is written in the case language: then
    `inputs` and `derivatives` are mappings, and `case` is whatever else a case file may say.

    Raises:
        UsageError: Something is asked for that cannot be meant.
        InvalidCaseError: An expression, or a setting of its case, is not valid.
    """
    _look_at(resolution, derivatives)
    if isinstance(function, (str, Mapping)):
        settings = {"resolution": resolution, "subgradient": subgradient or None, **case}
        results = check_expression(function, inputs, derivatives or {}, name or "check", settings)
        return Report(tuple(results))
    if case:
        raise UsageError(f"`{next(iter(case))}` is a setting of expressions, not of functions")
    if not callable(function):
        raise UsageError(f"a function or the text of one, not {type(function).__name__}")
    settings_of = Settings(resolution=resolution, subgradient=subgradient, forward=forward)
    with checking():
        results = check_function(
            function, inputs, settings_of, derivatives or {}, masked=masked, name=name
        )
        return Report(tuple(results))


def _look_at(resolution: Any, derivatives: Any) -> None:
    """Raises UsageError where these cannot be meant."""
    is_number = isinstance(resolution, (int, float)) and not isinstance(resolution, bool)
    if resolution is not None and not (is_number and 0 < resolution < 1):
        raise UsageError(f"`resolution` is a number between 0 and 1, not {resolution!r}")
    if derivatives is not None and not isinstance(derivatives, Mapping):
        raise UsageError(
            '`derivatives` is a mapping of names, as {"x": ...} or {"dout/dx": ...}, not '
            f"{type(derivatives).__name__}"
        )


def check_function(
    function: Callable[..., Any],
    inputs: Any,
    settings: Settings,
    derivatives: Derivatives,
    *,
    masked: bool,
    name: str | None = None,
) -> Iterator[Result]:
    """The results of a Python function; what its code raises is one of them."""
    result = Results(function, name)
    with _as_it_was(function):
        yield from _results(function, inputs, settings, derivatives, masked, result)


@contextmanager
def _as_it_was(function: Callable[..., Any]) -> Iterator[None]:
    """Afterwards a module's buffers, such as running means, are what they were."""
    buffers = list(function.buffers()) if isinstance(function, nn.Module) else []
    kept = [buffer.detach().clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)


def _results(
    function: Callable[..., Any],
    inputs: Any,
    settings: Settings,
    derivatives: Derivatives,
    masked: bool,
    result: Results,
) -> Iterator[Result]:
    try:
        at = PythonFunction(function, inputs, masked=masked)
    except UsageError:
        raise
    except Exception as error:
        yield result({"verdict": "error", "blame": "function", "notes": (account_of(error),)})
        return
    result.at(at, settings)
    by_quantity = _by_quantity(derivatives, at)
    try:
        for fields in judge_function(at, settings, by_quantity):
            yield result(fields)
    except RaisedError as error:
        yield result(error.fields())


class Results:
    """Makes results of a function, each with the time since the last one."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        file, line = place_of(function)
        self._known: Fields = {
            "case": name or name_of(function),
            "file": file,
            "line": line,
            "quantity": "",
            "point": "",
            "dtype": "",
            "device": "",
        }
        self._start = time.perf_counter()

    def at(self, function: PythonFunction, settings: Settings) -> None:
        """From now on, results are of this point."""
        demands = demands_of(function, settings)
        self._known |= {"dtype": demands.dtype, "device": str(function.device)}

    def __call__(self, fields: Fields) -> Result:
        now = time.perf_counter()
        seconds, self._start = now - self._start, now
        line = fields.get("line") or self._known["line"]
        return Result(**{**self._known, **fields, "line": line, "seconds": seconds})


T = TypeVar("T")


def _by_quantity(derivatives: Mapping[str, T], function: PythonFunction) -> dict[str, T]:
    """What was written by hand, as `dout/dx`.

    Raises:
        UsageError: A name is that of no input, or it is not clear of which output.
    """
    for name, written in derivatives.items():
        if written is None or isinstance(written, str):
            raise UsageError(
                f"the derivative by `{name}` is a number, an array or a function of the same "
                f"arguments, not {written!r}"
            )
    found = blocks(function)
    quantities = [block.quantity for block in found]
    by_quantity = {}
    for name, written in derivatives.items():
        meant = [b.quantity for b in found if name in (b.quantity, b.input.name)]
        if not meant:
            names = [*(leaf.name for leaf in function.inputs), *quantities]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}"
            raise UsageError(f"`{name}` is no derivative of this function: {hint}")
        if len(meant) > 1:
            raise UsageError(f"`{name}` says not of which output: write {' or '.join(meant)}")
        by_quantity[meant[0]] = written
    return by_quantity
