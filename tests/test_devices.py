import os
from pathlib import Path

import pytest

from gradcheck import serving
from gradcheck.casefile.load import load
from gradcheck.devices import Dealt, available, choose
from gradcheck.jobs import jobs
from gradcheck.runner import run

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
    found = [(name, one.is_there) for name, one in choose(asked, there).items()]
    assert found == chosen


@pytest.mark.parametrize(
    ("asked", "exact"),
    [
        (["auto"], {"cpu": False, "cuda:0": False, "cuda:1": False}),
        (["cuda"], {"cuda:0": False}),
        (["cuda:0"], {"cuda:0": True}),
        (["cuda", "cuda:0"], {"cuda:0": True}),
        (["cuda:1", "auto"], {"cuda:1": True, "cpu": False, "cuda:0": False}),
        (["all"], {"cpu": True, "cuda:0": True, "cuda:1": True, "cuda:2": True}),
    ],
)
def test_only_what_is_named_by_number_has_to_be_that_device(asked, exact):
    assert {name: one.exact for name, one in choose(asked, MIXED).items()} == exact


def no_machine():
    raise AssertionError("the machine was asked, though the caller has a list")


@pytest.mark.parametrize(
    ("visible", "settings"),
    [
        ("2,5", ["2,5", "5,2", "2,5"]),
        (" 4, 1 ,0", ["4,1,0", "1,0,4", "0,4,1"]),
        ("GPU-a1,GPU-b2", ["GPU-a1,GPU-b2", "GPU-b2,GPU-a1"]),
        ("1,3,-1,4", ["1,3", "3,1"]),  # CUDA sees none after one that is no device
        ("7", [""]),
        ("", [""]),
        ("-1", [""]),
    ],
)
def test_devices_are_dealt_from_the_list_of_the_caller(visible, settings):
    environ = {"CUDA_VISIBLE_DEVICES": visible}
    dealt = [Dealt.to(worker, environ, no_machine) for worker in range(len(settings))]
    assert [one.setting() for one in dealt] == settings


def test_without_a_list_all_devices_of_the_machine_are_dealt():
    dealt = [Dealt.to(worker, {}, lambda: 3).setting() for worker in range(4)]
    assert dealt == ["0,1,2", "1,2,0", "2,0,1", "0,1,2"]
    assert Dealt.to(1, {}, lambda: 1) == Dealt.to(1, {}, lambda: 0) == Dealt()


FOUR = {"cpu": "cpu", "cuda:0": "A", "cuda:1": "A", "cuda:2": "B", "cuda:3": "B"}


def in_turn(worker):
    """The devices of FOUR as the worker of that number finds them."""
    kinds = [FOUR[f"cuda:{(index + worker) % 4}"] for index in range(4)]
    return {"cpu": "cpu", **{f"cuda:{index}": kind for index, kind in enumerate(kinds)}}


@pytest.mark.parametrize("worker", range(6))
def test_all_workers_have_the_same_names_for_devices_and_each_finds_the_one_that_is_named(worker):
    dealt, here = Dealt.to(worker, {}, lambda: 4), in_turn(worker)
    assert list(dealt.named(here).items()) == list(FOUR.items())
    order = dealt.setting().split(",")
    for index in range(4):
        place = dealt.on(f"cuda:{index}", here, exact=True)
        assert order[int(place.removeprefix("cuda:"))] == str(index)
    assert dealt.on("cpu", here, exact=True) == dealt.on("cpu", here, exact=False) == "cpu"


@pytest.mark.parametrize(
    ("worker", "kind_a", "kind_b"), [(0, "0", "2"), (1, "1", "2"), (2, "0", "2"), (3, "0", "3")]
)
def test_what_any_device_of_a_kind_will_do_for_is_run_on_the_workers_first(worker, kind_a, kind_b):
    dealt, here = Dealt.to(worker, {}, lambda: 4), in_turn(worker)
    order = dealt.setting().split(",")
    places = [dealt.on(name, here, exact=False) for name in ("cuda:0", "cuda:2")]
    assert [order[int(place.removeprefix("cuda:"))] for place in places] == [kind_a, kind_b]


@pytest.mark.parametrize("found", [{"0,99": 1, "99,0": 0}, {"0,99": 0, "99,0": 0}])
def test_where_some_of_the_list_are_not_there_nothing_is_dealt(monkeypatch, found):
    def here():
        count = found[os.environ["CUDA_VISIBLE_DEVICES"]]
        return {"cpu": "cpu", **{f"cuda:{index}": "A100" for index in range(count)}}

    monkeypatch.setattr("gradcheck.devices.available", here)
    for worker in (0, 1):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,99")
        dealt, devices = serving._dealt(worker)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,99"
        assert dealt.named(devices) == devices == here()


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.grad.yaml")), ids=lambda path: path.name)
def test_the_library_passes_on_cuda(path):
    results = [r for job in jobs(load(path).cases, device="cuda") for r in run(job)]
    assert results
    assert {(r.verdict, r.device) for r in results} == {("pass", "cuda:0")}
