#!/usr/bin/env bash
# The starter model, checkpoints/starter, from the runs of scripts/reproduce_bandai_namco.sh:
# one-step denoiser, evaluator, classifier, three learned words, packing, measures, model card.
# usage: scripts/make_starter.sh [small]      (BITS=16 for half precision, DISTILL=no for no one-step part)
# Trainings that are finished are not run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

size=${1:-small}
run=checkpoints/bandai_namco-$size
data=bandai_namco
starter=checkpoints/starter
out=outputs/starter
source scripts/train_once.sh
word() { # word, init, style
  lead invert "run=$run-projector" "dataset=datasets/$data" split=heldout "style=$3" "word=<$1>" "init=$2" \
    templates=style "output=$out/words/$1.safetensors" overwrite=true progress=false
}

train evaluator
train classifier
parts=("evaluator=$run-evaluator")
if [ "${DISTILL:-yes}" = yes ]; then
  train distill "teacher=$run-diffusion"
  parts+=("distilled=$run-distill")
fi
mkdir -p "$out/words"
word elderly old elderly
word childish child childish
word chimpira tough chimpira
parts+=("words=[$out/words/elderly.safetensors,$out/words/childish.safetensors,$out/words/chimpira.safetensors]")
lead export "run=$run-projector" format=starter "dataset=datasets/$data" "${parts[@]}" "bits=${BITS:-8}" \
  "output=$starter" overwrite=true

measure() { # name of the measurement, table of sentences
  local judged=("sentences=docs/results/$2" "classifier=$run-classifier")
  lead evaluate "run=$starter" "${judged[@]}" "output=$out/$1.json"
  [ ! -d "$starter/distilled" ] || lead evaluate "run=$starter/distilled" "projector=$starter" \
    "${judged[@]}" "output=$out/$1_distilled.json"
}
measure sentences starter_sentences.tsv
measure everyday everyday_sentences.tsv
lead evaluate "run=$starter" protocol=open "evaluator=$run-evaluator" "protocol.replications=${REPLICATIONS:-5}" \
  "output=$out/open.json"
python scripts/starter_card.py "$starter" "$out"
lead generate prompts=scripts/starter_prompts.txt "output=$out/clips" overwrite=true
