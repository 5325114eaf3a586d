"""Values of inputs at one point of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Values = Mapping[str, Array]
"""Values of inputs by name: float64, or int64 where they are whole."""
