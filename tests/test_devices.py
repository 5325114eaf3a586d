from pathlib import Path

import pytest
import torch

from gradcheck.casefile.load import load
from gradcheck.devices import available, choose
from gradcheck.errors import UsageError
from gradcheck.runner import jobs, run

CASES = Path(__file__).parent.parent / "cases"

CPU = {"cpu": "cpu"}
TWO = {"cpu": "cpu", "cuda:0": "A100", "cuda:1": "A100"}
MIXED = {"cpu": "cpu", "cuda:0": "A100", "cuda:1": "H100", "cuda:2": "A100"}


def test_the_cpu_is_always_there_and_first():
    assert next(iter(available())) == "cpu"


@pytest.mark.parametrize(
    ("asked", "there", "chosen"),
    [
        (["auto"], CPU, [("cpu", True)]),
        (["auto"], TWO, [("cpu", True), ("cuda:0", True)]),
        (["auto"], MIXED, [("cpu", True), ("cuda:0", True), ("cuda:1", True)]),
        (["all"], TWO, [("cpu", True), ("cuda:0", True), ("cuda:1", True)]),
        (["cpu"], TWO, [("cpu", True)]),
        (["cuda"], TWO, [("cuda:0", True)]),
        (["cuda"], CPU, [("cuda", False)]),
        (["cuda:1"], TWO, [("cuda:1", True)]),
        (["cuda:7"], TWO, [("cuda:7", False)]),
        (["cuda", "auto", "cuda:0"], TWO, [("cuda:0", True), ("cpu", True)]),
        (["cuda:1", "auto"], MIXED, [("cuda:1", True), ("cpu", True), ("cuda:0", True)]),
        ([], TWO, []),
    ],
)
def test_choose(asked, there, chosen):
    assert choose(asked, there) == chosen


@pytest.mark.parametrize("name", ["foo", "cpu:", "cuda:", "cuda:x", "CUDA", "", "cuda 1", "cuda:²"])
def test_what_is_no_device_is_refused_rather_than_skipped(name):
    with pytest.raises(UsageError) as caught:
        choose([name], TWO)
    assert str(caught.value) == f"`{name}` is none of auto, cpu, cuda, cuda:1 and all"


def test_one_cuda_device_is_not_started_to_learn_its_kind(monkeypatch):
    def started(index):
        raise AssertionError("CUDA was started")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", started)
    assert available() == {"cpu": "cpu", "cuda:0": "cuda"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: ["A100", "H100"][index])
    assert available() == {"cpu": "cpu", "cuda:0": "A100", "cuda:1": "H100"}


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.grad.yaml")), ids=lambda path: path.name)
def test_the_library_passes_on_cuda(path):
    results = [r for job in jobs(load(path).cases, device="cuda") for r in run(job)]
    assert results
    assert {(r.verdict, r.device) for r in results} == {("pass", "cuda:0")}
