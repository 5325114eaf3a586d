"""The Python interface: a function, or the text of one, is checked at a point."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Any, Final

from torch import Tensor, nn
from torch.utils import _pytree

from gradcheck.beside import Beside
from gradcheck.callables import called, has_jvp
from gradcheck.conclusion import Fields
from gradcheck.conditions.names import chosen
from gradcheck.errors import UsageError
from gradcheck.expression_check import check_expression
from gradcheck.frames import account_of
from gradcheck.plan import Plan, is_fixed, judge_plan, waiver_of
from gradcheck.python_function import PythonFunction
from gradcheck.references import reference_of
from gradcheck.report.report import Report
from gradcheck.results import Result
from gradcheck.settings import Settings, demands_of
from gradcheck.torch_state import checking
from gradcheck.user_code import name_of, place_of, takes
from gradcheck.written import Derivative

Derivatives = Mapping[str, Any]
_ALL: Final = "all"


def check(
    function: Callable[..., Any] | str | Mapping[str, Any],
    inputs: Any,
    *,
    derivatives: Derivatives | None = None,
    backward: Any = None,
    jvp: Any = None,
    reference: Any = None,
    conditions: str | Sequence[str] = _ALL,
    rng: str | None = None,
    known: Mapping[str, Any] | None = None,
    resolution: float | None = None,
    digits: float | None = None,
    subgradient: bool = False,
    masked: bool = False,
    forward: bool | None = None,
    name: str | None = None,
    domain: Mapping[str, Any] | None = None,
    **case: Any,
) -> Report:
    """Whether torch's derivatives of a function at a point, and hand-written ones, are right.

    `function` is any callable, an autograd.Function, a module (its parameters are inputs too) or a
    custom operator. `inputs` are its positional arguments (a tuple or a list), one tensor, or a
    mapping of keyword arguments; each may be nested. Those that are tensors of floating-point or
    complex numbers are differentiated by: if any requires grad, only those that do. In a complex
    sense each counts as its real and its imaginary part, as torch's conjugate convention has it.

    `derivatives` are hand-written ones, by the name of an input or as `dout/dx`: a number, an
    array, or a function of the same arguments. Its shape says what it is: a gradient, a Jacobian,
    or elementwise. A hand-written `backward(*cotangents, *arguments)` gives a gradient for each
    input, a `jvp(*tangents, *arguments)` a tangent for each output.

    `reference` is what the function must equal, in values and derivatives: the text of a formula
    (or steps) of its arguments' names, or another function of the same arguments.

    `conditions` are what its backward must survive beside: "all", "none", or names, of which
    `-name` leaves one out (`gradcheck conditions` lists them). With `rng="fixed"` every call starts
    from the same random state. `known` waives an inaccuracy up to a relative size, as in
    `{"autograd": 2e-10, "reason": "…"}`.

    `resolution` is the relative error that must be noticed (1e-6 in float64), `digits` how many
    decimal ones must be kept. At a kink, `subgradient` accepts what lies between the one-sided
    derivatives. `masked` looks at the specified elements of sparse inputs only, and `forward` at
    torch's forward mode too, as it does for a function with a jvp of its own.

    With a `domain`, as in `{"x": (0, inf), "p": [0, 1], "w": "[-2, 2)"}`, a search follows: what is
    wrong at other values of the inputs that it names is a failure too, whose point is `found`, with
    the simplest such values in its notes. The ends of a tuple are not in it, those of a list are.

    A `function` that is a text, or a mapping of steps, is written in the case language: then
    `inputs` and `derivatives` are mappings, and `case` is whatever else a case file may say.

    Raises:
        UsageError: Something is asked for that cannot be meant.
        InvalidCaseError: An expression, or a setting of its case, is not valid.
    """
    _look_at(resolution, digits, conditions, derivatives)
    if isinstance(function, (str, Mapping)):
        settings = {
            "resolution": resolution,
            "digits": digits,
            "subgradient": subgradient or None,
            "backward": backward,
            "jvp": jvp,
            "known": known,
            "reference": reference,
            "conditions": None if conditions == _ALL else conditions,
            "rng": rng,
            "domain": domain,
            **case,
        }
        results = check_expression(function, inputs, derivatives or {}, name or "check", settings)
        return Report(tuple(results))
    if case:
        raise UsageError(f"`{next(iter(case))}` is a setting of expressions, not of functions")
    if not callable(function):
        raise UsageError(f"a function or the text of one, not {type(function).__name__}")
    wanted = called(function)
    plan = Plan(
        Settings(
            resolution=resolution,
            digits=digits or 0.0,
            subgradient=subgradient,
            forward=has_jvp(wanted) if forward is None else forward,
            waiver=waiver_of(known),
        ),
        derivatives={n: [_derivative(n, one)] for n, one in (derivatives or {}).items()},
        backward=_pass(backward, "backward"),
        jvp=_pass(jvp, "jvp"),
        reference=None if reference is None else reference_of(reference, inputs, subgradient),
        conditions=chosen([conditions] if isinstance(conditions, str) else conditions),
    )
    made = partial(PythonFunction, masked=masked, seeded=is_fixed(rng))

    def elsewhere(others: Any) -> Iterator[Result]:
        own = None if reference is None else reference_of(reference, others, subgradient)
        callables = {n: list(filter(_is_function, one)) for n, one in plan.derivatives.items()}
        there = {n: one for n, one in callables.items() if one}
        asked = replace(plan, reference=own, derivatives=there, conditions=(), beside=None)
        return _results(wanted, others, made, asked, name)

    search = None
    if domain is not None:
        from gradcheck.search.functions import FunctionSearch

        search = FunctionSearch(wanted, inputs, domain, elsewhere)
    with checking():
        if any(tensor.device.type != "cpu" for tensor in _tensors(inputs)):
            plan = replace(plan, beside=Beside(partial(_on_the_cpu, wanted, inputs, made)))
        here = tuple(_results(wanted, inputs, made, plan, name))
        return Report((*here, *(search.results() if search else ())))


def _is_function(derivative: Derivative) -> bool:
    """Whether it holds anywhere: numbers are those at one point."""
    return callable(derivative.value)


def _tensors(inputs: Any) -> list[Tensor]:
    return [one for one in _pytree.tree_leaves(inputs) if isinstance(one, Tensor)]


def _on_the_cpu(
    function: Callable[..., Any], inputs: Any, made: Callable[..., PythonFunction]
) -> Callable[[], PythonFunction]:
    """What makes the function of inputs that are there."""
    own = copy.deepcopy(function).cpu() if isinstance(function, nn.Module) else function
    return partial(made, own, _pytree.tree_map(_moved, inputs))


def _moved(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().cpu().requires_grad_(value.requires_grad)


def _look_at(resolution: Any, digits: Any, conditions: Any, derivatives: Any) -> None:
    """Raises UsageError where these cannot be meant."""
    if resolution is not None and not (_is_number(resolution) and 0 < resolution < 1):
        raise UsageError(f"`resolution` is a number between 0 and 1, not {resolution!r}")
    if digits is not None and not (_is_number(digits) and 0 < digits < math.inf):
        raise UsageError(f"`digits` is a positive number, not {digits!r}")
    if not _are_names(conditions):
        raise UsageError(
            f'`conditions` are "all", "none", a name or a list of names, not {conditions!r}'
        )
    if derivatives is not None and not isinstance(derivatives, Mapping):
        raise UsageError(
            '`derivatives` is a mapping of names, as {"x": ...} or {"dout/dx": ...}, not '
            f"{type(derivatives).__name__}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_names(conditions: Any) -> bool:
    is_list = isinstance(conditions, (Sequence, Set))
    return is_list and all(isinstance(one, str) for one in conditions)


def _pass(written: Any, name: str) -> Derivative | None:
    if written is not None and not callable(written):
        raise UsageError(f"`{name}` is a function, not {written!r}")
    return None if written is None else Derivative(written)


def _derivative(name: str, written: Any) -> Derivative:
    if written is None or isinstance(written, str):
        raise UsageError(
            f"the derivative by `{name}` is a number, an array or a function of the same "
            f"arguments, not {written!r}"
        )
    return Derivative(written)


def _results(
    function: Callable[..., Any],
    inputs: Any,
    made: Callable[..., PythonFunction],
    plan: Plan,
    name: str | None,
) -> Iterator[Result]:
    """The results of a Python function; what its code raises is one of them."""
    result = Results(function, name)
    try:
        at = made(function, inputs)
    except UsageError:
        raise
    except Exception as error:
        if isinstance(error, TypeError):
            _look_at_names(function, inputs)
        yield result({"verdict": "error", "blame": "function", "notes": (account_of(error),)})
        return
    result.at(at, plan.settings)
    for fields in judge_plan(at, plan):
        yield result(fields)


def _look_at_names(function: Callable[..., Any], inputs: Any) -> None:
    """Raises UsageError where keyword arguments have other names than the function's own."""
    parameters = takes(function)
    if parameters is None or not isinstance(inputs, Mapping):
        return
    if problem := parameters.problem(inputs):
        raise UsageError(f"`{name_of(function)}` {problem}")


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
