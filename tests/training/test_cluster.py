"""The launch scripts of experiments/cluster, with stand-ins for what only a cluster has."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from training.tiny import assert_same_run, metrics_of

SCRIPTS = Path(__file__).parents[2] / "experiments" / "cluster"
SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
places = [{{"SLURM_PROCID": n, "SLURM_LOCALID": n, "SLURM_NODEID": "0"}} for n in ("0", "1")]
tasks = [subprocess.Popen(sys.argv[2:], env=os.environ | place) for place in places]
for signum in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(signum, lambda signum, _: [task.send_signal(signum) for task in tasks])
sys.exit(max(task.wait() for task in tasks))
"""
"""What srun does here: starts the tasks, passes signals on, and ends with their highest exit code."""
PROGRAM = """#!/bin/bash
trap 'exit 138' USR1
trap 'exit 143' TERM
echo "$@" >> "$CALLS"
[ "$FINISHES" = yes ] && exit 0
echo ready
for _ in {1..200}; do sleep 0.05; done
"""


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of two tasks on one node, in which `scontrol` writes down how it was called."""
    programs = {"srun": SRUN, "scontrol": '#!/bin/bash\necho "$@" > "$REQUEUED"\n', "program": PROGRAM}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    of_job = {"JOB_ID": "71", "JOB_NAME": "avnas", "NNODES": "1", "NTASKS": "2", "NTASKS_PER_NODE": "2"}
    return {
        **os.environ,
        **{f"SLURM_{name}": value for name, value in of_job.items()},
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": str(port),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AVNAS": str(tmp_path / "program"),
        "CALLS": str(tmp_path / "calls"),
        "REQUEUED": str(tmp_path / "requeued"),
    }


def start(environment: dict[str, str], *options: object) -> "subprocess.Popen[str]":
    command = ["bash", str(SCRIPTS / "slurm.sh"), *map(str, options)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_the_shell_can_read_them(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize(
    ("signum", "code", "requeued"), [(signal.SIGUSR1, 138, "requeue 71\n"), (signal.SIGTERM, 143, None)]
)
def test_the_job_comes_back_after_the_time_limit_only(
    signum: int, code: int, requeued: str | None, cluster: dict[str, str]
) -> None:
    with start(cluster, "--out", "runs/first") as job:
        assert job.stdout is not None
        for _ in range(2):
            assert job.stdout.readline() == "ready\n"
        job.send_signal(signum)
        assert job.wait(timeout=60) == code
    assert Path(cluster["CALLS"]).read_text() == "fit --trainer.num_nodes=1 --trainer.devices=2 --out runs/first\n" * 2
    file = Path(cluster["REQUEUED"])
    assert (file.read_text() if file.exists() else None) == requeued


def test_a_job_that_ends_well_stays_away(cluster: dict[str, str]) -> None:
    with start(cluster | {"FINISHES": "yes"}) as job:
        assert job.wait(timeout=60) == 0
    assert not Path(cluster["REQUEUED"]).exists()


@pytest.mark.slow
def test_a_job_goes_on_after_the_time_limit(cluster: dict[str, str], tiny_config: Path, tmp_path: Path) -> None:
    """Through Lightning's SLURM environment, whose own requeueing stays out of it."""
    (tmp_path / "program").write_text(f'#!/bin/bash\nexec {sys.executable} -m avhash_nas "$@"\n')
    options = ("--config", tiny_config, "--trainer.accelerator=cpu", "--out")
    with start(cluster, *options, tmp_path / "whole") as job:
        assert job.wait(timeout=400) == 0, job.stdout and job.stdout.read()
    with start(cluster, *options, tmp_path / "stopped") as job:
        assert job.stdout is not None
        for line in job.stdout:
            if "search epoch 1/" in line:
                break
        job.send_signal(signal.SIGUSR1)
        job.stdout.read()
        assert job.wait(timeout=60) == 138
    assert Path(cluster["REQUEUED"]).read_text() == "requeue 71\n"
    assert (tmp_path / "stopped" / "search" / "last.ckpt").exists()
    assert not list(tmp_path.rglob("hpc_ckpt*"))
    with start(cluster, *options, tmp_path / "stopped") as job:
        assert job.wait(timeout=400) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
def test_torchrun_on_this_machine(tiny_config: Path, tmp_path: Path) -> None:
    """Also: a finished run that is to be overwritten is not taken for finished by the ranks that come later."""
    out = tmp_path / "run"
    options = ("--config", str(tiny_config), "--trainer.accelerator=cpu", "--out", str(out))
    environment = {**os.environ, "PROCESSES": "2", "TORCHRUN": f"{Path(sys.executable).parent / 'torchrun'}"}
    for more in ((), (), ("--overwrite",)):
        command = ["bash", str(SCRIPTS / "torchrun.sh"), *options, *more]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("fine-tuned") == 1
        assert set(metrics_of(out)) >= {"test", "val", "supernet", "derived"}
