"""torch's settings: in full precision during a check, and afterwards as they were found."""

import contextlib
import subprocess
import sys
import warnings

import pytest
import torch

from gradcheck import torch_state
from gradcheck.casefile.load import load
from gradcheck.jobs import jobs
from gradcheck.runner import run
from gradcheck.torch_state import checking

MATMUL = torch.backends.cuda.matmul


def or_none(get):
    """None where torch refuses to read an older name beside newer ones."""
    try:
        return get()
    except RuntimeError:
        return None


def settings():
    """Everything that a check changes, read without its help."""
    return {
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "cpu autocast": torch.is_autocast_enabled("cpu"),
        "cuda autocast": torch.is_autocast_enabled("cuda"),
        "matmul": or_none(torch.get_float32_matmul_precision),
        "older cudnn": or_none(lambda: torch.backends.cudnn.allow_tf32),
        "everywhere": torch.backends.fp32_precision,
        "cuda matmul": MATMUL.fp32_precision,
        "cudnn": torch.backends.cudnn.fp32_precision,
        "cudnn conv": torch.backends.cudnn.conv.fp32_precision,
        "cudnn rnn": torch.backends.cudnn.rnn.fp32_precision,
        "mkldnn": torch.backends.mkldnn.fp32_precision,
        "mkldnn matmul": torch.backends.mkldnn.matmul.fp32_precision,
        "mkldnn conv": torch.backends.mkldnn.conv.fp32_precision,
        "mkldnn rnn": torch.backends.mkldnn.rnn.fp32_precision,
        "fp16 sums": MATMUL.allow_fp16_reduced_precision_reduction,
        "bf16 sums": MATMUL.allow_bf16_reduced_precision_reduction,
        "fp16 accumulation": MATMUL.allow_fp16_accumulation,
        "subnormals": (torch.tensor(5e-310, dtype=torch.float64, device="cpu") * 1).item() > 0,
        "anomaly mode": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
    }


@contextlib.contextmanager
def set_for_a_while(setting, value):
    """torch.set_…(value), and the value before that at the end."""
    before = {
        torch.set_num_threads: torch.get_num_threads,
        torch.set_default_dtype: torch.get_default_dtype,
        torch.set_float32_matmul_precision: lambda: (
            or_none(torch.get_float32_matmul_precision) or "highest"
        ),
        torch.set_flush_denormal: lambda: False,
    }[setting]()
    setting(value)
    yield
    setting(before)


@contextlib.contextmanager
def attribute(holder, name, value):
    before = getattr(holder, name)
    setattr(holder, name, value)
    yield
    setattr(holder, name, before)


FOUND = {
    "as torch begins": contextlib.nullcontext,
    "two threads": lambda: set_for_a_while(torch.set_num_threads, 2),
    "float16 by default": lambda: set_for_a_while(torch.set_default_dtype, torch.float16),
    "high precision of matmul": lambda: set_for_a_while(torch.set_float32_matmul_precision, "high"),
    "medium precision of matmul": lambda: set_for_a_while(
        torch.set_float32_matmul_precision, "medium"
    ),
    "TF32, by its older name": lambda: attribute(MATMUL, "allow_tf32", True),
    "TF32, by its newer name": lambda: attribute(MATMUL, "fp32_precision", "tf32"),
    "TF32 everywhere": lambda: attribute(torch.backends, "fp32_precision", "tf32"),
    "bfloat16 on the CPU": lambda: attribute(torch.backends.mkldnn.conv, "fp32_precision", "bf16"),
    "float16 accumulation": lambda: attribute(MATMUL, "allow_fp16_accumulation", True),
    "no split sums": lambda: attribute(
        MATMUL, "allow_bf16_reduced_precision_reduction", (False, False)
    ),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "subnormals flushed": lambda: set_for_a_while(torch.set_flush_denormal, True),
    "no grad": torch.no_grad,
    "inference mode": torch.inference_mode,
    "another default device": lambda: torch.device("meta"),
    "a default device that is not there": lambda: torch.device("cuda:7"),
    "anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
}


@pytest.fixture(params=FOUND)
def found(request, monkeypatch):
    """torch with some setting of the caller's, also those that matter on CUDA alone."""
    every = (*torch_state._EVERYWHERE, *torch_state._ON_CUDA, torch_state._THREADS)
    monkeypatch.setattr(torch_state, "_SETTINGS", every)
    with FOUND[request.param]():
        yield request.param


def test_a_check_is_in_full_precision_whatever_it_finds(found):
    with checking():
        during = settings()
        assert torch.ones(1).device.type == "cpu"
    precise = {name: during[name] for name in during if "matmul" in name or "conv" in name}
    assert set(precise.values()) <= {"ieee", "none", "highest", None}
    assert {during[name] for name in ("everywhere", "cudnn", "mkldnn")} <= {"ieee", "none"}
    assert {during[n] for n in during if n.endswith("rnn")} <= {"ieee", "none"}
    assert not any(during[n] for n in during if "autocast" in n or "sums" in n or "accum" in n)
    assert (during["threads"], during["dtype"]) == (1, torch.float32)
    assert during["subnormals"]
    assert not during["anomaly mode"][0]
    assert (during["grad"], during["inference"]) == (True, False)


def test_settings_are_put_back(found):
    before = settings()
    with checking():
        pass
    assert settings() == before


def test_settings_are_put_back_after_an_exception(found):
    before = settings()
    with pytest.raises(KeyboardInterrupt), checking():
        raise KeyboardInterrupt
    assert settings() == before


IMPORTED_WHILE_FLUSHED = """
import torch
torch.set_flush_denormal(True)
from gradcheck.torch_state import checking
with checking():
    pass
torch.set_flush_denormal(False)
with checking():
    pass
tiny = torch.tensor(1, dtype=torch.int64).view(torch.float64)
assert (tiny * 1.0).view(torch.int64) == 1
from gradcheck.oracles.differences import SMALLEST
assert SMALLEST > 0
"""


def test_a_first_check_while_subnormals_are_flushed_does_not_flush_them_for_good():
    subprocess.run([sys.executable, "-c", IMPORTED_WHILE_FLUSHED], check=True)


def test_what_torch_and_numpy_warn_of_changes_no_verdict(write):
    """As where pytest makes errors of warnings; and nothing is printed."""
    path = write("""
        cases:
          a: {function: 1e-170/x, inputs: {x: 1e-170}, derivatives: {x: -1e-170/x**2}}
          b: {function: {y: 1e300*x, z: y*y}, inputs: {x: 1e150}, derivatives: {x: 2*y*1e300}}
          c: {function: var(x), inputs: {x: [1.0]}, derivatives: {x: 0}}
          d: {function: sqrt(x)*0 + x, inputs: {x: 0.0}, derivatives: {x: 1}}
    """)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strict = records(path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert records(path) == strict
    assert warned == []
    assert "error" not in {record["verdict"] for record in strict}


CASES = """
cases:
  layer:
    function: sum(tanh(x @ w)**2)
    inputs: {x: {shape: [4, 5], sample: normal}, w: {shape: [5, 3], sample: normal}}
    derivatives: {w: x.T @ (2*tanh(x @ w)*(1 - tanh(x @ w)**2))}
    dtypes: [float64, float32]
  tiny:
    function: x**2
    inputs: {x: 1e-160}
    derivatives: {x: 2*x}
"""


def records(path):
    results = [result for job in jobs(load(path).cases, device="cpu") for result in run(job)]
    return [{**result.record(), "seconds": 0} for result in results]


def test_digits_do_not_depend_on_the_callers_settings(found, write):
    path = write(CASES)
    with contextlib.ExitStack() as stack:
        state = torch.get_rng_state()
        inside = records(path)
        assert torch.equal(torch.get_rng_state(), state)
        stack.enter_context(torch.inference_mode(False))
        with checking():
            assert inside == records(path)


def test_settings_are_put_back_when_results_are_not_all_taken(write):
    before = settings()
    (job, *_) = jobs(load(write(CASES)).cases, device="cpu")
    stream = run(job)
    next(stream)
    stream.close()
    assert settings() == before
