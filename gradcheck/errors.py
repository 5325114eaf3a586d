"""Every exception that gradcheck raises on purpose.

    GradcheckError
    ├── ExpressionError             text that is not a formula of the expression language
    ├── EvaluationError             a formula that has no value at a point
    │   └── TooManyStepsError       a recurrence that goes on for too long
    ├── ShapeError                  a hand-written value whose shape is no derivative's
    ├── UsageError                  a path, a selection or a setting that cannot be meant
    ├── UserImportError             something in Python that a case names and that is not to be had
    │   ├── ForbiddenImportError    its module may not be imported
    │   └── ImportFailedError       it is not there, or its module raised
    ├── InvalidCaseError            a case, or a file, with something wrong in it
    ├── CheckerDiedError            the process that checks cases has died, or has been ended
    ├── ChangedOutputError          a function whose output is another kind of thing nearby
    ├── CheckFailedError            a check in Python with results that are not right
    └── CaseFailedError             a case with results that are not right
        └── ExpectedFailureError    which its `xfail` foretold

What is wrong in a case file, and what a check finds, is data: see `casefile.problems.Problem` and
`results.Result`. The errors of failed checks and cases, and of invalid ones, are for a caller, such
as pytest, to whom that is an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.casefile.problems import Problem
    from gradcheck.language.expression import Expression
    from gradcheck.report.report import Report
    from gradcheck.results import Result


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


class TooManyStepsError(EvaluationError):
    """A recurrence, or a pass through one, that takes too many operations."""


class ShapeError(GradcheckError):
    """A hand-written value whose shape is not the derivative's."""


class UsageError(GradcheckError):
    """A path, a selection or a setting that cannot be meant."""


class UserImportError(GradcheckError):
    """Something in a Python module that a case names, and that is not to be had."""


class ForbiddenImportError(UserImportError):
    """It stands in a module that the user has not allowed."""


class ImportFailedError(UserImportError):
    """It is not there, or importing its module raised something."""


class InvalidCaseError(GradcheckError):
    """A case, or a whole file, with these `problems`."""

    def __init__(self, problems: Sequence[Problem], message: str = "") -> None:
        super().__init__(message or "\n".join(map(str, problems)))
        self.problems = problems


class CheckerDiedError(GradcheckError):
    """The process in which cases are checked has died, or has been ended."""


class ChangedOutputError(GradcheckError):
    """A function whose output has another shape or dtype, or other parts, than at the point."""


class CheckFailedError(GradcheckError):
    """A check whose `report` has results that are not right."""

    def __init__(self, report: Report, message: str = "") -> None:
        super().__init__(message or str(report))
        self.report = report


class CaseFailedError(GradcheckError):
    """A case some of whose `results` are not right."""

    def __init__(self, results: Sequence[Result]) -> None:
        super().__init__(", ".join(f"{r.quantity} {r.verdict}" for r in results if r.is_bad))
        self.results = results


class ExpectedFailureError(CaseFailedError):
    """A case that failed as its `xfail` says."""
