"""The paper's models with random weights, ours and plain ones with the same numbers."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lead.bench.plain_models import PlainDenoiser, PlainProjector, PlainVae
from lead.bench.setting import Setting
from lead.core.freezing import freeze
from lead.core.seeding import make_generator
from lead.diffusion.schedules import scaled_linear
from lead.generation import Sampling
from lead.generation.lead_model import LeadModel
from lead.models.denoiser import MldDenoiser
from lead.models.projector import Projector
from lead.models.text_encoders.hash import HashTextEncoder
from lead.models.vae import MotionVAE
from lead.representation import features_to_joints, get_skeleton
from lead.representation.normalizer import Normalizer

TEXT_DIM = 768
MORE_GUIDANCE = 7.5


@dataclass(frozen=True)
class PlainModels:
    """The same weights as a pipeline's in straightforward modules."""

    vae: PlainVae
    denoiser: PlainDenoiser
    projector: PlainProjector
    normalizer: Normalizer

    @torch.no_grad()
    def generate(
        self, noise: Tensor, text: Tensor, null: Tensor, mask: Tensor, steps: int = 50
    ) -> Tensor:
        """Joints by MLD's loop: guided DDIM, projector, decoder; each step computes everything."""
        levels = torch.cumprod(
            1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0
        )
        stride, z = 1000 // steps, noise
        for step in reversed(range(steps)):
            t = 1 + stride * step
            times = torch.full((2 * len(z),), t, device=z.device)
            both = torch.cat([null.expand_as(text), text])
            unconditional, conditional = self.denoiser(torch.cat([z, z]), times, both).chunk(2)
            predicted = unconditional + MORE_GUIDANCE * (conditional - unconditional)
            level, following = levels[t], levels[max(t - stride, 0)]
            clean = (z - (1 - level).sqrt() * predicted) / level.sqrt()
            z = following.sqrt() * clean + (1 - following).sqrt() * predicted
        x = self.normalizer.denormalize(self.vae.decode(self.projector(z), mask))
        return features_to_joints(x * mask[..., None])


def paper_models(setting: Setting) -> tuple[LeadModel, PlainModels]:
    """Both sides, frozen, on the setting's device. Sentences come embedded."""
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        vae, denoiser = MotionVAE(), MldDenoiser(text_dim=TEXT_DIM)
        projector = Projector(text_dim=TEXT_DIM)
        plain = PlainVae(), PlainDenoiser(TEXT_DIM), PlainProjector(TEXT_DIM)
    for target, source in zip(plain, (vae, denoiser, projector), strict=True):
        target.load_state_dict(source.state_dict())
    skeleton = get_skeleton("humanml3d")
    normalizer = Normalizer(np.zeros(skeleton.features), np.full(skeleton.features, 0.05))
    parts = [freeze(part).to(setting.device) for part in (vae, denoiser, projector, *plain)]
    pipeline = LeadModel(
        vae=parts[0],
        denoiser=parts[1],
        projector=parts[2],
        text_encoder=HashTextEncoder(dim=TEXT_DIM, buckets=64),  # never asked
        normalizer=normalizer.to(setting.device),
        schedule=scaled_linear(),
        skeleton=skeleton,
        fps=skeleton.fps,
        frame_limits=(4, 400),
    )
    return pipeline, PlainModels(*parts[3:], normalizer)


def distilled_denoiser(setting: Setting) -> MldDenoiser:
    """One with the guidance scale as an input, as distillation makes it."""
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        return freeze(MldDenoiser(text_dim=TEXT_DIM, guidance_dim=256)).to(setting.device)


def embeddings(setting: Setting, count: int) -> Tensor:
    """Stand-ins for ``count`` embedded sentences and the empty one, (count + 1, 1, TEXT_DIM)."""
    generator = make_generator(setting.seed, "text")
    return torch.randn(count + 1, 1, TEXT_DIM, generator=generator).to(setting.device)


def sampling(distilled: bool) -> Sampling:
    """The paper's 50 guided steps, or MotionLCM's one."""
    return Sampling("lcm", 1, MORE_GUIDANCE) if distilled else Sampling("ddim", 50, MORE_GUIDANCE)
