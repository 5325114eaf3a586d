"""Formulas as MathML: read back, they mean what was written."""

import math
import random
from xml.etree import ElementTree

import pytest

from gradcheck.language.parser import parse
from gradcheck.report.html.formulas import Formulas
from gradcheck.report.html.mathml import Typesetter
from gradcheck.results import Written

FUNCTIONS = ("sin", "exp", "tanh", "sign")


def shown(node):
    """MathML as one reads it: `{a/b}` is a fraction, `^{…}` and `_{…}` stand above and below."""
    parts = [shown(child) + (child.tail or "") for child in node]
    match node.tag:
        case "mfrac":
            return f"{{{parts[0]}/{parts[1]}}}"
        case "msup":
            return f"{parts[0]}^{{{parts[1]}}}"
        case "msub":
            return f"{parts[0]}_{{{parts[1]}}}"
        case "mover":
            return f"{parts[0]}{parts[1]}"
        case "msqrt":
            return f"√{{{''.join(parts)}}}"
        case "mtr":
            return f"{', '.join(parts)}; "
        case "mspace":
            return " "
    return (node.text or "") + "".join(parts)


def read(markup):
    return shown(ElementTree.fromstring(f"<math>{markup}</math>")).replace("\u2061", "")


def typeset(text, **options):
    return read(Typesetter().formula(parse(text, **options).tree))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2*x*cos(x**2)", "2\u2062x⋅cos(x^{2})"),
        ("2*3*x", "2⋅3⋅x"),
        ("(y_pred - y)/(y_pred*(1 - y_pred))", "{y_{pred}−y/y_{pred}⋅(1−y_{pred})}"),
        ("-a*b + c", "−a⋅b+c"),
        ("a*-b", "a⋅(−b)"),
        ("a - (b - c)", "a−(b−c)"),
        ("(a - b) - c", "a−b−c"),
        ("-(a + b)", "−(a+b)"),
        ("-x**2", "−x^{2}"),
        ("(-x)**2", "(−x)^{2}"),
        ("(a/b)**2", "({a/b})^{2}"),
        ("sin(x)**2", "sin^{2}(x)"),
        ("sin(x)**y", "(sin(x))^{y}"),
        ("sqrt(x)/rsqrt(y)", "{√{x}/{1/√{y}}}"),
        ("abs(x - 1)", "|x−1|"),
        ("2*x.T @ (y - z)", "2\u2062x^{⊤} (y−z)"),
        ("A @ (B @ C)", "A (B C)"),
        ("sum((y - y_hat)**2)/n", "{∑(y−y^)^{2}/n}"),
        ("sum(a)*b", "(∑a)⋅b"),
        ("2*sum(a*b)", "2\u2062∑a⋅b"),
        ("2*sum(a)*b", "(2\u2062∑a)⋅b"),
        ("sum(a + b, 0)", "∑_{0}(a+b)"),
        ("softmax(x, 1)", "softmax_{1}(x)"),
        ("clamp(x, 1e-8, 0.5)", "clamp(x,min=10^{−8},max=0.5)"),
        ("2.5e-7*x", "2.5×10^{−7}\u2062x"),
        ("where(x > 0, x, alpha*x)", "{x, if\u00a0x>0; α⋅x, otherwise; "),
        ("(x >= 0) & (x < 1)", "x≥0∧x<1"),
        ("h[t + 1]*w_h", "h_{t+1}⋅w_{h}"),
        ("W[0, :]", "W_{0,:}"),
        ("y_pred[2:]", "y_{pred}[2:]"),
        ("[[1, 2], [3, x]]", "[1, 2; 3, x; ]"),
        ("theta_1*Sigma*pi", "θ_{1}⋅Σ⋅π"),
        ("x1 + lambda_", "x_{1}+λ"),
        ("inv(A) + norm(x)", "A^{−1}+‖x‖"),
        ("reciprocal(x)*square(y)", "{1/x}⋅y^{2}"),
        ("x // y + x % y", "⌊{x/y}⌋+xmody"),
        ("einsum('ij,j->i', A, x)", "einsum(A,x,equation=“ij,j->i”)"),
    ],
)
def test_a_formula_is_typeset_with_as_few_parentheses_as_it_needs(text, expected):
    assert typeset(text) == expected


def test_every_link_is_a_fraction():
    links = {"dz/dy": "dz/dy", "dy/dx": "dy/dx"}
    assert typeset("dz/dy * dy/dx", links=links) == "{∂z/∂y}⋅{∂y/∂x}"
    assert typeset("dz/dy**2", links=links) == "({∂z/∂y})^{2}"


def formula(random, depth):
    """A formula of numbers, written with all its parentheses."""
    if depth == 0 or random.random() < 0.15:
        return random.choice(["x", "y", "w_h", "3", "0.5", "7"])
    if random.random() < 0.25:
        word = random.choice([*FUNCTIONS, "abs", "square", "neg"])
        inside = formula(random, depth - 1)
        return f"(-({inside}))" if word == "neg" else f"{word}({inside})"
    sign = random.choice(["+", "-", "*", "/", "**"])
    right = "2" if sign == "**" else formula(random, depth - 1)
    return f"({formula(random, depth - 1)}) {sign} ({right})"


def python(node):
    """What a reader takes the MathML for, as Python has it."""
    parts = [python(child) for child in node]
    match node.tag:
        case "mfrac":
            return f"(({parts[0]})/({parts[1]}))"
        case "msup" if node[0].text in FUNCTIONS:
            return f"power({parts[1]}, {parts[0]})"
        case "msup":
            assert node[0].tag != "mfrac", "it could be the square of what is below the line"
            return f"{parts[0]}**({parts[1]})"
        case "msub":
            return f"{parts[0]}_{parts[1]}"
        case "mrow" if len(parts) == 3 and (node[0].text, node[2].text) == ("|", "|"):
            return f"abs({parts[1]})"
    signs = {"\u2062": "*", "⋅": "*", "−": "-", "\u2061": ""}
    return signs.get(node.text, node.text or "") + "".join(parts)


def power(exponent, function):
    return lambda x: function(x) ** exponent


MEANING = {
    "sin": math.sin,
    "exp": math.exp,
    "tanh": math.tanh,
    "sign": lambda x: (x > 0) - (x < 0),
    "abs": abs,
    "square": lambda x: x * x,
    "power": power,
}


def value(text, names):
    try:
        found = eval(text, {"__builtins__": {}}, names)
    except (OverflowError, ZeroDivisionError):
        return None
    return found if abs(found) < 1e30 else None


def test_what_is_typeset_is_read_as_what_was_written():
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, seen = random.Random(seed), 0
    for _ in range(1500):
        text = formula(rng, 4)
        markup = Typesetter().formula(parse(text).tree)
        back = python(ElementTree.fromstring(f"<math>{markup}</math>"))
        names = MEANING | {name: rng.uniform(-2, 2) for name in ("x", "y", "w_h")}
        expected = value(text, names)
        if expected is not None:
            seen += 1
            assert value(back, names) == pytest.approx(expected, rel=1e-6, abs=1e-9), (text, back)
    assert seen > 500


DERIVATION = (
    Written("definition", "d", "y - y_hat"),
    Written("definition", "mse(y, y_hat)", "d**2"),
    Written("step", "T", "2*x"),
    Written("step", "h", "start: h_0, next: w*h"),
    Written("repeat", "t", "n + 1"),
    Written("derivative", "dT/dx", "2"),
    Written("derivative", "dh[t]/dw", "start: 0, next: h + w*dh/dw"),
    Written("backward", "dW", "outer(dT, x)"),
    Written("python", "function", "kernels:scale"),
)


@pytest.fixture
def formulas():
    return Formulas(DERIVATION)


@pytest.mark.parametrize(
    ("line", "expected"),
    list(
        zip(
            DERIVATION,
            [
                "d=y−y^",
                "mse(y,y^)=d^{2}",
                "T=2\u2062x",
                "h←h_{0}\u00a0first, then\u00a0w⋅h",
                "repeated n+1 times, at step t",
                "{∂T/∂x}=2",
                "{∂h_{t}/∂w}←0\u00a0first, then\u00a0h+w⋅{∂h/∂w}",
                "dW=outer(dT,x)",
                "function = kernels:scale",
            ],
            strict=True,
        )
    ),
)
def test_a_line_of_a_derivation_is_an_equation(formulas, line, expected):
    assert read(formulas.equation(line)) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("dz/dx", "{∂z/∂x}"),
        ("dz/dx | w_h, y", "{∂z/∂x}|_{w_{h},y}"),
        ("dh[t]/dw", "{∂h_{t}/∂w}"),
        ("dW", "dW"),
        ("dh[t]", "dh_{t}"),
        ("dT (jvp)", "dT"),
        ("d2f/dx dy", "{∂^{2}f/∂x∂y}"),
        ("d2f/dx dx @ v", "{∂^{2}f/∂x∂x} v"),
        ("loss", "loss"),
        ("x.grad", ""),
        ("dout[0]/dx", ""),
        ("condition direct_backward", ""),
    ],
)
def test_what_a_claim_is_about_is_typeset_where_it_is_a_derivative(formulas, quantity, expected):
    assert read(formulas.quantity(quantity)) == expected


@pytest.mark.parametrize("text", ["f(x", "unknown(x)", "<script>alert(1)</script>", ""])
def test_what_cannot_be_read_is_code(formulas, text):
    shown = formulas.equation(Written("step", "z", text))
    assert ElementTree.fromstring(shown).tag == "code"
    assert "<script>" not in shown
    assert formulas.equation_of("dz/dx", text) == ""


def test_a_value_called_as_an_attribute_is_a_value(formulas):
    assert read(formulas.formula("T*x.T")) == "T⋅x^{⊤}"
