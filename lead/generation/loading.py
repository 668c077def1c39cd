"""From runs and the values of options to a motion model and its sampling."""

from importlib import import_module
from pathlib import Path

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.precision import resolve_precision
from lead.core.runs import Run
from lead.generation.motion_coder import MotionCoder
from lead.generation.motion_model import MotionModel, Sampling

LEAD, FLOW = "lead.generation.lead_model", "lead.generation.flow_model"

SYSTEMS = {"diffusion": LEAD, "projector": LEAD, "distill": LEAD, "flow": FLOW}
"""Stage of a run that makes motion -> the module of its system, which has ``load``."""

CODERS = {"vae": LEAD, "autoencoder": FLOW}
"""Stage of a run that codes motions and knows no text -> the same, which has ``load_coder``."""


def load_motion_model(
    run: Run, *, projector_run: Run | None = None, diffusion_run: Run | None = None
) -> MotionModel:
    """Load a run with the earlier runs it stands on, whichever system it is of.

    ``projector_run`` adds a projector to a stage-2 run; ``diffusion_run`` a denoiser to a projector
    that was trained on a VAE alone. Raises RequestError where a part is missing or the parts belong
    to different VAEs.
    """
    stage = (diffusion_run or run).stage
    system = import_module((CODERS | SYSTEMS).get(stage, LEAD))
    return system.load(run, projector_run=projector_run, diffusion_run=diffusion_run)


def load_coder(run: Run) -> MotionCoder:
    """What a run of a stage of CODERS codes motions by."""
    return import_module(CODERS[run.stage]).load_coder(run)


def load_named(config: dict) -> MotionModel:
    """The model that run=, projector= and diffusion= name."""
    if config["run"] is None:
        raise RequestError("no run given: say run=RUN, a run that `lead train` made")
    named = {
        f"{key}_run": Run(Path(config[key])) if config[key] else None
        for key in ("projector", "diffusion")
    }
    return load_motion_model(Run(Path(config["run"])), **named)


def load_for_inference(config: dict, load=load_named) -> MotionCoder:
    """The same model on device=, prepared in precision=, which is filled in, and compiled=."""
    device = choose_device(config["device"])
    config["precision"] = resolve_precision(config["precision"], device)
    return load(config).to(device).prepared(config["precision"], config["compiled"])


def make_sampling(config: dict, model: MotionModel | None = None) -> Sampling:
    """The sampling settings; RequestError where the model, if one is given, cannot use them."""
    values = config["sampling"]
    timesteps = None if values["timesteps"] is None else tuple(values["timesteps"])
    sampling = Sampling(**{**values, "timesteps": timesteps})
    if model is not None:
        model.check_sampling(sampling)
    return sampling


def with_words(model: MotionModel, words: list) -> MotionModel:
    """The model with learned words, checked against its text encoder and one another."""
    vectors: dict = {}
    for word in words:
        word.check_encoder(model.text_encoder)
        if word.word in vectors:
            raise RequestError(f"two of the word files teach {word.word}: give one of them")
        vectors[word.word] = word.vector
    return model.with_words(vectors)
