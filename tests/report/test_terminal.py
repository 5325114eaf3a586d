import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from gradcheck.report.terminal import Terminal, block, repeat_command, total, unseen
from gradcheck.results import Answer, Change, EntryAnswers, Result, Summary


def result(**fields):
    known = {
        "case": "matrix_mse",
        "file": "cases/losses.grad.yaml",
        "line": 14,
        "quantity": "dloss/dw",
        "point": "2.1",
        "dtype": "float64",
        "device": "cpu",
        "verdict": "pass",
    }
    return Result(**{**known, **fields})


def entry(label, index, **answers):
    return EntryAnswers(label, index, {name: Answer(*pair) for name, pair in answers.items()})


def text(one):
    return "\n".join(line.plain for line in block(one))


def printed(*results, verbosity=0):
    stream = io.StringIO()
    terminal = Terminal(Console(file=stream, width=40), verbosity)
    for one in results:
        terminal.result(one)
    return stream.getvalue()


FAIL = result(
    verdict="fail",
    blame="handwritten",
    formula="x.T @ d_mse(y, z)*2",
    truth="numeric",
    resolution=1e-12,
    required=1e-6,
    difference=0.5,
    entries=(
        entry(
            "dloss/dw[0, 1]",
            (0, 1),
            handwritten=(-4.0, 1.5e-14),
            autograd=(-2.0, 7.1e-15),
            numeric=(-2.00000001, 2.5e-12),
        ),
        entry(
            "dloss/dw[0, 0]",
            (0, 0),
            handwritten=(10.0, 1.5e-14),
            autograd=(5.0, 7.1e-15),
            numeric=(5.0, 2.5e-12),
        ),
    ),
    notes=("a note",),
)


def test_a_failure_names_who_is_wrong_where_by_how_much_and_how_to_see_it_again():
    assert (
        text(FAIL)
        == """
FAIL  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.1]
  blame: handwritten, off by 50.00% of the largest entry; autograd agrees with the truth
     14 | x.T @ d_mse(y, z)*2
  entry           handwritten   autograd      numeric (truth)
  dloss/dw[0, 1]  -4 ± 1.5e-14  -2 ± 7.1e-15  -2.00000001 ± 2.5e-12
  dloss/dw[0, 0]  10 ± 1.5e-14  5 ± 7.1e-15   5 ± 2.5e-12
  a note
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


def test_an_entry_for_which_somebody_has_no_answer_is_shown_all_the_same():
    first, second = FAIL.entries
    lacking = replace(second, answers={"autograd": second.answers["autograd"]})
    shown = text(replace(FAIL, entries=(first, lacking))).splitlines()
    assert "  dloss/dw[0, 0]                5 ± 7.1e-15" in shown


def test_a_wrong_shape_names_both():
    wrong = result(
        verdict="fail",
        blame="handwritten",
        formula="2*z",
        truth="numeric",
        notes=("the formula has shape [4, 2], but the gradient has the input's shape [2]",),
    )
    assert (
        text(wrong)
        == """
FAIL  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.1]
  blame: handwritten
     14 | 2*z
  the formula has shape [4, 2], but the gradient has the input's shape [2]
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


def test_an_inconclusive_claim_says_what_could_not_be_noticed():
    kink = result(
        verdict="inconclusive",
        blame="function",
        formula="x > 0",
        truth="numeric",
        resolution=math.inf,
        required=1e-6,
        difference=0.5,
        entries=(
            entry(
                "dout/dx", (), handwritten=(0.0, 0.0), autograd=(0.0, 0.0), numeric=(0.5, math.inf)
            ),
        ),
        notes=("a kink at this point: the one-sided derivatives are 0 and 1",),
    )
    assert (
        text(kink)
        == """
INCONCLUSIVE  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.1]
  blame: function; the derivative cannot be told
     14 | x > 0
  entry    handwritten  autograd  numeric (truth)
  dout/dx  0 ± 0        0 ± 0     cannot tell
  a kink at this point: the one-sided derivatives are 0 and 1
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"resolution": 2e-3, "required": 1e-6},
            "errors below 0.20% would not be noticed, 1.0e-06 is asked for",
        ),
        (
            {"resolution": 1e-9, "required": 1e-6},
            "the answers differ by more than their error bounds, which accuses nobody",
        ),
        ({}, "the derivative cannot be told"),
    ],
)
def test_the_kinds_of_inconclusive(fields, sentence):
    assert text(result(verdict="inconclusive", **fields)).splitlines()[2] == f"  {sentence}"


def test_an_error_names_the_point_and_the_reason():
    error = result(
        verdict="error",
        blame="function",
        quantity="",
        notes=("mat1 and mat2 shapes cannot be multiplied, in `x @ w`",),
    )
    assert (
        text(error)
        == """
ERROR  cases/losses.grad.yaml:14  matrix_mse  [float64, cpu, point 2.1]
  blame: function
  mat1 and mat2 shapes cannot be multiplied, in `x @ w`
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


def test_a_wrong_published_number_stands_beside_the_oracles():
    expected = result(
        verdict="fail",
        blame="expected",
        formula="2*x",
        truth="numeric",
        difference=1 / 6,
        entries=(
            entry(
                "dout/dx",
                (),
                handwritten=(6.0, 5.3e-15),
                autograd=(6.0, 5.3e-15),
                numeric=(6.0, 9.5e-15),
                expected=(7.0, 0.0),
            ),
        ),
    )
    assert (
        text(expected)
        == """
FAIL  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.1]
  blame: expected, off by 16.67% of the largest entry; handwritten and autograd agree with the truth
     14 | 2*x
  entry    handwritten  expected  autograd     numeric (truth)
  dout/dx  6 ± 5.3e-15  7 ± 0     6 ± 5.3e-15  6 ± 9.5e-15
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


def test_several_who_are_wrong_are_all_named():
    both = result(verdict="fail", blame="handwritten,autograd", difference=math.inf)
    assert text(both).splitlines()[2] == "  blame: handwritten and autograd"


def test_an_unexpected_pass_says_what_was_expected():
    passed = result(
        verdict="xpassed",
        quantity="",
        point="",
        notes=("was expected to fail with blame `handwritten`: known",),
    )
    assert (
        text(passed)
        == """
XPASSED  cases/losses.grad.yaml:14  matrix_mse  [float64, cpu]
  was expected to fail with blame `handwritten`: known
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


def test_the_command_that_repeats_a_case_allows_its_modules():
    one = replace(FAIL, imports=("mykernels", "other.norm"))
    assert repeat_command(one) == (
        "gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu "
        "--allow-import mykernels --allow-import other.norm"
    )


def test_the_command_that_repeats_a_case_survives_a_shell():
    one = result(file="my cases/$a.grad.yaml", dtype="float32", device="cuda:1")
    assert repeat_command(one) == (
        "gradcheck run 'my cases/$a.grad.yaml::matrix_mse' --dtype float32 --device cuda:1"
    )


def test_blocks_are_not_wrapped_or_marked_up():
    long = result(verdict="fail", blame="handwritten", formula="x[0]*[bold]" + "+x" * 100)
    assert "x[0]*[bold]" + "+x" * 100 in printed(long)


def test_passes_are_quiet_and_verbose_lines_name_them():
    passed = result(resolution=3e-12, notes=("a note",))
    assert printed(passed) == ""
    assert printed(passed, verbosity=1) == (
        "  pass  matrix_mse  dloss/dw  float64 cpu point 2.1  resolution 3e-12  a note\n"
    )


def test_quiet_shows_no_blocks():
    assert printed(FAIL, verbosity=-1) == ""
    assert printed(FAIL, verbosity=0) == text(FAIL) + "\n"


def summarised(*results, problems=0, verbosity=0):
    stream = io.StringIO()
    terminal = Terminal(Console(file=stream, width=40), verbosity)
    summary = Summary(problems=problems)
    for one in results:
        summary.add(one)
    terminal.file("cases/losses.grad.yaml", summary)
    terminal.summary(summary, 1.26)
    return stream.getvalue().splitlines()


def test_a_file_and_the_whole_are_summed_up_worst_last():
    other = result(case="b", verdict="skipped")
    assert summarised(result(), result(), FAIL, other, problems=2) == [
        "cases/losses.grad.yaml  2 cases  2 passed, 1 failed, 1 skipped",
        "2 cases, 2 passed, 1 failed, 1 skipped, 2 problems in the files  (1.3 s)",
    ]
    assert summarised(result()) == [
        "cases/losses.grad.yaml  1 case  1 passed",
        "1 case, 1 passed  (1.3 s)",
    ]


def test_quiet_leaves_the_summary():
    assert summarised(result(), verbosity=-1) == ["1 case, 1 passed  (1.3 s)"]


def test_nothing_run_is_said():
    assert summarised(verbosity=-1) == ["0 cases, nothing run  (1.3 s)"]


def test_colours_are_for_terminals_only():
    stream = io.StringIO()
    Terminal(Console(file=stream, force_terminal=True)).result(FAIL)
    assert "\x1b[1;31mFAIL\x1b[0m" in stream.getvalue()
    assert "\x1b" not in printed(FAIL)


def test_the_like_of_a_failure_at_further_points_is_one_line_each():
    second = replace(FAIL, point="2.2")
    other = replace(FAIL, point="2.2", line=15)
    first_block, rest = printed(FAIL, second, other).split(
        "repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu\n",
        maxsplit=1,
    )
    assert first_block.count("FAIL") == 1
    folded, _, shown = rest.partition("\n\n")
    assert folded == (
        "FAIL  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.2]"
    )
    assert shown.startswith("FAIL  cases/losses.grad.yaml:15")
    assert printed(FAIL, second, verbosity=1).count("repeat:") == 2


def test_the_reasons_of_what_was_skipped_are_summed_up():
    stream = io.StringIO()
    terminal = Terminal(Console(file=stream, width=40))
    summary = Summary()
    for _ in range(2):
        skipped = result(verdict="skipped", notes=("there is no device cuda here",))
        terminal.result(skipped)
        summary.add(skipped)
    terminal.summary(summary, 0.1)
    assert "skipped 2: there is no device cuda here\n" in stream.getvalue()


# Beside a baseline


def changed(kind, text, **fields):
    return result(change=Change(kind, text), **fields)


def test_what_a_baseline_knows_is_a_line():
    known = replace(FAIL, change=Change("known", "known from the baseline"))
    assert printed(known) == (
        "KNOWN  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.1]"
        "  fail, known from the baseline\n"
    )
    assert printed(known, verbosity=-1) == ""


def test_a_block_ends_with_what_changed():
    worse = changed("worse", "worse than in the baseline: it was off", formula="x")
    assert (
        text(worse)
        == """
WORSE  cases/losses.grad.yaml:14  matrix_mse  dloss/dw  [float64, cpu, point 2.1]
     14 | x
  worse than in the baseline: it was off
  repeat: gradcheck run cases/losses.grad.yaml::matrix_mse --dtype float64 --device cpu"""
    )


def test_what_got_better_is_counted_and_shown_with_v():
    better = changed("better", "better than in the baseline: it was fail, it is pass")
    assert printed(better) == ""
    assert printed(better, verbosity=1).endswith("it was fail, it is pass\n")
    summary = Summary()
    summary.add(better)
    assert total(summary).plain == "1 case, 1 passed, 1 better than in the baseline (-v shows them)"


def test_what_was_not_looked_at_is_told_with_what_had_failed():
    assert unseen([result()]) == "1 result of the baseline not looked at"
    failed = [result(verdict="fail", case=f"c{n}") for n in range(7)]
    assert unseen([result(), *failed, failed[0]]) == (
        "9 results of the baseline not looked at, of which failed: "
        + ", ".join(f"cases/losses.grad.yaml::c{n} dloss/dw" for n in range(5))
        + " and 2 more"
    )
    whole = result(verdict="xpassed", quantity="")
    assert unseen([whole]).endswith(": cases/losses.grad.yaml::matrix_mse")
