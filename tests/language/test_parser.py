"""Text → Expression: what is admitted, what is refused, and where a refusal points."""

import keyword
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from gradcheck.errors import ExpressionError
from gradcheck.language.characters import MAX_CHARACTERS
from gradcheck.language.expression import Definition
from gradcheck.language.parser import MAX_COST, MAX_DEPTH, parse
from gradcheck.language.tree import Call, Index, Items, Literal, Name, Number, Slice, Use, walk
from gradcheck.language.vocabulary import SYNONYMS, WORDS


def define(name, parameters, text, **known):
    return Definition(name, tuple(parameters), ((name, parse(text, definitions=known)),))


SQUARE = {"square_of": define("square_of", "a", "a*a"), "mse": define("mse", "yt", "(y - t)**2")}


def refusal(text, **settings):
    with pytest.raises(ExpressionError) as error:
        parse(text, **settings)
    return error.value.message, error.value.start, error.value.end


def shown(node):
    """The tree as nested text, every operation in parentheses."""
    match node:
        case Name():
            return node.name
        case Number() | Literal():
            return str(node.value)
        case Items():
            return f"[{' '.join(map(shown, node.items))}]"
        case Call():
            given = [*map(shown, node.arguments)]
            given += [f"{name}={shown(value)}" for name, value in node.keywords]
            return f"({' '.join([node.word.name, *given])})"
        case Use():
            return f"({' '.join([node.definition.name, *map(shown, node.arguments)])})"
        case Slice():
            return ":".join("" if bound is None else shown(bound) for bound in node.bounds)
        case Index():
            return f"(index {' '.join(map(shown, [node.value, *node.items]))})"


def tree(text, **settings):
    return shown(parse(text, **settings).tree)


# What is admitted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b*c", "(add a (mul b c))"),
        ("a - b - c", "(sub (sub a b) c)"),
        ("a / b / c", "(div (div a b) c)"),
        ("a // b % c", "(remainder (floor_divide a b) c)"),
        ("a @ b * c", "(mul (matmul a b) c)"),
        ("a**b**c", "(pow a (pow b c))"),
        ("-a**b", "(neg (pow a b))"),
        ("a**-b", "(pow a (neg b))"),
        ("-a*b", "(mul (neg a) b)"),
        ("+a", "(positive a)"),
        ("~a & b | c", "(logical_or (logical_and (logical_not a) b) c)"),
        ("a + b < c*d", "(lt (add a b) (mul c d))"),
        ("a <= b", "(le a b)"),
        ("a > b", "(gt a b)"),
        ("a >= b", "(ge a b)"),
        ("a == b", "(eq a b)"),
        ("a != b", "(ne a b)"),
        ("(a > b) & (b > c)", "(logical_and (gt a b) (gt b c))"),
        ("a.T @ b.mT", "(matmul (T a) (mT b))"),
        ("sin(a).T", "(T (sin a))"),
        ("-a.T", "(neg (T a))"),
        ("a[0]", "(index a 0)"),
        ("a[-1]", "(index a (neg 1))"),
        ("a[1:2, ::n, ..., None]", "(index a 1:2: ::n Ellipsis None)"),
        ("a[b > 0]", "(index a (gt b 0))"),
        ("a[[0, 1], b]", "(index a [0 1] b)"),
        ("a[None:n]", "(index a None:n:)"),
        ("[a, (b, 1)]", "[a [b 1]]"),
        ("()", "[]"),
        ("True", "True"),
        ("pi + e", "(add (pi) (e))"),
        ("math.pi + torch.e", "(add (pi) (e))"),
        ("torch.sin(a) + math.sin(a)", "(add (sin a) (sin a))"),
        ("torch.nn.functional.relu(a)", "(relu a)"),
        ("torch.linalg.det(a)", "(det a)"),
        ("sum(a, 0, keepdim=True)", "(sum a dim=0 keepdim=True)"),
        ("sum(keepdim=True, dim=[0, 1], input=a)", "(sum a dim=[0 1] keepdim=True)"),
        ("sum(a, dim=None)", "(sum a dim=None)"),
        ("gather(a, 0, b)", "(gather a b dim=0)"),
        ("gather(a, index=b, dim=0)", "(gather a b dim=0)"),
        ("einsum('ij,j->i', a, b)", "(einsum a b equation=ij,j->i)"),
        ("zeros(2, n)", "(zeros 2 n)"),
        ("concatenate((a, b), 1)", "(concatenate [a b] dim=1)"),
        ("square_of(a) + mse(t=a, y=b)", "(add (square_of a) (mse b a))"),
        ("mse(a, t=b)", "(mse a b)"),
        (" \t a\n +\r\n b ", "(add a b)"),
    ],
)
def test_a_formula_is_read_as_python_reads_it(text, expected):
    assert tree(text, definitions=SQUARE) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007e0", Decimal(7)),
        ("12", 12),
        ("1" + "0" * 300, 10**300),
        ("0.1", Decimal("0.1")),
        (".5", Decimal("0.5")),
        ("1.", Decimal(1)),
        ("1e-6", Decimal("0.000001")),
        ("1E+3", Decimal(1000)),
        ("2.50e1", Decimal(25)),
        ("3.141592653589793238462643383279", Decimal("3.141592653589793238462643383279")),
        ("1.7976931348623157e308", Decimal("1.7976931348623157e308")),
        ("5e-324", Decimal("5e-324")),
        ("0.0", Decimal(0)),
        ("0e999999999999999999999", Decimal(0)),
    ],
)
def test_a_number_is_exactly_the_decimal_written(text, value):
    node = parse(text).tree
    assert isinstance(node, Number)
    assert (node.value, type(node.value)) == (value, type(value))


def test_zero_has_no_exponent_to_expand():
    assert parse("0e-99999999").tree.value.as_tuple().exponent == 0


@pytest.mark.parametrize("text", ["  a + sin(b)*c.T", "\na +\n sin(b)*c.T  ", "a + sin(b)*c.T"])
def test_offsets_count_characters_of_the_text(text):
    spans = {text[node.start : node.end] for node in walk(parse(text).tree)}
    assert spans == {text.strip(), "sin(b)*c.T", "sin(b)", "a", "b", "c.T", "c"}


def test_names_are_those_read_in_order_of_appearance():
    assert parse("b + a*sin(b)[n:] + pi", definitions=SQUARE).names == ("b", "a", "n")


def test_the_text_and_its_place_are_kept():
    expression = parse(" a + b", file="f.yaml", line=7)
    assert (expression.text, expression.file, expression.line) == (" a + b", "f.yaml", 7)


def test_the_cost_counts_operations_of_definitions_too():
    assert parse("a + b[0]").cost == 2
    assert parse("square_of(a) + square_of(b)", definitions=SQUARE).cost == 1 + 2 * 2


# Links


LINKS = {"dy/dx": "dy/dx", "dloss/dw": "dloss/dw", "dout/dw": "dloss/dw"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dy/dx", "dy/dx"),
        ("2*dy/dx**2", "(mul 2 (pow dy/dx 2))"),
        ("a/dloss/dw", "(div a dloss/dw)"),
        ("dloss/dw/a", "(div dloss/dw a)"),
        ("-dy/dx.T", "(neg (T dy/dx))"),
        ("dy/dx[0]", "(index dy/dx 0)"),
        ("sin(dy/dx)", "(sin dy/dx)"),
        ("dloss/dw*dy/dx", "(mul dloss/dw dy/dx)"),
        ("dy / dx", "(div dy dx)"),
        ("dz/dx", "(div dz dx)"),
        ("dz/dy/dx", "(div dz dy/dx)"),
        ("dy/dx/dy", "(div dy/dx dy)"),
        ("dout/dw", "dloss/dw"),
        ("dy/dxy + ady/dx", "(add (div dy dxy) (div ady dx))"),
    ],
)
def test_a_link_is_one_name_that_binds_tighter_than_any_operator(text, expected):
    assert tree(text, links=LINKS) == expected


def test_a_link_keeps_its_columns():
    text = "  a + dloss/dw*dy/dx"
    spans = {text[node.start : node.end] for node in walk(parse(text, links=LINKS).tree)}
    assert spans == {"a + dloss/dw*dy/dx", "dloss/dw*dy/dx", "a", "dloss/dw", "dy/dx"}


def test_a_link_that_could_be_a_division_is_ambiguous():
    assert refusal("2*dy/dx", links=LINKS, scope=["dy", "dx"]) == (
        "`dy/dx` is a link and also `dy` divided by `dx`: "
        "rename a value, or put spaces around the / for the division",
        2,
        7,
    )
    assert tree("dy/dx", links=LINKS, scope=["dy"]) == "dy/dx"
    assert tree("dy / dx", links=LINKS, scope=["dy", "dx"]) == "(div dy dx)"


def test_a_link_cannot_be_called():
    expected = ("`dy/dx` is a value, not a word: a product is written with *", 0, 5)
    assert refusal("dy/dx(3)", links=LINKS) == expected
    assert refusal("dy/dx(3)", links=LINKS, definitions={"dy_dx": SQUARE["square_of"]}) == expected


# What is refused

NO_VALUE = "this is no value"
COMPREHENSION = "a formula has no comprehensions; the words work on whole tensors"
CLASS = "`.__class__` is not part of the language, only .T and .mT are"
UNKNOWN = "is not a word: `gradcheck words` lists them"
PRODUCT = "not a formula: a product needs its *, as in 2*x"
DECIMAL = "not a formula: a number is written in decimal digits, without _"
LARGE = "this number is larger than any float64"
SMALL = "this number is smaller than any float64"
STEP = "not a formula: a step is written `name: formula`, without ="
ASCII = "is not part of the language; names are written in ASCII letters"
BRACES = "a formula has no dictionaries and no sets"
CALLED = "only words and definitions can be called"


@pytest.mark.parametrize(
    ("text", "message", "start", "end"),
    [
        ("", "the formula is empty", 0, None),
        (" \n ", "the formula is empty", 0, None),
        # what Python has and a formula has not
        ("1 + lambda: x", "not a formula: invalid syntax", 4, None),
        ("lambda: x", "a formula has no lambda", 0, 9),
        ("a if b else c", "write where(condition, a, b) for a choice", 0, 13),
        ("[a for a in b]", COMPREHENSION, 0, 14),
        ("sum(a for a in b)", COMPREHENSION, 3, 17),
        ("f'{a}'", f"`{{`: {BRACES}", 2, 3),
        ("f'a'", "a formula has no f-strings", 0, 4),
        ("(a := 3)", "a formula assigns nothing; write a step of that name", 1, 7),
        ("sum(*a)", "a formula has no *arguments; write them out", 4, 6),
        ("[*a]", "a formula has no *arguments; write them out", 1, 3),
        ("a[*b]", "a formula has no *arguments; write them out", 2, 4),
        ("sum(**a)", "a formula has no **arguments; write them out", 6, 7),
        ("await a", "a formula has no await", 0, 7),
        ("(yield)", "a formula has no yield", 1, 6),
        ("(yield from a)", "a formula has no yield", 1, 13),
        ("a and b", "conditions are joined with & and |, each in parentheses", 0, 7),
        ("a or b", "conditions are joined with & and |, each in parentheses", 0, 6),
        ("not a", "a condition is negated with ~, in parentheses", 0, 5),
        ("a < b < c", "write a chain of comparisons as (a < b) & (b < c)", 0, 9),
        ("a is b", "this comparison is not part of the language", 0, 6),
        ("a not in b", "this comparison is not part of the language", 0, 10),
        ("a << b", "this operator is not part of the language", 0, 6),
        ("b'a'", NO_VALUE, 0, 4),
        ("'a'", NO_VALUE, 0, 3),
        ("None", NO_VALUE, 0, 4),
        ("...", NO_VALUE, 0, 3),
        ("'a'*10**9", NO_VALUE, 0, 3),
        ("a + None", NO_VALUE, 4, 8),
        ("['a']", NO_VALUE, 1, 4),
        ("-'a'", NO_VALUE, 1, 4),
        ("a < 'a'", NO_VALUE, 4, 7),
        ("exp(None)", NO_VALUE, 4, 8),
        ("softmax(a, None)", NO_VALUE, 11, 15),
        ("mse(a, 'a')", NO_VALUE, 7, 10),
        ("a['a']", "an index is a number, a slice, None or a tensor", 2, 5),
        ("a[1, b'a']", "an index is a number, a slice, None or a tensor", 5, 9),
        ("a[:'a']", "an index is a number, a slice, None or a tensor", 3, 6),
        ("{1: 2}", f"`{{`: {BRACES}", 0, 1),
        ("a}", f"`}}`: {BRACES}", 1, 2),
        # attributes and calls
        ("a.__class__", CLASS, 0, 11),
        ("().__class__", CLASS, 0, 12),
        ("a.real", "`.real` is not part of the language, only .T and .mT are", 0, 6),
        ("math.tau", "`.tau` is not part of the language, only .T and .mT are", 0, 8),
        ("torch.os.path", "`.path` is not part of the language, only .T and .mT are", 0, 13),
        ("a.sum()", "values have no methods: write sum(input, dim=…, keepdim=…)", 0, 5),
        ("torch.os.exp(a)", "values have no methods: write exp(input)", 0, 12),
        ("a.b.system('ls')", "`.system` is not part of the language", 0, 10),
        ("(lambda: a)()", CALLED, 1, 10),
        ("2(a)", CALLED, 0, 1),
        ("sin(a)(b)", CALLED, 0, 6),
        ("__import__('os')", f"`__import__` {UNKNOWN}", 0, 10),
        ("eval('1')", "`eval` is not a word: did you mean `real`?", 0, 4),
        ("open('/etc/passwd')", f"`open` {UNKNOWN}", 0, 4),
        ("torch.load('a')", "`load` is not a word: did you mean `logaddexp`?", 0, 10),
        ("torch.mse(a, b)", f"`mse` {UNKNOWN}", 0, 9),
        ("sni(a)", "`sni` is not a word: did you mean `sin`?", 0, 3),
        ("max(a)", "`max` is not a word: write amax (over entries) or maximum (of two)", 0, 3),
        ("v(a)", "`v` is a value, not a word: a product is written with *", 0, 1),
        ("pi(a)", "`pi` is a value, not a word: a product is written with *", 0, 2),
        ("2*sin", "`sin` is a word: write sin(input)", 2, 5),
        ("torch.sin", "`sin` is a word: write sin(input)", 0, 9),
        ("mse(a)", "this definition is used as mse(y, t)", 0, 6),
        ("mse(a, b, c)", "this definition is used as mse(y, t)", 0, 12),
        ("mse(a, y=b)", "this definition is used as mse(y, t)", 0, 11),
        ("mse(a, u=b)", "this definition is used as mse(y, t)", 0, 11),
        # arguments of words
        ("sin()", "`input` is missing: sin(input)", 0, 5),
        ("softmax(a)", "`dim` is missing: softmax(input, dim)", 0, 10),
        ("einsum('ij')", "`operands` is missing: einsum(equation, *operands)", 0, 12),
        ("sin(a, b)", "one argument too many: sin(input)", 7, 8),
        ("sum(a, dim=0, dim=1)", "`dim` is given twice", 14, 19),
        ("sum(a, 0, dim=1)", "`dim` is given twice", 10, 15),
        ("sum(a, dims=0)", "`sum` has no argument `dims`: did you mean `dim`?", 7, 13),
        ("sin(a, out=b)", "`sin` has no argument `out`: it is used as sin(input)", 7, 12),
        ("einsum(a, b)", "`equation` is a text in quotes", 7, 8),
        ("gelu(a, approximate=None)", "`approximate` is a text in quotes", 20, 24),
        ("norm(a, 'fro')", "`p` is not a text", 8, 13),
        ("sin('a')", "`input` is not a text", 4, 7),
        ("stack(a)", "`tensors` is a list: write [a, b]", 6, 7),
        # numbers
        ("2x", PRODUCT, 0, 2),
        ("1 + 2.5sin(a)", PRODUCT, 4, 10),
        ("1e5x", PRODUCT, 0, 4),
        ("1e5if a else b", PRODUCT, 0, 5),
        (".5x", PRODUCT, 0, 3),
        ("1j", PRODUCT, 0, 2),
        ("1_000", DECIMAL, 0, 5),
        ("0x1F", DECIMAL, 0, 4),
        ("1e309", LARGE, 0, 5),
        ("1" + "0" * 309, LARGE, 0, 310),
        ("1" + "0" * 5000, LARGE, 5000, None),
        ("1e-999", SMALL, 0, 6),
        ("1e-9999999999999999999999", SMALL, 0, 25),
        # syntax
        ("a +", "not a formula: invalid syntax", 2, None),
        ("a b", "not a formula: invalid syntax", 2, None),
        ("a + ) + b", "not a formula: unmatched ')'", 4, None),
        ("sum(a, dim=1", "not a formula: '(' was never closed", 3, None),
        ("  a[1", "not a formula: '[' was never closed", 3, None),
        ("'a", "not a formula: unterminated string literal (detected at line 1)", 0, None),
        ("y = x", STEP, 2, None),
        ("a == b = c", STEP, 7, None),
        ("y: x", "not a formula: invalid syntax", 1, None),
        ("import os", "not a formula: invalid syntax", 0, None),
        # characters
        ("a^2", "`^`: a power is written **", 1, 2),
        ("a²", "`²`: a power is written **2", 1, 2),
        ("a³", "`³`: a power is written **3", 1, 2),
        ("a − b", "`−`: a minus is written -", 2, 3),
        ("a – b", "`–`: a minus is written -", 2, 3),
        ("a × b", "`×`: a product is written *", 2, 3),
        ("a·b", "`·`: a product is written *", 1, 2),
        ("a⋅b", "`⋅`: a product is written *", 1, 2),
        ("a÷b", "`÷`: a quotient is written /", 1, 2),
        ("√a", "`√`: a square root is written sqrt(x)", 0, 1),
        ("a ≤ b", "`≤`: this is written <=", 2, 3),
        ("a ≥ b", "`≥`: this is written >=", 2, 3),
        ("a ≠ b", "`≠`: this is written !=", 2, 3),
        ("2*π", "`π`: this is written pi", 2, 3),
        ("a # b", "`#`: a comment stands outside of a formula", 2, 3),
        ("a; b", "`;`: a formula is one expression; write steps for several", 1, 2),
        ("a \\ b", "`\\`: a formula needs no backslash", 2, 3),
        ("$a", f"`$` {ASCII}", 0, 1),
        ("еval(a)", f"`е` {ASCII}", 0, 1),
        ("ｅｘｐ(a)", f"`ｅ` {ASCII}", 0, 1),
        ("ℯ", f"`ℯ` {ASCII}", 0, 1),
        ("a.__𝖼lass__", f"`𝖼` {ASCII}", 4, 5),
        ("１ + a", f"`１` {ASCII}", 0, 1),
        ("a\u200bb", "the character U+200B is not part of the language", 1, 2),
        ("a\u202eb", "the character U+202E is not part of the language", 1, 2),
        ("a\u00a0b", "the character U+00A0 is not part of the language", 1, 2),
        ("\ufeffa", "the character U+FEFF is not part of the language", 0, 1),
        ("a\x00", "the character U+0000 is not part of the language", 1, 2),
        ("a\x0cb", "the character U+000C is not part of the language", 1, 2),
        ("\ud800", "the character U+D800 is not part of the language", 0, 1),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(text, message, start, end):
    assert refusal(text, definitions=SQUARE, scope=["v"]) == (message, start, end)


@pytest.mark.parametrize("name", SYNONYMS)
def test_a_word_under_another_name_is_pointed_at(name):
    assert refusal(f"{name}(a)")[0] == f"`{name}` is not a word: write {SYNONYMS[name]}"


DEEP = f"the formula is nested more than {MAX_DEPTH} deep: name parts of it as steps"


@pytest.mark.parametrize(
    ("before", "middle", "after"),
    [
        ("[", "a", "]"),
        ("(a,", "", ")"),
        ("sin(", "a", ")"),
        ("square_of(", "a", ")"),
        ("sum(input=", "a", ")"),
        ("-", "a", ""),
        ("~", "a", ""),
        ("a[", "a", "]"),
        ("", "a", "[0]"),
        ("", "a", ".T"),
        ("", "a", "+a"),
        ("", "2", "**2"),
        ("a@", "a", ""),
        ("", "a", "(a)"),
        ("a[a:", "a", "]"),
        ("(a<", "a", ")"),
    ],
)
@pytest.mark.parametrize("times", [MAX_DEPTH + 1, 10_000])
def test_a_nesting_too_deep_is_refused(before, middle, after, times):
    text = before * times + middle + after * times
    message, *_ = refusal(text, definitions=SQUARE)
    assert message in (DEEP, CALLED, _too_long(text))


@pytest.mark.parametrize("construct", ["lambda:{}", "{} if a else b", "not {}", "(a:={})", "[{}]"])
def test_what_is_refused_is_refused_at_any_depth(construct):
    text = "a"
    while len(text) + len(construct) <= MAX_CHARACTERS:
        text = construct.format(text)
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize("shape", ["(", "sin(", "[", "a[", "-", "sin(input=", "square_of(", "a+("])
def test_a_nesting_just_within_the_limit_is_read(shape):
    closing = shape.count("(") * ")" + shape.count("[") * "]"
    levels = MAX_DEPTH // (2 if shape == "a+(" else 1) - 2
    assert parse(shape * levels + "a" + closing * levels, definitions=SQUARE).depth <= MAX_DEPTH


def _too_long(text):
    return f"the formula has {len(text):,} characters, more than 10,000: name parts of it as steps"


@pytest.mark.parametrize("text", ["a" * 10_001, "a" * 10**6, " " * 10**6 + "a", "é" * 10**6])
def test_a_text_too_long_is_refused(text):
    assert refusal(text) == (_too_long(text), 0, None)


def test_definitions_that_double_each_other_exceed_the_cost():
    known = {"f0": define("f0", "a", "a")}
    for level in range(1, 16):
        body = f"f{level - 1}(a) + f{level - 1}(a)"
        known[f"f{level}"] = define(f"f{level}", "a", body, **known)
    message = f"this takes 196,605 operations, more than {MAX_COST:,}"
    assert refusal(" f15(a) + f15(a)", definitions=known) == (message, 0, 16)


def test_definitions_that_nest_each_other_exceed_the_depth():
    known = {"f0": define("f0", "a", "a")}
    for level in range(1, MAX_DEPTH):
        known[f"f{level}"] = define(f"f{level}", "a", f"f{level - 1}(a)", **known)
    message = "this is nested more than 100 deep, its definitions included"
    assert refusal("f99(a)", definitions=known) == (message, 0, 6)


HOSTILE = [
    "-" * 9_000 + "1",
    "(" * 9_000,
    "[" * 4_000 + "]" * 4_000,
    "f(" * 90 + "1 1" + ")" * 90,
    "(a:=" * 90 + "1 1" + ")" * 90,
    "(a for a in " * 60 + "1 1" + ")" * 60,
    "sin(a=" * 90 + "1 1" + ")" * 90,
    "f(**" * 90 + "1 1" + ")" * 90,
    "a[" * 90 + "1 1" + "]" * 90,
    "a if " * 700 + "a" + " else a" * 700,
    "a<" * 4_000 + "a",
    "da/" * 3_000 + "dа",
    "1." * 4_000 + "x",
    "9" * 10_000,
    "9." + "9" * 9_000 + "e-400",
    "'" * 9_999,
    "a" * 9_990 + "(a)",
    "a" + "+a" * 4_000,
    "a" + "[0]" * 3_000,
    "not " * 2_400 + "a",
    "é" * 1_000_000,
    "a" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_refused_at_once(text):
    def seconds():
        start = time.perf_counter()
        refusal(text)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.05


@pytest.mark.parametrize("word", keyword.kwlist)
def test_a_keyword_of_python_is_no_name(word):
    if word != "True" and word != "False":
        assert isinstance(refusal(word)[0], str)
        assert isinstance(refusal(f"a + {word}")[0], str)


def test_every_word_can_be_written_out_of_its_usage():
    for word in WORDS.values():
        message = f"`{word.name}` is a word: write {word.usage}"
        if word.signature is not None:
            assert refusal(word.name) == (message, 0, len(word.name))


def test_the_parser_needs_no_torch():
    code = (
        "import sys, gradcheck.language.parser;"
        "print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
