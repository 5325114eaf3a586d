import pytest
import torch

from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.functions import Segment
from gradcheck.oracles.handwritten import jacobian
from gradcheck.place import Place


@pytest.fixture
def answer(write):
    """The Jacobian that the first formula of a case's first claim says, in a dtype."""
    from gradcheck.casefile.load import load

    def answer(text, dtype="float64", formula=0):
        file = load(write(text))
        assert not file.problems, [str(problem) for problem in file.problems]
        (case,) = file.cases
        claim = case.claims[0]
        place = Place.at(case, case.points[0], dtype, "cpu")
        segment = place.formula_segment(claim)
        assert isinstance(segment, Segment)
        value, output = place.environment[claim.input], place.environment[claim.output]
        written, shape = claim.formulas[formula], tuple(output.shape)
        return jacobian(written, segment, value, shape, place.meaning())

    return answer


def test_a_gradient_has_the_shape_of_output_and_input(answer):
    result = answer("""
        function: sum(x**2)
        inputs: {x: [1, 2.5]}
        derivatives: {x: 2*x}
    """)
    assert result.tolist() == [2, 5]


def test_an_elementwise_derivative_is_the_diagonal(answer):
    result = answer("""
        function: x**2
        inputs: {x: [1, 2.5]}
        derivatives: {x: 2*x}
    """)
    assert result.tolist() == [[2, 0], [0, 5]]


def test_a_formula_reads_intermediate_values_and_the_output(answer):
    result = answer("""
        function: {z: 3*x, y: exp(z)}
        inputs: {x: 0.0}
        derivatives: {x: 3*out + 0*z + 0*y}
    """)
    assert result == 3


def test_links_of_other_formulas_are_evaluated(answer):
    result = answer("""
        function: {z: 3*x, y: z**2}
        inputs: {x: 2.0}
        derivatives: {x: dy/dz * dz/dx, dy/dz: 2*z, dz/dx: 3}
    """)
    assert result == 36


def test_a_recurrences_derivative_is_stacked_step_by_step(answer):
    result = answer("""
        function:
          recurrence: {steps: 3, states: {h: {start: h_0, next: w*h}}}
        inputs: {w: 2.0, h_0: [1.0, 3.0]}
        derivatives:
          recurrence:
            dh/dh_0: {start: 1, next: w*dh/dh_0}
    """)
    assert result.tolist() == [[[2**n, 0], [0, 2**n]] for n in (1, 2, 3)]


def test_derivatives_of_a_recurrence_see_each_other_as_they_were_before_the_step(answer):
    text = """
        function:
          recurrence: {steps: 3, index: t, states: {h: {start: h_0, next: "w*h + x[t]"}}}
        constants: {x: [1, 2, 3]}
        inputs: {w: 2.0, h_0: 0.5}
        derivatives:
          recurrence:
            dh/dw: {start: 0, next: "h + w*dh/dw + 0*dh/dh_0*x[t]"}
            dh/dh_0: {start: 1, next: w*dh/dh_0}
    """
    # h: 0.5, 2, 6; dh/dw: 0.5, 2 + 2*0.5, 6 + 2*3
    assert answer(text).tolist() == [0.5, 3.0, 12.0]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_the_formula_is_evaluated_in_the_checks_dtype(answer, dtype):
    result = answer(
        """
        function: x/3
        inputs: {x: 1.0}
        derivatives: {x: 1/3 + 0*x}
        dtypes: [float64, float32, float16, bfloat16]
        """,
        dtype,
    )
    assert result.dtype == getattr(torch, dtype)
    assert result == torch.tensor(1 / 3, dtype=getattr(torch, dtype))


def test_a_wrong_shape_is_refused(answer):
    with pytest.raises(ShapeError, match=r"shape \[2, 2\], but the gradient"):
        answer("""
            function: sum(x)
            inputs: {x: [1, 2]}
            derivatives: {x: "ones(2, 2)"}
        """)


def test_a_formula_without_a_value_is_refused(answer):
    with pytest.raises(EvaluationError, match="in `x @ x`"):
        answer("""
            function: x**2
            inputs: {x: 1.0}
            derivatives: {x: x @ x}
        """)
