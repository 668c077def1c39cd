"""lead train stage=STAGE data=NAME [key=value ...] : one stage of LEAD -> a run directory.

stage=STAGE      vae (the default) | diffusion | projector | distill (LEAD) | autoencoder
                 | flow (MLA-Gen) | text_autoencoder | joint_diffusion | captioner (MoTe)
                 | evaluator (the judge of `lead evaluate`) | classifier (names styles and contents)
data=NAME        which prepared dataset (datasets/NAME), or dataset=DIR; default cmu_open
vae=RUN          the run of stage 1; needed by stage=diffusion
diffusion=RUN    the run of stage 2; needed by stage=projector (or vae=RUN for a projector alone)
text_autoencoder=RUN  the run of sentences; needed by stage=joint_diffusion, beside vae=RUN
joint_diffusion=RUN   that run; needed by stage=captioner, which writes better of what it draws
autoencoder=RUN  the run of stage 1 of a flow; needed by stage=flow (or vae=RUN of size=small)
teacher=RUN      the run of stage 2 that stage=distill teaches to sample in one step
size=SIZE        tiny | demo | small (default) | paper | mldpp
run=DIR          run directory; default checkpoints/NAME-SIZE-STAGE
text_encoder=T   minilm | clip_l14 | open_clip_l14 | sentence_t5 | hash
init=RUN         start from the weights of a run of the same stage, with other data or lr
resume=true      go on with a run that was stopped; overwrite=true starts again from nothing
seed=N           default 1234
trainer.KEY=V    max_steps, precision, devices, logger, ... (configs/trainer)
model.PART.KEY=V, stage.module.KEY=V, stages.STAGE.KEY=V : everything else
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lead.cli.config import choice, compose
from lead.cli.loading import check_processes
from lead.core.errors import RequestError
from lead.training.quiet import quiet_lightning

if TYPE_CHECKING:
    from lead.training.stage import TrainRequest

DATA = "cmu_open"
OTHERS = {"WORLD_SIZE", "MASTER_ADDR", "SLURM_NTASKS"}
"""Of the environment: what tells a process of others on other machines."""


def run(overrides: Sequence[str]) -> int:
    """Train one stage."""
    request = read(overrides)
    check_processes("trainer.devices", request.trainer.devices)
    if request.trainer.num_nodes > 1 and not OTHERS & {*os.environ}:
        raise RequestError(
            f"trainer.num_nodes={request.trainer.num_nodes}, but nothing starts the processes of "
            "the others: use torchrun or Slurm on each"
        )
    from pytorch_lightning.utilities import rank_zero_only

    from lead.cli.next_stage import other_sizes, what_comes_next
    from lead.training.stages import train_stage

    if rank_zero_only.rank == 0:  # one of several processes speaks
        for remark in other_sizes(request):
            print(f"lead: note: {remark}", file=sys.stderr)
        if request.resume and not (request.run / "run.json").is_file():
            print(f"{request.run} holds nothing to resume: starting from the beginning")
    finished = train_stage(request)
    if rank_zero_only.rank:
        return 0
    record = finished.record
    best = ", ".join(f"{name} {value:.6g}" for name, value in record.best.items())
    print(f"{finished.folder}: {request.stage} finished at step {record.step}; best: {best}")
    print(f"next: {what_comes_next(finished, overrides, DATA)}")
    return 0


def read(overrides: Sequence[str]) -> "TrainRequest":
    """The training that these words ask for; RequestError where they do not fit."""
    values = compose("train", overrides)
    data = choice(overrides, "data", DATA)
    values["dataset"] = values["dataset"] or f"datasets/{data}"
    stage, size = values["stage"]["name"], values["size_name"]
    values["run"] = values["run"] or f"checkpoints/{data}-{size}-{stage}"
    quiet_lightning()
    from lead.cli.train_request import train_request

    return train_request(values)
