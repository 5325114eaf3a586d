"""The exact oracle against mpmath, at points where every other oracle loses its digits."""

import mpmath
import numpy as np
import pytest
from flint import arb

from gradcheck.casefile.load import load
from gradcheck.functions import Segment, Step
from gradcheck.language.parser import parse
from gradcheck.oracles import exact
from gradcheck.oracles.exact import DeclinedError
from gradcheck.place import Place
from gradcheck.rigorous.elements import Elements
from gradcheck.rigorous.numbers import precision
from gradcheck.truths import Truths


def at(text, x):
    value = arb(x) if isinstance(x, float) else np.array([arb(v) for v in x], dtype=object)
    return Segment((Step("out", parse(text)),), "x", "out", {"x": value})


def contains(enclosure, digits):
    (entry,) = enclosure.entries.flat
    return entry.overlaps(arb(digits) + arb(0, 1) * abs(arb(digits)) * arb("1e-40"))


@pytest.mark.parametrize(
    ("text", "x", "function"),
    [
        ("(1 - cos(x))/x**2", 1e-4, lambda x: (1 - mpmath.cos(x)) / x**2),
        ("(1 - cos(x))/x**2", 1e-30, lambda x: (1 - mpmath.cos(x)) / x**2),
        ("1 - tanh(x)**2", 20.0, lambda x: 1 - mpmath.tanh(x) ** 2),
        ("tanh(x)", 400.0, mpmath.tanh),
        ("gelu(x)", -30.0, lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
        ("log(sigmoid(x))", -700.0, lambda x: -mpmath.log1p(mpmath.exp(-x))),
        ("sin(x)", 1e15, mpmath.sin),
        ("x**x", 0.001, lambda x: x**x),
        ("digamma(x)", 1.4616321449683622, mpmath.digamma),
        ("exp(-x**2)", 27.0, lambda x: mpmath.exp(-(x**2))),
        ("1e12 + x**2", 1.0, lambda x: x**2),
    ],
)
def test_the_derivative_is_known_to_40_digits(text, x, function):
    with mpmath.workdps(1200 if x == 400.0 else 400):
        derivative = mpmath.diff(function, mpmath.mpf(x), h=mpmath.mpf(x) * mpmath.mpf(10) ** -120)
        digits = mpmath.nstr(derivative, 45)
    assert contains(exact.jacobian(at(text, x), lambda: 1.0), digits)


def test_precision_rises_until_the_derivative_is_sharp():
    easy = exact.jacobian(at("x**2", 0.3), lambda: 1.0)
    hard = exact.jacobian(at("(1 - cos(x))/x**2", 1e-30), lambda: 1.0)
    assert (easy.bits, hard.bits > easy.bits) == (128, True)
    for enclosure in (easy, hard):
        (entry,) = enclosure.entries.flat
        assert entry.rel_accuracy_bits() >= exact.SHARP


def test_a_derivative_that_is_zero_is_known_beside_its_scale():
    found = exact.jacobian(at("sin(x)**2 + cos(x)**2", 0.7), lambda: 1.0)
    assert float(found.ball().radius) < 1e-280
    assert float(found.ball().midpoint) == pytest.approx(0, abs=1e-280)


def test_a_small_entry_beside_a_large_one_is_sharp_too():
    found = exact.jacobian(at("x[0]*1e20 + (1 - cos(x[1]*1e-10))", [2.0, 3.0]), lambda: 1.0)
    big, small = found.entries.flat
    assert float(big.mid()) == 1e20
    with mpmath.workdps(60):
        exactly = mpmath.sin(3 * mpmath.mpf("1e-10")) * mpmath.mpf("1e-10")
    assert float(small.mid()) == pytest.approx(float(exactly), rel=1e-15)
    assert small.rel_accuracy_bits() >= exact.SHARP


def test_a_jacobian_has_the_output_s_and_the_input_s_shape():
    x = np.array([[arb(1), arb(2)], [arb(3), arb(5)]], dtype=object)
    segment = Segment((Step("out", parse("sum(x**2, 0)")),), "x", "out", {"x": x})
    found = exact.jacobian(segment, lambda: 1.0).ball()
    wanted = np.zeros((2, 2, 2))
    wanted[0, :, 0], wanted[1, :, 1] = (2, 6), (4, 10)
    np.testing.assert_array_equal(found.midpoint, wanted)
    assert (found.radius == 0).all()


@pytest.mark.parametrize(
    ("text", "x", "reason"),
    [
        ("relu(x)", 0.0, "it is not certain which of two numbers is larger here, in `relu(x)`"),
        ("log(x)", 0.0, "it has no finite value there"),
        ("sqrt(x)", 0.0, "it has no finite value there"),
        ("1/(x - x)", 2.0, "it has no finite value there"),
        ("asin(x)", 1.0, "it has no finite value there"),
    ],
)
def test_it_declines_and_says_why(text, x, reason):
    with pytest.raises(DeclinedError) as error:
        exact.jacobian(at(text, x), lambda: 1.0)
    assert str(error.value) == reason


def test_the_float64_ball_contains_the_exact_one():
    found = exact.jacobian(at("x/3", 1.0), lambda: 1.0)
    ball = found.ball()
    assert ball.basis == "proven"
    with precision(128):
        assert abs(arb(1) / 3 - arb(float(ball.midpoint))) <= arb(float(ball.radius))
    assert float(ball.radius) < 2**-53


@pytest.fixture
def truths(write):
    def truths(text, dtype="float64"):
        (case,) = load(write(text)).cases
        place = Place.at(case, case.points[0], dtype, "cpu")
        return Truths(place), case.claims

    return truths


def test_a_recurrence_is_known_at_every_step(truths):
    asked, (claim,) = truths("""
        function:
          recurrence: {steps: 5, states: {h: {start: 0.5, next: sin(w*h)}}}
        inputs: {w: 1.3}
        derivatives:
          recurrence: {dh/dw: {start: 0, next: cos(w*h)*(h + w*dh/dw)}}
    """)
    found = asked.exact(claim)
    with mpmath.workdps(60):

        def state(w, steps):
            h = mpmath.mpf("0.5")
            for _ in range(steps):
                h = mpmath.sin(w * h)
            return h

        for step, entry in enumerate(found.entries.flat, 1):
            wanted = mpmath.diff(lambda w, n=step: state(w, n), mpmath.mpf(1.3))
            assert float(entry.mid()) == pytest.approx(float(wanted), rel=1e-15)
    assert not asked.exact(claim).proof(asked.exact_formula(claim, claim.formulas[0])).wrong.any()


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_values_are_what_the_dtype_holds_and_written_numbers_are_what_is_written(truths, dtype):
    asked, (claim,) = truths("function: 0.1*x**2\ninputs: {x: 0.3}\nderivatives: {x: 0.2*x}", dtype)
    x = float(asked.place.value("x"))
    (entry,) = asked.exact(claim).entries.flat
    with mpmath.workdps(50):
        wanted = mpmath.nstr(mpmath.mpf("0.2") * mpmath.mpf(x), 40)
    assert entry.overlaps(arb(wanted) + arb(0, 1e-38))
    assert entry.rad() < 1e-35


def test_a_formula_off_by_one_part_in_1e30_is_wrong(truths):
    off = "0." + "0" * 29 + "1"
    asked, (claim,) = truths(
        f"function: sin(x)\ninputs: {{x: 0.7}}\nderivatives: {{x: cos(x)*(1 + {off})}}"
    )
    proof = asked.exact(claim).proof(asked.exact_formula(claim, claim.formulas[0]))
    assert proof.wrong.all()
    assert float(proof.distance.max()) == pytest.approx(1e-30 * np.cos(0.7), rel=1e-6)


def test_what_was_found_or_declined_is_not_asked_for_again(truths, monkeypatch):
    calls: list[Elements] = []
    real = exact.jacobian

    def counted(*arguments):
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(exact, "jacobian", counted)
    for text in ("x**2", "relu(x)"):
        asked, (claim,) = truths(f"function: {text}\ninputs: {{x: 0.0}}\nderivatives: {{x: 0}}")
        for _ in range(2):
            if text == "x**2":
                asked.exact(claim)
            else:
                with pytest.raises(DeclinedError):
                    asked.exact(claim)
    assert len(calls) == 2


LAYER = """
    sizes: {{m: 24, n: 60}}
    inputs: {{W: {{shape: [m, n], sample: normal}}}}
    constants: {{x: {{shape: [n], sample: normal}}}}
    function: {{y: tanh(W @ x), loss: sum(y**2)}}
    derivatives: {{dloss/dW: "outer(2*y*(1 - y**2), x){}"}}
"""


def test_a_large_jacobian_is_looked_at_in_directions(check_one):
    result = check_one(LAYER.format(""))
    assert (result.verdict, result.truth) == ("pass", "exact")
    assert result.notes == ("looked at in 3 directions, not entry by entry",)
    assert result.resolution < 1e-30
    assert result.digits["autograd"] > 12


@pytest.mark.parametrize(
    "factor",
    [
        "*(1 + 1e-12*one_hot(7, n))",  # one column
        " + 1e-13*outer(one_hot(3, m), one_hot(7, n))",  # one entry
        "*(1 - 2*outer(one_hot(3, m), one_hot(7, n)))",  # the sign of one
    ],
)
def test_an_error_in_one_entry_of_a_large_jacobian_shows_in_every_direction(factor, check_one):
    result = check_one(LAYER.format(factor))
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    assert result.entries[0].label.startswith("dloss/dW in direction ")


def test_directions_have_no_entry_near_zero_and_are_the_same_in_every_run(truths):
    asked, (claim,) = truths(LAYER.format(""))
    first = asked.exact(claim, whole=False)
    assert first.directions.shape == (3, 24, 60)
    assert ((np.abs(first.directions) >= 0.5) & (np.abs(first.directions) <= 1.5)).all()
    again, (claim,) = truths(LAYER.format(""))
    np.testing.assert_array_equal(first.directions, again.exact(claim, whole=False).directions)
    with pytest.raises(DeclinedError, match="its 1,440 columns take too long together"):
        asked.exact(claim)


def test_a_value_of_too_many_entries_is_declined_where_it_is_read(truths):
    asked, (big, small) = truths("""
        constants: {W: {shape: [300000], sample: normal}, c: 2}
        inputs: {x: 0.5}
        function: {y: c*x**2, z: sum(W)*y}
        derivatives: {x: 0, dy/dx: 2*c*x}
    """)
    assert not asked.exact(small).proof(asked.exact_formula(small, small.formulas[0])).wrong.any()
    with pytest.raises(DeclinedError, match="300,000 entries are more than ball arithmetic takes"):
        asked.exact(big)


def test_a_derivative_beyond_float64_is_declined(truths):
    asked, (claim,) = truths("function: exp(x)\ninputs: {x: 710.0}\nderivatives: {x: out}")
    with pytest.raises(DeclinedError, match="larger than any float64"):
        asked.exact(claim)
