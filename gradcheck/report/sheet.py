"""An explanation → the terminal: a derivation sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from rich.text import Text

from gradcheck.explain import Explanation, Value
from gradcheck.report.number_line import number_line
from gradcheck.report.terminal import ORDER, STYLE, answer_text, blame_sentence
from gradcheck.results import Answer, Result

_FEW: Final = 12
"""Entries of a value that are printed."""


def sheet(explanation: Explanation) -> Iterator[Text]:
    """The values, each derivative with its oracles, and the digits kept in every dtype."""
    case, point = explanation.case, explanation.point
    yield Text(f"{case.file}:{case.line}  {case.name}, point {point.label}", "bold")
    if case.about:
        yield Text(f"  {case.about}")
    if explanation.problem:
        yield Text(f"  {explanation.problem}", "bold red")
    yield Text()
    yield from _values(explanation)
    shown = [result for result in explanation.results if result.dtype == explanation.shown]
    for result in shown:
        yield Text()
        yield from _quantity(result)
    yield Text()
    yield from _digits(explanation.results)


def _values(explanation: Explanation) -> Iterator[Text]:
    """What is given, then each step with its formula and its value."""
    yield Text(f"values in {explanation.shown}", "bold")
    width = max((len(value.name) for value in explanation.values), default=0)
    for value in explanation.values:
        formula = f" = {value.formula}" if value.formula else ""
        name = Text(f"  {value.name.rjust(width)}", "bold")
        yield name + Text(f"{formula} = ") + _number(value, " " * (width + 5))


def _number(value: Value, indent: str) -> Text:
    array = value.array
    if isinstance(array, list):
        return Text(", ".join(np.array2string(one, precision=6) for one in array))
    if array.ndim == 0 and not np.iscomplexobj(array):
        return Text(f"{float(array):.15g}")
    if array.size > _FEW and np.iscomplexobj(array):
        return Text(f"{list(array.shape)} of complex numbers")
    if array.size > _FEW:
        return Text(f"{list(array.shape)} from {array.min():.6g} to {array.max():.6g}")
    return Text(np.array2string(array, precision=6, prefix=indent))


def _quantity(result: Result) -> Iterator[Text]:
    """One derivative: its formula, its verdict, and every oracle's ball at the worst entry."""
    formula = f" = {result.formula}" if result.formula else ""
    heading = Text(f"{result.quantity}{formula}  ", "bold")
    yield heading + Text(result.verdict, STYLE[result.verdict])
    if result.verdict != "pass" and (sentence := blame_sentence(result)):
        yield Text(f"  {sentence}")
    if result.entries:
        entry = result.entries[0]
        answers = {name: entry.answers[name] for name in ORDER if name in entry.answers}
        if entry.label != result.quantity:
            yield Text(f"  at {entry.label}")
        yield from _balls(answers, result.truth)
    for note in result.notes:
        yield Text(f"  {note}")


def _balls(answers: Mapping[str, Answer], truth: str) -> Iterator[Text]:
    """Each answer to all its digits, and beside it its ball on the number line."""
    cells = {name: answer_text(answer, 17) for name, answer in answers.items()}
    width = max(map(len, cells.values()))
    names = max(map(len, cells))
    for name, line in number_line(answers, truth if truth in answers else next(iter(answers))):
        yield Text(f"  {name.ljust(names)}  {cells.get(name, '').ljust(width)}  |{line}")


def _digits(results: tuple[Result, ...]) -> Iterator[Text]:
    """How many digits each evaluation keeps, a row a quantity and a column a dtype."""
    dtypes = list(dict.fromkeys(result.dtype for result in results))
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for result in results:
        for name, kept in result.digits.items():
            key = (result.quantity, result.formula if name == "handwritten" else "", name)
            rows.setdefault(key, {})[result.dtype] = f"{kept:.1f}"
    if not rows:
        return
    several = Counter((quantity, name) for quantity, _, name in rows)
    labels = {
        (quantity, formula, name): f"{quantity}  {name}"
        + (f"  {formula}" if several[quantity, name] > 1 else "")
        for quantity, formula, name in rows
    }
    width = max(map(len, labels.values()))
    yield Text("digits kept".ljust(width + 2) + "".join(f"  {d:>8}" for d in dtypes), "bold")
    for key, cells in rows.items():
        row: Any = "".join(f"  {cells.get(dtype, '-'):>8}" for dtype in dtypes)
        yield Text(f"  {labels[key].ljust(width)}{row}")
