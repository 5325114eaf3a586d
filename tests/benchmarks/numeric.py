"""How well derivatives are known from values alone: our numeric oracle, torch, scipy, one step.

    python tests/benchmarks/numeric.py [COUNT] [SEED] [-v]

asks each for the derivatives of hard functions at known points, and of COUNT random compositions,
whose truth the exact oracle proves; then holds a right derivative and two wrong ones against what
it answered. `-v` lists every hard function, and the compositions whose stated bound is wrong.
"""

from __future__ import annotations

import math
import random
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from flint import arb, arb_series
from hard_functions import Function, Hard, functions
from mpmath import mp, mpf
from rounding import composition
from scipy.differentiate import derivative as scipy_derivative
from torch import Tensor

from gradcheck.ball import Array, Ball
from gradcheck.casefile.case import Case
from gradcheck.casefile.load import load
from gradcheck.errors import EvaluationError
from gradcheck.functions import Segment
from gradcheck.oracles import numeric
from gradcheck.oracles.exact import DeclinedError
from gradcheck.place import Place
from gradcheck.rigorous.meaning import BallMeaning
from gradcheck.torch_state import checking
from gradcheck.truths import Truths
from gradcheck.verdict import judge

Claim = Literal["right", "off by 1e-6", "off by 1e-3"]

COUNT: Final = 10_000
SEED: Final = 20270309
ERRORS: Final[dict[Claim, float]] = {"right": 0.0, "off by 1e-6": 1e-6, "off by 1e-3": 1e-3}
RESOLUTION: Final = 1e-6
SHARP: Final = 1e-8
STEP, ATOL, RTOL = 1e-6, 1e-5, 1e-3
"""Of the fixed difference: those of torch's gradcheck."""
BATCH: Final = 250
"""Compositions in a file."""
NEAR: Final = 1e-6
"""Beside max(1, |x|): a composition is smooth if no choice of relu, abs, maximum or elu changes
within that distance of x, as ball arithmetic proves."""


class Problem(NamedTuple):
    """A function, a point, and the derivative there; None where there is none."""

    name: str
    function: Function
    x: float
    truth: Ball | None
    is_smooth: bool
    note: str = ""


class Found(NamedTuple):
    value: float
    radius: float
    note: str = ""


class Outcome(NamedTuple):
    """What a method made of a problem; `found` is None where it states no radius."""

    found: Found | None
    verdicts: dict[Claim, str]
    evaluations: int
    seconds: float


def tensor(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


class Counted:
    """A function that counts the points at which it is evaluated."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self.count = 0

    def __call__(self, x: Tensor) -> Tensor:
        result = self._function(x)
        functorch = torch._C._functorch
        batch = functorch.get_unwrapped(x) if functorch.is_batchedtensor(x) else x
        self.count += batch.numel()
        return result


class Elementwise:
    """A function of numpy arrays, entry by entry; NaN where it raises."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def __call__(self, points: Array) -> Array:
        x = torch.from_numpy(np.array(points, dtype=np.float64))
        try:
            values = self._function(x)
        except Exception:
            values = torch.stack([self._one(entry) for entry in x.reshape(-1)]).reshape(x.shape)
        values = values[..., 0] if values.ndim > x.ndim else values
        return values.expand(x.shape).numpy().astype(np.float64)

    def _one(self, x: Tensor) -> Tensor:
        try:
            return self._function(x).to(torch.float64)
        except Exception:
            return tensor(math.nan)


# -- the methods -------------------------------------------------------------------------------


def ours(function: Function, x: float) -> Found:
    """A quick look, and the whole ladder where that is not enough."""
    ball = numeric.jacobian(function, tensor(x), effort="quick")
    note = "; ".join(ball.notes)
    return Found(float(ball.midpoint.flat[0]), float(ball.radius.flat[0]), note)


def scipys(function: Function, x: float) -> Found:
    with np.errstate(all="ignore"):
        result = scipy_derivative(Elementwise(function), x)
    if not (np.isfinite(result.df) and np.isfinite(result.error)):
        return Found(0.0, math.inf)
    return Found(float(result.df), float(result.error))


def judged(ask: Callable[[Function, float], Found], problem: Problem) -> Outcome:
    """What a method with a radius says of each claim, by our rule."""
    counted = Counted(problem.function)
    started = time.perf_counter()
    found = ask(counted, problem.x)
    seconds = time.perf_counter() - started
    numeric_truth = Ball(np.array(found.value), np.array(found.radius), "estimated")
    verdicts: dict[Claim, str] = {}
    for claim, slope in claims(problem).items():
        written = Ball(np.array(slope), np.array(4 * 2**-53 * abs(slope)), "bounded")
        answers = {"handwritten": written}
        verdicts[claim] = judge(
            numeric_truth, answers, lambda: natural_scale(problem), RESOLUTION
        ).verdict
    return Outcome(found, verdicts, counted.count, seconds)


def fixed_step(problem: Problem) -> Outcome:
    counted = Counted(problem.function)
    started = time.perf_counter()
    before, after = Elementwise(counted)(problem.x + STEP * np.array([-1.0, 1.0]))
    slope = float((after - before) / (2 * STEP))
    seconds = time.perf_counter() - started
    verdicts: dict[Claim, str] = {
        claim: "pass" if abs(written - slope) <= ATOL + RTOL * abs(slope) else "fail"
        for claim, written in claims(problem).items()
    }
    return Outcome(None, verdicts, counted.count, seconds)


class Claimed(torch.autograd.Function):
    """A function with a derivative that somebody wrote."""

    @staticmethod
    def forward(ctx, x: Tensor, function: Function, slope: float) -> Tensor:
        ctx.slope = slope
        return function(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.reshape(-1)[0] * ctx.slope, None, None


def torchs(problem: Problem) -> Outcome:
    counted = Counted(problem.function)
    verdicts: dict[Claim, str] = {}
    started = time.perf_counter()
    for claim, slope in claims(problem).items():
        verdicts[claim] = "pass" if _torch_accepts(counted, problem.x, slope) else "fail"
    asked = max(1, len(verdicts))
    return Outcome(None, verdicts, counted.count // asked, (time.perf_counter() - started) / asked)


def _torch_accepts(function: Function, x: float, slope: float) -> bool:
    point = tensor(x).requires_grad_()
    try:
        return torch.autograd.gradcheck(
            lambda x: Claimed.apply(x, function, slope), point, raise_exception=False
        )
    except Exception:
        return False


METHODS: Final[dict[str, Callable[[Problem], Outcome]]] = {
    "gradcheck's numeric oracle": lambda problem: judged(ours, problem),
    "scipy.differentiate": lambda problem: judged(scipys, problem),
    "torch.autograd.gradcheck": torchs,
    "central difference, h = 1e-6": fixed_step,
}


def claims(problem: Problem) -> dict[Claim, float]:
    """What somebody may have written; of a derivative 0 nothing relative is wrong."""
    if problem.truth is None:
        return {}
    slope = float(problem.truth.midpoint)
    wrong = {claim: slope * (1 + error) for claim, error in ERRORS.items() if error}
    return {"right": slope} | {claim: other for claim, other in wrong.items() if other != slope}


def natural_scale(problem: Problem) -> float:
    value = abs(float(problem.function(tensor(problem.x)).reshape(-1)[0]))
    return value / max(1.0, abs(problem.x))


# -- the problems ------------------------------------------------------------------------------


def hard_problem(hard: Hard) -> Problem:
    if hard.truth is None:
        sides = f", {hard.sides[0]:g} and {hard.sides[1]:g}" if hard.why == "kink" else ""
        return Problem(hard.name, hard.function, hard.x, None, False, f"{hard.why}{sides}")
    slope = float(hard.truth)
    with mp.workdps(60):
        rounding = math.nextafter(float(abs(hard.truth - mpf(slope))), math.inf)
    truth = Ball(np.array(slope), np.array(rounding), "bounded")
    return Problem(hard.name, hard.function, hard.x, truth, True, hard.family)


@dataclass
class Compositions:
    """Random compositions that the exact oracle knows; those that it declines are counted."""

    count: int
    seed: int
    declined: int = 0

    def __iter__(self) -> Iterator[Problem]:
        draw = random.Random(self.seed)
        left = self.count
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "random.grad.yaml")
            while left:
                lines = [line for number in range(BATCH) for line in case(draw, number)]
                path.write_text("cases:\n" + "\n".join(lines) + "\n", encoding="utf-8")
                for listed in load(path).cases:
                    problem = self._problem(listed)
                    if problem is None:
                        self.declined += 1
                    elif left:
                        left -= 1
                        yield problem

    def _problem(self, listed: Case) -> Problem | None:
        (claim,) = listed.claims
        try:
            place = Place.at(listed, listed.points[0], "float64", "cpu")
            truth = Truths(place).exact(claim).ball()
        except (DeclinedError, EvaluationError):
            return None
        segment, x = place.segment(claim), float(place.value("x"))
        return Problem(
            claim.steps[0].expression.text,
            lambda value: segment.value(value, place.meaning()),
            x,
            truth,
            is_smooth(place.exact_segment(claim), x),
            f"y = {float(place.value('y'))!r}",
        )


def case(draw: random.Random, number: int) -> list[str]:
    """A composition in which x occurs."""
    text = ""
    while not re.search(r"\bx\b", text):
        text = composition(draw, draw.randint(2, 5))
    return [
        f"  c{number}:",
        f"    inputs: {{x: {draw.gauss(0, 1.5):.4f}, y: {draw.gauss(0, 1.5):.4f}}}",
        f'    function: {{f: "{text}"}}',
        "    derivatives: {df/dx: 0}",
    ]


def is_smooth(segment: Segment, x: float) -> bool:
    around = arb_series([arb(x, NEAR * max(1.0, abs(x))), 1], 2)
    try:
        segment.value(around, BallMeaning())
    except EvaluationError:
        return False
    return True


# -- the table ---------------------------------------------------------------------------------

Result = tuple[Problem, Outcome]


def is_violated(problem: Problem, found: Found) -> bool:
    if problem.truth is None:
        return found.radius < math.inf
    error = abs(found.value - float(problem.truth.midpoint))
    return error > 2 * found.radius + float(problem.truth.radius)


def relative(problem: Problem, radius: float) -> float:
    """Beside the derivative, or the function's scale where that is 0."""
    slope = abs(float(problem.truth.midpoint)) if problem.truth else 0.0
    return radius / (slope or natural_scale(problem) or 1.0)


def row(results: list[Result]) -> str:
    with_truth = [(p, o) for p, o in results if p.truth is not None]
    smooth = [(p, o) for p, o in with_truth if p.is_smooth]
    verdicts = {
        claim: Counter(o.verdicts[claim] for _, o in with_truth if claim in o.verdicts)
        for claim in ERRORS
    }
    outside = false = sharp = infinite = "–"
    if with_truth[0][1].found is not None:
        outside = str(sum(is_violated(p, o.found) for p, o in with_truth))
        false = str(sum(is_violated(p, o.found) for p, o in results if p.truth is None))
        sharp = share(relative(p, o.found.radius) < SHARP for p, o in smooth)
        infinite = share(math.isinf(o.found.radius) for _, o in smooth)
    cells = [
        outside, false, sharp, infinite,
        share(o.verdicts["right"] == "inconclusive" for _, o in smooth),
        str(verdicts["right"]["fail"]),
        *(percent(verdicts["off by 1e-6"], verdict) for verdict in ("fail", "inconclusive")),
        str(verdicts["off by 1e-6"]["pass"]),
        percent(verdicts["off by 1e-3"], "pass"),
        f"{np.median([o.evaluations for _, o in results]):.0f}",
        f"{1e3 * np.median([o.seconds for _, o in results]):.2f}",
    ]  # fmt: skip
    return "".join(f"{cell:>9}" for cell in cells)


def share(those: Iterable[bool]) -> str:
    listed = list(those)
    return f"{np.mean(listed):.1%}" if listed else "–"


def percent(counts: Counter[str], verdict: str) -> str:
    return f"{counts[verdict] / counts.total():.1%}" if counts else "–"


HEAD: Final = (
    f"{'':30}" + "".join(
        f"{word:>9}" for word in (
            "outside", "at none", "< 1e-8", "infinite", "unsure", "right", "1+1e-6:", "", "",
            "1+1e-3", "evalu-", "median",
        )
    ) + f"\n{'':30}" + "".join(
        f"{word:>9}" for word in (
            "2 radii", "finite", "", "", "", "“wrong”", "fail", "unsure", "pass", "pass",
            "ations", "ms",
        )
    )
)  # fmt: skip


def run(problems: Iterable[Problem]) -> dict[str, list[Result]]:
    results: dict[str, list[Result]] = {name: [] for name in METHODS}
    for problem in problems:
        for name, method in METHODS.items():
            results[name].append((problem, method(problem)))
    return results


def print_block(title: str, results: dict[str, list[Result]]) -> None:
    print(f"\n{title}")
    for name, listed in results.items():
        print(f"  {name:28}{row(listed)}")


def print_listed(results: list[Result]) -> None:
    """Our answers, problem by problem; `!` marks those outside of twice the radius."""
    print(
        f"\n  {'function':28}{'x':>14}{'truth':>16}{'ours':>16}{'radius':>10}{'err/rad':>9}  note"
    )
    for problem, outcome in results:
        found = outcome.found
        mark = "!" if is_violated(problem, found) else " "
        truth = ours = ratio = "none"
        if problem.truth is not None:
            slope = float(problem.truth.midpoint)
            truth, ratio = f"{slope:.8g}", "–"
            if found.radius > 0:
                ratio = f"{abs(found.value - slope) / found.radius:.2g}"
        if found.radius < math.inf:
            ours = f"{found.value:.8g}"
        print(
            f"{mark} {problem.name:28}{problem.x:14.8g}{truth:>16}{ours:>16}{found.radius:10.2g}"
            f"{ratio:>9}  {'; '.join(filter(None, [problem.note, found.note]))}"
        )


Results = dict[str, list[Result]]


def measured(count: int, seed: int) -> tuple[list[Problem], Results, Compositions, Results]:
    """The hard functions and random compositions, each with what every method makes of it."""
    with checking(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hard = [hard_problem(one) for one in functions()]
        run(hard[:3])  # the first calls take longer
        hard_results = run(hard)
        compositions = Compositions(count, seed)
        return hard, hard_results, compositions, run(compositions)


def main(count: int = COUNT, seed: int = SEED, *, is_verbose: bool = False) -> None:
    torch.set_num_threads(1)
    hard, hard_results, compositions, results = measured(count, seed)
    with_truth = sum(problem.truth is not None for problem in hard)
    ours_name = next(iter(METHODS))
    smooth = sum(problem.is_smooth for problem, _ in results[ours_name])
    print(f"seed {seed}\n\n{HEAD}")
    print_block(
        f"{with_truth} hard functions with a derivative, {len(hard) - with_truth} with none",
        hard_results,
    )
    declined = f"{compositions.declined:,} more declined by the exact oracle"
    print_block(f"{count:,} random compositions, {smooth:,} smooth; {declined}", results)
    if is_verbose:
        print_listed(hard_results[ours_name])
        print_listed([one for one in results[ours_name] if is_violated(one[0], one[1].found)])


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word != "-v"]
    main(*numbers, is_verbose="-v" in sys.argv[1:])
