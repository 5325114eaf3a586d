"""A place: a case at one point, in one dtype on one device, with every value of its function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from flint import ctx
from torch import Tensor

from gradcheck.casefile.case import COMPLEX, Case, DType, Point
from gradcheck.casefile.inputs import Given, Sampled, Value
from gradcheck.claims import Claim
from gradcheck.demands import Demands
from gradcheck.errors import EvaluationError
from gradcheck.functions import Environment, Segment
from gradcheck.modes import Seed
from gradcheck.rigorous.meaning import BallMeaning
from gradcheck.rigorous.numbers import exactly
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.verdict import Waiver

TORCH_DTYPE = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "complex128": torch.complex128,
    "complex64": torch.complex64,
}
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Place:
    """Where a case is looked at; `environment` holds the values in the check's dtype."""

    case: Case
    point: Point
    dtype: DType
    device: torch.device
    environment: Environment

    @classmethod
    def at(cls, case: Case, point: Point, dtype: DType, device: str) -> Place:
        """Evaluates the function.

        Raises:
            EvaluationError: The function has no value at this point.
        """
        where = torch.device(device)
        given = {
            name: _tensor(_given(case, point, name, dtype), dtype, where) for name in point.values
        }
        meaning = TorchMeaning(TORCH_DTYPE[dtype], where)
        environment = case.function.run({**case.sizes, **given}, meaning)
        for seed in case.extension.seeds:
            like = None if seed.like is None else environment[seed.like]
            value = _tensor(_seeded(case, point, seed, like), dtype, where)
            is_real = not isinstance(like, Tensor) or not like.is_complex()
            environment[seed.name] = value.real if is_real else value
        for step in case.extension.steps:
            step.run(environment, meaning)
        return cls(case, point, dtype, where, environment)

    @property
    def is_complex(self) -> bool:
        """Whether values are complex, unless a word makes them real."""
        return self.dtype in COMPLEX

    def value(self, name: str) -> Tensor:
        """The value of a name.

        Raises:
            EvaluationError: It is several results and no tensor.
        """
        value = self.environment[name]
        if not isinstance(value, Tensor):
            raise EvaluationError(f"`{name}` has several results: choose one, as in {name}[0]")
        return value

    @property
    def demands(self) -> Demands:
        """What the case asks for in this dtype."""
        case, dtype = self.case, self.dtype
        return Demands(dtype, case.required_resolution(dtype), case.required_digits(dtype))

    @property
    def waiver(self) -> Waiver | None:
        """What is known to be inaccurate."""
        known = self.case.known
        return None if known is None else Waiver.of_known(known.limits, known.reason)

    def natural_scale(self, output: str, input: str) -> float:
        """max|A| / max(1, max|B|), the size of dA/dB where nothing else tells it."""
        return self.size(output) / max(1.0, self.size(input))

    def size(self, name: str) -> float:
        """The largest |entry| of a value."""
        if name not in self._sizes:
            self._sizes[name] = _largest(self.value(name))
        return self._sizes[name]

    @cached_property
    def _sizes(self) -> dict[str, float]:
        return {}

    def meaning(self) -> TorchMeaning:
        """What formulas mean here."""
        return TorchMeaning(TORCH_DTYPE[self.dtype], self.device)

    def segment(self, claim: Claim) -> Segment:
        """From the claim's input to its output, in the check's dtype."""
        return Segment(claim.steps, claim.input, claim.output, self.environment)

    def formula_segment(self, claim: Claim) -> Segment:
        """From the claim's input to all that its formulas read."""
        return Segment(claim.formula_steps, claim.input, claim.output, self.environment)

    @cached_property
    def exact_environment(self) -> Environment:
        """The values that the check's dtype holds, as ball arithmetic takes them."""
        return {name: exactly(value) for name, value in self.environment.items()}

    def computed_exactly(self) -> Environment:
        """All values in balls, at the precision of the moment, computed from those given.

        Raises:
            EvaluationError: A choice is undecided, or a value does not exist.
        """
        if ctx.prec not in self._computed:
            case, seeds = self.case, [seed.name for seed in self.case.extension.seeds]
            names = (*case.sizes, *case.function.given, *seeds)
            meaning = BallMeaning()
            environment = case.function.run({n: self.exact_environment[n] for n in names}, meaning)
            for step in case.extension.steps:
                step.run(environment, meaning)
            self._computed[ctx.prec] = environment
        return self._computed[ctx.prec]

    @cached_property
    def _computed(self) -> dict[int, Environment]:
        """By the precision in bits."""
        return {}

    def exact_segment(self, claim: Claim) -> Segment:
        """From the claim's input to its output, in ball arithmetic."""
        return Segment(claim.steps, claim.input, claim.output, self.exact_environment)

    def exact_formula_segment(self, claim: Claim) -> Segment:
        """From the claim's input to all that its formulas read, in ball arithmetic."""
        return Segment(claim.formula_steps, claim.input, claim.output, self.exact_environment)

    def widened(self) -> Environment:
        """The values that the check's dtype holds, in float64 on the CPU."""
        return {name: _widened(value) for name, value in self.environment.items()}


def _seeded(case: Case, point: Point, seed: Seed, like: Any) -> Any:
    """The values of a seed: as given for the point, or drawn.

    Raises:
        EvaluationError: What is given has another shape than it should have.
    """
    if like is not None and not isinstance(like, Tensor):
        raise EvaluationError(f"`{seed.like}` has several results: choose one, as in slogdet(x)[0]")
    shape = () if like is None else tuple(like.shape)
    if not seed.is_random:
        return np.zeros(shape)
    given = point.cotangents.get(seed.spelled)
    if given is not None:
        array = given.array("", 0)
        if array.shape != shape:
            found = f"shape {list(array.shape)}, but `{seed.like}` has shape {list(shape)}"
            raise EvaluationError(f"the cotangent `{seed.spelled}` has {found}")
        return array
    if seed.spelled and point.is_published:
        if shape:
            missing = f"write its cotangent under `cotangents: {{{seed.spelled}: …}}`"
            raise EvaluationError(f"`{seed.like}` has shape {list(shape)}: {missing}")
        return np.ones(())
    drawn, name = Sampled(shape, "normal"), f"{case.name}.{seed.name}"
    is_complex = like is not None and like.is_complex()
    return _drawn(drawn, name, point, "complex128" if is_complex else "float64")


def _given(case: Case, point: Point, name: str, dtype: DType) -> Any:
    """The numbers of an input or a constant.

    A constant of a function in Python is of whole numbers where it is written so: an index, say.
    """
    value = point.values[name]
    may_be_whole = case.kernel is not None and name not in case.inputs
    whole = value.whole() if may_be_whole and isinstance(value, Given) else None
    return _drawn(value, f"{case.name}.{name}", point, dtype) if whole is None else whole


def _drawn(value: Value, seed: str, point: Point, dtype: DType) -> Any:
    """The numbers of a value; in a complex dtype, what is drawn has imaginary parts of its own."""
    array = value.array(seed, point.draw)
    is_drawn = isinstance(value, Sampled) and value.distribution in _WITH_IMAGINARY_PARTS
    if dtype not in COMPLEX or not is_drawn:
        return array
    return array + 1j * value.array(f"{seed} (imaginary)", point.draw)


_WITH_IMAGINARY_PARTS: Final = ("normal", "uniform")


def _tensor(array: Any, dtype: DType, device: torch.device) -> Tensor:
    """A tensor of that dtype; of whole numbers and of a seed without imaginary parts, its own."""
    tensor = torch.from_numpy(np.asarray(array))
    wanted = TORCH_DTYPE[dtype]
    return tensor.to(device, wanted if tensor.is_floating_point() or tensor.is_complex() else None)


def _largest(tensor: Tensor) -> float:
    if not tensor.numel():
        return 0.0
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    return float(tensor.detach().to(wide).abs().max())


def _widened(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().to(CPU, torch.float64 if value.is_floating_point() else None)
