"""The numeric oracle beside its peers, in one table.

    python tests/benchmarks/oracle.py [COUNT]

takes some minutes. `numeric.py`, `operators.py` and `layers.py` print the parts in full, with what
is wrong and why.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Final

import layers
import numeric
import numpy as np
import operators
import torch

NAMES: Final = ("gradcheck", "torch, slow", "torch, fast", "scipy", "one step")
OF_NUMERIC: Final = dict(zip(numeric.METHODS, (0, 3, 1, 4), strict=True))
"""Which of the names a method of `numeric` is."""
LAYER: Final = 1_000
Row = tuple[str, dict[int, str]]


def of_hard(results: numeric.Results) -> Iterator[Row]:
    yield (
        "stated bound wrong, or one where there is no derivative",
        {
            OF_NUMERIC[name]: str(sum(numeric.is_violated(p, o.found) for p, o in listed))
            for name, listed in results.items()
            if listed[0][1].found is not None
        },
    )
    yield "right derivative called wrong", verdicts(results, "right", "fail")


def of_compositions(results: numeric.Results) -> Iterator[Row]:
    yield from of_hard(results)
    smooth = {
        name: [(p, o.found.radius) for p, o in listed if p.truth is not None and p.is_smooth]
        for name, listed in results.items()
        if listed[0][1].found is not None
    }
    yield (
        "stated bound below 1e-8",
        {
            OF_NUMERIC[name]: percent(numeric.relative(p, r) < numeric.SHARP for p, r in listed)
            for name, listed in smooth.items()
        },
    )
    yield (
        "no bound",
        {
            OF_NUMERIC[name]: percent(math.isinf(r) for _, r in listed)
            for name, listed in smooth.items()
        },
    )
    yield "off by 1e-6: found", verdicts(results, "off by 1e-6", "fail")
    yield "off by 1e-6: passed", verdicts(results, "off by 1e-6", "pass")


def verdicts(results: numeric.Results, claim: numeric.Claim, verdict: str) -> dict[int, str]:
    """How many, of those with a derivative, are given this verdict."""
    counts = {
        name: Counter(
            o.verdicts[claim] for p, o in listed if p.truth is not None and claim in o.verdicts
        )
        for name, listed in results.items()
    }
    return {
        OF_NUMERIC[name]: f"{count[verdict] / max(1, count.total()):.2%}"
        for name, count in counts.items()
    }


def percent(those: Iterator[bool]) -> str:
    return f"{np.mean(list(those)):.1%}"


def of_operators(outcomes: list[operators.Outcome]) -> Iterator[Row]:
    count = len(outcomes)
    for verdict in ("pass", "inconclusive", "fail"):
        found = (
            sum(o.ours == verdict for o in outcomes),
            sum(o.torchs == verdict for o in outcomes),
        )
        yield f"right derivative: {verdict}", {i: f"{n / count:.1%}" for i, n in enumerate(found)}
    planted = Counter(o.planted for o in outcomes if o.planted is not None)
    yield "one entry times 1 + 1e-5: found", {0: f"{planted['fail'] / planted.total():.1%}"}
    yield "… passed at a resolution finer than that", {0: str(sum(o.is_missed for o in outcomes))}
    mine, theirs = (sum(o.seconds[check].wall for o in outcomes) for check in operators.CHECKS)
    yield "wall time", {0: f"{mine:.2f} s ({mine / theirs:.2f})", 1: f"{theirs:.2f} s"}


def of_layer(seed: int) -> Iterator[Row]:
    base = layers.alone(seed, "nothing")["bytes"]
    layer = layers.Layer(LAYER, seed)
    found = {name: layers.alone(seed, "layer", name, str(LAYER)) for name in layers.CHECKS}
    slow = found["slow"]["seconds"]
    yield (
        "time",
        {
            i: f"{1e3 * one['seconds']:.1f} ms ({one['seconds'] / slow:.3f})"
            for i, one in enumerate(found.values())
        },
    )
    yield "memory", {i: layers.memory(one, base) for i, one in enumerate(found.values())}
    yield (
        "smallest error in one entry that is noticed",
        {i: layers.smallest_seen(name, layer, seed)[0] for i, name in enumerate(found)},
    )
    positions = layer.positions(layers.MANY_POSITIONS, seed + 1)
    named = [
        layers.ours(layer.wrong(at, layers.MANY_ERROR), layer.x).entry == at for at in positions
    ]
    yield f"{layers.MANY_ERROR:g} at {len(named)} random entries: named", {0: str(sum(named))}


def of_many(seed: int) -> Iterator[Row]:
    base = layers.alone(seed, "nothing")["bytes"]
    for name, function in layers.ELEMENTWISE.items():
        one = layers.alone(seed, "elementwise", name)
        passes = one["seconds"] / one["pass"]
        yield (
            f"{name}: forward-backward passes, memory",
            {0: f"{passes:.1f}, {layers.memory(one, base)}"},
        )
        said = dict(zip(layers.FACTORS, layers.verdicts(function, seed), strict=True))
        yield f"{name}: {', '.join(said)}", {0: ", ".join(said.values())}


def print_rows(title: str, rows: Iterator[Row]) -> None:
    print(f"| **{title}** |" + " |" * len(NAMES))
    for what, cells in rows:
        print(f"| {what} | {' | '.join(cells.get(i, '') for i in range(len(NAMES)))} |", flush=True)


def main(count: int = numeric.COUNT) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"| | {' | '.join(NAMES)} |\n|---|{'---|' * len(NAMES)}")
    hard, hard_results, _, results = numeric.measured(count, numeric.SEED)
    print_rows(f"(a) {len(hard)} hard functions", of_hard(hard_results))
    print_rows(f"(a) {count:,} random compositions, seed {numeric.SEED}", of_compositions(results))
    outcomes = operators.all_outcomes(operators.SEED)
    print_rows(f"(b) {len(outcomes)} samples of torch's operators", of_operators(outcomes))
    print_rows(f"(c) dense tanh layer, {LAYER:,} → {LAYER:,}", of_layer(layers.SEED))
    print_rows(f"(d) elementwise, {layers.ENTRIES:,} entries", of_many(layers.SEED))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
