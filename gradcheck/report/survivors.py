"""What survived of a case → text: by reason and formula, then points at which it would not have."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final, TypeVar

from rich.text import Text

from gradcheck.casefile.case import Case
from gradcheck.mutation.outcome import Outcome
from gradcheck.report.counting import counted
from gradcheck.report.points_entry import constants_line, points_entry

MOST_NUMBERS: Final = 64
"""Of a point that is printed."""
MOST_POINTS: Final = 3
MOST_WRONG: Final = 4
"""Wrong versions of one formula that are printed."""

_T = TypeVar("_T")
_Key = TypeVar("_Key", bound=Hashable)


def survivors(
    case: Case, survived: Sequence[Outcome], count: int, *, in_full: bool = False
) -> Iterator[Text]:
    """The survivors of a case, of as many wrong versions; some of each formula unless `in_full`."""
    yield Text()
    heading = Text("SURVIVED", "bold red").append(f"  {case.file}:{case.line}  ")
    yield heading.append(case.entry, "bold").append(f"  {len(survived)} of {count} wrong versions")
    for reason, of_reason in _grouped(survived, lambda one: one.reason).items():
        yield from _formulas(of_reason, in_full)
        yield Text(f"  {reason}")
    yield from _points(case, survived)


def _formulas(survived: Sequence[Outcome], in_full: bool) -> Iterator[Text]:
    """Each formula with what survived of it."""
    formulas = _grouped(survived, lambda one: (one.line, one.quantity, one.formula))
    for (line, quantity, formula), of_formula in formulas.items():
        yield Text(f"  {line:5} | {formula}").append(f"  ({quantity})", "dim")
        if in_full:
            yield from (Text(f"  wrong | {_told(one)}", "bold") for one in of_formula)
            continue
        shown = "; ".join(one.wrong for one in of_formula[:MOST_WRONG])
        others = len(of_formula) - MOST_WRONG
        yield Text(f"  wrong | {shown}", "bold").append(
            f"; and {others} more" if others > 0 else ""
        )


def _told(one: Outcome) -> str:
    return one.wrong if one.mistake == one.wrong else f"{one.wrong}  ({one.mistake})"


def _points(case: Case, survived: Sequence[Outcome]) -> Iterator[Text]:
    """Points at which as many as can be would be noticed, as they are pasted into the case."""
    found = _grouped([one for one in survived if one.inputs], _pasted)
    groups = sorted(found.values(), key=len, reverse=True)
    large = [group for group in groups if _numbers(group[0]) > MOST_NUMBERS]
    small = [group for group in groups if group not in large]
    # One case has one set of constants.
    chosen = [one for one in small if one[0].constants == small[0][0].constants][:MOST_POINTS]
    if chosen:
        yield Text(f"  {_share(sum(map(len, chosen)), len(survived))} noticed with:")
        yield Text("    points:")
        yield from (Text(f"      {line}") for line in _own(case))
        yield from (Text(f"      {points_entry(group[0].inputs)}") for group in chosen)
        if chosen[0][0].constants:
            yield Text(f"    {constants_line(chosen[0][0].constants)}")
    others = [group for group in groups if group not in chosen]
    if others:
        share = _share(sum(map(len, others)), len(survived))
        numbers = f", of {counted(_numbers(large[0][0]), 'number')}" if others == large else ""
        where = counted(len(others), "other point" if chosen else "point")
        yield Text(f"  {share} noticed at {where}{numbers}: --jsonl writes them down")


def _own(case: Case) -> Iterator[str]:
    """The entry that keeps the case's own inputs, where it has no `points:` yet."""
    if sum(not point.again for point in case.points) == 1:
        published = "; its `expect` belongs here" if case.points[0].expectations else ""
        yield f"- {{}}  # the case as it is{published}"


def _share(noticed: int, count: int) -> str:
    if noticed < count:
        return f"{noticed} would be"
    return "it would be" if count == 1 else "all would be"


def _pasted(one: Outcome) -> tuple[str, str]:
    return points_entry(one.inputs), constants_line(one.constants)


def _numbers(one: Outcome) -> int:
    """Of the point that was found for it."""
    values = [*one.inputs.values(), *one.constants.values()]
    return sum(value.array("", 0).size for value in values)


def _grouped(things: Sequence[_T], key: Callable[[_T], _Key]) -> dict[_Key, list[_T]]:
    found: dict[_Key, list[_T]] = {}
    for one in things:
        found.setdefault(key(one), []).append(one)
    return found
