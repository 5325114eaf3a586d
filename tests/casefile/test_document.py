"""Case files as data with positions: what is read, what is refused, and where."""

import pathlib
import random
import time
from decimal import Decimal

import pytest
import yaml

from gradcheck.casefile import yaml_reader
from gradcheck.casefile.document import Document
from gradcheck.casefile.problems import Problem


@pytest.fixture(params=["C parser", "Python parser"])
def parser(request, monkeypatch):
    if request.param == "C parser" and not yaml.__with_libyaml__:
        pytest.skip("PyYAML is built without libyaml")
    loader = yaml.CSafeLoader if request.param == "C parser" else yaml.SafeLoader
    monkeypatch.setattr(yaml_reader, "_Parser", loader)


def parse(text):
    return Document.parse(text, "f.yaml")


def messages(text):
    return [str(problem).removeprefix("f.yaml:") for problem in parse(text).problems]


def value(text):
    document = parse(f"a: {text}\n")
    assert document.problems == []
    return document.data["a"]


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("+1", 1),
        ("-12", -12),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("~", None),
        ("", None),
        *((text, text) for text in ("no", "yes", "on", "off", "y", "1_000", "12:30:00")),
        *((text, text) for text in ("2024-01-31", "tRUE", "1e", "e1", ".", "+", "0x", "1.2.3")),
        *((text, text) for text in ("-0x1F", "0b1", "0X1F", ".Nan", "nan", "inf", "=", "١")),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
    ],
)
def test_core_schema(parser, text, expected):
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize("text", ["1e-6", "1.", ".5", "+1.0", "2.2300", "-1.5E+10", "1e3", "-.5"])
def test_a_number_keeps_its_text(parser, text):
    assert isinstance(value(text), Decimal)
    assert str(value(text)) == str(Decimal(text))
    assert parse(f"a: {text}\n").text(("a",)) == text


def test_a_published_number_keeps_its_trailing_zero():
    assert value("2.2300").as_tuple().exponent == -4


@pytest.mark.parametrize(("text", "expected"), [(".inf", "Infinity"), ("-.INF", "-Infinity")])
def test_infinity(text, expected):
    assert value(text) == Decimal(expected)
    assert value("+" + text.removeprefix("-")) == Decimal("Infinity")


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan(text):
    assert value(text).is_nan()


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "\ufeff", "---\n", "null\n"])
def test_an_empty_file_is_none_without_a_problem(parser, text):
    assert (parse(text).data, parse(text).problems) == (None, [])


def test_a_whole_document():
    document = parse('%YAML 1.2\n---\na: [1, {b: x}]\nc:\n- d: "1"\n...\n')
    assert document.problems == []
    assert document.data == {"a": [1, {"b": "x"}], "c": [{"d": "1"}]}


def test_question_marks_and_colons_without_spaces_need_no_quotes():
    assert value("{f: a ? b, g: 'x'}") == {"f": "a ? b", "g": "x"}


# What YAML allows and a case file does not


@pytest.mark.parametrize(
    ("text", "problems", "data"),
    [
        (
            "a: 1\nb: 2\na: {c: 3}\n",
            ['3:1: "a" is here twice: it is on line 1 already'],
            {"a": 1, "b": 2},
        ),
        ('{a: 1, "a": 2}\n', ['1:8: "a" is here twice: it is on line 1 already'], {"a": 1}),
        (
            "a: &x 1\nb: *x\n",
            [
                "1:4: anchors are not supported: leave out &x",
                "2:4: aliases are not supported: write the value of *x out",
            ],
            {"a": 1, "b": None},
        ),
        (
            "a: [*x, 1]\n",
            ["1:5: aliases are not supported: write the value of *x out"],
            {"a": [None, 1]},
        ),
        ("*x : 1\nb: 2\n", ["1:1: aliases are not supported: write the value of *x out"], {"b": 2}),
        ("a: &x\n  b: 1\n", ["1:4: anchors are not supported: leave out &x"], {"a": {"b": 1}}),
        (
            "a: &x [*x]\n",
            [
                "1:4: anchors are not supported: leave out &x",
                "1:8: aliases are not supported: write the value of *x out",
            ],
            {"a": [None]},
        ),
        ("a: !!str 1\n", ["1:4: tags are not supported: leave out !!str"], {"a": 1}),
        ("a: ! b\n", ["1:4: tags are not supported: leave out !"], {"a": "b"}),
        ("a: !foo {b: 1}\n", ["1:4: tags are not supported: leave out !foo"], {"a": {"b": 1}}),
        (
            "a: !!python/object:os.system [x]\n",
            ["1:4: tags are not supported: leave out !!python/object:os.system"],
            {"a": ["x"]},
        ),
        ("!x k: 1\n", ["1:1: tags are not supported: leave out !x"], {"k": 1}),
        ("1: x\n", ['1:1: a key must be text: write "1"'], {"1": "x"}),
        ("a:\n  true: x\n", ['2:3: a key must be text: write "true"'], {"a": {"true": "x"}}),
        ("1.50: x\n", ['1:1: a key must be text: write "1.50"'], {"1.50": "x"}),
        ("1e99999: x\n", ['1:1: a key must be text: write "1e99999"'], {"1e99999": "x"}),
        ('"1": x\nno: y\n', [], {"1": "x", "no": "y"}),
        ("? [a]\n: b\nc: 1\n", ["1:3: a key must be text, not a mapping or a list"], {"c": 1}),
        ("{[a, b]: c, d: 1}\n", ["1:2: a key must be text, not a mapping or a list"], {"d": 1}),
        (
            "<<: {a: 1}\nb: 2\n",
            ["1:1: merge keys are not supported: write the pairs out"],
            {"b": 2},
        ),
        ('"<<": 1\n', [], {"<<": 1}),
        (
            "a: 1\n---\nb: 2\n",
            ["2:1: a second document begins here: a file is one document"],
            {"a": 1},
        ),
        ("%YAML 1.1\n---\na\n", ["1:1: case files are YAML 1.2 without directives"], "a"),
        ("%TAG !e! x\n---\na\n", ["1:1: case files are YAML 1.2 without directives"], "a"),
        ("a: 1e10000\n", ["1:4: an exponent beyond ±9999 is not supported"], {"a": None}),
        ("a: " + "1" * 4301 + "\n", ["1:4: a number of 4301 characters is too long"], {"a": None}),
        (
            "a: 0x" + "f" * 4300 + "\n",
            ["1:4: a number of 4302 characters is too long"],
            {"a": None},
        ),
        (
            "a: 1." + "0" * 5000 + "\n",
            ["1:4: a number of 5002 characters is too long"],
            {"a": None},
        ),
        (
            "a: x\x00y\r\nb: é\x7f\n",
            [
                "1:5: the character U+0000 is not allowed",
                "2:5: the character U+007F is not allowed",
            ],
            {"a": "x y", "b": "é"},
        ),
        ("a: x\u2028y\n", ["1:5: the character U+2028 is not allowed"], {"a": "x y"}),
        ("a: x\ufeffy\n", ["1:5: the character U+FEFF is not allowed"], {"a": "x y"}),
        ("a: x\ry\n", ["1:5: the character U+000D is not allowed"], {"a": "x y"}),
        ("a: \ud800x\n", ["1:4: the character U+D800 is not allowed"], {"a": "x"}),
    ],
)
def test_what_is_strange_is_a_problem_and_the_rest_is_read(parser, text, problems, data):
    assert messages(text) == problems
    assert parse(text).data == data


def test_an_empty_key():
    assert messages("{? : x, b: 1}\n") == ["1:4: a key is empty"]
    assert parse("{? : x, b: 1}\n").data == {"b": 1}


def test_everything_strange_is_reported_in_one_pass():
    text = "a: &x 1\nb: *x\na: !t 2\n1: 3\n"
    assert [problem.line for problem in parse(text).problems] == [1, 2, 3, 3, 4]


def test_an_integer_of_4300_digits_is_read():
    assert value("9" * 4300) == 10**4300 - 1


# Formulas that lack quotes


@pytest.mark.parametrize(
    ("text", "problems", "data"),
    [
        (
            "{x: max(a, b)}\n",
            ['1:5: a formula with a comma inside {…} needs quotes: write "max(a, b)"'],
            {"x": "max(a, b)"},
        ),
        (
            "{x: 2*f(a, (b, g(c))) + 1, y: 2, z: f(a)}\n",
            ['1:5: a formula with a comma inside {…} needs quotes: write "2*f(a, (b, g(c))) + 1"'],
            {"x": "2*f(a, (b, g(c))) + 1", "y": 2, "z": "f(a)"},
        ),
        (
            "[max(a, b), 1]\n",
            ['1:2: a formula with a comma inside […] needs quotes: write "max(a, b)"'],
            ["max(a, b)", 1],
        ),
        (
            "{f(a, b): c, d: 1}\n",
            ['1:2: a formula with a comma inside {…} needs quotes: write "f(a, b)"'],
            {"f(a, b)": "c", "d": 1},
        ),
        (
            "{x: w[0]}\n",
            ['1:5: a formula with brackets inside {…} needs quotes: write "w[0]"'],
            {"x": "w[0]"},
        ),
        (
            "{x: w[0, 1], y: f(a, b)}\n",
            [
                '1:5: a formula with a comma inside {…} needs quotes: write "w[0, 1]"',
                '1:17: a formula with a comma inside {…} needs quotes: write "f(a, b)"',
            ],
            {"x": "w[0, 1]", "y": "f(a, b)"},
        ),
        (
            "{x: f(a: b)}\n",
            ['1:5: a formula with a colon inside {…} needs quotes: write "f(a: b)"'],
            {"x": "f(a: b)"},
        ),
        (
            '{x: einsum("ij,j", a, b), y: it\'s(a, b)}\n',
            [
                "1:5: a formula with a comma inside {…} needs quotes: "
                "write 'einsum(\"ij,j\", a, b)'",
                '1:30: a formula with a comma inside {…} needs quotes: write "it\'s(a, b)"',
            ],
            {"x": 'einsum("ij,j", a, b)', "y": "it's(a, b)"},
        ),
        (
            "a:\n  {x: [1, f(a,\n     b)], y: 2}\n",
            ['2:11: a formula with a comma inside […] needs quotes: write "f(a, b)"'],
            {"a": {"x": [1, "f(a, b)"], "y": 2}},
        ),
        ("{x: f(a}\n", [], {"x": "f(a"}),
        ("{x: f(a)}\n", [], {"x": "f(a)"}),
        ("x: f(a, b)\n", [], {"x": "f(a, b)"}),
        ("{x: 'f(a, b)'}\n", [], {"x": "f(a, b)"}),
    ],
)
def test_a_formula_with_a_comma_in_a_flow_collection(parser, text, problems, data):
    assert messages(text) == problems
    assert parse(text).data == data


def test_the_formula_is_underlined_and_has_its_position():
    document = parse("c: {x: max(a, b), y: 2}\n")
    assert document.problems[0].with_caret().splitlines()[1:] == [
        "    1 | c: {x: max(a, b), y: 2}",
        "      |        ^^^^^^^^^",
    ]
    assert document.position(("c", "x"), 7) == (1, 15)
    assert document.position(("c", "y")) == (1, 22)


def test_formulas_that_lack_quotes_are_read_with_all_else_that_is_wrong():
    assert messages("a: {x: f(a, b)}\na: 1\n2: [w[0]]\n") == [
        '1:8: a formula with a comma inside {…} needs quotes: write "f(a, b)"',
        '2:1: "a" is here twice: it is on line 1 already',
        '3:1: a key must be text: write "2"',
        '3:5: a formula with brackets inside […] needs quotes: write "w[0]"',
    ]


# Syntax errors


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("about: a: b\n", '1:9: a value that contains ": " needs quotes: write "a: b"'),
        ("- about: a: b # c\n", '1:11: a value that contains ": " needs quotes: write "a: b"'),
        ('k: say "a": b\n', '1:11: a value that contains ": " needs quotes: write \'say "a": b\''),
        (
            "{a: b: c}\n",
            '1:6: a value that contains ": " needs quotes, or the { is not closed before',
        ),
        ("f: *x*2\n", '1:4: a value that begins with * needs quotes: write "*x*2"'),
        ("f: * x\n", '1:4: a value that begins with * needs quotes: write "* x"'),
        ("f: &x+2\n", '1:4: a value that begins with & needs quotes: write "&x+2"'),
        ("f: !e!x y # z\n", '1:4: a value that begins with ! needs quotes: write "!e!x y"'),
        ("f: @x\n", '1:4: a value that begins with @ needs quotes: write "@x"'),
        ("f: `x`\n", '1:4: a value that begins with ` needs quotes: write "`x`"'),
        ("f: %x\n", '1:4: a value that begins with % needs quotes: write "%x"'),
        ("f: |x| + 1\n", '1:4: a value that begins with | needs quotes: write "|x| + 1"'),
        ("f: >x\n", '1:4: a value that begins with > needs quotes: write ">x"'),
        ("f: - x\n", '1:4: a value that begins with - needs quotes: write "- x"'),
        ("f: ? x\n", '1:4: a value that begins with ? needs quotes: write "? x"'),
        ("f: ,x\n", '1:4: a value that begins with , needs quotes: write ",x"'),
        ("f: [a, @b, c]\n", '1:8: a value that begins with @ needs quotes: write "@b"'),
        ('a: 1\nf: "abc\ng: 1\n', '2:4: this " is never closed'),
        ("f: 'abc\n---\n", "1:4: this ' is never closed"),
        ("f: ['abc\n", "1:5: this ' is never closed"),
        ("é: [1, 2\n", "1:4: this [ is never closed"),
        ("f: {a: 1\n\n\n", "1:4: this { is never closed"),
        ("f: [", "1:4: this [ is never closed"),
        ("f: [ # c\n\n", "1:4: this [ is never closed"),
        ("f: {a: [1, ", "1:8: this [ is never closed"),
        ("f: [a: ", "1:4: this [ is never closed"),
        ("f: [-\n", '1:5: a value that begins with - needs quotes: write "-"'),
        ("f: [a,, b]\n", "1:7: there is nothing before this comma: leave it out"),
        ("f: {,}\n", "1:5: there is nothing before this comma: leave it out"),
        ("f: [}\n", '1:5: expected "," or "]" here, for the [ opened at line 1, column 4'),
        ("f: [a: }\n", '1:8: expected "," or "]" here, for the [ opened at line 1, column 4'),
        ("f: [1, 2}\n", '1:9: expected "," or "]" here, for the [ opened at line 1, column 4'),
        ('f: {a: "x" y}\n', '1:12: expected "," or "}" here, for the { opened at line 1, column 4'),
        (
            "f: [1, 2\ng: 3\n",
            '2:2: a value that contains ": " needs quotes, or the [ is not closed before',
        ),
        ("a:\n\tb: 1\n", "2:1: a tab cannot indent a line in YAML: use spaces"),
        ("a: b\n\tc\n", "2:1: a tab cannot indent a line in YAML: use spaces"),
        ("a: |\n\tx\n", "2:1: a tab cannot indent a line in YAML: use spaces"),
        (
            "a: 1\n  b: 2\n",
            "2:4: bad indentation: this line continues the value that was begun above it",
        ),
        ("a:\n    b: 1\n  c: 2\n", "3:3: bad indentation: nothing above begins in column 3"),
        ("- a: 1\n  b: 2\n c: 3\n", "3:2: bad indentation: nothing above begins in column 2"),
        (
            " a: 1\nb: 2\n",
            "2:1: the document has ended above: check the indentation, a file is one document",
        ),
        ("a: 1\n- b\n", '2:1: keys and list items ("- …") cannot stand side by side'),
        ("- a\nb: 1\n", '2:1: keys and list items ("- …") cannot stand side by side'),
        ("a: 1\nb\nc: 2\n", '2:1: this line is not "key: value": there is no ": " in it'),
        ("a: 1\nb:2\nc: 2\n", '2:1: a space is needed after the ":" in column 2'),
        ("x:1\ny: 2\n", '2:2: a space is needed after the ":" on line 1, column 2'),
        (": x\n", "1:1: a key is missing before the colon"),
        (
            'f: "a" + b\n',
            "1:8: text goes on after a quote or a bracket was closed: write '\"a\" + b'",
        ),
        (
            "f: [1] + b\n",
            '1:8: text goes on after a quote or a bracket was closed: write "[1] + b"',
        ),
        ("[1] x\n", "1:5: text goes on after a quote or a bracket was closed"),
        ("%YAML 2.0\n---\na\n", "1:1: case files are YAML 1.2"),
    ],
)
def test_a_syntax_error_says_what_to_change(parser, text, problem):
    assert messages(text) == [problem]
    assert parse(text).data is None
    assert messages("\ufeff" + text.replace("\n", "\r\n")) == [problem]


def test_an_unknown_escape():
    assert messages('a: "\\q"\n') == [
        r"1:5: unknown escape after \: write \\, or use single quotes"
    ]


# Positions

POSITIONS = """\
é漢: plain text
single: 'it''s é x'
double: "a\\x41\\u0041\\n\\"b\\tc"
list:
- 1.50
- {k: [a, "b"]}
literal: |
    one

      two
folded: >-
  one
  two
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_position_of_each_part(line_end, start):
    document = parse(start + POSITIONS.replace("\n", line_end))
    assert document.problems == []
    assert document.position(("é漢",)) == (1, 5)
    assert document.position(("é漢",), 6) == (1, 11)
    assert document.position(("é漢",), key=True) == (1, 1)
    assert document.position(("single",), 2) == (2, 12)
    assert document.position(("single",), 3) == (2, 14)
    assert [document.position(("double",), i)[1] for i in range(9)] == [
        10,
        11,
        15,
        21,
        23,
        25,
        26,
        28,
        29,
    ]
    assert document.position(("list", 0)) == (5, 3)
    assert document.text(("list", 0)) == "1.50"
    assert document.position(("list", 1)) == (6, 3)
    assert document.position(("list", 1, "k", 1)) == (6, 12)
    assert document.position(("list", 1, "k"), key=True) == (6, 4)
    assert document.data["literal"] == "one\n\n  two\n"
    assert [document.position(("literal",), i) for i in (0, 3, 4, 5, 7)] == [
        (8, 5),
        (8, 8),
        (9, 1),
        (10, 5),
        (10, 7),
    ]
    assert document.position(("folded",), 4) == (13, 3)


def test_a_path_that_does_not_exist_is_at_its_deepest_part_that_does():
    document = parse("a:\n  b: [x, y]\n")
    assert document.position(("a", "missing")) == (1, 1)
    assert document.position(("a", "b", 7)) == (2, 3)
    assert document.position(("a", "b", 1, "deeper"), 5) == (2, 10)
    assert document.position(("nothing", "here")) == (1, 1)
    assert document.text(("a", "missing")) == ""
    assert document.text(("a", "b")) == ""
    assert parse("").position(("a",)) == (1, 1)


def test_an_offset_beyond_the_value_is_its_end():
    document = parse("a: 'xy'\nb:\n")
    assert document.position(("a",), 2) == (1, 7)
    assert document.position(("a",), 99) == (1, 7)
    assert document.position(("a",), -1) == (1, 5)
    assert document.position(("b",)) == (2, 3)


def test_a_value_after_an_anchor_and_a_tag():
    document = parse("a: &x !t 'yz'\n")
    assert document.position(("a",), 1) == (1, 12)
    assert parse("a: !t {b: 1}\n").position(("a",)) == (1, 7)


def test_problem_spans():
    document = parse("key: x + sin(y)\nlist: [1, 2]\n")
    assert document.problem(("key",), "m", start=4, end=7).with_caret() == (
        "f.yaml:1:10: m\n    1 | key: x + sin(y)\n      |          ^^^"
    )
    assert document.problem(("key",), "m").length == 10
    assert document.problem(("key",), "m", key=True) == Problem(
        "f.yaml", 1, 1, "m", "key: x + sin(y)", 3
    )
    assert document.problem(("list",), "m").length == 6
    assert document.problem(("list", 5), "m").length == 4
    assert document.problem(("key",), "m", start=10, end=10).column == 16


def test_a_span_over_several_lines_is_clipped_to_the_first():
    problem = parse("a: one\n  two\n").problem(("a",), "m", start=2, end=6)
    assert (problem.line, problem.column, problem.length) == (1, 6, 1)


# Carets


def test_carets_stand_under_the_right_columns():
    problem = Problem("f.yaml", 12, 4, "m", "\t漢: xy z", 2)
    assert problem.with_caret() == "f.yaml:12:4: m\n   12 |  漢: xy z\n      |     ^^"
    assert Problem("f", 1, 2, "m", "a漢b", 1).with_caret().splitlines()[2] == "      |  ^^"
    assert Problem("f", 1, 3, "m", "e\u0301xy", 1).with_caret().splitlines()[2] == "      |  ^"
    assert Problem("f", 1, 3, "m", "xy", 50).with_caret().splitlines()[2] == "      |   ^"
    assert Problem("f", 1, 1, "m", "abc", 50).with_caret().splitlines()[2] == "      | ^^^"


def test_a_caret_line_without_a_source_is_the_message():
    assert Problem("f", 3, 1, "m").with_caret() == "f:3:1: m"


def test_control_characters_do_not_reach_the_terminal():
    assert "\x1b" not in Problem("f", 1, 1, "m", "\x1b[31mx").with_caret()


def test_problems_sort_by_place():
    problems = [Problem("f", 2, 1, "a"), Problem("f", 1, 9, "b"), Problem("e", 3, 1, "c")]
    assert [problem.message for problem in sorted(problems)] == ["c", "b", "a"]


# Each style, against a writer that knows where it puts each character

ALPHABET = "ab+*(é漢😀\u00a0'\"\\#:"


class Scalar:
    """A scalar as it is written, its value, and where each character of the value was written."""

    def __init__(self, seed, before):
        self.random = random.Random(seed)
        self.written, self.value, self.marks = before, "", []

    def put(self, value, written):
        self.marks.extend(len(self.written) + i for i in range(len(value)))
        self.value += value
        self.written += written

    def position(self, mark):
        return self.written.count("\n", 0, mark) + 1, mark - self.written.rfind("\n", 0, mark)

    def words(self):
        lengths = [self.random.randint(0, 6) for _ in range(4)]
        return ["x" + "".join(self.random.choices(ALPHABET, k=k)) + "y" for k in lengths]

    def put_words(self, gaps, write=lambda character: character):
        for i, word in enumerate(self.words()):
            self.put(" " * bool(i), self.random.choice(gaps) * bool(i))
            for character in word:
                self.put(character, write(character))

    def plain(self):
        self.put_words([" ", "\n   ", "  \n     "])

    def single(self):
        self.put_words([" ", "\n   ", "  \n "], lambda character: character.replace("'", "''"))
        self.written += "'"

    def double(self):
        self.put_words([" ", "\n   ", " \n  ", "\\ ", "\\x20"], self.escaped)
        self.put("a", "a\\\n   ")
        for value, written in ("b", "b"), ("\n", "\\n"), ("\t", "\\t"), ("\x07", "\\a"):
            self.put(value, written)
        self.put("c", "c\\\n")
        self.put("\n", "\n  ")
        self.put("d", "d")
        self.written += '"'

    def literal(self):
        indent = " " * self.random.randint(3, 7)
        for i in range(4):
            self.put("", indent)
            for character in " " * self.random.randint(0, 3) * bool(i) + " ".join(self.words()):
                self.put(character, character)
            for _ in range(self.random.randint(1, 3) if i < 3 else 1):
                self.put("\n", "\n")

    def folded(self):
        indent = " " * self.random.randint(3, 7)
        self.put("", indent)
        self.put_words([" ", "\n" + indent])
        self.put("\n\n", "\n\n\n" + indent)
        self.put("end", "end")
        self.put("\n", "\n")

    def escaped(self, character):
        forms = [f"\\U{ord(character):08x}"]
        if ord(character) < 0x10000:
            forms.append(f"\\u{ord(character):04X}")
        if ord(character) < 0x100:
            forms.append(f"\\x{ord(character):02x}")
        if character not in '"\\\u00a0':
            forms.append(character)
        return self.random.choice(forms)


STYLES = {
    "": Scalar.plain,
    "'": Scalar.single,
    '"': Scalar.double,
    "|\n": Scalar.literal,
    ">\n": Scalar.folded,
}


@pytest.mark.parametrize("opening", STYLES)
def test_offset_to_position_round_trip(opening):
    for seed in range(200):
        scalar = Scalar(seed, before="k:\n  é: " + opening)
        STYLES[opening](scalar)
        document = parse(scalar.written + "\nz: 1\n")
        assert document.problems == []
        assert document.data == {"k": {"é": scalar.value}, "z": 1}
        found = [document.position(("k", "é"), i) for i in range(len(scalar.value))]
        assert found == [scalar.position(mark) for mark in scalar.marks]


def test_blanks_in_folded_scalars_stand_in_their_gap():
    document = parse("a: >\n  x  y\n    z\n\n  w\n")
    assert document.data == {"a": "x  y\n  z\n\nw\n"}
    assert [document.position(("a",), i) for i in range(11)] == [
        *((2, 3), (2, 4), (2, 5), (2, 6), (2, 7)),
        *((3, 3), (3, 4), (3, 5), (3, 6)),
        *((4, 1), (5, 3)),
    ]


# Files


def test_a_file_is_read_under_the_name_given(tmp_path):
    path = tmp_path / "x.grad.yaml"
    path.write_bytes("\ufeffé: 1\r\n".encode())
    document = Document.read(path, "shown.yaml")
    assert (document.name, document.data, document.problems) == ("shown.yaml", {"é": 1}, [])
    assert Document.read(path).name == str(path)


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xff\n")
    document = Document.read(path, "x.yaml")
    assert [str(p) for p in document.problems] == [
        "x.yaml:1:1: the file is not UTF-8: byte 3 is 0xff"
    ]
    assert document.data is None
    assert document.position(("a",)) == (1, 1)


def test_a_file_that_is_missing_or_a_directory(tmp_path):
    missing = Document.read(tmp_path / "none.yaml", "none.yaml")
    assert [str(p) for p in missing.problems] == [
        "none.yaml:1:1: the file cannot be read: No such file or directory"
    ]
    folder = Document.read(tmp_path, "folder")
    assert [str(p) for p in folder.problems] == [
        "folder:1:1: the file cannot be read: Is a directory"
    ]


def test_a_file_that_is_too_large(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * 4_000_001)
    document = Document.read(path, "large.yaml")
    assert [str(p) for p in document.problems] == ["large.yaml:1:1: the file is larger than 4 MB"]


def test_a_path_with_a_nul_does_not_raise():
    assert Document.read(pathlib.Path("a\0b"), "x").data is None


# Hostile input


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)

HOSTILE = {
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "items": "- " * 100_000,
    "questions": "? " * 100_000,
    "indentation": "".join(" " * i + "a:\n" for i in range(500)),
    "laughs": LAUGHS,
    "recursion": "&a [*a]\n",
    "formulas": "{x: " + "f(a, " * 20_000 + "}",
    "unbalanced items": "[" + "(, " * 50_000 + "]",
    "formulas without quotes": "[" + "f(a, b), " * 5_000 + "]",
    "indexes without quotes": "[" + "a[0], " * 5_000 + "]",
    "duplicates": "a: 1\n" * 20_000,
    "long line": "a: " + "x" * 1_000_000 + ": b\n",
    "spaces": 'a: "' + " " * 1_000_000 + 'b"\n',
    "control characters": "\0" * 200_000,
    "quotes": "'" * 100_001,
    "digits": "a: " + "1" * 1_000_000,
    "dashes": "- " * 90 + "x: y: z\n",
    "tabs": "a:" + "\t" * 100_000 + "b\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_read_soon_and_does_not_raise(name):
    start = time.perf_counter()
    document = parse(HOSTILE[name])
    for problem in document.problems:
        problem.with_caret()
    document.position(("a",), 1_000_000)
    assert time.perf_counter() - start < 5
    assert len(document.problems) <= 100


@pytest.mark.parametrize("name", ["brackets", "braces", "items", "indentation"])
def test_nesting_is_at_most_100_levels(name):
    document = parse(HOSTILE[name])
    assert document.data is None
    assert [problem.message for problem in document.problems] == ["nested deeper than 100 levels"]


def test_nesting_of_100_levels_is_read(parser):
    assert parse("[" * 100 + "]" * 100).problems == []
    assert messages("[" * 101 + "]" * 101) == ["1:101: nested deeper than 100 levels"]


def test_random_bytes_never_raise():
    rng = random.Random(7)
    signs = [*"ab:-?,[]{}()#&*!|>'\"%@` \n\t\r\0é😀\ud800\ufeff10.~<", ": ", "- ", "\n  ", "---\n"]
    for _ in range(3_000):
        document = parse("".join(rng.choices(signs, k=rng.randint(0, 40))))
        for problem in document.problems:
            assert problem.with_caret().startswith(f"f.yaml:{problem.line}:{problem.column}: ")


def test_reading_a_case_takes_far_less_than_a_millisecond():
    text = "c:\n  inputs: {x: 1.0, y: 2.0}\n  function: x*y\n" + "".join(
        f"  d{i}: 2*x*cos(x**2)\n" for i in range(7)
    )
    times = []
    for _ in range(200):
        start = time.perf_counter()
        parse(text)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.001
