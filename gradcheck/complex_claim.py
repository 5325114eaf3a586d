"""A claim on complex values: judged as that of a Python function, as real and imaginary parts.

Ball arithmetic is real here, so that the truth is numeric. By a complex value, a real output has
torch's conjugate gradient, and a complex output the derivative of a holomorphic function.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradcheck import claims
from gradcheck.claims import Claim
from gradcheck.conclusion import Fields
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.function_check import judge_function
from gradcheck.function_problems import RaisedError
from gradcheck.functions import Environment, Segment
from gradcheck.modes import JVP
from gradcheck.place import Place
from gradcheck.python_function import PythonFunction
from gradcheck.settings import Settings
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.written import Derivative, Written


def judge_complex(place: Place, claim: Claim, formula: claims.Written | None) -> Iterator[Fields]:
    """The verdicts on one way in which the derivative was written, or on autograd's alone."""

    def function(value: Tensor) -> Any:
        meaning = TorchMeaning(_complex(value.dtype), place.device)
        held = _as_wide(place.environment, value.dtype)
        return Segment(claim.steps, claim.input, claim.output, held).value(value, meaning)

    case = place.case
    settings = Settings(
        resolution=case.required_resolution(place.dtype),
        subgradient=case.subgradient,
        waiver=place.waiver,
    )
    told: Fields = {
        "quantity": claim.quantity,
        "line": formula.line if formula else claim.line,
        "formula": formula.text if formula else "",
    }
    try:
        value = place.value(claim.input).detach()
        at, written = PythonFunction(function, (value,)), Written()
        if formula is not None:
            jacobian = functools.partial(_jacobian, place, claim, formula)
            jacobian(value)  # raises what is wrong with it
            written = Written({"dout/dvalue": [Derivative(jacobian)]})
        for fields in judge_function(at, settings, written):
            entries = tuple(
                replace(entry, label=_label(claim.quantity, entry.label))
                for entry in fields.get("entries", ())
            )
            yield {**fields, **told, "entries": entries}
    except RaisedError as error:
        yield {**error.fields(), **told}
    except (EvaluationError, ShapeError) as error:
        has = "no value: " if isinstance(error, EvaluationError) else ""
        note = f"the formula has {has}{error}"
        yield {**told, "verdict": "fail", "blame": "handwritten", "notes": (note,)}


def _jacobian(place: Place, claim: Claim, formula: claims.Written, value: Tensor) -> Tensor:
    """What the formula says, of shape output + input; real where both are, and it may be."""
    output, meaning = place.value(claim.output), place.meaning()
    environment = place.formula_segment(claim).run(value, meaning)
    shapes = tuple(output.shape), tuple(value.shape)
    found: Tensor = formula.jacobian(environment, *shapes, meaning)
    is_real = not output.is_complex() and not value.is_complex()
    if is_real and found.is_complex() and not found.imag.any():
        found = found.real  # ones(2), say, are complex numbers in a complex dtype
    return found.detach()


def _label(quantity: str, label: str) -> str:
    """An entry's label, `dRe out[0]/dIm value[1]`, by the names of the claim: `Im dW[1]`."""
    over, slash, under = quantity.partition("/")
    output, _, input = label.partition("/d")
    if slash:
        of, by = over.removeprefix("d"), under.partition(" | ")[0].removeprefix("d")
        return f"{output.replace('out', of)}/d{input.replace('value', by)}"
    if quantity.endswith(JVP):
        return output.removeprefix("d").replace("out", quantity.removesuffix(JVP))
    return input.replace("value", quantity)


def _complex(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_complex else dtype.to_complex()


def _as_wide(environment: Environment, dtype: torch.dtype) -> Environment:
    """Values as precise as this dtype, real or complex as they are."""
    wide, real = _complex(dtype), dtype.to_real()
    return {
        name: value.to(wide if value.is_complex() else real)
        if isinstance(value, Tensor) and (value.is_complex() or value.is_floating_point())
        else value
        for name, value in environment.items()
    }
