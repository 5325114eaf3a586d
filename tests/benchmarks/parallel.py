"""What several processes are worth: `python tests/benchmarks/parallel.py`.

Prints ratios of wall times of pytest, each the minimum over interleaved rounds: of 32 heavy cases
with one worker and with two, of 3,000 tiny cases without pytest-xdist and with two workers. With
`--orders 20` it runs the library as often, in random orders and with 0, 1 and 2 workers in turn,
and says in how many records, of verdicts and digits, the runs differ.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIBRARY = Path(__file__).parent.parent.parent / "cases"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

HEAVY = """\
  attention_{0}:
    samples: 10
    sizes: {{n: 8, d: 6}}
    function: {{s: Q @ K.T / sqrt(d), p: "softmax(s, 1)", o: p @ V}}
    inputs:
      Q: {{shape: [n, d], sample: normal}}
      K: {{shape: [n, d], sample: normal}}
      V: {{shape: [n, d], sample: normal}}
    backward:
      dp: do @ V.T
      dV: p.T @ do
      ds: p*(dp - sum(p*dp, 1, keepdim=True))
      dQ: ds @ K / sqrt(d)
      dK: ds.T @ Q / sqrt(d)
"""
TINY = """\
  tiny_{0}:
    function: {{y: x**2 + {0}, z: sin(y)}}
    inputs: {{x: 1.{0:04d}}}
    derivatives: {{dz/dy: cos(y), dz/dx: dz/dy * 2*x}}
"""
SHUFFLED = """
import json, os, random

def pytest_addoption(parser):
    parser.addoption("--order", type=int)

def pytest_collection_modifyitems(config, items):
    random.Random(config.getoption("order")).shuffle(items)

def pytest_runtest_teardown(item):
    order = item.config.getoption("order")
    with open(f"{order}-{os.getpid()}.found", "a", encoding="utf-8") as file:
        for record in item.records:
            file.write(json.dumps({**record, "seconds": 0}, sort_keys=True) + "\\n")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        if options.orders:
            compare_orders(folder, options.orders)
        else:
            measure(folder, options.rounds)


def measure(folder: Path, rounds: int) -> None:
    write(folder / "heavy.grad.yaml", HEAVY, 32)
    write(folder / "tiny.grad.yaml", TINY, 3000)
    runs = {
        ("heavy", "-n", "1"): "32 heavy cases, one worker",
        ("heavy", "-n", "2"): "the same, two",
        ("tiny", "-p", "no:xdist"): "3,000 tiny cases, no xdist",
        ("tiny", "-n", "2"): "the same, two workers",
    }
    pytest(folder, "tiny.grad.yaml", "-n", "2", "-k", "tiny_1")
    taken = [{run: seconds(folder, run) for run in runs} for _ in range(rounds)]
    times = {run: min(one[run] for one in taken) for run in runs}
    for run, what in runs.items():
        print(f"{what:<30} {times[run]:7.2f} s")
    heavy, tiny = list(times.values())[:2], list(times.values())[2:]
    print(f"heavy: one worker takes {heavy[0] / heavy[1]:.2f} times as long as two")
    print(f"tiny: two workers take {tiny[1] / tiny[0]:.2f} times as long as no xdist")


def write(path: Path, entry: str, count: int) -> None:
    path.write_text("cases:\n" + "".join(entry.format(i) for i in range(count)), encoding="utf-8")


def seconds(folder: Path, run: tuple[str, ...]) -> float:
    name, *options = run
    start = time.perf_counter()
    pytest(folder, f"{name}.grad.yaml", *options)
    return time.perf_counter() - start


def compare_orders(folder: Path, count: int) -> None:
    (folder / "conftest.py").write_text(SHUFFLED, encoding="utf-8")
    for path in LIBRARY.glob("*.grad.yaml"):
        (folder / path.name).write_text(path.read_text("utf-8"), encoding="utf-8")
    first = None
    for order in range(20260000, 20260000 + count):
        workers = order % 3
        pytest(folder, "--order", str(order), "-n", str(workers))
        listed = [path.read_text("utf-8") for path in folder.glob(f"{order}-*.found")]
        found = sorted("".join(listed).splitlines())
        first = first or found
        differ = len(set(first) ^ set(found))
        print(
            f"order {order}, {workers} workers: {len(found)} records, {differ} differ", flush=True
        )


def pytest(folder: Path, *arguments: str) -> None:
    caches = {"PYTHONPYCACHEPREFIX": str(folder / "pycache")}  # as a second run has them
    environment = {**os.environ, **ONE_THREAD, **caches}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [*PYTEST, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


if __name__ == "__main__":
    main()
