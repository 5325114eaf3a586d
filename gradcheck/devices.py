"""Which devices there are, and which of them a case runs on."""

from __future__ import annotations

import ctypes
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

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


class Chosen(NamedTuple):
    """Whether a device is there; whether it has to be that one, or another of its kind will do."""

    is_there: bool
    exact: bool


def choose(asked: Sequence[str], there: Devices) -> dict[str, Chosen]:
    """The devices that `asked` means, by name.

    `auto` is the CPU and the first CUDA device of each kind; `all` is every device; `cuda` is the
    first CUDA device. Only those that are named by number, and all of `all`, are exact.

    Raises:
        UsageError: It is no name of a device.
    """
    chosen: dict[str, Chosen] = {}
    cuda = [device for device in there if device != "cpu"]

    def add(names: Iterable[str], *, exact: bool) -> None:
        for name in names:
            exact_before = name in chosen and chosen[name].exact
            chosen[name] = Chosen(name in there, exact or exact_before)

    for device in asked:
        check_name(device)
        if device == "auto":
            first_of = {there[name]: name for name in reversed(cuda)}
            add((name for name in there if name in ("cpu", *first_of.values())), exact=False)
        elif device == "all":
            add(there, exact=True)
        elif device == "cuda":
            add(cuda[:1] or ["cuda"], exact=False)
        else:
            add([device], exact=True)
    return chosen


@dataclass(frozen=True, slots=True)
class Dealt:
    """The caller's CUDA devices as one of several processes has them: all, another one first.

    `visible` are the caller's, as CUDA_VISIBLE_DEVICES names them; the one at `turn` comes first.
    """

    visible: tuple[str, ...] = ()
    turn: int = 0

    @classmethod
    def to(cls, worker: int, environ: Mapping[str, str], count: Callable[[], int]) -> Dealt:
        """Those of the worker of that number, from 0; `count` tells how many a machine has.

        Nothing is dealt where there is one device, or none.
        """
        visible = _visible(environ, count)
        return cls(visible, worker % len(visible)) if len(visible) > 1 else cls()

    def setting(self) -> str:
        """What CUDA_VISIBLE_DEVICES has to be in that process, before CUDA is started there."""
        return ",".join((*self.visible[self.turn :], *self.visible[: self.turn]))

    def named(self, here: Devices) -> Devices:
        """The devices that are found in that process, by the caller's names and in their order."""
        found = zip(self._names(here), here.values(), strict=True)
        return dict(sorted(found, key=lambda one: _number(one[0])))

    def on(self, device: str, here: Devices, *, exact: bool) -> str:
        """The name in that process of the caller's device, or of the first of its kind."""
        same = dict(zip(self._names(here), here, strict=True))[device]
        return same if exact else next(name for name in here if here[name] == here[same])

    def _names(self, here: Devices) -> list[str]:
        """The caller's names for what is found in that process."""
        count = len(here) - 1
        return ["cpu", *(f"cuda:{(index + self.turn) % count}" for index in range(count))]


def count_devices() -> int:
    """How many CUDA devices the machine has, by NVIDIA's management library: it starts none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return 0
    count = ctypes.c_uint(0)
    library.nvmlInit_v2()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    library.nvmlShutdown()
    return count.value


def _visible(environ: Mapping[str, str], count: Callable[[], int]) -> tuple[str, ...]:
    """The devices that a process may see; like CUDA, none after one that is no device."""
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return tuple(map(str, range(count())))
    names = (name.strip() for name in listed.split(","))
    return tuple(itertools.takewhile(lambda name: name not in ("", "-1"), names))


def _number(name: str) -> int:
    """`cuda:3` → 3; the CPU is before all."""
    return -1 if name == "cpu" else int(name.partition(":")[2])
