"""torch's own operators: our drop-in against `torch.autograd.gradcheck`, and planted errors.

    python tests/benchmarks/operators.py [--limit N] [--seed S] [--only NAME] [-v]

asks both of the first two float64 samples of every differentiable operator of torch's operator
database that have at most 200 entries to differentiate by, then multiplies one entry of each
Jacobian, as autograd gives it, by 1 + 1e-5. `-v` prints the reports of what is not right.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
import types
import unittest
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import gradcheck as torchs_gradcheck
from torch.utils import _pytree

import gradcheck
from gradcheck.python_function import PythonFunction
from gradcheck.report.report import Report
from gradcheck.results import WORST_FIRST
from gradcheck.torch_compat import TorchGradcheckError

SAMPLES: Final = 2
"""Of each operator: the first ones."""
MOST_ENTRIES: Final = 200
"""Of the tensors of a sample that require grad."""
PLANTED: Final = 1e-5
"""Relative to the entry that is changed."""
SMALLEST: Final = 1e-3
"""An entry is changed if it is at least this part of the largest of the Jacobian."""

CAUSES: Final = {
    "the forward of polygamma(1, x) is off by 4e-10 (mpmath), so is its slope": "polygamma",
    "torch's derivative of digamma, polygamma(1, x), is off by 4e-10 (mpmath)": "digamma",
    "torch's backward multiplies by 1/6 in float32": "nn.functional.hardsigmoid",
    "torch's backward drops the cotangents of mean and rstd where that of out is undefined": (
        "native_group_norm"
    ),
    "torch does not differentiate by the parameters of a distribution": "normal",
    "torch's gradient by `self` is wrong, also where nothing overlaps": "as_strided_scatter",
    "the sample writes to one place twice: which one counts is not defined": (
        "nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d"
    ),
    "sparse inputs whose unspecified elements count for the check, not for torch": (
        "sparse.mm.reduce sparse.sampled_addmm"
    ),
    "the function is not finite at the sample": "__rpow__",
    "the function jumps at the sample: a target of ±1, or the number of entries that are not 0": (
        "nn.functional.cosine_embedding_loss nn.functional.hinge_embedding_loss "
        "linalg.norm.subgradients_at_zero"
    ),
    "the result is rounded to 8 or 11 bits, the input is not": "bfloat16 half chalf",
    "the result is rounded to 24 bits: torch's one step does not see a change": "float cfloat",
    "saturated: all entries are below 1e-16, rounding of the values above": (
        "nn.functional.multi_head_attention_forward"
    ),
}
"""What the disagreements come from that were looked into, by the operators they were met in."""

Function = Callable[..., Any]


SEED: Final = 20270311


class Sample(NamedTuple):
    """An operator at a point: a function of the tensors that require grad."""

    name: str
    function: Function
    inputs: tuple[Tensor, ...]
    nondet_tol: float


class Times(NamedTuple):
    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What both made of a sample; `planted` is None where the Jacobian has no entry to change."""

    sample: Sample
    ours: str
    report: str
    torchs: str
    seconds: dict[str, Times]
    planted: str | None
    is_missed: bool
    """Whether the planted error passed at a resolution that is finer than it."""


# -- the samples -------------------------------------------------------------------------------


def operators(only: str) -> list[Any]:
    """Those of torch's database that are differentiable in float64 on the CPU."""
    without_expecttest()
    from torch.testing._internal.common_methods_invocations import op_db

    return [
        op
        for op in op_db
        if op.supports_autograd and op.supports_dtype(torch.float64, "cpu") and only in op.name
    ]


def without_expecttest() -> None:
    """The database imports a test helper that torch does not depend on; nothing here uses it."""
    try:
        import expecttest  # noqa: F401
    except ImportError:
        stub: Any = types.ModuleType("expecttest")
        stub.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stub


def samples_of(op: Any, seed: int) -> Iterator[Sample]:
    """The first few that are small enough; none where the database cannot make any."""
    for generator in (torch.manual_seed, random.seed, np.random.seed):
        generator(seed)
    try:
        given = op.sample_inputs("cpu", torch.float64, requires_grad=True)
        made = [sample_of(op, one, number) for number, one in enumerate(given)]
    except Exception:
        return
    yield from itertools.islice(filter(is_meant, made), SAMPLES)


def sample_of(op: Any, given: Any, number: int) -> Sample:
    """As torch's own tests have it: arguments that require grad, lists of tensors among them."""
    arguments, keywords = (given.input, *given.args), given.kwargs
    inputs = [leaf for leaf in _pytree.tree_leaves((arguments, keywords)) if is_tracked(leaf)]
    variant = op.get_op()

    def function(*tensors: Tensor) -> Any:
        given_now = iter(tensors)
        positional = [replaced(value, given_now) for value in arguments]
        by_name = {name: replaced(value, given_now) for name, value in keywords.items()}
        output = op.gradcheck_wrapper(variant, *positional, **by_name)
        process = given.output_process_fn_grad
        return output if process is None else process(output)

    variety = f".{op.variant_test_name}" if op.variant_test_name else ""
    return Sample(f"{op.name}{variety} #{number}", function, tuple(inputs), op.gradcheck_nondet_tol)


def is_tracked(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def replaced(value: Any, tensors: Iterator[Tensor]) -> Any:
    """With the next tensors in place of those that are tracked."""
    if isinstance(value, (list, tuple)) and any(map(is_tracked, value)):
        return [replaced(one, tensors) for one in value]
    return next(tensors) if is_tracked(value) else value


def is_meant(sample: Sample) -> bool:
    """Whether there is something to differentiate, by few entries."""
    entries = sum(tensor.numel() for tensor in sample.inputs)
    return bool(sample.inputs) and entries <= MOST_ENTRIES and bool(outputs_of(sample))


def outputs_of(sample: Sample) -> list[Tensor]:
    """The results that are tracked."""
    found = _pytree.tree_leaves(sample.function(*sample.inputs))
    return list(filter(is_tracked, found))


# -- the two checks ----------------------------------------------------------------------------


def ours(sample: Sample) -> tuple[str, str]:
    """The verdict of the drop-in, and its report where that is not `pass`."""
    try:
        gradcheck.gradcheck(sample.function, sample.inputs, nondet_tol=sample.nondet_tol)
    except TorchGradcheckError as error:
        return error.report.verdict, str(error)
    except Exception as error:
        return f"raises {type(error).__name__}", str(error)
    return "pass", ""


def torchs(sample: Sample) -> tuple[str, str]:
    try:
        is_right = torchs_gradcheck(
            sample.function, sample.inputs, nondet_tol=sample.nondet_tol, raise_exception=False
        )
    except Exception as error:
        return f"raises {type(error).__name__}", str(error)
    return "pass" if is_right else "fail", ""


CHECKS: Final = {"ours": ours, "torch's": torchs}


def timed(check: Callable[[Sample], tuple[str, str]], sample: Sample) -> tuple[str, str, Times]:
    """A second call, after one that has warmed up what both keep."""
    check(sample)
    wall, cpu = time.perf_counter(), time.process_time()
    verdict, report = check(sample)
    return verdict, report, Times(time.perf_counter() - wall, time.process_time() - cpu)


# -- planted errors ----------------------------------------------------------------------------


class Entry(NamedTuple):
    """An entry of the Jacobian, of real parts: of which output and input, where, and its value."""

    output: int
    row: int
    input: int
    column: int
    value: float
    scale: float
    """The largest entry of the derivative of this output by this input."""


def entry_of(sample: Sample, draw: random.Random) -> Entry | None:
    """A random one of those that are not much smaller than the largest."""
    found = [
        Entry(i, row, j, column, block[row, column], np.abs(block).max())
        for i, j, block in jacobian(sample)
        for row, column in zip(*np.nonzero(block), strict=True)
    ]
    largest = max((abs(entry.value) for entry in found), default=0.0)
    return draw.choice([e for e in found if abs(e.value) >= SMALLEST * largest] or [None])


def jacobian(sample: Sample) -> Iterator[tuple[int, int, np.ndarray]]:
    """The number of an output, that of an input and the derivative as autograd has it.

    Of real parts by real parts; an entry that is not finite is 0 here.
    """
    function = PythonFunction(sample.function, sample.inputs)
    whole = torch.split(function.graph.jacobian(), [leaf.count for leaf in function.outputs], dim=0)
    for i, (rows, output) in enumerate(zip(whole, function.outputs, strict=True)):
        parts = torch.split(rows, [leaf.count for leaf in function.inputs], dim=1)
        for j, (block, input) in enumerate(zip(parts, function.inputs, strict=True)):
            real = block[:: 1 + output.dtype.is_complex, :: 1 + input.dtype.is_complex]
            yield i, j, real.nan_to_num(0, 0, 0).numpy()


def planted(sample: Sample, entry: Entry) -> Function:
    """The function, but for one entry of what autograd takes its Jacobian to be."""

    def function(*tensors: Tensor) -> Any:
        x = part(tensors[entry.input])[entry.column]
        error = PLANTED * entry.value * (x - x.detach())
        leaves, tree = _pytree.tree_flatten(sample.function(*tensors))
        i = positions[entry.output]
        unit = torch.zeros(leaves[i].numel(), dtype=torch.float64)
        unit[entry.row] = 1.0
        leaves[i] = leaves[i] + (unit * error).reshape(leaves[i].shape)
        return _pytree.tree_unflatten(leaves, tree)

    results = _pytree.tree_leaves(sample.function(*sample.inputs))
    positions = [i for i, leaf in enumerate(results) if is_tracked(leaf)]
    return function


def part(tensor: Tensor) -> Tensor:
    """The real parts of its elements, in one dimension."""
    tensor = tensor if tensor.layout is torch.strided else tensor.to_dense()
    return (tensor.real if tensor.is_complex() else tensor).reshape(-1)


def missed(report: Report, entry: Entry) -> bool:
    """Whether an error of an entry passed, though it is larger than what the report vouches for."""
    error = PLANTED * abs(entry.value) / entry.scale
    return all(result.resolution is None or result.resolution < error for result in report.results)


def with_error(sample: Sample, draw: random.Random) -> tuple[str | None, bool]:
    """The verdict on a wrong derivative, and whether it should have been another."""
    entry = entry_of(sample, draw)
    if entry is None:
        return None, False
    report = gradcheck.check(
        planted(sample, entry), sample.inputs, subgradient=True, conditions="none"
    )
    return report.verdict, report.ok and missed(report, entry)


# -- the tables --------------------------------------------------------------------------------


def looked_at(sample: Sample, draw: random.Random) -> Outcome:
    found = {name: timed(check, sample) for name, check in CHECKS.items()}
    verdict, is_missed = with_error(sample, draw)
    return Outcome(
        sample,
        found["ours"][0],
        found["ours"][1],
        found["torch's"][0],
        {name: seconds for name, (_, _, seconds) in found.items()},
        verdict,
        is_missed,
    )


def print_table(outcomes: Sequence[Outcome], seed: int) -> None:
    count = len(outcomes)
    names = {outcome.sample.name.split(" ")[0] for outcome in outcomes}
    print(f"{count} samples of {len(names)} operators, seed {seed}\n")
    print("| | ours | torch's slow mode | ours / torch's |\n|---|---|---|---|")
    verdicts = [Counter(getattr(o, field) for o in outcomes) for field in ("ours", "torchs")]
    for verdict in sorted({*verdicts[0], *verdicts[1]}, key=order):
        cells = " | ".join(f"{v[verdict]} ({v[verdict] / count:.1%})" for v in verdicts)
        print(f"| right operator: `{verdict}` | {cells} | |")
    for kind in Times._fields:
        mine, theirs = (sum(getattr(o.seconds[c], kind) for o in outcomes) for c in CHECKS)
        print(f"| {kind} time | {mine:.2f} s | {theirs:.2f} s | {mine / theirs:.2f} |")
    print_planted(outcomes)


def print_planted(outcomes: Sequence[Outcome]) -> None:
    counts = Counter(o.planted for o in outcomes if o.planted is not None)
    for verdict in sorted(counts, key=order):
        share = counts[verdict] / counts.total()
        print(
            f"| one entry × (1 + {PLANTED:g}): `{verdict}` | {counts[verdict]} ({share:.1%}) | | |"
        )
    print(f"| … passed at a finer resolution | {sum(o.is_missed for o in outcomes)} | | |")
    print(f"| … the Jacobian is 0 | {len(outcomes) - counts.total()} | | |")


def order(verdict: str) -> int:
    """Right ones first, exceptions last."""
    listed: tuple[str, ...] = WORST_FIRST
    return -listed.index(verdict) if verdict in listed else 1


def print_listed(title: str, lines: Iterable[tuple[str, str]]) -> None:
    """Names by what is the same of them."""
    grouped = defaultdict(list)
    for name, why in lines:
        grouped[why].append(name)
    print(f"\n{title}: {sum(map(len, grouped.values()))}")
    for why, names in sorted(grouped.items()):
        print(f"- {why}: {', '.join(names)}")


def cause_of(outcome: Outcome) -> str:
    """Both verdicts, and why: as it was traced, or what our report says first."""
    operator = outcome.sample.name.split(" ")[0]
    found = [why for why, names in CAUSES.items() if is_of(operator, names.split())]
    return f"{outcome.ours} (torch's: {outcome.torchs}), {(found or [blame_of(outcome)])[0]}"


def is_of(operator: str, names: Sequence[str]) -> bool:
    """Whether it is one of these operators or one of their variants."""
    plain = operator.removeprefix("special.")
    return any(plain == name or plain.startswith(f"{name}.") for name in names)


def blame_of(outcome: Outcome) -> str:
    lines = [line.strip() for line in outcome.report.splitlines()]
    return next((line for line in lines if line.startswith(("blame", "errors"))), "not traced")


def all_outcomes(seed: int, limit: int | None = None, only: str = "") -> list[Outcome]:
    draw = random.Random(seed)
    return [
        looked_at(sample, draw) for op in operators(only)[:limit] for sample in samples_of(op, seed)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=None, help="operators")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="operators with this in their name")
    parser.add_argument("-v", action="store_true", help="print the reports of what is not right")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    outcomes = all_outcomes(options.seed, options.limit, options.only)
    print_table(outcomes, options.seed)
    different = [o for o in outcomes if o.ours != "pass" or o.ours != o.torchs]
    print_listed("not `pass`, or not as torch's", ((o.sample.name, cause_of(o)) for o in different))
    unseen = [o for o in outcomes if o.planted not in ("fail", None)]
    print_listed(
        "planted errors", ((o.sample.name, f"{o.planted}, missed: {o.is_missed}") for o in unseen)
    )
    if options.v:
        print("\n\n".join(f"{o.sample.name}\n{o.report}" for o in different))


if __name__ == "__main__":
    main()
