"""What is asked of a Python function, by a caller or by a case, and the verdicts on it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gradcheck.beside import Beside
from gradcheck.conclusion import Fields
from gradcheck.conditions.looking import judge_conditions
from gradcheck.conditions.names import OF_A_FUNCTION
from gradcheck.errors import InvalidCaseError, ShapeError, UsageError
from gradcheck.frames import account_of
from gradcheck.function_answers import blocks
from gradcheck.function_check import judge_function
from gradcheck.function_problems import ONE, RaisedError, wrong
from gradcheck.python_function import PythonFunction
from gradcheck.reference import Reference
from gradcheck.settings import Settings
from gradcheck.verdict import Waiver
from gradcheck.written import Derivative, Pass, WithPasses, Written

_ANSWERS: Final = ("handwritten", "autograd", "function")


_SECOND: Final = ("double_backward", "forward_over_reverse")
_UNUSABLE: Final = {"backward", "linear (backward)", "deterministic (backward)"}
"""What is said of a hand-written backward whose conditions cannot be looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a function is checked.

    `derivatives` are by the name of an input or as `dout/dx`. `backward` and `jvp` are functions,
    `reference` makes what the function must equal, `conditions` are names.
    """

    settings: Settings = field(default_factory=Settings)
    derivatives: Mapping[str, Sequence[Derivative]] = field(default_factory=dict)
    backward: Derivative | None = None
    jvp: Derivative | None = None
    reference: Callable[[PythonFunction], Reference] | None = None
    conditions: tuple[str, ...] = ()
    beside: Beside | None = None


def judge_plan(at: PythonFunction, plan: Plan) -> Iterator[Fields]:
    """Verdicts on the values, on derivatives and on conditions; what raises is one of them.

    Raises:
        UsageError, InvalidCaseError: What was written cannot be meant.
    """
    try:
        written = written_of(plan, at)
    except RaisedError as error:
        yield error.fields()
        return
    reference = None
    if plan.reference is not None:
        try:
            reference = plan.reference(at)
        except (InvalidCaseError, UsageError):
            raise
        except ShapeError as error:
            yield wrong("function", f"{error}")
            return
        except Exception as error:
            note = f"the reference raises: {account_of(error)}"
            yield {"verdict": "error", "blame": "", "notes": (note,)}
            return
    try:
        known: set[str] = set()
        blamed: set[str] = set()
        sound = True
        for fields in judge_function(at, plan.settings, written, reference, plan.beside):
            sound = sound and not (fields.get("blame") == "function" and "truth" not in fields)
            known.add(fields.get("quantity", "").removeprefix(ONE))
            blamed.update(fields.get("blame", "").split(","))
            yield fields
    except RaisedError as error:
        yield error.fields()
        return
    if sound and "deterministic" not in known:
        # What is not linear is not so for one entry either.
        told = known | ({"one_hot_cotangent"} if "linear" in known else set())
        names = [name for name in plan.conditions if name not in told]
        backward = None if known & _UNUSABLE else written.backward
        yield from conditions_of(at, names, backward, blamed)


def conditions_of(
    at: PythonFunction, names: Sequence[str], backward: Pass | None, blamed: Collection[str] = ()
) -> Iterator[Fields]:
    """Verdicts on conditions, of torch's backward and of one that was written by hand.

    Those on second derivatives are left out where a first one is wrong: of those that are `blamed`.
    """
    yield from judge_conditions(at, names, except_for=_second("autograd" in blamed))
    if backward is not None:
        yield from _of_a_backward(backward, names, _second("handwritten" in blamed))


def _second(is_wrong: bool) -> dict[str, str]:
    """Those on second derivatives, where the first are wrong."""
    return dict.fromkeys(_SECOND, "a first derivative is wrong") if is_wrong else {}


def _of_a_backward(
    backward: Pass, names: Sequence[str], left_out: Mapping[str, str]
) -> Iterator[Fields]:
    told = {"formula": backward.text, "line": backward.line}
    names = [name for name in names if name not in OF_A_FUNCTION]
    found = judge_conditions(backward.function, names, "handwritten", except_for=left_out)
    for fields in found:
        yield {**fields, "quantity": f"{fields['quantity']} (backward)", **told}


def written_of(plan: Plan, at: PythonFunction) -> Written:
    """What was written by hand, passes as those of functions that have them.

    Raises:
        UsageError: A derivative is of nothing that the function has.
        RaisedError: The function raises where a pass is in the place of torch's.
    """
    derivatives = by_quantity(plan.derivatives, at)
    backward, jvp = _attached(at, plan.backward, "backward"), _attached(at, plan.jvp, "jvp")
    return Written(derivatives, backward, jvp)


def _attached(at: PythonFunction, written: Derivative | None, name: str) -> Pass | None:
    """The function with a pass in the place of torch's."""
    if written is None:
        return None
    function = WithPasses(at, **{name: written.value})
    try:
        return Pass(at.with_function(function), written.text, written.line)
    except Exception as error:
        raise RaisedError(error, "handwritten", name) from error


def by_quantity(
    derivatives: Mapping[str, Sequence[Derivative]], function: PythonFunction
) -> dict[str, Sequence[Derivative]]:
    """What was written by hand, as `dout/dx`.

    Raises:
        UsageError: A name is that of no input, or it is not clear of which output.
    """
    found = blocks(function)
    quantities = [block.quantity for block in found]
    result = {}
    for name, written in derivatives.items():
        meant = [b.quantity for b in found if name in (b.quantity, b.input.name)]
        if not meant:
            names = [*(leaf.name for leaf in function.inputs), *quantities]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}"
            raise UsageError(f"`{name}` is no derivative of this function: {hint}")
        if len(meant) > 1:
            raise UsageError(f"`{name}` says not of which output: write {' or '.join(meant)}")
        result[meant[0]] = written
    return result


def waiver_of(known: Mapping[str, Any] | None) -> Waiver | None:
    """What is known to be inaccurate, as in `{"autograd": 2e-10, "reason": "…"}`.

    Raises:
        UsageError: It cannot be meant.
    """
    if known is None:
        return None
    reason = known.get("reason")
    limits = {name: limit for name, limit in known.items() if name != "reason"}
    if not isinstance(reason, str) or not reason:
        raise UsageError("`known` needs a `reason`")
    if not limits or not limits.keys() <= set(_ANSWERS):
        raise UsageError(
            "`known` says how inaccurate `handwritten`, `autograd` or `function` may be"
        )
    for name, limit in limits.items():
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
            raise UsageError(f"`known` for `{name}` is a positive number, not {limit!r}")
    return Waiver.of_known({name: float(one) for name, one in limits.items()}, reason)


def is_fixed(rng: str | None) -> bool:
    """Raises UsageError unless `rng` is "fixed" or left out."""
    if rng not in (None, "fixed"):
        raise UsageError(f'`rng` is "fixed" or left out, not {rng!r}')
    return rng is not None
