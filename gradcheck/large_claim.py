"""A claim whose Jacobian is too large to look at each entry."""

from __future__ import annotations

import torch
from torch import Tensor

from gradcheck.claims import Claim, Written
from gradcheck.conclusion import Fields
from gradcheck.errors import EvaluationError
from gradcheck.function_answers import Block
from gradcheck.jacobians import contracted
from gradcheck.large_check import Large, judge_large
from gradcheck.leaves import Leaf
from gradcheck.oracles import autograd
from gradcheck.oracles.batched import Batched
from gradcheck.place import Place
from gradcheck.products import Contracted, Product, Pullback
from gradcheck.truths import Truths


def judge_along(
    place: Place, claim: Claim, formula: Written | None, truths: Truths, notes: tuple[str, ...]
) -> Fields:
    """The verdict on one way in which the derivative was written, or on autograd's alone.

    It is looked at along random directions, by the numeric oracle.

    Raises:
        EvaluationError, ShapeError: The formula has no value, or no derivative's shape.
    """
    function, at = truths.function(claim)
    answers: dict[str, Product] = {"autograd": _autograd(place, claim)}
    if formula is not None:
        answers = {"handwritten": _handwritten(place, claim, formula), **answers}
    return judge_large(
        Large(
            _block(place, claim),
            Batched(function, at, torch.float64),
            at.reshape(-1).to(torch.float64),
            answers,
            place.demands,
            subgradient=place.case.subgradient,
            waiver=place.waiver,
            notes=notes,
            line=formula.line if formula else claim.line,
            formula=formula.text if formula else "",
        )
    )


def _block(place: Place, claim: Claim) -> Block:
    over, _, under = claim.quantity.partition("/")
    output, input = (
        Leaf(name.removeprefix("d"), value.shape, torch.float64)
        for name, value in ((over, place.value(claim.output)), (under, place.value(claim.input)))
    )
    return Block(output, input, slice(0, output.count), slice(0, input.count))


def _autograd(place: Place, claim: Claim) -> Pullback:
    value = place.value(claim.input)

    def record() -> autograd.Pull:
        return autograd.pullback(place.segment(claim), value, place.meaning())

    return Pullback(record(), record, value.dtype)


def _handwritten(place: Place, claim: Claim, formula: Written) -> Contracted:
    value, output = place.value(claim.input), tuple(place.value(claim.output).shape)
    segment, meaning = place.formula_segment(claim), place.meaning()

    def contract(cotangent: Tensor, direction: Tensor) -> Tensor:
        written = formula.evaluate(segment.run(value, meaning), meaning)
        if isinstance(written, list):
            written = meaning.tensor(written)
        if isinstance(written, tuple):
            raise EvaluationError(f"{len(written)} results, but a derivative is one")
        if isinstance(written, Tensor):
            written = written.to("cpu", torch.float64)
        product = contracted(written, output, tuple(value.shape), cotangent, direction)
        return torch.as_tensor(product)

    return Contracted(contract, value.dtype)
