"""What a case costs, against torch's own gradcheck: `python tests/benchmarks/peers.py`.

Prints ratios and differences of CPU time (user and system, of all processes), and a ratio of wall
times, each of the minimum over interleaved rounds, so that a busy machine disturbs them little.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kinds import CASES, cases, write_case_file, write_torch_tests

LIBRARY = Path(__file__).parent.parent.parent / "cases"
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = list(cases(options.cases))
        write_case_file(folder / "many.grad.yaml", listed)
        write_case_file(folder / "one.grad.yaml", listed[:1])
        write_torch_tests(folder / "test_torch.py", listed)
        (folder / "pytest.ini").write_text("[pytest]\n")
        measure(folder, options.cases, options.rounds)


def measure(folder: Path, count: int, rounds: int) -> None:
    found = least(
        {
            "ours": (*PYTEST, "many.grad.yaml"),
            "torch's": (*PYTEST, "test_torch.py"),
            "validate many": ("-m", "gradcheck", "validate", "many.grad.yaml"),
            "validate one": ("-m", "gradcheck", "validate", "one.grad.yaml"),
            "run the library": ("-m", "gradcheck", "run", "-q", str(LIBRARY)),
            "import torch": ("-c", "import torch"),
        },
        folder,
        rounds,
    )
    seconds = {name: cost.cpu for name, cost in found.items()}
    ours, theirs = found["ours"], found["torch's"]
    each = (seconds["validate many"] - seconds["validate one"]) / (count - 1)
    above = seconds["run the library"] - seconds["import torch"]
    for what, mine, peer in (("CPU", ours.cpu, theirs.cpu), ("wall", ours.wall, theirs.wall)):
        print(f"{count:,} scalar cases in pytest     {mine:6.2f} s {what}")
        print(f"the same calling torch's gradcheck {peer:6.2f} s {what}   ratio {mine / peer:.2f}")
    print(f"gradcheck validate                 {each * 1e3:6.2f} ms a case above start-up")
    print(f"gradcheck run of the library       {above:6.2f} s above `import torch`")
    print(f"the exact oracle                   {exact(folder):6.2f} ms a case (median)")


def exact(folder: Path) -> float:
    """Milliseconds that truth, formula and proof of all claims of a case take: the median."""
    from gradcheck.casefile.load import load
    from gradcheck.place import Place
    from gradcheck.truths import Truths

    times = []
    for case in load(folder / "many.grad.yaml").cases:
        place = Place.at(case, case.points[0], "float64", "cpu")
        start = time.process_time()
        truths = Truths(place)
        for claim in case.claims:
            truth = truths.exact(claim)
            for formula in claim.formulas:
                truth.proof(truths.exact_formula(claim, formula))
        times.append(time.process_time() - start)
    return statistics.median(times) * 1e3


class Cost(NamedTuple):
    """Seconds of a program and all that it starts."""

    cpu: float
    wall: float


def least(commands: dict[str, Sequence[str]], folder: Path, rounds: int) -> dict[str, Cost]:
    """The least times of each command, over rounds in which each has its turn."""
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, arguments in commands.items():
            found[name].append(cost(arguments, folder))
    return {name: Cost(*map(min, zip(*costs, strict=True))) for name, costs in found.items()}


def cost(arguments: Sequence[str], folder: Path) -> Cost:
    """What a Python program takes, which has to succeed.

    A case of the reader's own among the library's may fail.
    """
    may_exit_with = (0, 1) if str(LIBRARY) in arguments else (0,)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in may_exit_with:
        sys.exit(f"`python {' '.join(arguments)}` exited with {done.returncode}")
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(cpu, wall)


if __name__ == "__main__":
    main()
