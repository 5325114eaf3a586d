"""A case as it is begun: the text of its entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Final

from gradcheck.casefile.document import Document
from gradcheck.casefile.problems import quoted
from gradcheck.functions import Step

_COMMENTS: Final = 26
"""The column that comments stand in, where there is room."""
_LONGEST: Final = 80
_ABOUT: Final = "# about:  one line for the reader"


@dataclass(frozen=True, slots=True)
class Draft:
    """A function of `steps`, or one in `python`, called `module:name`, and the inputs it is given.

    A single formula is the step `out`. The `inputs` are written as they stand in `{…}`.
    """

    name: str
    steps: tuple[Step, ...]
    python: str
    inputs: Mapping[str, str]

    def text(self, derivative: str = "") -> str:
        """The entry of `cases:`, with each derivative as given; by default nothing is written."""
        body = "\n".join(self._python() if self.python else self._formulas(derivative))
        return f"{scalar(self.name)}:\n{indent(body, '  ')}\n"

    def _formulas(self, derivative: str) -> Iterator[str]:
        yield _ABOUT
        if [step.name for step in self.steps] == ["out"]:
            yield f"function: {scalar(self.steps[0].expression.text)}"
        else:
            yield _commented("function:", "steps, in order; the last is the output")
            for step in self.steps:
                yield f"  {scalar(step.name)}: {scalar(step.expression.text)}"
        yield from self._inputs()
        yield "derivatives:"
        for link in self._links():
            yield _commented(f"  # {link}:", "a link, which may be checked as well")
        for name in self.inputs:
            link = f"d{self._output}/d{name}"
            key = name if self._output == "out" else link
            yield _commented(f"  {scalar(key)}: {derivative}", f"write {link} here")
        yield "# expect:  published numbers, by the names of values and derivatives"

    def _python(self) -> Iterator[str]:
        yield _ABOUT
        yield f"function: {{python: {quoted(self.python)}}}"
        yield from self._inputs()
        yield "# reference:  the formula that it must equal, for a truth that is proven"
        yield "# derivatives:  by input, as formulas or {python: module:name}"

    @property
    def _output(self) -> str:
        return self.steps[-1].name

    def _links(self) -> Iterator[str]:
        """The derivatives of each step by what it is made of, but those that are asked for."""
        values = [*self.inputs, *(step.name for step in self.steps)]
        for step in self.steps:
            for name in values:
                if name in step.reads and not (step is self.steps[-1] and name in self.inputs):
                    yield f"d{step.name}/d{name}"

    def _inputs(self) -> Iterator[str]:
        written = [f"{scalar(name)}: {value}" for name, value in self.inputs.items()]
        line = f"inputs: {{{', '.join(written)}}}"
        if len(line) <= _LONGEST:
            yield line
        else:
            yield "inputs:"
            yield from (f"  {one}" for one in written)
        yield "# constants:  given values that are not differentiated by"


def scalar(text: str) -> str:
    """A text as YAML has it: in quotes where it would be read as something else."""
    document = Document.parse(f"_: {text}", "")
    is_plain = document.data == {"_": text} and not document.problems
    return text if is_plain else quoted(text)


def is_flow(text: str) -> bool:
    """Whether it is a number, a list or a mapping that can stand in `{…}` as it is."""
    alone, inside = Document.parse(text, ""), Document.parse(f"{{_: {text}}}", "")
    is_text = isinstance(alone.data, str | bool | None)
    return not is_text and not inside.problems and inside.data == {"_": alone.data}


def _commented(line: str, comment: str) -> str:
    return f"{line.ljust(_COMMENTS - 2)}  # {comment}"
