"""`gradcheck explain --script`: scripts in torch alone that show what gradcheck finds."""

import ast
import copy
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from click.testing import CliRunner
from torch.autograd.functional import jacobian
from word_cases import case as word_case
from word_examples import CASES as EXAMPLES
from word_examples import VALUES

from gradcheck.casefile.case import COMPLEX
from gradcheck.casefile.files import find
from gradcheck.casefile.load import load
from gradcheck.claims import Claim
from gradcheck.cli import cli
from gradcheck.errors import GradcheckError, UsageError
from gradcheck.functions import Segment
from gradcheck.gradients import Gradients
from gradcheck.language.parser import parse
from gradcheck.language.vocabulary import WORDS
from gradcheck.oracles import autograd, handwritten
from gradcheck.place import Place
from gradcheck.script import helpers, script
from gradcheck.script.chosen import shown
from gradcheck.script.formulas import formula_script
from gradcheck.script.layout import source
from gradcheck.script.names import Names
from gradcheck.script.terms import named
from gradcheck.script.translate import Translator
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.torch_state import checking
from gradcheck.truths import Truths

HERE = Path(__file__).parent
PATHS = list(find([str(HERE.parent / "cases")]))
ZERO = 1e-6
"""Of the values' size: a derivative below it is 0, of which differences know no digit."""
AT_A_KINK = {"relu_at_its_kink", "hardtanh_at_its_corners"}
"""Cases at a kink, where a central difference is the mean of two slopes."""


class Ran:
    """What a script prints, run in a namespace of its own: `answers` by quantity and name."""

    def __init__(self, text):
        self.answers = {}
        self.lines = []
        compiled = compile(text, "script", "exec")
        dtype, options = torch.get_default_dtype(), copy.copy(torch._tensor_str.PRINT_OPTS)
        try:
            exec(compiled, {"print": self._print})
        finally:
            torch.set_default_dtype(dtype)
            torch._tensor_str.PRINT_OPTS = options

    def _print(self, *values, sep=" "):
        self.lines.append(sep.join(map(str, values)))
        is_answer = len(values) == 1 and re.search(" (difference|has shape)", values[0])
        if len(values) == 1 and not is_answer:
            self._current = self.answers.setdefault(values[0], {})
        elif len(values) == 2 and self.answers:
            self._current[values[0].removesuffix(":")] = values[1]


def text_of(place):
    with checking():
        return formula_script(place, shown(place, []))


def real(case):
    return next(dtype for dtype in case.dtypes if dtype not in COMPLEX)


def distance(found, wanted):
    """Relative to the largest entry."""
    assert found.shape == wanted.shape
    found, wanted = found.double(), wanted.double()
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-290))


def is_zero(wanted, place, output):
    return float(wanted.abs().max()) <= ZERO * max(1.0, place.size(output))


def second_derivative(place, claim):
    """By torch's own Jacobian of a Jacobian."""
    of, held = claim.of, place.environment

    def value(first, second):
        segment = Segment(claim.steps, of.first, of.output, {**held, of.second: second})
        return segment.value(second if of.first == of.second else first, place.meaning())

    first, second = place.value(of.first), place.value(of.second)

    def slope(second):
        if of.first == of.second:
            return jacobian(lambda x: value(x, x), second, create_graph=True)
        return jacobian(lambda x: value(x, second), first, create_graph=True)

    whole = jacobian(slope, second)
    return torch.tensordot(whole, held[of.vector], second.ndim) if of.vector else whole


def wanted_answers(place, one):
    """Those by hand, and that of autograd, as gradcheck itself finds them."""
    claim = one.of
    if isinstance(claim, Claim):
        value, output = place.value(claim.input), tuple(place.value(claim.output).shape)
        by_hand = [
            handwritten.jacobian(f, place.formula_segment(claim), value, output, place.meaning())
            for f in one.formulas
        ]
        return by_hand, autograd.jacobian(place.segment(claim), value, place.meaning())
    whole = second_derivative(place, claim)
    output = tuple(place.value(claim.of.output).shape)
    by_hand = [
        f.jacobian(
            dict(place.environment), output, tuple(whole.shape)[len(output) :], place.meaning()
        )
        for f in one.formulas
    ]
    return by_hand, whole


def check_answers(place, one, found, tolerance=1e-12):
    by_hand, by_autograd = wanted_answers(place, one)
    size = float(by_autograd.abs().max())
    named = [value for name, value in found.items() if name.startswith("handwritten")]
    assert len(named) == len(by_hand)
    if is_zero(by_autograd, place, ends(one)[0]):
        for value in (*named, found["autograd"], found["numeric"]):
            assert float(value.abs().max()) <= max(ZERO, 10 * size), one.quantity
        return
    for value, wanted in zip(named, by_hand, strict=True):
        assert distance(value, wanted.double()) <= tolerance, one.quantity
    assert distance(found["autograd"], by_autograd) <= tolerance, one.quantity
    assert distance(found["numeric"], by_autograd) <= max(1e-4, 1e3 * tolerance), one.quantity


def ends(one):
    """The values that a quantity is of, and by."""
    of = one.of
    if isinstance(of, str):
        return of, of
    return (of.output, of.input) if isinstance(of, Claim) else (of.of.output, of.of.first)


def check_case(case, dtype, tolerance=1e-12):
    """Whether the script of a case at its first point shows what gradcheck finds."""
    place = Place.at(case, case.points[0], dtype, "cpu")
    listed = shown(place, [])
    if all(0 in place.value(name).shape for one in listed for name in ends(one)[1:]):
        with pytest.raises(UsageError, match="nothing to show"):
            text_of(place)
        return
    text = text_of(place)
    assert_it_stands_alone(text)
    ran = Ran(text)
    for one in listed:
        if isinstance(one.of, str):
            left = Gradients(place, Truths(place)).left.get(one.of)
            line = next((line for line in ran.lines if line.startswith(f"{one.quantity}: ")), None)
            assert (left is None) == (line is not None and "None" in line)
            if left is not None:
                assert distance(ran.answers[one.quantity]["autograd"], left) <= tolerance
                assert distance(ran.answers[one.quantity]["numeric"], left) <= 1e-4
        elif 0 not in (*place.value(ends(one)[0]).shape, *place.value(ends(one)[1]).shape):
            check_answers(place, one, ran.answers[one.quantity], tolerance)


def assert_it_stands_alone(text, modules=()):
    """It imports torch alone, beside those modules, and nothing in it is gradcheck's."""
    tree = ast.parse(text)
    assert "gradcheck" not in ast.unparse(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert [name.name for name in node.names] == ["torch"]
        elif isinstance(node, ast.ImportFrom):
            assert node.module in ("torch.autograd.functional", *modules)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name.split(".")[0])
def test_scripts_of_the_library_show_what_gradcheck_finds(path):
    cases = [case for case in load(path).cases if case.name not in AT_A_KINK]
    assert cases
    for case in cases:
        check_case(case, real(case))


def test_no_line_is_much_longer_than_a_hundred_characters():
    for case in load(HERE.parent / "cases" / "second_order.grad.yaml").cases:
        if "-n0" not in case.name:
            text = text_of(Place.at(case, case.points[0], "float64", "cpu"))
            assert max(map(len, text.splitlines())) <= 120, case.name


def test_scripts_in_float32_do_and_take_differences_in_float64():
    for case in load(HERE.parent / "cases" / "recurrent.grad.yaml").cases:
        if "float32" in case.dtypes:
            check_case(case, "float32", 1e-5)


@pytest.mark.parametrize("start", sorted({name[0] for name in WORDS}))
def test_every_word_has_a_script(start, write):
    for name in (name for name in WORDS if name[0] == start):
        (case,) = load(write(word_case(name))).cases
        check_case(case, "float64")
        check_case(case, "float32", 2e-5)


def test_every_example_of_a_word_is_in_python_what_it_is_in_a_formula():
    names = {name: torch.from_numpy(value) for name, value in VALUES.items()}
    scope = {name: named(name, value) for name, value in names.items()}
    space = {"torch": torch, **names}
    exec(helpers.CHOLESKY, space)
    meaning = TorchMeaning(torch.float64, torch.device("cpu"))
    for like in ("", "x"):
        torch.set_default_dtype(torch.float32 if like else torch.float64)
        try:
            for text, _ in EXAMPLES:
                translator = Translator(meaning, Names(), like)
                term = translator.tensor(translator.value(parse(text, scope=list(names)), scope))
                found = eval(source(term.python), space)
                assert (found.dtype, found.shape) == (term.value.dtype, term.value.shape), text
                assert torch.equal(found.nan_to_num(), term.value.nan_to_num()), text
        finally:
            torch.set_default_dtype(torch.float32)


CHAIN = """
    cases:
      sine_of_square:
        about: a chain
        function:
          y: x**2
          z: sin(y)
          u: 3*z
        inputs: {x: 3.0}
        derivatives:
          dz/dy: cos(y)
          dy/dx: 2*x
          dz/dx: dz/dy * y
          du/dz: 3
"""


def explained(path, *options):
    found = CliRunner().invoke(cli, ["explain", str(path), "--script", *options])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.output
    return found


SAID = re.compile(r"^# (blame: .*\n(?:# .*\n)*)", re.MULTILINE)


def said(text):
    """Who is wrong and by how much, as comments say it; what kind of mistake it is is left out."""
    sentences = [" ".join(found.split()).replace(" # ", " ") for found in SAID.findall(text)]
    return ["; ".join(sentence.split("; ")[:2]) for sentence in sentences]


def without_said(text):
    return SAID.sub("", text)


def test_the_script_of_a_chain_with_a_link_is_short(write, monkeypatch):
    path = write(CHAIN)
    monkeypatch.chdir(path.parent)
    found = explained(path.name)
    assert found.exit_code == 0
    assert said(found.output) == [
        "blame: handwritten, off by 33.33% of the largest entry; autograd agrees with the truth"
    ]
    assert without_said(found.output) == dedent(
        '''\
        # sine_of_square (a.grad.yaml:2), point 1, float64: a chain
        # dz/dx: by hand, by autograd, by central differences.

        import torch
        from torch.autograd.functional import jacobian

        torch.set_default_dtype(torch.float64)
        torch.set_printoptions(precision=15)


        def differences(function, x, h=1e-6):
            """The Jacobian of a function at x by central differences."""
            columns = []
            for i in range(x.numel()):
                step = torch.zeros_like(x).flatten()
                step[i] = h * max(1.0, abs(float(x.flatten()[i])))
                step = step.reshape(x.shape)
                columns.append((function(x + step) - function(x - step)) / (2 * step.sum()))
            return torch.stack(columns, -1).reshape(columns[0].shape + x.shape)


        def show(quantity, **answers):
            print(quantity)
            for name, value in answers.items():
                print(f"{name}:", value, sep="\\n" if value.ndim else " ")
            autograd = answers.pop("autograd")
            for name, value in answers.items():
                difference = (value.double() - autograd.double()).abs().max()
                print(f"largest difference, {name} - autograd: {difference:.2g}")


        x = torch.tensor(3.0)
        y = x**2

        # dz/dx, line 12: dz/dy * y
        dz_dy = torch.cos(y)
        dz_dx = dz_dy * y


        def z_of_x(x):
            y = x**2
            return torch.sin(y)


        show("dz/dx", handwritten=dz_dx, autograd=jacobian(z_of_x, x), numeric=differences(z_of_x, x))
        '''  # noqa: E501
    )
    lines = Ran(found.output).lines
    assert lines[0] == "dz/dx"
    assert lines[-2] == "largest difference, handwritten - autograd: 2.7"


def test_whoever_gets_the_script_can_run_it(write, tmp_path):
    """In a process of its own, in a folder of its own."""
    script_path = tmp_path / "elsewhere" / "script.py"
    script_path.parent.mkdir()
    script_path.write_text(explained(write(CHAIN)).output, encoding="utf-8")
    command = [sys.executable, "-I", "-W", "error", script_path.name]
    done = subprocess.run(
        command, cwd=script_path.parent, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *answers, by_hand, by_differences = done.stdout.splitlines()
    assert first == "dz/dx"
    names = [line.partition(":")[0] for line in answers]
    assert names == ["handwritten", "autograd", "numeric"]
    assert answers[0] == "handwritten: tensor(-8.200172356962092)"
    assert by_hand == "largest difference, handwritten - autograd: 2.7"
    assert float(by_differences.rpartition(" ")[2]) < 1e-8


def only(text):
    """The answers of a script that shows one quantity."""
    (answers,) = Ran(text).answers.values()
    return answers


def shown_of(path, *options):
    """What the script of the only case of a file shows."""
    found = explained(path, *options)
    assert found.exit_code == 0, found.output
    assert_it_stands_alone(found.output)
    return Ran(found.output)


def test_where_all_is_right_all_of_the_first_point_is_shown(write):
    ran = shown_of(write(CHAIN.replace("dz/dy * y", "dz/dy * dy/dx")))
    assert list(ran.answers) == ["dz/dy", "dy/dx", "dz/dx", "du/dz"]
    largest = [line.rpartition(" ")[2] for line in ran.lines if line.startswith("largest")]
    assert len(largest) == 8
    assert all(float(one) < 1e-8 for one in largest)


def test_the_first_point_and_the_first_dtype_with_something_wrong_are_shown(write):
    case = """
        function: x**2
        dtypes: [float64, float32]
        derivatives: {x: "where(x > 1, 2*x, 3*x)"}
        points: [{inputs: {x: 2}}, {inputs: {x: 0.5}}, {inputs: {x: 0.25}}]
    """
    path = write(case)
    text = explained(path).output
    assert "point 2, float64" in text.replace("\n# ", " ")
    answers = only(text)
    assert (float(answers["handwritten"]), float(answers["autograd"])) == (1.5, 1)
    answers = only(explained(path, "--dtype", "float32").output)
    assert answers["handwritten"].dtype == answers["autograd"].dtype == torch.float32
    assert answers["numeric"].dtype == torch.float64


def test_only_wrong_ways_of_writing_a_derivative_are_shown_each_by_its_number(write):
    path = write("""
        function: sin(x)
        inputs: {x: [0.5, 1]}
        derivatives: {x: [cos(x), sin(x), 2*x]}
    """)
    answers = only(explained(path).output)
    assert list(answers) == ["handwritten_1", "handwritten_2", "autograd", "numeric"]
    assert torch.equal(answers["handwritten_2"], torch.diag(torch.tensor([1.0, 2.0]).double()))


def test_a_wrong_shape_is_shown_as_such(write):
    path = write("""
        function: sum(W @ x)
        inputs: {W: [[1, 2, 3], [4, 5, 6]], x: [1, 2, 3]}
        derivatives: {x: W}
    """)
    ran = shown_of(path)
    assert "handwritten has shape [2, 3], autograd [3]" in ran.lines
    assert ran.lines[-1].startswith("largest difference, numeric - autograd: ")


def test_of_a_formula_without_a_value_the_others_are_shown(write):
    path = write("""
        function: W @ x
        inputs: {W: [[1, 2, 3], [4, 5, 6]], x: [1, 2, 3]}
        derivatives: {x: W @ W}
    """)
    text = explained(path).output
    assert "# dout/dx, line 5: W @ W\n# blame: handwritten; " in text
    assert "the formula has no value" in text
    assert list(only(text)) == ["autograd", "numeric"]


def test_a_wrong_published_number_is_shown_beside_the_others(write):
    path = write("""
        function: {y: x**2, z: 3*y}
        inputs: {x: [1, 2]}
        derivatives: {dz/dy: 3}
        expect: {y: [1, 5], dz/dx: [[6, 0], [0, 13]]}
    """)
    ran = shown_of(path)
    answers = ran.answers["dz/dx"]
    assert list(answers) == ["autograd", "numeric", "expected"]
    assert answers["expected"].tolist() == [[6, 0], [0, 13]]
    assert ran.lines[-1].startswith("y: tensor([1., 4.]")
    assert "expected: tensor([1., 5.]" in ran.lines[-1]


def test_what_backward_leaves_is_shown_also_in_what_the_output_does_not_read(write):
    path = write("""
        function: {y: gradients**2, z: 3*y}
        inputs: {gradients: 2}
        constants: {k: 1}
        autograd: {backward_passes: 2, zero_grad: true, retain_grad: y}
        derivatives: {dz/dy: 2}
        expect: {k.grad: none, gradients.grad: 13, y.grad: 3}
    """)
    text = explained(path).output
    assert list(Ran(text).answers) == ["dz/dy", "gradients.grad"]
    (case,) = load(path).cases
    check_case(case, "float64")


def test_definitions_become_functions_those_that_are_used(write):
    path = write("""
        definitions:
          unused(a): a
          shifted(a, b): a + b
          gated(z, a): {s: sigmoid(z), out: "shifted(s*a, 1)"}
          flat(a, n): reshape(a, n)
          transposed(a): a.T
        cases:
          c:
            function: {z: "gated(x, 2)", u: "gated(z, y)", v: "flat(u, [2, 1]) + transposed(y)",
                       w: "sum(transposed(v) @ v)"}
            inputs: {x: [0.5, 1], y: [2, 3]}
            derivatives:
              dw/dv: "2*sum(v, 1, keepdim=True)*ones(1, 2)"
              dz/dx: 0
    """)
    text = explained(path).output
    functions = [n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
    assert functions == ["differences", "show", "shifted", "gated", "z_of_x"]
    right = write(path.read_text("utf-8").replace("dz/dx: 0", "dz/dx: 2*sigmoid(x)*sigmoid(-x)"))
    text = explained(right).output
    functions = [n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
    assert sorted(functions[2:7]) == ["flat", "gated", "shifted", "transposed", "transposed_2"]
    (case,) = load(right).cases
    check_case(case, "float64")


def test_names_of_the_script_s_own_are_not_taken(write):
    path = write("""
        definitions: {show(a): 2*a}
        cases:
          c:
            function:
              {print: "show(range)", jacobian: print**2, dz_dy: jacobian + T, in_: dz_dy*step}
            inputs: {range: 2, T: 3, step: 1.5}
            derivatives: {djacobian/dprint: 2*print, dz_dy: step, range: 8*range*step}
    """)
    (case,) = load(path).cases
    check_case(case, "float64")


def test_only_the_lines_of_a_pass_that_are_needed_are_there(write):
    path = write("""
        function:
          recurrence:
            {steps: 3, index: t, states: {h: {start: h_0, next: "tanh(W @ h + b + x[t])"}}}
          y: V @ h
        inputs: {W: [[1, 2], [0.5, -1]], b: [0.1, 0.2], h_0: [0, 1], V: [[1, 2]], x: [1, 2, 3]}
        backward:
          unused: 2*dy
          dV: outer(unused, h)/2
          dh: V.T @ dy
          recurrence:
            da: dh * (1 - h[t + 1]**2)
            c: da*2
            dW: {start: 0, next: "dW + outer(c, h[t])"}
            db: {start: 0, next: db + da}
            dh: {start: dh, next: W.T @ da}
          dh_0: dh
    """)
    text = explained(path).output
    assert list(Ran(text).answers) == ["dW"]
    assert "db" not in text.partition("import torch")[2].replace("dW, dW", "")
    assert "unused" not in text
    assert "    da = dh_t * (1 - h_at[t + 1]**2)\n    c = da * 2\n" in text
    assert "    dW = dW + torch.outer(c, h_at[t])\n    dh_t = W.T @ da\n" in text


def test_what_is_carried_together_and_needs_each_other_is_updated_at_once(write):
    path = write("""
        function:
          recurrence: {steps: 4, states: {a: {start: 1, next: b}, b: {start: x, next: a + b}}}
        inputs: {x: 2}
        derivatives: {x: 5}
    """)
    text = explained(path).output
    assert "    for _ in range(4):\n        a, b = b, a + b\n    return b\n" in text
    answers = only(text)
    assert float(answers["handwritten"]) == float(answers["autograd"]) == 5


def test_a_start_that_is_a_number_is_one_unless_a_step_wants_a_tensor(write):
    path = write("""
        function:
          recurrence:
            steps: 2
            states: {s: {start: 0, next: s + x}, r: {start: 0.5, next: relu(r) + x}}
          y: sum(s*r)
        inputs: {x: [1, 2]}
        derivatives: {x: [9, 2]}
    """)
    text = explained(path).output
    assert "    s = torch.zeros([2])\n    r = torch.full([2], 0.5)\n" in text
    assert only(text)["autograd"].tolist() == pytest.approx([9, 17])


def test_detach_is_a_constant_to_differences_too(write):
    path = write(
        """
        function: {s: sum(x), y: x*detach(exp(x)) + detach(s*x)**2 + s}
        inputs: {x: [0.5, -1]}
        derivatives: {y: 0, x: 2*exp(x)}
    """.replace("y: 0, ", "")
    )
    ran = shown_of(path)
    answers = ran.answers["dy/dx"]
    assert float((answers["numeric"] - answers["autograd"]).abs().max()) < 1e-8


def test_values_are_those_of_the_case_bit_by_bit(write):
    path = write("""
        function: sum(x*k*s)
        inputs: {x: {shape: [40], sample: normal}, s: 0.1}
        constants: {k: {shape: [40], sample: "integers(0, 5)"}}
        dtypes: [float64, float32, bfloat16]
        derivatives: {x: k*s}
    """)
    (case,) = load(path).cases
    for dtype in case.dtypes:
        place = Place.at(case, case.points[0], dtype, "cpu")
        space = {"torch": torch}
        lines = text_of(place).split("\n\n")
        torch.set_default_dtype(place.value("x").dtype)
        try:
            exec(next(block for block in lines if block.startswith(("x = ", "\nx = "))), space)
        finally:
            torch.set_default_dtype(torch.float32)
        for name in "xks":
            assert torch.equal(space[name], place.value(name)), (dtype, name)
            assert space[name].dtype == place.value(name).dtype


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("function: x @ x\ninputs: {x: 2}\nderivatives: {x: 0}", "has no value at point 1: "),
        (
            "function: sum(x)\ninputs: {x: {shape: [4097], sample: normal}}\n"
            "derivatives: {x: ones(4097)}",
            "the input has 4,097 entries",
        ),
        (
            "function: sum(x*y)\nderivatives: {x: y}\ninputs:\n"
            "  x: {shape: [3000], sample: normal}\n  y: {shape: [3000], sample: normal}",
            "there would be more than 4,096 numbers in it",
        ),
        (
            "function: z**2\ninputs: {z: 2}\nderivatives: {z: 2*z}\ndtypes: complex128",
            "is complex: scripts are of real numbers",
        ),
        (
            "function: sum(x)\ninputs: {x: {shape: [0], sample: normal}}\n"
            "derivatives: {x: ones(0)}",
            "has nothing to show",
        ),
        (
            "function: {y: x**2*detach(x), z: 2*y}\ninputs: {x: 2}\nderivatives: {d2z/dx2: 8}",
            "no script shows second derivatives past `detach`",
        ),
    ],
)
def test_what_cannot_be_written_is_one_clear_message(write, case, message):
    (case,) = load(write(case)).cases
    with pytest.raises(UsageError) as raised:
        script(case, case.dtypes, "cpu")
    assert message in str(raised.value)


def test_the_command_takes_one_case_and_ends_with_4_where_there_is_no_script(write):
    path = write("""
        cases:
          a: {function: x**2, inputs: {x: 2}, derivatives: {x: 2*x}}
          b: {function: x @ x, inputs: {x: 2}, derivatives: {x: 2*x}}
    """)
    for selected, message in (
        (f"{path}", "--script is of one case, as in FILE::CASE; these are a, b"),
        (f"{path}::b", "gradcheck: `b` has no value at point 1: "),
    ):
        command = [sys.executable, "-m", "gradcheck", "explain", selected, "--script"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout) == (4, "")
        assert message in done.stderr
        assert "Traceback" not in done.stderr


MODULE = """
import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, power=1):
        ctx.save_for_backward(x, weight)
        ctx.power = power
        return x * weight**power

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        p = ctx.power
        return g * weight**p, (g * x * p * weight**(p - 1)).sum(0), None


class Halved(Scale):
    @staticmethod
    def backward(ctx, g):
        by_x, by_weight, _ = Scale.backward(ctx, g)
        return by_x, by_weight / 2, None


class Dense(Scale):
    @staticmethod
    def backward(ctx, g):
        return Scale.backward(ctx, torch.ones_like(g) if 0 in g.stride() else g)


class Nothing(Scale):
    @staticmethod
    def backward(ctx, g):
        by_x, by_weight, _ = Scale.backward(ctx, g)
        return by_x + (g == 0).to(g.dtype), by_weight, None


class Once(Scale):
    @staticmethod
    def backward(ctx, g):
        x, weight = (saved.detach() for saved in ctx.saved_tensors)
        return g * weight, (g * x).sum(0), None


def scale(x, weight):
    return x * weight


def backward(dout, x, weight):
    return dout * weight, dout.sum(0)


def jvp(dx, dweight, x, weight):
    return dx * weight + 2 * dweight * x


def by_weight(x):
    return torch.diag_embed(2 * x)


def pair(x, weight):
    return {"sum": x + weight, "product": [x * weight]}


def raising(x, weight):
    raise ValueError("grid too large")


def product(a, b):
    return a * b


class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(2, width)

    def forward(self, x, weight, gain=1.0):
        return gain * torch.tanh(self.layer(x)) * weight
"""


INPUTS = "{x: [[1, 2], [3, -1]], weight: [0.5, 2]}"
WIDTH = ", init: {width: 2}"


@pytest.fixture
def of_python(write, monkeypatch):
    """The script of a case with a function in Python, and what it prints."""
    path = write(MODULE, "shown_kernels.py")
    path.write_text(dedent(MODULE), encoding="utf-8")
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])

    def of_python(function, case="", *, inputs=INPUTS, more=""):
        body = f"function: {{python: 'shown_kernels:{function}'{more}}}\ninputs: {inputs}\n"
        write(body + dedent(case))
        found = explained("a.grad.yaml", "--allow-import", "shown_kernels")
        assert found.exit_code == 0, found.output
        assert_it_stands_alone(found.output, ["shown_kernels"])
        return found.output

    yield of_python
    sys.modules.pop("shown_kernels", None)


def largest(answers, name):
    return float((answers[name].double() - answers["autograd"].double()).abs().max())


def test_a_backward_of_autograd_s_own_that_is_wrong_is_beside_its_reference(of_python):
    text = of_python(
        "Halved", "reference: x * weight + zeros(2)\ndtypes: float32\nconditions: none"
    )
    assert "from shown_kernels import Halved\n" in text
    assert "def function(x, weight):\n    return Halved.apply(x, weight)\n" in text
    assert "    return x * weight + torch.zeros(2, dtype=x.dtype)\n" in text
    ran = Ran(text)
    answers = ran.answers["dout/dweight"]
    assert list(ran.answers) == ["dout/dweight"]
    assert list(answers) == ["autograd", "numeric", "reference"]
    assert largest(answers, "numeric") == pytest.approx(1.5, rel=1e-4)
    assert largest(answers, "reference") == pytest.approx(1.5, rel=1e-6)
    assert answers["numeric"].dtype == torch.float64


def test_passes_and_derivatives_in_python_are_imported_and_called(of_python):
    text = of_python("scale", "backward: {python: 'shown_kernels:backward'}\nconditions: none")
    assert "from shown_kernels import scale, backward\n" in text
    answers = only(text)
    assert largest(answers, "handwritten") > 0.1 > 1e-6 > largest(answers, "numeric")
    answers = only(of_python("scale", "jvp: {python: 'shown_kernels:jvp'}\nconditions: none"))
    assert largest(answers, "handwritten") > 0.1 > 1e-6 > largest(answers, "numeric")
    case = "derivatives: {weight: [{python: 'shown_kernels:by_weight'}, x]}\nconditions: none"
    answers = only(of_python("scale", case))
    assert list(answers) == ["handwritten_1", "handwritten_2", "autograd", "numeric"]
    assert largest(answers, "handwritten_1") == 3


def test_a_derivative_in_python_may_be_a_formula_of_the_output(of_python):
    text = of_python("scale", "derivatives: {x: 3*out/x}")
    assert largest(only(text), "handwritten") == pytest.approx(4)
    assert "handwritten=torch.diag((3 * function(x, weight) / x).flatten())" in text


@pytest.mark.parametrize("name", ["Dense", "Nothing"])
def test_a_condition_on_cotangents_is_named_and_shown(of_python, name):
    text = of_python(name, "dtypes: float32")
    condition = {"Dense": "expanded_cotangent", "Nothing": "zero_cotangent"}[name]
    assert f"# condition {condition}: blame: autograd" in text
    assert text.count("cotangent = ") == 1
    found, wanted = Ran(text).lines[0].split("\nas it should be:\n")
    assert found.startswith("gradient by x:\ntensor(")
    assert not found.endswith(wanted)


def test_a_condition_on_second_derivatives_is_shown_by_differences_of_the_first(of_python):
    ran = Ran(of_python("Once"))
    shown_here = ran.answers["dout/dx by weight"]
    assert not shown_here["autograd"].any()
    assert shown_here["numeric"].any()


def test_of_other_conditions_the_derivatives_are_shown_with_a_comment(of_python):
    text = of_python("Scale", "conditions: [gradient_dtype, direct_backward]")
    assert list(Ran(text).answers) == ["dout/dx", "dout/dweight"]
    text = of_python("Dense", "conditions: none")
    assert list(Ran(text).answers) == ["dout/dx", "dout/dweight"]


def test_each_output_is_reached_by_its_path_and_named_as_in_reports(of_python):
    text = of_python("pair", "conditions: none")
    assert list(Ran(text).answers) == [
        "dout['sum']/dx",
        "dout['sum']/dweight",
        "dout['product'][0]/dx",
        "dout['product'][0]/dweight",
    ]


def test_a_function_that_raises_is_called(of_python):
    text = of_python("raising")
    assert "# blame: function; ValueError: grid too large" in text
    with pytest.raises(ValueError, match="grid too large"):
        Ran(text)


def test_a_reference_in_python_is_called_in_the_function_s_order(of_python):
    text = of_python("Halved", "reference: {python: 'shown_kernels:product'}\nconditions: none")
    assert "product(x, weight)" in text
    assert largest(only(text), "reference") == 1.5


def test_a_module_is_made_as_for_the_case_and_its_parameters_are_inputs(of_python):
    inputs = "{x: [[1, 2], [3, -1]], weight: [0.5, 2], layer_bias: [0.1, 0.2]}"
    more = f"{WIDTH}, arguments: {{gain: 2.0}}"
    text = of_python("Net", "conditions: none\ndtypes: float32", inputs=inputs, more=more)
    assert "module = Net(width=2).to(torch.float32).requires_grad_(False)" in text
    ran = Ran(text)
    names = ["dout/dx", "dout/dweight", "dout/dlayer.weight", "dout/dlayer.bias"]
    assert sorted(ran.answers) == sorted(names)
    assert all(largest(one, "numeric") < 1e-5 for one in ran.answers.values())


def test_each_call_of_a_seeded_function_starts_from_one_random_state(of_python):
    text = of_python("Net", "conditions: none\nrng: fixed", more=WIDTH)
    assert "    torch.manual_seed(0)\n    return torch.func.functional_call(module" in text
    assert all(largest(one, "numeric") < 1e-8 for one in Ran(text).answers.values())


def test_a_formula_that_differentiates_the_reference_wrong_needs_no_import(of_python):
    case = "reference: x * weight\nconditions: none\nderivatives: {x: [weight + 0*x, x]}"
    text = of_python("scale", case)
    assert "shown_kernels" not in text
    assert list(only(text)) == ["handwritten", "autograd", "numeric"]


def test_a_module_that_may_not_be_imported_is_one_message(of_python, write):
    path = write("function: {python: 'shown_kernels:scale'}\ninputs: {x: 1, weight: 2}")
    (case,) = load(path).cases
    with pytest.raises(GradcheckError, match="`shown_kernels` may not be imported"):
        script(case, case.dtypes, "cpu")
