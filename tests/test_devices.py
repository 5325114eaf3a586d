import pytest

from gradcheck.devices import available, choose
from gradcheck.errors import UsageError

CPU = ("cpu",)
TWO = ("cpu", "cuda:0", "cuda:1")


def test_the_cpu_is_always_there_and_first():
    assert available()[0] == "cpu"


@pytest.mark.parametrize(
    ("asked", "there", "chosen"),
    [
        (["auto"], CPU, [("cpu", True)]),
        (["auto"], TWO, [("cpu", True), ("cuda:0", True)]),
        (["all"], TWO, [("cpu", True), ("cuda:0", True), ("cuda:1", True)]),
        (["cpu"], TWO, [("cpu", True)]),
        (["cuda"], TWO, [("cuda:0", True)]),
        (["cuda"], CPU, [("cuda", False)]),
        (["cuda:1"], TWO, [("cuda:1", True)]),
        (["cuda:7"], TWO, [("cuda:7", False)]),
        (["cuda", "auto", "cuda:0"], TWO, [("cuda:0", True), ("cpu", True)]),
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
