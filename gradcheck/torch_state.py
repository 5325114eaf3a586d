"""torch's global settings: as a check needs them while it runs, as they were found afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, NamedTuple

import torch

cuda: Any = torch.backends.cuda
cudnn: Any = torch.backends.cudnn
mkldnn: Any = torch.backends.mkldnn


class _Setting(NamedTuple):
    """A global of torch's: one of `values` during a check, the first unless it is found so."""

    get: Callable[[], Any]
    set: Callable[[Any], object]
    values: tuple[Any, ...]


def _no_autocast(device: str) -> _Setting:
    get = partial(torch.is_autocast_enabled, device)
    return _Setting(get, partial(torch.set_autocast_enabled, device), (False,))


def _older_name(get: Callable[[], Any], set: Callable[[Any], object], value: object) -> _Setting:
    """A name that torch refuses to read (then it is None) where newer ones say something else.

    Where it can be read, the newer ones follow it, and operations on CUDA check that they do.
    """

    def get_if_it_counts() -> Any:
        try:
            return get()
        except RuntimeError:
            return None

    return _Setting(get_if_it_counts, lambda value: value is not None and set(value), (value, None))


def _attribute(holder: Any, name: str, *values: object) -> _Setting:
    return _Setting(partial(getattr, holder, name), partial(setattr, holder, name), values)


def _full_precision(holder: Any) -> _Setting:
    """Of float32 in a library's operation; "none" is what the more general setting says."""
    return _attribute(holder, "fp32_precision", "ieee", "none")


def _no_reduced_sums(dtype: str) -> _Setting:
    """cuBLAS may not add up in less than float32; a newer torch rules split sums by themselves."""
    name = f"allow_{dtype}_reduced_precision_reduction"

    def get() -> tuple[bool, bool | None]:
        return getattr(cuda.matmul, name), getattr(cuda.matmul, f"{name}_split_k", None)

    def set(value: Any) -> None:
        allowed, split = value
        setattr(cuda.matmul, name, allowed if split is None else (allowed, split))

    return _Setting(get, set, ((False, get()[1]),))


def _anomaly_mode() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


# Made of its bits: it may be made while subnormals are flushed.
_SUBNORMAL: Final = torch.tensor(1 << 50, dtype=torch.int64, device="cpu").view(torch.float64)


def _flushes_subnormals() -> bool:
    """Whether torch takes subnormals for zero; it has no way to ask for the setting."""
    return (_SUBNORMAL * 1.0).item() == 0.0


_EVERYWHERE: Final = (
    # Set first, and put back first, older names override none of the newer ones.
    _older_name(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    *map(_full_precision, (torch.backends, mkldnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)),
    _no_autocast("cpu"),
    # It makes an error of every NaN in a backward pass.
    _Setting(
        _anomaly_mode,
        lambda mode: torch.set_anomaly_enabled(*mode),
        ((False, True), (False, False)),
    ),
    _Setting(_flushes_subnormals, torch.set_flush_denormal, (False,)),
    _Setting(torch.get_default_dtype, torch.set_default_dtype, (torch.float32,)),
)
_ON_CUDA: Final = (
    _older_name(lambda: cudnn.allow_tf32, partial(setattr, cudnn, "allow_tf32"), False),
    *map(_full_precision, (cudnn, cuda.matmul, cudnn.conv, cudnn.rnn)),
    _no_reduced_sums("fp16"),
    _no_reduced_sums("bf16"),
    _attribute(cuda.matmul, "allow_fp16_accumulation", False),
    _no_autocast("cuda"),
)
# One thread: how many there are decides in which order sums are formed, and so their digits. It
# comes last, since it is what mostly has to be put back, and others are put back from the first on.
_THREADS: Final = _Setting(torch.get_num_threads, torch.set_num_threads, (1,))
_SETTINGS: Final = (
    *_EVERYWHERE,
    *(_ON_CUDA if cuda.is_built() else ()),
    _THREADS,
)


@contextmanager
def checking() -> Iterator[None]:
    """Everything in full precision, on one thread, gradients on; then all as it was found.

    TF32 and other modes that trade precision for speed are off, autocast and subnormals flushed to
    zero too. Neither the default dtype nor the default device of the caller matters inside.
    """
    found = [setting.get() for setting in _SETTINGS]
    try:
        for setting, value in zip(_SETTINGS, found, strict=True):
            if value not in setting.values:
                setting.set(setting.values[0])
        with warnings.catch_warnings(), _tracking(), _on_the_cpu():
            # What torch and numpy warn of is in the answers; as errors they would change verdicts.
            warnings.simplefilter("ignore")
            yield
    finally:
        changed = False
        for setting, value in zip(_SETTINGS, found, strict=True):
            changed = changed or value not in setting.values
            if changed:
                setting.set(value)


def _tracking() -> AbstractContextManager[object]:
    """Gradients are tracked, as they are unless the caller has switched that off."""
    if torch.is_inference_mode_enabled():
        return torch.inference_mode(False)  # which switches gradients on
    return nullcontext() if torch.is_grad_enabled() else torch.enable_grad()


def _on_the_cpu() -> AbstractContextManager[object]:
    """Tensors are made on the CPU unless it is said where."""
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
