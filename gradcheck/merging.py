"""Shards of runs → one run. What is not whole is refused, so that nothing passes by its absence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.records import Records, RunEnd, read
from gradcheck.report.counting import counted
from gradcheck.results import Result

Claim = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """What one run would have said: the results of each file, and the problems of all."""

    files: dict[str, list[Result]]
    problems: tuple[Problem, ...]
    end: RunEnd


def merge(paths: Sequence[Path]) -> Merged:
    """Joins the files that `gradcheck run --shard K/N --jsonl FILE` wrote.

    Raises:
        UsageError: One is missing, there twice, cut off, or of another selection or version.
    """
    shards = [_whole(read(path)) for path in paths]
    _refuse_versions(shards)
    for group in _by_selection(shards):
        _refuse_gaps(group, shards)
    _refuse_overlap(shards)
    return _joined(shards)


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    results: tuple[Result, ...]
    end: RunEnd

    @property
    def name(self) -> str:
        return f"{self.end.shard}/{self.end.shards}"


def _whole(records: Records) -> _Shard:
    path, end = records.path, records.end
    if end is None:
        raise UsageError(
            f"{path} does not say that its run came to an end: it was stopped, or written "
            "without --shard (--shard 1/1 is a whole run)"
        )
    if end.records != len(records.results):
        raise UsageError(
            f"{path} has {counted(len(records.results), 'record')}, and says that there were "
            f"{end.records}"
        )
    return _Shard(path, records.results, end)


def _refuse_versions(shards: Sequence[_Shard]) -> None:
    first = shards[0]
    for shard in shards:
        if shard.end.version != first.end.version:
            raise UsageError(
                f"{first.path} was written by gradcheck {first.end.version}, "
                f"{shard.path} by {shard.end.version}"
            )


def _by_selection(shards: Sequence[_Shard]) -> Iterator[list[_Shard]]:
    """The shards of each run."""
    groups: dict[tuple[str, int], list[_Shard]] = {}
    for shard in shards:
        groups.setdefault((shard.end.selection, shard.end.shards), []).append(shard)
    yield from groups.values()


def _refuse_gaps(group: Sequence[_Shard], shards: Sequence[_Shard]) -> None:
    """Every shard of a run has to be there, once."""
    found: dict[int, _Shard] = {}
    for shard in group:
        if other := found.get(shard.end.shard):
            raise UsageError(f"shard {shard.name} is there twice: {other.path} and {shard.path}")
        found[shard.end.shard] = shard
    count = group[0].end.shards
    missing = [f"{number}/{count}" for number in range(1, count + 1) if number not in found]
    if not missing:
        return
    others = [shard for shard in shards if shard not in group]
    are = "is" if len(missing) == 1 else "are"
    sentence = f"{_listed('shard', missing)} {are} missing beside {group[0].path}"
    if others:
        sentence += (
            f": {others[0].path} is of another selection (--shard's count, case files, "
            "which cases, --dtype or --device)"
        )
    raise UsageError(sentence)


def _listed(noun: str, names: Sequence[str]) -> str:
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} others"]
    *first, last = shown
    return f"{noun}{'s' * bool(first)} {', '.join(first)}{' and ' * bool(first)}{last}"


def _refuse_overlap(shards: Sequence[_Shard]) -> None:
    """A claim has one verdict: runs of two selections may not both have it."""
    found: dict[Claim, _Shard] = {}
    for shard in shards:
        for result in shard.results:
            other = found.setdefault(result.claim, shard)
            if other is not shard:
                what = f"{result.file}::{result.case} {result.quantity}".rstrip()
                raise UsageError(
                    f"{other.path} and {shard.path} both have {what} in {result.dtype} on "
                    f"{result.device}: leave one of them out"
                )


def _joined(shards: Sequence[_Shard]) -> Merged:
    results = [result for shard in shards for result in shard.results]
    problems = tuple(dict.fromkeys(p for shard in shards for p in shard.end.problems))
    first = shards[0].end
    selections = "+".join(sorted({shard.end.selection for shard in shards}))
    seconds = sum(shard.end.seconds for shard in shards)
    end = RunEnd(first.version, 1, 1, selections, len(results), problems, seconds)
    return Merged(_by_file(results), problems, end)


def _by_file(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Files by name; in each, cases as they stand there."""
    cases: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        cases.setdefault((result.file, result.case), []).append(result)
    files: dict[str, list[Result]] = {}
    for listed in sorted(cases.values(), key=lambda of_case: (of_case[0].file, of_case[0].line)):
        files.setdefault(listed[0].file, []).extend(listed)
    return files
