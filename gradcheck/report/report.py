"""Results → what a caller in Python is given: text, HTML, and an exception where that is wanted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from gradcheck.errors import CheckFailedError
from gradcheck.report.terminal import line, problem
from gradcheck.results import WORST_FIRST, Result, Verdict

_WIDE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: one result for each output by each input, and for what is wrong beside.

    `str(report)` is a line for each that is right and a block for any other, as on the terminal.
    """

    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether there are results, all of them right."""
        return bool(self.results) and not any(result.is_bad for result in self.results)

    @property
    def verdict(self) -> Verdict:
        """That of the worst result."""
        verdicts = [result.verdict for result in self.results]
        return min(verdicts, key=WORST_FIRST.index, default="skipped")

    def __bool__(self) -> bool:
        return self.ok

    def raise_for_failure(self) -> None:
        """Nothing where all is right.

        Raises:
            CheckFailedError: Something is not; the message is the text of what that is.
        """
        if not self.ok:
            raise CheckFailedError(self)

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=_WIDE, color_system=None)
        with console.capture() as captured:
            for result in self.results:
                lines = problem(result) if result.is_bad else [line(result)]
                for text in lines:
                    console.print(text, soft_wrap=True, highlight=False)
        return captured.get().rstrip("\n")

    def _repr_html_(self) -> str:
        from gradcheck.report.html.notebook import fragment

        return fragment(self.results)
