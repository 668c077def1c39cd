#!/usr/bin/env bash
# The main job on the embedded defaults: synthetic motions, the three stages, clips, a table.
# Every step is skipped where its result is there already, so a second run goes on where the
# first one stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

size=${SIZE:-demo}
base=checkpoints/demo-$size
out=outputs/demo
start=$(date +%s)
say() { printf '\n[demo %d s] %s\n' "$(($(date +%s) - start))" "$1"; }
finished() { grep -qs '"status": "finished"' "$1/run.json"; }
train() { # stage, options...
  local stage=$1
  shift
  finished "$base-$stage" || lead train "stage=$stage" "size=$size" "run=$base-$stage" resume=true "$@"
}

say "synthetic motions with captions -> datasets/synthetic"
[ -f datasets/synthetic/manifest.json ] || lead prepare data=synthetic
say "stage 1 of 3: motion VAE"
train vae
say "stage 2 of 3: latent diffusion"
train diffusion "vae=$base-vae"
say "stage 3 of 3: projector"
train projector "diffusion=$base-diffusion"
say "text -> motion"
lead generate "run=$base-projector" prompts=scripts/demo_prompts.txt "output=$out" overwrite=true
say "measures of real, rebuilt and generated clips (test split)"
lead evaluate "run=$base-projector"
say "done. Look at $out/index.html (moving pictures) and $out/sheet.png"
echo "Your own sentence: .venv/bin/lead generate run=$base-projector text=\"a person jumps twice\" seconds=3"
