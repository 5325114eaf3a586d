"""The hand-written oracle: the claim's own formula, in the check's dtype and on its device."""

from __future__ import annotations

from typing import Any

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
        return torch.stack([as_jacobian(step, output[1:], input, meaning) for step in steps])
    return _tensor(as_jacobian(formula.evaluate(environment, meaning), output, input, meaning))


def _tensor(value: Any) -> Tensor:
    assert isinstance(value, Tensor)
    return value
