"""A case → a short script in torch alone that shows what its derivatives are, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.casefile.case import Case, DType
from gradcheck.imports import Imports
from gradcheck.jobs import NONE
from gradcheck.script.chosen import find, shown
from gradcheck.script.formulas import formula_script
from gradcheck.script.kernels import kernel_script
from gradcheck.torch_state import checking


def script(case: Case, dtypes: Sequence[DType], device: str, imports: Imports = NONE) -> str:
    """The script of a case at the first point, in the first dtype, where anything is wrong.

    It shows what is wrong there; where all is right, all of the first point.

    Raises:
        UsageError: There is none, for a reason that the message says.
    """
    place, wrong = find(case, dtypes, device, imports)
    with checking():
        if case.kernel is None:
            return formula_script(place, shown(place, wrong))
        claimed = {(one.quantity, f.text) for one in shown(place, ()) for f in one.formulas}
        others = [one for one in wrong if (one.quantity, one.formula) not in claimed]
        if wrong and not others:  # the formula that the function must equal is differentiated wrong
            return formula_script(place, shown(place, wrong))
        return kernel_script(place, imports, others)
