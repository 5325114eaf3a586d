"""The wrong versions of a formula: which there are, how many, and that what is shown is judged."""

from itertools import accumulate
from operator import eq

import pytest
from bare_trees import bare

from gradcheck.language.expression import Definition
from gradcheck.language.parser import parse
from gradcheck.mutation.mutants import LEAST, MOST, mutants

SHAPES = {
    "x": (),
    "y": (),
    "n": (),
    "u": (3,),
    "v": (3,),
    "A": (2, 3),
    "B": (3, 2),
    "W": (3, 3),
    "h": (4, 3),
    "t": None,
}


def made(formula, shapes=SHAPES, resolution=1e-6):
    """The wrong versions by their text, each with the mistake."""
    known = {name: shape for name, shape in shapes.items() if name in formula}
    found = mutants(parse(formula), known, resolution)
    return {one.expression.text: one.what for one in found}


@pytest.mark.parametrize(
    ("formula", "wrong", "what"),
    [
        ("x*y", "-(x*y)", "the sign is changed"),
        ("x*y", "2 * (x*y)", "twice as much"),
        ("x*y", "(x*y) / 2", "half as much"),
        ("x*y", "1.00001 * (x*y)", "off by 1e-05"),
        ("x*y", "1", "the identity"),
        ("x*y", "0", "zero"),
        ("x + y", "x", "the term `y` is dropped"),
        ("x + y", "y", "the term `x` is dropped"),
        ("x - y", "-y", "the term `x` is dropped"),
        ("x - y*n", "-(y*n)", "the term `x` is dropped"),
        ("x + y", "(2 * x) + y", "the term `x` counts twice"),
        ("x - y", "x - (2 * y)", "the term `y` counts twice"),
        ("x + y", "x - y", "- for +"),
        ("x - y", "x + y", "+ for -"),
        ("x - y", "y - x", "the terms are swapped"),
        ("sin(x)*y", "sin(x)", "the factor `y` is dropped"),
        ("sin(x)*y", "y", "the factor `sin(x)` is dropped"),
        ("x*y", "x*(y * y)", "the factor `y` is there twice"),
        ("x*y", "x / y", "/ for *"),
        ("x/y", "x * y", "* for /"),
        ("x/y", "x", "the divisor `y` is dropped"),
        ("x/y", "x/(y * y)", "the divisor `y` is there twice"),
        ("x/y", "y / x", "the quotient is turned over"),
        ("A @ B", "B @ A", "the operands of @ are swapped"),
        ("matmul(A, B)", "matmul(B, A)", "the operands of matmul are swapped"),
        ("outer(u, v)", "outer(v, u)", "the operands of outer are swapped"),
        ("A @ B", "A.mT @ B", "`A` is transposed"),
        ("A @ B", "A @ B.mT", "`B` is transposed"),
        ("W @ v", "W.mT @ v", "`W` is transposed"),
        ("sin(W)", "sin(W.mT)", "`W` is transposed"),
        ("exp(-x)*y", "exp(x)*y", "the sign of `x` is dropped"),
        ("x - -y*n", "x - y*n", "the sign of `y` is dropped"),
        ("x*dot(u, v)", "x*sum(v)", "the factor `u` is dropped"),
        ("x*dot(u, v)", "x*sum(u)", "the factor `v` is dropped"),
        ("einsum('ni,nj->ij', A, h)", "einsum('ni,nj->ji', A, h)", "`ji` for `ij` in einsum"),
        ("einsum('ni,nj->ij', A, h)", "einsum('in,nj->ij', A, h)", "`in` for `ni` in einsum"),
        ("A.T @ A", "A @ A", "`A` is not transposed"),
        ("A.mT @ A", "A @ A", "`A` is not transposed"),
        ("sum(u*v)", "mean(u*v)", "mean for sum"),
        ("torch.mean(A, 0)", "torch.sum(A, 0)", "sum for mean"),
        ("sum(A, 0)", "sum(A, 1)", "axis 1 for 0"),
        ("mean(A, dim=1)", "mean(A, dim=0)", "axis 0 for 1"),
        ("sin(x)*y", "sin(y)*y", "`y` for `x`"),
        ("u @ W @ v", "v @ W @ v", "`v` for `u`"),
        ("x**2", "x**3", "3 for 2"),
        ("x**2", "x**1", "1 for 2"),
        ("x**n", "x**(n + 1)", "exponent `n + 1`"),
        ("x**n", "x**(n - 1)", "exponent `n - 1`"),
        ("x**-n", "x**((-n) - 1)", "exponent `(-n) - 1`"),
        ("3*x", "4*x", "4 for 3"),
        ("3*x", "2*x", "2 for 3"),
        ("x + 0", "x + (-1)", "-1 for 0"),
        ("0.5*x", "1.5*x", "1.5 for 0.5"),
        ("0.5*x", "(-0.5)*x", "-0.5 for 0.5"),
        ("where(x > 0, y, n)", "y", "always the branch `y`"),
        ("where(x > 0, y, n)", "n", "always the branch `n`"),
        ("where(x > 0, y, n)", "where(x > 0, 0, n)", "0 in the branch `y`"),
        ("where(x > 0, y, n)", "where(x > 0, y, 0)", "0 in the branch `n`"),
        ("u[1]*x", "u[2]*x", "`u[2]` for `u[1]`"),
        ("u[1]*x", "u[0]*x", "`u[0]` for `u[1]`"),
        ("h[t]", "h[t + 1]", "`h[t + 1]` for `h[t]`"),
        ("h[t]", "h[t - 1]", "`h[t - 1]` for `h[t]`"),
        ("h[t + 1]*x", "h[(t + 1) - 1]*x", "`h[(t + 1) - 1]` for `h[t + 1]`"),
        ("h[t, 0]", "h[t, 1]", "`h[t, 1]` for `h[t, 0]`"),
    ],
)
def test_every_mistake_is_made_where_it_can_be(formula, wrong, what):
    assert made(formula)[wrong] == what


@pytest.mark.parametrize(
    ("formula", "wrong"),
    [
        ("x*(y + n)", "x*(y - n)"),
        ("x*(y + n)", "x / (y + n)"),
        ("x - (y + n)", "x - (y - n)"),
        ("(x + y)*n", "((x + y) * (x + y))*n"),
        ("(x + y)*n", "-((x + y)*n)"),
        ("-x + y", "y"),
        ("x - -y", "(-y) - x"),
        ("x/y*n", "(x * y)*n"),
        ("2**x*y", "2**(x + 1)*y"),
        ("-x**2", "-x**3"),
        ("(A + A).T @ W", "(A + A) @ W"),
        ("sum((x + y)*n, 0)", "sum((x + y) / n, 0)"),
        ("[x + y, n][0]", "[x - y, n][0]"),
        ("where(x + y > n, 1, 0)", "where((x - y) > n, 1, 0)"),
        ("u[:x + 1]", "u[:(x - 1)]"),
    ],
)
def test_a_part_is_in_parentheses_where_it_needs_them(formula, wrong):
    found = mutants(parse(formula), SHAPES, 1e-6)
    assert wrong in [one.expression.text for one in found]
    for one in found:
        assert bare(parse(one.expression.text).tree) == bare(one.expression.tree)


def test_a_definition_is_a_word_whose_arguments_are_swapped():
    body = parse("y - 2*y_hat", scope=("y", "y_hat"))
    difference = Definition("difference", ("y", "y_hat"), (("out", body),))
    formula = parse("n*difference(2*x, y)", definitions={"difference": difference})
    found = {one.expression.text: one.what for one in mutants(formula, SHAPES, 1e-6)}
    assert found["n*difference(y, 2*x)"] == "`2*x` and `y` are swapped in difference"
    assert found["n*difference(3*x, y)"] == "3 for 2"
    assert "difference(2*x, y)" in found
    for one in mutants(formula, SHAPES, 1e-6):
        again = parse(one.expression.text, definitions={"difference": difference})
        assert bare(again.tree) == bare(one.expression.tree)


def test_the_mistake_that_is_just_to_be_noticed_is_ten_times_the_resolution():
    assert made("x*y", resolution=1e-3)["1.01 * (x*y)"] == "off by 1e-02"
    assert "1.0000000000000001 * (x*y)" in made("x*y", resolution=1e-17)


@pytest.mark.parametrize("formula", ["x", "1", "sin(x)", "-x", "u", "x*y", "t", "eye(3)"])
def test_a_short_formula_has_ten(formula):
    assert len(made(formula, {"x": (), "y": (), "u": (3,), "v": (3,), **dict.fromkeys("t")})) >= 10


def test_what_is_zero_is_not_scaled():
    assert list(made("0")) == ["1", "-1", "2"]
    found = [one.expression.text for one in mutants(parse("0"), {"x": ()}, 1e-6)]
    assert found == ["1", "-1", "0 + x", "2", "x"]


LONG = " + ".join(
    ["x*y", "y/n", "A @ B", "sum(u)", "mean(v)", "x**n", "A.T", "u[1]", "where(x > 0, y, n)"] * 3
)


def test_a_long_formula_has_forty_that_are_of_every_kind():
    found = mutants(parse(LONG), SHAPES, 1e-6)
    assert len(found) == MOST
    kinds = {one.kind for one in mutants_of_all(LONG)}
    assert kinds == {one.kind for one in found}
    assert len(kinds) > 20


def mutants_of_all(formula):
    """Those that there would be without a limit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradcheck.mutation.mutants.MOST", 10_000)
        return mutants(parse(formula), SHAPES, 1e-6)


def test_those_of_a_long_formula_are_spread_over_it():
    plain = LONG.replace(" ", "")
    inside = [text.replace(" ", "") for text in made(LONG) if text.startswith("x")]
    places = [sum(map(eq, accumulate(plain), accumulate(text))) for text in inside]
    assert min(places) < 10
    assert max(places) > len(plain) * 0.8


@pytest.mark.parametrize("formula", ["x + y", "x*(y - n)/2", "sum(A @ B, 0)", LONG])
def test_no_two_are_written_alike_and_none_as_the_formula(formula):
    found = ["".join(one.expression.text.split()) for one in mutants(parse(formula), SHAPES, 1e-6)]
    assert len(found) == len(set(found))
    assert "".join(formula.split()) not in found
    assert LEAST <= len(found) <= MOST


def test_settings_are_not_changed_but_for_axes():
    """Neither the sizes of what is made, nor whether dimensions are kept."""
    found = made("sum(A*ones(2, 3), 1, keepdim=True)")
    assert not [text for text in found if "ones(3, 3)" in text or "False" in text]
    assert "sum(A*ones(2, 3), 0, keepdim=True)" in found


def test_a_name_gives_way_to_the_nearest_of_its_shape():
    found = made("u", {"A": (2, 3), "u": (3,), "a": (3,), "b": (3,), "c": (3,)} | {"x": ()})
    assert [text for text in found if len(text) == 1 and text.isalpha()] == []
    shapes = {"u": (3,), "a": (3,), "b": (3,), "c": (3,), "x": ()}
    found = [one.expression.text for one in mutants(parse("sin(u)"), shapes, 1e-6)]
    assert [text for text in found if text.startswith("sin(") and text.endswith(")")] == [
        "sin(a)",
        "sin(b)",
    ]
