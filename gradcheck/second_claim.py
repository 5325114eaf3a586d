"""A claim on a second derivative."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gradcheck.claims import Written
from gradcheck.functions import Function, Recurrence, Step
from gradcheck.language.leibniz import Second


@dataclass(frozen=True, slots=True, eq=False)
class SecondClaim:
    """That `formulas` are a second derivative.

    `steps` lead from the values that it is by to what it is of, `formula_steps` to all that the
    formulas read.
    """

    of: Second
    formulas: tuple[Written, ...]
    steps: tuple[Step | Recurrence, ...]
    formula_steps: tuple[Step | Recurrence, ...]
    line: int

    @property
    def quantity(self) -> str:
        return str(self.of)

    @classmethod
    def of_function(
        cls, function: Function, of: Second, formulas: tuple[Written, ...], line: int
    ) -> SecondClaim:
        """The claim that `formulas` are that second derivative, in a function."""
        reads = {name for formula in formulas for name in formula.reads}
        return cls(
            of, formulas, _steps(function, of, {of.output}), _steps(function, of, reads), line
        )


def _steps(function: Function, of: Second, ends: Collection[str]) -> tuple[Step | Recurrence, ...]:
    """Those that lead from either value that it is by to any of `ends`, in order."""
    by = {of.first, of.second}
    needed = {step for name in by for step in function.between(name, ends, by - {name})}
    return tuple(step for step in function.named_steps if step in needed)
