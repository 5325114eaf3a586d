"""A reference as a caller in Python writes it: another function, or the text of a formula."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from gradcheck.callables import called
from gradcheck.casefile.case import Case
from gradcheck.casefile.document import Document
from gradcheck.casefile.load import read
from gradcheck.errors import InvalidCaseError, UsageError
from gradcheck.leaves import NAMES
from gradcheck.place import Place
from gradcheck.python_function import PythonFunction
from gradcheck.reference import FormulaFunction, Reference
from gradcheck.torch_meaning import TorchMeaning


def reference_of(
    written: Any, inputs: Any, subgradient: bool
) -> Callable[[PythonFunction], Reference]:
    """What makes the reference of a function that is called with these inputs.

    Raises:
        UsageError: It is neither a function nor a text.
    """
    if isinstance(written, (str, Mapping)):
        return lambda at: _of_formula(written, at, subgradient)
    if not callable(written):
        raise UsageError(f"a reference is a formula or a function, not {written!r}")
    return lambda at: Reference(lambda: called(written), inputs, at, subgradient=subgradient)


def _of_formula(written: Any, at: PythonFunction, subgradient: bool) -> Reference:
    """Raises InvalidCaseError where the formula is not valid."""
    values = {spelled(name): value for name, value in at.named.items()}
    names = [name for name, value in values.items() if isinstance(value, (Tensor, int, float))]
    case = _case(written, names)
    return formula_reference(case, values, at, (case.function.output,), subgradient)


def formula_reference(
    case: Case,
    values: Mapping[str, Any],
    at: PythonFunction,
    outputs: tuple[str, ...],
    subgradient: bool,
) -> Reference:
    """The function of a case as what a Python function at these values must equal."""
    meaning = TorchMeaning(at.dtype, at.device)
    held = {name: _constant(values[name]) for name in case.function.given}
    environment = case.function.run({**case.sizes, **held}, meaning)
    place = Place(case, case.points[0], NAMES[at.dtype], at.device, environment)
    inputs = {spelled(leaf.name): value for leaf, value in zip(at.inputs, at.fresh(), strict=True)}
    return Reference(
        lambda: FormulaFunction(case.function, outputs, case.sizes, at.device),
        {**{name: one.requires_grad_() for name, one in inputs.items()}, **_without(held, inputs)},
        at,
        place=place,
        outputs=outputs,
        subgradient=subgradient,
    )


def _case(written: Any, names: list[str]) -> Case:
    text = json.dumps(
        {
            "cases": {
                "reference": {
                    "function": written,
                    "inputs": dict.fromkeys(names, 0),
                    "expect": {"out": 0},
                }
            }
        },
        ensure_ascii=False,
        indent=1,
    )
    file = read(Document.parse(text, "reference"))
    if file.problems:
        problems = [replace(problem, file="") for problem in file.problems]
        raise InvalidCaseError(problems, "\n".join(one.with_caret() for one in problems))
    return file.cases[0]


def _constant(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def spelled(name: str) -> str:
    """How formulas write the name of a module's parameter."""
    return name.replace(".", "_")
