"""A job → results, one stream."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace

from gradcheck.casefile.case import Point
from gradcheck.conclusion import Fields
from gradcheck.diagnoses import Diagnoses
from gradcheck.errors import EvaluationError, UsageError, UserImportError
from gradcheck.gradients import Gradients
from gradcheck.jobs import Job
from gradcheck.judging import judge_claim
from gradcheck.modes import is_cotangent
from gradcheck.passes import GRAD
from gradcheck.place import Place
from gradcheck.results import UNCOVERED, Result
from gradcheck.second_order import judge_second
from gradcheck.torch_state import checking
from gradcheck.truths import Truths
from gradcheck.values import judge_value


def run(job: Job, *, thorough: bool = False) -> Generator[Result]:
    """The results of one job, each as soon as it is known. Nothing is raised.

    A `thorough` run asks every oracle, also where one of them suffices.

    torch's global settings are the check's until the generator ends or is closed.
    """
    if job.skip:
        yield job.skipped()
        return
    with checking():
        results = _run_points(job, thorough)
        yield from results if job.case.xfail is None else _expecting_failure(job, list(results))


def _run_points(job: Job, thorough: bool) -> Iterator[Result]:
    """The results at each point; what cannot be imported is told once, and all else is judged."""
    kernel = job.case.kernel
    problems = job.imports.problems(kernel) if kernel else {}
    if problems:
        yield job.result(verdict="error", notes=tuple(problems), line=min(problems.values()))
    diagnoses = Diagnoses()
    for point in job.case.points:
        has_kernel = bool(kernel) and not problems
        yield from _run_point(job, point, thorough, diagnoses, has_kernel=has_kernel)


def _run_point(
    job: Job, point: Point, thorough: bool, diagnoses: Diagnoses, *, has_kernel: bool = False
) -> Iterator[Result]:
    start = time.perf_counter()
    try:
        place = Place.at(job.case, point, job.dtype, job.on or job.device)
    except Exception as error:
        yield _error(job, point, error)
        return
    truths = Truths(place, diagnoses)
    gradients = Gradients(place, truths)
    cotangents = {claim.quantity for claim in job.case.claims if is_cotangent(claim)}
    claims = [claim for claim in job.case.claims if is_cotangent(claim) or not point.again]
    uncovered = [] if point.again else list(map("`{}`".format, job.case.uncovered))
    work: list[tuple[str, int, Iterator[Fields]]] = [
        (c.quantity, c.line, judge_claim(place, c, truths, thorough)) for c in claims
    ]
    if has_kernel and not point.again:
        from gradcheck.kernels import judge_kernel

        work.append(("", job.case.line, judge_kernel(place, job.imports)))
    beside: list[tuple[str, int, Iterator[Fields]]] = [
        *((s.quantity, s.line, judge_second(place, s, diagnoses)) for s in job.case.seconds),
        *((e.quantity, e.line, judge_value(place, e)) for e in point.expectations),
        *((n + GRAD, gradients.line(n), gradients.judge(n)) for n in job.case.gradients),
    ]
    for quantity, line, verdicts in work if point.again else (*work, *beside):
        try:
            for fields in verdicts:
                if uncovered and fields["quantity"] in cotangents:
                    note = f"{UNCOVERED} {' and '.join(uncovered)}"
                    fields["notes"], uncovered = (*fields.get("notes", ()), note), []
                seconds = time.perf_counter() - start
                start = time.perf_counter()
                yield job.result(point, **fields, seconds=seconds)
        except (Exception, SystemExit) as error:
            yield _error(job, point, error, quantity=quantity, line=line)


def _error(job: Job, point: Point, error: BaseException, **fields: object) -> Result:
    """A function without a value is its own fault; anything else is ours."""
    if isinstance(error, EvaluationError):
        return job.result(point, verdict="error", blame="function", notes=(str(error),), **fields)
    if isinstance(error, (UserImportError, UsageError)):
        return job.result(point, verdict="error", notes=(str(error),), **fields)
    lines = str(error).strip().splitlines() or [""]
    note = f"{type(error).__name__}: {lines[0]}"
    return job.result(point, verdict="error", notes=(note,), **fields)


def _expecting_failure(job: Job, results: list[Result]) -> Iterator[Result]:
    """`xfail` is met by a `fail` with the blame that the case names, and by nothing else."""
    xfail = job.case.xfail
    assert xfail is not None
    met = [r for r in results if r.verdict == "fail" and r.blame == xfail.blame]
    awaited = f"was expected to fail with blame `{xfail.blame}`: {xfail.reason}"
    for result in results:
        if result in met:
            yield replace(result, verdict="xfailed", notes=(*result.notes, xfail.reason))
        elif result.is_bad and not met:
            yield replace(result, notes=(*result.notes, awaited))
        else:
            yield result
    if not met and not any(result.is_bad for result in results):
        yield job.result(verdict="xpassed", notes=(awaited,))
