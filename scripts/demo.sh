#!/usr/bin/env bash
# What lead does, in minutes on two cores: clips from the starter model where there is one, then the
# three stages on the motions that come with lead, at tiny size behind a starter model, else at size demo.
# Training steps whose result is there are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

starter=${LEAD_STARTER:-checkpoints/starter}
size=${SIZE:-$([ -f "$starter/run.json" ] && echo tiny || echo demo)}
run=checkpoints/demo-$size
out=outputs/demo
start=$(date +%s)
say() { printf '\n[demo %d s] %s\n' "$(($(date +%s) - start))" "$1"; }
data=cmu_open
source scripts/train_once.sh

own="" # what the default run needs in front of a sentence
if [ -f "$starter/run.json" ]; then
  say "text -> motion, by the starter model ($starter)"
  lead generate text="a person waves with the left hand" seconds=5 "output=$out/first" overwrite=true sheet=false
  say "the first clip: $out/first/000.gif"
  lead generate prompts=scripts/starter_prompts.txt "output=$out/starter" formats=[npz,gif,html] overwrite=true
  say "more clips: $out/starter/player.html"
else
  own="run=$run-projector "
  say "no starter model at $starter: only what is trained here"
fi

say "the same from nothing, at size $size: real motions with sentences -> datasets/cmu_open"
[ -f datasets/cmu_open/manifest.json ] || lead prepare data=cmu_open
say "stage 1 of 3: motion VAE"
train vae
say "stage 2 of 3: latent diffusion"
train diffusion "vae=$run-vae"
say "stage 3 of 3: projector"
train projector "diffusion=$run-diffusion"
say "text -> motion by the runs just trained"
lead generate "run=$run-projector" prompts=scripts/demo_prompts.txt "output=$out/trained" overwrite=true
say "measures of real, rebuilt and generated clips (test split)"
lead evaluate "run=$run-projector"

say "done. Where to look:"
if [ -f "$starter/run.json" ]; then
  echo "  $out/starter/player.html   clips of the starter model: turn, play, step through"
  echo "  $starter/README.md   what the starter model can and cannot do"
fi
echo "  $out/trained/index.html   clips of the runs trained here (size $size: quick, not good; SIZE=demo is better than tiny)"
echo "  $run-projector   a run directory: options, weights, measures"
echo "Your own sentence: .venv/bin/lead generate ${own}text=\"a person raises the right hand\" seconds=3"
echo "In a browser:      .venv/bin/lead demo ${own% }"
