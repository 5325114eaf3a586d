"""Thirty kinds of scalar formula, and the same 3,000 cases of them for gradcheck and for torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CASES = 3_000

# Each kind: the function, the derivative by each input, and the interval that inputs are drawn
# from. `A` stands for a number that differs from case to case.
KINDS: tuple[tuple[str, dict[str, str], tuple[float, float]], ...] = (
    ("x**2 + A*x", {"x": "2*x + A"}, (-3, 3)),
    ("x**3 - A*x", {"x": "3*x**2 - A"}, (-3, 3)),
    ("A*x**4 - x", {"x": "4*A*x**3 - 1"}, (-2, 2)),
    ("1/(A + x**2)", {"x": "-2*x/(A + x**2)**2"}, (-3, 3)),
    ("(x - A)/(x + A)", {"x": "2*A/(x + A)**2"}, (0.1, 4)),
    ("sin(x**2)", {"x": "2*x*cos(x**2)"}, (-2, 2)),
    ("A*sin(A*x)", {"x": "A**2*cos(A*x)"}, (-3, 3)),
    ("cos(x)/A", {"x": "-sin(x)/A"}, (-3, 3)),
    ("tan(x/2)", {"x": "(1 + tan(x/2)**2)/2"}, (-2, 2)),
    ("exp(-x**2/2)", {"x": "-x*exp(-x**2/2)"}, (-2, 2)),
    ("x*exp(-A*x)", {"x": "(1 - A*x)*exp(-A*x)"}, (-1, 3)),
    ("log(A + x**2)", {"x": "2*x/(A + x**2)"}, (-3, 3)),
    ("x*log(x)", {"x": "log(x) + 1"}, (0.5, 5)),
    ("log1p(exp(x))", {"x": "1/(1 + exp(-x))"}, (-4, 4)),
    ("sqrt(A + x**2)", {"x": "x/sqrt(A + x**2)"}, (-3, 3)),
    ("x**1.5", {"x": "1.5*sqrt(x)"}, (0.5, 5)),
    ("tanh(A*x)", {"x": "A*(1 - tanh(A*x)**2)"}, (-1, 1)),
    ("sigmoid(x)", {"x": "sigmoid(x)*(1 - sigmoid(x))"}, (-4, 4)),
    ("x*sigmoid(A*x)", {"x": "sigmoid(A*x) + A*x*sigmoid(A*x)*(1 - sigmoid(A*x))"}, (-2, 2)),
    ("cosh(x) - A", {"x": "sinh(x)"}, (-2, 2)),
    ("atan(A*x)", {"x": "A/(1 + (A*x)**2)"}, (-3, 3)),
    ("erf(x)", {"x": "2/sqrt(pi)*exp(-x**2)"}, (-2, 2)),
    ("w*x + A", {"w": "x", "x": "w"}, (-3, 3)),
    ("(A - w*x)**2", {"w": "-2*x*(A - w*x)", "x": "-2*w*(A - w*x)"}, (-2, 2)),
    ("x/y", {"x": "1/y", "y": "-x/y**2"}, (0.5, 3)),
    ("x**y", {"x": "y*x**(y - 1)", "y": "x**y*log(x)"}, (0.5, 3)),
    ("sin(x)*cos(y)", {"x": "cos(x)*cos(y)", "y": "-sin(x)*sin(y)"}, (-3, 3)),
    ("exp(x - y)/A", {"x": "exp(x - y)/A", "y": "-exp(x - y)/A"}, (-2, 2)),
    ("sqrt(x**2 + y**2)", {"x": "x/sqrt(x**2 + y**2)", "y": "y/sqrt(x**2 + y**2)"}, (0.5, 3)),
    (
        "log(sigmoid(w*x + A))",
        {"w": "x*(1 - sigmoid(w*x + A))", "x": "w*(1 - sigmoid(w*x + A))"},
        (-2, 2),
    ),
)
WORDS = "cos, cosh, erf, exp, log, log1p, sigmoid, sin, sinh, sqrt, tan, tanh, atan"


class Scalar(NamedTuple):
    """One case: a function of numbers, its derivatives, and the point."""

    name: str
    function: str
    derivatives: dict[str, str]
    inputs: dict[str, float]


def cases(count: int = CASES, seed: int = 2026) -> Iterator[Scalar]:
    """`count` cases, the kinds in turn."""
    draw = random.Random(seed)
    for number in range(count):
        function, derivatives, (low, high) = KINDS[number % len(KINDS)]
        constant = f"{draw.uniform(0.5, 2.5):.3f}"
        yield Scalar(
            f"case_{number}",
            function.replace("A", constant),
            {name: text.replace("A", constant) for name, text in derivatives.items()},
            {name: round(draw.uniform(low, high), 4) for name in derivatives},
        )


def write_case_file(path: Path, listed: list[Scalar]) -> None:
    lines = ["cases:"]
    for case in listed:
        inputs = ", ".join(f"{name}: {value}" for name, value in case.inputs.items())
        lines += [f"  {case.name}:", f"    function: {case.function}", f"    inputs: {{{inputs}}}"]
        lines += ["    derivatives:"]
        lines += [f"      {name}: {text}" for name, text in case.derivatives.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_torch_tests(path: Path, listed: list[Scalar]) -> None:
    """A plain test module: one function, parametrised, that calls torch's gradcheck."""
    lines = [
        "import math",
        "import pytest",
        "import torch",
        f"from torch import {WORDS}",
        "pi = math.pi",
        "CASES = [",
    ]
    for case in listed:
        names, values = ", ".join(case.inputs), list(case.inputs.values())
        lines.append(f"    (lambda {names}: {case.function}, {values}),")
    lines += [
        "]",
        "",
        "",
        '@pytest.mark.parametrize(("function", "values"), CASES)',
        "def test_gradcheck(function, values):",
        "    tensors = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]",
        "    assert torch.autograd.gradcheck(function, tensors)",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
