"""Jobs run side by side and stop together."""

import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from avhash_nas.comparison.jobs import Job, last_error, run_jobs
from avhash_nas.errors import AvnasError
from avhash_nas.training.checkpoint import Interrupted

POLITE = """
import pathlib, signal, sys, time
def stop(signum, frame):
    pathlib.Path(sys.argv[1]).write_text(str(signum))
    sys.exit(128 + signum)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""

CROWD = """
import os, pathlib, sys, time
mine = pathlib.Path(sys.argv[1]) / str(os.getpid())
mine.touch()
time.sleep(0.3)
print(len(list(mine.parent.iterdir())))
mine.unlink()
"""


def job(folder: Path, name: str, code: str, *arguments: object) -> Job:
    return Job(name, (sys.executable, "-c", code, *map(str, arguments)), folder / f"{name}.log")


def signal_once_there(signum: int, *files: Path) -> None:
    """Send this process a signal as soon as some files exist."""

    def wait() -> None:
        until = time.monotonic() + 30
        while not all(file.exists() for file in files) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), signum)

    threading.Thread(target=wait, daemon=True).start()


def test_failure_of_one_job_does_not_stop_others(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "good", "print('fine')"),
        job(tmp_path, "bad", "raise ValueError('no such thing')"),
        job(tmp_path, "refused", "import sys; print('avnas fit: error: --bits', file=sys.stderr); sys.exit(2)"),
        job(tmp_path, "killed", "import os; os.kill(os.getpid(), 9)"),
        job(tmp_path, "last", "print('fine too')"),
    ]
    assert run_jobs(jobs, at_once=2) == {
        "bad": "ValueError: no such thing",
        "refused": "avnas fit: error: --bits",
        "killed": "killed by signal 9",
    }
    assert (tmp_path / "last.log").read_text() == "fine too\n"


def test_at_most_at_once_jobs_run_together(tmp_path: Path) -> None:
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    jobs = [job(tmp_path, f"{number}", CROWD, crowd) for number in range(4)]
    assert run_jobs(jobs, at_once=2) == {}
    assert max(int(each.log.read_text()) for each in jobs) <= 2


def test_cores_are_divided_unless_omp_num_threads_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os; print(os.environ['OMP_NUM_THREADS'])"
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for given, expected in ((None, "4"), ("3", "3")):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if given:
            monkeypatch.setenv("OMP_NUM_THREADS", given)
        run_jobs([job(tmp_path, f"given {given}", code)], at_once=2)
        assert (tmp_path / f"given {given}.log").read_text().strip() == expected


def test_job_with_a_locked_log_is_skipped(tmp_path: Path) -> None:
    mine, theirs = (job(tmp_path, name, "print('done')") for name in ("mine", "theirs"))
    with theirs.log.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run_jobs([theirs, mine], at_once=1) == {"theirs": "another process is running it"}
    assert (mine.log.read_text(), theirs.log.read_text()) == ("done\n", "")
    assert run_jobs([theirs], at_once=1) == {}


def test_log_is_locked_while_the_job_runs(tmp_path: Path) -> None:
    started = tmp_path / "started"
    running = job(tmp_path, "running", POLITE, started)
    signal_once_there(signal.SIGTERM, started)
    seen = []

    def second_call() -> None:
        while not started.exists():
            time.sleep(0.02)
        with running.log.open("ab") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                seen.append("locked")

    thread = threading.Thread(target=second_call)
    thread.start()
    with pytest.raises(Interrupted):
        run_jobs([running], at_once=1)
    thread.join()
    assert seen == ["locked"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_forwarded_and_no_further_job_starts(signum: signal.Signals, tmp_path: Path) -> None:
    before = signal.getsignal(signum)
    marks = [tmp_path / "one", tmp_path / "two"]
    jobs = [job(tmp_path, mark.name + "-job", POLITE, mark) for mark in marks]
    never = job(tmp_path, "never", "print('started')")
    signal_once_there(signum, *marks)
    with pytest.raises(Interrupted) as stopped:
        run_jobs([*jobs, never], at_once=2)
    assert stopped.value.code == 128 + signum
    assert [mark.read_text() for mark in marks] == [str(int(signum))] * 2
    assert not never.log.exists()
    assert signal.getsignal(signum) == before


def test_other_jobs_end_if_one_cannot_start(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    impossible = Job("impossible", ("no-such-program-anywhere",), tmp_path / "impossible.log")
    waits = job(tmp_path, "waits", POLITE, mark)
    with pytest.raises(AvnasError, match=r"impossible: cannot be started: .*no-such-program-anywhere"):
        run_jobs([waits, impossible], at_once=2)
    with waits.log.open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it any more


def test_last_error_is_from_this_attempt(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("Traceback\n  raise error\nOSError: disk full\nepoch 1\n")
    assert last_error(log) == "OSError: disk full"
    assert last_error(log, start=log.stat().st_size) == "it printed nothing"
    with log.open("a") as file:
        file.write("epoch 2\n\n")
    assert last_error(log, start=log.stat().st_size - 9) == "epoch 2"
