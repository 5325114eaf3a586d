"""Values of inputs: numbers as they were written, or draws from a stream that never changes."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from gradcheck.casefile.domain import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import RandomState
    from numpy.typing import NDArray

Numbers = int | Decimal | list["Numbers"]


@dataclass(frozen=True, slots=True)
class Given:
    """Numbers in nested lists, exactly as they were written."""

    numbers: Numbers

    @classmethod
    def of(cls, array: NDArray[Any]) -> Given:
        """The numbers of an array, each as the shortest decimal that is this float64."""
        return cls(_decimals(array.tolist()))

    def array(self, seed: str, draw: int) -> NDArray[Any]:
        """The numbers, each rounded to the nearest float64."""
        import numpy as np

        return np.array(_floats(self.numbers), dtype=np.float64)

    def whole(self) -> NDArray[np.int64] | None:
        """The numbers as int64; None where one is written otherwise, or there is none."""
        import numpy as np

        numbers = list(_flat(self.numbers))
        if not numbers or not all(isinstance(n, int) and abs(n) < 2**63 for n in numbers):
            return None
        return np.array(self.numbers, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Draws of a distribution; `parameters` are those of `uniform(a, b)` and `integers(a, b)`.

    normal: standard normal. uniform(a, b): uniform in [a, b), by default [0, 1). positive: 0.1
    plus the size of a normal draw. spd: a symmetric positive definite matrix, A Aᵀ/n + I with A
    normal. orthogonal: a matrix with orthonormal columns (or rows, where it is wide). integers(a,
    b): whole numbers from a to b - 1, as int64.
    """

    shape: tuple[int, ...]
    distribution: str
    parameters: tuple[float, ...] = ()

    def array(self, seed: str, draw: int) -> NDArray[Any]:
        """The draw of that number, from 0: the same for the same seed and number, everywhere."""
        from numpy.random import RandomState

        # RandomState's stream is frozen by numpy's policy (NEP 19); Generator's is not.
        random = RandomState(zlib.crc32(f"{seed}:{draw}".encode()))
        return _DISTRIBUTIONS[self.distribution](random, self.shape, *self.parameters)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Numbers that were drawn before: float64, or int64 as `integers` draws them."""

    numbers: NDArray[Any]

    def array(self, seed: str, draw: int) -> NDArray[Any]:
        return self.numbers


Value = Given | Sampled | Held


def _flat(numbers: Numbers) -> Iterator[int | Decimal]:
    if not isinstance(numbers, list):
        yield numbers
        return
    for number in numbers:
        yield from _flat(number)


def _floats(numbers: Numbers) -> Any:
    if isinstance(numbers, list):
        return [_floats(number) for number in numbers]
    return float(numbers)


def _decimals(numbers: Any) -> Numbers:
    if isinstance(numbers, list):
        return [_decimals(number) for number in numbers]
    return numbers if isinstance(numbers, int) else Decimal(repr(numbers))


def _normal(random: RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(random.standard_normal(shape))


def _uniform(
    random: RandomState, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0
) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(low + (high - low) * random.random_sample(shape))


def _positive(random: RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(0.1 + np.abs(_normal(random, shape)))


def _integers(
    random: RandomState, shape: tuple[int, ...], low: float = 0, high: float = 10
) -> NDArray[np.int64]:
    import numpy as np

    return np.asarray(random.randint(int(low), int(high), size=shape), dtype=np.int64)


def _spd(random: RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return _each_matrix(shape, lambda: _gram(random, shape[-1]))


def _orthogonal(random: RandomState, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return _each_matrix(shape, lambda: _orthonormal(random, shape[-2], shape[-1]))


def _each_matrix(
    shape: tuple[int, ...], make: Callable[[], list[list[float]]]
) -> NDArray[np.float64]:
    import numpy as np

    matrices = [make() for _ in range(math.prod(shape[:-2]))]
    return np.array(matrices, dtype=np.float64).reshape(shape)


def _rows(random: RandomState, count: int, length: int) -> list[list[float]]:
    return [[float(v) for v in row] for row in random.standard_normal((count, length))]


def _dot(a: list[float], b: list[float]) -> float:
    """The inner product, rounded once: BLAS would give other last digits on other machines."""
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def _gram(random: RandomState, n: int) -> list[list[float]]:
    rows = _rows(random, n, n)
    return [[_dot(a, b) / n + (i == j) for j, b in enumerate(rows)] for i, a in enumerate(rows)]


def _orthonormal(random: RandomState, m: int, n: int) -> list[list[float]]:
    """An m × n matrix, by the Gram-Schmidt process, done twice against cancellation."""
    basis: list[list[float]] = []
    for row in _rows(random, min(m, n), max(m, n)):
        vector = row
        for known in basis * 2:
            along = _dot(known, vector)
            vector = [v - along * k for v, k in zip(vector, known, strict=True)]
        length = math.sqrt(_dot(vector, vector))
        basis.append([v / length for v in vector])
    return basis if m <= n else [list(column) for column in zip(*basis, strict=True)]


_DISTRIBUTIONS: Final[dict[str, Callable[..., NDArray[Any]]]] = {
    "normal": _normal,
    "uniform": _uniform,
    "positive": _positive,
    "spd": _spd,
    "orthogonal": _orthogonal,
    "integers": _integers,
}
DISTRIBUTIONS: Final = tuple(_DISTRIBUTIONS)
PARAMETERS: Final = {"uniform": (0, 2), "integers": (0, 2)}
"""How many parameters a distribution takes: none at all, or both."""
LARGEST_DRAW: Final = 6.0
"""No normal draw is as large: one of 2**24 is so with a chance of 3 %."""


def reach(distribution: str, parameters: tuple[float, ...] = ()) -> Interval:
    """Where all draws of normal, positive or uniform(a, b) lie, but for the ends of the latter."""
    if distribution == "uniform":
        low, high = parameters or (0.0, 1.0)
        return Interval(low, high)
    if distribution == "positive":
        return Interval(0.1, 0.1 + LARGEST_DRAW, closed_low=True)
    return Interval(-LARGEST_DRAW, LARGEST_DRAW)
