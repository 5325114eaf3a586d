"""Hand-written backward passes and jvps: every line is judged, and the wrong one is blamed."""

import json

import pytest

import gradcheck
from gradcheck.errors import InvalidCaseError
from gradcheck.results import Result

DTYPES = ["float64", "float32", "float16", "bfloat16"]

AFFINE = {
    "function": {"z": "W @ x + b"},
    "inputs": {
        "W": {"shape": ["m", "n"], "sample": "normal"},
        "x": {"shape": ["n"], "sample": "uniform(-1, 1)"},
        "b": {"shape": ["m"], "sample": "normal"},
    },
    "backward": {"dW": "outer(dz, x)", "dx": "W.T @ dz", "db": "dz"},
    "jvp": {"dz": "W @ dx + dW @ x + db"},
}
LAYER = {
    "function": {"a": "W @ x", "h": "tanh(a)", "loss": "sum(h**2)"},
    "inputs": {"W": [[0.5, -1.2], [0.3, 0.8], [-0.7, 0.1]], "x": [0.9, -0.4]},
    "backward": {
        "dh": "2*h*dloss",
        "da": "dh*(1 - h**2)",
        "dW": "outer(da, x)",
        "dx": "W.T @ da",
    },
    "jvp": {"da": "dW @ x + W @ dx", "dh": "(1 - h**2)*da", "dloss": "sum(2*h*dh)"},
}
RNN = {
    "function": {
        "recurrence": {
            "steps": 5,
            "index": "t",
            "states": {"h": {"start": "h_0", "next": "tanh(W @ h + U @ x[t] + b)"}},
        },
        "y": "V @ h",
    },
    "inputs": {
        "W": {"shape": [3, 3], "sample": "uniform(-0.5, 0.5)"},
        "U": {"shape": [3, 2], "sample": "normal"},
        "b": {"shape": [3], "sample": "normal"},
        "V": {"shape": [2, 3], "sample": "normal"},
        "x": {"shape": [5, 2], "sample": "normal"},
        "h_0": {"shape": [3], "sample": "normal"},
    },
    "backward": {
        "dV": "outer(dy, h)",
        "dh": "V.T @ dy",
        "recurrence": {
            "da": "dh * (1 - h[t + 1]**2)",
            "dW": {"start": 0, "next": "dW + outer(da, h[t])"},
            "dU": {"start": 0, "next": "dU + outer(da, x[t])"},
            "db": {"start": 0, "next": "db + da"},
            "dh": {"start": "dh", "next": "W.T @ da"},
        },
        "dh_0": "dh",
    },
    "jvp": {
        "recurrence": {
            "dh": {
                "start": "dh_0",
                "next": "(1 - h[t + 1]**2) * (dW @ h[t] + W @ dh + dU @ x[t] + U @ dx[t] + db)",
            }
        },
        "dy": "dV @ h + V @ dh",
    },
}
LSTM = {
    "function": {
        "f": "sigmoid(wf*x)",
        "g": "tanh(wg*x)",
        "c_next": "f*c + g",
        "h_next": "f*tanh(c_next)",
    },
    "outputs": ["h_next", "c_next"],
    "inputs": {"wf": [0.3, -0.8], "wg": [1.1, 0.4], "x": [0.7, -1.3], "c": [0.2, 0.9]},
    "backward": {
        "dc_total": "dc_next + dh_next*f*(1 - tanh(c_next)**2)",
        "df": "dc_total*c + dh_next*tanh(c_next)",
        "dg": "dc_total",
        "dc": "dc_total*f",
        "dwf": "df*f*(1 - f)*x",
        "dwg": "dg*(1 - g**2)*x",
        "dx": "df*f*(1 - f)*wf + dg*(1 - g**2)*wg",
    },
}


def run(case: dict, **changes) -> list[Result]:
    case = {**case, **changes}
    return list(gradcheck.check(case.pop("function"), case.pop("inputs"), **case).results)


def with_line(case: dict, key: str, name: str, formula: str) -> dict:
    """The case with another formula; `recurrence.dh` is the `next` of what is carried there."""
    case = json.loads(json.dumps(case))
    block, _, inner = name.partition(".")
    if not inner:
        case[key][block] = formula
    elif isinstance(case[key][block][inner], dict):
        case[key][block][inner]["next"] = formula
    else:
        case[key][block][inner] = formula
    return case


def failures(results: list[Result]) -> list[str]:
    return [result.quantity for result in results if result.verdict != "pass"]


def problems(case: dict, **changes) -> str:
    with pytest.raises(InvalidCaseError) as caught:
        run(case, **changes)
    return " / ".join(problem.message for problem in caught.value.problems)


# -- what is right passes ----------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [{"m": 3, "n": 4}, {"m": 1, "n": 1}, {"m": 0, "n": 2}])
def test_an_affine_layer_passes_in_every_dtype(sizes: dict) -> None:
    results = run(AFFINE, sizes=sizes, dtypes=DTYPES, samples=2)
    assert {r.quantity for r in results} == {"dW", "dx", "db", "dz (jvp)"}
    assert {r.dtype for r in results} == set(DTYPES)
    assert {(r.verdict, r.truth) for r in results} == {("pass", "exact")}


@pytest.mark.parametrize("case", [LAYER, RNN, LSTM], ids=["layer", "RNN", "LSTM"])
def test_what_is_right_passes_with_proof(case: dict) -> None:
    results = run(case, dtypes=["float64", "float32"])
    assert {(r.verdict, r.truth) for r in results} == {("pass", "exact")}


def test_cotangents_and_tangents_of_one_value_are_two_quantities() -> None:
    assert [r.quantity for r in run(LAYER)] == [
        *("dh", "da", "dW", "dx"),
        *("da (jvp)", "dh (jvp)", "dloss (jvp)"),
    ]


def test_a_state_is_judged_at_every_step() -> None:
    results = {r.quantity: r for r in run(with_line(RNN, "backward", "recurrence.dh", "W @ da"))}
    assert results["dh"].verdict == "pass"
    assert results["dh[t]"].verdict == "fail"
    label = results["dh[t]"].entries[0].label
    assert label.startswith("dh[")
    assert label.endswith(("at step 1", "at step 2", "at step 3", "at step 4"))


# -- what is wrong fails, and is blamed --------------------------------------------------------

WRONG = [
    (LAYER, "backward", "dh", "2*h", "dh"),  # the cotangent is forgotten
    (LAYER, "backward", "dh", "h*dloss", "dh"),
    (LAYER, "backward", "da", "dh", "da"),
    (LAYER, "backward", "da", "dh*(1 - a**2)", "da"),
    (LAYER, "backward", "dW", "outer(x, da)", "dW"),
    (LAYER, "backward", "dW", "outer(dh, x)", "dW"),
    (LAYER, "backward", "dx", "W.T @ dh", "dx"),
    (LAYER, "jvp", "da", "W @ dx", "da (jvp)"),
    (LAYER, "jvp", "dh", "da", "dh (jvp)"),
    (LAYER, "jvp", "dloss", "sum(h*dh)", "dloss (jvp)"),
    (RNN, "backward", "dV", "outer(h, dy)", "dV"),
    (RNN, "backward", "dh", "V.T @ (2*dy)", "dh"),
    (RNN, "backward", "recurrence.dW", "dW + outer(da, h[t + 1])", "dW"),
    (RNN, "backward", "recurrence.dW", "outer(da, h[t])", "dW"),
    (RNN, "backward", "recurrence.da", "dh * (1 - h[t]**2)", "dh[t]"),
    (RNN, "backward", "recurrence.dU", "dU + outer(da, x[0])", "dU"),
    (RNN, "backward", "recurrence.db", "db + dh", "db"),
    (RNN, "backward", "recurrence.dh", "W @ da", "dh[t]"),
    (RNN, "backward", "dh_0", "W.T @ dh", "dh_0"),
    (RNN, "jvp", "dy", "V @ dh", "dy (jvp)"),
    (LSTM, "backward", "df", "dc_total*c", "df"),
    (LSTM, "backward", "dg", "dc_next", "dg"),
    (LSTM, "backward", "dc", "dc_total", "dc"),
    (LSTM, "backward", "dwf", "df*f*x", "dwf"),
    (LSTM, "backward", "dx", "df*f*(1 - f)*wf", "dx"),
]


@pytest.mark.parametrize(
    ("case", "key", "line", "formula", "first"), WRONG, ids=[f"{w[2]}: {w[3]}" for w in WRONG]
)
def test_a_wrong_line_fails_first(
    case: dict, key: str, line: str, formula: str, first: str
) -> None:
    results = run(with_line(case, key, line, formula))
    failed = [r for r in results if r.verdict != "pass"]
    assert failed[0].quantity == first
    assert {(r.verdict, r.blame) for r in failed} == {("fail", "handwritten")}


def test_what_follows_from_a_wrong_line_says_so() -> None:
    results = run(with_line(LAYER, "backward", "da", "dh"))
    failed = {r.quantity: r for r in results if r.verdict == "fail"}
    assert list(failed) == ["da", "dW", "dx"]
    assert not any("look there first" in one.text for one in failed["da"].diagnosis)
    for name in ("dW", "dx"):
        (told,) = failed[name].diagnosis
        assert told.kind == "consequence"
        assert told.text.endswith("it uses `da`, which is wrong: look there first")


def test_what_a_step_takes_from_a_wrong_state_says_so() -> None:
    results = run(with_line(RNN, "backward", "recurrence.dh", "W @ da"))
    failed = {r.quantity: r.notes for r in results if r.verdict == "fail"}
    assert list(failed) == ["dh[t]", "dW", "dU", "db", "dh_0"]
    assert all(failed[q][0].startswith("it uses `dh`") for q in ("dW", "dU", "db", "dh_0"))


def test_a_line_for_oneself_is_no_claim() -> None:
    lines = {"slope": "1 - h**2", "da": "2*h*dloss*slope"}
    assert [r.quantity for r in run(LAYER, backward=lines, jvp=None)] == ["da"]


def test_a_missing_sum_over_the_batch_is_a_wrong_shape() -> None:
    batch = {
        "function": {"y": "x @ W.T + b"},
        "inputs": {
            "x": {"shape": [4, 3], "sample": "normal"},
            "W": {"shape": [2, 3], "sample": "normal"},
            "b": {"shape": [2], "sample": "normal"},
        },
        "backward": {"db": "sum(dy, 0)", "dW": "dy.T @ x", "dx": "dy @ W"},
    }
    assert failures(run(batch)) == []
    (wrong,) = [r for r in run(with_line(batch, "backward", "db", "dy")) if r.verdict != "pass"]
    assert (wrong.quantity, wrong.blame) == ("db", "handwritten")
    assert "shape [4, 2], but the gradient has the input's shape [2]" in wrong.notes[0]


def test_every_alternative_is_judged_and_the_first_is_used() -> None:
    case = with_line(LAYER, "backward", "da", ["dh*(1 - h**2)", "dh*(1 - tanh(a)**2)", "dh"])
    assert [(r.quantity, r.formula) for r in run(case) if r.verdict != "pass"] == [("da", "dh")]


@pytest.mark.parametrize("wrong", ["2*x*clamp(dy, -1, 1)", "2*x*abs(dy)", "-2*x*abs(dy)"])
def test_what_is_right_for_one_cotangent_only_fails(wrong: str) -> None:
    case = {"function": {"y": "x**2"}, "inputs": {"x": [3.0, 1.0, -1.0, 2.0, 4.0]}}
    (result,) = run(case, backward={"dx": wrong})
    assert (result.verdict, result.blame) == ("fail", "handwritten")
    case["inputs"] = {"x": 3.0}
    (result,) = run(case, backward={"dx": wrong})
    assert (result.verdict, result.blame) == ("fail", "handwritten")


def test_a_tangent_that_is_right_for_one_sign_only_fails() -> None:
    case = {"function": {"y": "x**2"}, "inputs": {"x": 3.0}}
    for wrong in ("2*x*abs(dx)", "-2*x*abs(dx)"):
        (result,) = run(case, jvp={"dy": wrong})
        assert (result.verdict, result.blame) == ("fail", "handwritten")


def test_where_a_value_overflowed_nothing_passes() -> None:
    (result,) = run(
        {"function": {"z": "x**2", "y": "1/z"}, "inputs": {"x": 1e200}}, derivatives={"dy/dz": "5"}
    )
    assert result.verdict == "inconclusive"
    case = {"function": "sum((x - mean(x))**2)", "inputs": {"x": [1e5, 1.0]}}
    results = run(case, derivatives={"x": "2*(x - mean(x))"}, dtypes=["float16", "float32"])
    assert [r.verdict for r in results] == ["inconclusive", "pass"]


def test_what_goes_on_for_too_long_accuses_nobody() -> None:
    case = {
        "function": {
            "recurrence": {
                "steps": 10000,
                "states": {"h": {"start": "h_0", "next": "h + sin(w*h)"}},
            }
        },
        "inputs": {"w": 0.001, "h_0": 0.5},
    }
    update = "dh*(1 + w*cos(w*h[0]))" + "*1" * 10
    lines = {"recurrence": {"dh": {"start": "dh", "next": update}}}
    assert {r.verdict for r in run(case, backward={**lines, "dh_0": "dh"})} == {"inconclusive"}


def test_a_state_that_changes_its_shape_is_told() -> None:
    state = {"start": "h_0", "next": "concatenate([h, w*h[0:1]])"}
    case = {
        "function": {"recurrence": {"steps": 3, "states": {"h": state}}},
        "inputs": {"w": 2.0, "h_0": [0.5, 2.0]},
    }
    (result,) = run(case, derivatives={"w": "1"})
    assert (result.verdict, result.blame) == ("error", "function")
    assert "the state `h` changes shape from [3] to [4]" in result.notes[0]


# -- cotangents that were published ------------------------------------------------------------


def test_published_cotangents_are_looked_at_and_drawn_ones_too() -> None:
    results = run(
        {"function": {"y": "2*x*w"}, "inputs": {"x": [1.0, 2.0], "w": [3.0, -1.0]}},
        backward={"dw": "2*x*dy", "dx": "2*w*dy"},
        cotangents={"dy": [1, -2]},
        expect={"dw": [2, -8], "y": [6, -4]},
    )
    assert failures(results) == []
    assert {r.point for r in results} == {"1", "1, drawn cotangents"}
    assert [r.quantity for r in results if r.point != "1"] == ["dw", "dx"]


def test_a_wrong_published_gradient_is_blamed() -> None:
    results = run(
        {"function": "x**2", "inputs": {"x": 3.0}}, backward={"dx": "2*x*dout"}, expect={"dx": 7}
    )
    assert [(r.verdict, r.blame) for r in results] == [("fail", "expected"), ("pass", "")]


def test_a_formula_that_ignores_the_cotangent_fails_where_that_is_drawn() -> None:
    results = run(
        {"function": "x**2", "inputs": {"x": 3.0}}, backward={"dx": "2*x"}, expect={"dx": 6}
    )
    assert [r.verdict for r in results] == ["fail", "fail"]
    assert "not linear in `dout`" in results[0].notes[0]


def test_a_published_gradient_of_several_outputs_needs_their_cotangent() -> None:
    case = {"function": {"y": "2*x"}, "inputs": {"x": [1.0, 2.0]}, "backward": {"dx": "2*dy"}}
    (first, *_) = run(case, expect={"dx": [2, 4]})
    assert first.verdict == "error"
    assert first.notes == ("`y` has shape [2]: write its cotangent under `cotangents: {dy: …}`",)
    (first, *_) = run(case, cotangents={"dy": [1, 2, 3]})
    assert first.notes == ("the cotangent `dy` has shape [3], but `y` has shape [2]",)


def test_states_may_be_published_step_by_step() -> None:
    results = run(
        {
            "function": {
                "recurrence": {"steps": 3, "states": {"h": {"start": "h_0", "next": "w*h"}}}
            },
            "inputs": {"w": 2.0, "h_0": 0.5},
        },
        backward={"recurrence": {"dh": {"start": "dh", "next": "w*dh"}}, "dh_0": "dh"},
        expect={"dh": [4, 2, 1], "dh_0": 8},
    )
    assert failures(results) == []


# -- what is not said --------------------------------------------------------------------------


def test_inputs_without_a_line_are_told() -> None:
    results = run(with_line(LAYER, "jvp", "da", "dW @ x + W @ dx"), backward={"dh": "2*h*dloss"})
    assert results[0].notes == ("no line covers `W` and `x`",)
    assert results[0].is_partial
    assert not any(r.is_partial for r in results[1:])


# -- what is no pass ---------------------------------------------------------------------------

CHAIN = {"function": {"y": "k*x", "z": "sin(y)"}, "inputs": {"x": 0.3}, "constants": {"k": 2.0}}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"dy": "dz*cos(y)", "dk": "dy*x"}, "`k` is a constant, which has no cotangent"),
        ({"dz": "1"}, "`dz` is given"),
        ({"dout": "1"}, "`dout` is given"),
        ({"dx": "dy*k", "dy": "dz*cos(y)"}, "`dy` is not known yet: it is computed below"),
        ({"dy": "dz*cos(y)", "dX": "dy*k"}, "`dX` is no cotangent of a value, and no later line"),
        ({"foo": "dz", "dy": "dz*cos(y)"}, "`foo` is no cotangent of a value, and no later"),
        ({"foo": "dz", "bar": "foo", "baz": "bar"}, "`baz` is no cotangent"),
        ({"y": "dz"}, "`y` is a value of the case: a line has a new name"),
        ({"x": "dz"}, "`x` is a value of the case"),
        ({"sin": "dz"}, "`sin` hides a word of the language"),
        ({"d y": "dz"}, "`d y` is no name"),
        ({"dy": "dw*cos(y)"}, "`dw` is not known"),
        ({"dy": "dz*cos(y"}, "not a formula"),
        ({"recurrence": {"dy": "dz"}}, "the function has no step called `recurrence`"),
        ({"recurrence": "dz"}, "here stand the lines of a step"),
        ({"loop": {"dy": "dz"}}, "lines of steps belong to a line called `recurrence`"),
    ],
)
def test_a_line_that_is_none_is_told(lines: dict, message: str) -> None:
    assert message in problems(CHAIN, backward=lines)


def test_a_value_may_not_be_called_as_a_cotangent_that_is_given() -> None:
    case = {"function": {"y": "dy*x"}, "inputs": {"x": 0.3}, "constants": {"dy": 2.0}}
    assert "`dy` is a value, and a cotangent too" in problems(case, backward={"dx": "dy*2"})


def test_what_is_computed_at_every_step_and_not_carried_is_told() -> None:
    message = problems(
        with_line(RNN, "backward", "recurrence.da", "dh"),
        backward={
            "recurrence": {"dW": "outer(dh, h[t])", "dh": {"start": "V.T @ dy", "next": "W.T @ dh"}}
        },
    )
    assert "carry it, as {start: 0, next: dW + …}" in message


def test_a_line_without_a_value_is_shown_itself() -> None:
    wrong = with_line(RNN, "backward", "recurrence.da", "dh @ outer(h[t], x[t]) @ dh")
    failed = [r for r in run(wrong) if r.verdict != "pass"]
    assert {r.formula for r in failed} == {"dh @ outer(h[t], x[t]) @ dh"}
    assert not any("look there first" in note for r in failed for note in r.notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backward": {"dx": "dz*cos(y)*k"}, "cotangents": {"dw": 1}}, "`dw` is no cotangent of"),
        ({"jvp": {"dy": "k*dx"}, "cotangents": {"dz": 1}}, "cotangents are for `backward`"),
        ({"jvp": {"dx": "1"}}, "`dx` is given"),
        ({"jvp": {"dy": "dk*x"}}, "`dk` is not known"),
        ({"jvp": {"dk": "x"}}, "`k` is a constant, whose tangent is 0"),
        ({"outputs": ["z", "q"], "backward": {"dx": "dz"}}, "`q` is not a step of the function"),
        ({"outputs": ["z", "z"], "backward": {"dx": "dz"}}, "`z` is listed twice"),
        ({"outputs": "y", "backward": {"dz": "dy"}}, "`y` does not depend on `z`"),
    ],
)
def test_what_cannot_be_meant_is_told(changes: dict, message: str) -> None:
    assert message in problems(CHAIN, **changes)
