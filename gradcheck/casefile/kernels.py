"""A function in Python, and what a case says of it → a `Kernel`."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from gradcheck.casefile import models
from gradcheck.casefile.derivatives import Derivatives, placed
from gradcheck.casefile.document import Path
from gradcheck.casefile.kernel import Import, Kernel
from gradcheck.casefile.kernel_derivatives import KernelDerivatives, imported
from gradcheck.casefile.kernel_rules import problems
from gradcheck.casefile.names import Reader
from gradcheck.casefile.points import Written
from gradcheck.conditions.names import chosen
from gradcheck.errors import UsageError

OF_A_MODULE: Final = " (a module's parameters that a formula uses are listed under `inputs` too)"


class KernelReader:
    """Reads what one case says of a function in Python; problems are kept in `read`.

    `key` is where the formula of the case, or its steps, are `written`; None where a function in
    Python has no formula that it must equal.
    """

    def __init__(self, read: Reader, case: Path, model: models.Case) -> None:
        self.read = read
        self.path = case
        self.model = model
        self.is_python = isinstance(model.function, models.PythonFunction)
        self.key = "reference" if self.is_python else "function"
        written = model.reference if self.is_python else model.function
        self.written: Any = None if isinstance(written, models.Imported) else written
        if self.is_python and self.has_formula:
            read.hint = OF_A_MODULE

    @property
    def has_formula(self) -> bool:
        """Whether the case has a formula, of which claims can be made."""
        return self.written is not None

    @property
    def claimed(self) -> models.Derivatives:
        """The derivatives that may be claims on the formula."""
        return self.model.derivatives if self.has_formula else models.Derivatives()

    def lines(self, key: str) -> Mapping[str, Any]:
        """The lines of a pass, which are claims on the formula; none where it is in Python."""
        written: Any = getattr(self.model, key)
        return written if self.has_formula and isinstance(written, dict) else {}

    def check(self, points: Sequence[Written]) -> None:
        """Reports what does not go together with a function in Python, or with a formula."""
        for path, message in dict.fromkeys(problems(self.model, self.path, points)):
            self.read.report(path, message, key=True)

    def kernel(self, derivatives: Derivatives, outputs: Sequence[str]) -> Kernel | None:
        """The function in Python; None where it is a formula.

        `derivatives` are those of the formula, of the function that has no steps where there is
        none, and `outputs` the names of its outputs.
        """
        model, function = self.model, self.model.function
        if not isinstance(function, models.PythonFunction):
            return None
        listed = KernelDerivatives(
            self.path, model, derivatives, outputs, has_formula=self.has_formula
        )
        return Kernel(
            function=self._import("function", function),
            init=self._arguments("init", function.init),
            arguments=self._arguments("arguments", function.arguments),
            backward=self._imported("backward"),
            jvp=self._imported("jvp"),
            derivatives=listed.read_all(),
            has_reference=self.has_formula,
            reference=self._imported("reference"),
            conditions=self._conditions(),
            is_seeded=model.rng is not None,
            forward_mode=model.forward_mode,
        )

    def _import(self, key: str, written: models.Imported) -> Import:
        line, _ = self.read.document.position((*self.path, key, "python"))
        return imported(written, line)

    def _imported(self, key: str) -> Import | None:
        written = getattr(self.model, key)
        return self._import(key, written) if isinstance(written, models.Imported) else None

    def _arguments(self, key: str, written: Mapping[str, Any]) -> dict[str, Any]:
        for name in written:
            if not name.isidentifier() or keyword.iskeyword(name):
                path = (*self.path, "function", key, name)
                self.read.report(path, f"`{name}` is no name of an argument", key=True)
        return {name: _plain(value) for name, value in written.items()}

    def _conditions(self) -> tuple[str, ...]:
        """Those that are asked for: all of the default ones where none is named."""
        words = ["all"]
        if self.model.conditions is not None:
            path = (*self.path, "conditions")
            words = [w for at, w in placed(path, self.model.conditions) if self._is_one(w, at)]
        return chosen(words)

    def _is_one(self, word: str, path: Path) -> bool:
        """Whether it is a condition; a problem where it is none."""
        try:
            chosen([word])
        except UsageError as error:
            self.read.report(path, str(error))
            return False
        return True


def _plain(value: Any) -> Any:
    """A value as Python has it."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, Decimal) else value
