"""A part of a run: which cases are its own, and what tells that two parts are of one run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.jobs import Job
from gradcheck.records import RunEnd

_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `number`, from 1, of `count`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/3` is the second of three.

        Raises:
            UsageError: It is written otherwise.
        """
        found = _WRITTEN.fullmatch(text)
        if not found or int(found[1]) > int(found[2]):
            raise UsageError(f"`{text}` is no shard: write 1/3, 2/3 or 3/3 for one of three")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, work: Mapping[str, Sequence[Job]]) -> dict[str, list[Job]]:
        """Its share of the cases, dealt one by one as cards are; a case is never split."""
        cases = list(dict.fromkeys((file, job.case.name) for file in work for job in work[file]))
        own = set(cases[self.number - 1 :: self.count])
        return {
            file: [job for job in jobs if (file, job.case.name) in own]
            for file, jobs in work.items()
        }

    def end(
        self, selection: str, records: int, problems: Sequence[Problem], seconds: float
    ) -> RunEnd:
        """The record that all of it has been run."""
        version, part = metadata.version("gradcheck"), (self.number, self.count)
        return RunEnd(version, *part, selection, records, tuple(problems), round(seconds, 6))


def fingerprint(
    work: Mapping[str, Sequence[Job]], dtypes: Sequence[str], device: str | None
) -> str:
    """The same for two selections only where they have the same cases, from files of one text.

    `dtypes` and `device` are what the command said of them. Which devices are there is not asked.
    """
    files = [(file, _digest(file), _cases(jobs)) for file, jobs in work.items()]
    said = json.dumps([sorted(set(dtypes)), device, files])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _cases(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(job.case.name for job in jobs))


def _digest(file: str) -> str:
    """Of a file's text, however its lines end."""
    try:
        text = Path(file).read_bytes().replace(b"\r\n", b"\n")
    except OSError:
        return ""
    return hashlib.sha256(text).hexdigest()
