"""Formulas → Python that calls torch.

A formula is evaluated as it is translated: what torch has to be handed depends on whether a value
is a plain number, a list, a mask or a tensor, and of how many dimensions.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradcheck.errors import GradcheckError
from gradcheck.language.expression import Definition, Expression
from gradcheck.language.tree import Call, Index, Items, Literal, Name, Node, Number, Slice, Use
from gradcheck.script.layout import fitted, function, source
from gradcheck.script.names import Names
from gradcheck.script.terms import (
    Term,
    as_float,
    called,
    dotted,
    listed,
    method,
    named,
)
from gradcheck.script.words import written
from gradcheck.torch_meaning import TorchMeaning

Scope = Mapping[str, Term]
"""What names stand for; `dA/dB` is a name too."""


class Translator:
    """Formulas as Python; the file's definitions that they use become functions.

    Python's numbers become tensors of torch's default dtype, or of that of the variable `like`,
    where it is given. While it `is_moving`, a formula is part of what is differentiated
    numerically, to which `detach` is a constant.
    """

    def __init__(self, meaning: TorchMeaning, names: Names, like: str = "") -> None:
        self.meaning = meaning
        self.names = names
        self.like = like
        self.is_moving = False
        self.functions: list[str] = []
        """The definitions that were used, those before the ones that use them."""
        self.helpers: set[str] = set()
        """The names of functions that a script has to define."""
        self._known: dict[tuple[str, str], str] = {}

    def value(self, expression: Expression, scope: Scope) -> Term:
        """What the expression is; a list has become a tensor, unless it is one of numbers."""
        return self._settled(expression.tree, scope)

    def tensor(self, term: Term) -> Term:
        """A number or a list as a tensor; others as they are."""
        if isinstance(term.value, (Tensor, tuple)):
            return term
        return Term(self._tensor(term), self.meaning.tensor(term.value))

    def counted(self, term: Term) -> Term:
        """A value as a tensor of the dtype; a mask counts as 1 where it is true."""
        found = self.tensor(term)
        if found.is_counted or isinstance(found.value, tuple):
            return found
        return Term(self._in_dtype(found.python), found.value.to(self.meaning.dtype))

    def raw(self, term: Term) -> Term:
        """A mask or an index: whole numbers in lists stay whole."""
        if term.is_list and is_whole(term.value):
            return Term(called("torch.tensor", term.python), torch.tensor(term.value))
        return self.tensor(term)

    def index(self, term: Term) -> Term:
        """A value as whole numbers."""
        found = self.raw(term)
        if found.is_counted:
            return Term(method(found.python, "long"), found.value.long())
        return found

    def made(self) -> dict[str, ast.expr]:
        """The further arguments of what makes tensors."""
        if not self.like:
            return {}
        where = (
            {"device": dotted(f"{self.like}.device")} if self.meaning.device.type != "cpu" else {}
        )
        return {"dtype": dotted(f"{self.like}.dtype"), **where}

    def _in_dtype(self, python: ast.expr) -> ast.expr:
        if self.like:
            return method(python, "to", dotted(f"{self.like}.dtype"))
        return ast.BinOp(ast.Constant(1.0), ast.Mult(), python)

    def _tensor(self, term: Term) -> ast.expr:
        if term.value is True or term.value is False:
            return called("torch.tensor", term.python)
        if term.is_number:
            return called("torch.tensor", as_float(term), **self.made())
        if not term.items and term.value:  # a variable
            return self._in_dtype(called("torch.tensor", term.python))
        if _is_plain(term):
            made = {} if _are_flags(term) else self.made()
            return called("torch.tensor", _floats(term), **made)
        return called("torch.stack", listed(self._of_tensor(item) for item in term.items))

    def _of_tensor(self, term: Term) -> ast.expr:
        return self.tensor(term).python

    def _settled(self, node: Node, scope: Scope) -> Term:
        term = self._term(node, scope)
        if term.is_list and not all(isinstance(item, (int, float)) for item in term.value):
            return self.tensor(term)
        return term

    def _term(self, node: Node, scope: Scope) -> Term:
        match node:
            case Name():
                return scope[node.name]
            case Number():
                value = self.meaning.number(node.value)
                return Term(ast.Constant(value), value)
            case Literal():
                return Term(ast.Constant(node.value), node.value)  # type: ignore[arg-type]
            case Items():
                items = [self._term(item, scope) for item in node.items]
                python = listed(item.python for item in items)
                return Term(python, [item.value for item in items], tuple(items))
            case Call():
                return self._call(node, scope)
            case Use():
                return self._use(node, scope)
            case Index():
                return self._index(node, scope)
        raise TypeError(node)

    def _call(self, node: Call, scope: Scope) -> Term:
        arguments = [self._term(argument, scope) for argument in node.arguments]
        keywords = {name: self._term(value, scope) for name, value in node.keywords}
        value = self.meaning.call(
            node.word,
            [argument.value for argument in arguments],
            {name: keyword.value for name, keyword in keywords.items()},
        )
        given = {name: keyword for name, keyword in keywords.items() if keyword.value is not None}
        return Term(written(self, node.word, arguments, given, value), value)

    def _index(self, node: Index, scope: Scope) -> Term:
        owner = self.tensor(self._term(node.value, scope))
        items = [self._item(item, scope) for item in node.items]
        at = items[0].python if len(items) == 1 else _tuple([item.python for item in items])
        value = self.meaning.index(owner.value, tuple(item.value for item in items))
        return Term(ast.Subscript(owner.python, at, ast.Load()), value)

    def _item(self, node: Node, scope: Scope) -> Term:
        if isinstance(node, Slice):
            bounds = [None if b is None else self._bound(b, scope) for b in node.bounds]
            python = ast.Slice(*(None if bound is None else bound.python for bound in bounds))
            return Term(python, slice(*(bound and bound.value for bound in bounds)))
        term = self._term(node, scope)
        if term.is_list and is_whole(term.value):
            return term
        return self.index(term) if term.is_list or isinstance(term.value, Tensor) else term

    def _bound(self, node: Node, scope: Scope) -> Term:
        term = self._term(node, scope)
        if isinstance(term.value, Tensor):
            return Term(called("int", term.python), int(term.value))
        return term

    def _use(self, node: Use, scope: Scope) -> Term:
        given = [self._settled(argument, scope) for argument in node.arguments]
        arguments = [self.tensor(one) if one.is_list else one for one in given]
        try:
            name, value = self._defined(node.definition, arguments)
        except (GradcheckError, TypeError, ValueError):  # a list is a setting, say of a shape
            arguments = given
            name, value = self._defined(node.definition, arguments)
        return Term(called(name, *(argument.python for argument in arguments)), value)

    def _defined(self, definition: Definition, arguments: Sequence[Term]) -> tuple[str, Any]:
        """The function that a definition is for such arguments, and what it gives for these."""
        local = Names()
        inner: dict[str, Term] = {}
        for parameter, argument in zip(definition.parameters, arguments, strict=True):
            inner[parameter] = named(local.fresh(parameter), argument.value)
        parameters = ", ".join(source(term.python) for term in inner.values())
        *before, (_, last) = definition.steps
        lines = []
        for step, expression in before:
            term = self.value(expression, inner)
            name = local.fresh(step)
            lines.append(fitted(f"{name} = ", term.python))
            inner[step] = named(name, term.value)
        term = self.value(last, inner)
        lines.append(fitted("return ", term.python))
        key = definition.name, "\n".join(lines)
        if key not in self._known:
            self._known[key] = self.names.fresh(definition.name)
            self.functions.append(function(f"{self._known[key]}({parameters})", lines))
        return self._known[key], term.value


def is_whole(value: Any) -> bool:
    """Whether a nested list is one of whole numbers."""
    if isinstance(value, list):
        return all(map(is_whole, value))
    return isinstance(value, int) and not isinstance(value, bool)


def _is_plain(term: Term) -> bool:
    """Whether it is made of numbers alone, or of True and False alone, so that one call does."""
    flat = _leaves(term)
    is_mixed = any(isinstance(leaf.value, bool) for leaf in flat) and not _are_flags(term)
    return all(leaf.is_number for leaf in flat) and not is_mixed


def _are_flags(term: Term) -> bool:
    flat = _leaves(term)
    return bool(flat) and all(isinstance(leaf.value, bool) for leaf in flat)


def _leaves(term: Term) -> list[Term]:
    if not term.is_list or not term.items:
        return [] if term.is_list else [term]
    return [leaf for item in term.items for leaf in _leaves(item)]


def _floats(term: Term) -> ast.expr:
    """Nested lists of numbers as such of floats."""
    if term.is_list:
        return listed(_floats(item) for item in term.items)
    return term.python if isinstance(term.value, bool) else as_float(term)


def _tuple(items: list[ast.expr]) -> ast.expr:
    return ast.Tuple(items, ast.Load())
