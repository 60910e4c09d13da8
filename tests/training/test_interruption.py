"""Real processes that are killed at random moments and started again. test_resume.py stops at chosen places."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.tiny import assert_same_run, avnas


def command(config: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "avhash_nas", "fit", "--config", str(config), "--out", str(out)]


def run_to_line(arguments: list[str], lines: int, pause: float, signum: int) -> tuple[int, str]:
    """Start the command, let it print so many lines of progress, wait a little, send the signal; exit code, stderr."""
    printed = []
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            printed.append(line)
            lines -= " epoch " in line
            if lines < 0:
                break
        time.sleep(pause)
        process.send_signal(signum)
        printed.append(process.stderr.read())
        return process.wait(timeout=60), "".join(printed)


@pytest.mark.parametrize(
    "signum", [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_stopped_at_random_moments_and_run_again_ends_the_same(
    signum: signal.Signals, tiny_config: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "broken"
    moments = random.Random(int(signum))
    expected = -signum if signum == signal.SIGKILL else 128 + signum
    for attempt in range(2):
        code, printed = run_to_line(command(tiny_config, out), moments.randrange(2), moments.uniform(0, 0.3), signum)
        assert code == expected or (attempt and code == 0), printed
    assert avnas("fit", "--config", tiny_config, "--out", out) == 0
    assert_same_run(unbroken, out)
