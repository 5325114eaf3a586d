"""What is planted for a diagnosis is wrong indeed, and is the kind of mistake that it is called."""

import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import diagnosis_score
import planted_functions
import planting
import pytest
import yaml
from diagnosis_score import Score, scored, shown, table
from planted_facts import facts_of
from planted_functions import FUNCTIONS, OF_THE_FUNCTION
from planted_functions_unseen import UNSEEN as UNSEEN_FUNCTIONS
from planting import BESIDE, KINDS, Plant, failing_result, is_of, is_second_half, plants

import gradcheck

HERE = Path(__file__).parent
ALL_FUNCTIONS = (*FUNCTIONS, *UNSEEN_FUNCTIONS)
THIRD = 3
"""Of what is not held out, each third is looked at here; the score fails where one passes."""
BY_FILE = defaultdict(list)
for number, one in enumerate(plants()):
    if one.is_held_out or number % THIRD == 0:
        BY_FILE[one.file].append(one)

SEEN = {
    "sign",
    "sign_where_negative",
    "constant_factor",
    "permuted",
    "row",
    "column",
    "block",
    "entry",
    "forgotten_use",
}
"""Kinds that the values show."""

UNSEEN = {
    # a use within a definition, of a tangent, or of a recurrence's state
    ("cross_entropy_with_label_smoothing", "forgotten_use"),
    ("layer_norm_forward_mode", "forgotten_use"),
    ("gated_recurrence", "forgotten_use"),
    ("leaky_integrator", "forgotten_use"),
    ("leapfrog", "forgotten_use"),
    # all uses but one, also within a word, or of what a second derivative takes
    ("projection_onto_a_vector", "forgotten_use"),
    ("min_max_scaling", "forgotten_use"),
    ("softmax_vector", "forgotten_use"),
    ("student_t", "forgotten_use"),
    ("recursive_h_t", "forgotten_use"),
    ("curvature_along_a_line", "forgotten_use"),
    ("hessian_of_the_norm", "forgotten_use"),
    ("heat_kernel", "forgotten_use"),
    # a number stands for the vector that it fills
    ("adding_a_scalar_to_a_vector", "constant_factor"),
    # the points have different shapes
    ("polynomial", "column"),
    # not all entries of the block are wrong
    ("coupled_maps", "block"),
    ("hamiltonian_flow", "block"),
    ("constrained_quadratic", "block"),
    # the value that is negative is a link, or matters within a region only
    ("focal", "sign_where_negative"),
    ("clipped_residuals", "sign_where_negative"),
}
"""What is so all the same, by case."""


@pytest.fixture
def without_diagnosis(monkeypatch):
    """Nothing is diagnosed, which would take longer than to judge."""
    nothing = SimpleNamespace(diagnose=lambda *arguments, **settings: ())
    monkeypatch.setitem(sys.modules, "gradcheck.diagnosis.diagnose", nothing)


def test_there_are_enough_of_every_kind():
    counts = Counter(plant.kind for plant in plants())
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 8, counts
    assert len(plants()) >= 330
    assert len({plant.case for plant in plants()}) >= 60
    counts = Counter(plant.kind for plant in ALL_FUNCTIONS)
    assert set(counts) == set(planted_functions.KINDS)
    assert min(counts.values()) >= 5, counts
    assert len(ALL_FUNCTIONS) >= 40


def test_kinds_are_known_and_named_once():
    for plant in (*plants(), *ALL_FUNCTIONS):
        assert set(plant.kinds) <= {*KINDS, *BESIDE, *planted_functions.KINDS}, plant
        assert len(set(plant.kinds)) == len(plant.kinds), plant
        assert plant.kind not in BESIDE, plant


def test_no_mistake_is_planted_twice():
    named = [(plant.case, plant.path, _bare(plant.wrong)) for plant in plants()]
    assert len(set(named)) == len(named)
    assert len({plant.name for plant in ALL_FUNCTIONS}) == len(ALL_FUNCTIONS)


def test_none_is_one_of_the_mistakes_that_are_known():
    """Those of `planted_mistakes.yaml` may have been looked at where a diagnosis was made."""
    known = yaml.safe_load((HERE / "planted_mistakes.yaml").read_text("utf-8"))
    seen = {(case, _bare(wrong)) for case, lines in known.items() for _, wrong, _ in lines}
    assert [plant for plant in plants() if (plant.case, _bare(plant.wrong)) in seen] == []


def _bare(formula):
    return "".join(formula.split())


def test_planting_gives_the_same_every_time():
    again = sorted(planting.written(), key=str)
    assert again == sorted(plants(), key=str)
    assert [is_second_half("square", text) for text in ("x", "2*x**2", "2")] == [False, False, True]


def test_every_kind_is_held_out_and_is_not():
    everything = [*plants(), *ALL_FUNCTIONS]
    held_out = [plant for plant in everything if plant.is_held_out]
    assert len(held_out) >= 300
    of_kind = Counter(plant.kind for plant in everything)
    there = Counter(plant.kind for plant in held_out)
    for kind, count in of_kind.items():
        assert 1 <= there[kind] <= count - 5, kind


@pytest.mark.parametrize("file", BY_FILE)
def test_every_plant_is_wrong_and_blamed_on_what_was_written(file, without_diagnosis):
    for plant in BY_FILE[file]:
        result = failing_result(plant)
        assert result is not None, f"{plant} passes"
        assert (result.verdict, result.blame) == ("fail", "handwritten"), (plant, result)


@pytest.mark.parametrize("file", BY_FILE)
def test_the_values_show_what_the_labels_say(file):
    for plant in BY_FILE[file]:
        shown_kinds = facts_of(plant) & SEEN
        assert shown_kinds <= set(plant.kinds), (plant, shown_kinds)
        missing = {
            kind
            for kind in (set(plant.kinds) & SEEN) - shown_kinds
            if (plant.case, kind) not in UNSEEN
        }
        assert not missing, (plant, missing)


@pytest.mark.parametrize("plant", ALL_FUNCTIONS, ids=str)
def test_every_planted_function_is_told(plant, without_diagnosis):
    report = gradcheck.check(plant.function, plant.inputs, conditions="none", **plant.settings)
    first = next(result for result in report.results if result.is_bad)
    if plant.kind in OF_THE_FUNCTION:
        assert first.blame == "function", first
    else:
        assert (first.verdict, first.blame) == ("fail", "autograd"), first


def test_what_is_planted_in_a_recurrence_is_found_there():
    plant = Plant("f", "c", ("backward", "recurrence", "dh", "next"), "a*dh", "dh", "sign")
    assert is_of("dh[t]", "start: dh, next: dh", plant, "dh")
    assert not is_of("dh[t]", "start: dh, next: a*dh", plant, "dh")
    assert not is_of("dc[t]", "start: dh, next: dh", plant, "dh")
    assert not is_of("dh", "dh", plant, "dh")


def test_a_diagnosis_is_right_where_its_first_kind_is_one_of_the_plant(monkeypatch):
    plant = Plant("f", "c", ("backward", "dx"), "n*x", "x", "mean_for_sum", ("constant_factor",))
    told = {}
    monkeypatch.setattr(diagnosis_score, "failing", lambda plant: SimpleNamespace(**told))
    outcomes = []
    for kinds in ([], ["constant_factor", "sign"], ["sign", "constant_factor"]):
        told["diagnosis"] = tuple(SimpleNamespace(kind=kind, text="…") for kind in kinds)
        outcomes.append(scored(plant).outcome)
    told.clear()
    assert [*outcomes, scored(plant).outcome] == ["silent", "right", "wrong", "silent"]


def test_the_score_counts_each_kind_and_shows_what_was_said():
    plant = plants()[0]
    said = (SimpleNamespace(kind="sign", text="minus the right value"),)
    scores = [Score(plant, "right", ()), Score(plant, "wrong", said)]
    (_, *lines, together, _) = table(scores)
    assert [line.split() for line in (*lines, together)] == [
        [plant.kind, "2", "1", "1", "0"],
        ["together", "2", "1", "1", "0"],
    ]
    text = "\n".join(shown(scores[1]))
    assert plant.wrong in text
    assert "sign: minus the right value" in text


def test_what_is_held_out_is_not_shown(monkeypatch):
    monkeypatch.setattr("sys.argv", ["diagnosis_score.py", "--held-out", "--show"])
    with pytest.raises(SystemExit):
        diagnosis_score.main()
