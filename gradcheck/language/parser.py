"""Text → Expression: Python's syntax, parsed with `ast` and admitted node by node."""

from __future__ import annotations

import ast
import re
import sys
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from gradcheck.errors import ExpressionError
from gradcheck.language.arguments import MisfitError, bind, bind_definition, is_literal
from gradcheck.language.characters import check_characters
from gradcheck.language.expression import Definition, Expression
from gradcheck.language.leibniz import find_links
from gradcheck.language.spelling import suggestion
from gradcheck.language.tree import Call, Index, Items, Literal, Name, Node, Number, Slice, Use
from gradcheck.language.vocabulary import ATTRIBUTES, SYNONYMS, WORDS
from gradcheck.language.word import Parameter, Word

MAX_DEPTH: Final = 100
MAX_COST: Final = 100_000
_LARGEST: Final = sys.float_info.max

_NOT_ZERO: Final = re.compile(r"[0.]*[1-9]")
_MODULES: Final = ("torch", "math", "torch.linalg", "torch.nn.functional", "torch.special")
_BINARY: Final = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.BitAnd: "logical_and",
    ast.BitOr: "logical_or",
}
_UNARY: Final = {ast.USub: "neg", ast.UAdd: "positive", ast.Invert: "logical_not"}
_COMPARE: Final = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
_REFUSED: Final = {
    ast.Lambda: "a formula has no lambda",
    ast.IfExp: "write where(condition, a, b) for a choice",
    ast.ListComp: "a formula has no comprehensions; the words work on whole tensors",
    ast.SetComp: "a formula has no comprehensions; the words work on whole tensors",
    ast.DictComp: "a formula has no comprehensions; the words work on whole tensors",
    ast.GeneratorExp: "a formula has no comprehensions; the words work on whole tensors",
    ast.JoinedStr: "a formula has no f-strings",
    ast.NamedExpr: "a formula assigns nothing; write a step of that name",
    ast.Starred: "a formula has no *arguments; write them out",
    ast.Await: "a formula has no await",
    ast.Yield: "a formula has no yield",
    ast.YieldFrom: "a formula has no yield",
    ast.BoolOp: "conditions are joined with & and |, each in parentheses",
}


def parse(
    text: str,
    *,
    links: Mapping[str, str] | None = None,
    definitions: Mapping[str, Definition] | None = None,
    scope: Collection[str] = (),
    file: str = "",
    line: int = 0,
) -> Expression:
    """The expression that `text` spells.

    Args:
        text: A formula, of at most 10,000 characters.
        links: The links that may be used, `dA/dB` as written → the name it stands for.
        definitions: The helpers that may be used.
        scope: The names of values; a link whose two halves are such names is ambiguous.
        file, line: Where the formula stands, kept for messages.

    Raises:
        ExpressionError: The text is no formula, with the offsets of the culprit.
    """
    reader = _Reader(text, links or {}, definitions or {}, scope)
    expression = Expression(text, reader.read(), file, line)
    if expression.depth > MAX_DEPTH:
        raise ExpressionError(
            f"this is nested more than {MAX_DEPTH} deep, its definitions included", 0, len(text)
        )
    if expression.cost > MAX_COST:
        raise ExpressionError(
            f"this takes {expression.cost:,} operations, more than {MAX_COST:,}", 0, len(text)
        )
    return expression


class _Reader:
    """Reads one formula; every method admits one kind of node."""

    def __init__(
        self,
        text: str,
        links: Mapping[str, str],
        definitions: Mapping[str, Definition],
        scope: Collection[str],
    ) -> None:
        self.text = text
        self.links = links
        self.definitions = definitions
        self.scope = scope
        self.names: dict[int, str] = {}
        self.shift = 0
        self.depth = 0

    def read(self) -> Node:
        check_characters(self.text)
        python = self._replace_links()
        python = re.sub(r"[\t\r\n]", " ", python)
        self.shift = len(python) - len(python.lstrip())
        try:
            return self._admit(self._parse(python.strip()))
        except (RecursionError, MemoryError):
            raise self._too_deep() from None

    def _replace_links(self) -> str:
        """The text with every link made one Python name of the same length."""
        python = self.text
        end = 0
        for start, link in find_links(self.text):
            if str(link) not in self.links or start < end:
                continue
            end = start + len(str(link))
            if f"d{link.output}" in self.scope and f"d{link.input}" in self.scope:
                raise ExpressionError(
                    f"`{link}` is a link and also `d{link.output}` divided by `d{link.input}`: "
                    "rename a value, or put spaces around the / for the division",
                    start,
                    end,
                )
            self.names[start] = self.links[str(link)]
            python = python[:start] + str(link).replace("/", "_") + python[end:]
        return python

    def _parse(self, python: str) -> ast.expr:
        try:
            return ast.parse(python, mode="eval").body
        except SyntaxError as error:
            offset = error.offset - 1 if error.offset else len(python)
            message = _syntax(error.msg, python[offset : offset + 1])
            raise ExpressionError(message, min(self.shift + offset, len(self.text) - 1)) from None

    def _too_deep(self) -> ExpressionError:
        return ExpressionError(
            f"the formula is nested more than {MAX_DEPTH} deep: name parts of it as steps"
        )

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start, end = node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
        return self.shift + start, self.shift + end

    def _refusal(self, node: ast.AST, message: str) -> ExpressionError:
        return ExpressionError(message, *self._span(node))

    def _admit(self, node: ast.expr) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._too_deep()
        method = _ADMITTED.get(type(node))
        if method is None:
            raise self._refusal(node, _REFUSED.get(type(node), "this is not part of the language"))
        admitted = method(self, node)
        self.depth -= 1
        return admitted

    def _all(self, nodes: Sequence[ast.expr]) -> tuple[Node, ...]:
        return tuple(self._admit(node) for node in nodes)

    def _constant(self, node: ast.Constant) -> Node:
        start, end = self._span(node)
        if isinstance(node.value, bool):
            return Literal(start, end, node.value)
        if isinstance(node.value, (int, float)):
            return Number(start, end, self._number(node, node.value))
        raise self._refusal(node, "this is no value")

    def _number(self, node: ast.Constant, value: int | float) -> int | Decimal:
        start, end = self._span(node)
        text = self.text[start:end]
        if value > _LARGEST:
            raise self._refusal(node, "this number is larger than any float64")
        if isinstance(value, int):
            return value
        if value == 0 and _NOT_ZERO.match(text):
            raise self._refusal(node, "this number is smaller than any float64")
        return Decimal(text) if value else Decimal(0)

    def _name(self, node: ast.Name) -> Node:
        start, end = self._span(node)
        if start in self.names:
            return Name(start, end, self.names[start])
        word = WORDS.get(node.id)
        if word is None or (node.id in ATTRIBUTES and node.id in self.scope):
            return Name(start, end, node.id)
        if word.signature is not None:
            raise self._refusal(node, f"`{word.name}` is a word: write {word.usage}")
        return Call(start, end, word, ())

    def _list(self, node: ast.List) -> Node:
        return Items(*self._span(node), self._all(node.elts))

    def _tuple(self, node: ast.Tuple) -> Node:
        return Items(*self._span(node), self._all(node.elts))

    def _binop(self, node: ast.BinOp) -> Node:
        word = _BINARY.get(type(node.op))
        if word is None:
            raise self._refusal(node, "this operator is not part of the language")
        return Call(*self._span(node), WORDS[word], self._all([node.left, node.right]))

    def _unaryop(self, node: ast.UnaryOp) -> Node:
        word = _UNARY.get(type(node.op))
        if word is None:
            raise self._refusal(node, "a condition is negated with ~, in parentheses")
        return Call(*self._span(node), WORDS[word], (self._admit(node.operand),))

    def _compare(self, node: ast.Compare) -> Node:
        if len(node.ops) > 1:
            raise self._refusal(node, "write a chain of comparisons as (a < b) & (b < c)")
        word = _COMPARE.get(type(node.ops[0]))
        if word is None:
            raise self._refusal(node, "this comparison is not part of the language")
        return Call(*self._span(node), WORDS[word], self._all([node.left, *node.comparators]))

    def _attribute(self, node: ast.Attribute) -> Node:
        if node.attr in ATTRIBUTES:
            return Call(*self._span(node), WORDS[node.attr], (self._admit(node.value),))
        if _is_module(node.value) and (word := WORDS.get(node.attr)):
            if word.signature is None:
                return Call(*self._span(node), word, ())
            raise self._refusal(node, f"`{word.name}` is a word: write {word.usage}")
        message = f"`.{node.attr}` is not part of the language, only .T and .mT are"
        raise self._refusal(node, message)

    def _subscript(self, node: ast.Subscript) -> Node:
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        value = self._admit(node.value)
        return Index(*self._span(node), value, tuple(self._item(item) for item in items))

    def _item(self, node: ast.expr) -> Node:
        if is_literal(node, (types.EllipsisType, types.NoneType)):
            return Literal(*self._span(node), node.value)
        if is_literal(node, (str, bytes)):
            raise self._refusal(node, "an index is a number, a slice, None or a tensor")
        return self._admit(node)

    def _slice(self, node: ast.Slice) -> Node:
        bounds = (node.lower, node.upper, node.step)
        lower, upper, step = (None if bound is None else self._item(bound) for bound in bounds)
        return Slice(*self._span(node), (lower, upper, step))

    def _call(self, node: ast.Call) -> Node:
        name = self._called(node.func)
        in_torch = isinstance(node.func, ast.Attribute)
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._refusal(keyword.value, "a formula has no **arguments; write them out")
        try:
            if name in self.definitions and not in_torch:
                return self._use(node, self.definitions[name])
            if name in WORDS and WORDS[name].signature is not None:
                return self._word(node, WORDS[name])
        except MisfitError as misfit:
            raise self._refusal(misfit.node, str(misfit)) from None
        known = [*WORDS] if in_torch else [*WORDS, *self.definitions]
        raise self._refusal(node.func, self._unknown_word(name, known))

    def _unknown_word(self, name: str, known: Collection[str]) -> str:
        if name in self.scope or name in WORDS or name in self.links:
            return f"`{name}` is a value, not a word: a product is written with *"
        if name in SYNONYMS:
            return f"`{name}` is not a word: write {SYNONYMS[name]}"
        close = suggestion(name, known)
        return f"`{name}` is not a word{close or ': `gradcheck words` lists them'}"

    def _called(self, function: ast.expr) -> str:
        if isinstance(function, ast.Name):
            start, _ = self._span(function)
            return self.names.get(start, function.id)
        if isinstance(function, ast.Attribute):
            if _is_module(function.value):
                return function.attr
            if function.attr in WORDS:
                usage = WORDS[function.attr].usage
                raise self._refusal(function, f"values have no methods: write {usage}")
            raise self._refusal(function, f"`.{function.attr}` is not part of the language")
        raise self._refusal(function, "only words and definitions can be called")

    def _use(self, node: ast.Call, definition: Definition) -> Node:
        arguments = self._all(bind_definition(node, definition))
        return Use(*self._span(node), definition, arguments)

    def _word(self, node: ast.Call, word: Word) -> Node:
        arguments: list[Node] = []
        keywords: dict[str, Node] = {}
        for parameter, value in bind(node, word):
            admitted = self._argument(parameter, value)
            # Values go by position, as torch's functions take them; settings go by name.
            if parameter.variadic or (parameter.is_value and not parameter.optional):
                arguments.append(admitted)
            else:
                keywords[parameter.name] = admitted
        return Call(*self._span(node), word, tuple(arguments), tuple(keywords.items()))

    def _argument(self, parameter: Parameter, value: ast.expr) -> Node:
        """An optional argument may be None, which is as if it were not given."""
        plain = (str, types.NoneType) if parameter.optional else str
        if is_literal(value, plain):
            return Literal(*self._span(value), value.value)
        return self._admit(value)


_ADMITTED: Final[dict[type[ast.expr], Callable[[_Reader, Any], Node]]] = {
    ast.Constant: _Reader._constant,
    ast.Name: _Reader._name,
    ast.List: _Reader._list,
    ast.Tuple: _Reader._tuple,
    ast.BinOp: _Reader._binop,
    ast.UnaryOp: _Reader._unaryop,
    ast.Compare: _Reader._compare,
    ast.Attribute: _Reader._attribute,
    ast.Subscript: _Reader._subscript,
    ast.Slice: _Reader._slice,
    ast.Call: _Reader._call,
}


def _is_module(node: ast.expr) -> bool:
    """Where a word may come from, as in `torch.nn.functional.relu`."""
    return isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node) in _MODULES


def _syntax(message: str, culprit: str) -> str:
    if "too many nested" in message:
        return f"the formula is nested more than {MAX_DEPTH} deep: name parts of it as steps"
    if "integer string conversion" in message:
        return "this number is larger than any float64"
    if "Maybe you meant '=='" in message or culprit == "=":
        return "not a formula: a step is written `name: formula`, without ="
    return f"not a formula: {message}"
