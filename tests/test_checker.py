"""Cases that end the process that runs them, or take too long: they fail by name, all else runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradcheck import checker as checkers
from gradcheck import last_words, serving
from gradcheck.casefile.load import load
from gradcheck.checker import Checker
from gradcheck.devices import choose
from gradcheck.errors import CheckerDiedError
from gradcheck.imports import Imports
from gradcheck.jobs import jobs
from gradcheck.runner import run

MODULE = """
import ctypes, faulthandler, os, signal, sys, time, torch

class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g

class Crash(Square):
    @staticmethod
    def backward(ctx, g):
        ctypes.string_at(0)

square, crash = Square.apply, Crash.apply

def killed(x):
    os.kill(os.getpid(), signal.SIGKILL)

def aborts(x):
    os.abort()

def leaves(x):
    os._exit(7)

def exits(x):
    sys.exit("no")

def sleeps(x):
    time.sleep(1000)

def holds(x):
    ctypes.PyDLL(None).sleep(1000)  # native code, which does not give the interpreter back

def raises(x):
    raise KeyboardInterrupt

def stops(x):
    breakpoint()
    return x * x

def which(x):
    print("device", os.environ.get("CUDA_VISIBLE_DEVICES"))
    return x * x

def stands(x):
    os.kill(os.getpid(), signal.SIGSTOP)

def loses_count(x):
    faulthandler.cancel_dump_traceback_later()
    time.sleep(1000)

def strange(x):
    os.kill(os.getpid(), 40)

def forks(x):
    os.fork()
    return x * x

def speechless(x):
    sys.stdout = None
    return x * x

class Odd(BaseException):
    def __str__(self):
        raise ValueError

def ends_a_test(x):
    raise Odd
"""
ENTRY = '  {0}: {{function: {{python: "rough:{0}"}}, inputs: {{x: 3.0}}, conditions: none{1}}}\n'
FORMULA = "  formula: {function: x**2, inputs: {x: 3.0}, derivatives: {x: 2*x}}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "rough.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cases(folder, *names, timeout=""):
    path = folder / "r.grad.yaml"
    limit = f", timeout: {timeout}" if timeout else ""
    entries = [FORMULA if name == "formula" else ENTRY.format(name, limit) for name in names]
    path.write_text("cases:\n" + "".join(entries), encoding="utf-8")
    return list(jobs(load(path).cases, device="cpu", imports=Imports.of(["rough"], str(folder))))


def line(text):
    """The number of the line of MODULE that has a text."""
    return MODULE[: MODULE.index(text)].count("\n") + 1


def told(folder, *names, timeout=""):
    """The last result of each case: its verdict and its last note."""
    with Checker() as checker:
        found = {
            job.case.name: list(checker.run(job))[-1]
            for job in cases(folder, *names, timeout=timeout)
        }
    return {name: (one.verdict, (*one.notes, "")[0]) for name, one in found.items()}


def test_a_case_that_ends_its_process_fails_by_name_with_the_reason_and_the_rest_is_run(folder):
    found = told(folder, "square", "crash", "killed", "formula", "leaves", "aborts")
    died = "the process that checked it"
    assert found == {
        "square": ("pass", ""),
        "crash": ("error", f"{died} died of SIGSEGV at rough.py:{line('string_at')} in backward"),
        "killed": ("error", f"{died} was killed (SIGKILL), as it is where memory runs out"),
        "formula": ("pass", ""),
        "leaves": ("error", f"{died} exited with code 7"),
        "aborts": ("error", f"{died} died of SIGABRT at rough.py:{line('abort()')} in aborts"),
    }


def test_a_case_over_its_time_is_ended_also_where_native_code_holds_the_interpreter(folder):
    found = told(folder, "sleeps", "holds", "formula", timeout=0.5)
    ended, advice = "it was ended after 0.5 s at", "it needs a longer `timeout`, or less to do"
    assert found == {
        "sleeps": ("error", f"{ended} rough.py:{line('time.sleep')} in sleeps: {advice}"),
        "holds": ("error", f"{ended} rough.py:{line('PyDLL')} in holds: {advice}"),
        "formula": ("pass", ""),
    }


def test_a_case_is_ended_though_its_process_stands_still_or_has_lost_its_clock(folder):
    found = told(folder, "stands", "loses_count", "formula", timeout=1)
    assert [verdict for verdict, _ in found.values()] == ["error", "error", "pass"]
    assert found["stands"][1].startswith("it was ended after 1 s")
    assert found["loses_count"][1].startswith("it was ended after 1 s")


def test_where_a_case_ended_is_told_of_its_own_thread_and_of_nothing_around_it():
    around = f'  File "{serving.__file__}", line 9 in serve\n  File "/a.py", line 8 in g\n'
    own = '  File "/c.py", line 1 in f\n'
    other = 'Thread 0x2 (most recent call first):\n  File "/b.py", line 7 in aside\n\n'
    late = f"Timeout (0:00:01)!\n{other}Thread 0x1 (most recent call first):\n"
    died = "Fatal\n\nCurrent thread 0x1 (most recent call first):\n"
    assert last_words.where(late + around) == ""
    assert last_words.where(late + own + around) == " at /c.py:1 in f"
    assert last_words.where(died + own + around + other) == " at /c.py:1 in f"


def test_what_a_function_leaves_behind_is_no_answer_and_ends_nothing(folder):
    names = ("forks", "square", "speechless", "formula")
    assert told(folder, *names, timeout=60) == dict.fromkeys(names, ("pass", ""))


def test_the_reason_is_told_whatever_a_case_dies_of_or_raises(folder):
    found = told(folder, "strange", "ends_a_test", "formula")
    assert found == {
        "strange": ("error", "the process that checked it died of signal 40"),
        "ends_a_test": ("error", f"Odd, from rough.py:{line('raise Odd')} in ends_a_test"),
        "formula": ("pass", ""),
    }


def test_what_was_found_before_is_not_lost(folder):
    path = folder / "a.grad.yaml"
    path.write_text(
        """
cases:
  a:
    function: {python: "rough:square"}
    inputs: {x: 3.0}
    backward: {python: "rough:leaves"}
    conditions: none
""",
        encoding="utf-8",
    )
    listed = jobs(load(path).cases, device="cpu", imports=Imports.of(["rough"], str(folder)))
    with Checker() as checker:
        results = [result for job in listed for result in checker.run(job)]
    assert [(r.quantity, r.verdict) for r in results] == [("dout/dx", "pass"), ("", "error")]


def test_the_time_is_that_of_the_case_and_not_of_what_came_before(folder):
    listed = cases(folder, "square", timeout=4)
    with Checker() as checker:
        assert [r.verdict for r in checker.run(listed[0])] == ["pass"]
        time.sleep(5)
        assert [r.verdict for r in checker.run(listed[0])] == ["pass"]


def test_any_positive_time_can_be_asked_for(folder):
    (found,) = told(folder, "square", timeout="1.0e+300").values()
    assert found == ("pass", "")
    (found,) = told(folder, "sleeps", timeout="1.0e-300").values()
    assert found[0] == "error"
    assert found[1].startswith("it was ended after 1e-300 s")


def test_what_raises_is_told_and_ends_nothing(folder):
    found = told(folder, "raises", "exits", "formula")
    assert found["raises"][0] == found["exits"][0] == "error"
    assert "KeyboardInterrupt" in found["raises"][1]
    assert found["formula"] == ("pass", "")


def test_a_process_that_somebody_kills_between_two_cases_fails_the_next_alone(folder):
    first, second = cases(folder, "square", "formula")
    with Checker() as checker:
        assert [r.verdict for r in checker.run(first)] == ["pass"]
        os.kill(checker._process._process.pid, signal.SIGKILL)
        checker._process._process.join()
        (died,) = checker.run(second)
        assert (died.case, died.verdict) == ("formula", "error")
        assert "was killed (SIGKILL)" in died.notes[0]
        assert [r.verdict for r in checker.run(second)] == ["pass"]


def test_results_that_nobody_waits_for_disturb_no_later_ones(folder):
    first, second = cases(folder, "square", "formula")
    with Checker() as checker:
        results = checker.run(first)
        next(results)
        results.close()
        assert [r.case for r in checker.run(second)] == ["formula"]


def test_a_job_that_is_not_the_next_after_all_disturbs_no_other(folder):
    first, second = cases(folder, "square", "formula")
    with Checker() as checker:
        assert [r.verdict for r in checker.run(first, second)] == ["pass"]
        os.kill(checker._process._process.pid, signal.SIGSTOP)
        assert [r.case for r in checker.run(first)] == ["square"]
        assert [r.case for r in checker.run(second)] == ["formula"]


def test_what_another_process_finds_is_what_is_found_here(folder):
    library = Path(__file__).parent.parent / "cases"
    listed = [
        job
        for name in ("scalars", "activations", "recurrences")
        for job in jobs(load(library / f"{name}.grad.yaml").cases, device="cpu")
    ]
    with Checker() as checker:
        apart = [_known(result) for job in listed for result in checker.run(job)]
    assert len(apart) > 100
    assert apart == [_known(result) for job in listed for result in run(job)]


def _known(result):
    record = result.record()
    del record["seconds"]
    return json.dumps(record)


def test_where_no_fork_can_be_made_a_new_process_does_the_same(folder, monkeypatch):
    monkeypatch.setattr(checkers, "_can_fork", lambda: False)
    found = told(folder, "square", "crash", "holds", "formula", timeout=4)
    assert [verdict for verdict, _ in found.values()] == ["pass", "error", "error", "pass"]
    assert found["crash"][1].endswith(
        f"died of SIGSEGV at rough.py:{line('string_at')} in backward"
    )
    assert found["holds"][1].startswith(
        f"it was ended after 4 s at rough.py:{line('PyDLL')} in holds"
    )


def test_beside_a_debugger_a_case_is_run_in_the_process_itself(folder):
    here = []
    sys.settrace(lambda *arguments: None)
    try:
        with Checker() as checker:
            here = [checker._process, *checker.run(cases(folder, "formula")[0])]
    finally:
        sys.settrace(None)
    assert here[0] is None
    assert here[1].verdict == "pass"


def test_a_process_that_dies_at_its_start_is_told(monkeypatch):
    monkeypatch.setattr("gradcheck.devices.available", lambda: os._exit(3))
    checker = Checker()
    with pytest.raises(CheckerDiedError) as caught:
        checker.devices  # noqa: B018
    assert str(caught.value) == "the process that checks cases exited with code 3"
    checker.close()


@pytest.mark.parametrize(("worker", "order"), [(0, "2,5"), (1, "5,2"), (2, "2,5")])
def test_a_worker_has_its_own_device_first_before_torch_looks(folder, monkeypatch, worker, order):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    script = f"""
import os, sys
from pathlib import Path
from gradcheck import devices
from gradcheck.casefile.load import load
from gradcheck.checker import Checker
from gradcheck.imports import Imports
from gradcheck.jobs import jobs

def available():
    print("devices", os.environ["CUDA_VISIBLE_DEVICES"], "torch" in sys.modules, flush=True)
    return {{"cpu": "cpu", "cuda:0": "A100", "cuda:1": "A100"}}

devices.available = available
with Checker({worker}) as checker:
    imports = Imports.of(["rough"], ".")
    cases = load(Path("r.grad.yaml")).cases
    job, *_ = jobs(cases, there=checker.devices, device="cpu", imports=imports)
    print({{result.verdict for result in checker.run(job)}}, "torch" in sys.modules)
"""
    cases(folder, "which")
    lines = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines[0] == f"devices {order} False"
    assert set(lines[1:]) == {f"device {order}", "{'pass'} False"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,5"


def test_a_job_is_run_on_the_device_that_was_dealt_and_told_by_the_callers_name(folder):
    # Without CUDA there is one device: under another name it stands for one that was dealt.
    (job,) = cases(folder, "formula")
    (result,) = run(checkers.Job(job.case, "float64", "cuda:7", on="cpu"))
    assert (result.verdict, result.device) == ("pass", "cuda:7")
    assert choose(["cuda:7"], {"cpu": "cpu"})["cuda:7"].exact


def start(folder, *options):
    return subprocess.Popen(
        [
            sys.executable,
            *["-m", "gradcheck", "run", "r.grad.yaml", "--allow-import", "rough"],
            *options,
        ],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def lines_of(path, count, seconds=60):
    """The first records of a run that goes on, once there are as many."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
        time.sleep(0.05)
    raise AssertionError(f"no {count} records in {seconds} s")


def children(pid):
    return [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if _parent_of(stat) == pid
    ]


def _parent_of(stat):
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_records_are_whole_up_to_the_last_case_when_a_run_is_killed(folder, stop):
    cases(folder, "square", "formula", "holds")
    running = start(folder, "--jsonl", "r.jsonl")
    lines_of(folder / "r.jsonl", 2)
    (child,) = children(running.pid)
    running.send_signal(stop)
    running.communicate(timeout=30)
    records = [json.loads(line) for line in (folder / "r.jsonl").read_text("utf-8").splitlines()]
    assert [record["case"] for record in records] == ["square", "formula"]
    end = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists(), "what was left holds the interpreter for ever"


def test_a_breakpoint_in_a_users_function_can_be_used_and_stops_the_clock(folder):
    cases(folder, "stops", timeout=3)
    running = start(folder)
    running.stdin.write("p 'here', x.item()\n")
    running.stdin.flush()
    time.sleep(5)
    out, _ = running.communicate(
        "import bdb\nsys = __import__('sys'); sys._getframe()\n" + "c\n" * 60
    )
    assert "('here', 3.0)" in out
    assert "1 passed" in out, out
