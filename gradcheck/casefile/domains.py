"""The `domain` of a case: whose intervals they are, and whether the case's own values lie there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from gradcheck.casefile import models
from gradcheck.casefile.document import Path
from gradcheck.casefile.domain import Interval
from gradcheck.casefile.fields import Position
from gradcheck.casefile.inputs import reach
from gradcheck.casefile.names import Reader, listed, near
from gradcheck.casefile.points import Written, distribution


def read_domain(
    domain: Mapping[str, Interval],
    case: Path,
    points: Sequence[Written],
    given: Collection[str],
    taken: Mapping[str, str],
    read: Reader,
) -> dict[str, Interval]:
    """The intervals by name; problems with them, and with values that lie elsewhere, are reported.

    `given` are the names of inputs and constants, `taken` says what each name of the case is.
    """
    known = {name: interval for name, interval in domain.items() if name in given}
    for name in domain:
        if name not in given:
            message = f"`{name}` is {taken.get(name, 'no input and no constant')}"
            hint = "" if name in taken else near(name, given) or listed(given)
            what = ": a domain is for inputs and constants" if name in taken else hint
            read.report((*case, "domain", name), message + what, key=True)
    seen: set[Path] = set()
    for point in points:
        for name, interval in known.items():
            path = point.places.get(name)
            if path is not None and path not in seen:
                seen.add(path)
                _check(name, point.values[name], interval, path, read)
    return known


def _check(name: str, written: Any, interval: Interval, path: Path, read: Reader) -> None:
    if isinstance(written, models.Sampled):
        if problem := _problem_of_draws(name, written.sample, interval):
            read.report((*path, "sample"), problem)
        return
    outside = next(((at, n) for at, n in _placed(written) if not interval.contains(float(n))), None)
    if outside is not None:
        at, number = outside
        read.report((*path, *at), f"{number} is outside of the domain of `{name}`, {interval}")


def _problem_of_draws(name: str, sample: str, interval: Interval) -> str:
    """Why what is drawn cannot lie in the interval; empty where it does, or is no distribution."""
    parsed = distribution(sample)
    if isinstance(parsed, str):
        return ""  # which is reported by itself
    drawn, parameters = parsed
    if drawn in ("spd", "orthogonal"):
        return f"`{name}` is drawn as a whole, {drawn}: its entries have no domain"
    if drawn == "integers":
        return f"`{name}` is drawn as whole numbers: {sample} says from where, no domain does"
    if reach(drawn, parameters).within(interval):
        return ""
    return f"`{name}` is drawn from {sample}, which goes beyond its domain, {interval}"


def _placed(numbers: Any, at: Position = ()) -> Iterator[tuple[Position, Any]]:
    """All numbers of nested lists, each with the indexes that lead to it."""
    if not isinstance(numbers, list):
        yield at, numbers
        return
    for index, one in enumerate(numbers):
        yield from _placed(one, (*at, index))
