"""The derivative that each word states, proven by forward series: at 256 bits they agree."""

import numpy as np
import pytest
import torch
from flint import arb
from word_examples import CASES, UNARY, VALUES, inside

from gradcheck.functions import Segment, Step
from gradcheck.language.parser import parse
from gradcheck.language.vocabulary import WORDS
from gradcheck.oracles import bounds, exact
from gradcheck.oracles.exact import DeclinedError
from gradcheck.rigorous import rounded
from gradcheck.rigorous.moves import MOVES, SUMS
from gradcheck.rigorous.numbers import exactly
from gradcheck.rigorous.products import PRODUCTS

HELD = {name: exactly(torch.from_numpy(value)) for name, value in VALUES.items()}


@pytest.fixture(autouse=True)
def no_losses(monkeypatch):
    """The words themselves, without what torch's functions lose."""
    monkeypatch.setattr(rounded, "LOSSES", {})


def segment(text, start, held=HELD):
    return Segment((Step("out", parse(text)),), start, "out", held)


def assert_proven(at):
    """The sweep at 256 bits and the series at 128 or more bits are the same Jacobian."""
    truth = exact.jacobian(at, lambda: 1.0)
    output = truth.entries.shape[: truth.entries.ndim - np.ndim(at.held[at.start])]
    swept = bounds.of_gradient(at, output, bounds.EXTENDED)
    series = truth.ball()
    assert not swept.excludes(series)
    assert (swept.radius <= 1e-30 * (1 + np.abs(series.midpoint))).all()


EXAMPLES = [
    (text, name)
    for text, _ in CASES
    for name in parse(text).names
    if name in VALUES and VALUES[name].dtype.kind == "f"
]


@pytest.mark.parametrize(("text", "start"), EXAMPLES)
def test_what_a_word_states_is_its_derivative(text, start):
    assert_proven(segment(text, start))


@pytest.mark.parametrize("name", UNARY)
def test_it_is_at_hard_points(name):
    proven = 0
    for x in inside(name, torch.float64):
        try:
            assert_proven(segment(f"{name}(x)", "x", {"x": arb(x)}))
        except DeclinedError:
            continue  # a step of floor or round, a pole of lgamma
        proven += 1
    assert proven >= 20


def test_a_word_without_a_statement_moves_entries_or_is_made_of_others_or_is_constant():
    constant = {"pi", "e", "zeros", "ones", "eye", "arange", "one_hot", "zeros_like", "ones_like"}
    constant |= {"full_like", "lt", "le", "gt", "ge", "eq", "ne"}
    constant |= {"logical_and", "logical_or", "logical_not"}
    silent = {word.name for word in WORDS.values() if not word.derivative}
    assert silent == set(MOVES) | set(SUMS) | set(PRODUCTS) | constant


@pytest.mark.parametrize(
    "text",
    [
        "x*x*x",
        "v[0]*v[1] + v[0]*v[0]",
        "sum(v[[0, 0, 2]]*v)",
        "maximum(v, v)*v",
        "concatenate([v, v]) @ concatenate([v*2, sin(v)])",
        "squeeze(reshape(v, [1, 3])) @ v",
        "sum(expand(v, 2, 3)*x*v)",
        "+v + v.T",
        "amax(v)*amin(v)*sum(v)",
        "softmax(x, 1) @ softmax(v, 0)",
        "cholesky(m @ m.T) @ inv(s) @ solve(m, v)",
        "sum(fold(x[None], [4, 1], [2, 1])*fold(x[None], [4, 1], [2, 1])[:, :, 0:1])",
        "unfold(x[None, None]*v, 2, padding=1)**2*sum(unfold(x[None, None], [2, 1]))",
        "detach(v)*v + where(v > 0, v*v, -v)",
    ],
)
def test_a_value_that_is_used_more_than_once_collects_its_cotangents(text):
    for name in parse(text).names:
        assert_proven(segment(text, name))
