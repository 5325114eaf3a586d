"""What each condition costs at a million entries, in forward-backward passes, and the memory.

    python tests/benchmarks/conditions.py

Each function runs in a process of its own, on one thread; a condition's time is the smallest of
several, warm. The memory is the peak above that of a process that only imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from layers import ENTRIES, SEED, Gelu, memory, peak_memory
from torch import Tensor

import gradcheck
from gradcheck.conditions.names import DEFAULT
from gradcheck.conditions.subject import NotApplicableError, Subject
from gradcheck.conditions.table import TABLE
from gradcheck.python_function import PythonFunction
from gradcheck.torch_state import checking

REPEATS: Final = 7
KEEP: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""Memory is not given back to the system in between: that takes most of a pass, or nothing."""


class Gated(torch.autograd.Function):
    """silu(x)·y, with a backward written by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return x * torch.sigmoid(x) * y

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor]:
        (g,), (x, y) = cotangents, ctx.saved_tensors
        s = torch.sigmoid(x)
        return g * y * (s + x * s * (1 - s)), g * x * s


FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Tensor], tuple[int, ...]]]] = {
    "GELU by hand": (Gelu.apply, (ENTRIES,)),
    "silu(x)·y by hand": (Gated.apply, (ENTRIES, ENTRIES)),
    "silu(x)·y, matrices": (Gated.apply, (1000, 1000)),
}


def inputs(name: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    _, sizes = FUNCTIONS[name]
    shapes = [sizes, sizes] if name.endswith("matrices") else [(size,) for size in sizes]
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def seconds(call: Callable[[], object]) -> float:
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def one_pass(function: Callable[..., Tensor], given: list[Tensor]) -> None:
    leaves = [x.clone().requires_grad_() for x in given]
    out = function(*leaves)
    torch.autograd.grad(out, leaves, torch.ones_like(out))


def measured(name: str) -> dict[str, Any]:
    function, given = FUNCTIONS[name][0], inputs(name)
    one_pass(function, given)
    unit = seconds(lambda: one_pass(function, given))
    none = seconds(lambda: gradcheck.check(function, tuple(given), conditions="none"))
    memory_of_check = peak_memory()
    everything = seconds(lambda: gradcheck.check(function, tuple(given)))
    passes: dict[str, Any] = {
        "the derivative": none / unit,
        "with all conditions": everything / unit,
    }
    with checking():
        at = PythonFunction(function, tuple(given))
        for condition in DEFAULT:
            found = min(of_condition(condition, at) for _ in range(REPEATS))
            passes[condition] = found / unit if found else None
    return {
        "pass": unit,
        "passes": passes,
        "bytes": memory_of_check,
        "bytes with all": peak_memory(),
    }


def of_condition(name: str, at: PythonFunction) -> float:
    """Its seconds, after the one pass that all conditions share; 0 where it says nothing."""
    subject = Subject(at)
    subject.gradients  # noqa: B018
    start = time.perf_counter()
    try:
        for problem in TABLE[name](subject):
            raise AssertionError(problem)
    except NotApplicableError:
        return 0.0
    return time.perf_counter() - start


def alone(name: str) -> dict[str, Any]:
    command = [sys.executable, __file__, name]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **KEEP}
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    found = {name: alone(name) for name in FUNCTIONS}
    base = alone("nothing")["bytes"]
    print(f"| passes | {' | '.join(found)} |\n|{'---|' * (1 + len(found))}")
    for row in next(iter(found.values()))["passes"]:
        cells = [one["passes"][row] for one in found.values()]
        shown = ["–" if cell is None else f"{cell:.1f}" for cell in cells]
        print(f"| {row} | {' | '.join(shown)} |")
    passes = (f"{1e3 * one['pass']:.0f} ms" for one in found.values())
    print(f"| one pass | {' | '.join(passes)} |")
    for what, key in (("memory of the derivative", "bytes"), ("memory with all", "bytes with all")):
        cells = [memory({"bytes": one[key]}, base) for one in found.values()]
        print(f"| {what} | {' | '.join(cells)} |")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if len(sys.argv) < 2:
        main()
    elif sys.argv[1] == "nothing":
        print(json.dumps({"bytes": peak_memory()}))
    else:
        print(json.dumps(measured(sys.argv[1])))
