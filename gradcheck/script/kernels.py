"""A case whose function is in Python → a script that imports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import torch
from torch import Tensor

from gradcheck.casefile.kernel import Derivative, Import, Kernel
from gradcheck.casefile.names import spelled
from gradcheck.errors import ShapeError
from gradcheck.function_answers import Block, blocks
from gradcheck.function_problems import ONE
from gradcheck.imports import Imports
from gradcheck.leaves import Leaf
from gradcheck.place import Place
from gradcheck.python_function import PythonFunction
from gradcheck.results import Result
from gradcheck.script.chosen import said
from gradcheck.script.conditions import NARROW, Conditions
from gradcheck.script.layout import comment, quoted, source
from gradcheck.script.page import Page
from gradcheck.script.python import partial_call
from gradcheck.script.shapes import shaped
from gradcheck.script.subject import Subject, path
from gradcheck.script.terms import Term, dotted, named
from gradcheck.user_code import called_with

_BACKWARD, _JVP = " (backward)", " (jvp)"
_ENDINGS: Final = ("", _BACKWARD, _JVP, " (forward mode)")


def kernel_script(place: Place, imports: Imports, wrong: Sequence[Result]) -> str:
    """A script that shows what is wrong with a function in Python, or all of it.

    Raises:
        GradcheckError: It cannot be written, for a reason that the message says.
    """
    kernel = place.case.kernel
    assert kernel is not None
    title = ", ".join(dict.fromkeys(result.quantity for result in wrong if result.quantity))
    how = "by autograd, by central differences"
    page = Page(place, f"{title or kernel.function}: {how}.", leaves_defaults=True)
    for name in place.case.function.given:
        _ = page.values[name]
        page.values.moved.add(name)
    subject = Subject(page, kernel, imports)
    if subject.at is None:
        for result in wrong:
            page.add(comment(said(result)))
        page.add(f"print({subject.call()})")
        return page.text()
    page.is_wide |= not (subject.is_double or subject.has_reference)
    _Shown(subject, subject.at).add(wrong)
    return page.text()


class _Shown:
    """Adds to a page what is to be seen of a function."""

    def __init__(self, subject: Subject, at: PythonFunction) -> None:
        self.subject = subject
        self.at = at
        self.page = subject.page
        self.kernel: Kernel = subject.kernel
        self.conditions = Conditions(subject, at)
        self._cotangents: dict[str, str] = {}

    def add(self, wrong: Sequence[Result]) -> None:
        """What is wrong, in order; where that is no number, and where nothing is, all."""
        leaves = {leaf.name: leaf for leaf in self.at.outputs}
        known = {one.quantity + end: (one, end) for one in blocks(self.at) for end in _ENDINGS}
        rest: dict[str, None] = {} if wrong else {"": None}
        for quantity, listed in groupby(wrong, lambda result: result.quantity):
            results = list(listed)
            for text in dict.fromkeys(map(said, results)):
                self.page.add(comment(f"{quantity or self.kernel.function}: {text}"))
            if quantity in leaves:
                self._value(leaves[quantity])
            elif quantity in known:
                self._derivative(*known[quantity], [result.formula for result in results])
            elif not self.conditions.show(quantity.removeprefix(ONE)):
                rest[_BACKWARD if quantity.endswith(_BACKWARD) else ""] = None
        for ending in rest:
            for leaf in () if wrong else self.at.outputs:
                self._value(leaf)
            for block in blocks(self.at):
                if block.quantity + ending not in {result.quantity for result in wrong}:
                    self._derivative(block, ending, ())

    def _value(self, leaf: Leaf) -> None:
        """An output beside what it must equal."""
        reference = self.subject.reference(leaf)
        if reference:
            for name, text in (
                (leaf.name, self.subject.call(path=path(leaf))),
                ("reference", reference),
            ):
                self.page.add(f'print({quoted(f"{name}:")}, {text}, sep="\\n")')

    def _derivative(self, block: Block, ending: str, formulas: Sequence[str]) -> None:
        """That of an output by an input, or of its product with a cotangent, or a tangent."""
        if not block.output.count or not block.input.count:
            return
        name, variable, value = self.subject.input(block.input)
        moved, around, answers = variable, "{}", dict[str, str]()
        if ending == _BACKWARD and self.kernel.backward is not None:
            cotangent = self._cotangent(block.output)
            around = f"({cotangent} * {{}}).sum()"
            answers = self._backward(block)
        elif ending == _JVP and self.kernel.jvp is not None:
            direction = self._direction(value)
            variable = self.page.names.fresh("t")
            moved = f"{value} + {variable} * {direction}"
            answers = self._jvp(block, direction)
            value = f"torch.zeros((), dtype={value}.dtype)"
        else:
            answers = self._by_hand(block, formulas)
        call = around.format(self.subject.call({name: moved}, path(block.output)))
        answers["autograd"] = f"jacobian({self.subject.function(variable, call)}, {value})"
        later, step = dict[str, str](), ""
        reference = self.subject.reference(block.output, {name: moved})
        if reference:
            told = around.format(reference)
            later["reference"] = f"jacobian({self.subject.function(variable, told)}, {value})"
            call = call if self.subject.is_double else told
        elif not self.subject.is_double:
            step = NARROW
        numeric = f"differences({self.subject.function(variable, call)}, {value}{step})"
        later = {"numeric": numeric, **later}
        self.page.show(block.quantity + ending, answers, later)

    def _cotangent(self, leaf: Leaf) -> str:
        """A variable with a cotangent of an output, the same for all inputs."""
        if leaf.name not in self._cotangents:
            name = self._cotangents[leaf.name] = self.page.names.fresh("cotangent")
            out = self.subject.call(path=path(leaf))
            self.page.add(f"torch.manual_seed(0)\n{name} = torch.randn_like({out})")
        return self._cotangents[leaf.name]

    def _direction(self, value: str) -> str:
        name = self.page.names.fresh("direction")
        self.page.add(f"torch.manual_seed(0)\n{name} = torch.randn_like({value})")
        return name

    def _backward(self, block: Block) -> dict[str, str]:
        """What a hand-written backward gives for a cotangent of one output, the others 0."""
        first = [
            self._cotangent(leaf)
            if leaf.name == block.output.name
            else f"torch.zeros_like({self.subject.call(path=path(leaf))})"
            for leaf in self.at.outputs
        ]
        cotangents = [torch.ones_like(output) for output in self.at.graph.outputs]
        return self._pass(self.kernel.backward, first, cotangents, self.at.inputs, block.input)

    def _jvp(self, block: Block, direction: str) -> dict[str, str]:
        """What a hand-written jvp gives for a tangent of one input, the others 0."""
        first = [
            direction
            if leaf.name == block.input.name
            else f"torch.zeros_like({self.subject.input(leaf)[2]})"
            for leaf in self.at.inputs
        ]
        tangents = [torch.ones_like(tensor) for tensor in self.at.fresh()]
        return self._pass(self.kernel.jvp, first, tangents, self.at.outputs, block.output)

    def _pass(
        self,
        written: Import | None,
        first: Sequence[str],
        tensors: Sequence[Tensor],
        leaves: Sequence[Leaf],
        own: Leaf,
    ) -> dict[str, str]:
        """The call of a pass, and which of its results is meant; nothing where it raises."""
        assert written is not None
        found = self.subject.imported.load(written)
        try:
            result = called_with(found, tensors, (), self._arguments(), ())
        except Exception:
            return {}
        call = partial_call(self.subject.imported.text(written), found, first, self.subject.texts)
        if isinstance(result, Mapping):
            return {"handwritten": f'{call}["{own.name}"]'}
        names = [leaf.name for leaf in leaves]
        if isinstance(result, (tuple, list)):
            is_short = len(result) == len(names)
            every = names if is_short else list(self._arguments())
            return {"handwritten": f"{call}[{every.index(own.name)}]"}
        return {"handwritten": call}

    def _by_hand(self, block: Block, formulas: Sequence[str]) -> dict[str, str]:
        """The derivatives that were written by hand, those of these texts if any are."""
        own = spelled(block.input.name)
        names = (own, block.quantity, f"d{block.output.name}/d{own}")
        listed = [one for name in names for one in self.kernel.derivatives.get(name, ())]
        told = [one for one in listed if _text(one) in formulas] or listed
        found = [text for text in (self._one(one, block) for one in told) if text]
        several = len(found) > 1
        return {f"handwritten{f'_{i}' * several}": text for i, text in enumerate(found, start=1)}

    def _one(self, written: Derivative, block: Block) -> str:
        """A derivative in the shape that it should have; nothing where it has no value."""
        translator = self.page.translator
        try:
            if isinstance(written, Import):
                found = self.subject.imported.load(written)
                text = self.subject.imported.text(written)
                call = partial_call(text, found, (), self.subject.texts)
                term = Term(dotted(call), called_with(found, (), (), self._arguments(), ()))
            else:
                scope = self.page.values.inner()
                scope["out"] = named(self.subject.call(), self.at.graph.outputs[0].detach())
                term = translator.value(written, scope)
        except Exception:
            return ""
        try:
            return source(shaped(translator, term, block.output.shape, block.input.shape).python)
        except ShapeError:
            self.page.has_shapes = True
            return source(translator.counted(term).python)

    def _arguments(self) -> dict[str, Any]:
        """The arguments by name, with their values."""
        values = self.at.named
        return {
            name: one.detach() if isinstance(one := values[name], Tensor) else one
            for name in self.subject.texts
        }


def _text(written: Derivative) -> str:
    return str(written) if isinstance(written, Import) else written.text
