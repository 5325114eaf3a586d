"""What backward passes leave in `.grad`: accumulation, zeroing, tracking off, intermediates."""

import pytest
import torch

from gradcheck.functions import Function, Step
from gradcheck.language.parser import parse
from gradcheck.oracles import autograd
from gradcheck.passes import Passes
from gradcheck.torch_meaning import TorchMeaning

WAYS = ["requires_grad_", "detach", "no_grad", "inference_mode"]


def told(results):
    return {r.quantity: (r.verdict, r.blame) for r in results}


def notes(results):
    return {r.quantity: r.notes for r in results}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("settings", "grad"),
    [
        ("{backward_passes: 2}", 8),
        ("{backward_passes: 2, zero_grad: false}", 8),
        ("{backward_passes: 2, zero_grad: true}", 4),
        ("{backward_passes: 3}", 12),
        ("{}", 4),
    ],
)
def test_passes_add_up_unless_gradients_are_zeroed(check_one, settings, grad, dtype):
    case = "function: x**2\ninputs: {{x: 2}}\nautograd: {}\nexpect: {{x.grad: {}}}\ndtypes: {}"
    right = check_one(case.format(settings, grad, dtype))
    assert (right.quantity, right.verdict) == ("x.grad", "pass")
    assert right.entries[0].answers["autograd"].value == grad
    wrong = check_one(case.format(settings, grad + 1, dtype))
    assert (wrong.verdict, wrong.blame, wrong.line) == ("fail", "expected", 6)


@pytest.mark.parametrize("way", WAYS)
def test_with_tracking_off_the_value_is_there_and_the_gradient_is_none(check, way):
    case = "function: x**2\ninputs: {{x: 2}}\nautograd: {{disabled_by: {}}}\nexpect: {}"
    right = check(case.format(way, "{out: 4, x.grad: none}"))
    assert told(right) == {"out": ("pass", ""), "x.grad": ("pass", "")}
    assert notes(right)["x.grad"] == (f"none: tracking is switched off by {way}",)
    wrong = check(case.format(way, "{x.grad: 4}"))
    assert told(wrong) == {"x.grad": ("fail", "expected")}
    assert notes(wrong)["x.grad"] == (f"x.grad is none: tracking is switched off by {way}",)


def test_a_gradient_published_as_none_that_is_there_is_wrong(check_one):
    result = check_one("function: x**2\ninputs: {x: 2}\nexpect: {x.grad: none}")
    assert (result.verdict, result.blame, result.line) == ("fail", "expected", 5)
    assert result.notes == ("`x.grad` is not none",)
    assert result.entries[0].answers["autograd"].value == 4


def test_every_input_is_looked_at_where_passes_are_described(check):
    results = check("""
        function: w*x
        inputs: {w: 2, x: 3}
        autograd: {backward_passes: 2}
    """)
    assert told(results) == {"w.grad": ("pass", ""), "x.grad": ("pass", "")}
    values = {r.quantity: r.entries[0].answers["autograd"].value for r in results}
    assert values == {"w.grad": 6, "x.grad": 4}


CHAIN = """
    function: {{y: x**2, z: 3*y}}
    inputs: {{x: 2}}
    autograd: {{backward_passes: 2{}}}
    expect: {}
"""


def test_an_intermediate_has_the_gradient_of_the_last_pass_where_it_is_retained(check):
    results = check(CHAIN.format(", retain_grad: [y, z]", "{x.grad: 24, y.grad: 3, z.grad: 1}"))
    assert set(told(results).values()) == {("pass", "")}
    assert len(results) == 3


def test_an_intermediate_that_is_not_retained_has_none(check):
    results = check(CHAIN.format("", "{y.grad: none, out.grad: none}"))
    assert told(results) == dict.fromkeys(["x.grad", "y.grad", "z.grad"], ("pass", ""))
    assert "`retain_grad`" in notes(results)["y.grad"][0]
    wrong = check(CHAIN.format("", "{y.grad: 3}"))
    assert told(wrong)["y.grad"] == ("fail", "expected")


def test_another_name_for_a_value_has_the_same_gradient(check):
    results = check("""
        function: {y: x**2, z: y, loss: y*z}
        inputs: {x: 2}
        autograd: {retain_grad: z}
        expect: {y.grad: 8, z.grad: 8, x.grad: 32}
    """)
    assert set(told(results).values()) == {("pass", "")}


def test_constants_and_what_nothing_depends_on_have_none(check):
    results = check("""
        function: {y: c*2, z: x*y, unused: x*3, loss: z + 1}
        constants: {c: 2}
        inputs: {x: 2, q: 1}
        autograd: {retain_grad: [y, unused]}
        expect: {c.grad: none, y.grad: none, q.grad: none, unused.grad: none, x.grad: 4}
    """)
    assert set(told(results).values()) == {("pass", "")}
    said = notes(results)
    assert said["c.grad"] == ("none: `c` is not an input that is differentiated by",)
    assert said["y.grad"] == ("none: `y` depends on no input",)
    assert said["q.grad"] == ("none: `loss` does not depend on `q`",)
    assert said["unused.grad"] == ("none: `loss` does not depend on `unused`",)


def test_a_detached_input_has_none_and_0_is_another_answer(check):
    case = "function: detach(x)*w\ninputs: {{x: 2, w: 3}}\nexpect: {{x.grad: {}, w.grad: 2}}"
    assert set(told(check(case.format("none"))).values()) == {("pass", "")}
    wrong = check(case.format("0"))
    assert told(wrong) == {"x.grad": ("fail", "expected"), "w.grad": ("pass", "")}
    assert notes(wrong)["x.grad"] == ("x.grad is none: autograd sees no path from `x` to `out`",)


def test_a_derivative_of_0_that_autograd_follows_is_0_and_not_none(check):
    case = "function: x*0\ninputs: {{x: 2}}\nexpect: {{x.grad: {}}}"
    assert told(check(case.format("0"))) == {"x.grad": ("pass", "")}
    assert told(check(case.format("none"))) == {"x.grad": ("fail", "expected")}


@pytest.mark.parametrize(
    ("function", "step"),
    [
        ("{y: detach(x)*2, z: x*y}", "y"),
        ("{y: detach(x), z: x*y}", "y"),
        ("{y: zeros_like(x), z: (y + 1)*x}", "y"),
        ("{m: x > 0, z: m*x}", "m"),
        ("{m: x > 0, z: 'where(m, x**2, x)'}", "m"),
    ],
)
def test_a_step_that_is_detached_or_a_mask_has_none_though_it_is_retained(check, function, step):
    case = "function: {}\ninputs: {{x: 2}}\nautograd: {{retain_grad: {}}}\nexpect: {{{}.grad: {}}}"
    right = check(case.format(function, step, step, "none"))
    assert told(right) == dict.fromkeys(["x.grad", f"{step}.grad"], ("pass", ""))
    assert "is not tracked" in notes(right)[f"{step}.grad"][0]
    wrong = check(case.format(function, step, step, 1))
    assert told(wrong)[f"{step}.grad"] == ("fail", "expected")


def test_gradients_of_tensors_and_of_recurrent_states(check):
    results = check("""
        function:
          recurrence: {steps: 3, states: {h: {start: h0, next: "tanh(W @ h)"}}}
          loss: sum(h**2)
        inputs: {W: {shape: [2, 2], sample: normal}, h0: {shape: [2], sample: normal}}
        autograd: {backward_passes: 2, retain_grad: h}
        dtypes: [float64, float32]
    """)
    assert {r.quantity for r in results} == {"W.grad", "h0.grad", "h.grad"}
    assert {r.verdict for r in results} == {"pass"}
    shapes = {r.quantity: len(r.entries[0].index) for r in results}
    assert shapes == {"W.grad": 2, "h0.grad": 1, "h.grad": 1}


def test_backward_starts_from_one_number(check_one):
    result = check_one("function: x**2\ninputs: {x: [1, 2]}\nautograd: {}")
    assert (result.verdict, result.blame) == ("error", "function")
    assert result.notes == (
        "backward starts from one number, but `out` has shape [2]: add it up, as by sum()",
    )


def test_a_published_gradient_of_the_wrong_shape_is_wrong(check_one):
    result = check_one("function: sum(x**2)\ninputs: {x: [1, 2]}\nexpect: {x.grad: [2, 4, 6]}")
    assert (result.verdict, result.blame) == ("fail", "expected")
    assert "shape [3]" in result.notes[0]
    assert "shape [2]" in result.notes[0]


def test_a_wrong_gradient_of_torchs_is_blamed_on_autograd(check, monkeypatch):
    real = autograd.gradients

    def doubled(*arguments):
        return {name: g and 2 * g for name, g in real(*arguments).items()}

    monkeypatch.setattr(autograd, "gradients", doubled)
    case = "function: x**2\ninputs: {x: 2}\nautograd: {}"
    assert told(check(case)) == {"x.grad": ("fail", "autograd")}
    monkeypatch.setattr(autograd, "gradients", lambda *a: dict.fromkeys(real(*a)))
    assert told(check(case)) == {"x.grad": ("fail", "autograd")}
    monkeypatch.setattr(autograd, "gradients", lambda *a: {"x": torch.ones(())})
    off = check("function: x**2\ninputs: {x: 2}\nautograd: {disabled_by: no_grad}")
    assert told(off) == {"x.grad": ("fail", "autograd")}
    assert notes(off)["x.grad"][0].startswith("x.grad is there, though tracking is switched off")


@pytest.mark.parametrize("way", [None, *WAYS])
def test_the_oracle_does_what_torch_does_by_hand(way):
    """The same passes, written out in torch."""
    steps = (Step("y", parse("x**3", scope=["x"])), Step("z", parse("y*x", scope=["x", "y"])))
    function = Function(("x",), steps, "z")
    point = torch.tensor(1.5, dtype=torch.float64)
    passes = Passes(1 if way else 2, False, way, () if way else ("y",))
    meaning = TorchMeaning(torch.float64, torch.device("cpu"))
    found = autograd.gradients(function, {"x": point}, ["x"], passes, meaning)
    x = point.clone().requires_grad_()
    if way is None:
        for _ in range(2):
            y = x**3
            y.retain_grad()
            (y * x).backward()
        assert found["x"] == x.grad
        assert found["y"] == y.grad
    else:
        assert set(found) <= {"x"}
        assert found.get("x") is None
    assert point.grad is None
    assert not point.requires_grad
