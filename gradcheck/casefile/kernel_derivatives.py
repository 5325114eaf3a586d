"""The derivatives of a function in Python that are no claims on a formula."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from gradcheck.casefile import models
from gradcheck.casefile.derivatives import Derivatives, placed
from gradcheck.casefile.document import Path
from gradcheck.casefile.kernel import Derivative, Import
from gradcheck.casefile.kernel_rules import needing
from gradcheck.casefile.names import Reader, near, spelled
from gradcheck.language.expression import Expression
from gradcheck.language.leibniz import find_links, parse_link, parse_second
from gradcheck.language.vocabulary import WORDS

_DERIVATIVE: Final = re.compile(r"dout(?:\[[^\[\]]*\])*/d([\w.]+)", re.ASCII)
"""`dout/dx`, or `dout[0]/dx` where there are several outputs; `dout/da.b` by a parameter."""


def imported(written: models.Imported, line: int) -> Import:
    """What a model names, which is written in that line."""
    module, _, name = written.python.partition(":")
    return Import(module, name, line)


class KernelDerivatives:
    """Reads the derivatives of one case; problems are kept in the reader of `of_formula`.

    `of_formula` are those of the formula, and `has_formula` whether there is one: then formulas are
    claims on it, and what is left here are functions in Python.
    """

    def __init__(
        self,
        case: Path,
        model: models.Case,
        of_formula: Derivatives,
        outputs: Sequence[str],
        *,
        has_formula: bool,
    ) -> None:
        self.read: Reader = of_formula.read
        self.path: Path = (*case, "derivatives")
        self.written = model.derivatives.named
        self.of_formula = of_formula
        self.outputs = outputs
        self.has_formula = has_formula
        self.inputs = of_formula.inputs

    def read_all(self) -> dict[str, tuple[Derivative, ...]]:
        """Every derivative by the name of its input or as `dout/dx`."""
        found: dict[str, tuple[Derivative, ...]] = {}
        known: set[str] = set()
        for key, written in self.written.items():
            path = (*self.path, key)
            mine = [(at, one) for at, one in placed(path, written) if self._is_mine(one)]
            name = self._name(key, path) if mine else None
            if name is None:
                continue
            quantity = f"dout/d{name}" if name in self.inputs else name
            if quantity in known:
                message = f"`{quantity}` is written twice: list alternatives"
                self.read.report(path, message, key=True)
            known.add(quantity)
            read = [self._one(at, one) for at, one in mine]
            found[name] = tuple(one for one in read if one is not None)
        return found

    def _is_mine(self, written: Any) -> bool:
        return isinstance(written, models.Imported) or not self.has_formula

    def _one(self, path: Path, written: Any) -> Derivative | None:
        if isinstance(written, models.Imported):
            return imported(written, self.read.document.position((*path, "python"))[0])
        return self._formula(path)

    def _formula(self, path: Path) -> Expression | None:
        """A formula of the inputs, the constants, the sizes and `out`."""
        text = self.read.document.text(path)
        scope = self.of_formula.scope
        for start, link in find_links(text):
            if link.output == "out" and link.input in scope:
                message = needing(str(link), "whose derivatives may use each other")
                self.read.report(path, message, start=start, end=start + len(str(link)))
                return None
        expression = self.read.formula(path, scope)
        for name in expression.words if expression is not None else ():
            if name in scope and WORDS[name].signature is None:
                self.read.report(path, f"`{name}` is a word here, and an input: rename the input")
        return expression

    def _name(self, key: str, path: Path) -> str | None:
        """What a key means: the name of an input, or `dout/dx`; a problem where it is neither.

        A module's parameter may be called as in formulas, which is how it is named here, or as the
        module does.
        """
        if spelled(key) in self.inputs:
            key = spelled(key)
        match = _DERIVATIVE.fullmatch(key)
        if match is not None and spelled(match[1]) in self.inputs:
            key = key.removesuffix(match[1]) + spelled(match[1])
            match = _DERIVATIVE.fullmatch(key)
        if key in self.inputs and len(self.outputs) == 1 and not self._problem(key):
            return key
        if match is not None and match[1] in self.inputs and not self._problem(match[1]):
            return key
        if self.has_formula:
            return self._of_output(key, path)
        if parse_second(key) or (match is None and parse_link(key)):
            message = needing(key, "of which it is a derivative")
        else:
            message = self._problem(match[1] if match else key) or self._unknown(key)
        self.read.report(path, message, key=True)
        return None

    def _problem(self, name: str) -> str:
        """Why there is no derivative by a value, where it has one."""
        of = self.of_formula
        if name in of.integers:
            return f"`{name}` is drawn as integers: no derivative by it, move it to `constants`"
        if name in of.function.given and name not in self.inputs:
            return f"`{name}` is a constant: move it to `inputs`"
        return f"`{name}` is a size: there is no derivative by it" if name in of.sizes else ""

    def _unknown(self, key: str) -> str:
        known = [*self.inputs, *(f"dout/d{name}" for name in self.inputs)]
        close = near(key, known) or ": write an input's name, or dout/dx"
        return f"`{key}` is not a derivative{close}"

    def _of_output(self, key: str, path: Path) -> str | None:
        """What a link of the formula is to the function in Python, whose outputs have no names."""
        second = parse_second(key, self.of_formula.values)
        link = None if second else self.of_formula.named(key, path)
        if link is not None and link.output in self.outputs and link.input in self.inputs:
            index = f"[{self.outputs.index(link.output)}]" if len(self.outputs) > 1 else ""
            return f"dout{index}/d{link.input}"
        if link is not None or second is not None:
            message = f"`{key}` is no derivative of an output by an input: it needs a formula"
            self.read.report(path, message, key=True)
        return None
