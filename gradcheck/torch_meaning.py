"""What formulas mean in torch: tensors of one dtype on one device, within a budget of elements."""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import torch
from torch import Tensor

from gradcheck import budget
from gradcheck.errors import EvaluationError
from gradcheck.language.vocabulary import BROADCASTING
from gradcheck.language.word import Parameter, Word
from gradcheck.torch_words import as_index, pick

MAX_DIMENSIONS: Final = 64
SMALL: Final = 2**8
"""Elements of a value, three of which are always within the budget together."""
_LARGEST: Final = 2**62
"""Of whole numbers in settings: torch adds to them."""


class TorchMeaning:
    """Words as torch functions.

    `detach` is a constant to every oracle: where `replay` is given, the values that `detach` had
    in an earlier evaluation of the same function, in order, are what it yields again.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        device: torch.device,
        replay: Sequence[Tensor] | None = None,
    ) -> None:
        self.dtype = dtype
        self.device = device
        self.detached: list[Tensor] = []
        self._replay = iter(replay) if replay is not None else None

    def number(self, value: int | Decimal) -> int | float:
        return value if isinstance(value, int) and abs(value) < 2**63 else float(value)

    def call(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        function = _function(word)
        if word.signature is None:
            return function
        if not keywords and _is_operand_like(word) and self._are_small(arguments):
            return function(*arguments)
        positional = word.positional(len(arguments))
        values = [self._value(*pair) for pair in zip(positional, arguments, strict=True)]
        if self.dtype.is_complex and any(map(_is_complex, values)):
            values = [self._complex(value) for value in values]
        named = {
            name: self._value(word.named[name], value)
            for name, value in keywords.items()
            if value is not None
        }
        if word.creates:
            named |= {"dtype": self.dtype, "device": self.device}
        elif not budget.is_surely_within(
            [*values, *named.values()], broadcast=word.name in BROADCASTING
        ):
            budget.dry_run(function, *values, **named)
        if word.name == "detach":
            return self._detach(*values)
        try:
            return _held(function(*values, **named))
        except ZeroDivisionError:
            raise ValueError("division by zero") from None

    def _are_small(self, arguments: Sequence[Any]) -> bool:
        """Whether these are values as torch wants them, and far within the budget together."""
        tensors = 0
        for argument in arguments:
            if isinstance(argument, Tensor):
                if argument.dtype is not self.dtype or argument.numel() > SMALL:
                    return False
                tensors += 1
            elif type(argument) is not int and type(argument) is not float:
                return False
        return tensors > 0

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        if isinstance(value, tuple):
            if len(items) != 1 or not isinstance(items[0], int):
                raise ValueError("choose one of the results, as in slogdet(x)[0]")
            return value[items[0]]
        source = self.tensor(value)
        at = tuple(self._index(item) for item in items)
        if not budget.is_surely_within([source, *at]):
            budget.dry_run(operator.getitem, source, _positions(at))
        return _held(pick(operator.getitem, source, at))

    def tensor(self, value: Any) -> Any:
        """A number, a boolean or a nested list of them as a tensor; others as they are.

        Raises:
            EvaluationError: The items of a list do not fit together.
        """
        if isinstance(value, (Tensor, tuple)):
            return value
        try:
            return self._tensor(value)
        except (TypeError, ValueError) as error:
            raise EvaluationError(str(error)) from error

    def shape(self, value: Any) -> tuple[int, ...] | None:
        return tuple(value.shape) if isinstance(value, Tensor) else None

    def _tensor(self, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, tuple):
            raise ValueError("this has several results: choose one, as in slogdet(x)[0]")
        if isinstance(value, list) and value:
            return _joined([self._tensor(item) for item in value])
        dtype = torch.bool if isinstance(value, bool) else self.dtype
        return torch.tensor(value, dtype=dtype, device=self.device)

    def _value(self, parameter: Parameter, value: Any) -> Any:
        """What torch wants for an argument; an `operand` may be a plain number.

        Masks and indices are counted with in the dtype of the check.
        """
        kind = parameter.kind
        if kind == "raw":
            return self._raw(value)
        if kind == "list":
            return [self._counted(item) for item in value]
        if kind == "tensor" or (kind == "operand" and not isinstance(value, (int, float))):
            return self._counted(value)
        return value if kind == "operand" else _setting(parameter, value)

    def _counted(self, value: Any) -> Tensor:
        tensor = self._tensor(value)
        if tensor.dtype == self.dtype:
            return tensor
        if self.dtype.is_complex:  # what is real stays so, where nothing else is complex
            return tensor if tensor.is_floating_point() else tensor.to(self.dtype.to_real())
        return tensor.to(self.dtype)

    def _complex(self, value: Any) -> Any:
        """Among complex values, a real one as a complex one: many operations want one dtype."""
        is_real = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(self.dtype) if is_real else value

    def _raw(self, value: Any) -> Tensor:
        """A mask or an index: whole numbers written in lists are exact in any dtype."""
        if isinstance(value, list) and _is_whole(value):
            return torch.tensor(value, device=self.device)
        return self._tensor(value)

    def _index(self, item: Any) -> Any:
        if isinstance(item, slice):
            return slice(*(_bound(bound) for bound in (item.start, item.stop, item.step)))
        if isinstance(item, float):
            raise ValueError("an index is made of whole numbers")
        if isinstance(item, list):
            item = self._raw(item)
        if isinstance(item, Tensor) and item.dtype != torch.bool:
            return as_index(item)
        return item

    def _detach(self, value: Tensor) -> Tensor:
        constant = value.detach() if self._replay is None else next(self._replay, None)
        if constant is None:
            raise ValueError("detach is used more often than when its values were recorded")
        self.detached.append(constant)
        return constant


def _is_complex(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_complex()


@functools.cache
def _function(word: Word) -> Any:
    module, _, name = word.torch.rpartition(".")
    if module.startswith("torch."):
        return functools.reduce(getattr, [*module.split(".")[1:], name], torch)
    return getattr(importlib.import_module(module), name)


@functools.cache
def _is_operand_like(word: Word) -> bool:
    """Whether the word broadcasts and takes numbers as well as it takes values."""
    kinds = {parameter.kind for parameter in word.parameters}
    if word.name == "detach":
        return False
    return word.name in BROADCASTING and (kinds == {"operand"} or len(word.parameters) == 1)


def _held(value: Any) -> Any:
    """A result, a float where it is a whole number of more than 64 bits."""
    if type(value) is int and abs(value) >= 2**63:
        return float(value)
    if isinstance(value, Tensor) and value.ndim > MAX_DIMENSIONS:
        raise ValueError(f"a value has at most {MAX_DIMENSIONS} dimensions, not {value.ndim}")
    return value


def _joined(items: list[Tensor]) -> Tensor:
    shapes = list(dict.fromkeys(str(list(item.shape)) for item in items))
    if len(shapes) > 1:
        raise ValueError(f"the items of a list have different shapes, {' and '.join(shapes[:2])}")
    budget.check([len(items), *items[0].shape])
    return torch.stack(items)


def _positions(at: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index with every mask as the positions where it is true."""
    positions: list[Any] = []
    for item in at:
        if isinstance(item, Tensor) and item.dtype == torch.bool:
            positions += item.nonzero(as_tuple=True) if item.ndim else [None]
        else:
            positions.append(item)
    return tuple(positions)


def _setting(parameter: Parameter, value: Any) -> Any:
    """A plain number, list, flag or text; a value without dimensions can be a number."""
    convert, meant = _SETTINGS[parameter.kind]
    try:
        setting = convert(value)
    except (TypeError, ValueError):
        raise ValueError(f"`{parameter.name}` is {meant}") from None
    is_single = parameter.kind == "ints" and isinstance(setting, int)
    return [setting] if is_single and not (parameter.optional or parameter.variadic) else setting


def _is_whole(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_whole(item) for item in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(value: Any) -> int:
    if isinstance(value, Tensor) and value.ndim == 0:
        return int(as_index(value))
    if not _is_whole(value) or abs(value) > _LARGEST:
        raise TypeError
    whole: int = value
    return whole


def _bound(value: Any) -> int | None:
    try:
        return None if value is None else _whole(value)
    except (TypeError, ValueError):
        raise ValueError("the bounds of a slice are whole numbers") from None


def _whole_or_list(value: Any) -> Any:
    return [_whole_or_list(item) for item in value] if isinstance(value, list) else _whole(value)


def _number(value: Any) -> int | float:
    if isinstance(value, Tensor) and value.ndim == 0 and not value.requires_grad:
        return value.item()
    if not isinstance(value, (int, float)):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_SETTINGS: Final[Mapping[str, tuple[Callable[[Any], Any], str]]] = {
    "int": (_whole, "a whole number"),
    "ints": (_whole_or_list, "a whole number or a list of them"),
    "number": (_number, "a plain number: no derivative is taken by it"),
    "flag": (_flag, "True or False"),
    "text": (str, "a text in quotes"),
}
