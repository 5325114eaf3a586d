"""How a Python function is checked."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.casefile.case import DEFAULT_RESOLUTION, DIGITS
from gradcheck.demands import Demands
from gradcheck.leaves import NAMES
from gradcheck.python_function import PythonFunction
from gradcheck.verdict import Waiver


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a check, and what its caller accepts.

    `resolution` is the dtype's own where it is None, `digits` are those to be kept. `backward` and
    `forward` are torch's modes that are asked. The `waiver` says what is accepted beside all error
    bounds, as is a spread of `nondet_tol` between two backward passes; None is what rounding
    explains.
    """

    resolution: float | None = None
    digits: float = 0.0
    subgradient: bool = False
    backward: bool = True
    forward: bool = False
    waiver: Waiver | None = None
    nondet_tol: float | None = None


def demands_of(function: PythonFunction, settings: Settings) -> Demands:
    """What is asked for in the dtype of the function."""
    dtype = NAMES[function.dtype]
    asked = settings.resolution
    digits = settings.digits if settings.digits <= DIGITS[dtype] else 0.0
    return Demands(dtype, DEFAULT_RESOLUTION[dtype] if asked is None else asked, digits)
