"""A small untrained model, so that an inversion takes a fraction of a second."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lead.core.freezing import freeze
from lead.diffusion.schedules import scaled_linear
from lead.generation.lead_model import LeadModel
from lead.inversion import Concept
from lead.models.denoiser import MldDenoiser
from lead.models.projector import Projector
from lead.models.text_encoders import HashTextEncoder
from lead.models.vae import MotionVAE
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer

SIZES = {"latent_dim": 8, "width": 16, "layers": 3, "heads": 2, "feed_forward": 24}


@pytest.fixture
def model() -> LeadModel:
    torch.manual_seed(3)
    return LeadModel(
        vae=freeze(MotionVAE(latent_tokens=2, **SIZES)),
        denoiser=freeze(MldDenoiser(text_dim=12, relu_before_text=False, **SIZES)),
        projector=freeze(Projector(text_dim=12, **SIZES)),
        text_encoder=HashTextEncoder(dim=12),
        normalizer=Normalizer(np.zeros(263), np.ones(263)),
        schedule=scaled_linear(),
        skeleton=get_skeleton("humanml3d"),
        fps=20.0,
        frame_limits=(10, 60),
    )


@pytest.fixture
def make_concept() -> Callable[..., Concept]:
    def make(word: str = "<zombie>", init: str = "walk", motions: int = 1, **options) -> Concept:
        rng = np.random.default_rng(len(word))
        clips = [rng.normal(size=(40 + n, 263)).astype(np.float32) for n in range(motions)]
        return _concept_of(clips, word=word, init=init, **options)

    return make


@pytest.fixture
def concept_of() -> Callable[..., Concept]:
    return _concept_of


def _concept_of(clips, word: str = "<zombie>", init: str = "walk", **options) -> Concept:
    sources = tuple(f"clip {n}" for n in range(len(clips)))
    templates = options.pop("templates", ("a <*> person", "someone <*>", "<*>"))
    return Concept(word, init, tuple(clips), sources, templates, **options)
