"""A backward, a jvp and derivatives written by hand in Python, of a function in Python."""

import functools

import pytest
import torch
from wrong_functions import custom, sine

import gradcheck
from gradcheck.errors import UsageError

check = functools.partial(gradcheck.check, conditions="none")


def normal(*shape, dtype=torch.float64, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def told(report):
    return {r.quantity: (r.verdict, r.blame) for r in report.results}


def affine(x, weight, bias):
    return x @ weight.T + bias


X, W, B = normal(4, 3), normal(2, 3), normal(2)


def d_affine(dout, x, weight, bias):
    return dout @ weight, dout.T @ x, dout.sum(0)


def test_a_right_backward_passes_for_each_input():
    report = check(affine, (X, W, B), backward=d_affine)
    assert report.ok, str(report)
    assert [r.quantity for r in report.results if r.quantity.endswith("(backward)")] == [
        "dout/dx (backward)",
        "dout/dweight (backward)",
        "dout/dbias (backward)",
    ]


GIVEN = {
    "by name": lambda dout, x, weight, bias: {
        "weight": dout.T @ x,
        "x": dout @ weight,
        "bias": dout.sum(0),
    },
    "as a list": lambda *args: list(d_affine(*args)),
    "from the arguments that it takes": lambda dout, x, weight: d_affine(dout, x, weight, None),
    "in another order": lambda dout, weight, x: d_affine(dout, x, weight, None),
    "with other names": lambda g, a, b, c: d_affine(g, a, b, c),
}


@pytest.mark.parametrize("backward", GIVEN.values(), ids=GIVEN)
def test_gradients_may_be_given_in_several_ways(backward):
    report = check(affine, (X, W, B), backward=backward)
    assert report.ok, str(report)


WRONG = {
    "transposed": (
        lambda dout, x, weight: (dout @ weight, (x.T @ dout).T * 1.001, dout.sum(0)),
        "weight",
    ),
    "a mean for a sum": (lambda dout, x, weight: (dout @ weight, dout.T @ x, dout.mean(0)), "bias"),
    "nothing": (lambda dout, x, weight: (dout @ weight, None, dout.sum(0)), "weight"),
}


@pytest.mark.parametrize(("backward", "name"), WRONG.values(), ids=WRONG)
def test_a_wrong_backward_is_blamed_on_the_input_that_it_is_wrong_by(backward, name):
    found = told(check(affine, (X, W, B), backward=backward))
    bad = {quantity: one for quantity, one in found.items() if one != ("pass", "")}
    assert bad == {f"dout/d{name} (backward)": ("fail", "handwritten")}


SHAPES = {
    "a missing sum": (
        lambda dout, x, weight: (dout @ weight, dout.T @ x, dout),
        "what was written has shape [4, 2] as the gradient by `bias`, but `bias` has [2]: is a sum "
        "missing?",
    ),
    "too few": (
        lambda dout, x, weight: (dout @ weight, dout.T @ x),
        "what was written has 2 gradients, but there are 3 inputs: x, weight, bias",
    ),
    "an unknown name": (
        lambda dout, x, weight: {"w": dout.T @ x},
        "what was written has a gradient by `w`, but the inputs are x, weight, bias",
    ),
    "a number": (
        lambda dout, x, weight: (1.0, dout.T @ x, dout.sum(0)),
        "what was written has no tensor as the gradient by `x`, but float",
    ),
}


@pytest.mark.parametrize(("backward", "note"), SHAPES.values(), ids=SHAPES)
def test_what_is_no_gradient_is_told_with_both_shapes(backward, note):
    (bad,) = [r for r in check(affine, (X, W, B), backward=backward).results if r.is_bad]
    assert (bad.verdict, bad.blame, bad.notes) == ("fail", "handwritten", (note,))


def test_a_backward_that_is_not_linear_fails():
    def backward(dout, x, weight):
        return dout.clamp(-1, 1) @ weight, dout.T @ x, dout.sum(0)

    (bad,) = [r for r in check(affine, (X, W, B), backward=backward).results if r.is_bad]
    assert (bad.quantity, bad.blame) == ("condition linear (backward)", "handwritten")


TANGENTS = {
    "without its sign": (torch.abs, "a pass with random tangents is not their product"),
    "and a constant": (lambda dx: dx + 1, "a pass with random tangents is not their product"),
    "clipped where it is large": (lambda dx: dx.clamp(-50, 50), "for 1024·t, divided by 1024"),
    "0 where it is small": (lambda dx: torch.where(dx.abs() < 1e-2, 0, dx), "for 0.000976562·t"),
    "in bfloat16": (lambda dx: dx.bfloat16().to(dx.dtype), "rounds its tangent to fewer digits"),
}


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize(("change", "note"), TANGENTS.values(), ids=TANGENTS)
def test_a_jvp_that_is_not_linear_in_its_tangent_fails(change, note, is_own):
    def jvp(dx, x):
        return 2 * x * change(dx)

    own = sine(jvp=lambda given, t: change(t) * given[0].cos())
    report = check(own, X) if is_own else check(torch.square, X, jvp=jvp)
    (bad,) = [r for r in report.results if r.is_bad]
    suffix, blame = ("forward mode", "autograd") if is_own else ("jvp", "handwritten")
    assert (bad.quantity, bad.blame) == (f"condition linear ({suffix})", blame)
    assert note in bad.notes[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-30, 1e30])
def test_a_jvp_that_is_linear_is_so_in_every_dtype_and_size(size, dtype):
    x = X.to(dtype)
    right = check(lambda x: size * x.sin(), x, jvp=lambda dx, x: size * x.cos() * dx)
    assert right.verdict != "fail", str(right)


def test_a_backward_that_raises_is_an_error_with_its_own_lines():
    def backward(dout, x, weight):
        raise RuntimeError("not written yet")

    (bad,) = [r for r in check(affine, (X, W, B), backward=backward).results if r.is_bad]
    assert (bad.verdict, bad.blame) == ("error", "handwritten")
    assert bad.notes[0].startswith("RuntimeError: not written yet, from tests/test_written.py:")


def test_a_function_that_torch_does_not_track_has_only_its_own_backward():
    def forward(x):
        return torch.from_numpy(x.detach().numpy() ** 2)

    right = check(forward, X, backward=lambda dout, x: 2 * x * dout)
    assert right.ok, str(right)
    assert [r.quantity for r in right.results] == ["dout/dx (backward)"]
    wrong = check(forward, X, backward=lambda dout, x: x * dout)
    assert told(wrong) == {"dout/dx (backward)": ("fail", "handwritten")}


def test_a_jvp_is_held_to_the_derivative():
    def jvp(dx, dweight, dbias, x, weight):
        return dx @ weight.T + x @ dweight.T + dbias

    report = check(affine, (X, W, B), jvp=jvp)
    assert report.ok, str(report)

    def forgets(dx, dweight, dbias, x, weight):
        return dx @ weight.T + dbias

    bad = {q for q, one in told(check(affine, (X, W, B), jvp=forgets)).items() if one[0] != "pass"}
    assert bad == {"dout/dweight (jvp)"}


def test_several_outputs_and_constants():
    def function(x, scale, index):
        return {"y": scale * x.sin(), "z": (x[index] ** 2, 3)}

    def backward(dy, dz, x, scale, index):
        first = dy * scale * x.cos()
        second = torch.zeros_like(x).index_add(0, index, 2 * x[index] * dz)
        return first + second

    x = normal(3)
    report = check(function, (x, 2.0, torch.tensor([2, 0])), backward=backward)
    assert report.ok, str(report)
    one = check(
        function, (x, 2.0, torch.tensor([2, 0])), backward=lambda dy, dz, x: dy * 2 * x.cos()
    )
    assert told(one)["dout['z'][0]/dx (backward)"] == ("fail", "handwritten")


def test_complex_gradients_follow_torchs_convention():
    z = torch.tensor([0.3 - 0.4j, 1.1 + 0.2j], dtype=torch.complex128)
    right = check(lambda z: z**2, z, backward=lambda dout, z: dout * (2 * z).conj())
    assert right.ok, str(right)
    wrong = check(lambda z: z**2, z, backward=lambda dout, z: dout * 2 * z)
    assert told(wrong)["dout/dz (backward)"] == ("fail", "handwritten")


def test_a_million_entries_are_looked_at_along_directions():
    x = normal(200_000)
    right = check(torch.sin, x, backward=lambda dout, x: dout * x.cos())
    assert right.ok, str(right)
    wrong = check(torch.sin, x, backward=lambda dout, x: dout * x.cos() * (1 + 1e-5))
    assert [r.blame for r in wrong.results if r.is_bad] == ["handwritten"]
    shape = check(torch.sin, x, backward=lambda dout, x: (dout * x.cos()).sum())
    assert [r.verdict for r in shape.results if r.is_bad] == ["fail"]


def test_conditions_are_looked_at_on_what_was_written_too():
    def backward(dout, x):
        return dout.mul_(x.cos())

    report = gradcheck.check(lambda x: x.sin(), normal(3), backward=backward)
    bad = {r.quantity: r.blame for r in report.results if r.is_bad}
    assert bad["condition cotangent_unchanged (backward)"] == "handwritten"


def test_known_inaccuracies_are_waived_up_to_their_size():
    off = custom(torch.sin, lambda saved, g: (1 + 1e-5) * g * saved[0].cos())
    known = {"autograd": 2e-5, "reason": "a table of 5 digits"}
    report = check(off, normal(3), known=known)
    assert report.ok, str(report)
    assert any(
        n.startswith("known: a table of 5 digits, off by 1e-05") for n in report.results[0].notes
    )
    assert not check(off, normal(3), known={**known, "autograd": 5e-6}).ok
    assert not check(off, normal(3), known={"handwritten": 1.0, "reason": "another"}).ok


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"autograd": 1e-3}, "`known` needs a `reason`"),
        (
            {"reason": "x"},
            "`known` says how inaccurate `handwritten`, `autograd` or `function` may be",
        ),
        (
            {"numeric": 1, "reason": "x"},
            "`known` says how inaccurate `handwritten`, `autograd` or `function`",
        ),
        ({"autograd": 0, "reason": "x"}, "`known` for `autograd` is a positive number, not 0"),
    ],
)
def test_what_known_may_say(known, message):
    with pytest.raises(UsageError, match=message):
        check(torch.sin, normal(2), known=known)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"backward": 3}, "`backward` is a function, not 3"),
        ({"jvp": "x"}, "`jvp` is a function, not 'x'"),
        ({"rng": "fix"}, "`rng` is \"fixed\" or left out, not 'fix'"),
        ({"conditions": "liner"}, "`liner` is no condition: did you mean `linear`?"),
    ],
)
def test_a_setting_that_cannot_be_meant(setting, message):
    with pytest.raises(UsageError, match=message):
        gradcheck.check(torch.sin, normal(2), **setting)
