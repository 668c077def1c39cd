#!/usr/bin/env bash
# The starter model, checkpoints/starter, from the recordings: data, VAE, LEAD's diffusion and projector, beside
# them a distilled one, a flow and a MoTe, learned words, packing, measures, model card.
# usage: scripts/make_starter.sh FOLDER_OF_BANDAI_NAMCO FOLDER_OF_CMU [FOLDER_OF_SENTENCES]
# The third holds HumanML3D/captions.json and KIT-ML/annotations.json, for MoTe's text auto-encoder.
# Two cores with native bf16: about seven hours; without it about four times as long. What is
# finished is not run again. BITS=16 keeps weights in half precision.
set -euo pipefail
usage="usage: scripts/make_starter.sh FOLDER_OF_BANDAI_NAMCO FOLDER_OF_CMU [FOLDER_OF_SENTENCES]"
bandai_namco=$(realpath "${1:?$usage}")
cmu=$(realpath "${2:?$usage}")
sentences=${3:+$(realpath "$3")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

size=small
run=checkpoints/starter-$size
starter=checkpoints/starter
out=outputs/starter
source scripts/train_once.sh

prepare bandai_namco data=bandai_namco "source=$bandai_namco"
prepare cmu data=cmu "source=$cmu"
parts="parts=[datasets/bandai_namco,datasets/cmu]"
prepare mix data=mix "$parts" "data.weights={cmu: 2}"
prepare mix-both-sides data=mix "$parts" "data.weights={cmu: 2}" mirror=true # clips and their mirror images

data=mix
train vae dataset=datasets/mix-both-sides seed=1234
train diffusion "vae=$run-vae" dataset=datasets/mix-both-sides seed=1234
longer="stages.diffusion.optimizer.lr=6e-4 stages.diffusion.max_steps=5000"
train diffusion-longer "vae=$run-vae" "init=$run-diffusion" dataset=datasets/mix-both-sides seed=1235 $longer
train diffusion-longest "vae=$run-vae" "init=$run-diffusion-longer" dataset=datasets/mix-both-sides seed=1236 $longer
train projector "diffusion=$run-diffusion-longest" dataset=datasets/mix-both-sides seed=1234
train distill "teacher=$run-diffusion-longest" dataset=datasets/mix-both-sides seed=1234
train flow "vae=$run-vae" dataset=datasets/mix-both-sides seed=1234
train flow-longer "vae=$run-vae" "init=$run-flow" dataset=datasets/mix-both-sides seed=1235 \
  stages.flow.optimizer.lr=5e-4 stages.flow.max_steps=3500
files=${sentences:+$sentences/HumanML3D/captions.json,$sentences/KIT-ML/annotations.json}
train text_autoencoder dataset=datasets/mix-both-sides seed=1234 "stage.sentences=[$files]"
both="vae=$run-vae text_autoencoder=$run-text_autoencoder dataset=datasets/mix-both-sides"
towards="stages.joint_diffusion.optimizer.lr=7e-4 stage.module.contexts={joint:0.05,motion_from_text:0.35,text_from_motion:0.45,motion_alone:0.05,text_alone:0.1}"
train joint_diffusion $both seed=1234 stages.joint_diffusion.max_steps=4000
train joint_diffusion-longer $both "init=$run-joint_diffusion" seed=1235 stages.joint_diffusion.max_steps=2300 $towards
train joint_diffusion-longest $both "init=$run-joint_diffusion-longer" seed=1236 stages.joint_diffusion.max_steps=4500 $towards
train captioner "joint_diffusion=$run-joint_diffusion-longest" dataset=datasets/mix-both-sides seed=1234
data=bandai_namco
train classifier dataset=datasets/bandai_namco seed=1234

[ -f "$out/words/chimpira.safetensors" ] ||
  lead invert "run=$run-projector" concepts=scripts/starter_words.yaml templates=action dataset=datasets/mix \
    "output=$out/words" overwrite=true progress=false
lead export "run=$run-projector" format=starter dataset=datasets/mix "beside=[$run-flow-longer,$run-distill,$run-captioner]" \
  "words=[$out/words/elderly.safetensors,$out/words/childish.safetensors,$out/words/chimpira.safetensors]" \
  "bits=${BITS:-8}" "output=$starter" overwrite=true

measure() { # name of the measurement, table of sentences
  lead evaluate "run=$starter" "sentences=docs/results/$2" "classifier=$run-classifier" dataset=datasets/mix \
    "output=$out/$1.json"
}
measure sentences starter_sentences.tsv
measure everyday everyday_sentences.tsv
measure steps steps_sentences.tsv
lead evaluate "run=$starter" protocol=open evaluator=checkpoints/judge dataset=datasets/mix "output=$out/open.json"
python scripts/starter_card.py "$starter" "$out"
lead generate prompts=scripts/starter_prompts.txt "output=$out/clips" overwrite=true
