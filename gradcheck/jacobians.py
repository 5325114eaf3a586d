"""What the shape of a hand-written value says: a gradient, a Jacobian, or its diagonal."""

from __future__ import annotations

import math
from typing import Any

from gradcheck.errors import ShapeError
from gradcheck.language.expression import Meaning
from gradcheck.language.vocabulary import WORDS

Shape = tuple[int, ...]


def as_jacobian(
    value: Any,
    output: Shape,
    input: Shape,
    meaning: Meaning,
) -> Any:
    """A hand-written value in the shape `output + input`; its own shape says what it is.

    A value has the shape of the Jacobian itself; the input's, where the output has one element (a
    gradient); the output's, where the input has one; or that of both, where they have the same
    shape (elementwise: the diagonal, of a second derivative by two such inputs too). A plain number
    fills a gradient, or is the diagonal. Nothing else broadcasts, since that would hide a forgotten
    sum.

    Raises:
        ShapeError: The value is none of these.
    """
    jacobian = [*output, *input]
    single = math.prod(output) == 1 or math.prod(input) == 1
    if isinstance(value, tuple):
        raise ShapeError(f"{len(value)} results, {_wanted(output, input)}")
    if isinstance(value, list):
        value = meaning.tensor(value)
    shape = meaning.shape(value)
    if shape is None:
        if single or value == 0:
            return _times(value, meaning.call(WORDS["ones"], [jacobian], {}), meaning)
        if output == input:
            identity = meaning.call(WORDS["eye"], [], {"n": math.prod(output)})
            return _times(value, _reshape(identity, jacobian, meaning), meaning)
        raise ShapeError(f"a number, {_wanted(output, input)}")
    if shape == (*output, *input):
        return value
    if single and shape in _one_element_shapes(output, input):
        return _reshape(value, jacobian, meaning)
    if shape == output and input in (output, (*output, *output)):
        diagonal = meaning.call(WORDS["diag"], [_reshape(value, [-1], meaning)], {})
        if input != output:  # of an elementwise second derivative, which is a third-order tensor
            identity = meaning.call(WORDS["eye"], [], {"n": math.prod(output)})
            pairs = {"equation": "ij,jk->ijk"}
            diagonal = meaning.call(WORDS["einsum"], [diagonal, identity], pairs)
        return _reshape(diagonal, jacobian, meaning)
    raise ShapeError(f"shape {list(shape)}, {_wanted(output, input)}")


def contracted(value: Any, output: Shape, input: Shape, cotangent: Any, direction: Any) -> Any:
    """u · J d of the Jacobian that a hand-written value is (see `as_jacobian`), not forming it.

    `value` is a tensor or a number; u (m,) and d (n,) are flat.

    Raises:
        ShapeError: The value is no derivative's.
    """
    shape = tuple(getattr(value, "shape", ())) if hasattr(value, "shape") else None
    single = math.prod(output) == 1 or math.prod(input) == 1
    if shape is None and (single or value == 0):
        return cotangent.sum() * (direction * value).sum()
    if shape is None and output == input:
        return cotangent @ (direction * value)
    if shape == (*output, *input):
        return cotangent @ (value.reshape(len(cotangent), len(direction)) @ direction)
    if single and shape in _one_element_shapes(output, input):
        flat = value.reshape(-1)
        at_output = flat @ direction if math.prod(output) == 1 else flat * direction
        return (cotangent * at_output).sum()
    if shape is not None and shape == output == input:
        return cotangent @ (value.reshape(-1) * direction)
    found = "a number" if shape is None else f"shape {list(shape)}"
    raise ShapeError(f"{found}, {_wanted(output, input)}")


def _one_element_shapes(output: Shape, input: Shape) -> list[tuple[int, ...]]:
    shapes = []
    if math.prod(output) == 1:
        shapes.append(input)
    if math.prod(input) == 1:
        shapes.append(output)
    return shapes


def _wanted(output: Shape, input: Shape) -> str:
    if math.prod(output) == 1:
        return f"but the gradient has the input's shape {list(input)}"
    wanted = f"but the Jacobian has shape {[*output, *input]}"
    if input in (output, (*output, *output)):
        wanted += f" and an elementwise derivative {list(output)}"
    elif math.prod(input) == 1:
        wanted += f" or, by one number, {list(output)}"
    return wanted


def _reshape(value: Any, shape: list[int], meaning: Meaning) -> Any:
    return meaning.call(WORDS["reshape"], [value], {"shape": shape})


def _times(number: Any, value: Any, meaning: Meaning) -> Any:
    return meaning.call(WORDS["mul"], [value, number], {})
