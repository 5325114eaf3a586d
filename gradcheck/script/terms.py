"""Parts of Python expressions, each with the value that it has at the point."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """An expression in Python and its value; of a list that is written out, its items too."""

    python: ast.expr
    value: Any
    items: tuple[Term, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is a plain number, or True or False."""
        return isinstance(self.value, (int, float))

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    @property
    def is_counted(self) -> bool:
        """Whether it is a tensor of numbers that are no whole ones, as torch computes with."""
        return isinstance(self.value, Tensor) and self.value.dtype.is_floating_point

    @property
    def shape(self) -> tuple[int, ...] | None:
        """That of a tensor."""
        return tuple(self.value.shape) if isinstance(self.value, Tensor) else None


def named(name: str, value: Any) -> Term:
    """A variable, `x`, or what a module has, `torch.pi`."""
    return Term(dotted(name), value)


def dotted(name: str) -> ast.expr:
    return ast.parse(name, mode="eval").body


def called(function: str | ast.expr, *arguments: ast.expr, **keywords: ast.expr) -> ast.expr:
    """function(*arguments, **keywords)."""
    what = dotted(function) if isinstance(function, str) else function
    return ast.Call(what, list(arguments), [ast.keyword(n, v) for n, v in keywords.items()])


def method(owner: ast.expr, name: str, *arguments: ast.expr) -> ast.expr:
    """owner.name(*arguments)."""
    return called(ast.Attribute(owner, name, ast.Load()), *arguments)


def listed(items: Iterable[ast.expr]) -> ast.expr:
    return ast.List(list(items), ast.Load())


def whole_numbers(shape: Iterable[int]) -> ast.expr:
    """A shape."""
    return listed(ast.Constant(size) for size in shape)


def as_float(term: Term) -> ast.expr:
    """A plain number as one that is no int: torch makes tensors of whole numbers of ints."""
    node = term.python
    if isinstance(term.value, float):
        return node
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if isinstance(node, ast.UnaryOp) and negative else node
    if isinstance(inner, ast.Constant):
        decimal = ast.Constant(float(inner.value))  # type: ignore[arg-type]
        return ast.UnaryOp(ast.USub(), decimal) if negative else decimal
    return called("float", node)
