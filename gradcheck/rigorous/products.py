"""Words that are sums of products, or made of other words: composed of those, and so no rules.

`call` is a word's meaning: call("mul", a, b).
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

Call = Callable[..., Any]


def _shape(x: Any) -> tuple[int, ...]:
    return getattr(x, "shape", ())


def _matmul(call: Call, input: Any, other: Any) -> Any:
    if len(_shape(input)) == len(_shape(other)) == 1:
        return _dot(call, input, other)
    if len(_shape(input)) == 1:
        return call("squeeze", _matmul(call, call("unsqueeze", input, dim=0), other), dim=-2)
    if len(_shape(other)) == 1:
        return call("squeeze", _matmul(call, input, call("unsqueeze", other, dim=1)), dim=-1)
    rows = call("unsqueeze", input, dim=-2)
    columns = call("unsqueeze", call("mT", other), dim=-3)
    return call("sum", call("mul", rows, columns), dim=-1)


def _dot(call: Call, input: Any, tensor: Any) -> Any:
    return call("sum", call("mul", input, tensor))


def _outer(call: Call, input: Any, vec2: Any) -> Any:
    return call("mul", call("unsqueeze", input, dim=1), vec2)


def _kron(call: Call, input: Any, other: Any) -> Any:
    dimensions = max(len(_shape(input)), len(_shape(other)))
    shapes = [(1,) * (dimensions - len(_shape(x))) + _shape(x) for x in (input, other)]
    spread = [
        call("reshape", input, shape=list(itertools.chain(*((n, 1) for n in shapes[0])))),
        call("reshape", other, shape=list(itertools.chain(*((1, n) for n in shapes[1])))),
    ]
    joined = [a * b for a, b in zip(*shapes, strict=True)]
    return call("reshape", call("mul", *spread), shape=joined)


def _tensordot(call: Call, a: Any, b: Any, dims: Any = 2) -> Any:
    shapes = [_shape(a), _shape(b)]
    if isinstance(dims, int):
        dims = [list(range(len(shapes[0]) - dims, len(shapes[0]))), list(range(dims))]
    summed = [[d % len(s) for d in listed] for s, listed in zip(shapes, dims, strict=True)]
    kept = [[d for d in range(len(s)) if d not in c] for s, c in zip(shapes, summed, strict=True)]
    outer = [[s[d] for d in c] for s, c in zip(shapes, kept, strict=True)]
    inner = math.prod(shapes[0][d] for d in summed[0])
    rows = call("permute", a, dims=kept[0] + summed[0])
    columns = call("permute", b, dims=summed[1] + kept[1])
    left = call("reshape", rows, shape=[math.prod(outer[0]), inner])
    right = call("reshape", columns, shape=[inner, math.prod(outer[1])])
    return call("reshape", call("matmul", left, right), shape=outer[0] + outer[1])


def _einsum(call: Call, *operands: Any, equation: str) -> Any:
    """The product of the operands, each spread over all letters, summed over those not kept."""
    inputs, output = _letters(equation, [len(_shape(operand)) for operand in operands])
    letters = output + sorted({c for subscripts in inputs for c in subscripts} - set(output))
    spread = [_spread(call, x, list(s), letters) for x, s in zip(operands, inputs, strict=True)]
    product = spread[0]
    for factor in spread[1:]:
        product = call("mul", product, factor)
    summed = list(range(len(output), len(letters)))
    return call("sum", product, dim=summed) if summed else product


def _letters(equation: str, dimensions: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """The letters of each operand and of the result; an ellipsis becomes digits, from the right."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = []
    for subscripts, count in zip(left.split(","), dimensions, strict=True):
        before, dots, after = subscripts.partition("...")
        wide = count - len(before) - len(after) if dots else 0
        inputs.append([*before, *string.digits[:wide][::-1], *after])
    every = [c for subscripts in inputs for c in subscripts]
    hidden = sorted({c for c in every if c.isdigit()}, reverse=True)
    if not arrow:
        return inputs, hidden + sorted(c for c in every if every.count(c) == 1 and c.isalpha())
    before, dots, after = right.partition("...")
    return inputs, [*before, *(hidden if dots else []), *after]


def _spread(call: Call, x: Any, subscripts: list[str], letters: list[str]) -> Any:
    """The operand with a dimension for each letter, of size 1 where it has none.

    Of a letter that is there twice, the diagonal.
    """
    while repeated := [c for c in subscripts if subscripts.count(c) > 1]:
        first, second = [i for i, c in enumerate(subscripts) if c == repeated[0]][:2]
        order = [i for i in range(len(subscripts)) if i not in (first, second)]
        x = call("permute", x, dims=[*order, first, second])
        n = x.shape[-1]
        flat = call("reshape", x, shape=[*x.shape[:-2], n * n])
        x = call("index_select", flat, np.arange(n) * (n + 1), dim=-1)
        subscripts = [*(subscripts[i] for i in order), repeated[0]]
    there = sorted(range(len(subscripts)), key=lambda i: letters.index(subscripts[i]))
    x = call("permute", x, dims=there) if there else x
    sizes = dict(zip((subscripts[i] for i in there), _shape(x), strict=True))
    return call("reshape", x, shape=[sizes.get(c, 1) for c in letters])


def _trace(call: Call, input: Any) -> Any:
    return call("sum", call("diag", input))


def _logdet(call: Call, input: Any) -> Any:
    return call("log", call("det", input))


def _slogdet(call: Call, input: Any) -> tuple[Any, Any]:
    det = call("det", input)
    return call("sign", det), call("log", call("abs", det))


PRODUCTS: Final[Mapping[str, Callable[..., Any]]] = {
    "matmul": _matmul,
    "dot": _dot,
    "outer": _outer,
    "kron": _kron,
    "tensordot": _tensordot,
    "einsum": _einsum,
    "trace": _trace,
    "logdet": _logdet,
    "slogdet": _slogdet,
}
