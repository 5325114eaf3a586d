"""What mathematics says of a plant: the kinds that the values themselves show.

The wrong line is evaluated beside the right one, at every point of its case. A use of an input is
forgotten where the wrong derivative is that of the function in which this use is detached.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from planting import Plant, changed, documents, is_of, largest, loaded, planted_case
from torch import Tensor

from gradcheck.answers import Answers
from gradcheck.casefile.case import Case
from gradcheck.claims import Claim, Written
from gradcheck.errors import GradcheckError
from gradcheck.place import Place

CLOSE = 1e-9
NEAR = 0.03
"""How far, relatively, inputs are moved to see what does not depend on them."""


@dataclass(frozen=True)
class Pair:
    """What is written at one point, and what should be, and the values there."""

    wrong: Tensor
    right: Tensor
    values: dict[str, Tensor]
    is_given: bool
    """Whether it is a point of the case, and not one beside it."""


def facts_of(plant: Plant) -> set[str]:
    """The kinds that hold at all points and near them; none where nothing can be compared.

    What is wrong in one place alone has to be so at the case's points only.
    """
    pairs = list(pairs_of(plant))
    if not pairs or any(one.wrong.shape != one.right.shape for one in pairs):
        return set()
    given = [one for one in pairs if one.is_given]
    found = {*_scaled(pairs), *_moved(pairs), *_by_a_value(pairs)}
    if not is_stepwise(plant):
        found |= set(_placed(given))
    return found | ({"forgotten_use"} if forgets_a_use(plant) else set())


def is_stepwise(plant: Plant) -> bool:
    return plant.path[-1] in ("start", "next")


def pairs_of(plant: Plant) -> Iterator[Pair]:
    """The values of the wrong line and of the right one, those it takes being right."""
    for change in (None, moved):
        cases = [case_with(plant, text, change) for text in (plant.right, plant.wrong)]
        found = [
            formula_in(case, plant, text)
            for case, text in zip(cases, (plant.right, plant.wrong), strict=True)
        ]
        if None in found:
            return
        for points in zip(*(case.points for case in cases), strict=True):
            places = [
                Place.at(case, point, "float64", "cpu")
                for case, point in zip(cases, points, strict=True)
            ]
            try:
                right, wrong = (
                    _value(place, *one) for place, one in zip(places, found, strict=True)
                )
            except GradcheckError:
                return
            values = {n: v for n, v in places[0].environment.items() if isinstance(v, Tensor)}
            yield Pair(wrong, right, values, change is None)


def case_with(plant: Plant, text: str, change: Callable[[Any], Any] | None) -> Case:
    """The case with a formula in the plant's place, and perhaps its inputs changed."""
    document = changed(plant.file, plant.case, plant.path, text)
    if change is not None:
        data = document["cases"][plant.case]
        data["samples"] = 3
        for one in (data, *data.get("points", [])):
            if "inputs" in one:
                one["inputs"] = {name: change(value) for name, value in one["inputs"].items()}
    return largest(loaded(document))


def moved(value: Any, place: int = 1) -> Any:
    """A given value, or a list of them, each moved a little by an amount of its own."""
    if isinstance(value, list):
        return [moved(one, 7 * place + at + 1) for at, one in enumerate(value)]
    if isinstance(value, dict):
        return value
    return float(value) * (1 + NEAR * math.sin(12.9898 * place + 3 * float(value)))


def formula_in(case: Case, plant: Plant, text: str) -> tuple[Claim, Written] | None:
    """The claim of the planted line, and the formula in it."""
    for claim in (*case.claims, *case.seconds):
        for formula in claim.formulas:
            if is_of(claim.quantity, formula.text, plant, text):
                return claim, formula
    return None


def _value(place: Place, claim: Claim, formula: Written) -> Tensor:
    scope = dict(place.environment)
    evaluate = getattr(formula, "evaluate_steps", formula.evaluate)
    found = evaluate(scope, place.meaning())
    if isinstance(found, list):
        found = torch.stack([torch.as_tensor(one, dtype=torch.float64) for one in found])
    if not isinstance(found, Tensor) and isinstance(claim, Claim):  # a number fills a gradient
        return torch.full(place.value(claim.input).shape, float(found), dtype=torch.float64)
    return torch.as_tensor(found).detach().to(torch.float64)


def _scaled(pairs: list[Pair]) -> Iterator[str]:
    """The sign, a constant factor, the sign where a value is negative."""
    right = torch.cat([one.right.flatten() for one in pairs])
    wrong = torch.cat([one.wrong.flatten() for one in pairs])
    if _same(wrong, -right) and right.any():
        yield "sign"
        return
    largest_one = right.abs().argmax()
    if right[largest_one] != 0:
        factor = wrong[largest_one] / right[largest_one]
        if factor > 0 and abs(factor - 1) > CLOSE and _same(wrong, factor * right):
            yield "constant_factor"
    if _same(wrong.abs(), right.abs()) and not _same(wrong, right):
        names = [n for n in pairs[0].values if all(_has_shape_of(one, n) for one in pairs)]
        if all(_is_flipped(one, one.right) for one in pairs) or any(
            all(_is_flipped(one, one.values[name]) for one in pairs) for name in names
        ):
            yield "sign_where_negative"


def _has_shape_of(one: Pair, name: str) -> bool:
    return name in one.values and one.values[name].shape == one.right.shape


def _is_flipped(one: Pair, value: Tensor) -> bool:
    """Whether the sign is wrong where a value is negative, and there alone."""
    is_zero = one.right == 0
    is_wrong = ~torch.isclose(one.wrong, one.right, rtol=CLOSE, atol=0)
    return bool(((is_wrong == (value < 0)) | is_zero).all())


def _by_a_value(pairs: list[Pair]) -> Iterator[str]:
    """A named value that is a factor too many or too few."""
    for name in pairs[0].values:
        values = [one.values.get(name) for one in pairs]
        if any(v is None or not v.is_floating_point() for v in values):
            continue
        try:
            products = [
                (_same(one.wrong * v, one.right), _same(one.right * v, one.wrong))
                for one, v in zip(pairs, values, strict=True)
            ]
        except RuntimeError:
            continue
        if all(is_missing for is_missing, _ in products):
            yield "missing_factor"
        if all(is_extra for _, is_extra in products):
            yield "extra_factor"


def _moved(pairs: list[Pair]) -> Iterator[str]:
    """Transposed, or with rows or columns in another order."""
    ndim = pairs[0].right.ndim
    if ndim >= 2 and all(
        one.right.shape[-1] == one.right.shape[-2] and _same(one.wrong, one.right.mT)
        for one in pairs
    ):
        yield "transposed"
    for axis in range(ndim):
        size = pairs[0].right.shape[axis]
        if not 1 < size <= 6 or any(one.right.shape[axis] != size for one in pairs):
            continue
        for order in itertools.permutations(range(size)):
            if list(order) != list(range(size)) and all(
                _same(one.wrong, one.right.index_select(axis, torch.tensor(order))) for one in pairs
            ):
                yield "permuted"
                return


def _placed(pairs: list[Pair]) -> Iterator[str]:
    """All wrong entries in one place of the vector or matrix."""
    shape = pairs[0].right.shape
    if len(shape) not in (1, 2) or any(one.right.shape != shape for one in pairs):
        return
    apart = torch.zeros(shape, dtype=torch.bool)
    for one in pairs:
        apart |= (one.wrong - one.right).abs() > CLOSE * one.right.abs().max().clamp(min=CLOSE)
    if apart.sum() == 1 and apart.numel() > 1:
        yield "entry"
    if len(shape) != 2 or apart.sum() < 2:
        return
    rows, columns = apart.any(1).nonzero().flatten(), apart.any(0).nonzero().flatten()
    if len(rows) == 1 and shape[0] > 1:
        yield "row"
    elif len(columns) == 1 and shape[1] > 1:
        yield "column"
    else:
        area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        if apart.sum() == area < apart.numel():
            yield "block"


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=CLOSE, atol=1e-12)


def forgets_a_use(plant: Plant) -> bool:
    """Whether the wrong line is the derivative of a function that detaches one of several uses."""
    case = planted_case(plant)
    found = formula_in(case, plant, plant.wrong)
    if found is None or found[0] not in case.claims or found[0].output.endswith("[t]"):
        return False
    claim, formula = found
    for other in functions_with_a_detached_use(plant, claim.input):
        try:
            held = largest(loaded(other))
            if all(_agrees(case, held, claim, formula, index) for index in range(len(case.points))):
                return True
        except (AssertionError, GradcheckError, RuntimeError):
            continue
    return False


def _agrees(case: Case, held: Case, claim: Claim, formula: Written, index: int) -> bool:
    place = Place.at(case, case.points[index], "float64", "cpu")
    there = Place.at(held, held.points[index], "float64", "cpu")
    same = next(one for one in held.claims if one.quantity == claim.quantity)
    value = Answers(place, claim).evaluate(formula)
    return _same(value, Answers(there, same).gradient)


def functions_with_a_detached_use(plant: Plant, name: str) -> Iterator[dict[str, Any]]:
    """The case with each one of the uses of a value detached, or of what is made of it."""
    function = documents()[plant.file]["cases"][plant.case]["function"]
    steps = function if isinstance(function, dict) else {"out": function}
    if not all(isinstance(formula, (str, int)) for formula in steps.values()):
        return
    below = {name}
    for step, text in steps.items():
        if any(_uses_of(one, str(text)) for one in below):
            below.add(step)
    uses = [
        (step, match, one)
        for step, text in steps.items()
        for one in below
        for match in _uses_of(one, str(text))
    ]
    if len(uses) < 2:
        return
    for step, match, one in uses:
        text = str(steps[step])
        detached = f"{text[: match.start()]}detach({one}){text[match.end() :]}"
        document = changed(plant.file, plant.case, plant.path, plant.right)
        data = document["cases"][plant.case]
        data["function"] = {**function, step: detached} if function is steps else detached
        yield document


def _uses_of(name: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", text))
