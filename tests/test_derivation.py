"""What was written of a case, as whoever reads its failures is told it."""

from gradcheck.casefile.load import load
from gradcheck.derivation import derivation


def lines(path):
    file = load(path)
    assert not file.problems
    (case,) = file.cases
    return [(line.kind, line.name, line.formula) for line in derivation(case)]


def test_steps_come_before_derivatives_and_definitions_before_what_uses_them(write):
    path = write("""
        definitions:
          squared(a): a*a
          mse(y, y_hat):
            d: y - y_hat
            value: squared(d)
          unused(a): a
        cases:
          c:
            inputs: {x: 2.0}
            function: {z: 3*x, loss: "mse(z, 1)"}
            derivatives: {dloss/dz: [2*(z - 1), 2*z - 2], dloss/dx: dloss/dz * 3}
    """)
    assert lines(path) == [
        ("definition", "squared(a)", "a*a"),
        ("definition", "d", "y - y_hat"),
        ("definition", "mse(y, y_hat)", "squared(d)"),
        ("step", "z", "3*x"),
        ("step", "loss", "mse(z, 1)"),
        ("derivative", "dloss/dz", "2*(z - 1)"),
        ("derivative", "dloss/dz", "2*z - 2"),
        ("derivative", "dloss/dx", "dloss/dz * 3"),
    ]


def test_what_is_carried_along_a_recurrence_has_its_start(write):
    path = write("""
        inputs: {w: 2.0, h_0: 0.5}
        function: {recurrence: {steps: 2, index: t, states: {h: {start: h_0, next: w*h}}}}
        derivatives:
          recurrence:
            dh/dw: {start: 0, next: h + w * dh/dw}
          dh/dw: 2*w*h_0
        backward:
          recurrence:
            dw: {start: 0, next: "dw + h[t]*dh"}
            dh: {start: dh, next: w*dh}
          dh_0: dh
    """)
    assert lines(path) == [
        ("step", "h", "start: h_0, next: w*h"),
        ("repeat", "t", "2"),
        ("derivative", "dh[t]/dw", "start: 0, next: h + w * dh/dw"),
        ("derivative", "dh/dw", "2*w*h_0"),
        ("backward", "dw", "start: 0, next: dw + h[t]*dh"),
        ("backward", "dh", "start: dh, next: w*dh"),
        ("backward", "dh_0", "dh"),
    ]


def test_lines_of_a_pass_are_there_once_and_in_order(write):
    path = write("""
        inputs: {w: 2.0, x: 3.0}
        function: {a: w*x, z: a**2}
        backward: {g: 2*dz, da: g*a, dw: da*x, dx: da*w}
        jvp: {da: dw*x + w*dx, dz: 2*a*da}
    """)
    assert lines(path)[2:] == [
        ("backward", "g", "2*dz"),
        ("backward", "da", "g*a"),
        ("backward", "dw", "da*x"),
        ("backward", "dx", "da*w"),
        ("jvp", "da", "dw*x + w*dx"),
        ("jvp", "dz", "2*a*da"),
    ]


def test_what_is_in_python_has_its_place(write):
    path = write("""
        inputs: {x: 2.0}
        function: {python: "kernels:scale"}
        reference: 2*x
        backward: {python: "kernels:back"}
        derivatives: {x: 2, dout/dx: {python: "kernels:slope"}}
    """)
    assert sorted(lines(path)) == [
        ("derivative", "dout/dx", "2"),
        ("python", "backward", "kernels:back"),
        ("python", "dout/dx", "kernels:slope"),
        ("python", "function", "kernels:scale"),
        ("step", "out", "2*x"),
    ]


def test_only_what_is_not_right_brings_it(check):
    right, wrong = check("""
        inputs: {x: 2.0}
        function: x**2
        derivatives: {x: [2*x, x]}
    """)
    assert "derivation" not in right.record()
    assert wrong.record()["derivation"][0] == {
        "kind": "step",
        "name": "out",
        "formula": "x**2",
        "line": 4,
    }
