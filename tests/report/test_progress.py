import io

import pytest
from rich.console import Console

from gradcheck.report import progress
from gradcheck.report.progress import Progress


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)


def shown(items, *, terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=60)
    with Progress(console, len(items)) as bar:
        tracked = list(bar.track(items))
    return tracked, stream.getvalue()


@pytest.mark.usefixtures("impatient")
def test_a_long_run_on_a_terminal_shows_a_bar_that_is_gone_at_the_end():
    tracked, output = shown([1, 2, 3], terminal=True)
    assert tracked == [1, 2, 3]
    assert "checking" in output
    assert "\x1b[?25h" in output  # the cursor is back


@pytest.mark.usefixtures("impatient")
def test_what_is_no_terminal_shows_nothing():
    assert shown([1, 2, 3], terminal=False) == ([1, 2, 3], "")


def test_a_short_run_shows_nothing():
    assert shown([1, 2, 3], terminal=True) == ([1, 2, 3], "")


@pytest.mark.usefixtures("impatient")
def test_an_item_counts_once_it_has_been_dealt_with():
    stream = io.StringIO()
    with Progress(Console(file=stream, force_terminal=True, width=60), 2) as bar:
        stages = bar.track(["a", "b"])
        next(stages)
        assert stream.getvalue() == ""
        next(stages)
        assert bar._done == 1


@pytest.mark.usefixtures("impatient")
def test_the_bar_is_gone_after_an_exception_too():
    stream = io.StringIO()

    def interrupted():
        with Progress(Console(file=stream, force_terminal=True, width=60), 3) as bar:
            for item in bar.track([1, 2, 3]):
                if item == 3:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in stream.getvalue()


def test_nothing_to_track_is_fine():
    assert shown([], terminal=True) == ([], "")
