"""Files of cases → the inputs at which something in them is wrong, told to a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcheck.casefile.case import Case
from gradcheck.errors import UsageError
from gradcheck.jobs import Job, jobs
from gradcheck.report.progress import Progress
from gradcheck.search.cases import CaseSearch, chosen

if TYPE_CHECKING:
    from gradcheck.report.findings import FindingsReport
    from gradcheck.report.jsonl import JsonLines


def chosen_jobs(cases: Iterable[Case], **settings: Any) -> list[Job]:
    """The job of each case that is searched, where it has any; `settings` are those of `jobs`."""
    listed = (list(jobs([case], **settings)) for case in cases)
    return [chosen(of_case) for of_case in listed if of_case]


def search_files(
    work: Mapping[str, Sequence[Job]],
    report: FindingsReport,
    lines: JsonLines | None,
    *,
    examples: int,
    seed: int,
) -> None:
    """Searches all files; records go to `lines` as soon as they are known."""
    with Progress(report.console, sum(map(len, work.values()))) as progress:
        for file, listed in work.items():
            for job in progress.track(listed):
                try:
                    _search(job, report, lines, examples, seed)
                except UsageError:
                    raise  # the records cannot be written
                except Exception as error:
                    report.failed(job, f"{type(error).__name__}: {error}")
            report.file(file)


def _search(
    job: Job, report: FindingsReport, lines: JsonLines | None, examples: int, seed: int
) -> None:
    if job.skip:
        report.skipped(job, job.skip)
        return
    search = CaseSearch(job, examples=examples, seed=seed)
    if search.is_empty:
        report.skipped(job, "nothing of it can be varied")
        return
    reason = search.problem
    if not reason:
        for finding in search.findings():
            report.finding(finding)
            if lines:
                for result in finding.noted:
                    lines.add(result)
        reason = search.failure
    if reason:
        report.failed(job, reason)
    else:
        report.case(search)
