import pytest
import torch

from gradcheck.claims import Claim, Formula, as_jacobian
from gradcheck.errors import ShapeError
from gradcheck.functions import Function, Step
from gradcheck.language.leibniz import Link
from gradcheck.language.parser import parse
from gradcheck.torch_meaning import TorchMeaning

MEANING = TorchMeaning(torch.float64, torch.device("cpu"))


def jacobian(value, output, input):
    if isinstance(value, torch.Tensor):
        value = value.double()
    return as_jacobian(value, output, input, MEANING)


def refusal(value, output, input):
    with pytest.raises(ShapeError) as caught:
        jacobian(value, output, input)
    return str(caught.value)


def formula(text, *scope, links=()):
    names = {name: name for name in links}
    return Formula(parse(text, links=names, scope=[*scope]))


@pytest.mark.parametrize("output", [(), (1,), (1, 1)])
def test_a_value_of_the_inputs_shape_is_the_gradient_of_one_number(output):
    value = torch.arange(6.0).reshape(2, 3)
    result = jacobian(value, output, (2, 3))
    assert result.shape == (*output, 2, 3)
    assert torch.equal(result.reshape(2, 3), value.double())


@pytest.mark.parametrize("input", [(), (1,), (1, 1)])
def test_a_value_of_the_outputs_shape_is_the_derivative_by_one_number(input):
    value = torch.arange(6.0).reshape(2, 3)
    result = jacobian(value, (2, 3), input)
    assert result.shape == (2, 3, *input)
    assert torch.equal(result.reshape(2, 3), value.double())


def test_a_value_of_output_and_input_shape_is_the_jacobian():
    value = torch.arange(12.0).reshape(2, 3, 2)
    assert torch.equal(jacobian(value, (2, 3), (2,)), value.double())


def test_a_value_of_the_shape_that_both_have_is_the_diagonal():
    value = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    result = jacobian(value, (2, 2), (2, 2)).reshape(4, 4)
    assert torch.equal(result, torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]).double()))


def test_a_plain_number_fills_a_gradient():
    assert torch.equal(jacobian(3, (), (2, 2)), torch.full((2, 2), 3.0).double())
    assert torch.equal(jacobian(2.5, (2,), ()), torch.full((2,), 2.5).double())


def test_a_plain_number_is_the_diagonals_value():
    assert torch.equal(jacobian(3, (2,), (2,)), 3 * torch.eye(2).double())


def test_zero_is_a_derivative_of_any_shape():
    assert torch.equal(jacobian(0, (2,), (3,)), torch.zeros(2, 3).double())


def test_a_list_is_a_value_with_a_shape_and_does_not_broadcast():
    assert torch.equal(jacobian([1.0, 2.0], (), (2,)), torch.tensor([1.0, 2.0]).double())
    assert refusal([1.0, 1.0], (), (3, 2)) == (
        "shape [2], but the gradient has the input's shape [3, 2]"
    )
    assert refusal([1.0], (2,), (2,)) == (
        "shape [1], but the Jacobian has shape [2, 2] and an elementwise derivative [2]"
    )


@pytest.mark.parametrize(
    ("value", "output", "input", "message"),
    [
        (torch.ones(4, 2), (), (2,), "shape [4, 2], but the gradient has the input's shape [2]"),
        (torch.ones(()), (), (2,), "shape [], but the gradient has the input's shape [2]"),
        (torch.ones(1), (), (2,), "shape [1], but the gradient has the input's shape [2]"),
        (torch.ones(1, 2), (), (2,), "shape [1, 2], but the gradient has the input's shape [2]"),
        (
            torch.ones(3, 2),
            (),
            (2, 3),
            "shape [3, 2], but the gradient has the input's shape [2, 3]",
        ),
        (
            torch.ones(2),
            (3,),
            (2,),
            "shape [2], but the Jacobian has shape [3, 2]",
        ),
        (
            torch.ones(3),
            (2,),
            (2,),
            "shape [3], but the Jacobian has shape [2, 2] and an elementwise derivative [2]",
        ),
        (
            torch.ones(3),
            (2,),
            (),
            "shape [3], but the Jacobian has shape [2] or, by one number, [2]",
        ),
        (
            torch.ones(2, 1, 1),
            (2,),
            (1,),
            "shape [2, 1, 1], but the Jacobian has shape [2, 1] or, by one number, [2]",
        ),
        (1, (3,), (2,), "a number, but the Jacobian has shape [3, 2]"),
        ((1, 2), (), (2,), "2 results, but the gradient has the input's shape [2]"),
    ],
)
def test_nothing_else_is_a_derivative(value, output, input, message):
    assert refusal(value, output, input) == message


def test_a_forgotten_sum_over_the_batch_is_no_gradient():
    batch, features = 4, 3
    assert "but the gradient has the input's shape [3]" in refusal(
        torch.ones(batch, features), (), (features,)
    )


@pytest.mark.parametrize("output", [(), (0,), (2,)])
def test_empty_inputs_have_empty_jacobians(output):
    assert jacobian(1 if output == () else 0, output, (0, 3)).shape == (*output, 0, 3)
    assert jacobian(torch.ones(*output, 0, 3), output, (0, 3)).shape == (*output, 0, 3)


def chain():
    steps = (
        Step("z", parse("w*x", scope=["w", "x"])),
        Step("y", parse("exp(z)", scope=["z"])),
    )
    return Function(("w", "x"), steps, "y")


def names(steps):
    return [step.name for step in steps]


def test_a_claim_leads_from_its_input_to_its_output():
    claim = Claim.of(chain(), Link("y", "w"), (formula("y*x", "y", "x"),), 7)
    assert (claim.quantity, claim.output, claim.input, claim.line) == ("dy/dw", "y", "w", 7)
    assert names(claim.steps) == ["z", "y"]
    assert not claim.is_stepwise


def test_formula_steps_compute_all_that_a_formula_reads():
    claim = Claim.of(chain(), Link("z", "w"), (formula("log(y)*0 + x", "y", "x"),), 1)
    assert names(claim.steps) == ["z"]
    assert names(claim.formula_steps) == ["z", "y"]


def test_a_formula_reads_what_its_links_read():
    inner = formula("y", "y")
    outer = Formula(formula("dy/dz * x", "x", links=["dy/dz"]).expression, {"dy/dz": inner})
    assert outer.reads == {"x", "y"}
    assert outer.evaluate({"x": torch.tensor(2.0), "y": torch.tensor(3.0)}, MEANING) == 6
