"""What a command gives of a new case, as text: its function, and values of its inputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from gradcheck.casefile.document import Document
from gradcheck.casefile.fields import is_imported
from gradcheck.casefile.kernel import Import
from gradcheck.casefile.names import name_problem
from gradcheck.casefile.problems import Source
from gradcheck.errors import ExpressionError, UsageError
from gradcheck.functions import Step
from gradcheck.imports import Imports
from gradcheck.language.expression import Definition
from gradcheck.language.parser import parse
from gradcheck.new.draft import is_flow

if TYPE_CHECKING:
    from gradcheck.user_code import Parameters

_STEP: Final = re.compile(r"([A-Za-z_]\w*) ?: ?", re.ASCII)


def read_inputs(given: Iterable[str]) -> dict[str, str]:
    """The inputs by name, each `NAME=VALUE` as given.

    Raises:
        UsageError: One is no such thing.
    """
    inputs: dict[str, str] = {}
    for one in given:
        name, _, value = (" ".join(part.split()) for part in one.partition("="))
        if not (name and value):
            raise UsageError(f"`{one}` gives no input a value: write --at x=3 or --at x=[1,2]")
        if problem := name_problem(name, dict.fromkeys(inputs, "given another value")):
            raise UsageError(problem)
        if wrong := Document.parse(value, "").problems:
            raise UsageError(wrong[0].with_caret())
        if not is_flow(value):
            raise UsageError(
                f"`{value}` is no value of `{name}`: write a number, a list such as [1, 2] or "
                "{shape: [3], sample: normal}, with an --at for each input"
            )
        inputs[name] = value
    return inputs


def read_steps(
    given: Sequence[str], definitions: Mapping[str, Definition], inputs: Collection[str]
) -> tuple[Step, ...]:
    """The steps of a function; a single formula without a name is the step `out`.

    Raises:
        UsageError: One is no formula, or it uses other names than the inputs and each of those.
    """
    named = [_named(text, is_alone=len(given) == 1) for text in given]
    names = [name for name, _, _ in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two steps are called `{twice}`")
    if both := next((name for name in names if name in inputs), None):
        what = "a step as well as an input" if named[0][2] else "the name of the output"
        raise UsageError(f"`{both}` is {what}: use another name")
    scope = [*inputs, *names]
    steps = tuple(_step(*one, definitions, scope) for one in named)
    _check_names(steps, inputs)
    return steps


def _named(text: str, *, is_alone: bool) -> tuple[str, str, int]:
    """The name of a step, the whole text on one line, and where the formula begins in it."""
    text = " ".join(text.split())
    if found := _STEP.match(text):
        return found[1], text, found.end()
    if not is_alone:
        raise UsageError(f"of several steps each is `name: formula`: `{text}` has no name")
    return "out", text, 0


def _step(
    name: str,
    text: str,
    start: int,
    definitions: Mapping[str, Definition],
    scope: Collection[str],
) -> Step:
    try:
        return Step(name, parse(text[start:], definitions=definitions, scope=scope))
    except ExpressionError as error:
        end = None if error.end is None else start + error.end
        problem = Source(text, "").problem(error.message, start + error.start, end)
        raise UsageError(problem.with_caret()) from None


def _check_names(steps: Sequence[Step], inputs: Collection[str]) -> None:
    computed = {step.name for step in steps}
    used = dict.fromkeys(
        name for step in steps for name in step.expression.names if name not in computed
    )
    _refuse_missing("the function", [name for name in used if name not in inputs])
    unused = next((name for name in inputs if name not in used), None)
    if unused is not None:
        raise UsageError(f"`{unused}` is not used by the function")
    if not used:
        raise UsageError("the function uses no name: there is nothing to differentiate by")


def check_python(python: str, inputs: Collection[str], imports: Imports) -> None:
    """Holds the inputs against the parameters of a function in Python, where it may be imported.

    Raises:
        UsageError: It has others, or there are none.
        UserImportError: It is not to be had.
    """
    if not is_imported(python):
        raise UsageError(f"`{python}` is not `module:name`, as in mykernels.norm:RMSNorm")
    parameters = _parameters(python, imports) if imports.allowed else None
    if parameters is not None:
        if problem := parameters.problem(inputs):
            raise UsageError(f"`{python}` {problem}")
        needed = [name for name in parameters.needed if name not in inputs]
        _refuse_missing(f"`{python}`", needed)
    if not inputs:
        module = python.partition(":")[0]
        raise UsageError(
            f"give the inputs of `{python}`, as in --at x=0.5; --allow-import {module} tells which"
        )


def _parameters(python: str, imports: Imports) -> Parameters | None:
    """What a function takes by name; a module's class its `forward`, beside its parameters."""
    from torch import nn

    from gradcheck.callables import called
    from gradcheck.user_code import takes

    module, _, name = python.partition(":")
    found = imports.load(Import(module, name))
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        return takes(called(found))
    of_forward = takes(found.forward)
    return of_forward and of_forward._replace(takes_others=True, needed=of_forward.needed[1:])


def _refuse_missing(what: str, names: Sequence[str]) -> None:
    if names:
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        options = " ".join(f"--at {name}=0.5" for name in names)
        raise UsageError(f"{what} uses {listed} without a value: add {options}")
