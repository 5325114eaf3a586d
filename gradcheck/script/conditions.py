"""Conditions that do not hold, as a script can show them."""

from __future__ import annotations

from typing import Final

from gradcheck.function_answers import Block, blocks
from gradcheck.python_function import PythonFunction
from gradcheck.script.subject import Subject, path

NARROW: Final = ", h=1e-2"
"""The step of differences in a narrow dtype."""
_COTANGENTS: Final = {
    "zero_cotangent": "torch.zeros_like({0})",
    "expanded_cotangent": "torch.ones_like({0}).sum().expand({0}.shape)",
    "transposed_cotangent": "torch.randn_like({0}).mT.contiguous().mT",
    "sliced_cotangent": "torch.stack([torch.randn_like({0})] * 2, -1)[..., 0]",
    "noncontiguous_cotangent": "torch.stack([torch.randn_like({0})] * 2, -1)[..., 0]",
}
"""A cotangent of an output, as each of these conditions has one."""


class Conditions:
    """Adds to a page what is to be seen of a function that breaks a condition."""

    def __init__(self, subject: Subject, at: PythonFunction) -> None:
        self.subject = subject
        self.at = at
        self.page = subject.page
        self._is_shown = False

    def show(self, name: str) -> bool:
        """Shows that one does not hold; whether it can."""
        are_plain = all(leaf.name in self.subject.texts for leaf in self.at.inputs)
        if name == "double_backward" and are_plain:
            for block in blocks(self.at):
                self._twice(block)
            return True
        if name in _COTANGENTS and are_plain and len(self.at.outputs) == 1:
            if not self._is_shown:  # one is enough
                self._lying(name)
            self._is_shown = True
            return True
        return False

    def _twice(self, block: Block) -> None:
        """The derivatives of a derivative by every input."""
        first, x, at = self.subject.input(block.input)
        self.page.is_wide |= not self.subject.is_double
        step = "" if self.subject.is_double else NARROW
        for leaf in self.at.inputs if block.output.count and block.input.count else ():
            second, y, other = self.subject.input(leaf)
            call = self.subject.call({first: x, second: y}, path(block.output))
            inner = self.subject.function(x, call)
            autograd = f"jacobian(lambda {y}: jacobian({inner}, {at}, create_graph=True), {other})"
            once = f"jacobian({inner}, {at})"
            numeric = f"differences(lambda {y}: {once}, {other}{step})"
            quantity = f"{block.quantity} by {leaf.name}"
            self.page.show(quantity, {"autograd": autograd}, {"numeric": numeric})

    def _lying(self, condition: str) -> None:
        """Gradients for a cotangent of that kind, beside those for its copy."""
        inputs = {leaf.name: self.subject.input(leaf) for leaf in self.at.inputs}
        fresh = self.page.names.fresh
        tracked, out, cotangent = fresh("tracked"), fresh("output"), fresh("cotangent")
        found, copies = fresh("found"), fresh("copies")
        moved = {name: f"{tracked}[{i}]" for i, (name, _, _) in enumerate(inputs.values())}
        values = ", ".join(value for _, _, value in inputs.values())
        listed = ", ".join(f'"{name}"' for name in inputs)
        again = f"torch.autograd.grad({out}, {tracked}, {cotangent}.contiguous())"
        if condition == "zero_cotangent":
            again = f"[torch.zeros_like(one) for one in {tracked}]"
        lines = [
            "torch.manual_seed(0)",
            f"{tracked} = [one.clone().requires_grad_() for one in [{values}]]",
            f"{out} = {self.subject.call(moved, path(self.at.outputs[0]))}",
            f"{cotangent} = {_COTANGENTS[condition].format(out)}.detach()",
            f"{found} = torch.autograd.grad({out}, {tracked}, {cotangent}, retain_graph=True)",
            f"{copies} = {again}",
            f"for name, gradient, copy in zip([{listed}], {found}, {copies}):",
            '    print(f"gradient by {name}:", gradient, "as it should be:", copy, sep="\\n")',
        ]
        self.page.add("\n".join(lines))
