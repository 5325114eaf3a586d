"""Cases → a table in Markdown of what a folder of cases holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradcheck.casefile.case import WIDTH, Case


def table(cases: Mapping[str, Sequence[Case]]) -> Iterator[str]:
    """A row for each file: how many cases and formulas written by hand, in which dtypes, and names.

    Cases that differ in their sizes are one.
    """
    yield "| file | cases | formulas | dtypes | what |"
    yield "|---|---|---|---|---|"
    entries = formulas = 0
    for file, listed in cases.items():
        first = {case.entry: case for case in reversed(listed)}
        count = sum(map(_formulas, first.values()))
        used = {dtype for case in listed for dtype in case.dtypes}
        dtypes = ", ".join(dtype for dtype in reversed(WIDTH) if dtype in used)
        names = ", ".join(name.replace("_", " ") for name in reversed(first))
        yield f"| `{file}` | {len(first)} | {count} | {dtypes} | {names} |"
        entries, formulas = entries + len(first), formulas + count
    yield f"| together | {entries} | {formulas} | | |"


def _formulas(case: Case) -> int:
    """What was written by hand in it, and is judged."""
    listed = [*(c.formulas for c in case.claims), *(s.formulas for s in case.seconds)]
    return sum(map(len, listed))
