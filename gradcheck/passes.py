"""How torch is asked for gradients, and what becomes of them: autograd's habits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

GRAD: Final = ".grad"
"""What follows the name of a value whose gradient is meant."""

Disabled = Literal["requires_grad_", "detach", "no_grad", "inference_mode"]
"""What switches the tracking of gradients off."""


@dataclass(frozen=True, slots=True)
class Passes:
    """`count` times the function is run and backward called on its output.

    Gradients of the inputs add up, unless they are zeroed between passes (`zero_grad`). Those of
    steps are kept where they are `retained`: of the last pass, since each makes the steps anew.
    """

    count: int = 1
    zero_grad: bool = False
    disabled_by: Disabled | None = None
    retained: tuple[str, ...] = ()
