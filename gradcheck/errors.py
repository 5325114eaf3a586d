"""Every exception that gradcheck raises on purpose.

    GradcheckError
    ├── ExpressionError     text that is not a formula of the expression language
    ├── EvaluationError     a formula that has no value at a point
    ├── ShapeError          a hand-written value whose shape is no derivative's
    └── UsageError          a path, a selection or a setting that cannot be meant

What is wrong in a case file is data, not an exception: see `casefile.problems.Problem`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.language.expression import Expression


class GradcheckError(Exception):
    """The root of the tree above."""


class ExpressionError(GradcheckError):
    """Text that is not a formula; `start` and `end` are the offsets of the culprit in the text."""

    def __init__(self, message: str, start: int = 0, end: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end


class EvaluationError(GradcheckError):
    """A formula that has no value: shapes that do not fit, an index out of range, a size too big.

    `expression` is the innermost formula or definition being evaluated, `start` and `end` the
    offsets in its text of the operation that failed.
    """

    def __init__(self, message: str, start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.expression: Expression | None = None

    def __str__(self) -> str:
        if self.expression is None:
            return self.message
        return f"{self.message}, in `{self.expression.text[self.start : self.end]}`"


class ShapeError(GradcheckError):
    """A hand-written value whose shape is not the derivative's."""


class UsageError(GradcheckError):
    """A path, a selection or a setting that cannot be meant."""
