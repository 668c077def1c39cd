"""From the values of options to a pipeline and its sampling."""

from pathlib import Path

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.precision import resolve_precision
from lead.core.runs import Run
from lead.generation.pipeline import Sampling, load_pipeline


def load_text_to_motion(config: dict):
    """The pipeline that run=, projector= and diffusion= name."""
    if config["run"] is None:
        raise RequestError("no run given: say run=RUN, a run that `lead train` made")
    named = {
        f"{key}_run": Run(Path(config[key])) if config[key] else None
        for key in ("projector", "diffusion")
    }
    return load_pipeline(Run(Path(config["run"])), **named)


def load_for_inference(config: dict):
    """The same pipeline on device=, prepared in precision=, which is filled in, and compiled=."""
    device = choose_device(config["device"])
    config["precision"] = resolve_precision(config["precision"], device)
    pipeline = load_text_to_motion(config).to(device)
    return pipeline.prepared(config["precision"], config["compiled"])


def make_sampling(config: dict, pipeline=None):
    """The sampling settings; RequestError where the pipeline, if one is given, cannot use them."""
    values = config["sampling"]
    timesteps = None if values["timesteps"] is None else tuple(values["timesteps"])
    sampling = Sampling(**{**values, "timesteps": timesteps})
    if pipeline is not None:
        pipeline.check_sampling(sampling)
    return sampling


def with_words(pipeline, words: list):
    """The pipeline with learned words, checked against its text encoder and one another."""
    vectors: dict = {}
    for word in words:
        word.check_encoder(pipeline.text_encoder)
        if word.word in vectors:
            raise RequestError(f"two of the word files teach {word.word}: give one of them")
        vectors[word.word] = word.vector
    return pipeline.with_words(vectors)
