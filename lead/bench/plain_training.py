"""Training steps written straight: fp32, batches as they come, encoders inside the loop."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, mse_loss, smooth_l1_loss

from lead.bench.plain_models import PlainDenoiser, PlainProjector, PlainVae
from lead.representation import features_to_joints
from lead.representation.normalizer import Normalizer

WORDS = 77  # CLIP's sentences are padded to so many
VOCABULARY = 49408


def clip_text_model(width: int = 768) -> nn.Module:
    """CLIP ViT-L/14's text half with random weights; 512 wide it is ViT-B/32's."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=12,
        num_attention_heads=width // 64,
        projection_dim=width,
        attn_implementation="eager",
    )
    return CLIPTextModelWithProjection(config).eval().requires_grad_(False)


@torch.no_grad()
def embed_sentences(clip: nn.Module, count: int, device: torch.device) -> Tensor:
    """Embeddings (count, 1, 768) of sentences of full length."""
    ids = torch.randint(1, VOCABULARY - 1, (count, WORDS), device=device)
    return clip(input_ids=ids).text_embeds[:, None]


def plain_vae_step(vae: PlainVae, normalizer: Normalizer) -> Callable[[Tensor, Tensor], None]:
    """A step of stage 1 on (x, mask): features, joints and KL."""
    vae.train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-4)

    def step(x: Tensor, mask: Tensor) -> None:
        mu, logvar = vae.encode(x, mask)
        rebuilt = vae.decode(mu + (0.5 * logvar).exp() * torch.randn_like(mu), mask)
        real, guess = (features_to_joints(normalizer.denormalize(each)) for each in (x, rebuilt))
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean()
        loss = smooth_l1_loss(rebuilt[mask], x[mask]) + smooth_l1_loss(guess[mask], real[mask])
        _update(optimizer, loss + 1e-4 * kl)

    return step


def plain_diffusion_step(denoiser: PlainDenoiser) -> Callable[[Tensor, Tensor], None]:
    """A step of stage 2 on (latents, embedded sentences)."""
    denoiser.train()
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=1e-4)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    levels = torch.cumprod(1 - betas, 0).float()

    def step(z: Tensor, text: Tensor) -> None:
        timestep = torch.randint(1000, (len(z),), device=z.device)
        noise = torch.randn_like(z)
        level = levels.to(z.device)[timestep][:, None, None]
        noised = level.sqrt() * z + (1 - level).sqrt() * noise
        _update(optimizer, mse_loss(denoiser(noised, timestep, text), noise))

    return step


def plain_projector_step(projector: PlainProjector) -> Callable[[Tensor, Tensor], None]:
    """A step of stage 3 on (latents, embedded sentences): alignment, reconstruction, variance."""
    projector.train()
    optimizer = torch.optim.AdamW(projector.parameters(), lr=1e-4)

    def step(z: Tensor, text: Tensor) -> None:
        projected = projector.encoder(z)
        rebuilt = projector.decoder(projected)
        align = (1 - cosine_similarity(projected.mean(1), text.mean(1), dim=-1)).mean()
        rec = ((z - rebuilt) ** 2).sum((1, 2)).mean()
        ratio = rebuilt.var(0) / z.var(0)
        shift = (z.mean(0) - rebuilt.mean(0)) ** 2 / rebuilt.var(0)
        var = 0.5 * (ratio.log() + 1 / ratio + shift - 1).mean()
        _update(optimizer, 2.1591 * align + 4.7036 * rec + 0.0596 * var)

    return step


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
