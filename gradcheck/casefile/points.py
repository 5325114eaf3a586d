"""The points of a case: values of its inputs and constants, with what was published for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradcheck.casefile import models
from gradcheck.casefile.case import Expectation, Point
from gradcheck.casefile.document import Path
from gradcheck.casefile.inputs import DISTRIBUTIONS, PARAMETERS, Given, Sampled, Value
from gradcheck.casefile.names import Reader
from gradcheck.language.spelling import suggestion

MAX_ELEMENTS: Final = 2**24
MAX_PRODUCTS: Final = 2**21
"""Multiplications that drawing an spd or orthogonal input may take: it is done number by number."""
_SAMPLE: Final = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """A point as it is written: where its values stand, and its draws."""

    path: Path
    values: Mapping[str, Any]
    places: Mapping[str, Path]
    expect: Any
    samples: int
    cotangents: Mapping[str, tuple[Path, Any]]

    @property
    def draws(self) -> int:
        """How many points this is: as many as samples, if anything is sampled."""
        is_sampled = any(isinstance(value, models.Sampled) for value in self.values.values())
        return self.samples if is_sampled else 1


def written_points(case: models.Case, path: Path, samples: int) -> list[Written]:
    """The points as they are written; a point's own inputs come before the case's."""
    shared = {**case.constants, **case.inputs}
    places = {name: (*path, "constants", name) for name in case.constants}
    places |= {name: (*path, "inputs", name) for name in case.inputs}
    if case.points is None:
        given = _placed(case.cotangents, path)
        return [Written(path, shared, places, case.expect, samples, given)]
    points = []
    for index, point in enumerate(case.points):
        here = (*path, "points", index)
        own = {name: (*here, "inputs", name) for name in point.inputs}
        points.append(
            Written(
                here,
                {**shared, **point.inputs},
                {**places, **own},
                point.expect,
                point.samples or samples,
                {**_placed(case.cotangents, path), **_placed(point.cotangents, here)},
            )
        )
    return points


def _placed(cotangents: Mapping[str, Any], path: Path) -> dict[str, tuple[Path, Any]]:
    return {name: ((*path, "cotangents", name), value) for name, value in cotangents.items()}


def expand(
    written: list[Written],
    sizes: Mapping[str, int],
    read: Reader,
    expectations: Callable[[Written], tuple[Expectation, ...]],
    backward: Collection[str],
) -> Iterator[Point]:
    """Every draw of every point; draws are numbered through the case, so that none is repeated.

    Where a cotangent is given, or a quantity of a `backward` pass was published, the point is there
    once more with cotangents that are drawn.
    """
    draw = 0
    for number, point in enumerate(written, start=1):
        values = {
            name: value(written_value, point.places[name], sizes, read)
            for name, written_value in point.values.items()
        }
        if any(one is None for one in values.values()):
            continue
        complete = {name: one for name, one in values.items() if one is not None}
        count = point.draws
        expected = expectations(point)
        is_published = any(one.quantity in backward for one in expected)
        cotangents = {name: Given(numbers) for name, (_, numbers) in point.cotangents.items()}
        for sample in range(1, count + 1):
            label = f"{number}.{sample}" if count > 1 else str(number)
            yield Point(label, complete, draw, expected, cotangents, is_published)
            if cotangents or is_published:
                yield Point(f"{label}, drawn cotangents", complete, draw, (), again=True)
            draw += 1


def value(written: Any, path: Path, sizes: Mapping[str, int], read: Reader) -> Value | None:
    """An input's value; None, and a problem, where it cannot be one."""
    if isinstance(written, models.Sampled):
        return _sampled(written, path, sizes, read)
    return Given(written)


def _sampled(
    written: models.Sampled, path: Path, sizes: Mapping[str, int], read: Reader
) -> Sampled | None:
    shape = _sizes(written.shape, (*path, "shape"), sizes, read)
    parsed = distribution(written.sample)
    if isinstance(parsed, str):
        read.report((*path, "sample"), parsed)
        return None
    if shape is None:
        return None
    name, parameters = parsed
    problem = _shape_problem(name, shape)
    if problem is not None:
        read.report((*path, "shape"), problem)
        return None
    return Sampled(shape, name, parameters)


def _shape_problem(name: str, shape: tuple[int, ...]) -> str | None:
    if math.prod(shape) > MAX_ELEMENTS:
        return f"shape {list(shape)} has more than {MAX_ELEMENTS:,} elements"
    if name not in ("spd", "orthogonal"):
        return None
    if len(shape) < 2:
        return f"an {name} input is a matrix: write its shape, as in [3, 3]"
    if name == "spd" and shape[-1] != shape[-2]:
        return f"an spd matrix is square, but this shape is {list(shape)}"
    if math.prod(shape) * min(shape[-2:]) > MAX_PRODUCTS:
        return f"drawing an {name} input of shape {list(shape)} takes too long: use a smaller one"
    return None


def _sizes(
    shape: list[int | str], path: Path, sizes: Mapping[str, int], read: Reader
) -> tuple[int, ...] | None:
    known: list[int] = []
    for index, size in enumerate(shape):
        number = sizes.get(size) if isinstance(size, str) else size
        if number is None:
            close = suggestion(str(size), sizes) or ": name it under `sizes`"
            read.report((*path, index), f"`{size}` is not a size{close}")
        else:
            known.append(number)
    return tuple(known) if len(known) == len(shape) else None


def distribution(text: str) -> tuple[str, tuple[float, ...]] | str:
    """A distribution's name and parameters; what is wrong, as a text, where it is none."""
    match = _SAMPLE.fullmatch(text)
    name = match[1] if match else text
    if match is None or name not in DISTRIBUTIONS:
        known = suggestion(name, DISTRIBUTIONS) or f": known are {', '.join(DISTRIBUTIONS)}"
        return f"`{name}` is not a distribution{known}"
    try:
        parameters = tuple(map(float, match[2].split(","))) if match[2] else ()
    except ValueError:
        return f"`{text}`: the parameters of a distribution are numbers"
    problem = _parameters_problem(name, parameters)
    return f"`{text}`: {problem}" if problem is not None else (name, parameters)


def _parameters_problem(name: str, parameters: tuple[float, ...]) -> str | None:
    allowed = PARAMETERS.get(name, (0,))
    if len(parameters) not in allowed:
        return f"{name} takes {_counts(allowed)}, not {len(parameters)}"
    if not parameters:
        return None
    low, high = parameters
    if not math.isfinite(high - low):
        return "the ends have to be finite, and not too far apart for a float64"
    if low >= high:
        return "the lower end has to be below the upper one"
    if name == "integers" and not all(end.is_integer() and abs(end) <= 2**53 for end in parameters):
        return "the ends are whole numbers of at most 15 digits"
    return None


def _counts(allowed: tuple[int, ...]) -> str:
    return "no parameters" if allowed == (0,) else f"{allowed[-1]} parameters or none"
