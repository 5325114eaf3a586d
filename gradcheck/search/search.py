"""Points of a space → those at which a derivative is wrong, each as simple as can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

from gradcheck.results import Result
from gradcheck.search.examples import example
from gradcheck.search.simplest import simplest
from gradcheck.search.space import Space
from gradcheck.search.values import Values
from gradcheck.search.wrong import Is

EXAMPLES: Final = 100
SEED: Final = 0
SECONDS: Final = 5.0
"""Of the processor's time: most cases take one or two."""
MOST_FINDINGS: Final = 10
TRIES: Final = 3
"""Examples that are made for one that is looked at: many are alike."""
PATIENCE: Final = 20
"""Points: where none of so many can be judged, no more are looked at."""

Judge = Callable[[Values], Sequence[Result] | None]
"""The results at a point; None where the function has no value there."""
Kind = tuple[str, int, str, bool]
"""What is wrong: a quantity, a line, a formula, and whether what is written by hand is to blame."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Values of the inputs at which something is wrong, and the results that say so."""

    values: Values
    results: tuple[Result, ...]


class Search:
    """Looks for points of a space at which something is wrong.

    `wrong` says which results show that; where none is found, the next of `wrong` does. Nothing new
    is looked at for longer than `seconds` of the processor's time, so that it is the same where the
    machine is busy, and for as long again to make what was found simple.

    `points` are how many were looked at, and `judged` those of them at which there were verdicts;
    `errors` are the first results that are none. `is_cut_short` says that time ran out.
    """

    def __init__(
        self,
        space: Space,
        judge: Judge,
        wrong: Sequence[Is],
        *,
        examples: int = EXAMPLES,
        seed: int = SEED,
        seconds: float = SECONDS,
    ) -> None:
        self.space = space
        self.points = 0
        self.judged = 0
        self.errors: Sequence[Result] = ()
        self.is_cut_short = False
        self._judge = judge
        self._wrong = wrong
        self._examples = examples
        self._seed = seed
        self._seconds = seconds
        self._until = 0.0
        self._seen: dict[tuple[bytes, ...], Sequence[Result]] = {}

    def findings(self) -> Iterator[Finding]:
        """Every kind of mistake once, at the simplest point that shows it."""
        for wrong in self._wrong:
            found = False
            for finding in self._findings(wrong):
                found = True
                yield finding
            if found:
                return

    def _findings(self, wrong: Is) -> Iterator[Finding]:
        known: set[Kind] = set()
        for _ in range(MOST_FINDINGS):
            self._until = time.process_time() + self._seconds
            values = self._next(wrong, known)
            if values is None:
                return
            first = next(kind for kind in self._kinds(values, wrong) if kind not in known)
            self._until = time.process_time() + self._seconds
            values = simplest(self.space, values, self._has(first, wrong))
            kinds = self._kinds(values, wrong)
            yield Finding(values, tuple(one for kind, one in kinds.items() if kind not in known))
            known |= kinds.keys()

    def _has(self, kind: Kind, wrong: Is) -> Callable[[Values], bool]:
        return lambda values: kind in self._kinds(values, wrong)

    def _next(self, wrong: Is, known: Set[Kind]) -> Values | None:
        """The first point at which something is wrong that is not yet known."""

        def is_new(values: Values) -> bool:
            return bool(self._kinds(values, wrong).keys() - known)

        for values in self.space.candidates():
            if is_new(values):
                return values
            if self.points >= PATIENCE and not self.judged:
                return None
        return self._example(is_new) if self._examples else None

    def _example(self, is_new: Callable[[Values], bool]) -> Values | None:
        """A point that hypothesis finds among so many that were not looked at before."""
        last, is_found = self.points + self._examples, False

        def is_one(values: Values) -> bool:
            nonlocal is_found
            if not is_found and self.points >= last:
                return False
            is_found |= (found := is_new(values))
            return found

        return example(self.space, is_one, TRIES * self._examples, self._seed)

    def _kinds(self, values: Values, wrong: Is) -> dict[Kind, Result]:
        """What is wrong at a point."""
        found: dict[Kind, Result] = {}
        for result in self._results(values):
            if wrong(result):
                found.setdefault(kind_of(result), result)
        return found

    def _results(self, values: Values) -> Sequence[Result]:
        """The failures at a point; each is looked at once, and none when time is up."""
        key = tuple(values[slot.name].tobytes() for slot in self.space.slots)
        if key not in self._seen:
            if time.process_time() > self._until:
                self.is_cut_short = True
                return ()
            self.points += 1
            self._seen[key] = self._failures(self._judge(values))
        return self._seen[key]

    def _failures(self, results: Sequence[Result] | None) -> Sequence[Result]:
        if results is None:
            return ()
        if any(result.verdict != "error" for result in results):
            self.judged += 1
        elif not self.errors:
            self.errors = results
        return [result for result in results if result.verdict == "fail"]


def kind_of(result: Result) -> Kind:
    return result.quantity, result.line, result.formula, "handwritten" in result.blame
