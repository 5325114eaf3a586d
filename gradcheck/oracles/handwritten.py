"""The hand-written oracle: the claim's own formula, in the check's dtype and on its device."""

from __future__ import annotations

import torch
from torch import Tensor

from gradcheck.claims import Claim, RecurrentFormula, Written, as_jacobian
from gradcheck.functions import Segment
from gradcheck.language.expression import Meaning


def jacobian(
    claim: Claim, formula: Written, segment: Segment, value: Tensor, meaning: Meaning
) -> Tensor:
    """What the formula says the Jacobian is: shape of the claim's output + shape of its input.

    `segment` runs through `claim.formula_steps`, `value` is the claim's input.

    Raises:
        EvaluationError: The formula has no value here.
        ShapeError: Its value has no shape of a derivative.
    """
    environment = segment.run(value, meaning)
    output, input = tuple(environment[claim.output].shape), tuple(value.shape)
    if isinstance(formula, RecurrentFormula):
        steps = formula.evaluate_steps(environment, meaning)
        jacobians = [as_jacobian(step, output[1:], input, meaning) for step in steps]
        return _counted(torch.stack(jacobians), value)
    written = formula.evaluate(environment, meaning)
    return _counted(as_jacobian(written, output, input, meaning), value)


def _counted(jacobian: Tensor, like: Tensor) -> Tensor:
    """A condition, such as `x > 0` for the derivative of relu, counts as 1 where it is true."""
    return jacobian if jacobian.is_floating_point() else jacobian.to(like.dtype)
