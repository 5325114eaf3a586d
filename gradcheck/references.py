"""A reference as a caller in Python writes it: another function, or the text of a formula."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from gradcheck.callables import called
from gradcheck.casefile.case import Case
from gradcheck.casefile.document import Document
from gradcheck.casefile.load import read
from gradcheck.casefile.names import name_problem, spelled
from gradcheck.casefile.problems import Problem, Source
from gradcheck.errors import InvalidCaseError, UsageError
from gradcheck.language.vocabulary import WORDS
from gradcheck.leaves import NAMES
from gradcheck.place import Place
from gradcheck.python_function import PythonFunction
from gradcheck.reference import FormulaFunction, Reference
from gradcheck.torch_meaning import TorchMeaning

_LINE: Final = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*": )?"((?:[^"\\]|\\.)*)",?')
"""A line of JSON that is a text, with a key or without."""
_CHARACTER: Final = re.compile(r"\\u[0-9a-f]{4}|\\?.")


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
    refuse_class(written, getattr(written, "__name__", ""))
    return lambda at: Reference(lambda: called(written), inputs, at, subgradient=subgradient)


def refuse_class(reference: Any, name: str) -> None:
    """Raises UsageError where it is the class of a module, which makes one when it is called."""
    if isinstance(reference, type) and issubclass(reference, nn.Module):
        raise UsageError(
            f"a reference is a function, and `{name}` is the class of a module: an instance of "
            "one works"
        )


def _of_formula(written: Any, at: PythonFunction, subgradient: bool) -> Reference:
    """Raises InvalidCaseError where the formula is not valid, UsageError where none can be."""
    values = {spelled(name): value for name, value in at.named.items()}
    numbers = [name for name, value in values.items() if isinstance(value, (Tensor, int, float))]
    names = [name for name in numbers if name_problem(name, {}) is None]
    hidden = next((name for name in numbers if name in WORDS), None)
    if not names and hidden is None:
        raise UsageError(
            "the function's parameters have no names that a formula can use "
            f"({', '.join(numbers)}): write the reference as a function of the same arguments"
        )
    try:
        case = _case(written, names)
    except InvalidCaseError:
        if hidden is None:
            raise
        raise UsageError(
            f"`{hidden}` is a word of formulas and a parameter of the function: write the "
            "reference as a function of the same parameters"
        ) from None
    return formula_reference(case, values, at, (case.function.output,), subgradient)


def formula_reference(
    case: Case,
    values: Mapping[str, Any],
    at: PythonFunction,
    outputs: tuple[str, ...],
    subgradient: bool,
) -> Reference:
    """The function of a case as what a Python function at these values must equal."""
    held = {name: _constant(values[name]) for name in case.function.given}
    place = None if any(map(_is_beyond_balls, held.values())) else _place(case, held, at)
    inputs = {spelled(leaf.name): value for leaf, value in zip(at.inputs, at.fresh(), strict=True)}
    return Reference(
        lambda: FormulaFunction(case.function, outputs, case.sizes, at.device),
        {**{name: one.requires_grad_() for name, one in inputs.items()}, **_without(held, inputs)},
        at,
        place=place,
        outputs=outputs,
        subgradient=subgradient,
    )


def _is_beyond_balls(value: Any) -> bool:
    """Whether ball arithmetic has no such values here."""
    is_tensor = isinstance(value, Tensor)
    return is_tensor and (value.is_complex() or value.layout is not torch.strided)


def _place(case: Case, values: Mapping[str, Any], at: PythonFunction) -> Place:
    meaning = TorchMeaning(at.dtype, at.device)
    environment = case.function.run({**case.sizes, **values}, meaning)
    return Place(case, case.points[0], NAMES[at.dtype], at.device, environment)


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
        default=_refuse,
    )
    file = read(Document.parse(text, "reference"))
    if file.problems:
        problems = [_told(problem) for problem in file.problems]
        raise InvalidCaseError(problems, "\n".join(one.with_caret() for one in problems))
    return file.cases[0]


def _refuse(value: Any) -> Any:
    raise UsageError(f"a reference is a formula or steps of formulas, not {type(value).__name__}")


def _told(problem: Problem) -> Problem:
    """A problem in a formula with the formula's own line, without the JSON around it."""
    match, start = _LINE.fullmatch(problem.source), problem.column - 1
    if match is None or start < match.start(1):
        return replace(problem, file="", source="")
    end = min(start + problem.length, match.end(1))
    before, meant = (
        len(_CHARACTER.findall(problem.source, *span))
        for span in ((match.start(1), start), (start, end))
    )
    source = Source(json.loads(f'"{match[1]}"'), "")
    return source.problem(problem.message, before, before + max(1, meant))


def _constant(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
