"""`derivatives:` → claims: which names links may have, and which formulas they get."""

import pytest

from gradcheck.casefile.document import Document
from gradcheck.casefile.load import read
from gradcheck.claims import Formula, RecurrentFormula


def case(text):
    found = read(Document.parse("cases:\n  a:\n" + text, "f.yaml"))
    assert [str(problem) for problem in found.problems] == []
    return found.cases[0]


def claims(text):
    return {claim.quantity: claim for claim in case(text).claims}


CHAIN = """\
    inputs: {w: 1, b: 2}
    constants: {x: 3}
    function: {z: w*x + b, y: sigmoid(z), loss: y**2}
"""


def test_an_input_is_short_for_the_output_s_derivative_by_it():
    (claim,) = claims(CHAIN + "    derivatives: {w: 2*y}\n").values()
    assert (claim.quantity, claim.output, claim.input) == ("dloss/dw", "loss", "w")


def test_a_step_is_short_for_the_output_s_derivative_by_it():
    assert [*claims(CHAIN + "    derivatives: {z: 2*y}\n")] == ["dloss/dz"]


@pytest.mark.parametrize("link", ["dloss/dy", "dout/dy"])
def test_out_is_another_name_for_the_output_in_links(link):
    assert [*claims(f"{CHAIN}    derivatives: {{{link}: 2*y}}\n")] == ["dloss/dy"]


def test_out_is_another_name_for_the_output_everywhere():
    found = case(
        CHAIN
        + """\
    derivatives: {dout/dy: 2*y, dy/dz: y*(1 - y), w: dout/dy*dy/dz*x + 0*out}
    expect: {out: 0.9, dout/dw: 0.1, w: 0.1, dloss/dw: 0.1}
"""
    )
    assert [claim.quantity for claim in found.claims] == ["dloss/dy", "dy/dz", "dloss/dw"]
    (formula,) = found.claims[2].formulas
    assert formula.expression.names == ("dloss/dy", "dy/dz", "x", "out")
    quantities = [one.quantity for one in found.points[0].expectations]
    assert quantities == ["loss", "dloss/dw", "dloss/dw", "dloss/dw"]


def test_a_last_step_may_be_called_out():
    text = """\
    inputs: {x: 1}
    function: {y: 2*x, out: y**2}
    derivatives: {x: 4*out/y, dout/dy: 2*y}
    expect: {out: 4, x: 8}
"""
    assert [*claims(text)] == ["dout/dx", "dout/dy"]


def test_a_link_is_cut_at_its_input():
    found = claims(CHAIN + "    derivatives: {dloss/dz: 2*y, dz/db: 1}\n")
    assert [step.name for step in found["dloss/dz"].steps] == ["y", "loss"]
    assert [step.name for step in found["dz/db"].steps] == ["z"]


def test_the_first_alternative_is_what_others_use():
    found = claims(
        CHAIN + "    derivatives: {dloss/dy: [2*y, y + y], dy/dz: y*(1 - y), z: dloss/dy*dy/dz}\n"
    )
    (formula,) = found["dloss/dz"].formulas
    assert formula.links["dloss/dy"] is not None
    assert formula.links["dloss/dy"].text == "2*y"
    assert formula.reads == {"y"}


def test_links_are_used_whatever_their_order():
    found = claims(
        CHAIN + "    derivatives: {w: dloss/dz*x, dloss/dz: dloss/dy*y*(1 - y), dloss/dy: 2*y}\n"
    )
    (formula,) = found["dloss/dw"].formulas
    assert formula.links["dloss/dz"].links["dloss/dy"].text == "2*y"
    assert formula.reads == {"x", "y"}


def test_a_link_that_is_published_alone_is_a_claim_without_a_formula():
    found = claims(CHAIN + "    expect: {dloss/dw: 1.5, dy/dz: 0.25, loss: 1}\n")
    assert {quantity: claim.formulas for quantity, claim in found.items()} == {
        "dloss/dw": (),
        "dy/dz": (),
    }


def test_a_division_with_spaces_is_one():
    text = """\
    inputs: {x: 1, dy: 2, dx: 3}
    function: {y: x*dy/ dx, z: y**2}
    derivatives: {dz/dy: 2*y, dy/dx: dy / dx, x: dz/dy * (dy / dx)}
"""
    found = claims(text)
    assert [*found] == ["dz/dy", "dy/dx", "dz/dx"]
    (formula,) = found["dz/dx"].formulas
    assert formula.expression.names == ("dz/dy", "dy", "dx")


# Recurrences


RECURRENCE = """\
    inputs: {w: 2, h_0: 0.5}
    constants: {x: [1, 2, 3]}
    sizes: {n: 3}
    function:
      start: h_0**2
      recurrence:
        steps: n
        index: t
        states:
          h: {start: start, next: "w*h + x[t]"}
          total: {start: 0, next: total + h}
      loss: total**2
"""


def test_several_states_and_an_index():
    found = case(RECURRENCE + "    derivatives: {dloss/dtotal: 2*total}\n")
    _, recurrence, _ = found.function.steps
    assert recurrence.index == "t"
    assert [state.name for state in recurrence.states] == ["h", "total"]
    assert recurrence.steps.text == "n"
    assert recurrence.reads == {"n", "start", "w", "x"}


def test_stepwise_and_closed_forms():
    found = claims(
        RECURRENCE
        + """\
    derivatives:
      recurrence:
        dh/dw: {start: 0, next: h + w*dh/dw}
        dtotal/dw: {start: 0, next: dtotal/dw + dh/dw}
      dloss/dtotal: 2*total
      dloss/dw: dloss/dtotal * dtotal/dw
"""
    )
    assert [*found] == ["dloss/dtotal", "dloss/dw", "dh[t]/dw", "dtotal[t]/dw"]
    (chain,) = found["dloss/dw"].formulas
    assert isinstance(chain, Formula)
    assert isinstance(chain.links["dtotal/dw"], RecurrentFormula)
    assert chain.links["dtotal/dw"].name == "dtotal/dw"
    assert [*chain.links["dtotal/dw"].derivatives] == ["dh/dw", "dtotal/dw"]
    assert found["dh[t]/dw"].is_stepwise
    assert not found["dloss/dw"].is_stepwise


def test_a_closed_form_is_what_a_link_means_to_others():
    found = claims(
        """\
    inputs: {w: 2, h_0: 0.5}
    function: {recurrence: {steps: 2, states: {h: {start: h_0, next: w*h}}}, loss: h**2}
    derivatives:
      recurrence: {dh/dw: {start: 0, next: h + w*dh/dw}}
      dh/dw: 2*w*h_0
      dloss/dw: 2*h*dh/dw
"""
    )
    assert [*found] == ["dh/dw", "dloss/dw", "dh[t]/dw"]
    (chain,) = found["dloss/dw"].formulas
    assert chain.links["dh/dw"].text == "2*w*h_0"


def test_links_inside_of_a_recurrence():
    found = claims(
        RECURRENCE
        + """\
    derivatives:
      dstart/dh_0: 2*h_0
      recurrence:
        dh/dh_0: {start: dstart/dh_0, next: w*dh/dh_0 + 0*dstart/dh_0}
"""
    )
    (formula,) = found["dh[t]/dh_0"].formulas
    assert [*formula.links] == ["dstart/dh_0"]
    assert formula.reads >= {"h_0", "w"}


def test_what_is_published_of_a_state_is_step_by_step():
    found = case(
        RECURRENCE
        + """\
    derivatives: {recurrence: {dh/dw: {start: 0, next: h + w*dh/dw}}, dloss/dtotal: 2*total}
    expect: {h: [1.5, 5, 13], dh/dw: [0.25, 2, 9], dloss/dtotal: 39, total: [0, 1, 6]}
"""
    )
    quantities = [one.quantity for one in found.points[0].expectations]
    assert quantities == ["h[t]", "dh[t]/dw", "dloss/dtotal", "total[t]"]


def test_long_chains_of_links():
    steps = ", ".join(f"s{i}: s{i - 1}" for i in range(1, 90))
    links = ", ".join(f"ds{i}/dx: ds{i - 1}/dx" for i in reversed(range(1, 90)))
    text = f"    inputs: {{x: 1}}\n    function: {{s0: x, {steps}}}\n"
    text += f"    derivatives: {{{links}, ds0/dx: 1}}\n"
    assert claims(text)["ds89/dx"].formulas[0].reads == set()


def test_skipping_links():
    steps = ", ".join(f"s{i}: s{i - 1} + s{i - 2}" for i in range(2, 15))
    links = ", ".join(f"ds{i}/dx: ds{i - 1}/dx + ds{i - 2}/dx" for i in range(2, 15))
    text = f"    inputs: {{x: 1}}\n    function: {{s0: x, s1: x, {steps}}}\n"
    text += f"    derivatives: {{ds0/dx: 1, ds1/dx: 1, {links}}}\n"
    assert len(claims(text)) == 15
