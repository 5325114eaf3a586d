"""Files of jobs → what becomes of them, told to a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from gradcheck.checker import Checker
from gradcheck.jobs import Job
from gradcheck.report.progress import Progress
from gradcheck.report.run_report import RunReport
from gradcheck.results import Summary


def run_files(
    work: Mapping[str, Sequence[Job]],
    checker: Checker,
    report: RunReport,
    *,
    exitfirst: bool = False,
) -> bool:
    """Runs the jobs of all files; whether it came to the end, and not to an `exitfirst`."""
    with Progress(report.console, sum(map(len, work.values()))) as progress:
        for file, listed in work.items():
            summary = Summary()
            for job, then in progress.track(zip(listed, [*listed[1:], None], strict=False)):
                with closing(checker.run(job, then)) as results:
                    for result in results:
                        shown = report.result(result)
                        summary.add(shown)
                        if exitfirst and shown.is_bad:
                            return False
            if listed:
                report.file(file, summary)
    return True
