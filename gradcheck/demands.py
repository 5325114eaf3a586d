"""What is asked of a check."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.casefile.case import DType


@dataclass(frozen=True, slots=True)
class Demands:
    """In a dtype, the relative error that must be noticed, and the digits to be kept (0: any)."""

    dtype: DType
    resolution: float
    digits: float = 0.0
