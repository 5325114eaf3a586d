"""Files of cases → what becomes of the wrong versions in them, told to a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gradcheck.casefile.case import Case
from gradcheck.imports import Imports
from gradcheck.mutation.mutating import by_entry, mutate
from gradcheck.mutation.outcome import LeftOutError, NotPassingError

if TYPE_CHECKING:
    from gradcheck.report.jsonl import JsonLines
    from gradcheck.report.mutation import MutationReport


def mutate_files(
    files: Mapping[str, Sequence[Case]],
    device: str,
    imports: Imports,
    report: MutationReport,
    lines: JsonLines | None = None,
) -> None:
    """Looks at the cases of all files; records go to `lines` as soon as they are known."""
    for file, cases in files.items():
        skipped = {case.entry: case for case in cases if _skip(case)}
        for case in skipped.values():
            report.skip(case, _skip(case))
        for sizes in by_entry(cases).values():
            _mutate_entry(sizes, device, imports, report, lines)
        report.file(file)


def _skip(case: Case) -> str:
    """Why a case is not to pass; empty where it is."""
    if case.skip is None and case.xfail is not None:
        return f"it is known to fail: {case.xfail.reason}"
    return case.skip or ""


def _mutate_entry(
    sizes: Sequence[Case],
    device: str,
    imports: Imports,
    report: MutationReport,
    lines: JsonLines | None,
) -> None:
    first, found = sizes[0], False
    try:
        for outcome in mutate(sizes, device, imports):
            found = True
            if lines:
                lines.add(outcome)
            report.outcome(outcome)
    except (NotPassingError, LeftOutError) as error:
        report.left_out(first, str(error), is_wrong=isinstance(error, NotPassingError))
    else:
        if not found:
            report.skip(first, "no derivative is written in it")
    report.case(first)
