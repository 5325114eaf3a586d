"""Cases of functions in Python: what is read of them, and every message about them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gradcheck.casefile.case import Known
from gradcheck.casefile.document import Document
from gradcheck.casefile.kernel import Import
from gradcheck.casefile.load import read
from gradcheck.conditions.names import DEFAULT
from gradcheck.functions import Recurrence
from gradcheck.language.expression import Expression

ROOT = Path(__file__).parent.parent.parent


def document(text):
    body = textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")
    return read(Document.parse(f"cases:\n  c:\n{body}\n", "f.yaml"))


def case(text):
    """The only case whose keys these are."""
    file = document(text)
    assert not file.problems, [str(problem) for problem in file.problems]
    (found,) = file.cases
    return found


def kernel(text):
    found = case(text).kernel
    assert found is not None
    return found


def written(derivatives):
    """The derivatives with their formulas as texts."""
    return {
        name: [one.text if isinstance(one, Expression) else str(one) for one in listed]
        for name, listed in derivatives.items()
    }


FULL = """
function: {python: "mykernels.norm:RMSNorm", arguments: {eps: 1e-6}, init: {size: 8}}
reference: x * rsqrt(mean(x**2, -1, keepdim=True) + 1e-6) * weight
inputs: {x: {shape: [4, 8], sample: normal}, weight: {shape: [8], sample: normal}}
backward: {python: "mykernels.norm:rms_norm_backward"}
jvp: {python: "mykernels.norm:jvps.rms_norm"}
derivatives: {weight: {python: "mykernels.other:d_weight"}}
conditions: [zero_cotangent, vmap]
rng: fixed
forward_mode: false
"""
ALONE = """
function: {python: "m:f"}
inputs: {x: 2, y: 3}
"""


def test_all_that_a_case_may_say_of_a_function_in_python():
    found = kernel(FULL)
    assert found.function == Import("mykernels.norm", "RMSNorm", 3)
    assert dict(found.init) == {"size": 8}
    assert dict(found.arguments) == {"eps": 1e-6}
    assert found.backward == Import("mykernels.norm", "rms_norm_backward", 6)
    assert found.jvp == Import("mykernels.norm", "jvps.rms_norm", 7)
    assert found.derivatives == {"weight": (Import("mykernels.other", "d_weight", 8),)}
    assert found.has_reference
    assert found.reference is None
    assert found.conditions == ("zero_cotangent", "vmap")
    assert found.is_seeded
    assert found.forward_mode is False
    assert [str(one) for one in found.imports] == [
        "mykernels.norm:RMSNorm",
        "mykernels.norm:rms_norm_backward",
        "mykernels.norm:jvps.rms_norm",
        "mykernels.other:d_weight",
    ]


def test_a_function_in_python_needs_no_more_than_inputs():
    found = case(ALONE)
    assert found.kernel is not None
    assert not found.kernel.has_reference
    assert found.kernel.reference is None
    assert found.kernel.conditions == tuple(DEFAULT)
    assert found.kernel.forward_mode is None
    assert not found.kernel.is_seeded
    assert (found.function.steps, found.function.output) == ((), "out")
    assert (found.claims, found.seconds, found.gradients, found.known) == ((), (), (), None)


def test_a_formula_has_no_kernel():
    found = case("{function: x**2, inputs: {x: 3}, derivatives: {x: 2*x}}")
    assert found.kernel is None


def test_arguments_are_plain_values_as_python_has_them():
    found = kernel(
        """
        function:
          python: m:f
          arguments: {a: 1, b: 2.5, c: text, d: true, e: null, f: [1, [2.5, none]], g: 1e3}
        inputs: {x: 2}
        """
    )
    assert dict(found.arguments) == {
        "a": 1,
        "b": 2.5,
        "c": "text",
        "d": True,
        "e": None,
        "f": [1, [2.5, "none"]],
        "g": 1000.0,
    }
    assert [type(found.arguments[name]) for name in "abg"] == [int, float, float]


def test_what_is_given_is_passed_inputs_first_in_the_order_of_the_file():
    found = case(
        """
        function: {python: "m:f"}
        constants: {c: 1, b: 2}
        inputs: {y: 3, x: {shape: [2], sample: normal}, a: 1}
        """
    )
    assert found.function.given == ("y", "x", "a", "c", "b")
    assert found.inputs == ("y", "x", "a")


def test_inputs_of_a_function_in_python_may_be_called_as_words():
    found = case('{function: {python: "m:f"}, inputs: {mean: 1, e: 3}, constants: {norm: 2}}')
    assert found.function.given == ("mean", "e", "norm")


def test_a_reference_is_a_formula_steps_a_recurrence_or_in_python():
    assert case(f"{ALONE}reference: x*y").function.values == ("out",)
    assert case(f"{ALONE}reference: {{z: x*y, loss: z**2}}").function.values == ("z", "loss")
    recurrence = "{recurrence: {steps: 2, states: {h: {start: x, next: y*h}}}}"
    (step,) = case(f"{ALONE}reference: {recurrence}").function.steps
    assert isinstance(step, Recurrence)
    other = case(f'{ALONE}reference: {{python: "m:g"}}')
    assert other.function.steps == ()
    assert other.kernel.reference == Import("m", "g", 5)
    assert not other.kernel.has_reference


def test_what_is_written_in_formulas_is_a_claim_on_the_reference():
    found = case(
        """
        function: {python: "m:f"}
        inputs: {x: 2, y: 3}
        reference: {z: x*y, loss: z**2}
        derivatives:
          dloss/dz: 2*z
          x: [2*z*y, {python: "m:dx"}, 2*x*y**2]
          dloss/dy: {python: "m:dy"}
          d2loss/dx2: 2*y**2
        backward: {dz: 2*z*dloss, dx: y*dz, dy: x*dz}
        jvp: {python: "m:jvp"}
        expect: {loss: 36, x: 36}
        """
    )
    claims = {(claim.quantity, len(claim.formulas)) for claim in found.claims}
    assert claims == {("dloss/dz", 1), ("dloss/dx", 2), ("dz", 1), ("dx", 1), ("dy", 1)}
    assert [second.quantity for second in found.seconds] == ["d2loss/dx dx"]
    assert [one.quantity for one in found.points[0].expectations] == ["loss", "dloss/dx"]
    assert written(found.kernel.derivatives) == {"x": ["m:dx"], "dout/dy": ["m:dy"]}
    assert found.kernel.backward is None
    assert found.kernel.jvp == Import("m", "jvp", 12)


def test_of_several_outputs_a_derivative_in_python_is_told_by_its_number():
    found = case(
        """
        function: {python: "m:f"}
        inputs: {x: 2}
        reference: {h: x**2, c: h + x}
        outputs: [c, h]
        derivatives:
          x: {python: "m:dc"}
          dh/dx: {python: "m:dh"}
        """
    )
    assert found.outputs == ("c", "h")
    assert written(found.kernel.derivatives) == {"dout[0]/dx": ["m:dc"], "dout[1]/dx": ["m:dh"]}


def test_without_a_reference_formulas_are_of_the_inputs_and_the_output():
    found = kernel(
        """
        function: {python: "m:f"}
        sizes: {n: 3}
        constants: {c: 2}
        inputs: {x: {shape: [n], sample: normal}, y: 1, z: 2}
        derivatives:
          x: 2*c*x + n*out
          dout/dy: [c, {python: "m:dy"}, out/y]
          dout[0]/dz: x
        """
    )
    assert written(found.derivatives) == {
        "x": ["2*c*x + n*out"],
        "dout/dy": ["c", "m:dy", "out/y"],
        "dout[0]/dz": ["x"],
    }
    assert {one.line for listed in found.derivatives.values() for one in listed} == {8, 9, 10}


def test_a_parameter_of_a_module_is_called_as_in_formulas_or_as_in_reports():
    for key in ("seq_2_bias", "seq.2.bias", "dout/dseq_2_bias", "dout/dseq.2.bias"):
        found = kernel(
            f"""
            function: {{python: "m:Net"}}
            inputs: {{x: 1, seq_2_bias: 2, _0_weight: 3}}
            derivatives: {{{key}: x, "dout[0]/d0.weight": x}}
            """
        )
        assert list(found.derivatives) == [key.replace(".", "_"), "dout[0]/d_0_weight"]


def test_a_step_may_be_called_nearly_as_python_is():
    assert case("{function: {pythons: x**2}, inputs: {x: 3}, derivatives: {x: 2*x}}").kernel is None


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("all", list(DEFAULT)),
        ("none", []),
        ("vmap", ["vmap"]),
        ("[linear, zero_cotangent]", ["zero_cotangent", "linear"]),
        ("[-linear]", [name for name in DEFAULT if name != "linear"]),
        ("[all, vmap, -linear]", [*(name for name in DEFAULT if name != "linear"), "vmap"]),
    ],
)
def test_conditions_are_named_in_any_order(asked, meant):
    assert list(kernel(f"{ALONE}conditions: {asked}").conditions) == meant


def test_every_case_may_have_errors_that_are_known():
    known = 'known: {autograd: 2e-10, handwritten: 1, reason: "torch\'s trigamma"}'
    expected = Known({"handwritten": 1.0, "autograd": 2e-10}, "torch's trigamma")
    assert case(f"{ALONE}{known}").known == expected
    formula = "function: x**2\ninputs: {x: 3}\nderivatives: {x: 2*x}\n"
    assert case(f"{formula}{known}").known == expected


def test_sizes_and_points_make_cases_as_of_a_formula():
    file = document(
        """
        function: {python: "m:f"}
        sizes: {n: [1, 2]}
        samples: 2
        points:
          - {inputs: {x: {shape: [n], sample: normal}}}
          - {inputs: {x: 3}}
        """
    )
    assert [one.name for one in file.cases] == ["c-n1", "c-n2"]
    assert [[point.label for point in one.points] for one in file.cases] == [
        ["1.1", "1.2", "2"]
    ] * 2
    assert file.cases[0].kernel.function == file.cases[1].kernel.function


FORMULA = """
function: x**2
inputs: {x: 3}
derivatives: {x: 2*x}
"""
BESIDE = """
function: {python: "m:f"}
inputs: {x: 2, y: 3}
reference: {z: x*y, loss: z**2}
"""
# The keys of a case after those of one above, which begin in line 3 → what is wrong with them.
MISTAKES = {
    # names in Python
    "a name with dots only": (
        ("", 'function: {python: "mykernels.norm.RMSNorm"}\ninputs: {x: 1}'),
        "3:25: `mykernels.norm.RMSNorm` names no function: write `module:name`, as in "
        "`mykernels.norm:RMSNorm`",
    ),
    "a path": (
        ("", "function: {python: mykernels/norm.py::RMSNorm}\ninputs: {x: 1}"),
        "3:24: `mykernels/norm.py::RMSNorm` names no function: write `module:name`, as in "
        "`mykernels.norm:RMSNorm`",
    ),
    "a name without a module": (
        ("", "function: {python: RMSNorm}\ninputs: {x: 1}"),
        "3:24: `RMSNorm` names no function: write `module:name`, as in `mykernels.norm:RMSNorm`",
    ),
    "a keyword": (
        ("", 'function: {python: "m:import"}\ninputs: {x: 1}'),
        "3:25: `m:import` names no function: write `module:name`, as in `mykernels.norm:RMSNorm`",
    ),
    "a formula": (
        ("", "function: {python: x**2}\ninputs: {x: 1}"),
        "3:24: `x**2` names no function: write `module:name`, as in `mykernels.norm:RMSNorm`",
    ),
    "a number": (
        ("", "function: {python: 3}\ninputs: {x: 1}"),
        "3:24: expected a text, as in mykernels.norm:RMSNorm, found `3`",
    ),
    "nothing": (
        ("", "function: {python: }\ninputs: {x: 1}"),
        "3:24: expected a text, as in mykernels.norm:RMSNorm, found nothing",
    ),
    "a step beside": (
        ("", 'function: {y: x**2, python: "m:f"}\ninputs: {x: 1}'),
        "3:25: `python` names something in a module: no step or line is called so",
    ),
    "a line beside": (
        (ALONE, 'backward: {python: "m:f", dx: dout}'),
        "5:16: `python` names something in a module: no step or line is called so",
    ),
    "a key that is misspelled": (
        ("", 'function: {python: "m:f", argumnets: {eps: 1}}\ninputs: {x: 1}'),
        "3:31: unknown key `argumnets`: did you mean `arguments`?",
    ),
    "arguments of a reference": (
        (ALONE, 'reference: {python: "m:f", arguments: {eps: 1}}'),
        "5:32: unknown key `arguments`: known are python",
    ),
    "arguments that are a list": (
        ("", 'function: {python: "m:f", arguments: [1]}\ninputs: {x: 1}'),
        "3:42: expected a mapping such as {eps: 1e-06}, found a list",
    ),
    "an argument that is a mapping": (
        ("", 'function: {python: "m:f", init: {a: [1, {b: 2}]}}\ninputs: {x: 1}'),
        "3:45: expected a number, a text, true, false, null or a list of them, found a mapping",
    ),
    "an argument that is no name": (
        ("", 'function: {python: "m:f", arguments: {my eps: 2}}\ninputs: {x: 1}'),
        "3:43: `my eps` is no name of an argument",
    ),
    "an argument that is no float64": (
        ("", 'function: {python: "m:f", arguments: {eps: 1e999}}\ninputs: {x: 1}'),
        "3:48: this number is larger than any float64",
    ),
    "no inputs": (
        ("", 'function: {python: "m:f"}'),
        "2:3: nothing to differentiate by: give values under `inputs`",
    ),
    "an input called out": (
        ("", 'function: {python: "m:f"}\ninputs: {out: 1}'),
        "4:14: `out` is the name of the output: use another name",
    ),
    "an input that is a keyword": (
        ("", 'function: {python: "m:f"}\ninputs: {lambda: 1}'),
        "4:14: `lambda` is reserved: use another name, such as `lambda_`",
    ),
    "an input that is a word of the reference": (
        ("", 'function: {python: "m:f"}\ninputs: {mean: 1}\nreference: exp(2)'),
        "4:14: `mean` hides a word of the language: use another name, such as `mean_x`",
    ),
    # keys that belong to functions in Python
    **{
        f"{key} of a formula": (
            (FORMULA, f"{key}: {value}"),
            f"6:5: `{key}` is for functions in Python, and this one is a formula",
        )
        for key, value in {
            "reference": "x*x",
            "conditions": "[al]",
            "rng": "fixed",
            "forward_mode": "false",
        }.items()
    },
    "a derivative of a formula": (
        ("", 'function: x**2\ninputs: {x: 1}\nderivatives: {x: [2*x, {python: "m:f"}]}'),
        "5:29: `python` is for functions in Python: a formula's derivatives are formulas",
    ),
    "a backward of a formula": (
        (FORMULA, 'backward: {python: "m:f"}'),
        "6:16: `python` is for functions in Python: a formula's derivatives are formulas",
    ),
    "a jvp of a formula": (
        (FORMULA, 'jvp: {python: "m:f"}'),
        "6:11: `python` is for functions in Python: a formula's derivatives are formulas",
    ),
    # keys that belong to formulas
    "autograd": (
        (ALONE, "autograd: {backward_passes: 2}"),
        "5:5: `autograd` is for formulas, not for functions in Python",
    ),
    "autograd beside a reference": (
        (BESIDE, "autograd: {backward_passes: 2}"),
        "6:5: `autograd` is for formulas, not for functions in Python",
    ),
    "a gradient": (
        (BESIDE, "expect: [{loss: 36}, {x.grad: 36}]"),
        "6:27: `x.grad` is for formulas, not for functions in Python",
    ),
    "lines of a backward": (
        (ALONE, "backward: {dx: dout}"),
        "5:5: `backward` needs `reference: <formula>`, unless it is `{python: …}`",
    ),
    "lines of a jvp beside a reference in Python": (
        (ALONE, 'reference: {python: "m:g"}\njvp: {dout: dx}'),
        "6:5: `jvp` needs `reference: <formula>`, unless it is `{python: …}`",
    ),
    "outputs": (
        (ALONE, "outputs: [h, c]"),
        "5:5: `outputs` needs `reference: <formula>`, whose steps it names",
    ),
    "expect": (
        (ALONE, "expect: {out: 1}"),
        "5:5: `expect` needs `reference: <formula>`, which published numbers are held to",
    ),
    "expect of a point": (
        ("", 'function: {python: "m:f"}\npoints: [{inputs: {x: 1}, expect: {out: 2}}]'),
        "4:31: `expect` needs `reference: <formula>`, which published numbers are held to",
    ),
    "cotangents": (
        (ALONE, "cotangents: {dout: 1}"),
        "5:5: `cotangents` needs `reference: <formula>`, as lines of `backward` do",
    ),
    "cotangents of a backward in Python": (
        (BESIDE, 'backward: {python: "m:f"}\ncotangents: {dloss: 1}'),
        "7:18: cotangents are for `backward`, which is not there",
    ),
    "derivatives of a recurrence": (
        (ALONE, "derivatives: {recurrence: {dh/dx: {start: 0, next: h}}}"),
        "5:19: `recurrence` needs `reference: <formula>`, whose steps it follows",
    ),
    "a link between steps": (
        (ALONE, "derivatives: {dz/dx: y}"),
        "5:19: `dz/dx` needs `reference: <formula>`, of which it is a derivative",
    ),
    "a link with something held": (
        (ALONE, 'derivatives: {"dout/dx | y": y}'),
        "5:20: `dout/dx | y` needs `reference: <formula>`, of which it is a derivative",
    ),
    "a second derivative": (
        (ALONE, "derivatives: {d2out/dx dy: 1}"),
        "5:19: `d2out/dx dy` needs `reference: <formula>`, of which it is a derivative",
    ),
    "a derivative that uses another": (
        (ALONE, "derivatives: {x: y, y: 2*dout/dx}"),
        "5:30: `dout/dx` needs `reference: <formula>`, whose derivatives may use each other",
    ),
    # derivatives
    "an input that is misspelled": (
        ("", 'function: {python: "m:f"}\ninputs: {weight: 1}\nderivatives: {wieght: 2}'),
        "5:19: `wieght` is not a derivative: did you mean `weight`?",
    ),
    "an input that is like none": (
        (ALONE, "derivatives: {q: 2}"),
        "5:19: `q` is not a derivative: write an input's name, or dout/dx",
    ),
    "a derivative by a constant": (
        (ALONE, "constants: {c: 1}\nderivatives: {dout/dc: 2}"),
        "6:19: `c` is a constant: move it to `inputs`",
    ),
    "a derivative by a size": (
        (ALONE, "sizes: {n: 1}\nderivatives: {n: 2}"),
        "6:19: `n` is a size: there is no derivative by it",
    ),
    "a derivative by integers": (
        (ALONE.replace("3", "{shape: [2], sample: integers}"), 'derivatives: {y: {python: "m:f"}}'),
        "5:19: `y` is drawn as integers: no derivative by it, move it to `constants`",
    ),
    "a derivative that is written twice": (
        (ALONE, 'derivatives: {x: 1, dout/dx: {python: "m:f"}}'),
        "5:25: `dout/dx` is written twice: list alternatives",
    ),
    "an unknown name": (
        (ALONE, "derivatives: {x: 2*z}"),
        "5:24: `z` is not known: known are out, x, y",
    ),
    "a word that is an input": (
        ("", 'function: {python: "m:f"}\ninputs: {e: 1}\nderivatives: {e: 2*e}'),
        "5:22: `e` is a word here, and an input: rename the input",
    ),
    "a derivative in Python by no input": (
        (BESIDE, 'derivatives: {dloss/dq: {python: "m:f"}}'),
        "6:19: `dloss/dq`: `q` is not a value of the function: known are loss, x, y, z",
    ),
    "a derivative in Python of a step": (
        (BESIDE, 'derivatives: {dz/dx: {python: "m:f"}}'),
        "6:19: `dz/dx` is no derivative of an output by an input: it needs a formula",
    ),
    "a derivative in Python by a step": (
        (BESIDE, 'derivatives: {z: {python: "m:f"}}'),
        "6:19: `z` is no derivative of an output by an input: it needs a formula",
    ),
    "a second derivative in Python": (
        (BESIDE, 'derivatives: {d2loss/dx2: {python: "m:f"}}'),
        "6:19: `d2loss/dx2` is no derivative of an output by an input: it needs a formula",
    ),
    "a mistake in the reference": (
        (ALONE, "reference: {z: x*q, loss: z}"),
        "5:22: `q` is not known: known are x, y (a module's parameters that a formula uses are "
        "listed under `inputs` too)",
    ),
    "a reference that is misspelled": (
        (ALONE, 'reference: {pyton: "m:f"}'),
        "5:17: unknown key `pyton`: did you mean `python`?",
    ),
    "a function that is misspelled": (
        ("", 'function: {pythn: "m:f", arguments: {eps: 1}}\ninputs: {x: 1}'),
        "3:16: unknown key `pythn`: did you mean `python`?",
    ),
    "a backward that is misspelled": (
        (ALONE, 'backward: {pyhton: "m:f"}'),
        "5:16: unknown key `pyhton`: did you mean `python`?",
    ),
    "a derivative that is misspelled": (
        (ALONE, 'derivatives: {x: {pyton: "m:f"}}'),
        "5:23: unknown key `pyton`: did you mean `python`?",
    ),
    **{
        f"{key} beside the function": (
            (ALONE, f"{key}: {{eps: 1}}"),
            f"5:5: `{key}` belongs inside of `function: {{python: …, {key}: …}}`",
        )
        for key in ("arguments", "init")
    },
    "a parameter of the module that is written twice": (
        (
            "",
            'function: {python: "m:f"}\ninputs: {a_b: 1}\nderivatives: {a_b: 1, dout/da.b: 2}',
        ),
        "5:27: `dout/da_b` is written twice: list alternatives",
    ),
    "a step of the reference that is an input": (
        (ALONE, "reference: {x: y, loss: x}"),
        "5:17: `x` is already an input",
    ),
    "a reference that is a list": (
        (ALONE, "reference: [x]"),
        "5:16: expected a formula, or steps `name: formula`, found a list",
    ),
    # settings
    "a condition that is misspelled": (
        (ALONE, "conditions: [all, -vmpa, linear]"),
        "5:23: `-vmpa` is no condition: did you mean `vmap`?",
    ),
    "a condition that is like none": (
        (ALONE, "conditions: qqq"),
        "5:17: `qqq` is no condition: `gradcheck conditions` lists them",
    ),
    "conditions that are a mapping": (
        (ALONE, "conditions: {vmap: true}"),
        "5:17: expected a text or a list of texts, found a mapping",
    ),
    "another rng": ((ALONE, "rng: fixd"), "5:10: `fixd` is none of fixed: did you mean `fixed`?"),
    "a forward mode that is a text": (
        (ALONE, "forward_mode: maybe"),
        "5:19: expected true or false, found `maybe`",
    ),
    # known errors
    "known errors without a reason": (
        (FORMULA, "known: {autograd: 1e-9}"),
        "6:5: `reason` is missing",
    ),
    "known errors with an empty reason": (
        (FORMULA, 'known: {autograd: 1e-9, reason: ""}'),
        "6:38: `reason` is empty",
    ),
    "known errors of nobody": (
        (FORMULA, "known: {reason: r}"),
        "6:12: write whose error is known: `handwritten`, `autograd` or `function`",
    ),
    "known errors of somebody else": (
        (FORMULA, "known: {numeric: 1e-9, reason: r}"),
        "6:13: unknown key `numeric`: known are autograd, function, handwritten, reason",
    ),
    "a known error that is not positive": (
        (FORMULA, "known: {handwritten: 0, reason: r}"),
        "6:26: expected a number above 0, found `0`",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_reported_once_at_its_place(kind):
    (before, after), problem = MISTAKES[kind]
    file = document(before + after)
    assert [str(one) for one in file.problems] == [f"f.yaml:{problem}"]
    assert file.cases == ()


def test_all_mistakes_of_a_case_are_told_at_once():
    file = document(f"{ALONE}rng: fixd\nconditions: [al]\noutputs: z\nderivatives: {{x: q, z: 1}}")
    assert [str(one).split(": ", 1)[1] for one in file.problems] == [
        "`fixd` is none of fixed: did you mean `fixed`?",
        "`al` is no condition: `gradcheck conditions` lists them",
        "`outputs` needs `reference: <formula>`, whose steps it names",
        "`q` is not known: known are out, x, y",
        "`z` is not a derivative: write an input's name, or dout/dx",
    ]


MODULE = "open('imported', 'w').close()\ndef f(x): return x\n"


@pytest.mark.parametrize("command", ["validate", "list"])
def test_reading_a_case_imports_neither_its_module_nor_torch(command, tmp_path):
    (tmp_path / "mymodule.py").write_text(MODULE)
    text = "cases:\n  c:\n    function: {python: mymodule:f}\n    inputs: {x: 1}\n"
    (tmp_path / "a.grad.yaml").write_text(text)
    code = (
        "import sys; from gradcheck.cli import _main; code = _main();"
        "assert not {'torch', 'mymodule'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, "a.grad.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()
