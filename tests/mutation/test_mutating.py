"""What becomes of wrong versions: noticed, survived with a reason and a point, equivalent."""

import json
from pathlib import Path

import pytest
import yaml

from gradcheck.casefile.load import load
from gradcheck.jobs import jobs
from gradcheck.mutation.mutating import SAME, by_entry, mutate
from gradcheck.mutation.outcome import NotPassingError
from gradcheck.report.points_entry import constants_line, points_entry
from gradcheck.runner import run


@pytest.fixture
def fates(write):
    """The outcomes of a file's cases."""

    def fates(text):
        return list(outcomes(write(text)))

    return fates


def outcomes(path: Path):
    file = load(path)
    assert not file.problems, [str(problem) for problem in file.problems]
    for cases in by_entry(file.cases).values():
        yield from mutate(cases)


def by_text(found, fate):
    return {one.wrong: one for one in found if one.fate == fate}


def runs(path: Path):
    """The verdicts of a run."""
    listed = list(jobs(load(path).cases, device="cpu"))
    return {result.verdict for job in listed for result in run(job)}


def planted(path: Path, outcome, *, point=False):
    """The verdicts with a wrong version in the file, also with the point that was found for it."""
    text = path.read_text(encoding="utf-8")
    quoted = json.dumps(outcome.formula)
    right = quoted if quoted in text else outcome.formula
    assert text.count(right) == 1
    document = yaml.safe_load(text.replace(right, json.dumps(outcome.wrong)))
    if point:
        case = document["cases"][outcome.case]
        own = case.pop("points", None) or [{"inputs": case.pop("inputs")}]
        (entry,) = yaml.safe_load(points_entry(outcome.inputs))
        case["points"] = [*own, entry]
        case |= yaml.safe_load(constants_line(outcome.constants)) if outcome.constants else {}
    wrong = path.with_name("wrong.grad.yaml")
    wrong.write_text(json.dumps(document, default=float), encoding="utf-8")
    return runs(wrong)


WEAK = """
function: x*w
inputs: {x: 2.0, w: 2.0}
derivatives: {x: "w", w: x*1}
"""


def test_what_a_weak_case_lets_through_is_told_with_a_point_that_does_not(write):
    path = write(WEAK)
    found = list(outcomes(path))
    survivors = [one for one in found if one.fate == "survived"]
    assert {(one.formula, one.wrong) for one in survivors} >= {("w", "x"), ("x*1", "w*1")}
    for one in survivors:
        assert one.reason == "the same at every point of the case"
        assert set(one.inputs) == {"x", "w"}
        if one.formula != "w":  # which stands there more than once
            assert planted(path, one) == {"pass"}
            assert "fail" in planted(path, one, point=True)


def test_two_x_and_x_squared_are_the_same_at_two(write):
    path = write("""
        function: x**2*c
        inputs: {x: 2.0}
        constants: {c: 1}
        derivatives: {x: 2*x*c}
    """)
    (outcome,) = [one for one in outcomes(path) if one.wrong == "2*x"]
    assert outcome.fate == "survived"
    text = path.read_text("utf-8")
    path.write_text(text.replace("2*x*c", "x**2"), encoding="utf-8")
    assert runs(path) == {"pass"}
    path.write_text(text.replace("2*x*c", "x**2").replace("x: 2.0", "x: 3.0"), encoding="utf-8")
    assert runs(path) == {"fail"}


def test_what_differs_at_other_constants_alone_says_which(write):
    path = write("""
        function: x**2*c
        inputs: {x: 3.0}
        constants: {c: 1}
        derivatives: {x: 2*x*c}
    """)
    survivors = by_text(outcomes(path), "survived")
    assert set(survivors) == {"2*x", "(2*x) / c", "2*x*(c * c)"}
    for one in survivors.values():
        assert set(one.constants) == {"c"}
        assert planted(path, one) == {"pass"}
        assert "fail" in planted(path, one, point=True)


def test_constants_that_do_not_matter_are_not_told(fates):
    survivors = by_text(
        fates("""
            function: c*x*w
            inputs: {x: 2.0, w: 2.0}
            constants: {c: 3}
            derivatives: {w: c*x}
        """),
        "survived",
    )
    assert survivors["c*w"].constants == {}


@pytest.mark.parametrize(
    ("case", "formula", "wrong"),
    [
        (
            "{function: sum(x**2), inputs: {x: [0.5, 2.0]}, derivatives: {x: 2*x*ones_like(x)}}",
            "2*x*ones_like(x)",
            "2*x",
        ),
        (
            "{function: sum(x**2), inputs: {x: [0.5, 2.0]}, "
            "derivatives: {x: 2*x + sum(x - mean(x))}}",
            "2*x + sum(x - mean(x))",
            "2*x",
        ),
        (
            "{function: {l: 'log_softmax(z, 0)', y: 'l[0]'}, inputs: {z: [0.5, 2.0, -1.0]}, "
            "derivatives: {dy/dz: 'eye(3)[0] - softmax(z, 0)'}}",
            "eye(3)[0] - softmax(z, 0)",
            "eye(3)[0] - softmax(l, 0)",
        ),
    ],
)
def test_what_is_proven_to_be_the_same_is_no_wrong_version(fates, case, formula, wrong):
    found = [one for one in fates(f"cases: {{c: {case}}}") if one.formula == formula]
    assert by_text(found, "equivalent")[wrong].reason == ""
    assert not by_text(found, "survived")


def test_a_branch_that_is_rarely_taken_is_looked_for(write):
    """Few of the points nearby lie where the wrong version differs."""
    path = write("""
        function: sum(where(x > 0, x**2, 0))
        inputs: {x: [2.0, -2.0]}
        derivatives: {x: "where(x > 0, 2*x, 0)"}
    """)
    survivors = by_text(outcomes(path), "survived")
    assert {"where(x > 1, 2*x, 0)", "where(x > (-1), 2*x, 0)"} <= set(survivors)
    for one in survivors.values():
        assert planted(path, one) == {"pass"}
        assert "fail" in planted(path, one, point=True)


@pytest.mark.parametrize(
    ("case", "equivalent"),
    [
        (
            """
        function: where(x > 1000000, x**3, x**2)
        inputs: {x: 3.0}
        derivatives: {x: "where(x > 1000000, 3*x**2, 2*x)"}
        """,
            [],
        ),
        (
            """
        function: sum((x > k)*x**2)
        inputs: {x: [3.0, -2.0]}
        constants: {k: 5000}
        derivatives: {x: (x > k)*2*x}
        """,
            ["((x > k) * (x > k))*2*x"],
        ),
        (
            """
        function: {z: relu(3*x - 50000), y: z**2}
        inputs: {x: 3.0}
        derivatives: {dy/dz: 2*z}
        """,
            [],
        ),
        (
            """
        function: "maximum(x, 12345)*y"
        inputs: {x: {sample: normal}, y: 2.0}
        derivatives: {x: (x > 12345)*y}
        """,
            ["((x > 12345) * (x > 12345))*y"],
        ),
        (
            """
        function: {z: 5*x + 1, y: "where(z > 40, z**2, z)"}
        inputs: {x: 3.0}
        derivatives: {dy/dz: "where(z > 40, 2*z, 1)"}
        """,
            ["where(y > 40, 2*z, 1)"],
        ),
    ],
    ids=["branch", "factor", "function", "maximum", "of a step"],
)
def test_a_choice_that_goes_another_way_far_from_the_case_is_looked_for(write, case, equivalent):
    """There and next to the border, and nothing that differs there is called equivalent."""
    path = write(case)
    found = list(outcomes(path))
    assert list(by_text(found, "equivalent")) == equivalent
    survivors = by_text(found, "survived")
    assert len(survivors) > 3
    for one in survivors.values():
        assert planted(path, one) == {"pass"}
        assert "fail" in planted(path, one, point=True), one.wrong


def test_what_no_point_reaches_is_not_called_equivalent(fates):
    found = fates("""
        function: {z: exp(-x**2), y: "where(z > 2, z**3, z**2)"}
        inputs: {x: 3.0}
        derivatives: {dy/dz: "where(z > 2, 3*z**2, 2*z)"}
    """)
    one = by_text(found, "survived")["where(z > 2, 4*z**2, 2*z)"]
    assert one.reason == (
        "the same at every point of the case; "
        "at other points too, but at all of them a choice goes the same way"
    )
    assert not one.inputs
    assert not by_text(found, "equivalent")


@pytest.mark.parametrize(
    ("inputs", "domain"),
    [("{x: 3.0}", '{x: "(0, inf)"}'), ("{x: 3.0, c: 1.0}", '{x: "(0, inf)"}')],
)
def test_beyond_a_domain_nothing_has_to_be_reached(fates, inputs, domain):
    """Where x is positive, |x| is x."""
    found = fates(f"""
        function: {{z: abs(x), y: z**2}}
        inputs: {inputs}
        domain: {domain}
        derivatives: {{dy/dz: 2*z}}
    """)
    assert set(by_text(found, "equivalent")) == {"2*x"}
    assert not by_text(found, "survived")


def test_what_few_points_tell_is_not_called_equivalent(fates):
    """An alternative that is right here by chance is right at no other point."""
    found = fates("{function: x**2, inputs: {x: 2.0}, derivatives: {x: ['2*x', x**2*1]}}")
    (outcome,) = [one for one in found if one.wrong == "x**2" and one.fate != "noticed"]
    assert outcome.fate == "survived"
    assert outcome.reason.endswith(
        f"; at no {SAME} other points it could be told whether it is wrong"
    )
    assert not outcome.inputs


def test_sizes_that_are_the_same_hide_which_of_them_is_meant(fates):
    case = """
        function: {{S: Q @ K.T / sqrt(d), y: sum(S**2)}}
        sizes: {{n: 3, d: {d}}}
        inputs: {{Q: {{shape: [n, d], sample: normal}}, K: {{shape: [n, d], sample: normal}}}}
        derivatives: {{dy/dQ: 2*S @ K / sqrt(d)}}
    """
    survivors = by_text(fates(case.format(d=3)), "survived")
    reason = "the same at every point of the case, where `d` and `n` are both 3"
    assert survivors["2*S @ K / sqrt(n)"].reason == reason
    assert not by_text(fates(case.format(d=2)), "survived")


def test_a_size_of_one_hides_a_factor(fates):
    survivors = by_text(
        fates("""
            function: sum(x**2)/n
            sizes: {n: 1}
            inputs: {x: {shape: [n], sample: normal}}
            derivatives: {x: 2*x/n}
        """),
        "survived",
    )
    assert survivors["2*x"].reason == "the same at every point of the case, where `n` is 1"
    assert "2*x / n / n" not in survivors


def test_what_numeric_differentiation_lets_through_is_within_the_resolution(write):
    """At the kink no derivative is proven."""
    path = write("""
        function: maximum(z, 0) - z*t + log1p(exp(-abs(z))) + 1e-20*z
        inputs: {z: 0.0}
        constants: {t: 0.2}
        derivatives: {z: sigmoid(z) - t + 1e-20}
    """)
    survivors = by_text(outcomes(path), "survived")
    one = survivors["sigmoid(z) - t"]
    assert one.reason.startswith("within the resolution of ")
    assert one.inputs
    assert planted(path, one) == {"pass"}
    assert "fail" in planted(path, one, point=True)


def test_no_point_leaves_the_domain(fates):
    """Where the slope is positive, y > 0 is another way to say x > 0."""
    case = """
        function: {{y: "where(x > 0, x, a*x)"}}
        inputs: {{x: [-2.3, -0.7, 0.4, 1.9], a: 0.25}}
        derivatives: {{x: "where(x > 0, 1, a)"}}
        {domain}
    """
    wrong = "where(y > 0, 1, a)"
    assert wrong in by_text(fates(case.format(domain="")), "survived")
    inside = fates(case.format(domain='domain: {a: "(0, inf)"}'))
    assert wrong in by_text(inside, "equivalent")


def test_it_is_noticed_at_any_point_and_in_any_size(fates):
    weak = "function: sum(x**2)/n\nderivatives: {x: 2*x/n}\n"
    one = fates(weak + "sizes: {n: 1}\ninputs: {x: {shape: [n], sample: normal}}")
    both = fates(weak + "sizes: {n: [1, 3]}\ninputs: {x: {shape: [n], sample: normal}}")
    assert by_text(one, "survived")
    assert not by_text(both, "survived")
    weak = "function: x*w\nderivatives: {x: w}\n"
    one = fates(weak + "points: [{inputs: {x: 2.0, w: 2.0}}]")
    both = fates(weak + "points: [{inputs: {x: 2.0, w: 2.0}}, {inputs: {x: 2.0, w: 3.0}}]")
    assert set(by_text(one, "survived")) == {"x"}
    assert not by_text(both, "survived")


BACKWARD = """
function: {z: W @ x, y: sum(z**2)}
inputs: {x: [1.5, -2.0, 0.5], W: [[1.0, 3.0, 0.25], [0.5, 2.0, -1.0]]}
backward:
  g: 2*z*dy
  dW: outer(g, x)
  dx: W.T @ g
"""


def test_a_line_that_is_not_judged_is_noticed_where_it_is_used(fates):
    found = [one for one in fates(BACKWARD) if one.formula == "2*z*dy"]
    assert len(found) >= 10
    assert {one.fate for one in found} == {"noticed"}
    assert {one.line for one in found} == {6}


def test_a_line_takes_no_name_that_is_known_later(fates):
    """Neither its own, nor one of a line below: that would be no case any more."""
    found = [one.wrong for one in fates(BACKWARD) if one.formula == "2*z*dy"]
    assert not [text for text in found if "g" in text or "dW" in text or "out" in text]


def test_a_line_that_is_right_for_one_cotangent_alone_is_noticed(fates):
    """One that ignores the cotangent would be right where that is 1."""
    found = fates("""
        function: {y: x**3}
        inputs: {x: 1.5}
        cotangents: {dy: 1}
        backward: {dx: 3*x**2*dy}
        expect: {dx: 6.75}
    """)
    assert by_text(found, "noticed")["3*x**2"].mistake == "the factor `dy` is dropped"
    assert not by_text(found, "survived")


@pytest.mark.parametrize(
    ("case", "count"),
    [
        (
            """
        function: {y: W @ sin(x)}
        inputs: {x: [0.5, -1.2], W: [[1.0, 2.0], [0.3, -0.7]]}
        jvp: {dy: dW @ sin(x) + W @ (cos(x)*dx)}
        """,
            1,
        ),
        (
            """
        function: {recurrence: {steps: 3, states: {h: {start: 0.5, next: tanh(w*h + x)}}}}
        inputs: {w: 0.7, x: -0.3}
        derivatives:
          recurrence:
            dh/dw: {start: 0, next: "(1 - tanh(w*h + x)**2)*(h + w*dh/dw)"}
            dh/dx: {start: 0, next: "(1 - tanh(w*h + x)**2)*(1 + w*dh/dx)"}
        """,
            2,
        ),
        (
            """
        function:
          recurrence:
            steps: 3
            index: t
            states: {h: {start: h_0, next: "tanh(w*h + x[t])"}}
        inputs: {w: 0.7, x: [-0.3, 0.6, 1.1], h_0: 0.4}
        backward:
          recurrence:
            da: dh*(1 - h[t + 1]**2)
            dw: {start: 0, next: "dw + da*h[t]"}
            dh: {start: dh, next: w*da}
          dh_0: dh
        """,
            5,
        ),
        (
            """
        function: sum(x**3)
        inputs: {x: [1.5, -0.5], v: [0.7, 2.0]}
        derivatives: {d2out/dx2: diag(6*x), "d2out/dx2 @ v": 6*x*v}
        """,
            2,
        ),
        (
            """
        function: x**2*exp(x)
        dtypes: complex128
        inputs: {x: {shape: [2], sample: normal}}
        derivatives: {x: (2*x + x**2)*exp(x)}
        """,
            1,
        ),
        (
            """
        function: {y: sin(x), z: y**2}
        inputs: {x: 0.7}
        derivatives: {dz/dy: 2*y, dy/dx: [cos(x), sin(x + pi/2)], dz/dx: [dz/dy * dy/dx, sin(2*x)]}
        """,
            5,
        ),
    ],
    ids=["jvp", "recurrence", "backward of one", "second", "complex", "alternatives"],
)
def test_all_that_is_written_is_looked_at(fates, case, count):
    found = fates(case)
    assert not by_text(found, "survived")
    wholes = [one for one in found if one.mistake == "twice as much"]
    assert len(wholes) == count
    assert {one.fate for one in wholes} == {"noticed"}


def test_what_complex_values_let_through_cannot_be_told(fates):
    """Ball arithmetic is real here."""
    survivors = by_text(
        fates("""
            function: x**2*c
            dtypes: complex128
            inputs: {x: {sample: normal}}
            constants: {c: 1}
            derivatives: {x: 2*x*c}
        """),
        "survived",
    )
    assert survivors["2*x"].reason.startswith("within the resolution of ")
    assert not survivors["2*x"].inputs


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (
            "{function: x**2, inputs: {x: 3.0}, derivatives: {x: 3*x}}",
            "dout/dx is wrong at point 1",
        ),
        (
            "{function: x**2, inputs: {x: 3.0}, derivatives: {x: 2*x}, expect: {x: 5}}",
            "dout/dx is wrong at point 1",
        ),
        (
            "{function: x**2, inputs: {x: 3.0}, derivatives: {x: 2*x}, expect: {out: 8}}",
            "out is wrong at point 1",
        ),
        (
            "{function: x**2, inputs: {x: 3.0}, derivatives: {x: 2*x}, "
            "autograd: {backward_passes: 2}, expect: {x.grad: 6}}",
            "x.grad is wrong at point 1",
        ),
        (
            "{function: x**2*w, inputs: {x: 3.0, w: 2.0}, derivatives: {x: 2*x*w}, expect: {w: 8}}",
            "dout/dw is wrong at point 1",
        ),
        (
            "{function: log(x), points: [{inputs: {x: 2.0}}, {inputs: {x: -2.0}}], "
            "derivatives: {x: 1/x}}",
            "dout/dx is inconclusive at point 2",
        ),
        (
            "{function: slogdet(x), inputs: {x: [[1, 2], [0.5, 3]]}, derivatives: {x: inv(x).T}}",
            "in error at point 1: `out` has several results: choose one, as in out[0]",
        ),
        (
            "{function: sum(x**3), inputs: {x: [1, 2], v: [1, 2, 3]}, "
            "derivatives: {'d2out/dx2 @ v': 6*x*v}}",
            "in error at point 1: `v` has shape [3], but it is multiplied by derivatives by `x`, "
            "which has shape [2]",
        ),
        (
            "{function: x @ w, inputs: {x: [1, 2], w: [1, 2, 3]}, derivatives: {x: w}}",
            "in error at point 1: ",
        ),
    ],
)
def test_nothing_is_learnt_of_a_case_that_does_not_pass(fates, case, reason):
    with pytest.raises(NotPassingError) as error:
        fates(f"cases: {{c: {case}}}")
    assert str(error.value).startswith(reason)


def test_cases_that_are_not_to_pass_are_not_looked_at(write):
    file = load(
        write("""
            cases:
              good: {function: x**2, inputs: {x: 3.0}, derivatives: {x: 2*x}}
              skipped: {function: x**2, inputs: {x: 3.0}, derivatives: {x: 3*x}, skip: later}
              failing:
                function: x**2
                inputs: {x: 3.0}
                derivatives: {x: 3*x}
                xfail: {reason: by hand, blame: handwritten}
        """)
    )
    assert list(by_entry(file.cases)) == ["good"]


def test_the_same_is_said_always(fates):
    first, again = (
        [(one.wrong, one.fate, one.reason, dict(one.inputs)) for one in fates(WEAK)]
        for _ in range(2)
    )
    assert first == again
