"""Labelled mistakes, planted in hand-written derivatives: the test set of a diagnosis.

A plant is a formula of a case with a mistake in it, and the kinds of mistake that it is. They are
written by hand in `planted_kinds.yaml` and `planted_unseen.yaml`: mistakes that people make, in
what people derive. Of the second, half is held out: nobody who makes a diagnosis has looked at it.
"""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gradcheck.casefile.case import Case
from gradcheck.casefile.document import Document
from gradcheck.casefile.load import CaseFile, read
from gradcheck.jobs import jobs
from gradcheck.results import Result
from gradcheck.runner import run

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "cases"
OWN = HERE / "planted_cases.grad.yaml"
BLOCKS = ("derivatives", "backward", "jvp")
KeyPath = tuple[str | int, ...]

KINDS = (
    "sign",
    "sign_where_negative",
    "constant_factor",
    "missing_factor",
    "extra_factor",
    "missing_term",
    "extra_term",
    "transposed",
    "permuted",
    "reduction",
    "mean_for_sum",
    "sum_for_mean",
    "forgotten_use",
    "off_by_one_step",
    "lost_outside",
    "wrong_constant",
    "row",
    "column",
    "block",
    "entry",
)
"""What a mistake in a hand-written derivative may be."""
BESIDE = ("wrong_sign_of_a_term",)
"""Other names for some of these mistakes: a term's sign is wrong where its coefficient is."""


@dataclass(frozen=True)
class Plant:
    """A wrong formula, where it stands in its case, and what is wrong with it.

    `also` are other kinds that name the same mistake equally truly. `is_held_out` if no diagnosis
    was made with it.
    """

    file: str
    case: str
    path: KeyPath
    right: str
    wrong: str
    kind: str
    also: tuple[str, ...] = ()
    mistake: str = ""
    is_held_out: bool = False

    def __str__(self) -> str:
        return f"{self.case} {self.line}: {self.wrong}"

    @property
    def line(self) -> str:
        return ".".join(map(str, self.path[1:]))

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.kind, *self.also


def is_second_half(name: str, text: str) -> bool:
    """Whether what is planted belongs to the second half of its file."""
    return hashlib.sha256(f"{name}\n{text}".encode()).digest()[7] % 2 == 1


# Cases


@cache
def documents() -> dict[str, Any]:
    """Case files as plain data, by name."""
    paths = [*sorted(LIBRARY.glob("*.grad.yaml")), OWN]
    return {path.name: Document.read(path).data for path in paths}


@cache
def files_of_cases() -> dict[str, str]:
    return {case: name for name, data in documents().items() for case in data["cases"]}


def formula_at(data: Any, path: KeyPath) -> str:
    for key in path:
        data = data[key]
    return str(data)


def path_of(data: dict[str, Any], line: str) -> KeyPath:
    """Where a line stands: `dW`, `dz/dx.1` of alternatives, `recurrence.dh`, `jvp.dz`."""
    parts = line.split(".")
    for block in [parts.pop(0)] if parts[0] in BLOCKS else BLOCKS:
        place, found = data.get(block), [block]
        for part in parts:
            key = int(part) if part.isdigit() else part
            place = place[key] if _has(place, key) else None
            found.append(key)
        if isinstance(place, dict):
            place = place["next"]
            found.append("next")
        if place is not None and not isinstance(place, list):
            return tuple(found)
    raise KeyError(f"there is no line {line}")


def _has(place: Any, key: str | int) -> bool:
    if isinstance(place, list):
        return isinstance(key, int) and key < len(place)
    return isinstance(place, dict) and key in place


def changed(file: str, case: str, path: KeyPath, formula: str) -> dict[str, Any]:
    """The document of one case, in float64 and without published numbers, with one formula."""
    document = documents()[file]
    data = copy.deepcopy(document["cases"][case])
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = formula
    data["dtypes"], data["samples"] = "float64", 1
    for one in (data, *data.get("points", [])):
        one.pop("expect", None)
        one.pop("cotangents", None)
    head = {key: document[key] for key in ("definitions", "defaults") if key in document}
    return {**head, "cases": {case: data}}


def loaded(document: dict[str, Any]) -> CaseFile:
    return read(Document.parse(json.dumps(document, default=float), "planted"))


def largest(file: CaseFile) -> Case:
    """Of a case in several sizes, the one with the largest."""
    assert not file.problems, [str(problem) for problem in file.problems]
    return max(file.cases, key=lambda case: sum(case.sizes.values()))


def planted_case(plant: Plant) -> Case:
    return largest(loaded(changed(plant.file, plant.case, plant.path, plant.wrong)))


def results_of(case: Case) -> Iterator[Result]:
    """What comes of a case on the CPU."""
    for job in jobs([case], device="cpu"):
        yield from run(job)


def is_of(quantity: str, text: str, plant: Plant, formula: str) -> bool:
    """Whether a claim's quantity and text are those of a formula in the plant's place."""
    names = [part for part in plant.path if isinstance(part, str)]
    part = names.pop() if names[-1] in ("start", "next") else ""
    name, found = names[-1], quantity.replace("[t]", "").removesuffix(" (jvp)")
    if found != name and not found.endswith(f"/d{name}") and not name.startswith("d2"):
        return False
    if part == "start":
        return text.startswith(f"start: {formula}, next: ")
    if part == "next":
        return text.startswith("start: ") and text.endswith(f", next: {formula}")
    return text == formula


def failing_result(plant: Plant) -> Result | None:
    """The first failing result on the planted formula, else the first failing one.

    The mistake in a line that is there for others shows in those alone.
    """
    case, first = planted_case(plant), None
    is_judged = any(
        is_of(claim.quantity, formula.text, plant, plant.wrong)
        for claim in (*case.claims, *case.seconds)
        for formula in claim.formulas
    )
    for result in results_of(case):
        if result.verdict != "fail":
            continue
        if not is_judged or is_of(result.quantity, result.formula, plant, plant.wrong):
            return result
        first = first or result
    return first


# Plants


@cache
def plants() -> tuple[Plant, ...]:
    """All of them, case by case."""
    order = {case: place for place, case in enumerate(files_of_cases())}
    return tuple(sorted(written(), key=lambda plant: order[plant.case]))


def written() -> Iterator[Plant]:
    yield from _written("planted_kinds.yaml")
    for plant in _written("planted_unseen.yaml"):
        yield replace(plant, is_held_out=is_second_half(plant.case, plant.wrong))


def _written(name: str) -> Iterator[Plant]:
    text = (HERE / name).read_text("utf-8")
    for case, lines in yaml.load(text, yaml.CSafeLoader).items():
        file = files_of_cases()[case]
        data = documents()[file]["cases"][case]
        for line, wrong, (kind, *also), mistake in lines:
            path = path_of(data, line)
            right = formula_at(data, path)
            yield Plant(file, case, path, right, str(wrong), kind, tuple(also), mistake)
