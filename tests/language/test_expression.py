"""Expressions: one tree, any meaning; how definitions are applied; who is blamed for what fails."""

import operator
import random
from fractions import Fraction

import pytest

from gradcheck.errors import EvaluationError
from gradcheck.language.expression import Definition
from gradcheck.language.parser import parse
from gradcheck.language.tree import children, walk

RATIONAL = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "pow": operator.pow,
    "neg": operator.neg,
    "positive": operator.pos,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
}


class Rational:
    """Formulas in exact fractions: a meaning that knows no torch; its tensors are tuples."""

    def number(self, value):
        return Fraction(value)

    def call(self, word, arguments, keywords):
        return RATIONAL[word.name](*arguments, **keywords)

    def index(self, value, items):
        (item,) = items
        return value[item if isinstance(item, slice) else int(item)]

    def tensor(self, value):
        return tuple(map(self.tensor, value)) if isinstance(value, (list, tuple)) else value


def define(name, parameters, *steps, **known):
    read = [(step, parse(text, definitions=known)) for step, text in steps]
    return Definition(name, tuple(parameters), tuple(read))


def value(text, scope=None, **known):
    return parse(text, definitions=known).evaluate(scope or {}, Rational())


def failure(text, scope=None, **known):
    with pytest.raises(EvaluationError) as error:
        value(text, scope, **known)
    return error.value


def random_formula(rng, depth):
    if depth == 0:
        return rng.choice(["2", "3", "0.5", "x", "y"])
    kind = rng.choice(["+", "-", "*", "/", "//", "%", "**", "-u", "+u", "()"])
    left, right = random_formula(rng, depth - 1), random_formula(rng, rng.randrange(depth))
    if kind == "**" and "**" not in left:
        return f"{left}**{rng.choice(['2', '-1', '-2', '+3'])}"
    if kind in ("-u", "+u"):
        return f"{kind[0]}{left}"
    return f"({left})" if kind in ("()", "**") else f"{left} {kind} {right}"


def test_precedence_is_python_s():
    rng = random.Random(0)
    scope = {"x": Fraction(7, 3), "y": Fraction(-5, 11)}
    fractions = {"__builtins__": {}, **scope}
    for _ in range(300):
        text = random_formula(rng, 4)
        exact = text.replace("0.5", "h").replace("2", "t").replace("3", "u")
        names = {"h": Fraction(1, 2), "t": Fraction(2), "u": Fraction(3)}
        try:
            expected = eval(exact, fractions | names)
        except ZeroDivisionError:
            assert isinstance(failure(text, scope), EvaluationError)
        else:
            assert value(text, scope) == expected, text


def test_a_number_means_exactly_the_decimal_written():
    assert value("1/3 + 0.1") == Fraction(13, 30)


def test_definitions_are_applied_by_position_and_by_name():
    f = define("f", "ab", ("f", "a - 2*b"))
    assert value("f(x, 1)", {"x": 5}, f=f) == 3
    assert value("f(b=x, a=1)", {"x": 5}, f=f) == -9
    assert value("f(f(1, 2), b=f(3, 4))", f=f) == 7


def test_a_definition_of_steps_gives_the_last():
    f = define("f", "a", ("b", "a*a"), ("a", "b + a"), ("last", "a*10"))
    assert value("f(3)", f=f) == 120


def test_a_definition_sees_its_arguments_only():
    f = define("f", "a", ("f", "a + x"))
    error = failure("1 + f(2)", {"x": 1}, f=f)
    assert str(error) == "`x` has no value, in `x`"


def test_an_unknown_name_has_no_value():
    error = failure("2*oops")
    assert (error.message, error.start, error.end) == ("`oops` has no value", 2, 6)
    assert error.expression.text == "2*oops"


def test_the_operation_that_failed_is_named():
    error = failure("x + 3*(y/0)", {"x": 1, "y": Fraction(1)})
    assert (error.start, error.end) == (7, 10)
    assert str(error) == "Fraction(1, 0), in `y/0`"


def test_inside_a_definition_the_definition_is_blamed():
    f = define("f", "a", ("one", "1 + a"), ("f", "2*(one/0)"))
    error = failure("x*f(3)", {"x": 1}, f=f)
    assert error.expression.text == "2*(one/0)"
    assert str(error).endswith("in `one/0`")


def test_an_index_is_blamed_whole():
    error = failure("1 + x[9]", {"x": [1, 2]})
    assert str(error) == "list index out of range, in `x[9]`"


def test_lists_that_pass_through_definitions_become_tensors():
    pair = define("pair", "a", ("pair", "[a, a]"))
    swap = define("swap", "a", ("swap", "a"))
    assert value("pair(1)", pair=pair) == [1, 1] or value("pair(1)", pair=pair) == (1, 1)
    assert value("swap([[1, 2], [3, 4]])", swap=swap) == ((1, 2), (3, 4))


def test_a_list_of_numbers_may_pass_through_a_definition_as_a_setting():
    class Machine(Rational):
        def number(self, value):
            return int(value)

    same = define("same", "a", ("same", "a"))
    assert parse("same([0, 1])", definitions={"same": same}).evaluate({}, Machine()) == [0, 1]


def test_slices_have_the_values_of_their_bounds():
    class Sliced(Rational):
        def index(self, value, items):
            return items

    found = parse("x[1:n, ::2, None, ...]").evaluate({"x": 0, "n": 7}, Sliced())
    assert found == (slice(1, 7, None), slice(None, None, 2), None, ...)


def test_a_walk_meets_every_node_in_the_order_of_the_text():
    text = "sum(a[b, 1:c], dim=[d, 2]) + 3"
    order = [node.start for node in walk(parse(text).tree)]
    assert order == sorted(order)
    assert len(order) == 1 + sum(len(children(node)) for node in walk(parse(text).tree))


def test_the_depth_counts_definitions():
    f = define("f", "a", ("f", "a*a + 1"))
    assert parse("a").depth == 1
    assert parse("a*a + 1").depth == 3
    assert parse("f(a)", definitions={"f": f}).depth == 4
