"""Monte-Carlo arithmetic: an evaluation repeated with every operation's result moved a little.

Rounding moves each result by at most half a unit in its last place. Moving each by a random
amount of that size, and seeing how far the final answer moves, measures what rounding does to it
(D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997).
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from gradcheck.ball import Array, Ball

SAMPLES: Final = 4
SAFETY: Final = 3.0
"""The radius is this many times the largest deviation among the samples …"""
FLOOR: Final = 4.0
"""… plus this many half units in the last place of the answer."""

_NAMES: Final = (
    "abs alias amax amin arange argmax argmin bernoulli cat clamp clamp_max clamp_min clone "
    "constant_pad_nd copy copy_ detach diag_embed diagonal_backward empty empty_like "
    "empty_strided expand eye fill fill_ flip floor full full_like gather index index_put "
    "index_select lift_fresh masked_fill maximum minimum neg new_empty new_empty_strided "
    "new_full new_ones new_zeros ones ones_like relu repeat roll round scalar_tensor scatter "
    "select_backward select_scatter sgn sign slice_backward stack threshold_backward tril triu "
    "where zero_ zeros zeros_like _to_copy _local_scalar_dense unbind split narrow_copy trunc "
    "ceil"
)
_EXACT: Final = frozenset(_NAMES.split())
"""Operations that move, pick or make numbers and round none."""

_WHOLE: Final = frozenset({"add", "sub", "rsub", "mul"})
"""Operations that are exact on whole numbers: an index that is computed must stay one."""


def measure(evaluate: Callable[[], Tensor], answer: Tensor, seed: int = 0) -> Ball:
    """The ball around `answer`, what `evaluate` gives undisturbed, that rounding fills.

    The radius is SAFETY times the largest deviation in SAMPLES disturbed evaluations, plus FLOOR
    half units in the last place of the entry, plus the dtype's smallest subnormal; infinite where
    a disturbed evaluation is not finite though the answer is. An answer that is not finite is
    itself: its radius is 0.
    """
    information = torch.finfo(answer.dtype)
    unit = information.eps / 2
    midpoint = to_array(answer)
    smallest = information.smallest_normal * information.eps
    spread = deviation(evaluate, midpoint, unit, seed)
    radius = SAFETY * spread + FLOOR * unit * np.abs(midpoint) + smallest
    return Ball(midpoint, np.where(np.isfinite(midpoint), radius, 0.0), "estimated")


def deviation(
    evaluate: Callable[[], Tensor],
    midpoint: Array,
    unit: float,
    seed: int = 0,
    samples: int = SAMPLES,
) -> Array:
    """The largest distance from `midpoint`, entry by entry, in some disturbed evaluations."""
    largest = np.zeros_like(midpoint)
    for sample in range(samples):
        with MonteCarlo(unit, seed + sample):
            disturbed = to_array(evaluate())
        with np.errstate(invalid="ignore"):
            largest = np.fmax(largest, _finite(np.abs(disturbed - midpoint)))
    return largest


def to_array(tensor: Tensor) -> Array:
    """The tensor as a float64 array; every dtype of a check fits into it exactly."""
    return tensor.detach().to("cpu", torch.float64).numpy()


def _finite(deviation: Array) -> Array:
    return np.where(np.isnan(deviation), np.inf, deviation)


class MonteCarlo(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Moves every result by a random relative amount of up to two half units in the last place.

    The move has to be larger than what it stands for (half a unit), since it is itself rounded
    away when it is smaller. Operations that accumulate many terms round inside, where no mode can
    look: their arguments are moved as well, which moves every term.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing here is ever compiled, and importing torch._dynamo would take over a second.
        return False

    def __init__(self, unit: float, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unit = unit
        self.random = random.Random(seed)
        self.generators: dict[torch.device, torch.Generator] = {}
        self.seed = seed

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = _kind(func)
        if kind == "accumulating":
            args = tree_map(self._moved, args)
        result = func(*args, **(kwargs or {}))
        if kind == "exact" or (kind == "whole" and self._are_whole((*args, result))):
            return result
        if kind == "in place":
            return self._move_in_place(result)
        return self._moved(result) if isinstance(result, Tensor) else tree_map(self._moved, result)

    def _are_whole(self, values: Iterable[Any]) -> bool:
        return all(map(self._is_whole, values))

    def _is_whole(self, value: Any) -> bool:
        """Whether all entries are whole and small enough that the dtype has each one near them."""
        if not isinstance(value, Tensor):
            return not isinstance(value, float) or value.is_integer()
        if not value.is_floating_point():
            return True
        if value.numel() == 1:
            number = float(value.item())
            return number.is_integer() and abs(number) <= 1 / self.unit
        small = value.abs() <= 1 / self.unit
        return bool(torch.all(small & (value == value.round())))

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        if value.numel() == 1:
            return torch.add(value, value, alpha=self._amount())
        return torch.addcmul(value, value, self._amounts(value))

    def _move_in_place(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.is_floating_point():
            value.copy_(self._moved(value))
        return value

    def _amount(self) -> float:
        return self.unit * self.random.uniform(-2.0, 2.0)

    def _amounts(self, like: Tensor) -> Tensor:
        generator = self.generators.get(like.device)
        if generator is None:
            generator = torch.Generator(like.device).manual_seed(self.seed)
            self.generators[like.device] = generator
        shape, dtype, device = like.shape, like.dtype, like.device
        uniform = torch.rand(shape, generator=generator, dtype=dtype, device=device)
        return (uniform - 0.5) * (4.0 * self.unit)


Kind = Literal["exact", "whole", "pointwise", "accumulating", "in place"]


@functools.cache
def _kind(func: Any) -> Kind:
    name = func.overloadpacket.__name__
    if name in _EXACT:
        return "exact"
    aliases = [result.alias_info for result in func._schema.returns]
    if any(alias is not None and alias.is_write for alias in aliases):
        return "in place"
    if any(alias is not None for alias in aliases):
        return "exact"  # a view
    if name in _WHOLE:
        return "whole"
    return "pointwise" if torch.Tag.pointwise in func.tags else "accumulating"
