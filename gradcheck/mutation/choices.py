"""Choices that formulas make, and which ways they go at points.

Where a choice goes one way at every point, what stands on the other way is never looked at: what is
equal there is not known to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from gradcheck.ball import Array
from gradcheck.casefile.case import Case
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.language.expression import Expression
from gradcheck.language.word import Word
from gradcheck.mutation.trial import Trial
from gradcheck.place import TORCH_DTYPE, Place
from gradcheck.sites import Site
from gradcheck.torch_meaning import TorchMeaning

_COMPARISONS: Final = ("lt", "le", "gt", "ge", "eq", "ne")
_AT_ZERO: Final = ("abs", "sign", "relu", "leaky_relu", "elu")
_OF_TWO: Final = ("maximum", "minimum")
_OTHERS: Final = (
    *("where", "clamp", "amax", "amin", "floor", "round", "floor_divide", "remainder"),
)
CHOICES: Final = frozenset((*_COMPARISONS, *_AT_ZERO, *_OF_TWO, *_OTHERS))


class Made(NamedTuple):
    """A choice at a point: the way that each entry goes, and what it was made of."""

    ways: Array
    of: tuple[bytes, ...]


class _Watching(TorchMeaning):
    """Keeps the choices that are made, in their order, which is the same at every point."""

    def __init__(self, place: Place) -> None:
        super().__init__(TORCH_DTYPE[place.dtype], place.device)
        self.made: list[Made] = []

    def call(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        found = super().call(word, arguments, keywords)
        if word.name in CHOICES and isinstance(found, Tensor):
            given = [
                self.tensor(one) for one in (*arguments, *keywords.values()) if one is not None
            ]
            of = tuple(_array(one).tobytes() for one in given)
            self.made += [Made(_array(ways), of) for ways in _ways(word.name, given, found)]
        return found


def _ways(name: str, given: Sequence[Tensor], found: Tensor) -> Iterator[Tensor]:
    """Which way a word goes in each of its entries, for each choice that it makes."""
    if name in _COMPARISONS:
        yield found
    elif name in _AT_ZERO:
        yield given[0] > 0
    elif name in _OF_TWO:
        yield given[0] > given[1]
    elif name == "clamp":
        yield found > given[0]
        yield found < given[0]


def _array(tensor: Tensor) -> Array:
    found: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return found


def are_made_in(case: Case, *formulas: Expression) -> bool:
    """Whether there are choices in the function of a case, or in formulas."""
    words = (*(step.words for step in case.function.steps), *(one.words for one in formulas))
    return any(CHOICES & one for one in words)


class Ways:
    """The ways that choices have gone at some points: of a function, a formula and a wrong one."""

    def __init__(self, site: Site, wrong: Expression) -> None:
        self._site = site
        self._formulas = site.expression, wrong
        self._seen: dict[tuple[int, int], list[Made]] = {}

    def look_at(self, trial: Trial) -> None:
        """Notes the ways that they go at one more point.

        But of what the domain alone may decide: where all inputs have one, or one that is compared.
        """
        case, environment = trial.place.case, trial.place.environment
        if case.domain.keys() >= set(case.inputs):
            return
        known = {_array(environment[name]).tobytes() for name in case.domain}
        formulas = (of_formula(trial, self._site, one) for one in self._formulas)
        for number, made in enumerate((_of_function(trial), *formulas)):
            for index, one in enumerate(made):
                if known.isdisjoint(one.of):
                    self._seen.setdefault((number, index), []).append(one)

    @property
    def are_one(self) -> bool:
        """Whether a choice that depends on the point went the same way at all of them."""
        return any(map(_goes_one_way, self._seen.values()))


def _goes_one_way(seen: Sequence[Made]) -> bool:
    if all(one.of == seen[0].of for one in seen):
        return False
    return all(one.ways.all() for one in seen) or not any(one.ways.any() for one in seen)


def _of_function(trial: Trial) -> list[Made]:
    place, watching = trial.place, _Watching(trial.place)
    names = (*place.case.sizes, *place.case.function.given)
    place.case.function.run({name: place.environment[name] for name in names}, watching)
    return watching.made


def of_formula(trial: Trial, site: Site, formula: Expression) -> list[Made]:
    """The choices that are made where a formula stands in its place."""
    watching = _Watching(trial.place)
    for _, written in site.with_formula(formula):
        with suppress(EvaluationError, ShapeError):
            written.evaluate(dict(trial.place.environment), watching)
    return watching.made
