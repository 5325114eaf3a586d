"""How a Python function is checked."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.casefile.case import DEFAULT_RESOLUTION
from gradcheck.demands import Demands
from gradcheck.leaves import NAMES
from gradcheck.python_function import PythonFunction


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a check, and what its caller accepts.

    `resolution` is the dtype's own where it is None. `backward` and `forward` are torch's modes
    that are asked. `atol` and `rtol` are accepted beside all error bounds, as is a spread of
    `nondet_tol` between two backward passes; None is what rounding explains.
    """

    resolution: float | None = None
    subgradient: bool = False
    backward: bool = True
    forward: bool = False
    atol: float = 0.0
    rtol: float = 0.0
    nondet_tol: float | None = None


def demands_of(function: PythonFunction, settings: Settings) -> Demands:
    """What is asked for in the dtype of the function."""
    dtype = NAMES[function.dtype]
    asked = settings.resolution
    return Demands(dtype, DEFAULT_RESOLUTION[dtype] if asked is None else asked)
