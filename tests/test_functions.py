import pytest
import torch

from gradcheck.errors import EvaluationError
from gradcheck.functions import Function, Recurrence, Segment, State, Step, trajectory
from gradcheck.language.expression import Expression
from gradcheck.language.parser import MAX_COST, parse
from gradcheck.language.tree import Number
from gradcheck.torch_meaning import TorchMeaning

MEANING = TorchMeaning(torch.float64, torch.device("cpu"))
NAMES = ["a", "b", "c", "h", "k", "n", "t", "u", "x", "y", "z"]


def expression(text):
    return parse(text, scope=NAMES)


def step(name, text):
    return Step(name, expression(text))


def recurrence(steps, index=None, **states):
    listed = [State(n, expression(start), expression(then)) for n, (start, then) in states.items()]
    return Recurrence(expression(steps), index, tuple(listed))


def value(number):
    return torch.tensor(number, dtype=torch.float64)


def run(function, **given):
    return function.run({name: value(number) for name, number in given.items()}, MEANING)


DIAMOND = Function(("x",), (step("a", "2*x"), step("b", "x*a"), step("y", "a + b")), "y")


def names(steps):
    return [name for one in steps for name in one.writes if "[" not in name]


def test_steps_run_in_order():
    environment = run(DIAMOND, x=3.0)
    assert (environment["a"], environment["b"], environment["y"]) == (6, 18, 24)


def test_out_is_another_name_for_the_output():
    assert run(DIAMOND, x=3.0)["out"] == 24
    assert names(DIAMOND.between("x", {"out"})) == ["a", "b", "y", "out"]
    alone = Function(("x",), (step("out", "x + 1"),), "out")
    assert names(alone.between("x", {"out"})) == ["out"]


def test_a_plain_number_becomes_a_value():
    assert run(Function(("x",), (step("y", "3"),), "y"), x=1.0)["y"].dtype == torch.float64


def test_between_are_the_steps_that_lead_from_a_value_to_another():
    assert names(DIAMOND.between("x", {"y"})) == ["a", "b", "y"]
    assert names(DIAMOND.between("x", {"a"})) == ["a"]
    assert names(DIAMOND.between("b", {"y"})) == ["y"]


def test_cutting_at_a_value_leaves_out_the_step_that_computes_it():
    assert names(DIAMOND.between("a", {"y"})) == ["b", "y"]


def test_between_is_empty_where_nothing_leads():
    assert DIAMOND.between("y", {"a"}) == ()
    assert DIAMOND.between("b", {"a"}) == ()


def test_a_segment_recomputes_what_is_downstream_and_holds_the_rest():
    held = run(DIAMOND, x=3.0)
    segment = Segment(DIAMOND.between("a", {"y"}), "a", "y", held)
    assert segment.value(value(10.0), MEANING) == 10 + 3 * 10  # x stays 3
    assert held["y"] == 24


def test_states_are_updated_together():
    fibonacci = recurrence("n", a=("0", "b"), b=("1", "a + b"))
    environment = {"n": 6}
    fibonacci.run(environment, MEANING)
    assert environment["a"] == 8
    assert environment["b"] == 13
    assert environment[trajectory("a")].tolist() == [1, 1, 2, 3, 5, 8]


def test_the_index_counts_steps_from_0():
    environment = {"x": value([10.0, 20.0, 30.0])}
    recurrence("3", "t", h=("0", "h*2 + x[t]")).run(environment, MEANING)
    assert environment[trajectory("h")].tolist() == [10, 40, 110]


def test_the_index_is_not_visible_afterwards():
    environment = {"x": value([10.0])}
    recurrence("1", "t", h=("0", "x[t]")).run(environment, MEANING)
    assert set(environment) == {"x", "h", trajectory("h")}


def test_a_recurrence_writes_its_states_and_their_trajectories():
    one = recurrence("2", "t", h=("u", "k*h + x[t]"))
    assert one.writes == ("h", "h[t]")
    assert one.reads == {"u", "k", "x"}


def test_a_state_is_not_read_from_outside():
    assert recurrence("2", h=("k", "h*h")).reads == {"k"}


def test_expand_gives_starts_another_shape():
    one = recurrence("2", h=("1", "h*2"))
    passed = one.unroll({}, MEANING, lambda starts: {n: value([s, s]) for n, s in starts.items()})
    assert [v.tolist() for v in passed["h"]] == [[2, 2], [4, 4]]


@pytest.mark.parametrize("count", ["0", "-1", "2.5"])
def test_a_recurrence_takes_a_whole_number_of_steps(count):
    with pytest.raises(EvaluationError) as caught:
        recurrence(count, h=("1", "h")).run({}, MEANING)
    assert str(caught.value) == f"`steps` is a whole number from 1, not {count}"


def test_a_recurrence_has_a_budget_of_operations():
    with pytest.raises(EvaluationError, match="steps take more than"):
        recurrence(str(MAX_COST), h=("1", "h + 1")).run({}, MEANING)


def test_between_goes_through_a_recurrence_and_cuts_at_its_state():
    loop = recurrence("2", h=("u", "k*h"))
    function = Function(("k", "u"), (loop, step("y", "h**2")), "y")
    assert names(function.between("k", {"y"})) == ["h", "y"]
    assert names(function.between("h", {"y"})) == ["y"]
    assert names(function.between("k", {trajectory("h")})) == ["h"]


def test_what_a_step_raises_names_the_formula():
    broken = Function(("x",), (step("y", "x @ x"),), "y")
    with pytest.raises(EvaluationError, match=r"in `x @ x`"):
        run(broken, x=1.0)


def test_an_expression_without_names_reads_nothing():
    assert Step("y", Expression("1", Number(0, 1, 1))).reads == frozenset()
