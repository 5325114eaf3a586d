"""The arguments of a call: which parameter of a word, or of a definition, each belongs to."""

from __future__ import annotations

import ast
from typing import TypeGuard

from gradcheck.language.expression import Definition
from gradcheck.language.spelling import suggestion
from gradcheck.language.word import Parameter, Word

Bound = list[tuple[Parameter, ast.expr]]


class MisfitError(Exception):
    """An argument that does not fit; `node` is it, or the call that lacks one."""

    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(message)
        self.node = node


def bind(node: ast.Call, word: Word) -> Bound:
    """Each argument with its parameter, in the order of the signature.

    Raises:
        MisfitError: One is unknown, missing, given twice, or of the wrong kind.
    """
    bound = _by_position(node, word)
    bound += _by_name(node, word, {parameter.name for parameter, _ in bound})
    for parameter, value in bound:
        _check_kind(parameter, value)
    seen = {parameter.name for parameter, _ in bound}
    for parameter in word.parameters:
        if not parameter.optional and parameter.name not in seen:
            raise MisfitError(node, f"`{parameter.name}` is missing: {word.usage}")
    return sorted(bound, key=lambda pair: word.parameters.index(pair[0]))


def bind_definition(node: ast.Call, definition: Definition) -> list[ast.expr]:
    """The arguments in the order of the definition's parameters.

    Raises:
        MisfitError: They are not one for each.
    """
    given = dict(zip(definition.parameters, node.args, strict=False))
    given |= {str(keyword.arg): keyword.value for keyword in node.keywords}
    count = len(node.args) + len(node.keywords)
    if set(given) != set(definition.parameters) or count != len(given):
        usage = f"{definition.name}({', '.join(definition.parameters)})"
        raise MisfitError(node, f"this definition is used as {usage}")
    return [given[name] for name in definition.parameters]


def is_literal(node: ast.expr, kind: type | tuple[type, ...]) -> TypeGuard[ast.Constant]:
    """Whether the node is a constant of that kind."""
    return isinstance(node, ast.Constant) and isinstance(node.value, kind)


def _by_position(node: ast.Call, word: Word) -> Bound:
    parameters = word.parameters
    many = len(node.args) - len(parameters)
    if many > 0 and parameters and parameters[-1].variadic:
        parameters += parameters[-1:] * many
    elif many > 0:
        extra = node.args[len(parameters)]
        raise MisfitError(extra, f"one argument too many: {word.usage}")
    return list(zip(parameters, node.args, strict=False))


def _by_name(node: ast.Call, word: Word, taken: set[str]) -> Bound:
    known = {parameter.name: parameter for parameter in word.parameters}
    bound: Bound = []
    for keyword in node.keywords:
        name = str(keyword.arg)
        if name not in known:
            close = suggestion(name, known) or f": it is used as {word.usage}"
            raise MisfitError(keyword, f"`{word.name}` has no argument `{name}`{close}")
        if name in taken:
            raise MisfitError(keyword, f"`{name}` is given twice")
        taken.add(name)
        bound.append((known[name], keyword.value))
    return bound


def _check_kind(parameter: Parameter, value: ast.expr) -> None:
    is_text = is_literal(value, str)
    if parameter.kind == "text" and not is_text:
        raise MisfitError(value, f"`{parameter.name}` is a text in quotes")
    if parameter.kind != "text" and is_text:
        raise MisfitError(value, f"`{parameter.name}` is not a text")
    if parameter.kind == "list" and not isinstance(value, (ast.List, ast.Tuple)):
        raise MisfitError(value, f"`{parameter.name}` is a list: write [a, b]")
