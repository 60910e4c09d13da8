#!/usr/bin/env bash
# One run on several GPUs or nodes under SLURM, which goes on after a time limit or a preemption:
#
#   sbatch experiments/cluster/slurm.sh --config strategies/avnas.yaml --data.root DIR --out runs/first
#   sbatch --nodes=1 --ntasks-per-node=2 --gpus-per-node=2 experiments/cluster/slurm.sh ...
#
# Options of `avnas fit` come last. AVNAS names the program where `avnas` is not on the PATH of the nodes.
#SBATCH --job-name=avnas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -uo pipefail

export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

# Every task sees all GPUs of its node and takes its own: --gpus-per-node, not --gpus-per-task.
srun --kill-on-bad-exit=1 "${AVNAS:-avnas}" fit \
    --trainer.num_nodes="$SLURM_NNODES" --trainer.devices="$SLURM_NTASKS_PER_NODE" "$@" &
step=$!

# USR1 comes 300 s ahead of the time limit: all ranks end after the present step, with a checkpoint.
asked=0
trap 'asked=$((asked + 1)); kill -USR1 "$step"' USR1
trap 'kill -TERM "$step"' TERM

# A signal ends `wait` before the step has ended.
status=0
while wait "$step"; status=$?; kill -0 "$step" 2>/dev/null; do :; done

# A preempted job is put back by SLURM itself, as --requeue asks; a canceled one is not to come back.
if [ "$asked" -gt 0 ] && [ "$status" -ne 0 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
