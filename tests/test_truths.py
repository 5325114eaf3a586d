"""The truths of all claims at a place: numbers by numbers together, each found once."""

import pytest

from gradcheck.casefile.load import load
from gradcheck.oracles import numeric
from gradcheck.place import Place
from gradcheck.truths import Truths

CHAIN = """
    function: {y: x**2, z: sin(y), w: z*c}
    constants: {c: 3}
    inputs: {x: 0.7}
    derivatives: {dz/dy: cos(y), dy/dx: 2*x, dw/dz: c, dw/dx: dw/dz * dz/dy * dy/dx}
"""


@pytest.fixture
def place(write):
    def place(text, dtype="float64"):
        (case,) = load(write(text)).cases
        return Place.at(case, case.points[0], dtype, "cpu")

    return place


def test_derivatives_of_numbers_are_found_together_and_once(place, monkeypatch):
    at, calls = place(CHAIN), []
    real = numeric.slopes

    def counted(curves, **settings):
        calls.append(len(curves))
        return real(curves, **settings)

    monkeypatch.setattr(numeric, "slopes", counted)
    truths = Truths(at)
    found = {c.quantity: float(truths.ask(c, "quick").midpoint) for c in at.case.claims}
    assert calls == [4]
    assert found["dy/dx"] == pytest.approx(1.4, rel=1e-9)
    truths.ask(at.case.claims[0], "full")
    truths.ask(at.case.claims[0], "full")
    assert calls == [4, 1]


def test_together_or_alone_they_are_the_same_to_within_their_radii(place):
    at = place(CHAIN)
    together = Truths(at)
    for claim in at.case.claims:
        one, other = together.ask(claim, "quick"), Truths(at).ask(claim, "full")
        assert one.distance(other) <= one.radius + other.radius


def test_one_that_raises_leaves_the_others(place, monkeypatch):
    at, real = place(CHAIN), numeric.slopes

    def one_raises(curves, **settings):
        if any(curve.point == pytest.approx(0.49) for curve in curves):  # dz/dy is at y
            raise ArithmeticError("no value")
        return real(curves, **settings)

    monkeypatch.setattr(numeric, "slopes", one_raises)
    truths = Truths(at)
    for claim in at.case.claims:
        if claim.input == "y":
            with pytest.raises(ArithmeticError):
                truths.ask(claim, "quick")
        else:
            assert truths.ask(claim, "quick").radius < 1e-9


def test_detach_is_a_constant_around_the_point(place):
    at = place("""
        function: {y: detach(x)*x**2, z: sum(y)}
        inputs: {x: 0.5}
        derivatives: {dy/dx: detach(x)*2*x, x: detach(x)*2*x}
    """)
    for claim in at.case.claims:  # dy/dx is pointwise, dz/dx is not: sum is no such word
        assert float(Truths(at).ask(claim, "quick").midpoint) == pytest.approx(0.5, rel=1e-9)


def test_a_curve_that_is_constant_has_slope_0(place):
    at = place("function: detach(x)*2\ninputs: {x: 0.5}\nderivatives: {x: 0}")
    ball = Truths(at).ask(at.case.claims[0], "quick")
    assert (float(ball.midpoint), ball.notes) == (0, ())


# A term of 4e-6·x that rounding swallows: the formula is wrong, and evaluates to what is right.
HIDDEN = "function: x**2\ninputs: {{x: {}}}\nderivatives: {{x: 2*x + (4e-6*x + 1e11 - 1e11)}}"


@pytest.mark.parametrize("x", [0.5, 0.7, 1.3, 1.7])
def test_a_wrong_formula_that_rounding_hides_does_not_pass(check_one, x):
    result = check_one(HIDDEN.format(x))
    assert (result.verdict, result.blame) == ("fail", "handwritten"), result


@pytest.mark.usefixtures("without_exact")
@pytest.mark.parametrize("x", [0.5, 0.7, 1.3, 1.7])
def test_nor_does_it_where_nothing_is_proven(check_one, x):
    result = check_one(HIDDEN.format(x))
    assert result.verdict == "inconclusive", result


@pytest.mark.parametrize(
    "text",
    [
        # a mask counts as 1 where it is true
        "function: x > 1\ninputs: {x: 0.5}\nderivatives: {x: 0}",
        "function: relu(x)\ninputs: {x: 0.5}\nderivatives: {x: x > 0}",
        "function: {y: x**2, ok: y > 1}\ninputs: {x: 2}\nderivatives: {dok/dy: 0}",
        # a setting is one number, also where the formula takes it from a value
        "function: x**2\ninputs: {x: 0.5}\nderivatives: {x: 'full_like(x, 2*x)'}",
        "function: elu(x, alpha=detach(a))\ninputs: {x: -1, a: 2}\n"
        "derivatives: {x: a*exp(x), a: 0}",
        "function: softplus(x, beta=c)\nconstants: {c: 2}\ninputs: {x: 0.5}\n"
        "derivatives: {x: sigmoid(2*x)}",
        # plain numbers on the way
        "function: x + 7 // 2 + 2**3 % 3\ninputs: {x: 0.5}\nderivatives: {x: 1}",
        "function: where(x > 0.2, x**2, x)\ninputs: {x: 0.5}\n"
        "derivatives: {x: 'where(x > 0.2, 2*x, 1)'}",
        "function: 'clamp(x, 0, c)'\nconstants: {c: 2}\ninputs: {x: 0.5}\nderivatives: {x: 1}",
        "function: x*pi + e\ninputs: {x: 0.5}\nderivatives: {x: pi}",
        "function: x**2\ninputs: {x: 0.0}\nderivatives: {x: 2*x}",
        # numbers by numbers beside tensors by numbers
        "function: {y: 'x*c', z: sum(y), w: z**2}\nconstants: {c: [1, 2]}\ninputs: {x: 0.5}\n"
        "derivatives: {dy/dx: c, dw/dz: 2*z, dz/dx: 3, dw/dx: 18*x}",
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_side_by_side_mean_what_they_mean_alone(check, text, dtype):
    results = check(f"{text}\ndtypes: {dtype}")
    assert {(r.verdict, r.blame) for r in results} == {("pass", "")}, results


def test_a_wrong_derivative_of_a_mask_fails(check):
    results = check("""
        function: {y: x**2, ok: y > 1}
        inputs: {x: 2}
        derivatives: {dok/dy: 1, dy/dx: 2*x}
    """)
    assert {r.quantity: (r.verdict, r.blame) for r in results} == {
        "dok/dy": ("fail", "handwritten"),
        "dy/dx": ("pass", ""),
    }


def test_a_formula_of_several_results_is_refused_in_words(check):
    results = check("""
        function: {s: slogdet(A), y: 2*x}
        constants: {A: [[2, 0], [0, 3]]}
        inputs: {x: 2}
        derivatives: {dy/dx: s}
    """)
    assert results[0].verdict == "fail"
    assert results[0].notes[0].startswith("the formula has 2 results, but")
