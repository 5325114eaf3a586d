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


def properties(results: Sequence[Result], line: int) -> dict[str, str]:
    """What JUnit XML says of an item; `line` is the case's, where no result has to be shown."""
    worst = min(results, key=lambda r: (not r.is_bad, WORST_FIRST.index(r.verdict)))
    resolutions = [r.resolution for r in results if r.resolution is not None]
    return {
        "line": str(worst.line if worst.is_bad else line),
        "verdict": worst.standing,
        "blame": worst.blame,
        "resolution": f"{max(resolutions):.2g}" if resolutions else "",
    }


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
    what = " ".join([result.standing, *([result.quantity] if result.quantity else [])])
    point = f" at point {result.point}" if result.point else ""
    sentence = blame_sentence(result)
    return f"{result.file}:{result.line}: {what}{point}" + (f", {sentence}" if sentence else "")
