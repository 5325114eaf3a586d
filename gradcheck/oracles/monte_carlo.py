"""Monte-Carlo arithmetic: every operation's result is moved a little, by a random amount.

Rounding moves each result by at most half a unit in its last place. Moving each by a random
amount of that size, and seeing how far the final answer moves, measures what rounding does to it
(D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from gradcheck.language.word import Word
from gradcheck.torch_meaning import TorchMeaning

BLOCK: Final = 2**12
"""Random amounts that are drawn together."""
ROWS: Final = 2**9
"""Rows of factors for samples side by side that are drawn together."""

_NAMES: Final = (
    "abs alias amax amin arange argmax argmin bernoulli cat clamp clamp_max clamp_min clone "
    "constant_pad_nd copy copy_ detach diag_embed diagonal_backward empty empty_like "
    "empty_strided expand eye fill fill_ flip floor floor_divide full full_like gather im2col "
    "index index_put index_select lift_fresh masked_fill max maximum median min minimum mode "
    "nanmedian neg new_empty new_empty_strided new_full new_ones new_zeros ones ones_like "
    "positive relu repeat roll round scalar_tensor scatter select_backward select_scatter sgn "
    "sign slice_backward sort stack threshold_backward topk tril triu kthvalue where zero_ "
    "conj real imag zeros zeros_like _local_scalar_dense unbind split narrow_copy trunc ceil"
)
_EXACT: Final = frozenset(_NAMES.split())
"""Operations, of torch and of the language, that move, pick or make numbers and round none."""

_WHOLE: Final = frozenset({"add", "sub", "rsub", "mul"})
"""Operations that are exact on whole numbers: an index that is computed must stay one."""


_CANCELLING: Final = frozenset({"gelu", "gelu_backward"})
"""Operations whose result is off by a rounding of their first argument: they form 1 + erf(x)."""


class Noise:
    """Random relative amounts of up to two half units (`unit`) in the last place.

    A move has to be larger than what it stands for (half a unit), since it is itself rounded away
    when it is smaller. In a dtype that is coarser than that, the unit is the dtype's own.
    """

    def __init__(self, unit: float, seed: int) -> None:
        self.unit = unit
        self._seed = seed
        self._blocks = 0  # that were taken
        self._used = BLOCK  # amounts of the last one
        self._block: Tensor | None = None  # the last one, for the last dtype and device
        self._row = 0  # of the last block of factors

    def move(self, value: Any) -> Any:
        """A dense tensor, each entry moved by an amount of its own; anything else as it is.

        Of a complex number either part is an entry; integers and booleans are not moved, and
        neither are the zeros of forward mode, which have no memory.
        """
        if not isinstance(value, Tensor) or value.layout is not torch.strided:
            return value
        if _has_no_memory(value):
            return value
        if value.is_complex():
            return torch.view_as_complex(self.move(torch.view_as_real(value.resolve_conj())))
        if not value.is_floating_point():
            return value
        return self._added(value, value)

    def move_by(self, value: Tensor, size: Tensor) -> Tensor:
        """A floating-point tensor, each entry moved by an amount of its own times `size`."""
        return self._added(value, size)

    def _added(self, value: Tensor, size: Tensor) -> Tensor:
        if size.dtype is torch.float16:
            size = _as_rounded(size)
        moved = torch.addcmul(value, size, self._amounts(value))
        # An infinity stays what it is.
        return torch.where(value.isinf(), value, moved) if value.isinf().any() else moved

    def _unit(self, dtype: torch.dtype) -> float:
        return max(self.unit, torch.finfo(dtype).eps / 2)

    def _amounts(self, like: Tensor) -> Tensor:
        count = like.numel()
        start = self._take(count)
        block = self._block
        if block is None or block.dtype is not like.dtype or block.device != like.device:
            draw, size = (_block, BLOCK) if count <= BLOCK else (_drawn, count)
            unit = self._unit(like.dtype)
            block = draw(self._seed, self._blocks, size, unit, like.dtype, like.device)
            self._block = block if count <= BLOCK else None
        amounts = block.narrow(0, start, count)
        return amounts if like.ndim == 1 else amounts.view(like.shape)

    def move_all_but_first(self, samples: Tensor) -> Tensor:
        """Samples (n,) of a floating-point number; the first stays as it is, infinite or not."""
        if self._row == ROWS:
            self._row = 0
            self._blocks += 1
        factors = _factors(
            self._seed, self._blocks, len(samples), self.unit, samples.dtype, samples.device
        )[self._row]
        self._row += 1
        return samples * factors

    def _take(self, count: int) -> int:
        """Where in the block the next so many numbers begin; a new block where they do not fit."""
        if self._used + count > BLOCK:
            self._blocks += 1
            self._used = 0
            self._block = None
        self._used += count
        return self._used - count

    def are_whole(self, values: Iterable[Any]) -> bool:
        """Whether all are whole numbers, so small that the dtype has each one near them."""
        return all(map(self._is_whole, values))

    def _is_whole(self, value: Any) -> bool:
        if not isinstance(value, Tensor):
            return not isinstance(value, float) or value.is_integer()
        if not value.is_floating_point() or value.numel() == 0 or _has_no_memory(value):
            return True
        first = float(value.flatten()[0].item())  # mostly that one is not
        if not first.is_integer() or abs(first) > 1 / self.unit or value.numel() == 1:
            return first.is_integer() and abs(first) <= 1 / self.unit
        small = value.abs() <= 1 / self.unit
        return bool(torch.all(small & (value == value.round())))


def _has_no_memory(value: Tensor) -> bool:
    """Whether it is one of the zeros of forward mode, or stands for one."""
    return value.is_meta or value._is_zerotensor()


def _as_rounded(size: Tensor) -> Tensor:
    """Where it is subnormal, a number that rounding moves by as much and more; 0 stays 0."""
    least = 2 * torch.finfo(size.dtype).smallest_normal
    return torch.where(size == 0, size, size.abs().clamp(min=least))


def _drawn(
    seed: int, number: int, size: int, unit: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The `number`-th block of amounts, uniform in ±2 units."""
    generator = torch.Generator(device).manual_seed(seed + 1_000_003 * number)
    uniform = torch.rand(size, generator=generator, dtype=dtype, device=device)
    return (uniform - 0.5) * (4.0 * unit)


_block = functools.lru_cache(maxsize=32)(_drawn)


@functools.lru_cache(maxsize=32)
def _factors(
    seed: int, number: int, count: int, unit: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """The `number`-th block of rows: 1, then 1 plus as many amounts less one."""
    amounts = _drawn(seed, number, ROWS * count, unit, dtype, device).view(ROWS, count)
    amounts[:, 0] = 0
    return (1 + amounts).unbind()


class Disturbed(TorchMeaning):
    """Words as torch functions, the result of each moved: for pointwise formulas.

    It does what `MonteCarlo` does for any torch code, in a fraction of the time: `count` samples
    are evaluated side by side, the first of them undisturbed. What depends on constants alone
    becomes as many samples too.
    """

    def __init__(self, noise: Noise, count: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(dtype, device)
        self.noise = noise
        self.count = count

    def call(self, word: Word, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        result = super().call(word, arguments, keywords)
        if word.name in _EXACT:
            return result
        if word.name in _WHOLE and self.noise.are_whole((result, *arguments)):
            return result
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        samples = result if result.ndim else result.expand(self.count)
        if word.name in _CANCELLING:
            size = torch.as_tensor(arguments[0], dtype=samples.dtype)
            return torch.cat([samples[:1], self.noise.move_by(samples, size)[1:]])
        return self.noise.move_all_but_first(samples)


class MonteCarlo(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Moves the result of every operation that torch carries out, backward passes included.

    Operations that accumulate many terms round inside, where no mode can look: their arguments are
    moved as well, which moves every term.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing here is ever compiled, and importing torch._dynamo would take over a second.
        return False

    def __init__(self, noise: Noise) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noise = noise

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = _kind(func)
        if kind == "accumulating":
            args = tree_map(self.noise.move, args)
        result = func(*args, **(kwargs or {}))
        if kind == "exact" or (kind == "whole" and self.noise.are_whole((result, *args))):
            return result
        if kind == "cast" and not _is_coarser(result, args[0]):
            return result
        if kind == "cancelling":
            return self.noise.move(self.noise.move_by(result, args[0]))
        if kind == "in place":
            return self._move_in_place(result)
        if kind in ("pointwise", "whole") and _has_float16_zeros(result):
            wide = func(*tree_map(_float32, args), **(kwargs or {}))
            vanished = (result == 0) & (wide != 0)
            size = result.masked_fill(vanished, torch.finfo(result.dtype).smallest_normal)
            return self.noise.move_by(result, size)
        if isinstance(result, Tensor):
            return self.noise.move(result)
        return tree_map(self.noise.move, result)

    def _move_in_place(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.layout is torch.strided:
            value.copy_(self.noise.move(value))
        return value


def _has_float16_zeros(result: Any) -> bool:
    """Whether there are zeros of a dtype in which numbers of a usual size underflow."""
    if not isinstance(result, Tensor) or result.dtype is not torch.float16:
        return False
    return result.layout is torch.strided and not (_has_no_memory(result) or bool(result.all()))


def _float32(value: Any) -> Any:
    is_narrow = isinstance(value, Tensor) and value.dtype is torch.float16
    return value.to(torch.float32) if is_narrow else value


def _is_coarser(result: Tensor, argument: Tensor) -> bool:
    """Whether a cast rounds."""
    if not (result.is_floating_point() and argument.is_floating_point()):
        return False
    return torch.finfo(result.dtype).eps > torch.finfo(argument.dtype).eps


Kind = Literal["exact", "whole", "cast", "cancelling", "pointwise", "accumulating", "in place"]


@functools.cache
def _kind(func: Any) -> Kind:
    name = func.overloadpacket.__name__
    if name in _EXACT:
        return "exact"
    if name == "_to_copy":
        return "cast"
    if name in _CANCELLING:
        return "cancelling"
    aliases = [result.alias_info for result in func._schema.returns]
    if any(alias is not None and alias.is_write for alias in aliases):
        return "in place"
    if any(alias is not None for alias in aliases):
        return "exact"  # a view
    if name in _WHOLE:
        return "whole"
    return "pointwise" if torch.Tag.pointwise in func.tags else "accumulating"
