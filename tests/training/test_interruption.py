"""Real processes that are killed at random times and started again. test_resume.py stops at chosen places."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from forking import Forked, run_command
from training.tiny import assert_same_run, avnas


def run_to_line(arguments: list[str], lines: int, pause: float, signum: int) -> tuple[int, str]:
    """Start the command, let it print so many lines of progress, wait a little, send the signal; exit code, stderr."""
    printed = []
    reading, writing = os.pipe()
    process = Forked(run_command, arguments, descriptors=[writing])
    os.close(writing)
    with os.fdopen(reading) as stderr:
        for line in stderr:
            printed.append(line)
            lines -= " epoch " in line
            if lines < 0:
                break
        time.sleep(pause)
        process.send_signal(signum)
        printed.append(stderr.read())
    return process.wait(timeout=60), "".join(printed)


@pytest.mark.parametrize(
    "signum", [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_stopped_at_random_times_and_run_again_ends_the_same(
    signum: signal.Signals, tiny_config: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "broken"
    times = random.Random(int(signum))
    expected = -signum if signum == signal.SIGKILL else 128 + signum
    command = ["fit", "--config", str(tiny_config), "--out", str(out)]
    for attempt in range(2):
        code, printed = run_to_line(command, times.randrange(2), times.uniform(0, 0.3), signum)
        assert code == expected or (attempt and code == 0), printed
    assert avnas("fit", "--config", tiny_config, "--out", out) == 0
    assert_same_run(unbroken, out)
