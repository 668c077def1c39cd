#!/usr/bin/env bash
#SBATCH --job-name=lead
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --output=slurm-%j.txt
# One training over all GPUs of a Slurm job: one process a GPU, on one node or on many.
# usage: sbatch [--nodes=N ...] scripts/slurm_train.sh stage=vae data=humanml3d size=paper ...
# Five minutes before the end it saves and stops; the same line again goes on from there.
set -euo pipefail
srun "$(command -v lead || echo .venv/bin/lead)" train resume=true trainer.progress=false \
  "trainer.num_nodes=$SLURM_NNODES" "trainer.devices=$SLURM_NTASKS_PER_NODE" "$@"
