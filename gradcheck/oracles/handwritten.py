"""The hand-written oracle: the claim's own formula, in the check's dtype and on its device."""

from __future__ import annotations

from torch import Tensor

from gradcheck.claims import Written
from gradcheck.functions import Segment
from gradcheck.language.expression import Meaning


def jacobian(
    formula: Written, segment: Segment, value: Tensor, output: tuple[int, ...], meaning: Meaning
) -> Tensor:
    """What the formula says the Jacobian is: of shape `output`, the output's, + the input's.

    `segment` runs from the input, which has this value, through all that the formula reads.

    Raises:
        EvaluationError: The formula has no value here.
        ShapeError: Its value has no shape of a derivative.
    """
    environment = segment.run(value, meaning)
    return _counted(formula.jacobian(environment, output, tuple(value.shape), meaning), value)


def is_pointwise(formula: Written, segment: Segment) -> bool:
    """Whether the formula makes a number of numbers, as the segment through all it reads does."""
    return formula.is_pointwise and segment.is_pointwise and segment.are_numbers(formula.reads)


def slopes(formula: Written, segment: Segment, value: Tensor, meaning: Meaning) -> Tensor:
    """What a pointwise formula says of each of the numbers in `value`, of its shape.

    Raises:
        EvaluationError: The formula has no value here.
    """
    written = meaning.tensor(formula.evaluate(segment.run(value, meaning), meaning))
    return _counted(written, value).expand(value.shape)


def _counted(jacobian: Tensor, like: Tensor) -> Tensor:
    """A condition, such as `x > 0` for the derivative of relu, counts as 1 where it is true."""
    return jacobian if jacobian.is_floating_point() else jacobian.to(like.dtype)
