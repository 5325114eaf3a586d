"""A word of the vocabulary: what a formula may call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, cast

Kind = Literal["tensor", "operand", "raw", "list", "int", "ints", "number", "flag", "text"]


class Parameter(NamedTuple):
    """One argument of a word: `kind` says what may be written there.

    `tensor`: a value, a number becoming a 0-dimensional tensor; `operand`: a value or a plain
    number; `raw`: a mask or an index, kept as it is; `list`: several values; `int`, `ints`,
    `number`, `flag` and `text` are settings, as they say.
    """

    name: str
    kind: Kind
    optional: bool
    variadic: bool

    @property
    def is_value(self) -> bool:
        return self.kind in ("tensor", "operand", "raw", "list")


@dataclass(frozen=True, eq=False)
class Word:
    """A word: its name, its arguments, one line of documentation and the function it means.

    `signature` lists the arguments as `name:kind?`: the kind `tensor` goes unsaid, `?` marks an
    optional one, a leading `*` any number of them. A `signature` of `None` is a constant's.
    `torch` is the dotted name of the function. `creates` marks words that make values out of
    numbers: they are also given `dtype` and `device`.

    `derivative` is the word's own derivative, as torch computes it, for each value that it takes:
    of a pointwise word its partial derivative, an expression in the arguments and in the result
    `out`; of any other word the argument's `cotangent`, given that of the result, where reductions
    keep their dimensions and `count` is the number of entries taken together. Words without one
    move entries, also to sum them, or are sums of products.
    """

    name: str
    signature: str | None
    doc: str
    torch: str
    creates: bool = False
    derivative: str | tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Callable[[str], Word], tuple[str]]:
        """A copy is the word itself, in another process too."""
        return _named, (self.name,)

    @property
    def derivatives(self) -> Mapping[str, str]:
        """The statement for each argument that has one."""
        texts = (self.derivative,) if isinstance(self.derivative, str) else self.derivative
        values = [p.name for p in self.parameters if p.is_value and p.kind != "raw"]
        return dict(zip(values, texts, strict=True)) if texts else {}

    @property
    def is_pulled_back(self) -> bool:
        """Whether it states cotangents, not partial derivatives."""
        return any("cotangent" in text for text in self.derivatives.values())

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        if not self.signature:
            return ()
        return tuple(_parameter(text) for text in self.signature.split(", "))

    @cached_property
    def named(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}

    @functools.cache  # noqa: B019 - words live as long as the process
    def positional(self, count: int) -> tuple[Parameter, ...]:
        """The parameters that `count` arguments by position belong to."""
        values = [p for p in self.parameters if p.is_value and not p.optional and not p.variadic]
        repeated = [p for p in self.parameters if p.variadic]
        return (*values, *repeated * (count - len(values)))

    @property
    def usage(self) -> str:
        """How the word is written, as in `sum(input, dim=…, keepdim=…)`."""
        if self.signature is None:
            return self.name
        return f"{self.name}({', '.join(_usage(parameter) for parameter in self.parameters)})"


def _parameter(text: str) -> Parameter:
    optional = text.endswith("?")
    variadic = text.startswith("*")
    name, _, kind = text.strip("*?").partition(":")
    return Parameter(name, cast(Kind, kind or "tensor"), optional, variadic)


def _usage(parameter: Parameter) -> str:
    if parameter.variadic:
        return f"*{parameter.name}"
    return f"{parameter.name}=…" if parameter.optional else parameter.name


def _named(name: str) -> Word:
    from gradcheck.language.vocabulary import WORDS

    return WORDS[name]
