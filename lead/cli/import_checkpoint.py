"""lead import source=S checkpoint=FILE [key=value ...] : a foreign checkpoint -> run directories.

source=S         mld | motionlcm | acmdm | t2m (the text-to-motion evaluator)
checkpoint=FILE  its checkpoint (.ckpt, .safetensors); of t2m finest.tar, or the folder around it
autoencoder=FILE of acmdm: the checkpoint of its auto-encoder, with the AE_2D_Causal_Post_*.npy
                 that came with it; checkpoint= is then its flow
output=DIR       default checkpoints/SOURCE-DATASET; DIR/vae and DIR/diffusion, of acmdm
                 DIR/autoencoder and DIR/flow, of t2m DIR itself
dataset=D        humanml3d | kit
mean=FILE std=FILE   how its motions were normalised (Mean.npy, Std.npy of the data set);
                 default: those of the prepared data set
text_encoder=T   default: what it was published with (mld clip_l14, motionlcm sentence_t5,
                 acmdm clip_b32)
overwrite=true   replace DIR
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lead.cli.config import compose
from lead.cli.outputs import IMPORTED, RUN, output_folder
from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import check_regular

if TYPE_CHECKING:
    from lead.interop.runs import Origin

TEXT_ENCODERS = {
    "mld": "clip_l14",
    "motionlcm": "sentence_t5",
    "acmdm": "clip_b32",
    "t2m": "clip_l14",
}


def run(overrides: Sequence[str]) -> int:
    """Import a checkpoint."""
    config = _compose(overrides)
    project, checkpoint = config["source"], config["checkpoint"]
    if checkpoint is None:
        raise RequestError("import needs checkpoint=FILE: name the checkpoint")
    if not Path(checkpoint).is_dir():
        check_regular(checkpoint, "checkpoint=")
    if (config["mean"] is None) != (config["std"] is None):
        raise RequestError("mean and std go together: name both files")
    output = Path(config["output"] or f"checkpoints/{project}-{config['dataset']}")
    flow = replace(IMPORTED, mark="flow/run.json", names=("autoencoder", "flow"))
    made = {"t2m": RUN, "acmdm": flow}.get(project, IMPORTED)
    with output_folder(output, made, overwrite=config["overwrite"]):
        return _import(config, output)


def _import(config: dict, output: Path) -> int:
    project, checkpoint, dataset = (config[key] for key in ("source", "checkpoint", "dataset"))
    from lead.interop.runs import Origin, find_statistics, import_diffusion, import_evaluator

    origin = Origin(project, Path(checkpoint), dataset)
    if project == "t2m":
        made = import_evaluator(origin, output, config["overwrite"])
        print(f"{made.folder}: evaluator {made.record.judge.name}")
        print(f"next: lead evaluate run=RUN protocol=t2m evaluator={made.folder}")
        return 0
    if project == "acmdm":
        return _import_flow(config, origin, output)
    statistics = find_statistics(dataset, config["mean"], config["std"])
    vae, diffusion = import_diffusion(
        origin, output, config["text_encoder"], statistics, config["overwrite"]
    )
    for made in (vae, diffusion):
        print(f"{made.folder}: {made.stage} of {project}, every tensor accounted for")
    print(f'next: lead generate run={diffusion.folder} text="a person walks forward" seconds=4')
    return 0


def _import_flow(config: dict, origin: "Origin", output: Path) -> int:
    from lead.interop.runs import find_flow_statistics, import_flow

    if config["autoencoder"] is None:
        raise RequestError("source=acmdm needs autoencoder=FILE: name its auto-encoder")
    autoencoder = check_regular(config["autoencoder"], "autoencoder=")
    statistics = find_flow_statistics(autoencoder, (config["mean"], config["std"]))
    made = import_flow(
        *(origin, autoencoder, output, config["text_encoder"], statistics, config["overwrite"])
    )
    for run in made:
        print(f"{run.folder}: {run.stage} of acmdm, every tensor accounted for")
    return 0


def _compose(overrides: Sequence[str]) -> dict:
    config = compose("import", overrides)
    if config["source"] not in TEXT_ENCODERS:
        known = ", ".join(TEXT_ENCODERS)
        if config["source"] is None:
            raise RequestError(f"import needs source=S: one of {known}")
        hint = did_you_mean(config["source"], TEXT_ENCODERS)
        raise RequestError(f"unknown source '{config['source']}': {hint}")
    if any(word.startswith("text_encoder=") for word in overrides):
        return config
    return compose("import", [*overrides, f"text_encoder={TEXT_ENCODERS[config['source']]}"])
