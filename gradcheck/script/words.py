"""How torch is called for each word of the vocabulary."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from gradcheck.language.word import Parameter, Word
from gradcheck.script.terms import Term, as_float, called, dotted, listed, method

if TYPE_CHECKING:
    from gradcheck.script.translate import Translator

Arguments = Sequence[Term]
Keywords = Mapping[str, Term]

_BINARY: Final[Mapping[str, ast.operator]] = {
    "add": ast.Add(),
    "sub": ast.Sub(),
    "mul": ast.Mult(),
    "div": ast.Div(),
    "remainder": ast.Mod(),
    "matmul": ast.MatMult(),
}
_COMPARE: Final[Mapping[str, ast.cmpop]] = {
    "lt": ast.Lt(),
    "le": ast.LtE(),
    "gt": ast.Gt(),
    "ge": ast.GtE(),
    "eq": ast.Eq(),
    "ne": ast.NotEq(),
}
_ELSEWHERE: Final = {
    "norm": "torch.linalg.vector_norm",
    "unfold": "torch.nn.functional.unfold",
    "fold": "torch.nn.functional.fold",
}
_OTHER_NAMES: Final = {("norm", "p"): "ord"}
_LISTS: Final = ("reshape", "permute", "flip")
"""Words whose function wants a list also where it is of one number."""
_PROMOTING: Final = ("add", "mul")
"""Words of which torch takes a mask beside a tensor of numbers."""


def written(
    to: Translator, word: Word, arguments: Arguments, keywords: Keywords, value: Any
) -> ast.expr:
    """A word applied to values, of which `value` is the result; no keyword is None."""
    if word.signature is None:
        return dotted(f"torch.{word.name}")
    special = _SPECIAL.get(word.name)
    if special is not None:
        return special(to, arguments, keywords, value)
    if word.name in _BINARY:
        left, right = (_operand(to, word, arguments, i) for i in (0, 1))
        return ast.BinOp(left, _BINARY[word.name], right)
    if word.name in _COMPARE:
        left, right = (_compared(to, argument) for argument in arguments)
        return ast.Compare(left, [_COMPARE[word.name]], [right])
    return _called(to, word, arguments, keywords)


def _called(to: Translator, word: Word, arguments: Arguments, keywords: Keywords) -> ast.expr:
    """By torch's own name and arguments: those that have to be given by position."""
    values = iter(arguments)
    positional: list[ast.expr] = []
    named: dict[str, ast.expr] = {}
    for parameter in word.parameters:
        if parameter.variadic:
            positional += [_argument(to, word, parameter, value) for value in values]
        elif parameter.is_value and not parameter.optional:
            positional.append(_argument(to, word, parameter, next(values)))
        elif parameter.name in keywords:
            given = _argument(to, word, parameter, keywords[parameter.name])
            name = _OTHER_NAMES.get((word.name, parameter.name), parameter.name)
            if parameter.optional:
                named[name] = given
            else:
                positional.append(given)
    if word.creates and not positional:
        positional.append(listed([]))  # zeros() is a number
    extra = to.made() if word.creates else {}
    return called(_function(word), *positional, **named, **extra)


def _function(word: Word) -> str:
    if word.torch.startswith("torch."):
        return word.torch
    return _ELSEWHERE.get(word.name, f"torch.{word.name}")


def _argument(to: Translator, word: Word, parameter: Parameter, term: Term) -> ast.expr:
    match parameter.kind:
        case "tensor":
            return to.counted(term).python
        case "operand":
            return term.python if term.is_number else to.counted(term).python
        case "raw":
            return to.raw(term).python
        case "list":
            return listed(to.counted(item).python for item in term.items)
        case "ints":
            single = not term.is_list and not parameter.variadic and word.name in _LISTS
            return listed([_whole(term)]) if single else _whole(term)
        case "int":
            return _whole(term)
        case "number" if isinstance(term.value, Tensor):
            return method(term.python, "item")
    return term.python


def _whole(term: Term) -> ast.expr:
    if term.items:
        return listed(map(_whole, term.items))
    return called("int", term.python) if isinstance(term.value, Tensor) else term.python


def _operand(to: Translator, word: Word, arguments: Arguments, position: int) -> ast.expr:
    """A number, or a tensor; torch itself counts whole numbers beside others, and some masks."""
    term, other = arguments[position], arguments[1 - position]
    if term.is_number and word.name != "matmul":
        return term.python
    found = to.tensor(term)
    if word.name == "matmul" or found.is_counted or not other.is_counted:
        return to.counted(found).python
    is_taken = word.name in _PROMOTING or not _is_mask(found)
    return found.python if is_taken else to.counted(found).python


def _compared(to: Translator, term: Term) -> ast.expr:
    return term.python if term.is_number else to.tensor(term).python


def _power(to: Translator, arguments: Arguments, _: Keywords, value: Any) -> ast.expr:
    """Powers of whole numbers are exact as long as they are not too large."""
    base, exponent = arguments
    if not (base.is_number and exponent.is_number):
        left, right = (_argument_of_power(to, term) for term in arguments)
    else:
        is_exact = isinstance(value, int) or isinstance(base.value, float)
        left, right = base.python if is_exact else as_float(base), exponent.python
    return ast.BinOp(left, ast.Pow(), right)


def _argument_of_power(to: Translator, term: Term) -> ast.expr:
    return term.python if term.is_number else to.counted(term).python


def _floor_divide(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    left, right = arguments
    if left.is_number and right.is_number:
        return ast.BinOp(left.python, ast.FloorDiv(), right.python)
    divisor = right.python if right.is_number else to.counted(right).python
    mode = ast.Constant("floor")
    return called("torch.div", to.counted(left).python, divisor, rounding_mode=mode)


def _unary(operator: ast.unaryop) -> Callable[..., ast.expr]:
    def negated(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
        (term,) = arguments
        return ast.UnaryOp(operator, term.python if term.is_number else to.counted(term).python)

    return negated


def _logical(operator: ast.operator, function: str) -> Callable[..., ast.expr]:
    def combined(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
        left, right = map(to.raw, arguments)
        if _is_mask(left) and _is_mask(right):
            return ast.BinOp(left.python, operator, right.python)
        return called(function, left.python, right.python)

    return combined


def _logical_not(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    (term,) = map(to.raw, arguments)
    if _is_mask(term):
        return ast.UnaryOp(ast.Invert(), term.python)
    return called("torch.logical_not", term.python)


def _is_mask(term: Term) -> bool:
    return isinstance(term.value, Tensor) and term.value.dtype is torch.bool


def _itself(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    """Of a word that does nothing to real values."""
    return to.counted(arguments[0]).python


def _zeros_like(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    return called("torch.zeros_like", to.counted(arguments[0]).python)


def _transposed(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    term = to.counted(arguments[0])
    if term.value.ndim != 2:  # a vector is its own transpose
        return term.python
    return ast.Attribute(term.python, "T", ast.Load())


def _transposed_matrix(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    return ast.Attribute(to.counted(arguments[0]).python, "mT", ast.Load())


def _expanded(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    first, *sizes = arguments
    return method(to.counted(first).python, "expand", *map(_whole, sizes))


def _kronecker(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    """torch's own asks for a view that transposed values do not have."""
    terms = map(to.counted, arguments)
    return called(
        "torch.kron",
        *(t.python if t.value.is_contiguous() else method(t.python, "contiguous") for t in terms),
    )


def _chosen(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    """torch.where takes plain numbers, but makes whole ones of two that are whole."""
    condition, *rest = arguments
    of_numbers = bool(to.like) and all(term.is_number for term in rest)
    chosen = (
        as_float(term) if term.is_number and not of_numbers else to.counted(term).python
        for term in rest
    )
    return called("torch.where", to.raw(condition).python, *chosen)


def _clamped(to: Translator, arguments: Arguments, keywords: Keywords, _: Any) -> ast.expr:
    """torch takes two numbers or two tensors."""
    are_numbers = all(bound.is_number for bound in keywords.values())
    bounds = {
        name: bound.python if are_numbers else to.counted(bound).python
        for name, bound in keywords.items()
    }
    return called("torch.clamp", to.counted(arguments[0]).python, **bounds)


def _detached(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    term = to.counted(arguments[0])
    if not to.is_moving:
        return method(term.python, "detach")
    to.helpers.add("detach")
    return called("detach", term.python)


def _factor(to: Translator, arguments: Arguments, _: Keywords, __: Any) -> ast.expr:
    to.helpers.add("cholesky")
    return called("cholesky", to.counted(arguments[0]).python)


def _picked(function: str) -> Callable[..., ast.expr]:
    def picked(to: Translator, arguments: Arguments, keywords: Keywords, _: Any) -> ast.expr:
        value, index = arguments
        dim = _whole(keywords["dim"])
        return called(function, to.counted(value).python, dim, to.index(index).python)

    return picked


def _one_hot(to: Translator, arguments: Arguments, keywords: Keywords, value: Any) -> ast.expr:
    index = to.index(arguments[0]).python
    found = called("torch.nn.functional.one_hot", index, _whole(keywords["num_classes"]))
    return to.counted(Term(found, value.long())).python


def _range(to: Translator, _: Arguments, keywords: Keywords, value: Any) -> ast.expr:
    given = [keywords[name] for name in ("start", "end", "step") if name in keywords]
    if "end" not in keywords and "step" in keywords:
        given = [Term(ast.Constant(0), 0), *given]
    terms = [_plain(term) for term in given]
    if to.like or any(isinstance(term.value, float) for term in terms):
        return called("torch.arange", *(term.python for term in terms), **to.made())
    if all(isinstance(term.python, ast.Constant) for term in terms):
        return called("torch.arange", *map(as_float, terms))
    return to.counted(Term(called("torch.arange", *(t.python for t in terms)), value.long())).python


def _plain(term: Term) -> Term:
    if isinstance(term.value, Tensor):
        return Term(method(term.python, "item"), term.value.item())
    return term


_SPECIAL: Final[Mapping[str, Callable[..., ast.expr]]] = {
    "pow": _power,
    "floor_divide": _floor_divide,
    "neg": _unary(ast.USub()),
    "positive": _unary(ast.UAdd()),
    "logical_and": _logical(ast.BitAnd(), "torch.logical_and"),
    "logical_or": _logical(ast.BitOr(), "torch.logical_or"),
    "logical_not": _logical_not,
    "conj": _itself,
    "real": _itself,
    "imag": _zeros_like,
    "T": _transposed,
    "mT": _transposed_matrix,
    "expand": _expanded,
    "kron": _kronecker,
    "where": _chosen,
    "clamp": _clamped,
    "detach": _detached,
    "cholesky": _factor,
    "gather": _picked("torch.gather"),
    "index_select": _picked("torch.index_select"),
    "one_hot": _one_hot,
    "arange": _range,
}
