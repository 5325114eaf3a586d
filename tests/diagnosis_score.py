"""How often a diagnosis names the mistake: plants are run, and the first one said is read.

    python tests/diagnosis_score.py [--held-out] [--show] [--kind K]

Most are for making a diagnosis, and `--show` tells what it gets wrong there; others are held out,
and only counted. Right is a diagnosis whose first kind is one of the plant's.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import planted_functions
import planting
from planted_functions import FUNCTIONS, FunctionPlant
from planted_functions_unseen import UNSEEN
from planting import Plant

import gradcheck
from gradcheck.results import Result

OUTCOMES = ("right", "wrong", "silent")


class Score(NamedTuple):
    """What came of one plant, and what was said of it."""

    plant: Plant | FunctionPlant
    outcome: str
    said: tuple[object, ...]


def scored(plant: Plant | FunctionPlant) -> Score:
    result = failing_function(plant) if isinstance(plant, FunctionPlant) else failing(plant)
    said = tuple(getattr(result, "diagnosis", ()))
    if not said:
        return Score(plant, "silent", said)
    return Score(plant, "right" if said[0].kind in plant.kinds else "wrong", said)


def failing(plant: Plant) -> Result:
    result = planting.failing_result(plant)
    assert result is not None, f"{plant} passes"
    return result


def failing_function(plant: FunctionPlant) -> Result:
    """The first result that does not pass."""
    report = gradcheck.check(
        plant.function, plant.inputs, name=plant.name, conditions="none", **plant.settings
    )
    return next(result for result in report.results if result.is_bad)


def chosen(*, held_out: bool, kind: str | None = None) -> Iterator[Plant | FunctionPlant]:
    """Those that are held out, or the others, case by case."""
    for plant in (*planting.plants(), *FUNCTIONS, *UNSEEN):
        if plant.is_held_out == held_out and kind in (None, plant.kind):
            yield plant


def table(scores: list[Score]) -> Iterator[str]:
    counts = Counter((score.plant.kind, score.outcome) for score in scores)
    yield f"{'kind':<20} {'plants':>7} " + " ".join(f"{one:>7}" for one in OUTCOMES)
    for kind in (*planting.KINDS, *planted_functions.KINDS):
        numbers = [counts[kind, outcome] for outcome in OUTCOMES]
        if sum(numbers):
            yield f"{kind:<20} {sum(numbers):>7} " + " ".join(f"{one:>7}" for one in numbers)
    totals = [sum(score.outcome == outcome for score in scores) for outcome in OUTCOMES]
    shares = " ".join(f"{one / max(1, len(scores)):>7.1%}" for one in totals)
    yield f"{'together':<20} {len(scores):>7} " + " ".join(f"{one:>7}" for one in totals)
    yield f"{'':<28} {shares}"


def shown(score: Score) -> Iterator[str]:
    plant = score.plant
    yield f"{score.outcome}: {', '.join(plant.kinds)}"
    if isinstance(plant, Plant):
        yield f"  {plant.case}  {plant.line}  ({plant.mistake})"
        yield f"    right  {plant.right}"
        yield f"    wrong  {plant.wrong}"
    else:
        yield f"  {plant.name}"
    for one in score.said:
        yield f"    said   {one.kind}: {one.text}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--held-out", action="store_true", help="those that are not looked at")
    parser.add_argument("--show", action="store_true", help="each plant that is not right")
    kinds = (*planting.KINDS, *planted_functions.KINDS)
    parser.add_argument("--kind", choices=kinds, help="plants of this kind alone")
    asked = parser.parse_args()
    if asked.show and asked.held_out:
        parser.error("what is held out is not shown")
    start = time.perf_counter()
    scores = [scored(plant) for plant in chosen(held_out=asked.held_out, kind=asked.kind)]
    if asked.show:
        for score in scores:
            if score.outcome != "right":
                print("\n".join(shown(score)), end="\n\n")
    print("\n".join(table(scores)))
    which = "held out" if asked.held_out else "for tuning"
    print(f"{which}, {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
