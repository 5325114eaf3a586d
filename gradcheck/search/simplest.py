"""A point with a property → the simplest like it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from gradcheck.search.space import Space
from gradcheck.search.values import Array, Values

SMALL: Final = (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 4.0, 5.0, 10.0, 100.0)
FEW: Final = 3
DECIMALS: Final = 6
HALVINGS: Final = 12

Weight = tuple[bool, int, float, bool]
Has = Callable[[Values], bool]


def simplest(space: Space, values: Values, has_it: Has) -> Values:
    """Values that are as simple as small changes of these make them, and have a property too.

    Entries become equal where they may. Then what is the same number everywhere is replaced
    together, next in one input alone, last in one entry. Whole numbers are simpler than others, few
    digits than many, small ones than large, positive ones than negative.
    """
    for slot in space.entries:
        equal = (slot.filled(number) for number in _numbers_for_all(values[slot.name]))
        made = ({**values, slot.name: array} for array in equal if array is not None)
        values = next(filter(has_it, made), values)
    better: Values | None = values
    while better is not None:
        values, cost = better, _cost(space, better)
        simpler = (one for one in _simpler(space, values) if _cost(space, one) < cost)
        better = next(filter(has_it, simpler), None)
    return values


def _cost(space: Space, values: Values) -> list[Weight]:
    """The weights of all numbers, the largest first: a grid may round a simple one to another."""
    numbers = (number for slot in space.entries for number in values[slot.name].reshape(-1))
    return sorted(map(weight, map(float, numbers)), reverse=True)


def _numbers_for_all(array: Array) -> Sequence[float]:
    """What all entries may be, where they are not the same."""
    numbers = distinct([array])
    return [*SMALL[:FEW], *numbers[:FEW]] if len(numbers) > 1 else []


def _simpler(space: Space, values: Values) -> Iterator[Values]:
    """Values one number of which is simpler, in as many places as can be at first."""
    names = [slot.name for slot in space.entries]
    groups = [names, *([name] for name in names if len(names) > 1)]
    for group in groups:
        for number in distinct(values[name] for name in group):
            for simpler in simpler_than(number):
                moved = {n: np.where(values[n] == number, simpler, values[n]) for n in group}
                yield from _admitted(space, {**values, **moved})
    for name in names:
        array = values[name]
        for at in np.ndindex(array.shape) if len(distinct([array])) < array.size else ():
            for simpler in SMALL[:2]:
                if weight(simpler) < weight(float(array[at])):
                    changed = array.copy()
                    changed[at] = simpler
                    yield from _admitted(space, {**values, name: changed})


def _admitted(space: Space, values: Values) -> Iterator[Values]:
    found = space.admitted(values)
    if found is not None:
        yield found


def weight(number: float) -> Weight:
    """What is the less the simpler a number is."""
    is_whole = number.is_integer()
    return not is_whole, len(repr(abs(number))), abs(number), math.copysign(1.0, number) < 0


def simpler_than(number: float) -> Iterator[float]:
    """Numbers to try in place of one, the simplest first."""
    found = [*SMALL, abs(number), number - math.copysign(1.0, number)]
    for places in range(DECIMALS + 1):
        found += [float(round(number + side / 10**places, places)) for side in (0, 1, -1)]
    found += [float(f"{number:.{digits}g}") for digits in range(1, DECIMALS + 1)]
    found += [float(math.floor(number)), float(math.ceil(number))]
    if number:
        found.append(math.copysign(10.0 ** math.floor(math.log10(abs(number))), number))
    # By ever less towards 0: what is large comes down to just beyond a threshold.
    found += [float(math.trunc(number - number / 2**n)) for n in range(1, HALVINGS)]
    own = weight(number)
    yield from (one for one in sorted(set(found), key=weight) if weight(one) < own)


def distinct(arrays: Iterable[Array]) -> list[float]:
    """The numbers that stand there, the least simple first."""
    found = {float(number) for array in arrays for number in array.reshape(-1)}
    return sorted(found, key=weight, reverse=True)
