"""The exact oracle is the examiner of the numeric one: wherever both answer, the radius holds."""

import random
from pathlib import Path

import numpy as np
import pytest
from rounding import case as random_case

from gradcheck.casefile.load import load
from gradcheck.errors import EvaluationError
from gradcheck.oracles.exact import DeclinedError
from gradcheck.place import Place
from gradcheck.torch_state import checking
from gradcheck.truths import EFFORTS, Truths

LIBRARY = sorted(Path(__file__).parents[2].glob("cases/*.grad.yaml"))


def examined(path):
    """How often the numeric oracle answered, and what it stated wrongly."""
    answered, wrong = 0, []
    for case in load(path).cases:
        for point in case.points:
            with checking():
                try:
                    place = Place.at(case, point, "float64", "cpu")
                except EvaluationError:
                    continue
                truths = Truths(place)
                for claim in case.claims:
                    try:
                        exact = truths.exact(claim, whole=True).ball()
                    except DeclinedError:
                        continue
                    for effort in EFFORTS:
                        numeric = truths.ask(claim, effort)
                        answered += int(np.isfinite(numeric.radius).all())
                        error = exact.distance(numeric)
                        if (error > 2 * numeric.radius + exact.radius).any():
                            wrong.append((case.name, claim.quantity, effort, point.label))
    return answered, wrong


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.name)
def test_the_library(path):
    answered, wrong = examined(path)
    assert wrong == []
    assert answered > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_compositions_and_functions_of_matrices(seed, tmp_path):
    draw = random.Random(seed)
    lines = [line for number in range(150) for line in random_case(draw, number)]
    path = tmp_path / "random.grad.yaml"
    path.write_text("\n".join(["cases:", *lines]))
    answered, wrong = examined(path)
    assert wrong == [], f"seed {seed}"
    assert answered > 400
