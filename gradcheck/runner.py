"""Case × device × dtype → results, one stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gradcheck import devices
from gradcheck.casefile.case import Case, DType, Expectation, Point
from gradcheck.claims import Claim
from gradcheck.errors import EvaluationError
from gradcheck.place import Place
from gradcheck.published import applies
from gradcheck.results import Result


@dataclass(frozen=True, slots=True)
class Job:
    """One case in one dtype on one device; `skip` says why it is not run."""

    case: Case
    dtype: DType
    device: str
    skip: str | None = None

    def result(self, point: Point | None = None, **fields: object) -> Result:
        """A result of this job; `fields` are `Result`'s."""
        known = {
            "case": self.case.name,
            "file": self.case.file,
            "line": self.case.line,
            "quantity": "",
            "point": point.label if point else "",
            "dtype": self.dtype,
            "device": self.device,
        }
        return Result(**{**known, **fields})  # type: ignore[arg-type]


def jobs(
    cases: Iterable[Case],
    *,
    dtypes: Sequence[str] = (),
    device: str | None = None,
    there: Sequence[str] | None = None,
) -> Iterator[Job]:
    """What there is to run: every case in its dtypes (of `dtypes`, if given) on its devices.

    `device` takes the place of the cases' own; `there` are the devices of this machine.
    """
    there = devices.available() if there is None else there
    for case in cases:
        for name, is_there in devices.choose([device] if device else case.devices, there):
            for dtype in case.dtypes:
                if not dtypes or dtype in dtypes:
                    missing = None if is_there else f"there is no device {name} here"
                    yield Job(case, dtype, name, case.skip or missing or _idle(case, dtype))


def _idle(case: Case, dtype: DType) -> str | None:
    """Why there is nothing to judge, where that is so."""
    published = [e for point in case.points for e in point.expectations]
    if case.claims or any(applies(e, case, dtype) for e in published):
        return None
    return f"nothing that was published for it is held to {dtype}"


def run(job: Job) -> Iterator[Result]:
    """The results of one job, each as soon as it is known. Nothing is raised."""
    if job.skip:
        yield job.result(verdict="skipped", notes=(job.skip,))
        return
    results = (result for point in job.case.points for result in _run_point(job, point))
    yield from results if job.case.xfail is None else _expecting_failure(job, list(results))


def _run_point(job: Job, point: Point) -> Iterator[Result]:
    from gradcheck.judging import Fields, judge_claim, judge_value

    start = time.perf_counter()
    try:
        place = Place.at(job.case, point, job.dtype, job.device)
    except Exception as error:
        yield _error(job, point, error)
        return
    work: list[tuple[Claim | Expectation, Iterator[Fields]]] = [
        *((claim, judge_claim(place, claim)) for claim in job.case.claims),
        *((published, judge_value(place, published)) for published in point.expectations),
    ]
    for judged, verdicts in work:
        try:
            for fields in verdicts:
                seconds = time.perf_counter() - start
                start = time.perf_counter()
                yield job.result(point, **fields, seconds=seconds)
        except Exception as error:
            yield _error(job, point, error, quantity=judged.quantity, line=judged.line)


def _error(job: Job, point: Point, error: Exception, **fields: object) -> Result:
    """A function without a value is its own fault; anything else is ours."""
    if isinstance(error, EvaluationError):
        return job.result(point, verdict="error", blame="function", notes=(str(error),), **fields)
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
