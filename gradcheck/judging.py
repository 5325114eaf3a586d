"""A claim at a place: every oracle is asked, and the answers are held against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from gradcheck.ball import Ball
from gradcheck.casefile.case import Expectation, Printed
from gradcheck.claims import Claim, Written, as_jacobian
from gradcheck.errors import EvaluationError, ShapeError
from gradcheck.functions import Segment
from gradcheck.oracles import autograd, handwritten, numeric, rounding
from gradcheck.place import CPU, Place
from gradcheck.results import Answer, EntryAnswers
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.verdict import Entry, Judgement, judge, judge_expected, worst_of

JACOBIAN_BUDGET: Final = 2**20
"""The most entries that a Jacobian may have."""
SHOWN_ENTRIES: Final = 5

Fields = dict[str, Any]
"""What a `Result` says beyond where it is."""


def judge_claim(place: Place, claim: Claim) -> Iterator[Fields]:
    """One verdict for each way in which the claim's derivative was written."""
    value, output = place.environment[claim.input], place.environment[claim.output]
    size = output.numel() * value.numel()
    if size > JACOBIAN_BUDGET:
        note = f"the Jacobian has {size:,} entries, more than {JACOBIAN_BUDGET:,}"
        yield _fields(claim, None, verdict="inconclusive", notes=(note,))
        return
    check = _Check(place, claim)
    try:
        check.ask_autograd()
    except Exception as error:
        note = f"autograd: {_first_line(error)}"
        yield _fields(claim, None, verdict="error", blame="autograd", notes=(note,))
        return
    for formula in claim.formulas or (None,):
        yield check.judge(formula)


def judge_value(place: Place, expectation: Expectation) -> Iterator[Fields]:
    """The verdict on a published value of the function itself; a link's belongs to its claim."""
    if not _applies(expectation, place) or "/" in expectation.quantity:
        return
    name = expectation.quantity
    value = place.environment[name]

    def evaluate() -> Any:  # noqa: ANN401
        given = {name: place.environment[name] for name in place.case.function.given}
        function = place.case.function
        return function.run({**place.case.sizes, **given}, place.meaning())[name]

    truth = rounding.measure(evaluate, value)
    scale = truth.largest() or 1.0
    resolution = place.case.required_resolution(place.dtype)
    fields: Fields = {
        "quantity": expectation.quantity,
        "line": expectation.line,
        "truth": "numeric",
        "basis": truth.basis,
        "resolution": 2 * float(np.max(truth.radius, initial=0.0)) / scale,
        "required": resolution,
    }
    try:
        expected = _expected_ball(expectation.printed, lambda v: _filled(v, truth.shape))
    except ShapeError as error:
        yield {**fields, "verdict": "fail", "blame": "expected", "notes": (f"expected: {error}",)}
        return
    answers = {"expected": expected}
    verdict = (
        _as_computed(truth, expected, place)
        if expectation.of == "handwritten"
        else judge_expected(truth, _with_input_rounding(expected, place, scale), resolution, scale)
    )
    worst = worst_of(truth, expected)
    difference = float(np.max(truth.distance(expected), initial=0.0)) / scale
    yield {
        **fields,
        "verdict": verdict,
        "blame": "expected" if verdict == "fail" else "",
        "difference": difference,
        "entries": _entries(lambda index: _indexed(name, index), worst, answers, truth, verdict),
    }


class _Check:
    """One claim at one place; what several formulas share is computed once."""

    def __init__(self, place: Place, claim: Claim) -> None:
        self.place = place
        self.claim = claim
        self.value: Tensor = place.environment[claim.input]
        self.output: Tensor = place.environment[claim.output]
        self.required = place.case.required_resolution(place.dtype)
        self.truths: dict[numeric.Effort, Ball] = {}

    def ask_autograd(self) -> None:
        segment = self.place.segment(self.claim)

        def evaluate() -> Tensor:
            return autograd.jacobian(segment, self.value, self.place.meaning())

        self.autograd = rounding.measure(evaluate, evaluate())

    def ask_handwritten(self, formula: Written) -> Ball:
        """The formula's ball.

        Raises:
            EvaluationError, ShapeError: The formula has no value, or no derivative's shape.
        """
        segment = self.place.formula_segment(self.claim)

        def evaluate() -> Tensor:
            meaning = self.place.meaning()
            return handwritten.jacobian(self.claim, formula, segment, self.value, meaning)

        return rounding.measure(evaluate, evaluate())

    def truth(self, effort: numeric.Effort) -> Ball:
        if effort not in self.truths:
            segment = self.place.true_segment(self.claim)
            self.truths[effort] = _numeric(segment, effort)
        return self.truths[effort]

    def judge(self, formula: Written | None) -> Fields:
        answers = {"autograd": self.autograd}
        if formula is not None:
            try:
                answers = {"handwritten": self.ask_handwritten(formula), **answers}
            except (EvaluationError, ShapeError) as error:
                return self._unusable(formula, error)
        for effort in ("quick", "full"):
            truth = self.truth(effort)
            judgement = judge(truth, answers, self._fallback_scale(), self.required)
            expected = self._expected(truth, answers, judgement.scale)
            if judgement.verdict == "pass" and all(v == "pass" for _, v in expected):
                break
        return self._fields(formula, truth, answers, judgement, expected)

    def _unusable(self, formula: Written, error: EvaluationError | ShapeError) -> Fields:
        if isinstance(error, EvaluationError) and error.expression is not None:
            note = f"the formula has no value: {error}"
        else:
            note = f"the formula has {error}"
        return _fields(
            self.claim, formula, verdict="fail", blame="handwritten", truth="numeric", notes=(note,)
        )

    def _fallback_scale(self) -> float:
        """max|A| / max(1, max|B|), the size of dA/dB where nothing else tells it."""
        output = float(self.output.detach().abs().max()) if self.output.numel() else 0.0
        value = float(self.value.detach().abs().max()) if self.value.numel() else 0.0
        return output / max(1.0, value)

    def _expected(
        self, truth: Ball, answers: Mapping[str, Ball], scale: float
    ) -> list[tuple[Ball | ShapeError, str]]:
        """Every published value of the quantity that belongs here, with its verdict."""
        return [
            self._judge_expected(expectation, truth, answers, scale)
            for expectation in self.place.point.expectations
            if expectation.quantity == self.claim.quantity and _applies(expectation, self.place)
        ]

    def _judge_expected(
        self, expectation: Expectation, truth: Ball, answers: Mapping[str, Ball], scale: float
    ) -> tuple[Ball | ShapeError, str]:
        try:
            expected = _expected_ball(expectation.printed, self._jacobian)
        except ShapeError as error:
            return error, "fail"
        if expectation.of == "handwritten":
            written = answers.get("handwritten", truth)
            return expected, _as_computed(written, expected, self.place)
        rounded = _with_input_rounding(expected, self.place, scale)
        return expected, judge_expected(truth, rounded, self.required, scale)

    def _jacobian(self, value: Any) -> Tensor:  # noqa: ANN401
        """A published derivative in the Jacobian's shape; of a recurrence, step by step."""
        output, input = tuple(self.output.shape), tuple(self.value.shape)
        meaning = TorchMeaning(torch.float64, CPU)
        if not self.claim.is_stepwise:
            jacobian = as_jacobian(value, output, input, meaning)
        elif not isinstance(value, Tensor) or len(value) != output[0]:
            raise ShapeError(f"not {output[0]} steps, a recurrence's values are listed by step")
        else:
            steps = [as_jacobian(step, output[1:], input, meaning) for step in value]
            jacobian = torch.stack(steps)
        assert isinstance(jacobian, Tensor)
        return jacobian

    def _fields(
        self,
        formula: Written | None,
        truth: Ball,
        answers: Mapping[str, Ball],
        judgement: Judgement,
        expected: list[tuple[Ball | ShapeError, str]],
    ) -> Fields:
        verdicts = {judgement.verdict, *(verdict for _, verdict in expected)}
        verdict = next(v for v in ("fail", "inconclusive", "pass") if v in verdicts)
        blame = list(judgement.blame)
        notes = list(truth.notes)
        worst = judgement.worst_entry
        shown = dict(answers)
        for ball, its_verdict in expected:
            if isinstance(ball, ShapeError):
                notes.append(f"the published value has {ball}")
            else:
                shown["expected"] = ball
                if its_verdict == "fail" and not judgement.blame:
                    worst = worst_of(truth, ball)
            if its_verdict == "fail" and "expected" not in blame:
                blame.append("expected")
        if verdict == "inconclusive":
            notes.append(_what_would_help(truth, answers, judgement, self.place))
            blame = ["function"] if truth.notes else []
        elif {"handwritten", "autograd"} <= set(blame) and _overlap(answers):
            notes.append(
                "handwritten and autograd agree with each other: is the function what was meant, "
                "or is the numeric oracle wrong here?"
            )
        return _fields(
            self.claim,
            formula,
            verdict=verdict,
            blame=",".join(blame),
            truth="numeric",
            basis=truth.basis,
            resolution=judgement.resolution,
            required=self.required,
            difference=judgement.difference,
            entries=_entries(self._label, worst, shown, truth, verdict),
            notes=tuple(notes),
        )

    def _label(self, index: Entry) -> str:
        """An entry as a reader writes it: `dz[1]/dx[0]`."""
        split = self.output.ndim
        output, input = index[:split], index[split:]
        over, _, under = self.claim.quantity.partition("/")
        if self.claim.is_stepwise:
            state = over.removesuffix("[t]")
            return f"{_indexed(state, output[1:])}/{_indexed(under, input)} at step {output[0] + 1}"
        return f"{_indexed(over, output)}/{_indexed(under, input)}"


def _numeric(segment: Segment, effort: numeric.Effort) -> Ball:
    """The numeric Jacobian; what `detach` yields at the point is a constant around it too."""
    at = segment.held[segment.start]
    first = TorchMeaning(torch.float64, CPU)
    with torch.no_grad():
        segment.value(at, first)
    replay = first.detached or None

    def function(value: Tensor) -> Tensor:
        result = segment.value(value, TorchMeaning(torch.float64, CPU, replay))
        assert isinstance(result, Tensor)
        return result

    return numeric.jacobian(function, at, effort=effort)


def _fields(claim: Claim, formula: Written | None, **fields: object) -> Fields:
    return {
        "quantity": claim.quantity,
        "line": formula.line if formula else claim.line,
        "formula": formula.text if formula else "",
        **fields,
    }


def _applies(expectation: Expectation, place: Place) -> bool:
    """Published numbers are held to the truth in the widest dtype, where it is best known."""
    return place.dtype == (expectation.dtype or place.case.widest)


def _expected_ball(printed: Printed, shaped: Callable[[Any], Tensor]) -> Ball:
    """A published value, with one unit of its last printed digit as its radius.

    Raises:
        ShapeError: The value's shape is not that of what it is published for.
    """
    try:
        midpoint, unit = _tensor(_map(printed, float)), _tensor(_map(printed, _unit))
    except ValueError:
        raise ShapeError("rows of different lengths") from None
    return Ball(shaped(midpoint).numpy(), shaped(unit).numpy(), "bounded")


def _map(printed: Printed, function: Callable[[Any], float]) -> Any:  # noqa: ANN401
    if isinstance(printed, list):
        return [_map(item, function) for item in printed]
    return function(printed)


def _tensor(numbers: Any) -> Any:  # noqa: ANN401
    return torch.tensor(numbers, dtype=torch.float64) if isinstance(numbers, list) else numbers


def _unit(number: Any) -> float:  # noqa: ANN401
    """One unit of the last printed digit; an integer is exact."""
    if isinstance(number, int) or not number.is_finite():
        return 0.0
    return float(f"1e{number.as_tuple().exponent}")


def _filled(value: Any, shape: tuple[int, ...]) -> Tensor:  # noqa: ANN401
    """A published value of a quantity of that shape; a plain number fills it."""
    if not isinstance(value, Tensor):
        return torch.full(shape, value, dtype=torch.float64)
    if tuple(value.shape) != shape:
        raise ShapeError(f"shape {list(value.shape)}, but the value has shape {list(shape)}")
    return value


def _with_input_rounding(expected: Ball, place: Place, scale: float) -> Ball:
    """What was published holds for the numbers as written; a narrow dtype rounds the inputs."""
    if place.dtype == "float64":
        return expected
    slack = 4 * torch.finfo(place.meaning().dtype).eps * scale
    return Ball(expected.midpoint, expected.radius + slack, expected.basis)


def _as_computed(computed: Ball, expected: Ball, place: Place) -> str:
    """Whether a published evaluation is the one made here, to the digits that the dtype has."""
    ulp = torch.finfo(place.meaning().dtype).eps * np.abs(computed.midpoint)
    return "pass" if np.all(computed.distance(expected) <= expected.radius + ulp) else "fail"


def _overlap(answers: Mapping[str, Ball]) -> bool:
    a, b = answers["handwritten"], answers["autograd"]
    return bool(np.all(a.distance(b) <= a.radius + b.radius))


def _what_would_help(
    truth: Ball, answers: Mapping[str, Ball], judgement: Judgement, place: Place
) -> str:
    """Who is the least sharp, and what the reader can do about it."""
    at = judgement.worst_entry
    if at is None:
        return "nothing could be compared"
    if not np.isfinite(truth.radius[at]):
        return "the numeric oracle cannot tell the derivative here: try another point"
    blurriest = max(answers, key=lambda name: float(answers[name].radius[at]))
    if truth.radius[at] >= answers[blurriest].radius[at]:
        return (
            "the numeric oracle is not sharp enough here: try a point where the function is "
            f"smoother or larger, or ask for `resolution: {_rounded_up(judgement.resolution)}`"
        )
    return (
        f"rounding in {place.dtype} blurs {blurriest} here: use a wider dtype or a point with less "
        f"cancellation, or ask for `resolution: {_rounded_up(judgement.resolution)}`"
    )


def _rounded_up(resolution: float) -> str:
    """The next power of ten."""
    return f"1e{int(np.ceil(np.log10(resolution)))}" if 0 < resolution < np.inf else "1"


def _entries(
    label: Callable[[Entry], str],
    worst: Entry | None,
    answers: Mapping[str, Ball],
    truth: Ball,
    verdict: str,
) -> tuple[EntryAnswers, ...]:
    """The worst entry, and for what did not pass a few more, furthest from the truth first."""
    if worst is None:
        return ()
    indices = [worst]
    if verdict != "pass":
        far = np.max([truth.distance(ball) for ball in answers.values()], axis=0)
        order = np.argsort(-far, axis=None, kind="stable")[:SHOWN_ENTRIES]
        ranked = [tuple(int(i) for i in np.unravel_index(flat, far.shape)) for flat in order]
        indices += [index for index in ranked if index != worst and far[index] > 0]
    balls = {**answers, "numeric": truth}
    return tuple(
        EntryAnswers(
            label(index),
            index,
            {
                name: Answer(float(ball.midpoint[index]), float(ball.radius[index]))
                for name, ball in balls.items()
            },
        )
        for index in indices[:SHOWN_ENTRIES]
    )


def _indexed(name: str, index: Entry) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


