"""Case × device × dtype → what there is to run; torch is not imported for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gradcheck import devices
from gradcheck.casefile.case import Case, DType, Point
from gradcheck.derivation import derivation
from gradcheck.imports import Imports
from gradcheck.results import BAD, Result

NONE: Final = Imports()
"""What a run may import unless it is told so: nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One case in one dtype on one device; `skip` says why it is not run.

    `imports` are what it may import. Where the device is no `exact` one, another of its kind will
    do. `on` is the device's name in the process that runs it, empty where that is `device`.
    """

    case: Case
    dtype: DType
    device: str
    skip: str | None = None
    imports: Imports = NONE
    exact: bool = True
    on: str = ""

    @property
    def id(self) -> str:
        """A name that is unique in the case's file and the same in every run."""
        return f"{self.case.name}[{self.dtype}-{self.device}]"

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
            "imports": self.imports.needed(self.case.kernel) if self.case.kernel else (),
            "derivation": derivation(self.case) if fields["verdict"] in BAD else (),
        }
        return Result(**{**known, **fields})  # type: ignore[arg-type]

    def skipped(self) -> Result:
        return self.result(verdict="skipped", notes=(self.skip,))


def jobs(
    cases: Iterable[Case],
    *,
    dtypes: Sequence[str] = (),
    device: str | None = None,
    there: devices.Devices | None = None,
    imports: Imports = NONE,
) -> Iterator[Job]:
    """What there is to run: every case in its dtypes (of `dtypes`, if given) on its devices.

    `device` takes the place of the cases' own; `there` are the devices of this machine. `imports`
    are what the cases may import.
    """
    there = devices.available() if there is None else there
    for case in cases:
        for name, chosen in devices.choose([device] if device else case.devices, there).items():
            for dtype in case.dtypes:
                if not dtypes or dtype in dtypes:
                    missing = None if chosen.is_there else f"there is no device {name} here"
                    skip = case.skip or missing or _idle(case, dtype)
                    yield Job(case, dtype, name, skip, imports, chosen.exact)


def _idle(case: Case, dtype: DType) -> str | None:
    """Why there is nothing to judge, where that is so."""
    published = [e for point in case.points for e in point.expectations]
    if (
        case.kernel
        or case.claims
        or case.seconds
        or case.gradients
        or any(one.applies(case, dtype) for one in published)
    ):
        return None
    return f"nothing that was published for it is held to {dtype}"
