"""Results of one case → the text that pytest shows where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcheck.report.terminal import blame_sentence, evidence, kind_of
from gradcheck.results import WORST_FIRST, Result


def failure_text(results: Sequence[Result], repeat: str) -> str:
    """What is wrong, the worst first; each part begins with `path:line`.

    What fails likewise at further points is one line each. `repeat` is the command that shows it
    again.
    """
    bad = sorted(
        (result for result in results if result.is_bad), key=lambda r: WORST_FIRST.index(r.verdict)
    )
    return "\n".join([*_lines(bad), f"  repeat: {repeat}"])


def _lines(results: Sequence[Result]) -> Iterator[str]:
    shown: set[tuple[str, ...]] = set()
    for number, result in enumerate(results):
        is_known = kind_of(result) in shown
        shown.add(kind_of(result))
        if number and not is_known:
            yield ""
        yield _heading(result)
        if not is_known:
            yield from (line.plain for line in evidence(result))


def _heading(result: Result) -> str:
    what = " ".join([result.verdict, *([result.quantity] if result.quantity else [])])
    point = f" at point {result.point}" if result.point else ""
    sentence = blame_sentence(result)
    return f"{result.file}:{result.line}: {what}{point}" + (f", {sentence}" if sentence else "")
