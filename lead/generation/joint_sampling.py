"""From a condition to latents of a motion, of a sentence, or of both, by MoTe's diffusion."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead.core.seeding import make_generator
from lead.diffusion.forward import add_noise
from lead.diffusion.guidance import guide
from lead.diffusion.samplers import sample_ddim
from lead.diffusion.schedules import NoiseSchedule
from lead.models.joint_denoiser import CLEAN, JointDenoiser, Side

TOKENS_MOST = 1024
FITTED = (0.2, 0.4, 0.6)  # where sentences about a motion are compared, of all timesteps
Latents = Float[Tensor, " batch *rest"]
Motion = Float[Tensor, "batch tokens channels"]
Sentence = Float[Tensor, "batch latents dim"]


@dataclass(frozen=True)
class Steps:
    """How latents are denoised by DDIM: its timesteps, and how far guidance goes."""

    schedule: NoiseSchedule
    timesteps: list[int]
    scale: float = 2.0

    @property
    def last(self) -> int:
        """The last timestep, where noise tells nothing."""
        return self.schedule.num_train_timesteps - 1

    def run(self, predict_noise: Callable[[Tensor, Tensor], Tensor], noise: Latents) -> Latents:
        """Latents from ``noise``, which is that of the first timestep."""
        return sample_ddim(predict_noise, noise, self.timesteps, self.schedule)


def sample_motion(
    network: JointDenoiser,
    noise: Motion,
    sentence: Sentence,
    given: Bool[Tensor, " batch"],
    steps: Steps,
    mask: Bool[Tensor, "batch tokens"] | None = None,
    words: Float[Tensor, "batch words text_dim"] | None = None,
    word_mask: Bool[Tensor, "batch words"] | None = None,
) -> Motion:
    """Motion from text: X = X_u + scale (X_c - X_u) of the noise, X_u without any text.

    Rows that are not ``given`` a sentence are motion alone. Nothing is on padding.
    """
    clean = torch.full_like(given, CLEAN, dtype=torch.long)
    nothing = _nothing(network, sentence, steps)
    condition = _chosen(given, Side(sentence, clean, torch.ones_like(given)), nothing)
    if mask is not None:
        noise = noise.masked_fill(~mask[..., None], 0)

    def predict(z: Tensor, timestep: Tensor) -> Tensor:
        motion = Side(z, timestep, torch.ones_like(given), mask)
        out, _ = network(motion, condition, words, word_mask)
        if steps.scale != 1 and bool(given.any()):
            without, _ = network(motion, nothing)
            out = guide(without, out, steps.scale)
        return out if mask is None else out.masked_fill(~mask[..., None], 0)

    return steps.run(predict, noise)


def sample_sentence(
    network: JointDenoiser,
    noise: Sentence,
    motion: Motion,
    given: Bool[Tensor, " batch"],
    steps: Steps,
    mask: Bool[Tensor, "batch tokens"] | None = None,
) -> Sentence:
    """Text from motion; rows that are not ``given`` one are text alone."""
    clean = torch.full_like(given, CLEAN, dtype=torch.long)
    nothing = _nothing(network, motion, steps, mask)
    condition = _chosen(given, Side(motion, clean, torch.ones_like(given), mask), nothing)

    def predict(z: Tensor, timestep: Tensor) -> Tensor:
        text = Side(z, timestep, torch.ones_like(given))
        _, out = network(condition, text)
        if steps.scale != 1 and bool(given.any()):
            _, without = network(nothing, text)
            out = guide(without, out, steps.scale)
        return out

    return steps.run(predict, noise)


def sample_both(
    network: JointDenoiser,
    noise: Motion,
    of_sentence: Sentence,
    steps: Steps,
    mask: Bool[Tensor, "batch tokens"] | None = None,
) -> tuple[Motion, Sentence]:
    """A motion and its sentence at one time for both; guided away from either alone."""
    tokens, shape = noise.shape[1] * noise.shape[2], noise.shape[1:]
    rows = torch.ones(len(noise), dtype=torch.bool, device=noise.device)
    no_motion = _nothing(network, noise, steps, mask)
    no_text = _nothing(network, of_sentence, steps)

    def predict(z: Tensor, timestep: Tensor) -> Tensor:
        motion = Side(z[:, :tokens].unflatten(1, shape), timestep, rows, mask)
        text = Side(z[:, tokens:].unflatten(1, of_sentence.shape[1:]), timestep, rows)
        x, y = network(motion, text)
        if steps.scale != 1:
            x = guide(network(motion, no_text)[0], x, steps.scale)
            y = guide(network(no_motion, text)[1], y, steps.scale)
        x = x if mask is None else x.masked_fill(~mask[..., None], 0)
        return torch.cat([x.flatten(1), y.flatten(1)], dim=1)

    if mask is not None:
        noise = noise.masked_fill(~mask[..., None], 0)
    z = steps.run(predict, torch.cat([noise.flatten(1), of_sentence.flatten(1)], dim=1))
    return z[:, :tokens].unflatten(1, shape), z[:, tokens:].unflatten(1, of_sentence.shape[1:])


def motion_errors(
    network: Callable[..., tuple[Tensor, ...]],
    schedule: NoiseSchedule,
    clean: Motion,
    drawn: Motion,
    timestep: Int[Tensor, " batch"],
    mask: Bool[Tensor, "batch tokens"],
    sentence: Sentence,
    words: Float[Tensor, "batch words text_dim"],
    word_mask: Bool[Tensor, "batch words"],
) -> Float[Tensor, " batch"]:
    """|noise - noise_theta|^2 of motion from text, mean over the latents of each row."""
    given = torch.ones_like(timestep, dtype=torch.bool)
    noised = add_noise(clean, drawn, timestep, schedule)
    text = Side(sentence, torch.full_like(timestep, CLEAN), given)
    guess = network(Side(noised, timestep, given, mask), text, words, word_mask)[0]
    return (((guess - drawn) ** 2).mean(dim=2) * mask).sum(1) / mask.sum(1)


def likeliest(
    network: Callable[..., tuple[Tensor, ...]],
    schedule: NoiseSchedule,
    motion: Motion,
    mask: Bool[Tensor, "batch tokens"],
    sentence: Sentence,
    words: Float[Tensor, "batch words text_dim"],
    word_mask: Bool[Tensor, "batch words"],
    many: int,
) -> list[int]:
    """Of each motion, ``many`` equal rows, the row whose sentence tells most of its noise.

    The other direction of the network judges what this one says: a noisy channel, and the
    classifier of Li et al. 2023 (eq. 4) among the sentences. All are compared under the same noise.
    """
    errors = torch.zeros(len(motion), device=motion.device)
    steps = schedule.num_train_timesteps
    for share in FITTED:
        timestep = torch.full_like(mask[:, 0], int(share * steps), dtype=torch.long)
        drawn = _same_noise(motion, "likeliest", str(share))
        asked = (motion, drawn, timestep, mask, sentence, words, word_mask)
        errors += motion_errors(network, schedule, *asked)
    best = errors.view(-1, many).argmin(dim=1)
    return [many * row + place for row, place in enumerate(best.tolist())]


def _chosen(given: Tensor, one: Side, other: Side) -> Side:
    """Rows of ``one`` where ``given``, else of ``other``."""
    rows = given[:, None, None]
    return Side(
        torch.where(rows, one.z_t, other.z_t),
        torch.where(given, one.timestep, other.timestep),
        torch.where(given, one.given, other.given),
        one.mask,
    )


def _nothing(
    network: JointDenoiser, like: Latents, steps: Steps, mask: Tensor | None = None
) -> Side:
    """A modality that is not there: one token, or where noise says that, the same for every row."""
    if network.empty == "token":
        return network.nothing(torch.zeros_like(like[:, :1]), steps.last)
    return network.nothing(_same_noise(like, "nothing"), steps.last, mask)


def _same_noise(like: Latents, *purpose: str) -> Latents:
    """Noise as large as ``like``, the same for every row however many tokens there are."""
    drawn = torch.randn(TOKENS_MOST, like.shape[2], generator=make_generator(0, *purpose))
    return drawn[: like.shape[1]].to(like).expand_as(like)
