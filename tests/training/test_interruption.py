"""A run that is stopped anywhere and started again ends as one that was never stopped, to the last bit."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def command(config: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "avhash_nas", "fit", "--config", str(config), "--out", str(out)]


def run_to_line(arguments: list[str], lines: int, pause: float, signum: int) -> int:
    """Start the command, let it print so many lines of progress, wait a little, send the signal; its exit code."""
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines -= " epoch " in line
            if lines < 0:
                break
        time.sleep(pause)
        process.send_signal(signum)
        process.stderr.read()
        return process.wait(timeout=60)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(one: Path, other: Path) -> None:
    metrics = [json.loads((run / "metrics.json").read_text()) for run in (one, other)]
    for values in metrics:
        values.pop("time")
    assert metrics[0] == metrics[1]
    for name in ("architecture.json", "curves.json", "model/model.safetensors", "model/config.json", "config.yaml"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for stage in ("search", "finetune"):
        assert rows(one / stage / "epochs.csv") == rows(other / stage / "epochs.csv")


@pytest.fixture(scope="module")
def unbroken(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "unbroken"
    subprocess.run(command(tiny_config, out), check=True, capture_output=True)
    return out


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_at_random_moments_and_run_again_ends_the_same(
    signum: signal.Signals, tiny_config: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "broken"
    moments = random.Random(int(signum))
    codes = []
    for _ in range(3):
        code = run_to_line(command(tiny_config, out), moments.randrange(3), moments.uniform(0, 0.3), signum)
        codes.append(code)
        if code == 0:
            break
    subprocess.run(command(tiny_config, out), check=True, capture_output=True)
    expected = -signum if signum == signal.SIGKILL else 128 + signum
    assert set(codes) <= {expected, 0}
    assert codes[0] == expected
    assert_same_run(unbroken, out)


def test_a_finished_run_is_never_touched(tiny_config: Path, unbroken: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    again = subprocess.run(command(tiny_config, unbroken), check=True, capture_output=True, text=True)
    assert "fine-tuned" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before


def test_other_options_are_refused_by_name(tiny_config: Path, unbroken: Path) -> None:
    refused = subprocess.run(
        [*command(tiny_config, unbroken), "--search.epochs=4"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "search.epochs was 3, now 4" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_avnas_test_prints_the_figures_of_fit(unbroken: Path, tiny_data: Path) -> None:
    metrics = json.loads((unbroken / "metrics.json").read_text())
    printed = subprocess.run(
        [sys.executable, "-m", "avhash_nas", "test", "--run", str(unbroken), "--data.root", str(tiny_data)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for kind in ("retrieved", "standard"):
        assert f"{metrics['test']['map@100'][kind]:.4f}" in printed
    assert f"{metrics['random_projection']['map@100']['retrieved']:.4f}" in printed
