#!/usr/bin/env bash
# The open benchmark of docs/results/open_benchmark.md: the mix, its judge, the rows of real clips, and
# the protocol's tables of a run where one is named.
# usage: scripts/reproduce_open_benchmark.sh FOLDER_OF_BANDAI_NAMCO FOLDER_OF_CMU [RUN]
# Two CPU cores: a minute to prepare, about a quarter of an hour for the judge. What is finished is not
# run again. The folder of CMU's trials has captions.json in it or above it (datasets/README.md).
set -euo pipefail
usage="usage: scripts/reproduce_open_benchmark.sh FOLDER_OF_BANDAI_NAMCO FOLDER_OF_CMU [RUN]"
bandai_namco=$(realpath "${1:?$usage}")
cmu=$(realpath "${2:?$usage}")
run=${3:-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
judge=checkpoints/mix-small-evaluator
parts="parts=[datasets/bandai_namco,datasets/cmu]"
source scripts/train_once.sh

prepare bandai_namco data=bandai_namco "source=$bandai_namco"
prepare cmu data=cmu "source=$cmu"
prepare mix data=mix "$parts" "data.weights={cmu: 2}"
# What the judge learns from: CMU's fewer clips more often, and every training clip's mirror image.
prepare mix-mirrored data=mix "$parts" "data.weights={cmu: 3}" mirror=true
grep -qs '"status": "finished"' "$judge/run.json" ||
  lead train stage=evaluator data=mix size=small model/evaluator=open dataset=datasets/mix-mirrored \
    "run=$judge" resume=true stage.crop_min=40 "stage.often={humanml3d: 3}" \
    stages.evaluator.batch_size=128 stages.evaluator.max_steps=1400 stages.evaluator.optimizer.weight_decay=0.05
lead evaluate "run=$judge" protocol=open dataset=datasets/mix
if [ -n "$run" ]; then
  for sampling in ddim50 ddim50_guidance2; do
    lead evaluate "run=$run" protocol=open "evaluator=$judge" dataset=datasets/mix precision=auto \
      "controls=[guidance4,moments]" "sampling=$sampling" "output=$run/open_$sampling.json"
  done
fi
