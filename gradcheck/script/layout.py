"""How scripts look: numbers and tensors, calls, functions, and what stands between them."""

from __future__ import annotations

import ast
import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

WIDTH: Final = 100
_INDENT: Final = " " * 4
_NARROW: Final = WIDTH - len(_INDENT)
"""That of a line in a function."""
_CHAINS: Final = ((ast.Add, ast.Sub), (ast.Mult, ast.Div, ast.MatMult))
"""Operators that may follow each other without parentheses."""


def source(python: ast.expr) -> str:
    """An expression as text, with no parentheses but those that it needs."""
    return ast.unparse(python).replace(" ** ", "**")


def fitted(before: str, python: ast.expr) -> str:
    """`x = …` or `return …`, over several lines where it is long."""
    return before + _broken(python, _NARROW - len(before))


def _broken(python: ast.expr, room: int = _NARROW) -> str:
    """An expression over several lines: the terms of a sum, the factors of a product, arguments."""
    flat = source(python)
    if len(flat) <= room:
        return flat
    if isinstance(python, ast.List):
        return "\n".join(["[", *_parts(python.elts), "]"])
    if isinstance(python, ast.Call):
        named = indented(f"{one.arg}={source(one.value)}," for one in python.keywords)
        return "\n".join([f"{source(python.func)}(", *_parts(python.args), *named, ")"])
    chain = next((chain for chain in _CHAINS if isinstance(getattr(python, "op", None), chain)), ())
    if isinstance(python, ast.BinOp) and chain:
        return "\n".join(["(", *indented(_operands(python, chain)), ")"])
    return flat


def _parts(listed: Sequence[ast.expr]) -> list[str]:
    return indented(f"{_broken(one)}," for one in listed)


def _operands(python: ast.expr, chain: tuple[type[ast.operator], ...]) -> list[str]:
    """Those of operators of one rank, each but the first with its operator before it."""
    blank = ast.Name("_")
    parts: list[str] = []
    while isinstance(python, ast.BinOp) and isinstance(python.op, chain):
        parts.insert(0, source(ast.BinOp(blank, python.op, python.right)).removeprefix("_ "))
        first = source(ast.BinOp(python.left, python.op, blank)).rpartition(" ")[0]
        python = python.left
    return [first.rpartition(" ")[0], *parts]


def call(before: str, arguments: Sequence[str]) -> str:
    """A call that begins with `show(`: on one line where it fits, else an argument a line."""
    line = f"{before}{', '.join(arguments)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return "\n".join([before, *indented(f"{text}," for text in arguments), ")"])


def comment(text: str) -> str:
    """A comment of as many lines as it takes."""
    lines = textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in lines)


def indented(lines: Iterable[str]) -> list[str]:
    return [textwrap.indent(line, _INDENT) for line in lines]


def function(head: str, body: Sequence[str]) -> str:
    """`def f(x):` and what it does."""
    return "\n".join([f"def {head}:", *indented(body)])


def joined(blocks: Iterable[str]) -> str:
    """Blocks of lines below each other, functions set off by two empty lines."""
    text = ""
    was_function = False
    for block in filter(None, blocks):
        is_function = block.startswith("def ")
        if text:
            text += "\n\n\n" if is_function or was_function else "\n\n"
        text += block
        was_function = is_function
    return f"{text}\n"


def tensor(value: Tensor, before: str = "", extra: str = "") -> str:
    """A tensor of numbers that are exactly those of `value`, in its dtype.

    After `before`, as in `x = `; `extra` are further arguments, as in `, dtype=torch.float32`.
    """
    if not value.numel():
        return f"{before}torch.zeros({list(value.shape)}{extra})"
    numbers = _map(value.detach().cpu().tolist(), _spelling(value.dtype))
    flat = f"{before}torch.tensor({_flat(numbers)}{extra})"
    if len(flat) <= WIDTH or isinstance(numbers, str):
        return flat
    return f"{before}torch.tensor({_wrapped(numbers)}{extra})"


def quoted(text: str) -> str:
    """A text as Python has it, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def literal(value: Any) -> str:
    """A plain value, or a list of them."""
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return number(value) if isinstance(value, float) else repr(value)


def number(value: float) -> str:
    """A number of float64 with all of its digits."""
    if math.isfinite(value):
        return repr(value)
    return "torch.nan" if math.isnan(value) else "torch.inf" if value > 0 else "-torch.inf"


def _spelling(dtype: torch.dtype) -> Any:
    """How an entry is written: in as few digits as tell it apart in its dtype."""
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return literal

    def spelled(value: float) -> str:
        for digits in range(1, 10):
            short = float(f"{value:.{digits}g}")
            if float(torch.tensor(short, dtype=dtype)) == value:
                return number(short)
        return number(value)

    return spelled


def _map(value: Any, spell: Any) -> Any:
    return [_map(item, spell) for item in value] if isinstance(value, list) else spell(value)


def _flat(numbers: Any) -> str:
    return f"[{', '.join(map(_flat, numbers))}]" if isinstance(numbers, list) else str(numbers)


def _wrapped(numbers: Any) -> str:
    """A list over several lines, those in it each on one line where it fits."""
    if not isinstance(numbers[0], list):
        lines = textwrap.wrap(", ".join(numbers), WIDTH - 20, break_long_words=False)
        return "\n".join(["[", *indented(lines), "]"])
    rows = [_flat(row) if len(_flat(row)) <= WIDTH - 20 else _wrapped(row) for row in numbers]
    return "\n".join(["[", *indented(f"{row}," for row in rows), "]"])
