"""What belongs to a function in Python, what to a formula, and what needs both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gradcheck.casefile import models
from gradcheck.casefile.derivatives import placed
from gradcheck.casefile.document import Path
from gradcheck.casefile.points import Written
from gradcheck.passes import GRAD

Problem = tuple[Path, str]
"""The key in the case at which something is wrong, and what."""

_OF_PYTHON: Final = ("reference", "conditions", "rng", "forward_mode")
_PASSES: Final = ("backward", "jvp")


def problems(model: models.Case, case: Path, points: Sequence[Written]) -> Iterator[Problem]:
    """What is written for another kind of function than the case has."""
    if not isinstance(model.function, models.PythonFunction):
        yield from _of_a_formula(model, case)
        return
    if model.autograd is not None:
        yield (*case, "autograd"), "`autograd` is for formulas, not for functions in Python"
    if isinstance(model.reference, (models.Imported, type(None))):
        yield from _without_formula(model, case, points)
    else:
        yield from _gradients(points)


def _of_a_formula(model: models.Case, case: Path) -> Iterator[Problem]:
    for key in _OF_PYTHON:
        if getattr(model, key) is not None:
            yield (*case, key), f"`{key}` is for functions in Python, and this one is a formula"
    derivatives = model.derivatives.named.items()
    written = [((*case, key), getattr(model, key)) for key in _PASSES]
    written += [((*case, "derivatives", key), value) for key, value in derivatives]
    for path, one in (found for place in written for found in placed(*place)):
        if isinstance(one, models.Imported):
            message = "`python` is for functions in Python: a formula's derivatives are formulas"
            yield (*path, "python"), message


def _gradients(points: Sequence[Written]) -> Iterator[Problem]:
    """Gradients that backward passes leave, which are those of a formula."""
    for point in points:
        for path, block in placed((*point.path, "expect"), point.expect):
            for name in block.named if block is not None else ():
                if name.endswith(GRAD):
                    yield (*path, name), f"`{name}` is for formulas, not for functions in Python"


def _without_formula(
    model: models.Case, case: Path, points: Sequence[Written]
) -> Iterator[Problem]:
    """What would be a claim on a formula, where there is none."""
    for key in _PASSES:
        written = getattr(model, key)
        if isinstance(written, dict) and written:
            yield (*case, key), needing(key, "unless it is `{python: …}`")
    if model.outputs:
        yield (*case, "outputs"), needing("outputs", "whose steps it names")
    if model.derivatives.recurrence:
        path = (*case, "derivatives", "recurrence")
        yield path, needing("recurrence", "whose steps it follows")
    for point in points:
        if point.expect is not None:
            yield (*point.path, "expect"), needing("expect", "which published numbers are held to")
        for path, _ in point.cotangents.values():
            yield path[:-1], needing("cotangents", "as lines of `backward` do")


def needing(what: str, why: str) -> str:
    """That something belongs to a formula beside a function in Python."""
    return f"`{what}` needs `reference: <formula>`, {why}"
