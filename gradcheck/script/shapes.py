"""A hand-written value in the shape of the derivative; see `jacobians.as_jacobian`."""

from __future__ import annotations

import ast
import math

from gradcheck.jacobians import Shape, as_jacobian
from gradcheck.script.loops import filled
from gradcheck.script.terms import Term, called, method, whole_numbers
from gradcheck.script.translate import Translator


def shaped(translator: Translator, term: Term, output: Shape, input: Shape) -> Term:
    """What its shape says that it is, as the Jacobian of shape `output + input`.

    Raises:
        ShapeError: It has no shape of a derivative.
    """
    value = as_jacobian(term.value, output, input, translator.meaning)
    if not term.is_number:
        term = translator.counted(term)
    value = value.to(translator.meaning.dtype)
    shape = (*output, *input)
    if term.shape == shape:
        return term
    return Term(_python(translator, term, output, input), value)


def _python(translator: Translator, term: Term, output: Shape, input: Shape) -> ast.expr:
    shape = (*output, *input)
    if term.is_number and (1 in (math.prod(output), math.prod(input)) or term.value == 0):
        return filled(translator, term, shape).python
    size = ast.Constant(math.prod(output))
    identity = called("torch.eye", size, **translator.made())
    if term.is_number:  # the diagonal
        diagonal = _reshaped(identity, shape, (math.prod(output),) * 2)
        if isinstance(term.python, ast.Constant) and term.value == 1:
            return diagonal
        return ast.BinOp(term.python, ast.Mult(), diagonal)
    if math.prod(term.value.shape) == math.prod(shape):
        return _reshaped(term.python, shape)
    flat = term.python if term.value.ndim == 1 else method(term.python, "flatten")
    if input == output:
        diagonal = called("torch.diag", flat)
        return _reshaped(diagonal, shape, (math.prod(output),) * 2)
    pairs = ast.Constant("i,ij,ik->ijk")
    product = called("torch.einsum", pairs, flat, identity, identity)
    return _reshaped(product, shape, (math.prod(output),) * 3)


def _reshaped(python: ast.expr, shape: Shape, known: Shape = ()) -> ast.expr:
    """A value in another shape than the one that is `known` of it."""
    return python if known == shape else method(python, "reshape", whole_numbers(shape))
