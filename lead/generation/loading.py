"""From runs and the values of options to a motion model and its sampling."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.precision import resolve_precision
from lead.core.runs import Run
from lead.core.schema import ClosedSchema
from lead.generation.motion_coder import MotionCoder
from lead.generation.motion_model import MotionModel, Sampling

LEAD, FLOW = "lead.generation.lead_model", "lead.generation.flow_model"
MOTE = "lead.generation.mote_model"

SYSTEMS = {
    **{"diffusion": LEAD, "projector": LEAD, "distill": LEAD},
    **{"flow": FLOW, "joint_diffusion": MOTE, "captioner": MOTE},
}
"""Stage of a run that makes motion -> the module of its system, which has ``load``."""

CODERS = {"vae": LEAD, "autoencoder": FLOW}
"""Stage of a run that codes motions and knows no text -> the same, which has ``load_coder``."""


def _sampling(values: object) -> object:
    if not isinstance(values, Mapping):
        return values
    steps = values["timesteps"]
    return Sampling(**{**values, "timesteps": None if steps is None else tuple(steps)})


class ModelRequest(ClosedSchema):
    """Runs that make a motion model, where it is computed, and how it draws latents."""

    run: str | None
    projector: str | None = None
    diffusion: str | None = None
    device: str
    sampling: Annotated[Sampling, BeforeValidator(_sampling)] = Sampling()


class InferenceRequest(ModelRequest):
    """The same for many motions: the networks' number format, whether torch compiles them."""

    precision: str
    compiled: bool
    batch_size: int
    seed: int

    def settled(self) -> "InferenceRequest":
        """The same, with the precision that ``auto`` means on its device."""
        precision = resolve_precision(self.precision, choose_device(self.device))
        return self.model_copy(update={"precision": precision})


def load_motion_model(
    run: Run, *, projector_run: Run | None = None, diffusion_run: Run | None = None
) -> MotionModel:
    """Load a run with the earlier runs it stands on, whichever system it is of.

    ``projector_run`` adds a projector to a stage-2 run; ``diffusion_run`` a denoiser to a projector
    that was trained on a VAE alone. Raises RequestError where a part is missing or the parts belong
    to different VAEs.
    """
    stage = (diffusion_run or run).stage
    system = (CODERS | SYSTEMS).get(stage, LEAD)
    named = {"projector_run": projector_run, "diffusion_run": diffusion_run}
    named = {part: of for part, of in named.items() if of is not None}
    if named and system != LEAD:
        raise RequestError(f"{run.folder} is a {run.stage} run: leave projector and diffusion out")
    return import_module(system).load(run, **named)


def load_coder(run: Run) -> MotionCoder:
    """What a run of a stage of CODERS codes motions by."""
    return import_module(CODERS[run.stage]).load_coder(run)


def load_named(request: ModelRequest) -> MotionModel:
    """The model that run=, projector= and diffusion= name."""
    if request.run is None:
        raise RequestError("no run given: say run=RUN, a run that `lead train` made")
    projector, diffusion = (
        Run(Path(name)) if name else None for name in (request.projector, request.diffusion)
    )
    run = Run(Path(request.run))
    return load_motion_model(run, projector_run=projector, diffusion_run=diffusion)


def load_for_inference(request: InferenceRequest, load=load_named) -> MotionCoder:
    """The same model on device=, prepared in precision= and compiled=."""
    precision, device = request.settled().precision, choose_device(request.device)
    return load(request).to(device).prepared(precision, request.compiled)


def with_words(model: MotionModel, words: list) -> MotionModel:
    """The model with learned words, checked against its text encoder and one another."""
    vectors: dict = {}
    for word in words:
        word.check_encoder(model.text_encoder)
        if word.word in vectors:
            raise RequestError(f"two of the word files teach {word.word}: give one of them")
        vectors[word.word] = word.vector
    return model.with_words(vectors)
