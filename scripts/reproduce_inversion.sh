#!/usr/bin/env bash
# The study of learned words of docs/results/inversion.md: classifier, tables 3 and 4.
# usage: scripts/reproduce_inversion.sh FOLDER_OF_THE_COLLECTION [small|paper]
# Starts with scripts/reproduce_bandai_namco.sh; what is finished is not trained again.
set -euo pipefail
source=${1:?usage: scripts/reproduce_inversion.sh FOLDER_OF_THE_COLLECTION [small|paper]}
size=${2:-small}
source=$(realpath "$source")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run=checkpoints/bandai_namco-$size
data=bandai_namco
source scripts/train_once.sh

scripts/reproduce_bandai_namco.sh "$source" "$size"
train evaluator
train classifier
lead evaluate "run=$run-classifier"
ablate() { # name, options...
  train "projector-$1" "diffusion=$run-diffusion" "${@:2}"
}
ablate noalign stage.module.align_weight=0
ablate nokl stage.module.var_weight=0
ablate norec stage.module.rec_weight=0
ablate mlp model/projector=mlp
ablate skip model/projector=skip
judges="classifier=$run-classifier evaluator=$run-evaluator"
lead evaluate "run=$run-projector" study=table3 $judges "output=$run-projector/table3.json" \
  "study.figure=outputs/table3"
others=$(printf ",$run-projector-%s" noalign nokl norec mlp skip)
lead evaluate "run=$run-projector" study=table4 $judges "output=$run-projector/table4.json" \
  "projectors=[${others#,}]"
