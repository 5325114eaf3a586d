"""Functions with many entries: a dense layer and an elementwise function, ours and torch's.

    python tests/benchmarks/layers.py [SEED]

Each check runs in a process of its own, on one thread; its memory is the peak above that of a
process that only imports. An error is planted in one entry of the Jacobian that autograd gives.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.autograd.gradcheck import gradcheck as torchs_gradcheck

import gradcheck

Function = Callable[[Tensor], Tensor]

SEED: Final = 20270312
SIZES: Final = (10, 100, 300, 1000, 2000)
MOST_SLOW: Final = 1000
"""The largest size for torch's slow mode, which needs a dense Jacobian twice."""
POSITIONS: Final = 5
"""At which the smallest error is looked for that is noticed."""
SMALLEST: Final = 14
"""Errors are 10^-k of the largest entry, k = 0 … SMALLEST."""
MANY_POSITIONS, MANY_SIZE, MANY_ERROR = 20, 1000, 1e-6
ENTRIES: Final = 1_000_000
MEBIBYTE: Final = 2**20


class Verdict(NamedTuple):
    is_right: bool
    entry: tuple[int, ...] | None = None
    """The one that is named first."""


# -- the checks --------------------------------------------------------------------------------


def ours(function: Function, x: Tensor) -> Verdict:
    report = gradcheck.check(function, x, conditions="none")
    entries = [entry.index for result in report.results for entry in result.entries]
    return Verdict(report.ok, entries[0] if entries else None)


def slow(function: Function, x: Tensor) -> Verdict:
    return Verdict(torchs_gradcheck(function, x, raise_exception=False))


def fast(function: Function, x: Tensor) -> Verdict:
    return Verdict(torchs_gradcheck(function, x, raise_exception=False, fast_mode=True))


Check = Callable[[Function, Tensor], Verdict]
CHECKS: Final[dict[str, Check]] = {"ours": ours, "slow": slow, "fast": fast}


# -- the functions -----------------------------------------------------------------------------


class Layer:
    """x ↦ tanh(W x), with an error in entry (i, j) of the Jacobian in autograd's eyes."""

    def __init__(self, size: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed + size)
        numbers = torch.randn(size + 1, size, generator=generator, dtype=torch.float64)
        self.weight = numbers[1:] / math.sqrt(size)
        self.x = numbers[0].clone().requires_grad_()
        slope = 1 - torch.tanh(self.weight @ self.x.detach()) ** 2
        self.largest = float((slope[:, None] * self.weight).abs().max())

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(self.weight @ x)

    def wrong(self, position: tuple[int, int], relative: float) -> Function:
        """The error is relative to the largest entry."""
        row, column = position
        unit = torch.zeros(len(self.x), dtype=torch.float64)
        unit[row] = relative * self.largest

        def function(x: Tensor) -> Tensor:
            return self(x) + unit * (x[column] - x[column].detach())

        return function

    def positions(self, count: int, seed: int) -> list[tuple[int, int]]:
        draw = random.Random(seed)
        return [(draw.randrange(len(self.x)), draw.randrange(len(self.x))) for _ in range(count)]


class Gelu(torch.autograd.Function):
    """x · (1 + tanh u) / 2, u = √(2/π) · (x + 0.044715 x³), with a backward written by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * (1 + torch.tanh(SLOPE * (x + CUBIC * x**3))) / 2

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        t = torch.tanh(SLOPE * (x + CUBIC * x**3))
        inner = SLOPE * (1 + 3 * CUBIC * x**2)
        return cotangents[0] * ((1 + t) / 2 + x * (1 - t**2) * inner / 2)


SLOPE, CUBIC = math.sqrt(2 / math.pi), 0.044715


class Scaled(torch.autograd.Function):
    """The identity, with a backward that multiplies by a factor."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * cotangents[0], None


ELEMENTWISE: Final[dict[str, Function]] = {"GELU by hand": Gelu.apply, "torch.tanh": torch.tanh}
FACTORS: Final = {"right": 1.0, "zero": 0.0, "times 1 + 1e-6": 1 + 1e-6}


def scaled(function: Function, factor: float) -> Function:
    return lambda x: Scaled.apply(function(x), factor)


def many_numbers(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(ENTRIES, generator=generator, dtype=torch.float64)
    return numbers.requires_grad_()


# -- in a process of its own -------------------------------------------------------------------


def measure_nothing(seed: int) -> dict[str, Any]:
    return {}


def measure_layer(seed: int, check: str, size: str) -> dict[str, Any]:
    CHECKS[check](*small(seed))  # the first call takes longer
    layer = Layer(int(size), seed)
    return {"seconds": least(lambda: CHECKS[check](layer, layer.x))}


def measure_elementwise(seed: int, name: str) -> dict[str, Any]:
    function, x = ELEMENTWISE[name], many_numbers(seed)
    ours(function, x)
    checked = least(lambda: ours(function, x))
    return {"seconds": checked, "pass": least(lambda: forward_backward(function, x))}


MEASURES: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "nothing": measure_nothing,
    "layer": measure_layer,
    "elementwise": measure_elementwise,
}


def forward_backward(function: Function, x: Tensor) -> None:
    output = function(x)
    torch.autograd.grad(output, x, torch.ones_like(output))


def small(seed: int) -> tuple[Layer, Tensor]:
    layer = Layer(8, seed)
    return layer, layer.x


def least(call: Callable[[], object], total: float = 0.5) -> float:
    """The least wall time of some calls, which together take about so long."""
    times: list[float] = []
    while not times or (sum(times) < total and len(times) < 50):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def alone(seed: int, *words: str) -> dict[str, Any]:
    """What a process of its own measures, and its peak memory in bytes."""
    done = subprocess.run(
        [sys.executable, __file__, str(seed), *words], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# -- the tables --------------------------------------------------------------------------------


def smallest(is_seen: Callable[[float], bool]) -> str:
    """The smallest power of ten, at most 1, that is seen."""
    seen, unseen = -1, SMALLEST + 1
    while unseen - seen > 1:
        middle = (seen + unseen) // 2
        seen, unseen = (middle, unseen) if is_seen(10.0**-middle) else (seen, middle)
    return f"{10.0**-seen:.0e}" if seen >= 0 else "none"


def smallest_seen(name: str, layer: Layer, seed: int) -> tuple[str, str]:
    """The smallest error noticed and the smallest named, each at all of some positions."""
    positions, check = layer.positions(POSITIONS, seed), CHECKS[name]

    def found(error: float) -> Iterator[tuple[Verdict, tuple[int, int]]]:
        return ((check(layer.wrong(position, error), layer.x), position) for position in positions)

    noticed = smallest(lambda error: all(not one.is_right for one, _ in found(error)))
    if name != "ours":
        return noticed, "–"
    return noticed, smallest(lambda error: all(one.entry == at for one, at in found(error)))


def print_layers(seed: int, base: float) -> None:
    print(f"One dense layer n → n, x ↦ tanh(W x), seed {seed}\n")
    heads = ["n", "check", "time", "ours / it", "memory", "smallest error noticed", "named"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for size in SIZES:
        layer = Layer(size, seed)
        names = [name for name in CHECKS if name != "slow" or size <= MOST_SLOW]
        found = {name: alone(seed, "layer", name, str(size)) for name in names}
        for name, one in found.items():
            ratio = found["ours"]["seconds"] / one["seconds"]
            print(
                f"| {size} | {name} | {1e3 * one['seconds']:.2f} ms | {ratio:.3g} "
                f"| {memory(one, base)} | {' | '.join(smallest_seen(name, layer, seed))} |",
                flush=True,
            )


def print_many_positions(seed: int) -> None:
    layer = Layer(MANY_SIZE, seed)
    positions = layer.positions(MANY_POSITIONS, seed + 1)
    found = [ours(layer.wrong(position, MANY_ERROR), layer.x) for position in positions]
    fails = sum(not one.is_right for one in found)
    named = sum(one.entry == position for one, position in zip(found, positions, strict=True))
    print(
        f"\nn = {MANY_SIZE}, an error of {MANY_ERROR:g} of the largest entry at {len(positions)} "
        f"random positions: {fails} fail, {named} named by row and column"
    )


def print_elementwise(seed: int, base: float) -> None:
    print(f"\nElementwise, {ENTRIES:,} entries\n")
    heads = ["function", "warm check", "a pass", "passes", "memory", *FACTORS]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, function in ELEMENTWISE.items():
        one = alone(seed, "elementwise", name)
        cells = [
            name,
            f"{1e3 * one['seconds']:.0f} ms",
            f"{1e3 * one['pass']:.0f} ms",
            f"{one['seconds'] / one['pass']:.1f}",
            memory(one, base),
            *verdicts(function, seed),
        ]
        print(f"| {' | '.join(cells)} |")


def verdicts(function: Function, seed: int) -> Sequence[str]:
    """On each backward: the right one, and wrong ones."""
    x = many_numbers(seed)
    functions = [scaled(function, factor) for factor in FACTORS.values()]
    return [gradcheck.check(one, x, conditions="none").verdict for one in functions]


def peak_memory() -> int:
    """That of this process, in bytes; `ru_maxrss` may be that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak) * 1024


def memory(found: dict[str, Any], base: float) -> str:
    return f"{(found['bytes'] - base) / MEBIBYTE:.0f} MiB"


def main(seed: int = SEED) -> None:
    base = alone(seed, "nothing")["bytes"]
    print_layers(seed, base)
    print_many_positions(seed)
    print_elementwise(seed, base)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        outcome = MEASURES[sys.argv[2]](int(sys.argv[1]), *sys.argv[3:])
        print(json.dumps({**outcome, "bytes": peak_memory()}))
    else:
        main(*map(int, sys.argv[1:]))
