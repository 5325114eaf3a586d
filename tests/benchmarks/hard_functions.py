"""Hard scalar functions, each at one point, with the derivative that mpmath finds there.

A function written for `torch` and `mpmath` alike takes the module as its first argument, so that
both see the same formula and the same float64 constants. Functions work entry by entry on tensors
of any shape, but for those that refuse on purpose. Where a function has several outputs, the first
counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple

import torch
from mpmath import mp, mpf
from torch import Tensor
from torch.nn import functional

Function = Callable[[Tensor], Tensor]
Shared = Callable[[Any, Any], Any]
"""A formula for either module."""

DIGITS: Final = 500
STEP: Final = mpf(10) ** -100
"""Of the central difference, beside x: its error is some 1e-200 of the function's own scale."""


class Hard:
    """A function at a point.

    `precise` is the same function for mpmath; None where there is no derivative: then `why` says
    so, and `sides` are the one-sided derivatives, NaN for one that does not exist.
    """

    def __init__(
        self,
        family: str,
        name: str,
        x: float,
        function: Function,
        precise: Callable[[mpf], Any] | None,
        why: str = "",
        sides: tuple[float, float] = (math.nan, math.nan),
    ) -> None:
        self.family = family
        self.name = name
        self.x = x
        self.function = function
        self.why = why
        self.sides = sides
        self._precise = precise

    @cached_property
    def truth(self) -> mpf | None:
        """The derivative at the float x."""
        if self._precise is None:
            return None
        with mp.workdps(DIGITS):
            x = mpf(self.x)
            step = STEP * abs(x) if x else STEP
            slope = (self._precise(x + step) - self._precise(x - step)) / (2 * step)
        with mp.workdps(60):
            return +slope


class Row(NamedTuple):
    name: str
    x: float
    formula: Shared


class Differing(NamedTuple):
    """A function that torch and mpmath write in different words."""

    name: str
    x: float
    function: Function
    precise: Callable[[mpf], Any]


class Broken(NamedTuple):
    """A function that has no derivative at the point."""

    name: str
    x: float
    function: Function
    why: str
    sides: tuple[float, float] = (math.nan, math.nan)


# -- what torch and mpmath do not share -------------------------------------------------------


def is_torch(module: Any) -> bool:
    return module is torch


def relu(m: Any, x: Any) -> Any:
    return torch.relu(x) if is_torch(m) else max(x, mpf(0))


def rounded(m: Any, x: Any) -> Any:
    return torch.round(x) if is_torch(m) else m.nint(x)


def where(m: Any, condition: Any, yes: Any, no: Any) -> Any:
    return torch.where(condition, yes, no) if is_torch(m) else (yes if condition else no)


def huber(m: Any, x: Any) -> Any:
    return where(m, abs(x) < 1, x * x / 2, abs(x) - 0.5)


def sigmoid(m: Any, x: Any) -> Any:
    return torch.sigmoid(x) if is_torch(m) else 1 / (1 + m.exp(-x))


def lgamma(m: Any, x: Any) -> Any:
    return torch.lgamma(x) if is_torch(m) else m.log(abs(m.gamma(x)))


def gelu(m: Any, x: Any) -> Any:
    return functional.gelu(x) if is_torch(m) else x * m.erfc(-x / m.sqrt(2)) / 2


# -- functions of several steps ---------------------------------------------------------------


def logistic(rate: float, steps: int) -> Shared:
    def formula(m: Any, x: Any) -> Any:
        for _ in range(steps):
            x = rate * x * (1 - x)
        return x

    return formula


def weierstrass(m: Any, x: Any) -> Any:
    return sum(0.5**k * m.cos(7**k * x) for k in range(12))


def newton_root(m: Any, x: Any) -> Any:
    root = x
    for _ in range(20):
        root = (root + x / root) / 2
    return root


def wilkinson(m: Any, x: Any) -> Any:
    product = 1
    for root in range(1, 21):
        product = product * (x - root)
    return product


def expanded_power(m: Any, x: Any) -> Any:
    return x**7 - 7 * x**6 + 21 * x**5 - 35 * x**4 + 35 * x**3 - 21 * x**2 + 7 * x - 1


def continued_fraction(m: Any, x: Any) -> Any:
    value = x
    for _ in range(40):
        value = x + 1 / value
    return value


def many_kinks(m: Any, x: Any) -> Any:
    return sum(relu(m, x - k / 64) for k in range(64))


def long_sum(x: Tensor) -> Tensor:
    k = torch.arange(1, 2001, dtype=torch.float64)
    return (torch.sin(k * x[..., None]) / k**2).sum(-1)


def alternating_sum(x: Tensor) -> Tensor:
    k = torch.arange(1, 10_001, dtype=torch.float64)
    return ((-1) ** k * 1e3 * torch.cos(x[..., None] / k)).sum(-1)


def series_of_exp(m: Any, x: Any) -> Any:
    term, total = 1, 1
    for k in range(1, 120):
        term = term * x / k
        total = total + term
    return total


def smallest_step(x: Tensor) -> Tensor:
    """A root by Newton's method, as many steps as it takes: no two points alike."""
    root = x / 2 + 1
    for _ in range(100):
        if abs(root * root - x).item() <= 1e-9 * x.item():
            break
        root = (root + x / root) / 2
    return root


def branch(x: Tensor) -> Tensor:
    return torch.exp(x) if x.item() > 1 else 1 + x


def python_sine(x: Tensor) -> Tensor:
    return torch.tensor(math.sin(3 * x.item()), dtype=torch.float64)


def refusing(x: Tensor) -> Tensor:
    if x.item() < 0.5:
        raise ValueError("not below 1/2")
    return torch.log(x - 0.5)


def bisected(x: Tensor) -> Tensor:
    """The cube root by bisection until it is known to 1e-10."""
    low, high = 0.0, 4.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if middle**3 < x.item() else (low, middle)
    return torch.tensor((low + high) / 2, dtype=torch.float64)


def damped(x: Tensor) -> Tensor:
    return torch.where(x == 0, 0, x * x * torch.sin(1 / x))


def damped_once(x: Tensor) -> Tensor:
    return torch.where(x == 0, 0, x * torch.sin(1 / x))


SCALE: Final = (
    Row("exp, huge", 700.0, lambda m, x: m.exp(x)),
    Row("exp, vanishing", -700.0, lambda m, x: m.exp(x)),
    Row("exp, next to overflow", 709.7, lambda m, x: m.exp(x)),
    Row("x², huge", 1e150, lambda m, x: x**2),
    Row("x², tiny", 1e-150, lambda m, x: x**2),
    Row("x⁹, tiny", 1e-30, lambda m, x: x**9),
    Row("log, tiny", 1e-300, lambda m, x: m.log(x)),
    Row("log, huge", 1e300, lambda m, x: m.log(x)),
    Row("1/x, tiny", 1e-100, lambda m, x: 1 / x),
    Row("x³, huge", 1e100, lambda m, x: x**3),
    Row("x^0.1, tiny", 1e-200, lambda m, x: x**0.1),
    Row("half of the largest", 1.7e308, lambda m, x: x / 2),
    Row("sin of a subnormal", 1e-310, lambda m, x: m.sin(x)),
    Row("a flat line", 1.0, lambda m, x: 1e-300 * x),
    Row("a steep line", 1.0, lambda m, x: 1e300 * x),
    Row("a slow exponential", 1.0, lambda m, x: m.exp(1e-8 * x)),
    Row("a fast exponential", 1e-8, lambda m, x: m.exp(1e10 * x)),
    Row("atan, far out", 1e6, lambda m, x: m.atan(x)),
    Row("atan, farther out", 1e200, lambda m, x: m.atan(x)),
    Row("x^x, tiny", 1e-5, lambda m, x: x**x),
)

OSCILLATION: Final = (
    Row("sin, fast", 1e8, lambda m, x: m.sin(x)),
    Row("sin(1/x)", 0.01, lambda m, x: m.sin(1 / x)),
    Row("sin(1/x), nearer", 1e-3, lambda m, x: m.sin(1 / x)),
    Row("x·sin(1/x) near 0", 1e-3, lambda m, x: x * m.sin(1 / x)),
    Row("x·sin(1/x) nearer 0", 1e-6, lambda m, x: x * m.sin(1 / x)),
    Row("steep tanh", 0.500001, lambda m, x: m.tanh(1e5 * (x - 0.5))),
    Row("narrow Gaussian", 0.500001, lambda m, x: m.exp(-((1e5 * (x - 0.5)) ** 2))),
    Row("narrow Gaussian from afar", 0.51, lambda m, x: m.exp(-((1e5 * (x - 0.5)) ** 2))),
    Row("line and narrow Gaussian", 0.500001, lambda m, x: x + m.exp(-((1e5 * (x - 0.5)) ** 2))),
    Row("line and small bump", 0.500001, lambda m, x: x + 1e-6 * m.exp(-((1e6 * (x - 0.5)) ** 2))),
    Row("ripple 1e-3", 1.0, lambda m, x: x + 1e-3 * m.sin(1e3 * x)),
    Row("ripple 1e-6", 1.0, lambda m, x: x + 1e-6 * m.sin(1e6 * x)),
    Row("ripple 1e-9", 1.0, lambda m, x: x + 1e-9 * m.sin(1e9 * x)),
    Row("ripple 1e-12", 1.0, lambda m, x: x + 1e-12 * m.sin(1e12 * x)),
    Row("ripple 1e-9 on exp", 0.7, lambda m, x: m.exp(x) + 1e-9 * m.cos(1e9 * x)),
    Row("dyadic ripple", 0.3, lambda m, x: x + m.sin(2 * math.pi * 2**20 * x) / 2**20),
    Row("dyadic period 1/64", 0.3, lambda m, x: m.sin(2 * math.pi * 64 * x)),
    Row("dyadic period at dyadic x", 0.25, lambda m, x: m.sin(2 * math.pi * 64 * x)),
    Row("dyadic period 2⁻²⁰", 0.3, lambda m, x: m.cos(2 * math.pi * 2**20 * x)),
    Row("aliased sine", 0.3, lambda m, x: m.sin(2048 * x)),
    Row("line and sine at 1e6", 1e6, lambda m, x: x + m.sin(x)),
    Row("line and sine at 1e9", 1e9, lambda m, x: x + m.sin(x)),
    Row("cos of 1e5 x", 0.7, lambda m, x: m.cos(1e5 * x)),
    Row("chirp", 1e3, lambda m, x: m.sin(x**2)),
    Row("fast chirp", 1e5, lambda m, x: m.sin(x**2)),
    Row("sin of exp", 10.0, lambda m, x: m.sin(m.exp(x))),
    Row("two tones", 0.4, lambda m, x: m.sin(x) + 1e-3 * m.sin(1e4 * x) + 1e-7 * m.sin(1e7 * x)),
    Row("Weierstrass, 12 terms", 0.4, weierstrass),
)

CANCELLATION: Final = (
    Row("(1 - cos x)/x² at 1e-4", 1e-4, lambda m, x: (1 - m.cos(x)) / x**2),
    Row("(1 - cos x)/x² at 1e-2", 1e-2, lambda m, x: (1 - m.cos(x)) / x**2),
    Row("expanded (x-1)⁷", 1.01, expanded_power),
    Row("1e12 + x²", 1.0, lambda m, x: 1e12 + x**2),
    Row("1e16 + x", 1.0, lambda m, x: 1e16 + x),
    Row("(x + 1e10) - 1e10", 1.0, lambda m, x: (x + 1e10) - 1e10),
    Row("(exp x - 1 - x)/x²", 1e-5, lambda m, x: (m.exp(x) - 1 - x) / x**2),
    Row("naive expm1", 1e-30, lambda m, x: m.exp(x) - 1),
    Row("naive log1p", 1e-10, lambda m, x: m.log(1 + x)),
    Row("sqrt(x² + 1) - x", 1e6, lambda m, x: m.sqrt(x**2 + 1) - x),
    Row("sin x - x", 1e-3, lambda m, x: m.sin(x) - x),
    Row("tan x - sin x", 1e-4, lambda m, x: m.tan(x) - m.sin(x)),
    Row("root of a quadratic", 1.0, lambda m, x: (m.sqrt(1e16 - 4 * x) - 1e8) / 2),
    Row("removable pole", 1 + 1e-6, lambda m, x: (x**2 - 1) / (x - 1)),
    Row("sine over itself", 1e-7, lambda m, x: m.sin(x) / x),
)

SATURATION: Final = (
    Row("tanh at 20", 20.0, lambda m, x: m.tanh(x)),
    Row("tanh at 15", 15.0, lambda m, x: m.tanh(x)),
    Row("sigmoid at 30", 30.0, sigmoid),
    Row("sigmoid at -30", -30.0, sigmoid),
    Row("sigmoid at -700", -700.0, sigmoid),
    Row("erf at 5", 5.0, lambda m, x: m.erf(x)),
    Row("erfc at 5", 5.0, lambda m, x: m.erfc(x)),
    Row("erfc at 20", 20.0, lambda m, x: m.erfc(x)),
    Row("gelu at -5", -5.0, gelu),
    Row("gelu at -8", -8.0, gelu),
    Row("gelu at -30", -30.0, gelu),
    Row("naive softplus at -30", -30.0, lambda m, x: m.log(1 + m.exp(x))),
    Row("naive softplus at 40", 40.0, lambda m, x: m.log(1 + m.exp(x))),
    Row("naive logsigmoid at 40", 40.0, lambda m, x: m.log(sigmoid(m, x))),
    Row("exp(-1/x²) at 0.1", 0.1, lambda m, x: m.exp(-1 / x**2)),
    Row("exp(-1/x²) at 0.05", 0.05, lambda m, x: m.exp(-1 / x**2)),
    Row("exp(-1/x²) at 0.03", 0.03, lambda m, x: m.exp(-1 / x**2)),
    Row("exp(-1/x) at 0.005", 0.005, lambda m, x: m.exp(-1 / x)),
    Row("1 - exp(-x) at 40", 40.0, lambda m, x: 1 - m.exp(-x)),
    Row("a constant", 1.5, lambda m, x: 0 * x + 3.3),
    Row("a constant 0", 1.5, lambda m, x: 0 * x),
)

EDGES: Final = (
    Row("sqrt at 1e-12", 1e-12, lambda m, x: m.sqrt(x)),
    Row("asin beside 1", 1 - 1e-10, lambda m, x: m.asin(x)),
    Row("acos beside -1", -1 + 1e-6, lambda m, x: m.acos(x)),
    Row("acosh beside 1", 1 + 1e-8, lambda m, x: m.acosh(x)),
    Row("atanh beside 1", 1 - 1e-9, lambda m, x: m.atanh(x)),
    Row("log1p beside -1", -1 + 1e-12, lambda m, x: m.log1p(x)),
    Row("sqrt(1 - x) beside 1", 1 - 1e-9, lambda m, x: m.sqrt(1 - x)),
    Row("a pole 1e-7 away", 1 + 1e-7, lambda m, x: 1 / (x - 1)),
    Row("a double pole 1e-5 away", 2 - 1e-5, lambda m, x: x / (x - 2) ** 2),
    Row("a small pole nearby", 0.5 + 1e-4, lambda m, x: x + 1e-9 / (x - 0.5)),
    Row("tan beside its pole", math.pi / 2 - 1e-6, lambda m, x: m.tan(x)),
    Row("x·log x, tiny", 1e-20, lambda m, x: x * m.log(x)),
    Row("log at 1", 1.0, lambda m, x: m.log(x)),
    Row("log of log", math.e, lambda m, x: m.log(m.log(x))),
    Row("lgamma, tiny", 1e-10, lgamma),
    Row("lgamma at its root", 2.0, lgamma),
    Row("lgamma, huge", 1e5, lgamma),
    Row("lgamma beside a pole", -2.9999, lgamma),
    Row("digamma at its root", 1.4616321449683622, lambda m, x: m.digamma(x)),
    Row("digamma beside a pole", -1.0001, lambda m, x: m.digamma(x)),
    Row("smoothed |x|", 1e-12, lambda m, x: m.sqrt(x**2 + 1e-24)),
    Differing(
        "atan2 beside its cut",
        1e-6,
        lambda x: torch.atan2(x, -torch.ones_like(x)),
        lambda x: mp.atan2(x, -1),
    ),
    Differing(
        "a NaN beside a good output",
        1.0,
        lambda x: torch.stack([torch.sin(x), torch.log(-x)], dim=-1),
        mp.sin,
    ),
)

PIECES: Final = (
    Row("relu beside 0", 1e-9, relu),
    Row("relu below 0", -1e-9, relu),
    Row("relu on a shelf", -1e-3, lambda m, x: 10 + relu(m, x)),
    Row("huber close to its seam", 1 - 1e-7, huber),
    Row("huber at its seam", 1.0, huber),
    Row("a kink 1e-7 away", 1 + 1e-7, lambda m, x: abs(x - 1)),
    Row("a kink 1e-12 away", 1 - 1e-12, lambda m, x: abs(x - 1)),
    Row("a faint kink 1e-7 away", 1 + 1e-7, lambda m, x: x + 1e-4 * abs(x - 1)),
    Row("a seam of squares 1e-7 away", 1e-7, lambda m, x: m.exp(x) + relu(m, x) ** 2),
    Row("a jump 1e-9 away", 2 + 1e-9, lambda m, x: m.floor(x) + x),
    Row("floor between steps", 2.001, lambda m, x: m.floor(x)),
    Row("a slope on stairs", 300.1, lambda m, x: m.floor(x**2 / 3) * x),
    Row("rounded to 1e-4", 0.33333, lambda m, x: rounded(m, x * 1e4) / 1e4),
    Row("rounded to 1e-9", 0.33333, lambda m, x: rounded(m, x * 1e9) / 1e9),
    Row("sine rounded to 1/1024", 0.6, lambda m, x: rounded(m, m.sin(x) * 1024) / 1024),
    Row("fine stairs and a line", 0.7, lambda m, x: x + rounded(m, x * 1e6) / 1e6),
    Row("sawtooth", 0.999999, lambda m, x: x - m.floor(x)),
    Row("64 kinks", 0.5 + 1e-4, many_kinks),
    Row("|x|^1.5 at 0", 0.0, lambda m, x: abs(x) ** 1.5),
    Row("|x|³ at 0", 0.0, lambda m, x: abs(x) ** 3),
    Differing("x²·sin(1/x) at 0", 0.0, damped, lambda x: 0 * x),  # it lies between ±x²
    Differing("float32 inside", 1.0, lambda x: x.float().sin().double(), mp.sin),
    Differing("float32 square", 3.3, lambda x: (x.float() ** 2).double(), lambda x: x * x),
    Differing("bfloat16 inside", 0.5, lambda x: torch.tanh(x.bfloat16()).double(), mp.tanh),
)

PROGRAMS: Final = (
    Row("logistic map, chaotic", 0.3, logistic(3.9, 50)),
    Row("logistic map, less so", 0.3, logistic(3.7, 20)),
    Row("logistic map, at rest", 0.3, logistic(2.9, 50)),
    Row("Newton's square root", 7.3, newton_root),
    Row("Wilkinson's polynomial", 10.001, wilkinson),
    Row("continued fraction", 0.8, continued_fraction),
    Row("series of exp at -20", -20.0, series_of_exp),
    Differing(
        "sum of 2,000 sines",
        0.5,
        long_sum,
        lambda x: mp.fsum(mp.sin(k * x) / k**2 for k in range(1, 2001)),
    ),
    Differing(
        "alternating sum of 10,000",
        0.5,
        alternating_sum,
        lambda x: mp.fsum((-1) ** k * 1000 * mp.cos(x / k) for k in range(1, 10_001)),
    ),
    Differing("Newton until it is near", 7.3, smallest_step, mp.sqrt),
    Differing("a Python branch", 1.3, branch, mp.exp),
    Differing("a Python branch, 1e-6 away", 1 - 1e-6, branch, lambda x: 1 + x),
    Differing("sine by Python", 0.9, python_sine, lambda x: mp.sin(3 * x)),
    Differing("refuses nearby points", 0.501, refusing, lambda x: mp.log(x - 0.5)),
    Differing("bisection to 1e-10", 3.3, bisected, mp.cbrt),
)

BROKEN: Final = (
    Broken("sqrt at 0", 0.0, torch.sqrt, "edge"),
    Broken("asin at 1", 1.0, torch.asin, "edge"),
    Broken("x^1.5 at 0", 0.0, lambda x: x**1.5, "edge", (math.nan, 0.0)),
    Broken("log at 0", 0.0, torch.log, "undefined"),
    Broken("1/x at 0", 0.0, torch.reciprocal, "undefined"),
    Broken("sin(1/x) at 0", 0.0, lambda x: torch.sin(1 / x), "undefined"),
    Broken("relu at 0", 0.0, torch.relu, "kink", (0.0, 1.0)),
    Broken("|x| at 0", 0.0, torch.abs, "kink", (-1.0, 1.0)),
    Broken("max(x, x²) at 1", 1.0, lambda x: torch.maximum(x, x * x), "kink", (1.0, 2.0)),
    Broken("|sin x| at 0", 0.0, lambda x: torch.sin(x).abs(), "kink", (-1.0, 1.0)),
    Broken("clamp at its border", 1.0, lambda x: x.clamp(max=1.0), "kink", (1.0, 0.0)),
    Broken("a faint kink", 1.0, lambda x: x + 1e-5 * (x - 1).abs(), "kink", (1 - 1e-5, 1 + 1e-5)),
    Broken("a fainter kink", 0.0, lambda x: x + 1e-9 * x.abs(), "kink", (1 - 1e-9, 1 + 1e-9)),
    Broken("floor at 2", 2.0, torch.floor, "jump", (math.inf, 0.0)),
    Broken("sign at 0", 0.0, torch.sign, "jump", (math.inf, math.inf)),
    Broken("x²//3·x at 300", 300.0, lambda x: x**2 // 3 * x, "jump", (math.inf, 30000.0)),
    Broken(
        "a jump of 1e-6", 1.0, lambda x: x + 1e-6 * torch.sign(x - 1), "jump", (math.inf, math.inf)
    ),
    Broken(
        "atan2 at its cut",
        0.0,
        lambda x: torch.atan2(x, -torch.ones_like(x)),
        "jump",
        (math.inf, -1.0),
    ),
    Broken("√|x| at 0", 0.0, lambda x: x.abs().sqrt(), "cusp", (-math.inf, math.inf)),
    Broken(
        "cube root at 0",
        0.0,
        lambda x: x.sign() * x.abs() ** (1 / 3),
        "vertical",
        (math.inf, math.inf),
    ),
    Broken("x·sin(1/x) at 0", 0.0, damped_once, "oscillates"),
    Broken("a Python branch at 0", 0.0, lambda x: x if x.item() > 0 else -x, "kink", (-1.0, 1.0)),
)


def functions() -> list[Hard]:
    """All of them, family by family."""
    families: dict[str, tuple[Row | Differing | Broken, ...]] = {
        "scale": SCALE,
        "oscillation": OSCILLATION,
        "cancellation": CANCELLATION,
        "saturation": SATURATION,
        "edges": EDGES,
        "pieces": PIECES,
        "programs": PROGRAMS,
        "no derivative": BROKEN,
    }
    return [_hard(family, row) for family, rows in families.items() for row in rows]


def _hard(family: str, row: Row | Differing | Broken) -> Hard:
    if isinstance(row, Broken):
        return Hard(family, row.name, row.x, row.function, None, row.why, row.sides)
    if isinstance(row, Differing):
        return Hard(family, row.name, row.x, row.function, row.precise)
    formula = row.formula
    return Hard(family, row.name, row.x, lambda x: formula(torch, x), lambda x: formula(mp, mpf(x)))
