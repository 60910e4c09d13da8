import io

import pytest
from rich.console import Console

from avhash_nas.extraction import progress
from avhash_nas.extraction.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(total, done, seconds, clock, leave=None):
    """Lines printed without a terminal, if videos are finished after the given seconds."""
    console = Console(file=io.StringIO(), width=500)
    try:
        with Progress(total, done, console) as bar:
            for each in seconds:
                clock[0] += each
                bar.advance(failed=each == 3)
            if leave is not None:
                raise leave
    except (KeyboardInterrupt, SystemExit, ValueError):
        pass
    return console.file.getvalue().splitlines()


def test_rate_is_measured_from_the_first_video_of_this_run(clock):
    """60 s go by until the models are loaded and the first is done; then it is one in 4 s."""
    assert shown(20, 10, [60, 4, 4, 4], clock) == [
        "11/20 videos, 0 failed",
        "14/20 videos, 0.25 videos/s, 0:00:24 left, 0 failed",
    ]


def test_one_line_every_ten_seconds(clock):
    lines = shown(100, 0, [3] * 30, clock)
    assert len(lines) == 90 // 12 + 1
    assert lines[0] == "4/100 videos, 0.333 videos/s, 0:04:48 left, 4 failed"


def test_interruption_prints_how_to_resume(clock):
    for leave in (KeyboardInterrupt(), SystemExit(143)):
        assert shown(5, 2, [1], clock, leave) == ["stopped at 3/5 videos, 0 failed; the same command resumes from here"]


def test_error_is_not_reported_as_interruption(clock):
    assert shown(5, 2, [1], clock, ValueError()) == ["3/5 videos, 0 failed"]


def test_progress_bar_on_a_terminal(clock):
    console = Console(file=io.StringIO(), width=100, force_terminal=True, legacy_windows=False)
    with Progress(4, 0, console) as bar:
        for _ in range(4):
            bar.advance()
    assert "4/4 videos" in console.file.getvalue()
    assert "━" in console.file.getvalue()
