"""Two processes under DDP: one result, and a stop that reaches both."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.tiny import assert_same_run, epochs_of, metrics_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the second process under /proc"),
]


def command(config: Path, out: Path) -> list[str]:
    two = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true")
    return [sys.executable, "-m", "avhash_nas", "fit", "--config", str(config), "--out", str(out), *two]


def second_rank(first: int) -> int:
    """The process that Lightning starts as rank 1."""
    for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        if b"LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError("there is no second rank")


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def both(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of two ranks through all stages, and what it printed."""
    out = tmp_path_factory.mktemp("ranks") / "unbroken"
    done = subprocess.run(command(tiny_config, out), capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_two_ranks_end_with_one_result(both: tuple[Path, str]) -> None:
    out, printed = both
    assert printed.count("fine-tuned") == 1
    assert len(list(out.rglob("metrics.json"))) == 1
    assert not list(out.rglob("*.partial"))
    assert not list(out.rglob("*.saving"))
    assert set(metrics_of(out)) >= {"test", "val", "supernet", "derived"}
    assert json.loads((out / "search" / "done.json").read_text())["epochs"] == len(epochs_of(out, "search")) == 3


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_both_and_the_same_command_goes_on(
    rank: int, both: tuple[Path, str], tiny_config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    with subprocess.Popen(
        command(tiny_config, out), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "search epoch 1/" in line:
                break
        other = second_rank(process.pid)
        os.kill(other if rank else process.pid, signal.SIGTERM)
        process.stderr.read()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not running(other)
    assert (out / "search" / "last.ckpt").exists()
    assert not (out / "search" / "done.json").exists()
    subprocess.run(command(tiny_config, out), check=True, capture_output=True, timeout=240)
    assert_same_run(both[0], out)
