"""Conditions: each tells its bug by its name, and says nothing of the twin that is right."""

import os
import time

import pytest
import torch
from planted_conditions import (
    PLANTED,
    ROW,
    Exponential,
    FreedAfterUse,
    NoneForBoth,
    ScratchForward,
    Unmarked,
    X,
    Y,
    cosine,
    factors,
    noisy,
    product,
    through_numpy,
)
from wrong_functions import custom, sine

import gradcheck
from gradcheck.conditions import isolated
from gradcheck.conditions.names import CONDITIONS, DEFAULT, OF_A_FUNCTION, OPT_IN, chosen
from gradcheck.conditions.subject import MANY
from gradcheck.conditions.table import TABLE
from gradcheck.errors import UsageError


def failed(report):
    return {one.quantity: one for one in report.results if one.is_bad}


def told(report):
    """Which conditions hold, and what is said of those that were not looked at."""
    (result,) = [one for one in report.results if one.quantity == "conditions"]
    held = [note for note in result.notes if " hold: " in note]
    rest = [note for note in result.notes if note.startswith("not looked at: ")]
    names = held[0].split(" hold: ")[1].split(", ") if held else []
    return names, rest[0] if rest else ""


def test_there_is_a_planted_bug_for_every_condition():
    assert list(PLANTED) == list(CONDITIONS)


def test_names_and_what_is_looked_at_are_the_same_conditions():
    assert TABLE.keys() == CONDITIONS.keys()
    assert not DEFAULT.keys() & OPT_IN.keys()
    assert CONDITIONS.keys() >= OF_A_FUNCTION


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", CONDITIONS)
def test_a_planted_bug_is_told_by_the_name_of_its_condition(name):
    planted = PLANTED[name]
    report = gradcheck.check(planted.wrong, planted.inputs, conditions=[name], forward=False)
    found = failed(report)
    assert list(found) == [f"condition {name}"], str(report)
    broken = found[f"condition {name}"]
    assert (broken.verdict, broken.blame) == ("fail", "autograd")
    assert planted.words in " ".join(broken.notes)


@pytest.mark.parametrize("name", [name for name in CONDITIONS if name != "deterministic"])
def test_the_derivative_of_what_breaks_a_condition_is_right(name):
    planted = PLANTED[name]
    report = gradcheck.check(planted.wrong, planted.inputs, conditions="none", forward=False)
    assert report.verdict == "pass", str(report)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", CONDITIONS)
def test_the_right_twin_passes(name):
    planted = PLANTED[name]
    report = gradcheck.check(planted.right, planted.inputs, conditions=[name], forward=False)
    assert report.verdict == "pass", str(report)
    assert told(report) == ([name], ""), str(report)


def test_the_right_twins_survive_every_default_condition():
    for name, planted in PLANTED.items():
        report = gradcheck.check(planted.right, planted.inputs, forward=False)
        assert report.verdict == "pass", f"{name}: {report}"


def test_a_forward_that_writes_into_its_input_is_the_functions_fault():
    report = gradcheck.check(ScratchForward, X, conditions="inputs_unchanged")
    broken = failed(report)["condition inputs_unchanged"]
    assert (broken.blame, broken.notes[0]) == ("function", "the forward writes into x")


def test_a_function_that_is_meant_to_write_into_its_input_is_not_accused():
    report = gradcheck.check(lambda x: x.mul_(2), X, conditions="inputs_unchanged")
    assert report.verdict == "pass", str(report)


def test_a_function_that_writes_into_its_input_has_to_tell_torch():
    assert gradcheck.check(Exponential, X).verdict == "pass"
    report = gradcheck.check(Unmarked, X, conditions="inputs_unchanged")
    broken = failed(report)["condition inputs_unchanged"]
    assert broken.blame == "function"
    assert broken.notes[0] == "the forward writes into x without `ctx.mark_dirty`"


def test_a_backward_that_gives_nothing_where_one_cotangent_is_undefined_is_told():
    report = gradcheck.check(NoneForBoth, X, conditions="undefined_cotangent")
    broken = failed(report)["condition undefined_cotangent"]
    assert broken.blame == "autograd"
    assert "does not take an undefined cotangent of out[0] for zero" in broken.notes[0]


def test_a_second_backward_pass_that_raises_is_an_error():
    report = gradcheck.check(FreedAfterUse, X)
    (result,) = [one for one in report.results if one.is_bad]
    assert (result.verdict, result.blame) == ("error", "autograd")
    assert "AttributeError: 'NoneType' object has no attribute 'cos'" in result.notes[0]


def test_a_function_that_is_not_deterministic_is_the_functions_fault():
    report = gradcheck.check(noisy, X, conditions="deterministic")
    assert [(one.quantity, one.blame) for one in report.results] == [
        ("condition deterministic", "function")
    ]


# A backward that knows of no second derivative


def test_a_backward_outside_of_torch_says_nothing_of_its_second_derivative():
    report = gradcheck.check(custom(torch.sin, through_numpy), X)
    assert list(failed(report)) == ["condition double_backward"]
    (result,) = [r for r in report.results if r.is_bad]
    assert "torch does not track the backward" in result.notes[1]
    assert "once_differentiable" in result.notes[1]


def test_so_where_more_is_made_of_it_the_second_derivative_is_silently_wrong():
    inner = custom(torch.sin, through_numpy)
    report = gradcheck.check(lambda x: x * inner(x), X, conditions="double_backward")
    assert list(failed(report)) == ["condition double_backward"]


# Which are looked at


NOT_LOOKED_AT = {
    "transposed_cotangent": (sine(), X[0], "no output is a matrix"),
    "expanded_cotangent": (lambda x: x.sum(), X, "no output has two entries"),
    "transposed_inputs": (sine(), X[0], "no input that can lie so"),
    "expanded_inputs": (sine(), X[0, 0], "no input that can be expanded"),
    "broadcast_inputs": (sine(), X, "there is one input"),
    "empty_inputs": (sine(), X[0, 0], "no input has a dimension"),
    "aliased_inputs, in place": (lambda x, y: x.div_(y), (X, Y), "it writes into its inputs"),
    "expanded_inputs, in place": (lambda x: x.triu_(), X, "it writes into its inputs"),
    "aliased_inputs": (product(factors), (X, ROW), "no two inputs have one shape"),
    "needs_input_grad": (sine(), X, "there is one input"),
    "direct_backward": (torch.sin, X, "there is no autograd.Function in it"),
    "forward_over_reverse": (sine(), X, "it has no forward mode"),
    "autocast": (torch.sin, X, "autocast is for float32"),
    "opcheck": (torch.sin, X, "it is no custom operator"),
}


@pytest.mark.parametrize("name", NOT_LOOKED_AT)
def test_a_condition_that_says_nothing_of_a_function_is_told_with_the_reason(name):
    function, inputs, reason = NOT_LOOKED_AT[name]
    name, *_ = name.split(", ")
    report = gradcheck.check(function, inputs, conditions=[name])
    assert report.verdict == "pass", str(report)
    names, rest = told(report)
    assert names == []
    assert rest.startswith(f"not looked at: {name} ({reason}")


def test_all_are_those_by_default_and_a_minus_leaves_one_out():
    assert chosen(["all"]) == tuple(DEFAULT)
    assert chosen(["none"]) == ()
    assert chosen(["-linear"]) == tuple(name for name in DEFAULT if name != "linear")
    assert chosen(["all", "vmap", "-linear"]) == (
        *(name for name in DEFAULT if name != "linear"),
        "vmap",
    )
    # In the order of the tables, each once.
    assert chosen(["linear", "zero_cotangent", "linear"]) == ("zero_cotangent", "linear")


def test_a_condition_left_out_is_not_looked_at():
    planted = PLANTED["expanded_cotangent"]
    asked = {"inputs": planted.inputs, "conditions": ["all", "-expanded_cotangent"]}
    assert gradcheck.check(planted.wrong, **asked).verdict == "pass"
    assert not gradcheck.check(planted.wrong, planted.inputs)


def test_none_leaves_the_derivatives_alone():
    report = gradcheck.check(PLANTED["linear"].wrong, X, conditions="none")
    assert [(one.quantity, one.verdict) for one in report.results] == [("dout/dargs[0]", "pass")]


@pytest.mark.parametrize("asked", ["expanded_cotangnet", ["-expanded_cotangnet"]])
def test_an_unknown_condition_is_refused_with_what_may_be_meant(asked):
    with pytest.raises(UsageError) as caught:
        gradcheck.check(sine(), X, conditions=asked)
    assert "is no condition" in str(caught.value)
    assert "expanded_cotangent" in str(caught.value)


# A hand-written backward


def shifted_sine(x, b):
    return x.sin() + b


def right_backward(g, x, b):
    return g * x.cos(), g


def zero_is_special(g, x, b):
    return g * x.cos() + (g == 0).all() * 1e-3, g


def into_the_shift(g, x, b):
    return b.data.copy_(g * x.cos()).clone(), g


def into_the_cotangent(g, x, b):
    shift = g.clone()
    return g.mul_(x.cos()), shift


def as_of_a_sum(g, x, b):
    one = g if any(g.stride()) else torch.ones_like(g)
    return one * x.cos(), g


HANDWRITTEN = {
    "zero_cotangent": zero_is_special,
    "expanded_cotangent": as_of_a_sum,
    "linear": lambda g, x, b: ((g * x.cos()).clamp(-50, 50), g),
    "inputs_unchanged": into_the_shift,
    "cotangent_unchanged": into_the_cotangent,
    "double_backward": lambda g, x, b: (g * x.detach().cos(), g),
}
"""Backwards of `shifted_sine`, each of which breaks one condition."""


@pytest.mark.parametrize("name", HANDWRITTEN)
def test_a_handwritten_backward_that_breaks_a_condition_is_blamed(name):
    report = gradcheck.check(
        shifted_sine, (X, Y), backward=HANDWRITTEN[name], conditions=[name], name="sine"
    )
    found = failed(report)
    assert list(found) == [f"condition {name} (backward)"], str(report)
    assert found[f"condition {name} (backward)"].blame == "handwritten"
    right = gradcheck.check(shifted_sine, (X, Y), backward=right_backward, conditions=[name])
    assert right.verdict == "pass", str(right)


def test_a_right_handwritten_backward_survives_every_default_condition():
    report = gradcheck.check(shifted_sine, (X, Y), backward=right_backward)
    assert report.verdict == "pass", str(report)
    (held,) = [one for one in report.results if one.quantity == "conditions (backward)"]
    assert "linear" in held.notes[0]


# What it costs


class Counted:
    """An elementwise autograd.Function of one or two inputs that counts its passes."""

    def __init__(self, count, repeat=1):
        self.forwards = self.backwards = 0
        counted = self

        class Counting(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *inputs):
                counted.forwards += 1
                ctx.save_for_backward(*inputs)
                return inputs[0].sin() if count == 1 else inputs[0] * inputs[1]

            @staticmethod
            def backward(ctx, g):
                counted.backwards += 1
                saved = ctx.saved_tensors
                return cosine(saved, g) if count == 1 else factors(saved, g)

        self.apply = Counting.apply
        self.inputs = tuple(x.repeat(repeat, 1) for x in (X, Y)[:count])

    def passes(self, conditions):
        self.forwards = self.backwards = 0
        assert gradcheck.check(self.apply, self.inputs, conditions=conditions).verdict == "pass"
        return self.forwards, self.backwards


def cost(count, name):
    """Passes forward and back of one condition, beside those of the derivative."""
    counted = Counted(count)
    base = counted.passes("none")
    return tuple(a - b for a, b in zip(counted.passes([name]), base, strict=True))


FORWARDS, BACKWARDS = 2, 4
"""What most conditions make at most, one backward pass of which all of them share."""
DEARER = {
    # Of a number, a row and a column, against their copies.
    "expanded_cotangent": {1: (0, 6), 2: (0, 6)},
    # A sum, and a cotangent that is larger, and smaller.
    "linear": {1: (0, 5), 2: (0, 5)},
    # All inputs, then each alone; slices in two ways.
    "transposed_inputs": {1: (1, 2), 2: (3, 4)},
    "noncontiguous_inputs": {1: (1, 2), 2: (3, 4)},
    "sliced_inputs": {1: (2, 3), 2: (4, 5)},
    # Each input, then the output, is changed after a forward pass of its own.
    "saved_tensors": {1: (2, 3), 2: (3, 4)},
    # Each of two dimensions of each input, and the same of its copies.
    "broadcast_inputs": {1: (0, 0), 2: (8, 8)},
    # Each of two inputs alone.
    "needs_input_grad": {1: (0, 0), 2: (2, 3)},
}
"""Those whose passes grow with the inputs, or are more: of one input and of two."""


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", DEFAULT)
def test_a_condition_costs_few_passes(name, count):
    forwards, backwards = cost(count, name)
    most = DEARER[name][count] if name in DEARER else (FORWARDS, BACKWARDS)
    assert (forwards, backwards) <= most
    assert backwards <= most[1]


@pytest.mark.parametrize("name", DEFAULT)
def test_of_a_large_function_a_condition_costs_two_passes(name):
    """saved_tensors: each of two inputs, and the output, after a forward of its own."""
    counted = Counted(2, repeat=MANY // X.numel() + 1)
    base = counted.passes("none")
    forwards, backwards = (a - b for a, b in zip(counted.passes([name]), base, strict=True))
    most = (3, 4) if name == "saved_tensors" else (2, 4)
    assert forwards <= most[0]
    assert backwards <= most[1]


def test_all_conditions_share_one_backward_pass():
    counted = Counted(2)
    base = counted.passes("none")
    together = [a - b for a, b in zip(counted.passes("all"), base, strict=True)]
    alone = [cost(2, name) for name in DEFAULT]
    assert together[0] == sum(forwards for forwards, _ in alone)
    assert together[1] < sum(backwards for _, backwards in alone)


# Mistakes that a tester got past an earlier version


def sine_with(cast):
    return custom(torch.sin, lambda saved, g: cast(g) * saved[0].cos())


COARSE = {
    "bfloat16": lambda g: g.bfloat16().to(g.dtype),
    "float16": lambda g: g.half().to(g.dtype),
    "steps of 1/64": lambda g: (64 * g).round() / 64,
}


@pytest.mark.parametrize("cast", COARSE.values(), ids=COARSE)
def test_a_cotangent_that_loses_digits_is_told(cast):
    broken = failed(gradcheck.check(sine_with(cast), X))["condition linear"]
    assert broken.notes[0].startswith(
        ("the backward rounds its cotangent to fewer digits", "the backward is not linear")
    )


def test_a_cotangent_that_is_taken_for_zero_where_it_is_small_is_told():
    small = sine_with(lambda g: torch.where(g.abs() < 1e-3, 0, g))
    broken = failed(gradcheck.check(small, X, conditions="linear"))["condition linear"]
    assert "for 0.000976562·u" in broken.notes[0]


class StridesOfTheFirst(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * torch.as_strided(y, x.shape, x.stride(), y.storage_offset())

    @staticmethod
    def backward(ctx, g):
        return factors(ctx.saved_tensors, g)


def test_an_input_that_is_read_with_anothers_strides_is_told():
    broken = failed(gradcheck.check(StridesOfTheFirst, (X, Y)))["condition transposed_inputs"]
    assert broken.blame == "function"
    assert "where args[0] alone is transposed" in broken.notes[0].replace(" x ", " args[0] ")


def writes_into(buffer):
    def backward(saved, g):
        torch.mul(saved[0].cos(), g, out=buffer)
        return buffer.detach()

    return custom(torch.sin, backward)


def test_a_gradient_in_memory_that_the_next_pass_writes_is_told():
    broken = failed(gradcheck.check(writes_into(torch.empty_like(X)), X))
    assert (
        "another backward pass writes into the gradient by"
        in (broken["condition separate_calls"].notes[0])
    )


def test_a_value_in_memory_that_the_next_call_writes_is_the_functions_fault():
    buffer = torch.empty_like(X)

    def forward(x):
        torch.sin(x, out=buffer)
        return buffer.detach()

    report = gradcheck.check(custom(forward, lambda saved, g: g * saved[0].cos()), X)
    broken = failed(report)["condition separate_calls"]
    assert broken.blame == "function"
    assert broken.notes[0] == "the forward of other inputs writes into out of the first"


def test_a_gradient_that_is_another_where_it_is_differentiated_is_told():
    def backward(saved, g):
        factor = 2 if torch.is_grad_enabled() else 3
        return factor * saved[0] ** 2 * g

    report = gradcheck.check(custom(lambda x: x**3, backward), X)
    broken = failed(report)["condition double_backward"]
    assert any("with create_graph the gradient is another one" in n for n in broken.notes)


def test_what_ends_the_process_is_told_and_does_not():
    def forward(x):
        if not x.numel():
            os.kill(os.getpid(), 9)
        return x.sin()

    report = gradcheck.check(custom(forward, lambda saved, g: g * saved[0].cos()), X)
    assert failed(report)["condition empty_inputs"].notes[0] == (
        "the process is ended by SIGKILL there"
    )


def test_a_backward_that_works_once_is_told_so():
    report = gradcheck.check(FreedAfterUse, X)
    (result,) = [one for one in report.results if one.is_bad]
    assert "one backward pass works: what it saves must last for more" in result.notes[0]


def test_dropout_is_not_accused_of_following_the_order_in_memory():
    report = gradcheck.check(torch.nn.Dropout(0.5), X, rng="fixed")
    assert report.ok, str(report)


def on_nothing(action):
    """The sine, which does something else where there is no entry."""

    def backward(saved, g):
        if not g.numel():
            action()
        return g * saved[0].cos()

    return custom(torch.sin, backward)


def test_what_a_backward_raises_in_a_process_of_its_own_is_told():
    def action():
        raise ValueError("an empty grid")

    broken = failed(gradcheck.check(on_nothing(action), X))["condition empty_inputs"]
    assert "ValueError: an empty grid, from tests/test_conditions.py" in broken.notes[0]


def test_where_torchs_engine_refuses_a_fork_the_look_goes_on_here(monkeypatch):
    """As on a machine with a GPU, once there was a backward pass."""
    own, grad = os.getpid(), torch.autograd.grad

    def here_only(*arguments, **keywords):
        if os.getpid() != own:
            raise RuntimeError("Unable to handle this with fork-based multiprocessing.")
        return grad(*arguments, **keywords)

    def action():
        raise ValueError(f"in process {os.getpid()}")

    monkeypatch.setattr(torch.autograd, "grad", here_only)
    broken = failed(gradcheck.check(on_nothing(action), X))["condition empty_inputs"]
    assert f"ValueError: in process {own}, from" in broken.notes[0]
    assert gradcheck.check(on_nothing(lambda: None), X).ok


def test_a_process_of_its_own_that_gives_no_answer_is_ended(monkeypatch):
    monkeypatch.setattr(isolated, "_SECONDS", 1)

    def forward(x):
        if not x.numel():
            time.sleep(600)
        return x.sin()

    function = custom(forward, lambda saved, g: g * saved[0].cos())
    names, rest = told(gradcheck.check(function, X))
    assert "empty_inputs" not in names
    assert "empty_inputs (no answer in 1 s from a process of its own)" in rest
