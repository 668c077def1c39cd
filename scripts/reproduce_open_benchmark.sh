#!/usr/bin/env bash
# The open benchmark of docs/results/open_benchmark.md: judge, controls, the protocol's tables.
# usage: scripts/reproduce_open_benchmark.sh FOLDER_OF_THE_COLLECTION [small|paper]
# Starts with scripts/reproduce_bandai_namco.sh; what is finished is not run again.
set -euo pipefail
source=${1:?usage: scripts/reproduce_open_benchmark.sh FOLDER_OF_THE_COLLECTION [small|paper]}
size=${2:-small}
source=$(realpath "$source")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run=checkpoints/bandai_namco-$size
train() { # name, stage, options...
  grep -qs '"status": "finished"' "$run-$1/run.json" ||
    lead train "stage=$2" data=bandai_namco "size=$size" "run=$run-$1" resume=true "${@:3}"
}

scripts/reproduce_bandai_namco.sh "$source" "$size"
train evaluator evaluator
train projector-linear projector "diffusion=$run-diffusion" model/projector=linear
train projector-noalign projector "diffusion=$run-diffusion" stage.module.align_weight=0
train projector-shuffled projector "diffusion=$run-diffusion" stage.module.shuffle_text=true
controls="projectors=[$run-projector-linear,$run-projector-noalign,$run-projector-shuffled]"
lead evaluate "run=$run-projector" precision=bf16 protocol=open "evaluator=$run-evaluator" "$controls" \
  "controls=[guidance4,moments]" sampling=ddim50 "output=$run-projector/open.json"
lead evaluate "run=$run-projector" precision=bf16 protocol=open "evaluator=$run-evaluator" \
  sampling=ddim50_guidance2 "output=$run-projector/open_guidance2.json"
