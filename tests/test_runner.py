import json
import math
import re
import sys
import types

import pytest

from gradcheck.ball import Ball
from gradcheck.casefile.load import load
from gradcheck.conclusion import TOO_SURE
from gradcheck.errors import ImportFailedError, UsageError
from gradcheck.imports import Imports
from gradcheck.jobs import jobs
from gradcheck.oracles import numeric
from gradcheck.rigorous.pointwise import POINTWISE
from gradcheck.runner import run

ALL_DTYPES = ["float64", "float32", "float16", "bfloat16"]


def verdicts(results):
    return [(r.verdict, r.blame) for r in results]


# Which jobs there are


def test_a_job_is_a_case_in_a_dtype_on_a_device(write):
    file = load(
        write("""
        function: x**2
        inputs: {x: 2}
        derivatives: {x: 2*x}
        dtypes: [float32, float64]
        devices: [cpu, "cuda:1"]
    """)
    )
    there = {"cpu": "cpu", "cuda:0": "A100", "cuda:1": "A100"}
    found = [(job.device, job.dtype) for job in jobs(file.cases, there=there)]
    assert found == [
        ("cpu", "float32"),
        ("cpu", "float64"),
        ("cuda:1", "float32"),
        ("cuda:1", "float64"),
    ]
    assert [job.dtype for job in jobs(file.cases, dtypes=["float32"], device="cpu")] == ["float32"]
    assert list(jobs(file.cases, dtypes=["float16"])) == []


def test_a_case_whose_device_is_missing_is_skipped_with_the_reason(check_one):
    result = check_one(
        """
        function: x**2
        inputs: {x: 2}
        derivatives: {x: 2*x}
        """,
        device="cuda:7",
        there={"cpu": "cpu"},
    )
    assert (result.verdict, result.notes) == ("skipped", ("there is no device cuda:7 here",))


def test_a_skipped_case_says_why(check_one):
    result = check_one("""
        function: x**2
        inputs: {x: 2}
        derivatives: {x: 3*x}
        skip: the kernel is not ported
    """)
    assert (result.verdict, result.notes) == ("skipped", ("the kernel is not ported",))


def test_a_dtype_in_which_nothing_is_judged_is_skipped_and_never_silent(check):
    results = check("""
        function: x**2
        inputs: {x: 3}
        expect: {out: 9}
        dtypes: [float64, float32]
    """)
    assert [(r.verdict, r.dtype) for r in results] == [("pass", "float64"), ("skipped", "float32")]
    assert results[1].notes == ("nothing that was published for it is held to float32",)


# xfail

XFAIL = """
    function: x**2
    inputs: {{x: 2}}
    derivatives: {{x: {formula}}}
    xfail: {{reason: known, blame: {blame}}}
"""


def test_an_expected_failure_is_met_by_a_fail_with_its_blame(check_one):
    result = check_one(XFAIL.format(formula="3*x", blame="handwritten"))
    assert (result.verdict, result.blame) == ("xfailed", "handwritten")
    assert result.notes[-1] == "known"


def test_an_expected_failure_with_another_blame_is_not_met(check):
    results = check(XFAIL.format(formula="3*x", blame="autograd"))
    assert verdicts(results) == [("fail", "handwritten")]
    assert results[0].notes == ("was expected to fail with blame `autograd`: known",)


def test_an_expected_failure_that_passes_fails_the_run(check):
    assert verdicts(check(XFAIL.format(formula="2*x", blame="handwritten"))) == [
        ("pass", ""),
        ("xpassed", ""),
    ]


def test_an_inconclusive_claim_or_an_error_does_not_meet_an_expected_failure(check):
    kink = XFAIL.replace("x**2", "relu(x)").replace("x: 2}", "x: 0}")
    assert verdicts(check(kink.format(formula="0", blame="function"))) == [
        ("inconclusive", "function"),
    ]
    error = XFAIL.replace("x**2", "x @ x")
    assert verdicts(check(error.format(formula="0", blame="function"))) == [
        ("error", "function"),
    ]


def test_other_claims_of_a_case_that_is_expected_to_fail_are_judged_as_ever(check):
    results = check("""
        function: x**2*w
        inputs: {x: 2, w: 3}
        derivatives: {x: 2*x, w: x**2}
        xfail: {reason: w is forgotten, blame: handwritten}
    """)
    assert verdicts(results) == [("xfailed", "handwritten"), ("pass", "")]


# What cannot be evaluated


def test_an_error_in_one_case_does_not_stop_others(check):
    results = check("""
        cases:
          broken:
            function: x @ x
            inputs: {x: 2}
            derivatives: {x: 2*x}
          fine:
            function: x**2
            inputs: {x: 2}
            derivatives: {x: 2*x}
    """)
    assert [(r.case, r.verdict) for r in results] == [("broken", "error"), ("fine", "pass")]


def test_a_function_without_a_value_is_an_error_of_the_function(check):
    results = check("""
        function: x @ w
        points:
          - inputs: {x: [1, 2], w: [1, 2, 3]}
          - inputs: {x: [1, 2], w: [3, 4]}
        derivatives: {x: w}
    """)
    assert verdicts(results) == [("error", "function"), ("pass", "")]
    assert results[0].point == "1"
    assert results[0].notes[0].endswith("in `x @ w`")


def test_a_formula_without_a_value_is_a_fail_of_the_formula_alone(check):
    results = check("""
        function: sum(x**2)
        inputs: {x: [1, 2]}
        derivatives:
          x: [x @ ones(3), 2*x]
    """)
    assert verdicts(results) == [("fail", "handwritten"), ("pass", "")]
    assert results[0].notes[0].startswith("the formula has no value: ")
    assert results[0].notes[0].endswith(", in `x @ ones(3)`")


@pytest.mark.parametrize("formula", ["slogdet(x)", "[slogdet(x)[1], slogdet(x)[0]]"])
def test_several_results_are_no_derivative(check_one, formula):
    result = check_one(f"""
        function: slogdet(x)[1]
        inputs: {{x: [[1, 2], [3, 5]]}}
        derivatives: {{x: "{formula}"}}
    """)
    assert (result.verdict, result.blame) == ("fail", "handwritten")


def test_a_function_with_several_results_says_to_choose_one(check_one):
    result = check_one("""
        function: slogdet(x)
        inputs: {x: [[1, 2], [3, 5]]}
        derivatives: {x: inv(x).T}
    """)
    assert (result.verdict, result.blame, result.quantity) == ("error", "function", "dout/dx")
    assert result.notes == ("`out` has several results: choose one, as in out[0]",)


def test_what_is_too_large_for_a_jacobian_is_looked_at_along_directions(check):
    text = """
        function: {function}
        inputs: {{x: {{shape: [{n}], sample: normal}}}}
        derivatives: {{x: {formula}}}
    """
    right = [
        ("x**2", 2000, "2*x"),
        ("x*ones(5000)", 1, '"ones(5000)"'),
        ("sum(x**2)", 5000, "2*x"),
        ("3*x", 5000, "3"),
    ]
    for function, n, formula in right:
        (result,) = check(text.format(function=function, n=n, formula=formula))
        assert (result.verdict, result.truth) == ("pass", "numeric")
        assert "not at" in result.notes[0]
    wrong = [
        ("x**2", 2000, '"where(arange(2000) == 1234, 2.00001*x, 2*x)"', "dout[1234]/dx[1234]"),
        ("sum(x**2)", 5000, '"where(arange(5000) == 77, 2*x + 1e-5, 2*x)"', "dout/dx[77]"),
        ("x*ones(5000)", 1, '"where(arange(5000) == 4999, 1.00001, 1)"', "dout[4999]/dx[0]"),
    ]
    for function, n, formula, entry in wrong:
        (result,) = check(text.format(function=function, n=n, formula=formula))
        assert (result.verdict, result.blame) == ("fail", "handwritten")
        assert result.entries[0].label == entry
    (result,) = check(text.format(function="x**2", n=2000, formula="sum(x)"))
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert result.notes[0].startswith("the formula has shape [], but the Jacobian has shape")


# Right derivatives pass, wrong ones never

RIGHT = {
    "x**3 - 2*x": "3*x**2 - 2",
    "exp(x)*sin(x)": "exp(x)*(sin(x) + cos(x))",
    "log(x**2 + 1)": "2*x/(x**2 + 1)",
    "tanh(3*x)": "3*(1 - out**2)",
    "sqrt(x + 1)": "0.5/out",
}


@pytest.mark.parametrize(("dtype", "error"), [("float64", "1e-5"), ("float32", "1e-3")])
@pytest.mark.parametrize("function", RIGHT)
def test_a_right_derivative_passes_and_a_slightly_wrong_one_fails(check, function, dtype, error):
    text = f"""
        function: {function}
        inputs: {{{{x: 0.7}}}}
        derivatives: {{{{x: "{{}}"}}}}
        dtypes: [{dtype}]
    """
    formula = RIGHT[function]
    assert verdicts(check(text.format(formula))) == [("pass", "")]
    for wrong in (f"({formula})*(1 + {error})", f"-({formula})", f"({formula}) + {error}", "0"):
        assert verdicts(check(text.format(wrong))) == [("fail", "handwritten")], wrong


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("function", RIGHT)
def test_in_narrow_dtypes_a_right_derivative_never_fails_and_a_wrong_one_never_passes(
    check_one, function, dtype
):
    text = f"""
        function: {function}
        inputs: {{{{x: 0.7}}}}
        derivatives: {{{{x: "{{}}"}}}}
        dtypes: [{dtype}]
    """
    formula = RIGHT[function]
    assert check_one(text.format(formula)).verdict in ("pass", "inconclusive")
    for wrong in (f"-({formula})", f"2*({formula})"):
        assert check_one(text.format(wrong)).verdict in ("fail", "inconclusive")


def test_a_wrong_sign_of_one_tiny_entry_beside_large_ones_fails(check_one):
    result = check_one("""
        function: sum(c*x**2)
        constants: {c: [1e6, 1e-6, 1e6]}
        inputs: {x: [1.0, 1.0, -1.0]}
        derivatives: {x: "2*c*x*[1, -1, 1]"}
    """)
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert result.entries[0].label == "dout/dx[1]"


def test_a_zero_derivative_at_a_minimum_passes_and_a_wrong_constant_fails(check):
    results = check("""
        function: (x - 1)**2 + 3
        inputs: {x: 1.0}
        derivatives: {x: [2*(x - 1), 2*(x - 1) + 1e-5, 1e-5]}
    """)
    assert verdicts(results) == [("pass", "")] + [("fail", "handwritten")] * 2


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_maximum_that_the_dtype_misses_by_a_rounding_passes(check, dtype):
    results = check(f"""
        function: sin(x)
        inputs: {{x: 1.5707963267948966}}
        derivatives: {{x: [cos(x), 0.1 + cos(x)]}}
        dtypes: [{dtype}]
    """)
    assert verdicts(results) == [("pass", ""), ("fail", "handwritten")]


def test_a_batch_sum_that_was_forgotten_fails_with_both_shapes(check):
    results = check("""
        function: {z: x @ w + b, loss: sum(z**2)}
        constants: {x: {shape: [4, 3], sample: normal}}
        inputs: {w: {shape: [3, 2], sample: normal}, b: {shape: [2], sample: normal}}
        derivatives:
          b: [2*z, "sum(2*z, 0)"]
          w: x.T @ (2*z)
    """)
    assert verdicts(results) == [("fail", "handwritten"), ("pass", ""), ("pass", "")]
    assert results[0].notes == (
        "the formula has shape [4, 2], but the gradient has the input's shape [2]",
    )


def test_a_list_does_not_broadcast_either(check_one):
    result = check_one("""
        function: sum(x)
        inputs: {x: [[1, 2], [3, 4], [5, 6]]}
        derivatives: {x: "[1, 1]"}
    """)
    assert result.notes == (
        "the formula has shape [2], but the gradient has the input's shape [3, 2]",
    )


def test_alternatives_are_judged_one_by_one_each_at_its_line(check):
    results = check("""
        cases:
          c:
            function: sigmoid(x)
            inputs: {x: 0.3}
            derivatives:
              x:
                - out*(1 - out)
                - exp(-x)/(1 + exp(-x))
                - exp(-x)/(1 + exp(-x))**2
    """)
    assert verdicts(results) == [("pass", ""), ("fail", "handwritten"), ("pass", "")]
    assert [r.line for r in results] == [7, 8, 9]


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_size_1_and_empty_tensors_pass(check, dtype):
    results = check(f"""
        cases:
          one: {{function: x*3, inputs: {{x: [2.0]}}, derivatives: {{x: 3}}}}
          gradient: {{function: sum(x*4), inputs: {{x: [[2.0]]}}, derivatives: {{x: 4}}}}
          empty: {{function: sum(x), inputs: {{x: []}}, derivatives: {{x: 1}}}}
          none: {{function: x**2, inputs: {{x: {{shape: [0, 3], sample: normal}}}},
                  derivatives: {{x: 2*x}}}}
        defaults: {{dtypes: {dtype}, resolution: 0.1}}
    """)
    assert verdicts(results) == [("pass", "")] * 4
    assert results[2].entries == ()


# Values that are not finite


def test_a_nan_is_never_right_where_the_truth_is_finite(check_one):
    result = check_one("""
        function: x**2
        inputs: {x: [0, 2.0]}
        derivatives: {x: 2*x*x/x}
    """)
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert math.isnan(result.entries[0].answers["handwritten"].value)
    json.dumps(result.record(), allow_nan=False)


def test_an_infinity_is_never_right_where_the_truth_is_finite(check_one):
    result = check_one("""
        function: x**2
        inputs: {x: 3}
        derivatives: {x: 1/(x - 3)}
    """)
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert result.entries[0].answers["handwritten"].value == math.inf


def test_a_nan_that_leaks_from_the_other_branch_is_autograds_fault(check_one):
    result = check_one("""
        function: where(x > 0, sqrt(x), 0*x)
        inputs: {x: [0.5, -2.0]}
        derivatives: {x: "where(x > 0, 0.5/sqrt(x), 0)"}
    """)
    assert (result.verdict, result.blame) == ("fail", "autograd")


@pytest.mark.parametrize(
    ("function", "x", "note"),
    [
        ("relu(x)", "0", "a kink at this point"),
        ("log(x)", "-1.0", "not finite at this point"),
        ("sqrt(x)", "0", "at the edge of the domain"),
        ("floor(x)", "1", "a jump at this point"),
    ],
)
def test_where_there_is_no_derivative_the_function_is_blamed_and_nobody_accused(
    check_one, function, x, note
):
    result = check_one(f"""
        function: {function}
        inputs: {{x: {x}}}
        derivatives: {{x: 0*x + 0.5}}
    """)
    assert (result.verdict, result.blame) == ("inconclusive", "function")
    assert result.notes[0].startswith(note)


def test_a_kink_at_one_entry_does_not_hide_a_wrong_other_one(check_one):
    result = check_one("""
        function: relu(x)
        inputs: {x: [0, 1.0]}
        derivatives: {x: "-(x > 0)*1.0"}
    """)
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert result.entries[0].label == "dout[1]/dx[1]"


# Constants, links and recurrences


def test_detach_is_a_constant_to_every_oracle(check):
    results = check("""
        function: detach(x)*x
        inputs: {x: 3}
        derivatives: {x: [x, 2*x, detach(x)]}
    """)
    assert verdicts(results) == [("pass", ""), ("fail", "handwritten"), ("pass", "")]
    assert {round(a.value, 6) for a in results[0].entries[0].answers.values()} == {3}
    assert set(results[1].entries[0].answers) == {"handwritten", "autograd", "numeric", "exact"}


def test_detach_inside_a_recurrence_keeps_each_steps_value(check_one):
    result = check_one("""
        function:
          recurrence: {steps: 3, states: {h: {start: x, next: detach(h)*x}}}
        inputs: {x: 2.0}
        derivatives: {x: x**3}
    """)
    assert verdicts([result]) == [("pass", "")]


def test_a_computed_index_stays_whole_while_rounding_is_measured(check):
    results = check("""
        cases:
          picked:
            function: index_select(x, 0, arange(2) + 1)
            inputs: {x: [1, 2, 3.5]}
            derivatives: {x: "concatenate([zeros(2, 1), eye(2)], 1)"}
          class_of:
            function: sum(x*one_hot(k + 1, 3))
            constants: {k: 1}
            inputs: {x: [1, 2, 3.5]}
            derivatives: {x: "one_hot(k + 1, 3)"}
    """)
    assert verdicts(results) == [("pass", "")] * 2


def test_a_mask_can_be_an_output_whose_derivative_is_0(check_one):
    result = check_one("""
        function: x > 0
        inputs: {x: [1.5, -2]}
        derivatives: {x: 0}
    """)
    assert result.verdict == "pass"


def test_a_link_cuts_the_graph_and_holds_what_is_not_downstream(check):
    results = check("""
        function: {a: x**2, b: x*a, y: a + b}
        inputs: {x: 3.0}
        derivatives:
          dy/da: [1 + x, 1]
          da/dx: 2*x
          dy/dx: dy/da*da/dx + a
    """)
    assert [(r.quantity, r.verdict) for r in results] == [
        ("dy/da", "pass"),
        ("dy/da", "fail"),
        ("da/dx", "pass"),
        ("dy/dx", "pass"),
    ]


def test_a_link_is_judged_at_the_value_that_the_dtype_has(check):
    # In float32 z is 0.30000001192…, and 1/(z - 0.3)**2 makes all of that.
    results = check("""
        function: {z: 3*x, y: (z - 0.25)**2}
        inputs: {x: 0.1}
        derivatives: {dy/dz: 2*(z - 0.25)}
        dtypes: [float32]
    """)
    assert verdicts(results) == [("pass", "")]
    answers = results[0].entries[0].answers
    z = 0.30000001192092896
    assert answers["exact"].value == pytest.approx(2 * (z - 0.25), rel=1e-15)


def test_out_is_another_name_for_the_output_in_formulas_too(check):
    results = check("""
        function: {z: x*3, loss: exp(z)}
        inputs: {x: 0.5}
        derivatives: {x: 3*out, dout/dz: out}
    """)
    assert [(r.quantity, r.verdict) for r in results] == [
        ("dloss/dx", "pass"),
        ("dloss/dz", "pass"),
    ]


def test_a_wrong_link_is_blamed_in_itself_and_in_all_that_use_it(check):
    results = check("""
        function: {z: w*x, y: z**2}
        constants: {x: 3.0}
        inputs: {w: 2.0}
        derivatives:
          dy/dz: 3*z
          dz/dw: x
          dy/dw: dy/dz*dz/dw
    """)
    assert [(r.quantity, r.verdict) for r in results] == [
        ("dy/dz", "fail"),
        ("dz/dw", "pass"),
        ("dy/dw", "fail"),
    ]


RECURRENCE = """
    function:
      recurrence:
        steps: 3
        index: t
        states: {{h: {{start: h_0, next: "tanh(w*h + x[t])"}}}}
    constants: {{x: [0.5, -1, 0.25]}}
    inputs: {{w: 0.8, h_0: 0.3}}
    derivatives:
      recurrence:
        dh/dw: {{start: 0, next: "{formula}"}}
"""


def test_a_recurrence_is_judged_at_every_step(check_one):
    right = "(1 - tanh(w*h + x[t])**2) * (h + w*dh/dw)"
    assert check_one(RECURRENCE.format(formula=right)).verdict == "pass"


def test_a_recurrence_that_goes_wrong_later_names_the_step(check_one):
    wrong = "(1 - tanh(w*h + x[t])**2) * (h + w*dh/dw*(1 + t))"
    result = check_one(RECURRENCE.format(formula=wrong))
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert {entry.label for entry in result.entries[:2]} == {"dh/dw at step 2", "dh/dw at step 3"}


def test_states_that_are_vectors_are_named_by_entry_and_step(check_one):
    result = check_one("""
        function:
          recurrence: {steps: 2, states: {h: {start: h_0, next: w*h}}}
        inputs: {w: [1.5, 2.0], h_0: [0.5, 1.0]}
        derivatives:
          recurrence:
            dh/dh_0: {start: 1, next: 1.5*dh/dh_0}
    """)
    assert [e.label for e in result.entries] == [
        "dh[1]/dh_0[1] at step 2",
        "dh[1]/dh_0[1] at step 1",
    ]


def test_points_and_draws_are_labelled(check):
    results = check("""
        function: x**2
        points:
          - inputs: {x: 2}
          - {inputs: {x: {sample: normal}}, samples: 2}
        derivatives: {x: 2*x}
    """)
    assert [(r.point, r.verdict) for r in results] == [
        ("1", "pass"),
        ("2.1", "pass"),
        ("2.2", "pass"),
    ]


def test_results_come_one_by_one(write):
    file = load(
        write("""
        function: x**2
        points: [{inputs: {x: 1}}, {inputs: {x: 2}}]
        derivatives: {x: 2*x}
    """)
    )
    (job,) = jobs(file.cases, device="cpu")
    stream = run(job)
    assert next(stream).point == "1"
    assert next(stream).point == "2"


@pytest.mark.usefixtures("without_exact")
def test_a_bug_in_an_oracle_is_an_error_of_that_claim_and_no_traceback(check, monkeypatch):
    def broken(*arguments, **settings):
        raise RuntimeError("broken\nsecond line")

    monkeypatch.setattr("gradcheck.oracles.numeric.slopes", broken)
    results = check("""
        function: {z: x**2, y: z*2}
        inputs: {x: 2}
        derivatives: {x: 4*x, dz/dx: 2*x}
    """)
    assert [(r.quantity, r.verdict, r.blame, r.notes) for r in results] == [
        ("dy/dx", "error", "", ("RuntimeError: broken",)),
        ("dz/dx", "error", "", ("RuntimeError: broken",)),
    ]


def test_a_word_that_torch_lacks_in_a_dtype_is_an_error_and_no_traceback(check):
    results = check("""
        function: sum(inv(x))
        inputs: {x: [[2, 0.5], [0.5, 1]]}
        derivatives: {x: "-(inv(x) @ ones(2, 2) @ inv(x)).T"}
        dtypes: [float64, float16]
    """)
    assert [(r.dtype, r.verdict) for r in results] == [("float64", "pass"), ("float16", "error")]


# Right derivatives that float64 can hardly see, and wrong ones that hide there


@pytest.mark.parametrize(
    ("function", "inputs", "by", "formula"),
    [
        ("log(1 + exp(x))", "{x: -33.0}", "x", "sigmoid(x)"),
        ("log(1 + exp(x))", "{x: -40.0}", "x", "sigmoid(x)"),
        ("-log_softmax(x, 0)[1]", "{x: [0.0, 37.0]}", "x", "softmax(x, 0) - [0.0, 1.0]"),
        ("-log(sigmoid(x))", "{x: 40.0}", "x", "-sigmoid(-x)"),
        (
            "(-b + sqrt(b**2 - 4*a*c))/(2*a)",
            "{a: 1.0, b: 1e8, c: 1.0}",
            "c",
            "-1/sqrt(b**2 - 4*a*c)",
        ),
        ("(0.001*x + 1e14) - 1e14", "{x: 1.0}", "x", "0.001"),
        ("x**2", "{x: 1e-170}", "x", "2*x"),
        ("x + 1e-15*sin(1e14*x)", "{x: 1.0}", "x", "1 + 0.1*cos(1e14*x)"),
    ],
)
class TestARightDerivativeThatRoundingHides:
    TEXT = """
        function: {}
        inputs: {}
        derivatives: {{{}: "{}"}}
        """

    @pytest.mark.usefixtures("without_exact")
    def test_is_not_accused_by_an_estimate(self, function, inputs, by, formula, check):
        results = check(self.TEXT.format(function, inputs, by, formula))
        assert [r.verdict for r in results] == ["inconclusive"]
        assert results[0].notes

    def test_passes_by_proof(self, function, inputs, by, formula, check_one):
        result = check_one(self.TEXT.format(function, inputs, by, formula))
        assert (result.verdict, result.truth) == ("pass", "exact")
        assert result.resolution < 1e-15


@pytest.mark.parametrize(
    ("function", "inputs", "by", "formula"),
    [
        ("sqrt(a**2 + b**2)", "{a: 1e8, b: 1.0}", "b", "-b/sqrt(a**2 + b**2)"),
        ("sqrt(1e16 + x)", "{x: 1.0}", "x", "-7/(2*sqrt(1e16 + x))"),
        ("sigmoid(x)", "{x: 40.0}", "x", "2*sigmoid(x)*sigmoid(-x)"),
        ("erf(x)", "{x: 5.8}", "x", "exp(-x**2)"),
        ("(1 - cos(x))/x**2", "{x: 1e-4}", "x", "(x*sin(x) - 3*(1 - cos(x)))/x**3"),
    ],
)
class TestAWrongDerivativeThatRoundingHides:
    TEXT = """
        function: {}
        inputs: {}
        resolution: 1e-2
        derivatives: {{{}: "{}"}}
        """

    @pytest.mark.usefixtures("without_exact")
    def test_does_not_pass(self, function, inputs, by, formula, check_one):
        assert check_one(self.TEXT.format(function, inputs, by, formula)).verdict != "pass"

    def test_fails_by_proof(self, function, inputs, by, formula, check_one):
        result = check_one(self.TEXT.format(function, inputs, by, formula))
        assert (result.verdict, result.blame) == ("fail", "handwritten")


@pytest.mark.parametrize("x", ["1.5707963267948966", "3.141592653589793"])
def test_a_derivative_that_is_zero_but_for_the_rounding_of_its_input_passes(x, check_one):
    function, formula = ("sin(x)", "cos(x)") if x[0] == "1" else ("cos(x)", "-sin(x)")
    result = check_one(f"""
        function: {function}
        inputs: {{x: {x}}}
        derivatives: {{x: {formula}}}
        """)
    assert result.verdict == "pass"


@pytest.mark.usefixtures("without_exact")
def test_handwritten_and_autograd_that_agree_are_not_accused_by_an_estimate(check_one):
    result = check_one("""
        function: x + 1e-15*sin(1e14*x)
        inputs: {x: 1.0}
        derivatives: {x: 1 + 0.1*cos(1e14*x)}
        expect: {x: 0.9022172}
        """)
    assert (result.verdict, result.blame) == ("inconclusive", "")
    assert result.notes[-1] == (
        "handwritten and autograd agree with each other, not with the numeric oracle: it does not "
        "see this function's rounding, or both make the same mistake"
    )


def test_a_condition_counts_as_one_where_it_is_true(check_one):
    result = check_one("""
        function: relu(x)
        inputs: {x: [1.5, -0.5]}
        derivatives: {dout/dx: x > 0}
        """)
    assert result.verdict == "pass"


@pytest.mark.parametrize("text", ["inv(a)[0, 0]", "sum(cholesky(a))"])
def test_a_step_out_of_the_domain_does_not_keep_the_point_from_being_judged(text, check_one):
    formula = {"i": "-inv(a)**2", "s": "1/(2*cholesky(a))"}[text[0]]
    result = check_one(f"""
        function: "{text}"
        inputs: {{a: [[4.0]]}}
        derivatives: {{a: {formula}}}
        """)
    assert result.verdict == "pass"


def test_a_wrong_published_number_is_shown_at_its_own_line(check_one):
    result = check_one("""
        function: x**2
        inputs: {x: 3}
        derivatives:
          x: 2*x
        expect:
          x: 7
        """)
    assert (result.verdict, result.blame, result.line) == ("fail", "expected", 8)
    assert result.formula == ""


@pytest.mark.usefixtures("without_exact")
def test_digits_beyond_the_truth_are_said_not_to_be_checked(check_one):
    result = check_one("""
        function: sin(x**2)
        inputs: {x: 3}
        derivatives: {x: 2*x*cos(x**2)}
        expect: {x: -5.466781571308061}
        """)
    assert result.verdict == "pass"
    assert re.fullmatch(
        r"the published digits below \d\.\de-\d\d were not checked", result.notes[1]
    )


def test_without_entries_only_shapes_are_compared(check_one):
    result = check_one("""
        function: sum(x**2)
        inputs: {x: {shape: [0], sample: normal}}
        derivatives: {x: 2*x}
        """)
    assert result.verdict == "pass"
    assert result.notes == ("there is no entry: nothing but shapes was compared",)


def test_the_start_of_a_recurrence_is_shown_with_its_step(check):
    results = check("""
        function:
          recurrence: {steps: 2, states: {h: {start: h_0, next: w*h}}}
        inputs: {w: 3.0, h_0: 0.5}
        derivatives:
          recurrence:
            dh/dw:
              start: 1
              next: h + w*dh/dw
        """)
    (failed,) = [r for r in results if r.verdict == "fail"]
    assert failed.formula == "start: 1, next: h + w*dh/dw"


# Oracles that contradict each other


def test_an_exact_oracle_alone_against_all_others_accuses_nobody(check_one, monkeypatch):
    monkeypatch.setitem(POINTWISE, "sin", lambda x: x.sin() * 2)
    result = check_one("function: sin(x)\ninputs: {x: 0.7}\nderivatives: {x: cos(x)}")
    assert (result.verdict, result.blame) == ("inconclusive", "")
    assert any("please report it" in note for note in result.notes)


def test_a_numeric_oracle_that_is_too_sure_is_blamed_too(check_one, monkeypatch):
    real = numeric.slopes

    def too_sure(curves, **settings):
        return [Ball(b.midpoint + 1e-3, b.radius, b.basis) for b in real(curves, **settings)]

    monkeypatch.setattr(numeric, "slopes", too_sure)
    text = "function: sin(x)\ninputs: {{x: 0.7}}\nderivatives: {{x: {}}}"
    result = check_one(text.format("2*cos(x)"))
    assert (result.verdict, result.blame) == ("fail", "handwritten,numeric")
    assert result.notes == (TOO_SURE,)
    assert check_one(text.format("cos(x)")).verdict == "pass"


# Subgradients


@pytest.mark.parametrize(
    ("function", "x", "right", "wrong"),
    [
        ("relu(x)", "0", ["0", "0.5", "1", "(x > 0)*1.0"], ["-0.001", "1.001", "2"]),
        ("abs(x - 1)", "1", ["0", "-1"], ["1.5"]),
        ("clamp(x, -1, 1)", "1", ["0", "1"], ["-1"]),
        ("sqrt(x)", "0", ["1/(2*sqrt(x))"], ["0", "1000000"]),
        ("amax(x)", "[2, 2, 1]", ["[1, 0, 0]", "[0.5, 0.5, 0]"], ["[0.5, 0.5, 0.5]"]),
        ("x**2", "3", ["2*x"], ["x"]),
    ],
)
def test_at_a_declared_kink_any_value_between_the_one_sided_derivatives_is_right(
    check, function, x, right, wrong
):
    text = f"""
        function: {function}
        inputs: {{x: {x}}}
        subgradient: true
        derivatives: {{x: [{{}}]}}
    """
    quoted = ", ".join(f'"{formula}"' for formula in [*right, *wrong])
    results = check(text.replace("{}", quoted))
    assert [(r.verdict, r.blame) for r in results] == [
        *[("pass", "")] * len(right),
        *[("fail", "handwritten")] * len(wrong),
    ]


def test_what_backward_leaves_at_a_declared_kink_is_a_subgradient_too(check_one):
    result = check_one("""
        function: relu(x)
        inputs: {x: 0}
        subgradient: true
        autograd: {backward_passes: 3}
        expect: {x.grad: 0}
    """)
    assert result.verdict == "pass"
    assert "the one-sided derivatives are 0 and 1" in result.notes[0]


def test_a_choice_in_the_formula_at_a_declared_kink_is_not_blurred_by_rounding(check_one):
    result = check_one("""
        function: sum(relu(1 - y*(x@w)))
        inputs: {w: [1.0, 0.0], x: [[1.0, 2.0], [0.5, 1.0]]}
        constants: {y: [1.0, -1.0]}
        derivatives: {w: "-(where(1 - y*(x@w) > 0, y, 0)) @ x"}
        subgradient: true
    """)
    assert result.verdict == "pass"


# Functions in Python

PYTHON = """
function: {python: "nowhere.kernels:double"}
reference: 2*x
inputs: {x: 3}
derivatives: {x: 2}
"""


@pytest.fixture
def judged(monkeypatch):
    """The points at which functions in Python are judged, by one that finds nothing wrong."""
    points = []

    def judge(place, imports):
        points.append((place.point.label, imports))
        yield {"quantity": "out", "verdict": "pass"}

    stub = types.ModuleType("gradcheck.kernels")
    stub.judge_kernel = judge
    monkeypatch.setitem(sys.modules, "gradcheck.kernels", stub)
    monkeypatch.setattr(Imports, "load", lambda imports, what: abs)
    return points


def test_a_function_in_python_is_judged_after_the_claims_on_its_reference(check, judged):
    imports = Imports.of(["nowhere"], "")
    results = check(f"{PYTHON}expect: {{out: 6}}", imports=imports)
    assert [result.quantity for result in results] == ["dout/dx", "out", "out"]
    assert [result.line for result in results] == [6, 2, 7]
    assert judged == [("1", imports)]
    assert {result.imports for result in results} == {("nowhere",)}


def test_a_function_in_python_is_judged_once_at_each_point(check, judged):
    check("""
        function: {python: "nowhere:f"}
        reference: 2*x
        backward: {dx: 2*dout}
        points:
          - {inputs: {x: 3}, cotangents: {dout: 2}}
          - {inputs: {x: 4}}
    """)
    assert [label for label, _ in judged] == ["1", "2"]


def test_a_function_in_python_alone_is_not_idle(check_one, judged):
    result = check_one('{function: {python: "nowhere:f"}, inputs: {x: 3}}')
    assert (result.verdict, result.quantity) == ("pass", "out")


def test_what_may_not_be_imported_is_told_once_and_the_reference_is_judged(check):
    results = check("""
        function: {python: "nowhere.kernels:f"}
        reference: 2*x
        derivatives: {x: 2}
        backward: {python: "elsewhere:g"}
        points: [{inputs: {x: 3}}, {inputs: {x: 4}}]
    """)
    assert [(r.verdict, r.quantity, r.point) for r in results] == [
        ("error", "", ""),
        ("pass", "dout/dx", "1"),
        ("pass", "dout/dx", "2"),
    ]
    assert results[0].line == 3
    assert [note.split(":")[0] for note in results[0].notes] == [
        "`nowhere.kernels` may not be imported",
        "`elsewhere` may not be imported",
    ]


def test_an_import_that_fails_while_the_function_is_judged_is_told_as_it_is(check, monkeypatch):
    def judge(place, imports):
        yield {"quantity": "out", "verdict": "pass"}
        raise ImportFailedError("there is no module `nowhere`")

    stub = types.ModuleType("gradcheck.kernels")
    stub.judge_kernel = judge
    monkeypatch.setitem(sys.modules, "gradcheck.kernels", stub)
    monkeypatch.setattr(Imports, "load", lambda imports, what: abs)
    *_, last = check(PYTHON, imports=Imports.of(["nowhere"], ""))
    assert (last.verdict, last.notes) == ("error", ("there is no module `nowhere`",))


def test_what_a_case_says_of_a_function_and_cannot_mean_is_told_as_it_is(check, monkeypatch):
    def judge(place, imports):
        raise UsageError("`init` is for the class of a module")
        yield

    stub = types.ModuleType("gradcheck.kernels")
    stub.judge_kernel = judge
    monkeypatch.setitem(sys.modules, "gradcheck.kernels", stub)
    monkeypatch.setattr(Imports, "load", lambda imports, what: abs)
    *_, last = check(PYTHON)
    assert (last.verdict, last.notes) == ("error", ("`init` is for the class of a module",))
