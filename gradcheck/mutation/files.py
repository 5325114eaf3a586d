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
        for name, sizes in by_entry(cases).items():
            _mutate_entry(file, name, sizes, device, imports, report, lines)
        report.file(file)


def _mutate_entry(
    file: str,
    name: str,
    sizes: Sequence[Case],
    device: str,
    imports: Imports,
    report: MutationReport,
    lines: JsonLines | None,
) -> None:
    try:
        for outcome in mutate(sizes, device, imports):
            if lines:
                lines.add(outcome)
            report.outcome(outcome)
    except (NotPassingError, LeftOutError) as error:
        report.left_out(file, name, str(error), is_wrong=isinstance(error, NotPassingError))
    report.case(file, name)
