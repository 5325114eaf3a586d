"""The choices that a formula makes: comparisons, and words with a kink."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gradcheck.language.editing import Editor, Part, call, number, operand
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Node, values_of

COMPARISONS: Final = (
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
    "logical_and",
    "logical_or",
    "logical_not",
)
_AT_ZERO: Final = ("relu", "abs", "sign", "leaky_relu", "elu", "celu", "selu", "prelu", "hardswish")


def choices(formula: Expression) -> Iterator[Part]:
    """Each as a comparison of values, with how it is written."""
    editor = Editor(formula)
    for node in values_of(formula.tree):
        if not isinstance(node, Call):
            continue
        name, parts = node.word.name, [editor.part(argument) for argument in node.arguments]
        if name in COMPARISONS:
            yield editor.part(node)
        elif name in _AT_ZERO:
            yield _compared(parts[0], ">", number(0))
        elif name in ("maximum", "minimum"):
            yield _compared(parts[0], ">", parts[1])
        elif name in ("clamp", "clip", "hardtanh"):
            bounds = [*parts[1:], *(editor.part(value) for _, value in node.keywords)]
            for sign, bound in zip("><", bounds, strict=False):
                yield _compared(parts[0], sign, bound)


def _compared(left: Part, sign: str, right: Part) -> Part:
    node: Node = call("gt" if sign == ">" else "lt", left.node, right.node)
    return Part(node, f"{operand(left.text)} {sign} {operand(right.text)}")
