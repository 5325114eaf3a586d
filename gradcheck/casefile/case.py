"""A case: a function, the points to look at, and what somebody wrote down about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from gradcheck.casefile.domain import Interval
from gradcheck.casefile.inputs import Value
from gradcheck.casefile.kernel import Kernel
from gradcheck.claims import Claim
from gradcheck.functions import Function
from gradcheck.modes import Extension
from gradcheck.passes import Passes
from gradcheck.second_claim import SecondClaim

DType = Literal["float64", "float32", "float16", "bfloat16", "complex128", "complex64"]

DEFAULT_RESOLUTION: Final[dict[DType, float]] = {
    "float64": 1e-6,
    "float32": 1e-3,
    "float16": 2e-2,
    "bfloat16": 2e-2,
    "complex128": 1e-6,
    "complex64": 1e-3,
}
"""The relative error that a check must be able to notice, unless a case says otherwise."""

WIDTH: Final[dict[DType, int]] = {
    "bfloat16": 8,
    "float16": 11,
    "float32": 24,
    "float64": 53,
    "complex64": 24,
    "complex128": 53,
}
"""Bits of a significand."""
COMPLEX: Final[frozenset[DType]] = frozenset({"complex128", "complex64"})

DIGITS: Final[Mapping[DType, float]] = {
    dtype: bits * math.log10(2) for dtype, bits in WIDTH.items()
}
"""The decimal digits that a dtype can hold."""

TIMEOUT: Final = 300.0
"""Seconds that a case may take in a dtype on a device, unless it says otherwise."""

Printed = int | Decimal | list["Printed"]
"""Published numbers as they were printed, in nested lists."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A published value of a quantity.

    `quantity` names a value of the function, a link, or the gradient `x.grad` of a value, which
    may be published as None. The value is held to the truth, or to the
    hand-written evaluation in one dtype (`of` is `handwritten`).
    """

    quantity: str
    printed: Printed | None
    of: Literal["truth", "handwritten"]
    dtype: DType | None
    line: int

    def applies(self, case: Case, dtype: DType) -> bool:
        """Published numbers are held to the truth in the widest dtype, where it is best known."""
        return dtype == (self.dtype or case.widest)


@dataclass(frozen=True, slots=True)
class Point:
    """Values of the inputs and constants, and what was published for them.

    `label` is `2` for the second point and `2.3` for the third draw of its samples. `cotangents`
    are those that are given; the others are drawn, or 1 where something `is_published` of a
    backward pass. A point that is seen `again`, with drawn cotangents, is there for such passes.
    """

    label: str
    values: Mapping[str, Value]
    draw: int
    expectations: tuple[Expectation, ...]
    cotangents: Mapping[str, Value] = field(default_factory=dict)
    is_published: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedFailure:
    """`xfail`: met only by a `fail` with that blame."""

    reason: str
    blame: str


@dataclass(frozen=True, slots=True)
class Known:
    """Relative errors that are known, by whose they are (`handwritten`, `autograd`), and why."""

    limits: Mapping[str, float]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case, ready to run; `name` is unique in its file, `sizes` are plain numbers.

    `entry` is its key in the file: the same for all cases that listed sizes make of it. `inputs`
    are what is differentiated by, `gradients` the values whose `.grad` is looked at. `uncovered`
    are inputs of which a backward pass says nothing, `outputs` the values that one begins with.
    `domain` has intervals in which all entries of an input, or of a constant, lie.
    With a `kernel`, a function in Python, the `function` is the formula that it must equal; where
    there is none, it has no steps.
    """

    name: str
    entry: str
    file: str
    line: int
    about: str
    source: str
    tags: frozenset[str]
    sizes: Mapping[str, int]
    inputs: tuple[str, ...]
    function: Function
    claims: tuple[Claim, ...]
    seconds: tuple[SecondClaim, ...]
    extension: Extension
    uncovered: tuple[str, ...]
    passes: Passes
    gradients: tuple[str, ...]
    points: tuple[Point, ...]
    dtypes: tuple[DType, ...]
    devices: tuple[str, ...]
    resolution: float | None
    digits: float | None
    subgradient: bool
    skip: str | None
    xfail: ExpectedFailure | None
    outputs: tuple[str, ...] = ()
    kernel: Kernel | None = None
    known: Known | None = None
    domain: Mapping[str, Interval] = field(default_factory=dict)
    timeout: float = TIMEOUT

    def required_resolution(self, dtype: DType) -> float:
        return DEFAULT_RESOLUTION[dtype] if self.resolution is None else self.resolution

    def required_digits(self, dtype: DType) -> float:
        """The digits that an evaluation must keep; 0 where the dtype cannot hold as many."""
        asked = self.digits or 0.0
        return asked if asked <= DIGITS[dtype] else 0.0

    @property
    def widest(self) -> DType:
        """The dtype in which published numbers, which are real, are held to the truth."""
        return max(self.dtypes, key=lambda dtype: (dtype not in COMPLEX, WIDTH[dtype]))
