"""Which devices a case runs on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import torch

from gradcheck.errors import UsageError

_DEVICE: Final = re.compile(r"auto|all|cpu|cuda(:[0-9]+)?")


def available() -> tuple[str, ...]:
    """The devices that are there, the CPU first."""
    return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))


def choose(asked: Sequence[str], there: Sequence[str]) -> list[tuple[str, bool]]:
    """The devices that `asked` means, each with whether it is there.

    `auto` is the CPU and the first CUDA device, if there is one; `all` is every device; `cuda` is
    the first CUDA device.

    Raises:
        UsageError: It is no name of a device.
    """
    chosen: dict[str, bool] = {}
    first_cuda = next((device for device in there if device.startswith("cuda")), None)
    for device in asked:
        if not _DEVICE.fullmatch(device):
            raise UsageError(f"`{device}` is none of auto, cpu, cuda, cuda:1 and all")
        if device == "auto":
            chosen |= {name: True for name in ("cpu", first_cuda) if name}
        elif device == "all":
            chosen |= dict.fromkeys(there, True)
        elif device == "cuda":
            chosen[first_cuda or "cuda"] = first_cuda is not None
        else:
            chosen[device] = device in there
    return list(chosen.items())
