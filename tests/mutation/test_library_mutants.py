"""The wrong versions of all formulas of the library: how many, and that what is shown is judged."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bare_trees import bare

from gradcheck.casefile.case import Case
from gradcheck.casefile.document import Document
from gradcheck.casefile.files import find
from gradcheck.casefile.load import read
from gradcheck.casefile.names import Reader
from gradcheck.jobs import jobs
from gradcheck.language.expression import Expression
from gradcheck.language.parser import parse
from gradcheck.mutation.mutants import LEAST, MOST, Mutant, mutants
from gradcheck.mutation.mutating import Bench, by_entry, shapes
from gradcheck.place import Place
from gradcheck.runner import run
from gradcheck.sites import Site
from gradcheck.torch_state import checking

ROOT = Path(__file__).parent.parent.parent
PATHS = list(find([str(ROOT / "cases")]))
COUNT = 150
"""Wrong versions that are run."""
PARTS = 6
SEED = 20_241
Reading = tuple[tuple[str, ...], dict[str, str], Any]
"""What a formula may use: the names, the links, the definitions."""


@dataclass(frozen=True)
class Formula:
    """A formula of the library with its wrong versions; `number` is its place in its case."""

    document: Document
    cases: list[Case]
    number: int
    site: Site
    mutants: list[Mutant]
    reading: Reading

    def __str__(self) -> str:
        return f"{self.cases[0].entry} {self.site.quantity}: {self.site.expression.text}"


@cache
def library() -> list[Formula]:
    """Every formula of a derivative or a pass, with its wrong versions."""
    found: list[Formula] = []
    readings: dict[Expression, Reading] = {}
    plain = Reader.formula

    def recorded(self, path, scope, *, links=None, later=()):
        expression = plain(self, path, scope, links=links, later=later)
        readings[expression] = tuple(scope), links or {}, self.definitions
        return expression

    with pytest.MonkeyPatch.context() as patch, checking():
        patch.setattr(Reader, "formula", recorded)
        for path in PATHS:
            document = Document.read(path)
            for cases in by_entry(read(document).cases).values():
                ordered = sorted(cases, key=lambda case: -sum(case.sizes.values()))
                found += formulas(document, ordered, readings)
    return found


def formulas(
    document: Document, cases: list[Case], readings: dict[Expression, Reading]
) -> Iterator[Formula]:
    first = cases[0]
    place = Place.at(first, first.points[0], first.widest, "cpu")
    for number, site in enumerate(Bench(first, first.widest, "cpu").sites):
        made = mutants(
            site.expression, shapes(site, place), first.required_resolution(first.widest)
        )
        yield Formula(document, cases, number, site, made, readings[site.expression])


def test_every_formula_has_as_many_as_it_should():
    few = {str(one): len(one.mutants) for one in library() if len(one.mutants) < LEAST}
    # What is 0 can be scaled by nothing.
    assert few == {"constant_rule dout/dx: 0": 7, "recursive_h_t dh[t]/dw_h: 0": 7}
    assert max(len(one.mutants) for one in library()) == MOST
    assert len(library()) > 1_700


def test_no_two_wrong_versions_are_one_and_none_is_the_formula():
    for one in library():
        trees = [bare(wrong.expression.tree) for wrong in one.mutants]
        assert bare(one.site.expression.tree) not in trees, str(one)
        texts = ["".join(wrong.expression.text.split()) for wrong in one.mutants]
        assert len(set(texts)) == len(texts), str(one)


def test_what_is_shown_is_what_is_judged():
    """Read again, where it stands, each is the very tree that is evaluated."""
    for one in library():
        scope, links, definitions = one.reading
        for wrong in one.mutants:
            again = parse(wrong.expression.text, links=links, definitions=definitions, scope=scope)
            assert bare(again.tree) == bare(wrong.expression.tree), (str(one), again.text)
            unknown = {name for name in again.names if "/" not in name} - set(scope)
            assert not unknown, (str(one), again.text)


def test_every_kind_of_mistake_is_made_in_the_library():
    kinds = {wrong.kind for one in library() for wrong in one.mutants}
    for made in (
        *("the sign is changed", "twice as much", "half as much", "off by ", "the identity"),
        *("zero", "the term  is dropped", "the term  counts twice", "the factor  is dropped"),
        *("the factor  is there twice", "- for +", "+ for -", "/ for *", "* for /"),
        *("the operands of @ are swapped", " is transposed", " is not transposed"),
        *("mean for sum", "sum for mean", " for ", "exponent ", "always the branch "),
    ):
        assert made in kinds


@pytest.fixture(scope="module")
def chosen() -> list[tuple[Formula, Mutant]]:
    """Some wrong versions that can be written where the formula stands, the same ones always."""
    print(f"seed {SEED}")
    every = [
        (one, wrong) for one in library() if place_of(one) is not None for wrong in one.mutants
    ]
    return random.Random(SEED).sample(every, COUNT)


def place_of(formula: Formula) -> tuple[str | int, ...] | None:
    """Where a formula stands in its file; None where two of a line are written alike."""
    document, entry = formula.document, formula.cases[0].entry
    data = document.data["cases"][entry]
    expression = formula.site.expression
    found = [
        path
        for block in ("derivatives", "backward", "jvp")
        for path, text in leaves(data.get(block, {}), ("cases", entry, block))
        if str(text) == expression.text and document.position(path)[0] == expression.line
    ]
    return found[0] if len(found) == 1 else None


def leaves(data: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def fails_with(formula: Formula, text: str) -> bool:
    """Whether `gradcheck run` fails in the case's widest dtype with a formula replaced."""
    path = place_of(formula)
    assert path is not None
    entry = formula.cases[0].entry
    known = formula.document.data
    document = {key: known[key] for key in ("definitions", "defaults") if key in known}
    document["cases"] = {entry: copy.deepcopy(known["cases"][entry])}
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = text
    file = read(Document.parse(json.dumps(document, default=float), "wrong"))
    assert not file.problems, (text, [str(problem) for problem in file.problems])
    dtypes = [formula.cases[0].widest]
    listed = list(jobs(file.cases, dtypes=dtypes, device="cpu"))
    verdicts = (result.verdict for job in listed for result in run(job))
    said = next((verdict for verdict in verdicts if verdict != "pass"), "pass")
    assert said in ("pass", "fail"), (str(formula), text)
    return said == "fail"


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_noticed_fails_and_what_is_not_passes(chosen, part):
    """In a run of the file in which a wrong version is written, with all that is published."""
    for formula, wrong in chosen[part::PARTS]:
        with checking():
            benches = [Bench(case, case.widest, "cpu") for case in formula.cases]
            for bench in benches:
                bench.look_at_the_case_itself()
            is_noticed = not all(bench.survives(formula.number, wrong) for bench in benches)
        text = wrong.expression.text
        assert fails_with(formula, text) == is_noticed, (str(formula), text)
