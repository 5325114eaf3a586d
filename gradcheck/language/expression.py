"""An expression: one syntax tree that serves every meaning a formula can have.

What its words do is a `Meaning`'s business: torch tensors, tensors whose every operation is moved
a little, balls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from gradcheck.errors import EvaluationError
from gradcheck.language.tree import (
    Call,
    Index,
    Items,
    Literal,
    Name,
    Node,
    Number,
    Slice,
    Use,
    children,
    walk,
)
from gradcheck.language.vocabulary import POINTWISE
from gradcheck.language.word import Word


class Meaning(Protocol):
    """What numbers, words and indexing mean."""

    def number(self, value: int | Decimal) -> Any:
        """The value of a number as it is written: exactly that decimal."""

    def call(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """The value of a word; whatever it raises becomes an `EvaluationError`."""

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        """value[items]."""

    def tensor(self, value: Any) -> Any:
        """A plain number, or a list of values, as a value with a shape; others as they are."""

    def shape(self, value: Any) -> tuple[int, ...] | None:
        """The shape of a value; a plain number has none."""


Scope = Mapping[str, Any]
"""The values that names have; `dA/dB` is a name too."""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A formula: its text, its tree, and where it stands.

    `names` are the names it reads, in order of appearance; `cost` is the number of operations
    that one evaluation takes and `depth` how deep they nest, those of the definitions it uses
    included. `is_pointwise` where every word works entry by entry: of numbers it makes a number, of
    numbers stacked along a dimension the results stacked along it.
    """

    text: str
    tree: Node
    file: str = ""
    line: int = 0
    names: tuple[str, ...] = field(init=False)
    cost: int = field(init=False)
    depth: int = field(init=False)
    is_pointwise: bool = field(init=False)

    def __post_init__(self) -> None:
        names: dict[str, None] = {}
        measure = _measured(self.tree, names)
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "cost", measure.cost)
        object.__setattr__(self, "depth", measure.depth)
        object.__setattr__(self, "is_pointwise", measure.is_pointwise)

    @property
    def words(self) -> frozenset[str]:
        """The names of the words that it uses, those of the definitions it uses included."""
        found: set[str] = set()
        for node in walk(self.tree):
            if isinstance(node, Call):
                found.add(node.word.name)
            elif isinstance(node, Use):
                for _, expression in node.definition.steps:
                    found |= expression.words
        return frozenset(found)

    def evaluate(self, scope: Scope, meaning: Meaning) -> Any:
        """The value at `scope`.

        Raises:
            EvaluationError: An operation has no value there.
        """
        return self._run(_evaluate, scope, meaning)

    def settle(self, scope: Scope, meaning: Meaning) -> Any:
        """The value, where a list of anything but numbers has become a tensor.

        Raises:
            EvaluationError: An operation has no value there.
        """
        return self._run(_settled, scope, meaning)

    def _run(self, evaluate: Callable[..., Any], scope: Scope, meaning: Meaning) -> Any:
        try:
            return evaluate(self.tree, scope, meaning)
        except EvaluationError as error:
            if error.expression is None:
                error.expression = self
            raise


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A helper of the file: `mse(y, y_hat): (y - y_hat)**2`, or steps of which the last counts."""

    name: str
    parameters: tuple[str, ...]
    steps: tuple[tuple[str, Expression], ...]

    @property
    def cost(self) -> int:
        return 1 + sum(expression.cost for _, expression in self.steps)

    @property
    def depth(self) -> int:
        return max(expression.depth for _, expression in self.steps)

    @property
    def is_pointwise(self) -> bool:
        return all(expression.is_pointwise for _, expression in self.steps)

    def apply(self, arguments: Sequence[Any], meaning: Meaning) -> Any:
        scope = dict(zip(self.parameters, arguments, strict=True))
        for name, expression in self.steps:
            scope[name] = expression.settle(scope, meaning)
        return scope[self.steps[-1][0]]


class _Measure(NamedTuple):
    """What an `Expression` says of its tree."""

    cost: int
    depth: int
    is_pointwise: bool


_LEAF: Final = _Measure(0, 1, True)


def _measured(node: Node, names: dict[str, None]) -> _Measure:
    """The measure of a tree, whose names are added to `names` in the order of the text."""
    kind = type(node)
    if kind is Name:
        names[node.name] = None  # type: ignore[union-attr]
        return _LEAF
    if kind is Number or kind is Literal:
        return _LEAF
    cost, depth, pointwise = _own(node)
    for child in children(node):
        below = _measured(child, names)
        cost += below.cost
        depth = max(depth, below.depth)
        pointwise = pointwise and below.is_pointwise
    return _Measure(cost, 1 + depth, pointwise)


def _own(node: Node) -> _Measure:
    """What a node with others below it adds to their measures."""
    if isinstance(node, Call):
        return _Measure(1, 0, node.word.name in POINTWISE and _are_plain(node))
    if isinstance(node, Use):
        definition = node.definition
        return _Measure(definition.cost, definition.depth, definition.is_pointwise)
    return _Measure(int(isinstance(node, Index)), 0, False)


def _are_plain(node: Call) -> bool:
    """Whether no setting of a word is a value, of which a word takes one."""
    settings = {p.name for p in node.word.parameters if not p.is_value} if node.keywords else ()
    return all(
        isinstance(value, (Number, Literal)) for name, value in node.keywords if name in settings
    )


def _evaluate(node: Node, scope: Scope, meaning: Meaning) -> Any:
    kind = type(node)
    if kind is Name:
        return _named(node, scope)  # type: ignore[arg-type]
    if kind is Number:
        return meaning.number(node.value)  # type: ignore[union-attr, arg-type]
    if kind is Call:
        return _call(node, scope, meaning)  # type: ignore[arg-type]
    return _evaluate_rarer(node, scope, meaning)


def _evaluate_rarer(node: Node, scope: Scope, meaning: Meaning) -> Any:
    match node:
        case Literal():
            return node.value
        case Items():
            return [_evaluate(item, scope, meaning) for item in node.items]
        case Use():
            arguments = [_settled(argument, scope, meaning) for argument in node.arguments]
            return node.definition.apply(arguments, meaning)
        case Slice():
            return slice(*(b and _evaluate(b, scope, meaning) for b in node.bounds))
        case Index():
            value = _evaluate(node.value, scope, meaning)
            items = tuple(_evaluate(item, scope, meaning) for item in node.items)
            return _blamed(node, meaning.index, value, items)
    raise TypeError(node)


def _named(node: Name, scope: Scope) -> Any:
    try:
        return scope[node.name]
    except KeyError:
        raise EvaluationError(f"`{node.name}` has no value", node.start, node.end) from None


def _settled(node: Node, scope: Scope, meaning: Meaning) -> Any:
    """The value, a tensor unless it is a number or a list of numbers, which may be a setting.

    Lists of lists would double with every definition that they are handed through.
    """
    value = _evaluate(node, scope, meaning)
    if isinstance(value, list) and not all(isinstance(item, (int, float)) for item in value):
        return _blamed(node, meaning.tensor, value)
    return value


def _call(node: Call, scope: Scope, meaning: Meaning) -> Any:
    arguments = []
    for argument in node.arguments:
        # What most arguments are is dealt with here: this is where evaluation spends its time.
        if type(argument) is Call:
            arguments.append(_call(argument, scope, meaning))
        elif type(argument) is Name and argument.name in scope:
            arguments.append(scope[argument.name])
        else:
            arguments.append(_evaluate(argument, scope, meaning))
    keywords = {name: _evaluate(value, scope, meaning) for name, value in node.keywords}
    return _blamed(node, meaning.call, node.word, arguments, keywords)


def _blamed(node: Node, function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments); whatever it raises becomes an `EvaluationError` at the node."""
    try:
        return function(*arguments)
    except EvaluationError as error:
        if error.expression is None and not error.end:
            error.start, error.end = node.start, node.end
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise EvaluationError(lines[0].rstrip("."), node.start, node.end) from error
