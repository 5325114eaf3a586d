"""Balls → a verdict, a name to blame, and how sharp the check was.

Two answers disagree where their balls do not overlap. How far beyond that a disagreement has to be
before somebody is accused depends on what the radii are worth: a radius that is not proven can be
a little too small, and a right derivative must never be called wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array, Ball, Basis

Verdict = Literal["pass", "inconclusive", "fail"]
Entry = tuple[int, ...]
Flags = NDArray[np.bool_]

ALLOWANCE: Final[dict[Basis, float]] = {"proven": 1.0, "bounded": 10.0, "estimated": 10.0}
"""How many radii an answer may be off before it is wrong; in between, nothing is decided."""
TRUTH_ALLOWANCE: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What ball arithmetic says of the hand-written formula, whatever the dtype.

    `wrong` are the entries where it excludes the truth; `distance` is how far it is from the truth
    there and everywhere, up to `radius`.
    """

    wrong: Flags
    distance: Array
    radius: Array


@dataclass(frozen=True, slots=True)
class Waiver:
    """What a caller accepts beside all error bounds; `reason` is how a report says so.

    An answer may be off by `atol` plus `rtol` times the truth, entry by entry; one that is `known`
    to be inaccurate by so much, relative to the scale.
    """

    reason: str
    atol: float = 0.0
    rtol: float = 0.0
    known: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_known(cls, limits: Mapping[str, float], reason: str) -> Waiver:
        return cls(f"known: {reason}", known=limits)

    def of(self, answer: str, truth: Ball, scale: float) -> Array:
        """How far an answer may be off, entry by entry."""
        limit: Array = self.atol + self.rtol * np.abs(truth.midpoint)
        return limit + self.known.get(answer, 0.0) * scale

    def accepted(self, proof: Proof, scale: float) -> Proof:
        """The proof, for which a formula that is known to be inaccurate is right."""
        limit = self.known.get("handwritten", 0.0) * scale
        return replace(proof, wrong=proof.wrong & ~(proof.distance <= limit))


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the answers to one claim stand to its truth.

    `resolution` is the smallest error, relative to `scale`, that could not have passed unnoticed;
    infinite where the truth is not known. `difference` is the largest distance of an answer from
    the truth, relative to `scale`; `distances` are those of each answer, entry by entry.
    `worst_entry` is the entry that decided, None where there is no entry. `blame` names the answers
    that are wrong, in the order they were given. `is_truth_alone` where all of several answers
    agree with each other and none with a truth that is itself an estimate: that accuses nobody.
    `is_hidden` where the formula is wrong, but so little that its evaluation does not show it.
    `waived` is the reason where nothing but a waiver keeps an answer from being wrong.
    """

    verdict: Verdict
    blame: tuple[str, ...]
    resolution: float
    difference: float
    scale: float
    worst_entry: Entry | None
    distances: Mapping[str, Array]
    is_truth_alone: bool = False
    is_hidden: bool = False
    waived: str = ""


def judge(
    truth: Ball,
    answers: Mapping[str, Ball],
    fallback_scale: Callable[[], float],
    resolution: float,
    negligible: float = 0.0,
    proof: Proof | None = None,
    waiver: Waiver | None = None,
    scale: float | None = None,
) -> Judgement:
    """Holds every answer, of which there is one at least, against the truth, entry by entry.

    All balls have one shape.

    `resolution` is the relative error that the check must be able to notice. It is relative to
    the largest |entry| of all that is known not to be zero; where none is above `negligible`, to
    `fallback_scale()`.

    An answer fails beyond twice the truth's radius plus its own radius times its allowance. It
    passes within both radii, if those are small enough: an answer that is off by more than twice
    their sum cannot overlap the truth, so that is the resolution achieved.

    With a `proof` the formula is right or wrong, however the answers are rounded: that makes
    nothing inconclusive then, and the resolution achieved is the proof's.

    `scale` is what the resolution is relative to where entries do not tell, as along directions.
    A distance within the `waiver` is right, and radii that are together within it are sharp enough.
    """
    balls = answers.values()
    distance, radius = (
        np.array([truth.distance(b) for b in balls]),
        np.array([b.radius for b in balls]),
    )
    times = np.array([ALLOWANCE[b.basis] for b in balls]).reshape(-1, *[1] * truth.radius.ndim)
    joint = _known(truth.radius + radius)
    allowed = _known(TRUTH_ALLOWANCE * truth.radius + times * radius)
    if scale is None:
        known = max(truth.largest(), *(ball.largest() for ball in balls))
        scale = _scale(known, fallback_scale, negligible)
    wrong, apart = distance > allowed, distance > joint
    waived = False
    if waiver is not None:
        limit = np.array([waiver.of(name, truth, scale) for name in answers])
        beyond = ~(distance <= limit)
        waived = bool((apart & ~beyond).any())
        wrong, apart = wrong & beyond, apart & beyond
        if proof is not None:
            given, proof = proof, waiver.accepted(proof, scale)
            waived |= bool((given.wrong & ~proof.wrong).any())
    blamed: set[str] = set()
    if wrong.any():
        blamed = {name for name, entries in zip(answers, wrong, strict=True) if entries.any()}
    hidden = proof is not None and bool(proof.wrong.any()) and "handwritten" not in blamed
    if hidden:
        blamed.add("handwritten")
    blame = tuple(name for name in answers if name in blamed)
    alone = truth.basis == "estimated" and len(blame) == len(answers) > 1 and _agree(answers)
    blame = () if alone else blame
    achieved = 2 * _largest(joint if proof is None else proof.radius) / scale
    blurred = not achieved <= resolution
    if blurred and waiver is not None:
        blurred = bool(((2 * joint > resolution * scale) & ~(joint <= limit)).any())
    undecided = blurred or (proof is None and bool(apart.any()))
    return Judgement(
        "fail" if blame else "inconclusive" if undecided else "pass",
        blame,
        achieved,
        _difference(distance, proof) / scale,
        scale,
        _worst_entry(wrong, apart, distance, joint, proof),
        dict(zip(answers, distance, strict=True)),
        alone,
        hidden,
        waiver.reason if waiver is not None and waived else "",
    )


def _known(radius: Array) -> Array:
    """Radii, infinite where they are none."""
    known: Array = np.where(np.isnan(radius), np.inf, radius)
    return known


def _difference(distance: Array, proof: Proof | None) -> float:
    """The largest distance from the truth: of a formula that is wrong, else of an answer."""
    return _largest(proof.distance if proof is not None and proof.wrong.any() else distance)


def excludes(numeric: Ball, truth: Ball) -> bool:
    """Whether the numeric oracle's answer cannot be the truth, its radius doubled."""
    apart = truth.distance(numeric) > TRUTH_ALLOWANCE * numeric.radius + truth.radius
    return bool(apart.any())


def judge_expected(truth: Ball, expected: Ball, resolution: float, scale: float) -> Verdict:
    """Holds a published number, whose radius is one unit of its last printed digit, to the truth.

    It is decided where the truth is known at least as well as the number was printed, or as the
    check has to be sharp.
    """
    known = np.maximum(expected.radius, resolution * scale)
    if np.any(truth.radius > known):
        return "inconclusive"
    within = expected.radius + TRUTH_ALLOWANCE * truth.radius
    # A decimal that is exactly one unit off is not exactly that once both are float64.
    slack = 4 * np.finfo(np.float64).eps * np.abs(expected.midpoint)
    return "pass" if truth.is_within(within * (1 + 1e-6) + slack, expected) else "fail"


def worst_of(truth: Ball, answer: Ball) -> Entry | None:
    """The entry at which an answer is furthest from the truth."""
    return _argmax(truth.distance(answer))


def _scale(known: float, fallback_scale: Callable[[], float], negligible: float) -> float:
    """The largest |entry| that anybody knows not to be zero; where there is none, the fallback."""
    if known > negligible:
        return known
    fallback = fallback_scale()
    return fallback if 0 < fallback < np.inf else 1.0


def _agree(answers: Mapping[str, Ball]) -> bool:
    """Whether all the answers overlap each other."""
    return all(
        np.all(a.distance(b) <= a.radius + b.radius) for a, b in combinations(answers.values(), 2)
    )


def _worst_entry(
    wrong: Flags, apart: Flags, distance: Array, joint: Array, proof: Proof | None
) -> Entry | None:
    """The largest distance among the wrong entries, else among those apart, else the blurriest.

    Arrays are (answers, entries...), those of the proof (entries...).
    """
    if joint.ndim == 1:
        return ()
    if proof is not None and proof.wrong.any():
        return _argmax(np.where(proof.wrong, proof.distance, -1.0))
    for decision in (wrong, apart):
        if decision.any():
            return _argmax(np.where(decision, distance, -1.0).max(axis=0))
    return _argmax(joint.max(axis=0))


def _largest(values: Array) -> float:
    return float(values.max(initial=0.0))


def _argmax(values: Array) -> Entry | None:
    if values.size == 0:
        return None
    if values.ndim == 0:
        return ()
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))
