"""Intervals as people write them, and the `domain` of a case."""

import math
from decimal import Decimal

import pytest

from gradcheck.casefile.document import Document
from gradcheck.casefile.domain import Interval, NoIntervalError, interval
from gradcheck.casefile.load import read
from gradcheck.casefile.models import json_schema

INF = math.inf
LARGEST = 1.7976931348623157e308


@pytest.mark.parametrize(
    ("written", "found", "shown"),
    [
        ("(0, 1)", Interval(0.0, 1.0), "(0, 1)"),
        ("[0, inf)", Interval(0.0, INF, closed_low=True), "[0, inf)"),
        ("[0, inf]", Interval(0.0, INF, closed_low=True), "[0, inf)"),
        ("(-inf, inf)", Interval(), "(-inf, inf)"),
        ("[-1, 1]", Interval(-1.0, 1.0, closed_low=True, closed_high=True), "[-1, 1]"),
        ("[-2, 2)", Interval(-2.0, 2.0, closed_low=True), "[-2, 2)"),
        ("  (1e-8,.5 ]  ", Interval(1e-8, 0.5, closed_high=True), "(1e-08, 0.5]"),
        ("(-.inf, ∞)", Interval(), "(-inf, inf)"),
        ("(0, Infinity)", Interval(0.0, INF), "(0, inf)"),
        ([0, 1], Interval(0.0, 1.0, closed_low=True, closed_high=True), "[0, 1]"),
        ([0, "inf"], Interval(0.0, INF, closed_low=True), "[0, inf)"),
        ([Decimal("-Infinity"), 3], Interval(-INF, 3.0, closed_high=True), "(-inf, 3]"),
        ([2, 2], Interval(2.0, 2.0, closed_low=True, closed_high=True), "[2, 2]"),
    ],
)
def test_an_interval_as_it_is_written(written, found, shown):
    assert interval(written) == found
    assert str(found) == shown


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("(0, 1)", [5e-324, 0.5, 1 - 2**-53], [0.0, -0.0, 1.0, -1.0]),
        ("[0, 1]", [0.0, -0.0, 1.0], [-5e-324, 1 + 2**-52]),
        ("(0, inf)", [5e-324, LARGEST], [0.0, INF, math.nan]),
        ("(-inf, inf)", [-LARGEST, 0.0, LARGEST], [INF, -INF, math.nan]),
    ],
)
def test_what_it_contains(text, inside, outside):
    found = interval(text)
    assert all(map(found.contains, inside))
    assert not any(map(found.contains, outside))


def test_its_first_and_last_numbers_are_in_it():
    found = interval("(0, 1]")
    assert (found.first, found.last) == (5e-324, 1.0)
    assert (interval("[0, inf)").first, interval("[0, inf)").last) == (0.0, LARGEST)


def test_what_lies_within_another():
    assert interval("(0, 1)").within(interval("[0, 1]"))
    assert not interval("[0, 1]").within(interval("(0, 1)"))


@pytest.mark.parametrize(
    ("text", "size", "found"),
    [
        ("(-inf, inf)", 10.0, "[-10, 10]"),
        ("(0, inf)", 10.0, "(0, 10]"),
        ("[2, 3)", 10.0, "[2, 3)"),
        ("(20, inf)", 10.0, "(20, inf)"),
    ],
)
def test_what_of_it_is_not_too_large(text, size, found):
    assert str(interval(text).clipped(size)) == found


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("(1, 0)", "the ends are in the wrong order: did you mean `(0, 1)`?"),
        ([1, 0], "the ends are in the wrong order: did you mean `[0, 1]`?"),
        ("(1, 1)", "no number is in (1, 1): [1, 1] holds one"),
        ("[1, 1)", "no number is in [1, 1): [1, 1] holds one"),
        ("(0, 5e-324)", "no number is in (0, 5e-324)"),
        ("(inf, inf)", "no number is in (inf, inf)"),
        ("0, 1", "`0, 1` is no interval: did you mean `(0, 1)`?"),
        ("]0, 1[", "`]0, 1[` is no interval: did you mean `(0, 1)`?"),
        ("0..1", "`0..1` is no interval: did you mean `(0, 1)`?"),
        ("(0; 1)", "`(0; 1)` is no interval: did you mean `(0, 1)`?"),
        ("> 0", "`> 0` is no interval: did you mean `(0, inf)`?"),
        ("x >= 0", "`x >= 0` is no interval: did you mean `[0, inf)`?"),
        ("<1", "`<1` is no interval: did you mean `(-inf, 1)`?"),
        ("non-negative", "`non-negative` is no interval: did you mean `[0, inf)`?"),
        ("(a, 1)", "`a` is no end of an interval: write a number or inf"),
        ("(0, 1/3)", "`1/3` is no end of an interval: write a number or inf"),
        ("(0, true)", "an end of an interval is a number or inf"),
        ("(, 1)", "an end of an interval is a number or inf"),
        ("(0, .nan)", "an end of an interval is a number or inf, not NaN"),
        ("(0, 1e400)", "this end is larger than any float64: write inf"),
        ("(0, 1e99999)", "an exponent beyond ±9999 is not supported"),
        ([0, True], "an end of an interval is a number or inf"),
        ([0], "an interval has two ends, as in [0, 1], not 1"),
        ([0, 1, 2], "an interval has two ends, as in [0, 1], not 3"),
        ("(0 1)", ""),
        ("something", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_what_is_no_interval(written, message):
    with pytest.raises(NoIntervalError) as raised:
        interval(written)
    assert raised.value.message == message


# In a case


def loaded(domain, *, inputs="{x: 3}", constants="{}", more=""):
    text = f"""\
cases:
  a:
    function: x**2
    inputs: {inputs}
    constants: {constants}
    derivatives: {{x: 2*x}}
    domain: {domain}
{more}"""
    return read(Document.parse(text, "f.yaml"))


def problems(*arguments, **settings):
    return [
        str(problem).removeprefix("f.yaml:") for problem in loaded(*arguments, **settings).problems
    ]


def test_a_case_has_the_intervals_of_inputs_and_constants():
    (case,) = loaded('{x: [0, inf], c: "(0, 1)"}', constants="{c: 0.5}").cases
    assert {name: str(one) for name, one in case.domain.items()} == {
        "x": "[0, inf)",
        "c": "(0, 1)",
    }


def test_in_a_block_a_text_needs_no_quotes():
    (case,) = loaded("\n      x: (0, 4]").cases
    assert str(case.domain["x"]) == "(0, 4]"


def test_without_one_there_is_none():
    assert loaded("{}").cases[0].domain == {}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"domain": "{xx: [0, 1]}"}, "7:14: `xx` is no input and no constant: did you mean `x`?"),
        ({"domain": "{zzz: [0, 1]}"}, "7:14: `zzz` is no input and no constant: known are x"),
        (
            {"domain": "{n: [0, 1]}", "more": "    sizes: {n: 2}\n"},
            "7:14: `n` is a size: a domain is for inputs and constants",
        ),
        ({"domain": "{x: [4, 5]}"}, "4:17: 3 is outside of the domain of `x`, [4, 5]"),
        ({"domain": '{x: "(3, 5]"}'}, "4:17: 3 is outside of the domain of `x`, (3, 5]"),
        (
            {"domain": "{x: [0, 2]}", "inputs": "{x: [[0.5, 1], [2, 2.5]]}"},
            "4:32: 2.5 is outside of the domain of `x`, [0, 2]",
        ),
        (
            {"domain": "{x: [0, 4]}", "more": "    points: [{}, {inputs: {x: 5}}]\n"},
            "8:31: 5 is outside of the domain of `x`, [0, 4]",
        ),
        (
            {"domain": "{c: [0, 4]}", "constants": "{c: .inf}"},
            "5:20: Infinity is outside of the domain of `c`, [0, 4]",
        ),
        (
            {"domain": '{x: "(0, inf)"}', "inputs": "{x: {sample: normal}}"},
            "4:26: `x` is drawn from normal, which goes beyond its domain, (0, inf)",
        ),
        (
            {"domain": "{x: [0, 1]}", "inputs": '{x: {sample: "uniform(0, 2)"}}'},
            "4:27: `x` is drawn from uniform(0, 2), which goes beyond its domain, [0, 1]",
        ),
        (
            {"domain": "{x: [0, 1]}", "inputs": "{x: {shape: [2, 2], sample: spd}}"},
            "4:41: `x` is drawn as a whole, spd: its entries have no domain",
        ),
        (
            {"domain": "{c: [0, 1]}", "constants": '{c: {sample: "integers(0, 2)"}}'},
            "5:30: `c` is drawn as whole numbers: integers(0, 2) says from where, no domain does",
        ),
        (
            {"domain": "{x: 3}"},
            '7:17: expected an interval such as "(0, 1]", "[0, inf)" or [0, 1], found `3`',
        ),
        (
            {"domain": "{x: [1, 0]}"},
            "7:17: the ends are in the wrong order: did you mean `[0, 1]`?",
        ),
        (
            {"domain": "{x: [0, a]}"},
            "7:21: `a` is no end of an interval: write a number or inf",
        ),
        ({"domain": "[0, 1]"}, "7:13: expected a mapping such as {x: [0, 1]}, found a list"),
        (
            {"domain": "{x: (0, 4)}"},
            '7:17: a formula with a comma inside {…} needs quotes: write "(0, 4)"',
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(settings, told):
    assert problems(**settings) == [told]


@pytest.mark.parametrize(
    ("domain", "inputs"),
    [
        ("{x: [-6, 6]}", "{x: {sample: normal}}"),
        ('{x: "(0, inf)"}', "{x: {sample: positive}}"),
        ('{x: "(0, 1)"}', '{x: {sample: "uniform(0, 1)"}}'),
        ("{x: [0.1, 0.1]}", "{x: 0.1}"),
    ],
)
def test_what_is_drawn_may_have_one(domain, inputs):
    assert problems(domain, inputs=inputs) == []


def test_a_wrong_domain_hides_no_other_mistake():
    text = """\
cases:
  a:
    function: x**
    inputs: {x: 3}
    derivatives: {x: 2*x}
    domain: {x: [1, 0]}
"""
    told = [str(problem) for problem in read(Document.parse(text, "f.yaml")).problems]
    assert len(told) == 2
    assert told[0].startswith("f.yaml:3:")
    assert told[1].startswith("f.yaml:6:")


def test_it_is_in_the_schema():
    domain = json_schema()["$defs"]["Case"]["properties"]["domain"]
    kinds = domain["additionalProperties"]["anyOf"]
    assert [kind["type"] for kind in kinds] == ["string", "array"]
