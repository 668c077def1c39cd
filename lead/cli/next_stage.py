"""What follows a stage, and what it stands on: lines that `lead train` says."""

from collections.abc import Sequence
from shlex import join, quote

from lead.cli.paths import config_folder
from lead.cli.train_request import EARLIER
from lead.core.runs import Run
from lead.training.stage import TrainRequest

NEXT = {
    "vae": "lead train stage=diffusion {chosen} vae={run}",
    "timed_vae": "lead train stage=flow {chosen} vae={run}  # or stage=diffusion, for LEAD",
    "diffusion": "lead train stage=projector {chosen} diffusion={run}",
    "autoencoder": "lead train stage=flow {chosen} autoencoder={run}",
    "text_autoencoder": "lead train stage=joint_diffusion {chosen} vae=RUN text_autoencoder={run}",
    "joint_diffusion": "lead train stage=captioner {chosen} joint_diffusion={run}",
    "captioner": "lead caption run={run} motions=FILE",
    "classifier": "lead evaluate run={run}{measured}",
    "evaluator": "lead evaluate run=RUN protocol=open evaluator={run}{measured}",
}
SEE = 'lead generate run={run} text="a person walks forward" seconds=4'
"""What comes after a stage, or after a model of it; after any other, it is seen what it makes."""

OWN = ("stage", "run", "init", "resume", "overwrite", "trainer.max_steps", "trainer.validate_every")
"""Options of one training alone, with those that name earlier runs, and those of its own parts."""


def other_sizes(request: TrainRequest) -> list[str]:
    """What to tell of each earlier run that was made with another ``size=`` of those there are."""
    runs = [run for run in map(Run, request.earlier.values()) if run.exists()]
    sizes = [(run, run.record.values.get("size_name", request.size)) for run in runs]
    return [
        f"{run.folder} is of size={size}, this {request.stage} of size={request.size}: if that is "
        f"not meant, say size={size}"
        for run, size in sizes
        if size != request.size and (config_folder() / "size" / f"{size}.yaml").is_file()
    ]


def what_comes_next(finished: Run, overrides: Sequence[str], data: str) -> str:
    """The command that goes on from a run, with what was chosen for it and holds for all stages."""
    stage, parts = finished.stage, finished.record.parts
    own = {*OWN, *EARLIER, *(f"model/{part}" for part in parts)}
    below = ("stage.", f"stages.{stage}.", *(f"model.{part}." for part in parts))
    words = {word.partition("=")[0]: word for word in overrides}
    chosen = {
        key: word for key, word in words.items() if key not in own and not key.startswith(below)
    }
    if not {"data", "dataset"} & {*chosen}:
        chosen = {"data": f"data={data}", **chosen}
    made = parts.get(stage, {}).get("_target_")  # whose latents keep time, say
    return NEXT.get(made, NEXT.get(stage, SEE)).format(
        run=quote(str(finished.folder)),
        chosen=join(chosen.values()),
        measured=f" {quote(words['dataset'])}" if "dataset" in words else "",
    )
