"""lead train stage=STAGE data=NAME [key=value ...] : one stage of LEAD -> a run directory.

stage=STAGE      vae | diffusion | projector | distill | evaluator (the judge of `lead evaluate`)
                 | classifier (names styles and contents)
data=NAME        which prepared dataset (datasets/NAME), or dataset=DIR
vae=RUN          the run of stage 1; needed by stage=diffusion
diffusion=RUN    the run of stage 2; needed by stage=projector (or vae=RUN for a projector alone)
teacher=RUN      the run of stage 2 that stage=distill teaches to sample in one step
size=SIZE        tiny | small | paper
run=DIR          run directory; default checkpoints/NAME-SIZE-STAGE
text_encoder=T   minilm | clip_l14 | open_clip_l14 | sentence_t5 | hash
resume=true      go on with a run that was stopped
overwrite=true   start a run again from nothing
seed=N           default 1234
trainer.KEY=V    max_steps, precision, devices, logger, ... (configs/trainer)
model.PART.KEY=V, stage.module.KEY=V, stages.STAGE.KEY=V : everything else
"""

import os
from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import choice, compose
from lead.cli.loading import check_processes
from lead.core.errors import RequestError
from lead.training.quiet import quiet_lightning

OTHERS = {"WORLD_SIZE", "MASTER_ADDR", "SLURM_NTASKS"}
"""Of the environment: what tells a process of others on other machines."""


def run(overrides: Sequence[str]) -> int:
    """Train one stage."""
    config = compose("train", overrides)
    name = choice(overrides, "data", "cmu_open")
    stage = config["stage"]["name"]
    config["dataset"] = config["dataset"] or f"datasets/{name}"
    config["run"] = config["run"] or f"checkpoints/{name}-{config['size_name']}-{stage}"
    _check_processes(config["trainer"])

    quiet_lightning()
    from pytorch_lightning.utilities import rank_zero_only

    from lead.cli.train_request import train_request
    from lead.training.stages import train_stage

    request = train_request(config)
    if config["resume"] and not (Path(config["run"]) / "run.json").is_file():
        print(f"{config['run']} holds nothing to resume: starting from the beginning")
    finished = train_stage(request)
    if rank_zero_only.rank:
        return 0  # one of several processes speaks
    record = finished.record
    best = ", ".join(f"{name} {value:.6g}" for name, value in record.best.items())
    print(f"{finished.folder}: {stage} finished at step {record.step}; best: {best}")
    print(f"next: {_next(stage, finished.folder, name)}")
    return 0


def _check_processes(trainer: dict) -> None:
    """RequestError for processes that this machine has no room for, or that nobody would start."""
    check_processes("trainer.devices", trainer["devices"])
    if trainer["num_nodes"] > 1 and not OTHERS & {*os.environ}:
        raise RequestError(
            f"trainer.num_nodes={trainer['num_nodes']}, but nothing starts the processes of the "
            "others: use torchrun or Slurm on each"
        )


def _next(stage: str, folder: Path, name: str) -> str:
    if stage == "vae":
        return f"lead train stage=diffusion data={name} vae={folder}"
    if stage == "diffusion":
        return f"lead train stage=projector data={name} diffusion={folder}"
    if stage == "classifier":
        return f"lead evaluate run={folder}"
    if stage == "evaluator":
        return f"lead evaluate run=RUN protocol=open evaluator={folder}"
    return f'lead generate run={folder} text="a person walks forward" seconds=4'
