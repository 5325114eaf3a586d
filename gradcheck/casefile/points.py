"""The points of a case: values of its inputs and constants, with what was published for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradcheck.casefile import models
from gradcheck.casefile.case import Expectation, Point
from gradcheck.casefile.document import Path
from gradcheck.casefile.inputs import DISTRIBUTIONS, PARAMETERS, Given, Sampled, Value
from gradcheck.casefile.names import Reader
from gradcheck.language.parser import suggestion

MAX_ELEMENTS: Final = 2**24
_SAMPLE: Final = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """A point as it is written: where its values stand, and its draws."""

    path: Path
    values: Mapping[str, Any]
    places: Mapping[str, Path]
    expect: Any
    samples: int


def written_points(case: models.Case, path: Path, samples: int) -> list[Written]:
    """The points as they are written; a point's own inputs come before the case's."""
    shared = {**case.constants, **case.inputs}
    places = {name: (*path, "constants", name) for name in case.constants}
    places |= {name: (*path, "inputs", name) for name in case.inputs}
    if case.points is None:
        return [Written(path, shared, places, case.expect, samples)]
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
            )
        )
    return points


def expand(
    written: list[Written],
    sizes: Mapping[str, int],
    read: Reader,
    expectations: Callable[[Written], tuple[Expectation, ...]],
) -> Iterator[Point]:
    """Every draw of every point; draws are numbered through the case, so that none is repeated."""
    draw = 0
    for number, point in enumerate(written, start=1):
        values = {
            name: value(written_value, point.places[name], sizes, read)
            for name, written_value in point.values.items()
        }
        if any(one is None for one in values.values()):
            continue
        complete = {name: one for name, one in values.items() if one is not None}
        sampled = any(isinstance(one, Sampled) for one in complete.values())
        count = point.samples if sampled else 1
        expected = expectations(point)
        for sample in range(1, count + 1):
            label = f"{number}.{sample}" if count > 1 else str(number)
            yield Point(label, complete, draw, expected)
            draw += 1


def value(written: Any, path: Path, sizes: Mapping[str, int], read: Reader) -> Value | None:  # noqa: ANN401
    """An input's value; None, and a problem, where it cannot be one."""
    if isinstance(written, models.Sampled):
        return _sampled(written, path, sizes, read)
    if _shape(written) is None:
        read.report(path, "the rows of this list have different lengths")
        return None
    return Given(written)


def _shape(numbers: Any) -> tuple[int, ...] | None:  # noqa: ANN401
    """The shape of nested lists; None where they are ragged."""
    if not isinstance(numbers, list):
        return ()
    shapes = {_shape(item) for item in numbers}
    if len(shapes) > 1 or None in shapes:
        return None
    inner = shapes.pop() if shapes else ()
    return (len(numbers), *(inner or ()))


def _sampled(
    written: models.Sampled, path: Path, sizes: Mapping[str, int], read: Reader
) -> Sampled | None:
    shape = _sizes(written.shape, (*path, "shape"), sizes, read)
    parsed = _distribution(written.sample, (*path, "sample"), read)
    if shape is None or parsed is None:
        return None
    if math.prod(shape) > MAX_ELEMENTS:
        elements = f"{math.prod(shape):,} elements, more than {MAX_ELEMENTS:,}"
        read.report((*path, "shape"), f"shape {list(shape)} has {elements}")
        return None
    name, parameters = parsed
    if name == "orthogonal" and len(shape) < 2:
        read.report((*path, "shape"), "an orthogonal matrix needs two dimensions")
        return None
    if name == "spd" and (len(shape) < 2 or shape[-1] != shape[-2]):
        read.report((*path, "shape"), "an spd matrix needs two equal dimensions")
        return None
    return Sampled(shape, name, parameters)


def _sizes(
    shape: list[int | str], path: Path, sizes: Mapping[str, int], read: Reader
) -> tuple[int, ...] | None:
    known: list[int] = []
    for index, size in enumerate(shape):
        number = sizes.get(size) if isinstance(size, str) else size
        if number is None:
            close = suggestion(str(size), sizes) or ": name it under `sizes:`"
            read.report((*path, index), f"`{size}` is not a size{close}")
        elif number < 0:
            read.report((*path, index), f"{number} is not a size")
        else:
            known.append(number)
    return tuple(known) if len(known) == len(shape) else None


def _distribution(text: str, path: Path, read: Reader) -> tuple[str, tuple[float, ...]] | None:
    match = _SAMPLE.fullmatch(text)
    name = match[1] if match else text
    if match is None or name not in DISTRIBUTIONS:
        known = suggestion(name, DISTRIBUTIONS) or f": known are {', '.join(DISTRIBUTIONS)}"
        read.report(path, f"`{name}` is not a distribution{known}")
        return None
    try:
        parameters = tuple(float(part) for part in match[2].split(",")) if match[2] else ()
    except ValueError:
        read.report(path, f"`{text}`: the parameters of a distribution are numbers")
        return None
    allowed = PARAMETERS.get(name, (0,))
    if len(parameters) not in allowed:
        read.report(path, f"`{name}` takes {_counts(allowed)}, not {len(parameters)}")
        return None
    if parameters and not (math.isfinite(sum(parameters)) and parameters[0] < parameters[1]):
        read.report(path, f"`{text}`: the lower end has to be below the upper one")
        return None
    return name, parameters


def _counts(allowed: tuple[int, ...]) -> str:
    return "no parameters" if allowed == (0,) else f"no parameters or {allowed[-1]}"
