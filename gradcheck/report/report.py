"""Results → what a caller in Python is given: text, HTML, and an exception where that is wanted."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from rich.console import Console

from gradcheck.errors import CheckFailedError
from gradcheck.report.terminal import ORDER, answer_text, blame_sentence, line, problem
from gradcheck.results import BAD, WORST_FIRST, EntryAnswers, Result, Verdict

_WIDE: Final = 10_000
_COLOURS: Final[dict[Verdict, str]] = {
    "pass": "#2a9d4a",
    "inconclusive": "#c98a00",
    "fail": "#d33",
    "error": "#d33",
}


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
        rows = "".join(map(_row, self.results))
        head = "".join(f"<th>{name}</th>" for name in ("verdict", "", "resolution", "what"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(result: Result) -> str:
    colour = _COLOURS.get(result.verdict, "inherit")
    cells = [
        f'<td><b style="color:{colour}">{escape(result.verdict)}</b></td>',
        f"<td>{escape(f'{result.case} {result.quantity}'.rstrip())}</td>",
        f"<td>{_number(result.resolution)}</td>",
        f'<td style="text-align:left">{"<br>".join(_details(result))}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _details(result: Result) -> Iterator[str]:
    if result.verdict in BAD:
        if sentence := blame_sentence(result):
            yield escape(sentence)
        for entry in result.entries:
            yield f"<code>{escape(_entry(entry))}</code>"
    yield from map(escape, result.notes)


def _entry(entry: EntryAnswers) -> str:
    answers = [
        f"{name} {answer_text(entry.answers[name], 12)}" for name in ORDER if name in entry.answers
    ]
    return f"{entry.label}: {', '.join(answers)}"


def _number(value: float | None) -> str:
    return f"{value:.0e}" if value is not None and math.isfinite(value) else ""
