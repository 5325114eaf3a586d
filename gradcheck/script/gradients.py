"""What backward passes leave in `.grad`: a function in Python that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor

from gradcheck.oracles import autograd
from gradcheck.script.layout import function, indented
from gradcheck.script.page import Page
from gradcheck.script.terms import named

_UNTRACKED: Final = ("no_grad", "inference_mode")


class Gradients:
    """The passes of a case, as it asks for them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.place = page.place
        self.case = page.place.case
        self.output = self.case.function.output
        environment = self.place.environment
        self._leaves = [n for n in self.case.inputs if self.place.value(n).is_floating_point()]
        names = (*self.case.sizes, *self.case.function.given)
        self._left = autograd.gradients(
            self.case.function,
            {name: environment[name] for name in names},
            self._leaves,
            self.case.passes,
            self.place.meaning(),
        )

    def left(self, name: str) -> Tensor | None:
        """The gradient of a value; None where there is none."""
        return self._left.get(name)

    def times(self, name: str) -> int:
        """How often the derivative is added up there."""
        passes = self.case.passes
        adds_up = name in self.case.function.given and not passes.zero_grad
        return passes.count if adds_up else 1

    def call(self) -> str:
        """The call of the function."""
        return f"gradients({', '.join(map(self.page.values.name, self._leaves))})"

    def function(self, names: Sequence[str]) -> str:
        """A function of the inputs that gives the gradients of these values."""
        values, passes = self.page.values, self.case.passes
        scope = values.inner()
        body = []
        for name in self._leaves:
            _ = values[name]
            variable = values.name(name)
            flag = "False" if passes.disabled_by == "requires_grad_" else ""
            body.append(f"{variable} = {variable}.clone().requires_grad_({flag})")
            scope[name] = named(variable, self.place.environment[name])
        inside = []
        if passes.zero_grad:
            inside += [f"{values.name(name)}.grad = None" for name in self._leaves]
        if passes.disabled_by == "detach":
            for name in self._leaves:
                variable = values.names.fresh(f"{values.name(name)}_detached")
                inside.append(f"{variable} = {values.name(name)}.detach()")
                scope[name] = named(variable, self.place.environment[name])
        steps = self.page.steps.lines(self.case.function.steps, {self.output, *names}, scope)
        if passes.disabled_by in _UNTRACKED:
            steps = [f"with torch.{passes.disabled_by}():", *indented(steps)]
        inside += [*steps, *self._backward()]
        if passes.count > 1:
            inside = [f"for _ in range({passes.count}):", *indented(inside)]
        found = ", ".join(map(self._grad, names))
        signature = f"gradients({', '.join(map(values.name, self._leaves))})"
        return function(signature, [*body, *inside, f"return {found}"])

    def _backward(self) -> list[str]:
        values = self.page.values
        retained = [name for name in self.case.passes.retained if name in self._left]
        lines = [f"{values.name(name)}.retain_grad()" for name in retained]
        if self.output in self._left:
            return [*lines, f"{values.name(self.output)}.backward()"]
        return [*lines, "# nothing is tracked, and backward has nothing to begin with"]

    def _grad(self, name: str) -> str:
        """The gradient of a value; torch warns to read it where it is not kept."""
        if name in self.case.function.given:
            _ = self.page.values[name]
        is_kept = name in self.case.function.given or name in self.case.passes.retained
        return f"{self.page.values.name(name)}.grad" if is_kept else "None"
