"""What tests of the runner share: case files written to a temporary folder, and their results."""

import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch

from gradcheck import devices
from gradcheck.casefile.load import load
from gradcheck.jobs import jobs
from gradcheck.oracles.exact import DeclinedError
from gradcheck.results import Result
from gradcheck.runner import run

Check = Callable[..., list[Result]]

# Asked for before any test hides the devices: an answer is for good.
HAS_CUDA, AVAILABLE = torch.cuda.is_available(), devices.available


@pytest.fixture(autouse=True)
def cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests count what they find on the CPU: other devices they ask for, as by `cuda`."""
    monkeypatch.setattr(devices, "available", lambda: {"cpu": "cpu"})


@pytest.fixture(autouse=True)
def outside_of_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests, and programs that they start, tell GitHub nothing unless they ask to."""
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def programs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that the test starts find the CPU alone."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def cuda(cpu_alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The devices of this machine, if there is one of CUDA among them."""
    if not HAS_CUDA:
        pytest.skip("there is no CUDA device here")
    monkeypatch.setattr(devices, "available", AVAILABLE)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a case file; a text without `cases:` is the body of one case named `c`."""

    def write(text: str, name: str = "a.grad.yaml") -> Path:
        body = dedent(text).strip("\n") + "\n"
        if "cases:" not in body:
            body = "cases:\n  c:\n" + indent(body, "    ")
        path = tmp_path / name
        path.write_text(body, encoding="utf-8")
        return path

    return write


@pytest.fixture
def without_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exact oracle, as for functions that are not formulas: the numeric one tells the truth."""

    def declined(*arguments: object) -> None:
        raise DeclinedError("the test has none")

    monkeypatch.setattr("gradcheck.oracles.exact.jacobian", declined)


@pytest.fixture
def check(write: Callable[..., Path]) -> Check:
    """The results of a case file on the CPU, which has to be valid."""

    def check(text: str, **options: object) -> list[Result]:
        file = load(write(text))
        assert not file.problems, [str(problem) for problem in file.problems]
        options = {"device": "cpu", **options}
        return [result for job in jobs(file.cases, **options) for result in run(job)]

    return check


@pytest.fixture
def check_one(check: Check) -> Callable[..., Result]:
    """The only result of a case file."""

    def check_one(text: str, **options: object) -> Result:
        (result,) = check(text, **options)
        return result

    return check_one
