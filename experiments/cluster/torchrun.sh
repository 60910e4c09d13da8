#!/usr/bin/env bash
# One run on several GPUs or nodes without a scheduler.
#
#   bash experiments/cluster/torchrun.sh --config strategies/avnas.yaml --data.root DIR --out runs/first
#
# On several nodes, the same command on each of them:
#
#   NODES=2 HEAD=node0:29500 bash experiments/cluster/torchrun.sh ...
#
# PROCESSES: on each node; by default one for each GPU.  HEAD: a node and a free port, the same everywhere.
# RESTARTS: how often torchrun starts all again when a process has failed; each time the run goes on.
# TORCHRUN names the program where `torchrun` is not on the PATH.
set -euo pipefail

processes="${PROCESSES:-$(nvidia-smi --list-gpus | wc -l)}"
nodes="${NODES:-1}"
if [ "$nodes" -gt 1 ]; then
    meeting=(--rdzv-backend=c10d --rdzv-endpoint="$HEAD" --rdzv-id="${RUN:-avnas}")
else
    meeting=(--standalone)
fi

exec "${TORCHRUN:-torchrun}" --nnodes="$nodes" --nproc-per-node="$processes" --max-restarts="${RESTARTS:-0}" \
    "${meeting[@]}" -m avhash_nas fit --trainer.num_nodes="$nodes" --trainer.devices="$processes" "$@"
