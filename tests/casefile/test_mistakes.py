"""Every kind of mistake in a case file: where it is reported, in which words, and only once."""

import textwrap
import time

import pytest

from gradcheck.casefile.document import Document
from gradcheck.casefile.fields import BLAMES
from gradcheck.casefile.load import read

DTYPES = "float64, float32, float16, bfloat16, complex128, complex64"
STEPS = "{y: x**2, z: sin(y)}"
LOOP = "{recurrence: {steps: 2, states: {h: {start: x, next: w*h}}}}"
XW = "{x: 1, w: 2}"

HEAD = """\
definitions:
  twice(x): 2*x
  half(x): x/2
cases:
"""
VALID = """\
  valid_{}:
    function: twice(x)
    inputs: {{x: 1}}
    derivatives: {{x: 2}}
"""


def case(**keys):
    """A case called `a`: these keys, after or in place of those of a right one (None: without)."""
    written = {"function": "x**2", "inputs": "{x: 3}", "derivatives": "{x: 2*x}", **keys}
    lines = [f"  {key}: {value}".rstrip() for key, value in written.items() if value is not None]
    return "\n".join(["a:", *lines]) + "\n"


def messages(text):
    return [str(problem) for problem in read(Document.parse(text, "f.yaml")).problems]


def names(text):
    return [one.name for one in read(Document.parse(text, "f.yaml")).cases]


# Lines count from the case's name, columns as it stands below `cases:`.
MISTAKES = {
    # keys
    "an unknown key of a case": (
        case(inptus="{y: 1}"),
        "5:5: unknown key `inptus`: did you mean `inputs`?",
    ),
    "an unknown key of a case that is like none": (
        case(zzz="1"),
        (
            "5:5: unknown key `zzz`: known are about, autograd, backward, conditions, constants, "
            "cotangents, derivatives, devices, digits, domain, dtypes, expect, forward_mode, "
            "function, inputs, jvp, known, outputs, points, reference, resolution, rng, samples, "
            "sizes, skip, source, subgradient, tags, timeout, xfail"
        ),
    ),
    "a misspelled key that is needed": (
        case(function=None, functoin="x**2"),
        "4:5: unknown key `functoin`: did you mean `function`?",
    ),
    "no function": (case(function=None), "1:3: `function` is missing"),
    "a case without anything": ("a:\n", "1:5: expected a mapping with `function`, found nothing"),
    "a case that is a formula": (
        "a: x**2\n",
        "1:6: expected a mapping with `function`, found `x**2`",
    ),
    "a case that is a list": (
        "a: [x**2]\n",
        "1:6: expected a mapping with `function`, found a list",
    ),
    "an unknown key of an input": (
        case(inputs="{x: {shape: [2], smaple: normal}}"),
        "3:30: unknown key `smaple`: did you mean `sample`?",
    ),
    "an unknown key of a point": (
        ("a:\n  function: x\n  derivatives: {x: 1}\n  points:\n    - {input: {x: 1}}\n"),
        "5:10: unknown key `input`: did you mean `inputs`?",
    ),
    "a point that is its inputs": (
        ("a:\n  function: x\n  derivatives: {x: 1}\n  points:\n    - {x: 1}\n"),
        "5:10: unknown key `x`: known are cotangents, expect, inputs, samples",
    ),
    "an unknown key of a recurrence": (
        case(
            function="{recurrence: {stesp: 2, states: {h: {start: x, next: h}}}}",
            derivatives="{x: 1}",
        ),
        "2:29: unknown key `stesp`: did you mean `steps`?",
    ),
    "an unknown key of a state": (
        case(
            function="{recurrence: {steps: 2, states: {h: {start: x, nxet: h}}}}",
            derivatives="{x: 1}",
        ),
        "2:62: unknown key `nxet`: did you mean `next`?",
    ),
    "an unknown key of a derivative in a recurrence": (
        case(function=LOOP, inputs=XW, derivatives="{recurrence: {dh/dw: {strat: 0, next: h}}}"),
        "4:40: unknown key `strat`: did you mean `start`?",
    ),
    "an unknown key of xfail": (
        case(xfail="{raeson: known, blame: autograd}"),
        "5:13: unknown key `raeson`: did you mean `reason`?",
    ),
    "a duplicate key": (
        case(about="one\n  inputs: {x: 4}"),
        '6:5: "inputs" is here twice: it is on line 3 already',
    ),
    "a duplicate input": (
        case(inputs="\n    x: 3\n    x: 4"),
        '5:7: "x" is here twice: it is on line 4 already',
    ),
    "an anchor": (case(about="&here text"), "5:12: anchors are not supported: leave out &here"),
    "a merge key": (
        case(function=None, **{"<<": "other"}),
        "4:5: merge keys are not supported: write the pairs out",
    ),
    "a key that is a number": (case(inputs="{1: 3}"), '3:14: a key must be text: write "1"'),
    # wrong types
    "a function that is a list": (
        case(function="[x, y]"),
        "2:15: expected a formula, or steps `name: formula`, found a list",
    ),
    "a function without a value": (
        case(function=""),
        "2:14: expected a formula, or steps `name: formula`, found nothing",
    ),
    "an empty function": (case(function="{}"), "2:15: `function` is empty"),
    "a step that is a list": (
        case(function="{z: [x]}"),
        "2:19: expected a formula (or, for `recurrence`, steps and states), found a list",
    ),
    "a step that is a mapping": (
        case(function="{z: {y: x}}"),
        "2:19: expected a formula (or, for `recurrence`, steps and states), found a mapping",
    ),
    "inputs that are a list": (
        case(inputs="[x]"),
        "3:13: expected a mapping such as {x: 3.0}, found a list",
    ),
    "inputs without a value": (
        case(inputs=""),
        "3:12: expected a mapping such as {x: 3.0}, found nothing",
    ),
    "an input without a value": (
        case(inputs="{x: }"),
        "3:17: expected a number, a list of numbers or {shape: …, sample: …}, found nothing",
    ),
    "an input that is a formula": (
        case(inputs="{x: 1/3}"),
        "3:17: expected a number or a list of numbers, found `1/3`",
    ),
    "a text among numbers": (
        case(inputs="{x: [[1, 2], [3, four]]}"),
        "3:30: expected a number, found `four`",
    ),
    "an input that is infinite": (
        case(inputs="{x: [1, .inf]}"),
        "3:21: nothing can be differentiated here: an input is a finite number",
    ),
    "an input that is no float64": (
        case(inputs="{x: 1e400}"),
        "3:17: this number is larger than any float64",
    ),
    "an exponent that is too large": (
        case(inputs="{x: 1e999999}"),
        "3:17: an exponent beyond ±9999 is not supported",
    ),
    "constants that are a text": (
        case(constants="y"),
        "5:16: expected a mapping such as {y: 1.0}, found `y`",
    ),
    "points that are a mapping": (
        case(inputs=None, points="{inputs: {x: 1}}"),
        ("4:13: expected a list such as [{inputs: {x: 3.0}}, {inputs: {x: 4.0}}], found a mapping"),
    ),
    "no points": (case(inputs=None, points="[]"), "4:13: `points` is empty"),
    "a point without a value": (
        case(inputs=None, points="[null]"),
        "4:14: expected a mapping, found nothing",
    ),
    "a size that is a text": (
        case(sizes="{n: many}"),
        "5:16: expected a whole number from 0, or a list of them, found `many`",
    ),
    "a size that is no whole number": (
        case(sizes="{n: [1, 1.5]}"),
        "5:20: expected a whole number from 0, found `1.5`",
    ),
    "a negative size": (
        case(sizes="{n: -1}"),
        "5:16: expected a whole number from 0, or a list of them, found `-1`",
    ),
    "no sizes to choose from": (
        case(sizes="{n: []}"),
        "5:16: expected at least one size, found an empty list",
    ),
    "a size that is listed twice": (
        case(sizes="{n: [1, 2, 1]}"),
        "5:23: this size is listed twice",
    ),
    "a size that is too large": (
        case(sizes="{n: 999999999999}"),
        "5:16: a size is at most 16,777,216",
    ),
    "derivatives that are a formula": (
        case(derivatives="2*x"),
        "4:18: expected a mapping such as {x: 2*x*cos(x**2)}, found `2*x`",
    ),
    "a derivative without a value": (
        case(derivatives="{x: }"),
        "4:22: `x` is left to write: its formula stands here",
    ),
    "a line of a backward without a formula": (
        case(backward="{dx: }"),
        "5:20: `dx` is left to write: its formula stands here",
    ),
    "a second derivative without a formula": (
        case(derivatives="{d2out/dx2: }"),
        "4:30: `d2out/dx2` is left to write: its formula stands here",
    ),
    "a recurrence without lines": (
        case(derivatives="{recurrence: }"),
        "4:31: expected a mapping such as {dh/dw: {start: 0, next: h + w*dh/dw}}, found nothing",
    ),
    "no alternatives": (case(derivatives="{x: []}"), "4:22: `x` is empty"),
    "an alternative that is a mapping": (
        case(derivatives="{x: [2*x, {y: 1}]}"),
        "4:28: expected a formula, found a mapping",
    ),
    "a derivative that is a mapping": (
        case(derivatives="{x: {y: 2}}"),
        "4:22: expected a formula, or a list of alternative formulas, found a mapping",
    ),
    "a derivative at every step beside the recurrence": (
        case(derivatives="{x: {start: 1, next: 2}}"),
        "4:22: what is computed at every step belongs in `recurrence: {dh/dw: {start, next}}`",
    ),
    "expect that is a number": (
        case(expect="9"),
        (
            "5:13: expected a mapping of quantities to numbers, or a list of such mappings, "
            "found `9`"
        ),
    ),
    "expect without a value": (
        case(expect=""),
        "5:12: `expect` has no value: fill it in, or leave the key out",
    ),
    "nothing in expect": (
        case(expect="{}"),
        "5:13: nothing is published here: write quantity: number",
    ),
    "no blocks in expect": (case(expect="[]"), "5:13: `expect` is empty"),
    "a published text": (
        case(expect="{x: six}"),
        "5:17: expected a number, a list of numbers or none, found `six`",
    ),
    "ragged published numbers": (
        case(expect="{x: [[1, 2], [3]]}"),
        "5:26: this is a list of 1, the item before it a list of 2",
    ),
    "tags that are a number": (case(tags="[1]"), "5:12: expected a text, found `1`"),
    "tags that are a mapping": (
        case(tags="{a: b}"),
        "5:11: expected a text or a list of texts, found a mapping",
    ),
    "a tag that pytest would act on": (
        case(tags="[loss, skip]"),
        "5:18: `skip` means something to pytest: use another tag",
    ),
    "a tag of two words": (
        case(tags="matrix calculus"),
        "5:11: `matrix calculus` is no tag: use letters, digits, _, . and -",
    ),
    "autograd that is a text": (
        case(autograd="detach"),
        "5:15: expected a mapping such as {backward_passes: 2}, found `detach`",
    ),
    "an unknown key of autograd": (
        case(autograd="{passes: 2}"),
        (
            "5:16: unknown key `passes`: known are backward_passes, disabled_by, retain_grad, "
            "zero_grad"
        ),
    ),
    "no backward pass": (
        case(autograd="{backward_passes: 0}"),
        "5:33: expected a whole number from 1 to 100, found `0`",
    ),
    "zero_grad that is a number": (
        case(autograd="{zero_grad: 1}"),
        "5:27: expected true or false, found `1`",
    ),
    "tracking that is switched off by a misspelled word": (
        case(autograd="{disabled_by: nograd}"),
        (
            "5:29: `nograd` is none of requires_grad_, detach, no_grad, inference_mode: did you "
            "mean `no_grad`?"
        ),
    ),
    "about that is a list": (case(about="[one, two]"), "5:12: expected a text, found a list"),
    "source that is a number": (case(source="2023"), "5:13: expected a text, found `2023`"),
    "skip that is not a reason": (case(skip="true"), "5:11: expected a text, found `true`"),
    "skip without words": (case(skip="''"), "5:12: `skip` is empty"),
    "xfail that is a text": (
        case(xfail="known"),
        "5:12: expected a mapping with `reason` and `blame`, found `known`",
    ),
    "xfail without a blame": (case(xfail="{reason: known}"), "5:5: `blame` is missing"),
    "a blame that is none": (
        case(xfail="{reason: known, blame: handwriten}"),
        (
            "5:35: `handwriten` is none of handwritten, autograd, numeric, function, expected: "
            "did you mean `handwritten`?"
        ),
    ),
    "a blame that is none among several": (
        case(xfail="{reason: known, blame: 'autograd, torch'}"),
        "5:36: `torch` is none of handwritten, autograd, numeric, function, expected",
    ),
    "a dtype that is misspelled": (
        case(dtypes="[float32, flaot64]"),
        (f"5:23: `flaot64` is none of {DTYPES}: did you mean `float64`?"),
    ),
    "a dtype that is a number": (
        case(dtypes="32"),
        f"5:13: `32` is none of {DTYPES}",
    ),
    "a dtype in other words": (
        case(dtypes="double"),
        (f"5:13: `double` is none of {DTYPES}: did you mean `float64`?"),
    ),
    "no dtypes": (case(dtypes="[]"), "5:13: `dtypes` is empty"),
    "a device that is none": (
        case(devices="gpu"),
        "5:14: `gpu` is none of auto, all, cpu, cuda, cuda:0: did you mean `cuda`?",
    ),
    "a device without its number": (
        case(devices="[cpu, 'cuda:']"),
        "5:21: `cuda:` is none of auto, all, cpu, cuda, cuda:0: did you mean `cuda:0`?",
    ),
    "devices that are a mapping": (
        case(devices="{cpu: 1}"),
        "5:14: expected a device or a list of devices, found a mapping",
    ),
    "a resolution of 0": (
        case(resolution="0"),
        "5:17: expected a number above 0 and at most 1, found `0`",
    ),
    "a negative resolution": (
        case(resolution="-1e-6"),
        "5:17: expected a number above 0 and at most 1, found `-1e-6`",
    ),
    "an infinite resolution": (
        case(resolution=".inf"),
        "5:17: expected a number above 0 and at most 1, found `.inf`",
    ),
    "a resolution that is not a number": (
        case(resolution=".nan"),
        "5:17: expected a number above 0 and at most 1, found `.nan`",
    ),
    "a resolution that is a text": (
        case(resolution="high"),
        "5:17: expected a number above 0 and at most 1, found `high`",
    ),
    "a resolution without a value": (
        case(resolution=""),
        "5:16: `resolution` has no value: fill it in, or leave the key out",
    ),
    "no samples": (case(samples="0"), "5:14: expected a whole number from 1 to 1,000, found `0`"),
    "too many samples": (
        case(samples="1000000"),
        "5:14: expected a whole number from 1 to 1,000, found `1000000`",
    ),
    "a part of a sample": (
        case(samples="1.5"),
        "5:14: expected a whole number from 1 to 1,000, found `1.5`",
    ),
    # names
    "an unknown name": (case(function="2*xx"), "2:17: `xx` is not known: did you mean `x`?"),
    "an unknown name like no other": (
        case(function="2*theta"),
        "2:17: `theta` is not known: known are x",
    ),
    "an unknown name in a derivative": (
        case(derivatives="{x: 2*xx}"),
        "4:24: `xx` is not known: did you mean `x`?",
    ),
    "an unknown word": (
        case(function="sine(x)"),
        "2:15: `sine` is not a word: did you mean `sin`?",
    ),
    "a word of another library": (
        case(function="arcsin(x)", derivatives="{x: 1}"),
        "2:15: `arcsin` is not a word: write asin",
    ),
    "a name before its step": (
        case(function="{z: sin(y), y: x**2}", derivatives="{x: 1}"),
        "2:23: `y` is not known yet: it is computed below",
    ),
    "a state before its recurrence": (
        case(
            function="{z: h, recurrence: {steps: 2, states: {h: {start: x, next: h}}}}",
            derivatives="{x: 1}",
        ),
        "2:19: `h` is not known yet: it is computed below",
    ),
    "a step that uses itself": (
        case(function="{z: z + x}", derivatives="{x: 1}"),
        "2:19: `z` is not known yet: it is computed below",
    ),
    "an input that hides a word": (
        case(function="var**2", inputs="{var: 1}", derivatives="{var: 1}"),
        "3:14: `var` hides a word of the language: use another name, such as `var_x`",
    ),
    "a step that hides a constant": (
        case(function="{e: x**2}"),
        "2:16: `e` hides a word of the language: use another name, such as `e_`",
    ),
    "a keyword as a name": (
        case(inputs="{x: 1, lambda: 1}"),
        "3:20: `lambda` is reserved: use another name, such as `lambda_`",
    ),
    "a name with a sign": (
        case(function="{z-1: x**2}"),
        "2:16: `z-1` is no name: use letters, digits and _, not beginning with a digit",
    ),
    "a name in Greek": (
        case(function="{θ: x**2}"),
        "2:16: `θ` is no name: use letters, digits and _, not beginning with a digit",
    ),
    "a name that means the output": (
        case(inputs="{out: 1}", function="out**2", derivatives="{out: 2}"),
        "3:14: `out` is the name of the output: use another name",
    ),
    "a name that is a key of expect": (
        case(inputs="{of: 1}", function="of**2", derivatives="{of: 2}"),
        "3:14: `of` is reserved: use another name, such as `of_`",
    ),
    "out before the last step": (
        case(function="{out: x**2, z: out}"),
        "2:16: `out` is another name for the last step, `z`",
    ),
    "an input and a constant of one name": (
        case(constants="{x: 1}"),
        "3:14: `x` is already a constant",
    ),
    "a size and an input of one name": (case(sizes="{x: 1}"), "3:14: `x` is already a size"),
    "an input and a step of one name": (
        case(function="{x: x**2}"),
        "2:16: `x` is already an input",
    ),
    "a state and an input of one name": (
        case(function="{recurrence: {steps: 2, states: {x: {start: 1, next: x}}}}"),
        "2:48: `x` is already an input",
    ),
    "an index and an input of one name": (
        case(function="{recurrence: {steps: 2, index: x, states: {h: {start: 1, next: h}}}}"),
        "2:46: `x` is already an input",
    ),
    "an input and a definition of one name": (
        case(function="half", inputs="{half: 1}", derivatives="{half: 1}"),
        "3:14: `half` is already a definition",
    ),
    # links
    "an undeclared link": (
        case(function=STEPS, derivatives="{dz/dy: cos(y), x: dz/dy * dy/dx}"),
        "4:45: `dy/dx` is not declared: write its formula under `derivatives` too",
    ),
    "an undeclared link that is misspelled": (
        case(function=STEPS, derivatives="{dz/dy: cos(y), dy/dx: 2*x, x: dz/dyy * dy/dx}"),
        "4:49: `dz/dyy` is not a link that can be used here: did you mean `dz/dy`?",
    ),
    "a link with spaces": (
        case(function=STEPS, derivatives="{dz/dy: cos(y), dy/dx: 2*x, x: dz / dy * dy/dx}"),
        "4:49: a link is written without spaces: `dz/dy`",
    ),
    "a link of an unknown output": (
        case(derivatives="{dloss/dx: 2*x}"),
        "4:19: `dloss/dx`: `loss` is not a value of the function: known are out",
    ),
    "a link by an unknown input": (
        case(function=STEPS, derivatives="{dz/dw: 2*x}"),
        "4:19: `dz/dw`: `w` is not a value of the function: known are x, y, z",
    ),
    "a link that is swapped": (
        case(function=STEPS, derivatives="{dy/dz: 1/cos(y)}"),
        "4:19: `dy/dz`: `y` does not depend on `z`: did you mean `dz/dy`?",
    ),
    "a link from the output to an input": (
        case(function=STEPS, derivatives="{dx/dz: 1}"),
        "4:19: `dx/dz`: `x` is given, not computed by the function: did you mean `dz/dx`?",
    ),
    "a link to a constant": (
        case(function="c*x", constants="{c: 2}", derivatives="{dout/dc: x}"),
        "4:19: `dout/dc`: `c` is a constant: move it to `inputs`",
    ),
    "a link to a size": (
        case(function="n*x", sizes="{n: 2}", derivatives="{dout/dn: x}"),
        "4:19: `dout/dn`: `n` is a size: there is no derivative by it",
    ),
    "a link to integers": (
        case(function="k*x", inputs="{x: 1, k: {sample: integers}}", derivatives="{k: x}"),
        ("4:19: `dout/dk`: `k` is drawn as integers: no derivative by it, move it to `constants`"),
    ),
    "a link between independent values": (
        case(inputs=XW, derivatives="{w: 0}"),
        "4:19: `dout/dw`: `out` does not depend on `w`",
    ),
    "a link of the output to itself": (
        case(function=STEPS, derivatives="{dz/dz: 1}"),
        "4:19: `dz/dz`: a value's derivative by itself is 1: there is nothing to check",
    ),
    "the output as its own derivative": (
        case(function=STEPS, derivatives="{z: 1}"),
        "4:19: `z` is the output: write the name of an input, or a link dA/dB",
    ),
    "a derivative by an unknown name": (
        case(derivatives="{w: 2*x}"),
        "4:19: `w` is not a derivative: write an input's name, or a link dA/dB",
    ),
    "a second derivative": (
        case(derivatives="{d2out/dx: 2}"),
        "4:19: `d2out/dx` is not a derivative: did you mean `dout/dx`?",
    ),
    "one derivative twice": (
        case(derivatives="{x: 2*x, dout/dx: 2*x}"),
        "4:27: `dout/dx` is written twice: list alternatives",
    ),
    "an ambiguous link": (
        case(
            function="{y: x*dy*dx, z: y}",
            inputs="{x: 1, dy: 1, dx: 2}",
            derivatives="{dy/dx: dy*dx, dz/dx: dy/dx}",
        ),
        (
            "4:40: `dy/dx` is a link and also `dy` divided by `dx`: rename a value, or put "
            "spaces around the / for the division"
        ),
    ),
    "links that need each other": (
        case(function=STEPS, derivatives="{dz/dy: dz/dx, dz/dx: dz/dy}"),
        "4:19: these derivatives need each other: dz/dx → dz/dy → dz/dx",
    ),
    "a link that needs itself": (
        case(function=STEPS, derivatives="{dz/dx: 1*dz/dx}"),
        "4:19: these derivatives need each other: dz/dx → dz/dx",
    ),
    # recurrences
    "states under another key": (
        case(
            function="{loop: {steps: 2, states: {h: {start: x, next: w*h}}}}",
            inputs=XW,
            derivatives="{w: 1}",
        ),
        "2:16: states belong to a step called `recurrence`, not `loop`",
    ),
    "a recurrence that is a formula": (
        case(function="{recurrence: x**2}"),
        "2:16: a recurrence has `steps` and `states`",
    ),
    "a recurrence without states": (
        case(function="{recurrence: {steps: 2}}"),
        "2:16: `states` is missing",
    ),
    "no states": (case(function="{recurrence: {steps: 2, states: {}}}"), "2:47: `states` is empty"),
    "a state without next": (
        case(function="{recurrence: {steps: 2, states: {h: {start: x}}}}"),
        "2:48: `next` is missing",
    ),
    "a state that is a formula": (
        case(function="{recurrence: {steps: 2, states: {h: x}}}"),
        "2:51: expected a mapping with `start` and `next`, found `x`",
    ),
    "an index that is a number": (
        case(function="{recurrence: {steps: 2, index: 0, states: {h: {start: x, next: h}}}}"),
        "2:46: expected a text, found `0`",
    ),
    "no steps": (
        case(function="{recurrence: {steps: 0, states: {h: {start: x, next: h}}}}"),
        "2:36: `steps` is a whole number from 1",
    ),
    "too many steps": (
        case(function="{recurrence: {steps: 1000000000, states: {h: {start: x, next: h}}}}"),
        "2:36: so many steps take more than 100,000 operations",
    ),
    "steps that depend on an input": (
        case(function="{recurrence: {steps: x, states: {h: {start: x, next: h}}}}"),
        "2:36: `x` is not known: only numbers are known here",
    ),
    "the index outside of its recurrence": (
        case(
            function="{recurrence: {steps: 2, index: t, states: {h: {start: x, next: h}}}, z: t*h}"
        ),
        "2:87: `t` is not known: known are h, x",
    ),
    "a derivative of no state in a recurrence": (
        case(
            function="{recurrence: {steps: 2, states: {h: {start: x, next: w*h}}}, z: h}",
            inputs=XW,
            derivatives="{recurrence: {dz/dw: {start: 0, next: h}}}",
        ),
        "4:32: `dz/dw` is not the derivative of a state: write dh/dx for a state h",
    ),
    "a derivative by no name in a recurrence": (
        case(function=LOOP, inputs=XW, derivatives="{recurrence: {dh/dv: {start: 0, next: h}}}"),
        "4:32: `dh/dv`: `v` is not a value of the function: known are h, w, x",
    ),
    "a derivative without next in a recurrence": (
        case(function=LOOP, inputs=XW, derivatives="{recurrence: {dh/dw: {start: 0}}}"),
        "4:32: `next` is missing",
    ),
    "a formula for a recurrence's derivative": (
        case(function=LOOP, inputs=XW, derivatives="{recurrence: {dh/dw: h}}"),
        "4:39: expected a mapping with `start` and `next`, found `h`",
    ),
    "a formula for a recurrence's derivatives": (
        case(function=LOOP, inputs=XW, derivatives="{recurrence: h}"),
        "4:31: expected a mapping such as {dh/dw: {start: 0, next: h + w*dh/dw}}, found `h`",
    ),
    "a recurrence in the derivatives alone": (
        case(derivatives="{recurrence: {dh/dx: {start: 0, next: 1}}}"),
        "4:19: the function has no step called `recurrence`",
    ),
    # values
    "a ragged list": (
        case(inputs="{x: [[1, 2], [3]]}"),
        "3:26: this is a list of 1, the item before it a list of 2",
    ),
    "a number among lists": (
        case(inputs="{x: [[1, 2], 3]}"),
        "3:26: this is a number, the item before it a list of 2",
    ),
    "a distribution that is misspelled": (
        case(inputs="{x: {sample: nromal}}"),
        "3:26: `nromal` is not a distribution: did you mean `normal`?",
    ),
    "a distribution that is none": (
        case(inputs="{x: {sample: zipf}}"),
        (
            "3:26: `zipf` is not a distribution: known are normal, uniform, positive, spd, "
            "orthogonal, integers"
        ),
    ),
    "a distribution that is a list": (
        case(inputs="{x: {sample: [normal]}}"),
        "3:26: expected a text, found a list",
    ),
    "a distribution's parameters missing": (
        case(inputs="{x: {sample: uniform(1)}}"),
        "3:26: `uniform(1)`: uniform takes 2 parameters or none, not 1",
    ),
    "a distribution's parameters in excess": (
        case(inputs="{x: {sample: 'normal(0, 1)'}}"),
        "3:27: `normal(0, 1)`: normal takes no parameters, not 2",
    ),
    "a distribution's parameters swapped": (
        case(inputs="{x: {sample: 'uniform(2, 1)'}}"),
        "3:27: `uniform(2, 1)`: the lower end has to be below the upper one",
    ),
    "a distribution's parameters infinite": (
        case(inputs="{x: {sample: 'uniform(0, inf)'}}"),
        (
            "3:27: `uniform(0, inf)`: the ends have to be finite, and not too far apart for a "
            "float64"
        ),
    ),
    "a distribution's parameters no numbers": (
        case(inputs="{x: {sample: 'uniform(a, b)'}}"),
        "3:27: `uniform(a, b)`: the parameters of a distribution are numbers",
    ),
    "a distribution's comma without quotes": (
        case(inputs="{x: {sample: uniform(-1, 1)}}"),
        '3:26: a formula with a comma inside {…} needs quotes: write "uniform(-1, 1)"',
    ),
    "integers between fractions": (
        case(constants="{k: {sample: 'integers(0.5, 2.5)'}}", function="x*k"),
        "5:30: `integers(0.5, 2.5)`: the ends are whole numbers of at most 15 digits",
    ),
    "a shape that is a number": (
        case(inputs="{x: {shape: 2, sample: normal}}"),
        "3:25: expected a list of sizes, such as [2, 3], found `2`",
    ),
    "a shape with a fraction": (
        case(inputs="{x: {shape: [2.5], sample: normal}}"),
        "3:26: expected a whole number from 0, or the name of a size, found `2.5`",
    ),
    "a shape with a negative size": (
        case(inputs="{x: {shape: [-1], sample: normal}}"),
        "3:26: expected a whole number from 0, or the name of a size, found `-1`",
    ),
    "a shape with an unknown size": (
        case(inputs="{x: {shape: [n], sample: normal}}"),
        "3:26: `n` is not a size: name it under `sizes`",
    ),
    "a shape with a misspelled size": (
        case(sizes="{rows: 2}", inputs="{x: {shape: [row], sample: normal}}"),
        "3:26: `row` is not a size: did you mean `rows`?",
    ),
    "a shape that is too large": (
        case(inputs="{x: {shape: [100000, 100000], sample: normal}}"),
        "3:25: shape [100000, 100000] has more than 16,777,216 elements",
    ),
    "too many dimensions": (
        case(inputs=f"{{x: {{shape: {[1] * 33}, sample: normal}}}}"),
        "3:25: a shape has at most 32 dimensions",
    ),
    "an spd matrix that is not square": (
        case(inputs="{x: {shape: [2, 3], sample: spd}}"),
        "3:25: an spd matrix is square, but this shape is [2, 3]",
    ),
    "an spd number": (
        case(inputs="{x: {sample: spd}}"),
        "3:14: an spd input is a matrix: write its shape, as in [3, 3]",
    ),
    "an orthogonal vector": (
        case(inputs="{x: {shape: [3], sample: orthogonal}}"),
        "3:25: an orthogonal input is a matrix: write its shape, as in [3, 3]",
    ),
    "an orthogonal matrix that is too large": (
        case(inputs="{x: {shape: [1000, 1000], sample: orthogonal}}"),
        (
            "3:25: drawing an orthogonal input of shape [1000, 1000] takes too long: use a "
            "smaller one"
        ),
    ),
    "too many cases from one entry": (
        case(sizes=f"{{m: {list(range(40))}, n: {list(range(40))}}}"),
        "5:5: these sizes make 1,600 cases, more than 1,000",
    ),
    "too many points from one entry": (
        case(
            samples="1000",
            sizes="{n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}",
            inputs="{x: {sample: normal}}",
        ),
        "1:3: this makes 11,000 points, more than 10,000",
    ),
    # points and expect
    "expect beside points": (
        case(inputs=None, points="[{inputs: {x: 1}}]", expect="{x: 2}"),
        "5:5: with `points`, each point has its own `expect`",
    ),
    "a point that lacks an input": (
        case(
            function="x*y",
            inputs=None,
            points="[{inputs: {x: 1, y: 2}}, {inputs: {x: 1}}]",
            derivatives="{x: y}",
        ),
        "4:38: this point has no value for `y`",
    ),
    "a point with a constant": (
        case(
            function="x*c",
            constants="{c: 2}",
            inputs=None,
            points="[{inputs: {x: 1, c: 3}}]",
            derivatives="{x: c}",
        ),
        "5:30: `c` is already a constant",
    ),
    "expect of an unknown quantity": (
        case(expect="{loss: 6}"),
        "5:14: `loss` is not a quantity: known are out, x",
    ),
    "expect of a misspelled quantity": (
        case(function=STEPS, expect="{zz: 6}"),
        "5:14: `zz` is not a quantity: did you mean `z`?",
    ),
    "expect of an unknown link": (
        case(function=STEPS, expect="{dz/dw: 6}"),
        "5:14: `dz/dw`: `w` is not a value of the function: known are x, y, z",
    ),
    "expect of a constant": (
        case(constants="{c: 1}", expect="{c: 1}"),
        "6:14: `c` is not a quantity: known are out, x",
    ),
    "the gradient of what is not there": (
        case(expect="{y.grad: 6}"),
        "5:14: `y` is not a value that has a gradient: known are out, x",
    ),
    "a gradient that a formula is to have computed": (
        case(expect="{of: handwritten, dtype: float64, x.grad: 6}"),
        "5:47: `x.grad` is what autograd leaves there: no formula computes it",
    ),
    "a value that is none": (
        case(expect="{out: none}"),
        "5:19: only a gradient can be none, such as `x.grad`",
    ),
    "an input whose gradient is retained": (
        case(autograd="{retain_grad: x}"),
        "5:29: `x` is given: only the gradients of steps have to be retained",
    ),
    "a retained gradient of a misspelled step": (
        case(function=STEPS, autograd="{retain_grad: [y, zz]}"),
        "5:33: `zz` is not a step of the function: did you mean `z`?",
    ),
    "passes without tracking": (
        case(autograd="{disabled_by: detach, backward_passes: 2}"),
        "5:37: with `disabled_by` there is no backward pass: leave `backward_passes` out",
    ),
    "expect of handwritten without a dtype": (
        case(expect="{of: handwritten, x: 6}"),
        "5:14: `of: handwritten` needs a `dtype` too",
    ),
    "expect of handwritten that nobody wrote": (
        case(
            function="x*w",
            inputs=XW,
            derivatives="{x: w}",
            expect="{of: handwritten, dtype: float64, w: 1}",
        ),
        "5:47: `dout/dw` has no formula under `derivatives` that could compute this",
    ),
    "expect of something else": (
        case(expect="{of: autograd, dtype: float64, x: 6}"),
        "5:18: `autograd` is none of truth, handwritten",
    ),
    "expect with a dtype alone": (
        case(expect="{dtype: float64, x: 6}"),
        "5:14: `dtype` goes with `of: handwritten`",
    ),
    "expect in a dtype that is not run": (
        case(expect="{of: handwritten, dtype: float32, x: 6}"),
        "5:38: the case does not run in float32: add it to `dtypes`",
    ),
    "expect in a dtype that is none": (
        case(expect="{of: handwritten, dtype: float46, x: 6}"),
        (f"5:38: `float46` is none of {DTYPES}: did you mean `float64`?"),
    ),
    # the case
    "nothing to check": (
        case(derivatives=None),
        "1:3: nothing to check: write `derivatives`, `backward`, `jvp` or `expect`",
    ),
    "no inputs": (
        case(function="2", inputs=None, derivatives=None, expect="{out: 2}"),
        "1:3: nothing to differentiate by: give values under `inputs`",
    ),
    # formulas in every style
    "a formula in plain style": (case(function="x**2 + x^2"), "2:23: `^`: a power is written **"),
    "a formula over two lines": (
        case(function="x**2 +\n    x^2"),
        "3:8: `^`: a power is written **",
    ),
    "a formula in single quotes": (case(function="'x^2'"), "2:17: `^`: a power is written **"),
    "a formula in double quotes": (
        case(function='"x**2 \\t+ x^2"'),
        "2:26: `^`: a power is written **",
    ),
    "a folded formula": (
        case(function=">\n    x**2 +\n    x^2"),
        "4:8: `^`: a power is written **",
    ),
    "a literal formula": (
        case(function="|\n    x**2 +\n    x^2"),
        "4:8: `^`: a power is written **",
    ),
    "a formula in a flow collection": (
        case(function="{z: x**2, 'w': 'z + x^2'}"),
        "2:36: `^`: a power is written **",
    ),
    "an unknown name in a literal formula": (
        case(function="|\n    x**2 +\n    y"),
        "4:7: `y` is not known: known are x",
    ),
    "a formula with a comma and no quotes": (
        case(function="{z: sum(x, 0)}"),
        '2:19: a formula with a comma inside {…} needs quotes: write "sum(x, 0)"',
    ),
    "a formula that is true": (
        case(derivatives="{x: [true]}"),
        "4:23: expected a formula, found `true`",
    ),
    "a formula that is infinite": (
        case(derivatives="{x: .inf}"),
        "4:22: expected a formula, found `.inf`",
    ),
    "a definition with too few arguments": (
        case(function="twice()"),
        "2:15: this definition is used as twice(x)",
    ),
    "a definition without arguments": (
        case(function="twice*x"),
        "2:15: `twice` is a definition: write twice(x)",
    ),
}


def entry(name, block):
    """The block below `cases:`, the case renamed."""
    return textwrap.indent(block.replace("a:", f"{name}:", 1), "  ")


def shifted(problem, lines):
    """A problem of a block, as it is reported after so many lines."""
    line, _, rest = problem.partition(":")
    before, on_line, number = rest.partition(" it is on line ")
    if on_line:
        at, _, already = number.partition(" ")
        rest = f"{before}{on_line}{int(at) + lines} {already}"
    return f"f.yaml:{int(line) + lines}:{rest}"


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_alone(kind):
    block, problem = MISTAKES[kind]
    text = HEAD + entry("a", block) + VALID.format(1)
    assert messages(text) == [shifted(problem, HEAD.count("\n"))]
    assert names(text) == ["valid_1"]


def test_all_mistakes_in_one_file():
    text, expected = HEAD, []
    for number, (block, problem) in enumerate(MISTAKES.values()):
        # A name of one letter, so that columns stay, cannot tell all cases apart.
        renamed = entry(f"case_{number}", block)
        on_first_line = problem.startswith("1:") and not problem.startswith("1:3:")
        problem = shifted(problem, text.count("\n"))
        if on_first_line:
            file, line, column, message = problem.split(":", 3)
            problem = f"{file}:{line}:{int(column) + len(f'case_{number}') - 1}:{message}"
        expected.append(problem)
        text += renamed + VALID.format(number)
    assert sorted(messages(text)) == sorted(expected)
    assert names(text) == [f"valid_{number}" for number in range(len(MISTAKES))]


def test_every_tag_is_looked_at():
    assert messages("cases:\n  " + case(tags="[a b, loss, xfail]").replace("\n  ", "\n    ")) == [
        "f.yaml:6:12: `a b` is no tag: use letters, digits, _, . and -",
        "f.yaml:6:23: `xfail` means something to pytest: use another tag",
    ]


def test_at_least_forty_kinds():
    assert len(MISTAKES) > 40


# Several mistakes in one case


def test_settings_and_formulas_are_read_in_one_pass():
    block = case(
        function="{y: x**2 + q, z: sin(y)}",
        derivatives="{dz/dy: cos(u), dy/dx: 2*x, x: dz/dy * dy/dx}",
        expect="{loss: 1}",
        resolution="0",
        dtypes="float46",
        tag="new",
    )
    assert messages("cases:\n" + entry("a", block)) == [
        "f.yaml:3:26: `q` is not known: known are x",
        "f.yaml:5:30: `u` is not known: known are dy/dx, dz/dx, dz/dy, out, x, y, z",
        "f.yaml:6:14: `loss` is not a quantity: known are dy/dx, dz/dy, out, x, y, z",
        "f.yaml:7:17: expected a number above 0 and at most 1, found `0`",
        f"f.yaml:8:13: `float46` is none of {DTYPES}: did you mean `float64`?",
        "f.yaml:9:5: unknown key `tag`: did you mean `tags`?",
    ]


def test_what_depends_on_an_unread_formula_is_not_known():
    block = case(function="{y: x^2, z: sin(y)}", derivatives="{dz/dy: cos(y), dz/dx: 1, dy/dx: 1}")
    assert messages("cases:\n" + entry("a", block)) == ["f.yaml:3:20: `^`: a power is written **"]


def test_a_wrong_dtype_is_not_also_one_that_is_not_run():
    block = case(dtypes="[flaot32]", expect="{of: handwritten, dtype: float32, x: 6}")
    assert messages("cases:\n" + entry("a", block)) == [
        f"f.yaml:6:14: `flaot32` is none of {DTYPES}: did you mean `float32`?"
    ]


def test_an_unknown_name_is_reported_once_in_a_formula():
    text = "cases:\n" + entry("a", case(function="q + q*x + q"))
    assert messages(text) == ["f.yaml:3:15: `q` is not known: known are x"]


def test_two_unknown_names_in_a_formula():
    text = "cases:\n" + entry("a", case(function="q + x*r"))
    assert messages(text) == [
        "f.yaml:3:15: `q` is not known: known are x",
        "f.yaml:3:21: `r` is not known: known are x",
    ]


def test_very_many_known_names_are_not_all_listed():
    inputs = "{" + ", ".join(f"x{i}: 1" for i in range(400)) + "}"
    text = "cases:\n" + entry("a", case(function="q", inputs=inputs, derivatives="{x0: 1}"))
    assert messages(text) == [
        "f.yaml:3:15: `q` is not known: known are x0, x1, x10, x100, x101, x102, x103, x104, "
        "x105, x106, x107, x108 and 388 more"
    ]


# Definitions


DEFINITIONS = {
    "no parentheses": ("a1: y", "a1", "3: a definition is written `name(argument, …): formula`"),
    "not a name": (
        "2b(y): y",
        "x",
        "3: `2b` is no name: use letters, digits and _, not beginning with a digit",
    ),
    "an argument twice": ("a2(y, y): y", "a2(x, x)", "3: `y` is already an argument"),
    "an argument that hides a word": (
        "a3(e): e",
        "a3(x)",
        "3: `e` hides a word of the language: use another name, such as `e_`",
    ),
    "an argument with a default": (
        "a4(y=1): y",
        "a4(x)",
        "3: `y=1` is no name: use letters, digits and _, not beginning with a digit",
    ),
    "the name of a word": (
        "exp(y): y",
        "x",
        "3: `exp` hides a word of the language: use another name, such as `exp_x`",
    ),
    "a keyword": (
        "lambda(y): y",
        "x",
        "3: `lambda` is reserved: use another name, such as `lambda_`",
    ),
    "an unknown name": ("a5(y): y + w", "a5(x)", "14: `w` is not known: known are y"),
    "itself": (
        "a6(y): a6(y)",
        "a6(x)",
        "10: `a6` is what is defined here: a definition cannot use itself",
    ),
    "one below": (
        "a7(y): last(y)",
        "a7(x)",
        "10: `last` is defined below: a definition uses those above it",
    ),
    "no value": (
        "a8(y):",
        "a8(x)",
        "9: expected a formula, or steps `name: formula`, found nothing",
    ),
    "a list": (
        "a9(y): [y]",
        "a9(x)",
        "10: expected a formula, or steps `name: formula`, found a list",
    ),
    "no steps": ("b1(y): {}", "b1(x)", "10: `b1(y)` is empty"),
    "a step without a value": ("b2(y): {p: }", "b2(x)", "14: expected a formula, found nothing"),
    "a step that is an argument": ("b3(y): {y: 1}", "b3(x)", "11: `y` is already an argument"),
    "a step before its time": (
        "b4(y): {p: q, q: y}",
        "b4(x)",
        "14: `q` is not known yet: it is computed below",
    ),
    "a step that hides a word": (
        "b5(y): {sum: y}",
        "b5(x)",
        "11: `sum` hides a word of the language: use another name, such as `sum_x`",
    ),
    "a step of another definition's name": (
        "b6(y): {first: y}",
        "b6(x)",
        "11: `first` is already a definition",
    ),
    "a second one of the same name": (
        "first(y, z): y",
        "first(x)",
        "3: `first` is already a definition",
    ),
    "a formula that is none": ("b7(y): y^2", "b7(x)", "11: `^`: a power is written **"),
    "one that is wrong itself": ("b8(y): wrong(y)", "b8(x)", None),
}
USER = """\
  user_{}:
    function: {}
    inputs: {{x: 1}}
    derivatives: {{x: 1}}
"""


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_a_wrong_definition_is_reported_where_it_stands_alone(kind):
    written, use, problem = DEFINITIONS[kind]
    text = f"definitions:\n  first(y): y\n  wrong(y): y^2\n  {written}\n  last(y): y\ncases:\n"
    text += USER.format(0, use) + USER.format(1, "last(x)")
    expected = ["f.yaml:3:14: `^`: a power is written **"]
    assert messages(text) == expected + [f"f.yaml:4:{problem}"] * (problem is not None)
    # A case that uses it is no mistake of its own, but cannot run.
    assert names(text) == (["user_0", "user_1"] if use == "x" else ["user_1"])


def test_all_wrong_definitions_in_one_file():
    text, users, expected = "definitions:\n  first(y): y\n  wrong(y): y^2\n", "", []
    for number, (written, use, problem) in enumerate(DEFINITIONS.values()):
        text += f"  {written}\n"
        users += USER.format(number, use)
        if problem is not None:
            expected.append(f"f.yaml:{number + 4}:{problem}")
    text += "  last(y): y\ncases:\n" + users + USER.format("of_last", "last(x)")
    assert messages(text) == ["f.yaml:3:14: `^`: a power is written **", *expected]
    unaffected = [i for i, (_, use, _) in enumerate(DEFINITIONS.values()) if use == "x"]
    assert names(text) == [*(f"user_{i}" for i in unaffected), "user_of_last"]


# The file


ONE = "cases:\n" + entry("one", case())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file is empty: write cases under `cases:`"),
        ("# to do\n", "1:1: the file is empty: write cases under `cases:`"),
        ("- one\n", "1:1: a case file is a mapping: write cases under `cases:`"),
        ("x**2\n", "1:1: a case file is a mapping: write cases under `cases:`"),
        ("defaults: {samples: 2}\n", "1:1: `cases` is missing"),
        ("case:\n" + entry("one", case()), "1:1: unknown key `case`: did you mean `cases`?"),
        ("cases: {}\n", "1:8: `cases` is empty"),
        (
            "cases:\n",
            "1:7: expected a mapping such as {square: {function: x**2, inputs: {x: 3}}}, found "
            "nothing",
        ),
        (
            "cases: [one]\n",
            "1:8: expected a mapping such as {square: {function: x**2, inputs: {x: 3}}}, found a "
            "list",
        ),
        ("cases:\n  one: {function: x\n", "2:8: this { is never closed"),
        (
            "cases:\n" + entry("one of", case()),
            "2:3: `one of` is no name of a case: use letters, digits, _, . and -",
        ),
        (
            "cases:\n" + entry("one/of", case()),
            "2:3: `one/of` is no name of a case: use letters, digits, _, . and -",
        ),
    ],
)
def test_a_file_without_cases(text, problem):
    assert messages(text) == [f"f.yaml:{problem}"]
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ONE + "extra: 1\n", "6:1: unknown key `extra`: known are cases, defaults, definitions"),
        (ONE + "default: {}\n", "6:1: unknown key `default`: did you mean `defaults`?"),
        (
            ONE + "definitions: [one]\n",
            "6:14: expected a mapping such as {mse(y, y_hat): (y - y_hat)**2}, found a list",
        ),
        (
            ONE + "defaults:\n",
            "6:10: expected a mapping such as {dtypes: float32}, found nothing",
        ),
        (ONE + "defaults: {dtype: float32}\n", "6:12: unknown key `dtype`: did you mean `dtypes`?"),
        (
            ONE + "defaults: {function: x}\n",
            "6:12: unknown key `function`: known are devices, digits, dtypes, resolution, samples, "
            "source, tags, timeout",
        ),
        (
            ONE + "defaults: {devices: gpu}\n",
            "6:21: `gpu` is none of auto, all, cpu, cuda, cuda:0: did you mean `cuda`?",
        ),
        (
            ONE + "defaults: {resolution: 0}\n",
            "6:24: expected a number above 0 and at most 1, found `0`",
        ),
        (ONE + "cases:\n", '6:1: "cases" is here twice: it is on line 1 already'),
        (ONE + "---\ncases:\n", "6:1: a second document begins here: a file is one document"),
    ],
)
def test_a_mistake_outside_of_the_cases_keeps_none_from_being_read(text, problem):
    assert messages(text) == [f"f.yaml:{problem}"]
    assert names(text) == ["one"]


def test_everything_wrong_outside_of_the_cases_at_once():
    text = "defaults: {dtype: float32, samples: 0, tags: [kept]}\n" + ONE + "extra: 1\n"
    assert messages(text) == [
        "f.yaml:1:12: unknown key `dtype`: did you mean `dtypes`?",
        "f.yaml:1:37: expected a whole number from 1 to 1,000, found `0`",
        "f.yaml:7:1: unknown key `extra`: known are cases, defaults, definitions",
    ]
    (loaded,) = read(Document.parse(text, "f.yaml")).cases
    assert loaded.tags == {"kept"}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("cases:\n" + entry("~", case()), ['2:3: a key must be text: write "~"']),
        ("<<: {}\n", ["1:1: merge keys are not supported: write the pairs out"]),
        (
            "definitions:\n  half(x:\n  cases: {1: x}\n",
            [
                "2:10: expected a formula, or steps `name: formula`, found nothing",
                "3:3: a definition is written `name(argument, …): formula`",
                '3:11: a key must be text: write "1"',
            ],
        ),
    ],
)
def test_what_is_wrong_yaml_is_not_also_something_else(text, problems):
    assert messages(text) == [f"f.yaml:{problem}" for problem in problems]
    assert names(text) == []


def test_cases_of_one_name():
    block = case(sizes="{n: [1, 2]}")
    text = "cases:\n" + entry("a-n2", case()) + entry("a", block)
    assert messages(text) == ["f.yaml:6:3: there is a case `a-n2` already"]
    assert names(text) == ["a-n2"]


def test_a_mistake_of_yaml_is_one_of_its_case_alone():
    text = "cases: {one: {function: x, inputs: {x: 1}, derivatives: {x: 1}}, two: {function: x, "
    text += "function: x}, three: {function: x, inputs: {x: 1}, derivatives: {x: 1}}}\n"
    assert messages(text) == ['f.yaml:1:85: "function" is here twice: it is on line 1 already']
    assert names(text) == ["one", "three"]


# Names of who is to blame, and of devices


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        *((name, name) for name in BLAMES),
        ("handwritten,autograd", "handwritten,autograd"),
        ("autograd, handwritten", "handwritten,autograd"),
        ("expected,handwritten,autograd", "handwritten,autograd,expected"),
    ],
)
def test_blame_is_kept_as_verdicts_have_it(written, kept):
    text = "cases:\n" + entry("a", case(xfail=f"{{reason: known, blame: '{written}'}}"))
    (loaded,) = read(Document.parse(text, "f.yaml")).cases
    assert loaded.xfail.blame == kept


@pytest.mark.parametrize("device", ["auto", "all", "cpu", "cuda", "cuda:0", "cuda:15"])
def test_devices(device):
    text = "cases:\n" + entry("a", case(devices=f"['{device}']"))
    (loaded,) = read(Document.parse(text, "f.yaml")).cases
    assert loaded.devices == (device,)


# The terminal


def carets(block):
    (problem,) = read(Document.parse("cases:\n" + entry("a", block), "f.yaml")).problems
    return problem.with_caret()


def test_carets_below_a_key():
    assert carets(case(inptus="{y: 1}")) == (
        "f.yaml:6:5: unknown key `inptus`: did you mean `inputs`?\n"
        "    6 |     inptus: {y: 1}\n"
        "      |     ^^^^^^"
    )


def test_carets_below_a_name_in_a_formula():
    assert carets(case(derivatives="{x: 2*theta}")) == (
        "f.yaml:5:24: `theta` is not known: known are dout/dx, out, x\n"
        "    5 |     derivatives: {x: 2*theta}\n"
        "      |                        ^^^^^"
    )


def test_carets_below_a_link_in_a_quoted_formula():
    block = case(function=STEPS, derivatives="{dz/dy: cos(y), x: 'dz/dy  * dy/dx'}")
    assert carets(block) == (
        "f.yaml:5:47: `dy/dx` is not declared: write its formula under `derivatives` too\n"
        "    5 |     derivatives: {dz/dy: cos(y), x: 'dz/dy  * dy/dx'}\n"
        "      |                                               ^^^^^"
    )


def test_carets_below_a_value():
    assert carets(case(resolution="-1e-6  # as in the paper")) == (
        "f.yaml:6:17: expected a number above 0 and at most 1, found `-1e-6`\n"
        "    6 |     resolution: -1e-6  # as in the paper\n"
        "      |                 ^^^^^"
    )


def test_carets_below_a_list():
    assert carets(case(inputs="{x: [[1, 2], [3]]}")) == (
        "f.yaml:4:26: this is a list of 1, the item before it a list of 2\n"
        "    4 |     inputs: {x: [[1, 2], [3]]}\n"
        "      |                          ^^^"
    )


def test_a_caret_where_something_is_missing():
    assert carets(case(function="")) == (
        "f.yaml:3:14: expected a formula, or steps `name: formula`, found nothing\n"
        "    3 |     function:\n"
        "      |              ^"
    )


# Hostile files


def many(count, **keys):
    return "cases:\n" + "".join(entry(f"c{i}", case(**keys)) for i in range(count))


def chain(count, formula):
    """A function of so many steps, each with its derivative by x."""
    steps = "".join(f"\n    s{i}: s{i - 1}" for i in range(1, count))
    links = "".join(f"\n    ds{i}/dx: {formula(i)}" for i in range(1, count))
    return many(1, function="\n    s0: x" + steps, derivatives="\n    ds0/dx: 1" + links)


HOSTILE = {
    "cases": (
        lambda: many(10_001, about="x"),
        "1:1: a file has at most 10,000 cases: split it",
    ),
    "cases from sizes": (
        lambda: many(11, sizes="{n: " + str([*range(1000)]) + "}"),
        "52:3: a file has at most 10,000 cases, sizes included: split it",
    ),
    "combinations of sizes": (
        lambda: many(1, sizes="{m: " + str([*range(1000)]) + ", n: " + str([*range(1000)]) + "}"),
        "6:5: these sizes make 1,000,000 cases, more than 1,000",
    ),
    "points": (
        lambda: many(1, inputs=None, points="[" + "{inputs: {x: 1}}, " * 10_001 + "]"),
        "2:3: this makes 10,001 points, more than 10,000",
    ),
    "samples": (
        lambda: many(1, samples="9" * 4_300),
        "6:14: expected a whole number from 1 to 1,000, found `" + "9" * 60 + "…`",
    ),
    "definitions that double": (
        lambda: (
            "definitions:\n  f0(x): x*x\n"
            + "".join(f"  f{i}(x): f{i - 1}(x) + f{i - 1}(x)\n" for i in range(1, 90))
            + many(1, function="f89(x)")
        ),
        "17:11: this takes 131,069 operations, more than 100,000",
    ),
    "definitions": (
        lambda: (
            "definitions:\n"
            + "".join(f"  f{i}(x): x\n" for i in range(1_001))
            + many(1, function="f1(x)")
        ),
        "1:1: a file has at most 1,000 definitions: split it",
    ),
    "a shape": (
        lambda: many(1, inputs="{x: {shape: " + str([2**24] * 32) + ", sample: normal}}"),
        "4:25: shape " + str([2**24] * 32) + " has more than 16,777,216 elements",
    ),
    "a size": (
        lambda: many(1, inputs="{x: {shape: [" + "9" * 4_300 + "], sample: normal}}"),
        "4:26: a size is at most 16,777,216",
    ),
    "lists in lists": (
        lambda: many(1, inputs="{x: " + "[" * 60 + "1" + "]" * 60 + "}"),
        "4:49: lists are nested more than 32 deep",
    ),
    "lists in lists without end": (
        lambda: many(1, inputs="{x: " + "[" * 9_999),
        "4:113: nested deeper than 100 levels",
    ),
    "an exponent": (
        lambda: many(1, inputs="{x: 1e999999}"),
        "4:17: an exponent beyond ±9999 is not supported",
    ),
    "a number": (
        lambda: many(1, expect="{x: 1e9999}"),
        "6:17: this number is larger than any float64",
    ),
    "a resolution": (
        lambda: many(1, resolution="1e-9999"),
        "6:17: expected a number above 0 and at most 1, found `1e-9999`",
    ),
    "steps of a recurrence": (
        lambda: many(
            1,
            function="{recurrence: {steps: 99999999, states: {h: {start: x, next: h}}}}",
            derivatives="{x: 1}",
        ),
        "3:36: so many steps take more than 100,000 operations",
    ),
    "links in links": (
        lambda: chain(120, lambda i: f"ds{i - 1}/dx"),
        "226:7: this uses too many other derivatives, one inside of the other: write it out",
    ),
    "a key": (
        lambda: many(1, **{'? "' + "k" * 100_000 + '"\n  ': "1"}),
        "6:8: unknown key `" + "k" * 487 + "…",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_soon(kind):
    make, problem = HOSTILE[kind]
    document = Document.parse(make(), "f.yaml")
    start = time.perf_counter()
    found = [str(one) for one in read(document).problems]
    assert found == [f"f.yaml:{problem}"]
    assert time.perf_counter() - start < 2


def test_links_that_double_are_refused_soon():
    text = chain(60, lambda i: f"ds{i - 1}/dx + ds{max(i - 2, 0)}/dx")
    start = time.perf_counter()
    assert "too many other derivatives" in messages(text)[0]
    assert time.perf_counter() - start < 2


def test_very_many_problems_of_one_case_are_not_all_read():
    text = many(1, derivatives="{" + ", ".join(f"q{i}: 1" for i in range(5_000)) + "}")
    found = messages(text)
    assert len(found) == 101
    assert found[0] == "f.yaml:2:3: this case has more problems than are shown"


def test_very_many_problems_of_a_file_are_not_all_read():
    found = messages(many(2_000, function="q") + VALID.format("last"))
    assert len(found) == 1_002
    assert "f.yaml:4002:3: more than 1,000 problems: nothing after this case was read" in found


@pytest.mark.parametrize("seed", range(20))
def test_a_file_with_a_piece_cut_out_is_read_or_refused(seed):
    text = HEAD + "".join(entry(f"c{i}", block) for i, (block, _) in enumerate(MISTAKES.values()))
    start = seed * len(text) // 20
    for length in (1, 7, 100):
        found = read(Document.parse(text[:start] + text[start + length :], "f.yaml"))
        assert found.problems
