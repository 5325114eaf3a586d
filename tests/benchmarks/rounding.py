"""How good the bounds on rounding are: random evaluations in each dtype against the proven truth.

    python tests/benchmarks/rounding.py [COUNT] [SEED]

An evaluation is a formula's value or autograd's gradient, of a random composition of words or of a
random function of matrices; its radius is the one that a report shows.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from gradcheck.answers import Answers
from gradcheck.ball import Ball
from gradcheck.casefile.load import load
from gradcheck.errors import EvaluationError
from gradcheck.oracles import bounds
from gradcheck.oracles.exact import DeclinedError
from gradcheck.place import Place
from gradcheck.torch_state import checking
from gradcheck.truths import Truths

BATCH = 250
"""Cases in a file."""
DTYPES = ("float64", "float32", "float16", "bfloat16")

UNARY = (
    "exp({})", "sin({})", "cos({})", "tanh({})", "sigmoid({})", "atan({})", "erf({})", "silu({})",
    "softplus({})", "square({})", "log(1.5 + ({})**2)", "sqrt(0.3 + ({})**2)", "log1p(exp({}))",
    "1/(1.2 + ({})**2)", "({})**3", "abs({})", "-({})", "relu({})", "logsigmoid({})", "gelu({})",
    "rsqrt(0.7 + ({})**2)", "asin(0.9*tanh({}))", "2.3*({})", "({}) - 0.37", "elu({})",
)  # fmt: skip
BINARY = (
    "({}) + ({})", "({}) - ({})", "({})*({})", "({})/(1.1 + ({})**2)", "hypot({}, 1 + ({})**2)",
    "maximum({}, {})", "atan2({}, 2 + cos({}))", "logaddexp({}, {})",
)  # fmt: skip
MATRIX = (
    "sum(A @ x)", "tanh(A @ x)", "softmax(A @ x, 0)", "log_softmax(x, 0)", "x @ A @ x",
    "sigmoid(A @ x + b)", "logsumexp(A @ x, 0)", "mean((A @ x - b)**2)", "norm(A @ x + b)",
    "(x - mean(x))/sqrt(var(x, correction=0) + 1e-5)", "x*rsqrt(mean(x**2) + 1e-6)*b",
    "einsum('ij,j->i', A, x*b)", "det(A + 3*outer(x, x))", "solve(A + 4*eye(n), x)[0]",
    "trace(inv(A + 4*eye(n)) @ outer(x, b))", "logdet(A @ A.T + outer(x, x) + 2*eye(n))",
    "cholesky(A @ A.T + outer(x, x) + eye(n))", "cumsum(x*b, 0)", "prod(1 + 0.3*x)",
    "sum(tril(outer(x, b)) @ tanh(x))", "kron(x, b)", "softmax(outer(x, b), 1) @ x", "std(x)",
    "amax(A @ x)", "dot(x, b)/norm(x)", "tanh(A @ tanh(A @ tanh(A @ x)))",
)  # fmt: skip
VECTOR = (
    "tanh(A @ x)", "softmax(A @ x, 0)", "A.T @ (A @ x - b)", "log_softmax(x, 0)", "inv(A) @ x",
    "(x - mean(x))/sqrt(var(x, correction=0) + 1e-5)", "x*rsqrt(mean(x**2) + 1e-6)*b",
    "solve(A + 4*eye(n), x)", "cumsum(x*b, 0)", "cumprod(1 + 0.3*x, 0)", "x/norm(x)",
    "cholesky(A @ A.T + eye(n)) @ x", "tril(outer(x, b)) @ tanh(x)", "softmax(outer(x, b), 1) @ x",
    "einsum('ij,j->i', A, x*b)", "x*sigmoid(A @ x) - logsumexp(A, 1)", "std(A, 1)*x",
)  # fmt: skip


def composition(draw: random.Random, depth: int) -> str:
    if depth == 0 or draw.random() < 0.1:
        return draw.choice(["x", "x", "x", "y", f"{draw.uniform(0.1, 3):.2f}"])
    if draw.random() < 0.6:
        return draw.choice(UNARY).format(composition(draw, depth - 1))
    below = composition(draw, depth - 1), composition(draw, depth - 2 if depth > 1 else 0)
    return draw.choice(BINARY).format(*below)


def case(draw: random.Random, number: int) -> list[str]:
    """A case with a function `f` to differentiate, and a formula for its value in the dtype.

    The formula is no derivative of `s`: what matters is how its evaluation is rounded.
    """
    size = draw.choice([2, 3, 4, 8])
    if draw.random() < 0.7:
        inputs = [f"x: {draw.gauss(0, 1.5):.4f}", f"y: {draw.gauss(0, 1.5):.4f}"]
        function = composition(draw, draw.randint(2, 5))
        formula = composition(draw, draw.randint(2, 5))
    else:
        inputs = ["A: {shape: [n, n], sample: normal}"]
        inputs += [f"{name}: {{shape: [n], sample: normal}}" for name in "xb"]
        function = draw.choice(MATRIX)
        formula = draw.choice(VECTOR)
    return [
        f"  c{number}:",
        f"    sizes: {{n: {size}}}",
        "    inputs: {" + ", ".join(inputs) + "}",
        f'    function: {{s: sum(x), f: "{function}"}}',
        f'    derivatives: {{ds/dx: "{formula}", df/dx: 0}}',
        f"    dtypes: [{', '.join(DTYPES)}]",
    ]


class Evaluation(NamedTuple):
    """An answer with its radius, the truth, and whether an intermediate left the dtype's range."""

    text: str
    answer: Ball
    truth: Ball
    left_range: bool


def evaluations(place: Place) -> Iterator[Evaluation]:
    truths = Truths(place)
    for claim in place.case.claims:
        answers, (formula,) = Answers(place, claim), claim.formulas
        with contextlib.suppress(DeclinedError, EvaluationError, RuntimeError):
            if claim.quantity == "df/dx":
                truth = truths.exact(claim)
                answer = answers.rounded_gradient(truth.ball())
                bound = answers.gradient_bound(bounds.format_of(answers.value.dtype))
                text = str(claim.steps[0].expression.text)
            else:
                truth = truths.exact_formula(claim, formula)
                answer = answers.rounded_formula(formula, answers.evaluate(formula))
                bound = answers.formula_bound(formula, bounds.format_of(answers.value.dtype))
                text = formula.text
            yield Evaluation(text, answer, truth.ball(), bound is None or bound.left_range)


class Tally:
    """What became of the evaluations of one dtype."""

    def __init__(self) -> None:
        self.count = 0
        self.finite = 0
        self.outside = 0
        self.far: list[Evaluation] = []
        self.ratios: list[float] = []
        self.bases: Counter[str] = Counter()

    def add(self, one: Evaluation) -> None:
        self.count += 1
        self.bases[one.answer.basis] += 1
        error, radius = one.truth.distance(one.answer), one.answer.radius + one.truth.radius
        self.outside += bool((error > radius).any())
        if (error > 10 * radius).any() and not one.left_range:
            self.far.append(one)
        if np.isfinite(radius).all():
            self.finite += 1
            known = error > one.truth.radius
            self.ratios += list((radius[known] / error[known]).reshape(-1))

    def __str__(self) -> str:
        shares = ", ".join(f"{share} {n / self.count:.0%}" for share, n in self.bases.items())
        return (
            f"{self.count:7,} {self.outside:8} {len(self.far):8} {self.finite / self.count:8.1%} "
            f"{np.median(self.ratios):8.1f}   {shares}"
        )


def tallied(count: int, seed: int) -> dict[str, Tally]:
    """What becomes of `count` random evaluations or a few more in each dtype."""
    draw = random.Random(seed)
    tallies = {dtype: Tally() for dtype in DTYPES}
    with tempfile.TemporaryDirectory() as folder, checking():
        while min(tally.count for tally in tallies.values()) < count:
            lines = [line for number in range(BATCH) for line in case(draw, number)]
            path = Path(folder, "random.grad.yaml")
            path.write_text("cases:\n" + "\n".join(lines) + "\n", encoding="utf-8")
            for listed in load(path).cases:
                for dtype in DTYPES:
                    with contextlib.suppress(EvaluationError):
                        place = Place.at(listed, listed.points[0], dtype, "cpu")
                        for one in evaluations(place):
                            tallies[dtype].add(one)
    return tallies


def main(count: int = 10_000, seed: int = 20261124) -> None:
    torch.set_num_threads(1)
    print(f"seed {seed}")
    print("dtype      count  outside  by 10×   finite   median   basis of the radius")
    for dtype, tally in tallied(count, seed).items():
        print(f"{dtype:9} {tally}")
        for one in tally.far[:5]:
            print("   ", one.text, one.answer, one.truth)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
