"""Two processes that Lightning starts: one result, and an end that reaches both. test_ranks.py compares with one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training.tiny import SMALL_SEARCHES, assert_same_run, epochs_of, metrics_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the second process under /proc"),
]


def command(config: Path, out: Path, *options: str, name: str = "AVNAS") -> list[str]:
    small = [f"--strategy.{option}={value}" for option, value in SMALL_SEARCHES.get(name, {}).items()]
    strategy = [f"--strategy={name}", *small] if name != "AVNAS" else []  # its options are in the file
    two = ("--trainer.accelerator=cpu", "--trainer.devices=2")
    fit = [sys.executable, "-m", "avhash_nas", "fit", "--config", str(config), "--out", str(out)]
    return [*fit, *strategy, *two, *options]


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


def ends(process: int, seconds: float) -> bool:
    """Whether a process has ended before so many seconds are over."""
    end = time.monotonic() + seconds
    while running(process) and time.monotonic() < end:
        time.sleep(0.1)
    return not running(process)


def start(arguments: list[str]) -> tuple["subprocess.Popen[str]", int]:
    """A run that is within its first epochs, in a process group of its own, and its second rank."""
    process = subprocess.Popen(
        arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if " epoch 1/" in line:
            break
    return process, second_rank(process.pid)


@pytest.fixture(scope="module")
def both(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, str]]:
    """Runs of two ranks through all stages by strategy, made when first asked for, and what they printed."""
    folder = tmp_path_factory.mktemp("ranks")
    printed: dict[str, str] = {}

    def run(name: str) -> tuple[Path, str]:
        if name not in printed:
            arguments = command(tiny_config, folder / name, name=name)
            done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=600)
            assert done.returncode == 0, done.stderr
            printed[name] = done.stdout
        return folder / name, printed[name]

    return run


def test_two_ranks_end_with_one_result(both: Callable[[str], tuple[Path, str]]) -> None:
    out, printed = both("AVNAS")
    assert printed.count("fine-tuned") == 1
    assert len(list(out.rglob("metrics.json"))) == 1
    assert not list(out.rglob("*.partial"))
    assert not list(out.rglob("*.saving"))
    assert set(metrics_of(out)) >= {"test", "val", "supernet", "derived"}
    assert json.loads((out / "search" / "done.json").read_text())["epochs"] == len(epochs_of(out, "search")) == 3


@pytest.mark.parametrize(
    ("name", "rank", "signum"),
    [
        ("AVNAS", 0, signal.SIGTERM),
        ("AVNAS", 1, signal.SIGTERM),
        ("AVNAS", 1, signal.SIGUSR1),
        ("DARTS", 1, signal.SIGTERM),
        ("ENAS", 0, signal.SIGTERM),
        ("ProxylessNAS", 1, signal.SIGTERM),
        ("RandomSearch", 1, signal.SIGTERM),
        ("SPOS", 1, signal.SIGTERM),
    ],
)
def test_a_signal_to_one_rank_stops_both_and_the_same_command_goes_on(
    name: str, rank: int, signum: int, both: Callable[[str], tuple[Path, str]], tiny_config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    process, other = start(command(tiny_config, out, name=name))
    with process:
        os.kill(other if rank else process.pid, signum)
        process.communicate(timeout=120)
        assert process.returncode == 128 + signum
    assert ends(other, 10)
    assert len(list(out.rglob("last.ckpt"))) == 1
    assert not (out / "metrics.json").exists()
    subprocess.run(command(tiny_config, out, name=name), check=True, capture_output=True, timeout=600)
    assert_same_run(both(name)[0], out)


def test_a_run_goes_on_with_another_number_of_ranks(tiny_config: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    process, _ = start(command(tiny_config, out))
    with process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    alone = command(tiny_config, out, "--trainer.devices=1")
    subprocess.run(alone, check=True, capture_output=True, timeout=600)
    assert [row["epoch"] for row in epochs_of(out, "search")] == ["0", "1", "2"]
    assert "test" in metrics_of(out)


def test_a_signal_to_all_processes_is_one_stop(
    both: Callable[[str], tuple[Path, str]], tiny_config: Path, tmp_path: Path
) -> None:
    """As launchers send it, and twice: the processes that read batches ahead must not die before the step is done."""
    out = tmp_path / "stopped"
    process, other = start(command(tiny_config, out, "--data.workers=1"))
    with process:
        for _ in range(2):
            os.killpg(process.pid, signal.SIGTERM)
        _, printed = process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGTERM, printed
    assert ends(other, 10)
    assert (out / "search" / "last.ckpt").exists()
    assert "Error" not in printed


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_leaves_none_behind(rank: int, tiny_config: Path, tmp_path: Path) -> None:
    process, other = start(command(tiny_config, tmp_path / "run"))
    with process:
        os.kill(other if rank else process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode != 0
    assert ends(other, 60)


FAILING = """
import os
from lightning.pytorch.callbacks import Callback

class Failing(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1 and trainer.global_rank == int(os.environ["FAILS"]):
            raise RuntimeError("this rank has failed")
"""


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_on_one_rank_ends_both(
    rank: int, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FAILS", str(rank))
    process, other = start(command(tiny_config, tmp_path / "run", "--trainer.callbacks=failing.Failing"))
    with process:
        _, printed = process.communicate(timeout=60)
        assert process.returncode != 0
    assert ends(other, 30)
    assert "this rank has failed" in printed
