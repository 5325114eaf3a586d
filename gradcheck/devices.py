"""Which devices there are, and which of them a case runs on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gradcheck.errors import UsageError

_DEVICE: Final = re.compile(r"auto|all|cpu|cuda(:[0-9]+)?")

Devices = Mapping[str, str]
"""The devices of a machine, the CPU first: name → kind, as in `cuda:0` → `NVIDIA H100 PCIe`."""


def available() -> Devices:
    """The devices that are there.

    CUDA is not started where it has one device only: which kind that is makes no difference.
    """
    import torch

    count = torch.cuda.device_count()
    kinds = [torch.cuda.get_device_name(i) for i in range(count)] if count > 1 else ["cuda"] * count
    return {"cpu": "cpu", **{f"cuda:{index}": kind for index, kind in enumerate(kinds)}}


def check_name(device: str) -> None:
    """Raises a UsageError if it is no name of a device."""
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"`{device}` is none of auto, cpu, cuda, cuda:1 and all")


def choose(asked: Sequence[str], there: Devices) -> list[tuple[str, bool]]:
    """The devices that `asked` means, each with whether it is there.

    `auto` is the CPU and the first CUDA device of each kind; `all` is every device; `cuda` is the
    first CUDA device.

    Raises:
        UsageError: It is no name of a device.
    """
    chosen: dict[str, bool] = {}
    cuda = [device for device in there if device != "cpu"]
    for device in asked:
        check_name(device)
        if device == "auto":
            first_of = {there[name]: name for name in reversed(cuda)}
            chosen |= {name: True for name in there if name in ("cpu", *first_of.values())}
        elif device == "all":
            chosen |= dict.fromkeys(there, True)
        elif device == "cuda":
            chosen[cuda[0] if cuda else "cuda"] = bool(cuda)
        else:
            chosen[device] = device in there
    return list(chosen.items())
