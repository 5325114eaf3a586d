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
    """A bound is wrong too where there is no derivative."""
    violated = {
        OF_NUMERIC[name]: str(sum(numeric.is_violated(p, o.found) for p, o in listed))
        for name, listed in results.items()
        if listed[0][1].found is not None
    }
    accused = verdicts(results, "right", ("fail",))
    yield (
        "stated bounds that are wrong; right derivatives called wrong",
        {i: f"{violated.get(i, '–')}; {accused[i]}" for i in accused},
    )


def of_compositions(results: numeric.Results) -> Iterator[Row]:
    yield from of_hard(results)
    smooth = {
        name: [(p, o.found.radius) for p, o in listed if p.truth is not None and p.is_smooth]
        for name, listed in results.items()
        if listed[0][1].found is not None
    }
    yield (
        "stated bound below 1e-8; none",
        {
            OF_NUMERIC[name]: "; ".join(
                (
                    percent(numeric.relative(p, r) < numeric.SHARP for p, r in listed),
                    percent(math.isinf(r) for _, r in listed),
                )
            )
            for name, listed in smooth.items()
        },
    )
    yield "off by 1e-6: found; passed", verdicts(results, "off by 1e-6", ("fail", "pass"))


def verdicts(
    results: numeric.Results, claim: numeric.Claim, wanted: tuple[str, ...]
) -> dict[int, str]:
    """Which part, of those with a derivative, is given each of these verdicts."""
    found = {}
    for name, listed in results.items():
        with_truth = [o for p, o in listed if p.truth is not None and claim in o.verdicts]
        counts = Counter(o.verdicts[claim] for o in with_truth)
        found[OF_NUMERIC[name]] = "; ".join(f"{counts[v] / len(with_truth):.2%}" for v in wanted)
    return found


def percent(those: Iterator[bool]) -> str:
    return f"{np.mean(list(those)):.1%}"


def of_operators(outcomes: list[operators.Outcome]) -> Iterator[Row]:
    count = len(outcomes)
    counts = [Counter(getattr(o, field) for o in outcomes) for field in ("ours", "torchs")]
    yield (
        "a right derivative: pass; inconclusive; fail",
        {
            i: "; ".join(f"{one[v] / count:.1%}" for v in ("pass", "inconclusive", "fail"))
            for i, one in enumerate(counts)
        },
    )
    planted = Counter(o.planted for o in outcomes if o.planted is not None)
    missed = sum(o.is_missed for o in outcomes)
    yield (
        "one entry times 1 + 1e-5: found; passed at a finer resolution",
        {0: f"{planted['fail'] / planted.total():.1%}; {missed}"},
    )
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
    positions = layer.positions(layers.MANY_POSITIONS, seed + 1)
    named = [
        layers.ours(layer.wrong(at, layers.MANY_ERROR), layer.x).entry == at for at in positions
    ]
    cells = {
        i: f"{layers.memory(one, base)}; {layers.smallest_seen(name, layer, seed)[0]}"
        for i, (name, one) in enumerate(found.items())
    }
    cells[0] += f"; {sum(named)}"
    yield (
        "memory; smallest error in one entry that is noticed; named, of "
        f"{len(named)} random entries off by {layers.MANY_ERROR:g}",
        cells,
    )


def of_many(seed: int) -> Iterator[Row]:
    base = layers.alone(seed, "nothing")["bytes"]
    for name, function in layers.ELEMENTWISE.items():
        one = layers.alone(seed, "elementwise", name)
        said = dict(zip(layers.FACTORS, layers.verdicts(function, seed), strict=True))
        yield (
            f"{name}: forward-backward passes; memory; {'; '.join(said)}",
            {
                0: f"{one['seconds'] / one['pass']:.1f}; {layers.memory(one, base)}; "
                f"{'; '.join(said.values())}"
            },
        )


def print_rows(where: str, rows: Iterator[Row]) -> None:
    for what, cells in rows:
        cells_in_order = (cells.get(i, "") for i in range(len(NAMES)))
        print(f"| {where}: {what} | {' | '.join(cells_in_order)} |", flush=True)


def main(count: int = numeric.COUNT) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"| | {' | '.join(NAMES)} |\n|---|{'---|' * len(NAMES)}")
    hard, hard_results, _, results = numeric.measured(count, numeric.SEED)
    print_rows(f"{len(hard)} hard functions", of_hard(hard_results))
    print_rows(f"{count:,} compositions (seed {numeric.SEED})", of_compositions(results))
    outcomes = operators.all_outcomes(operators.SEED)
    print_rows(f"{len(outcomes)} samples of torch's operators", of_operators(outcomes))
    print_rows(f"dense tanh layer, {LAYER:,} → {LAYER:,}", of_layer(layers.SEED))
    print_rows(f"elementwise, {layers.ENTRIES:,} entries", of_many(layers.SEED))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
