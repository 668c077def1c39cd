#!/usr/bin/env bash
# The results of docs/results/bandai_namco_SIZE.md: prepare, the three stages, ten clips, the table.
# usage: scripts/reproduce_bandai_namco.sh FOLDER_OF_THE_COLLECTION [small|paper]
# A stage that is finished is not run again; one that was stopped goes on.
set -euo pipefail
source=${1:?usage: scripts/reproduce_bandai_namco.sh FOLDER_OF_THE_COLLECTION [small|paper]}
size=${2:-small}
source=$(realpath "$source")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run=checkpoints/bandai_namco-$size
data=bandai_namco
source scripts/train_once.sh

prepare bandai_namco data=bandai_namco "source=$source"
train vae
train diffusion "vae=$run-vae"
train projector "diffusion=$run-diffusion"
lead generate "run=$run-projector" prompts=docs/results/bandai_namco_small.prompts.txt overwrite=true \
  "output=outputs/bandai_namco-$size"
lead evaluate "run=$run-projector"
