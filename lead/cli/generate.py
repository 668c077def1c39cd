"""lead generate text="a person walks forward" [run=RUN] [key=value ...] : text -> motion files.

run=RUN          a diffusion run (MLD), a projector run (LEAD) or a flow (MLA-Gen); default: the
                 starter model, checkpoints/starter or $LEAD_STARTER
text="..."       the sentence; or prompts=FILE, one a line ("sentence # SECONDS" sets a length)
timeline=FILE    the same lines, one motion that does one after the other, as long as they take
                 together (flows on latents of a VAE); the npz says which frames are of which
seconds=4        length of each clip
seed=1 count=3   three clips per sentence, of seeds 1, 2 and 3
best_of=4        the best of four draws (seeds 1 to 4, 5 to 8, ...) by evaluator=checkpoints/judge
start=FILE       a motion (npz, BVH) that each clip begins with: it goes on from there. For flows
keep=FILE keep_frames=[0-20,60-80]   frames of a motion that stay; those between are new. For flows
task=joint       a motion and its sentence together, of no text; task=motion a motion alone. MoTe
like=FILE        motions like this one (npz, BVH, AMC, npy): by like_by=text, its captions, or by
                 like_by=noise strength=0.5, that share of the noise put on it. MoTe
project=BOOL     realign the latents by the projector; default: where the run has one
projector=RUN    a projector to use with a diffusion run
diffusion=RUN    a denoiser to use with a projector that was trained on a VAE alone
words=[A,B]      files of learned words (`lead invert`), such as <zombie>, for use in sentences;
                 those that the run has in its own folder words/ need not be named
formats=[npz,gif]   npz | gif | webp | mp4 | png | bvh | glb | html (one player for all clips)
format=html      the same as formats=[npz,html]
fps=60 names=mixamo root=true scale=100   of BVH, GLB, films and pages: see `lead export --help`
output=DIR       default outputs/RUN-FIRST-WORDS; overwrite=true replaces it
sampling=S       ddim50 | ddpm1000; for a distilled run lcm1 | lcm2 | lcm4; for a flow
                 euler16 | heun16 | midpoint16 | dopri5 | euler16_sink
sampling.KEY=V   steps, guidance_scale, timesteps, eta, plant_feet; of a flow shift, sink_..., ...
device=auto      cpu | cuda
profile=true     say at the end where the time went
precision=fp32   fp32 | bf16 | auto (bf16 where the processor has it; joints move by 1 mm)
compiled=true    have torch compile the networks first: half a minute, then faster for each batch
"""

import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lead.cli.loading import check_lengths, compose_for_run, request
from lead.cli.outputs import CLIPS, output_folder
from lead.cli.prompts import prompts_of
from lead.cli.stopwatch import Stopwatch
from lead.core.errors import RequestError
from lead.core.files import last_name


def run(overrides: Sequence[str]) -> int:
    """Generate clips and write them with an index."""
    watch = Stopwatch()
    config = compose_for_run("generate", overrides)
    if config["run"] is None:
        raise RequestError("generate needs run=RUN: a run that `lead train` made")
    prompts = prompts_of(config)
    if all(config[key] is None for key in ("start", "keep", "timeline", "like")):
        check_lengths(config, prompts)
    folder, formats = _output_name(config, prompts), _formats(config)
    from lead.export.formats import Manner

    manner = request(Manner, config)
    manner.check(*formats)
    with output_folder(folder, CLIPS, overwrite=config["overwrite"]):
        watch.lap("read options")
        from lead.studies.clips import GenerateRequest, generate_folder

        asked = request(GenerateRequest, config, manner=manner)
        note = partial(print, "lead: note:", file=sys.stderr)
        generate_folder(prompts, folder, formats, asked, lap=watch.lap, say=print, note=note)
        if config["profile"]:
            print(watch.breakdown())
    return 0


def _output_name(config: dict, prompts: list[tuple[str, float]]) -> Path:
    named = prompts[0][0] or (config["task"] if config["like"] is None else "like")
    words = re.sub(r"[^a-z0-9]+", "-", named.lower()).strip("-")[:40].strip("-")
    default = f"outputs/{last_name(config['run'])}-{words or 'motion'}"
    return Path(config["output"] or default)


def _formats(config: dict) -> list[str]:
    """What to write of each clip."""
    from lead.export.formats import FORMATS

    formats = config["formats"]
    if config["format"] is not None:
        formats = ["npz", str(config["format"])]
    if not formats:
        raise RequestError(f"formats is empty: choose of {', '.join(FORMATS)}")
    return list(dict.fromkeys(formats))
