"""The objectives of the three stages, as functions of tensors."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, mse_loss, smooth_l1_loss

from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.masks import masked_mean
from lead.models.text_autoencoder import NOTHING, targets
from lead.representation import Skeleton, constant_bones
from lead.representation.kinematics import bone_vectors, reference_offsets


def masked_smooth_l1(
    predicted: Float[Tensor, "batch frames *rest"],
    target: Float[Tensor, "batch frames *rest"],
    mask: Bool[Tensor, "batch frames"],
    threshold: float = 1.0,
) -> Float[Tensor, ""]:
    """SmoothL1, averaged over real frames only: quadratic for errors below ``threshold``."""
    return masked_mean(smooth_l1_loss(predicted, target, reduction="none", beta=threshold), mask)


def mean_square(
    guess: Float[Tensor, "batch tokens *rest"],
    wanted: Float[Tensor, "batch tokens *rest"],
    mask: Bool[Tensor, "batch tokens"] | None,
) -> Float[Tensor, ""]:
    """Mean squared error, with a mask over real tokens only."""
    if mask is None:
        return mse_loss(guess, wanted)
    return masked_mean((guess - wanted).square(), mask)


def gaussian_kl(
    mu: Float[Tensor, "batch tokens dim"],
    logvar: Float[Tensor, "batch tokens dim"],
    mask: Bool[Tensor, "batch tokens"] | None = None,
) -> Float[Tensor, ""]:
    """KL(N(mu, exp(logvar)) || N(0, 1)), averaged over dimensions and batch (MLD's reduction).

    With ``mask`` over real tokens only.
    """
    each = mu**2 + logvar.exp() - 1 - logvar
    return 0.5 * (each.mean() if mask is None else masked_mean(each, mask))


def alignment_loss(
    projected: Float[Tensor, "batch tokens dim"], text: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """1 - cos between the projected latent and its caption's embedding (LEAD eq. 4).

    Several latent tokens are averaged first.
    """
    return (1 - cosine_similarity(projected.mean(dim=1), text, dim=-1)).mean()


STANDING_SPEED = 0.35  # m/s; a foot joint of a real clip below it stands


def held_joints_terms(
    guess: Float[Tensor, "batch frames joints 3"],
    real: Float[Tensor, "batch frames joints 3"],
    mask: Bool[Tensor, "batch frames"],
    skeleton: Skeleton,
) -> dict[str, Float[Tensor, ""]]:
    """Distances between what people see, joints after ``constant_bones``, and the real joints.

    Means over real frames (moves) and joints, in metres and m/s: ``held`` with the root at the
    origin, ``path`` of the root itself, ``held_velocities`` of all joints, ``feet_velocities`` of
    ankles and toes, ``standing`` speed of those where the real ones stand. ``bones`` is how far
    the bones of ``guess`` are from their lengths: of each frame the norm over its bones, which
    the worst of them leads.
    """
    held = constant_bones(guess, skeleton.name)
    lengths = reference_offsets(skeleton.name, guess.device, guess.dtype).norm(dim=-1)
    made = bone_vectors(guess, skeleton).norm(dim=-1)
    moves = mask[:, 1:] & mask[:, :-1]
    moved, was = (skeleton.fps * joints.diff(dim=1) for joints in (held, real))
    wrong = (moved - was).norm(dim=-1)
    feet = (*skeleton.left_foot, *skeleton.right_foot)
    speed, real_speed, feet_wrong = (
        torch.stack([each[:, :, foot] for foot in feet], dim=-1)
        for each in (moved.norm(dim=-1), was.norm(dim=-1), wrong)
    )
    aligned = (held - held[:, :, :1]) - (real - real[:, :, :1])
    return {
        "held": masked_mean(aligned.norm(dim=-1), mask),
        "path": masked_mean((held - real)[:, :, 0].norm(dim=-1), mask),
        "bones": masked_mean((made - lengths).norm(dim=-1), mask),
        "held_velocities": masked_mean(wrong, moves),
        "feet_velocities": masked_mean(feet_wrong, moves),
        "standing": masked_mean(speed * (real_speed < STANDING_SPEED), moves),
    }


def piece_loss(
    logits: Float[Tensor, "batch places vocabulary"],
    pieces: Int[Tensor, "batch pieces"],
    lengths: Int[Tensor, " batch"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross entropy of the pieces of sentences, and the share that are the likeliest.

    Means over all real pieces; ``logits`` are those of TextAutoencoder, its prefix included.
    """
    wanted = targets(logits.shape[1] - pieces.shape[1] + 1, pieces, lengths)
    loss = cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=NOTHING)
    told = wanted != NOTHING
    return loss, (logits.argmax(-1) == wanted)[told].float().mean()


REDUCTIONS = ("sum", "mean")


def reconstruction_loss(
    latent: Float[Tensor, "batch tokens dim"],
    rebuilt: Float[Tensor, "batch tokens dim"],
    reduction: str = "sum",
) -> Float[Tensor, ""]:
    """Squared distance between a latent and its reconstruction (LEAD eq. 5), mean over the batch.

    ``sum`` adds over tokens and dimensions, which is the squared norm that the equation writes;
    ``mean`` divides it by their number.
    """
    squared = (latent - rebuilt) ** 2
    if reduction == "sum":
        return squared.sum(dim=(1, 2)).mean()
    if reduction == "mean":
        return squared.mean()
    raise RequestError(f"unknown reduction '{reduction}': {did_you_mean(reduction, REDUCTIONS)}")


def diagonal_gaussian_kl(latent: Tensor, rebuilt: Tensor) -> Tensor:
    """KL between per-dimension Gaussians fitted to the batch, averaged over dimensions."""
    (mean_p, var_p), (mean_q, var_q) = _moments(latent), _moments(rebuilt)
    return 0.5 * ((var_q / var_p).log() + (var_p + (mean_p - mean_q) ** 2) / var_q - 1).mean()


def softmax_kl(latent: Tensor, rebuilt: Tensor) -> Tensor:
    """KL between softmax distributions over the dimensions of each latent, mean over the batch."""
    log_p = latent.flatten(1).log_softmax(-1)
    log_q = rebuilt.flatten(1).log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


VARIANCE_LOSSES = {"gauss_diag": diagonal_gaussian_kl, "softmax": softmax_kl}


def variance_loss(latent: Tensor, rebuilt: Tensor, form: str = "gauss_diag") -> Tensor:
    """KL(P(z), Q(z_hat)) between given and rebuilt latents of a batch (LEAD eq. 6).

    The paper does not say which distributions; ``gauss_diag`` compares the batch's moments,
    ``softmax`` each latent's softmax over its dimensions.
    """
    if form not in VARIANCE_LOSSES:
        raise RequestError(f"unknown variance loss '{form}': {did_you_mean(form, VARIANCE_LOSSES)}")
    return VARIANCE_LOSSES[form](latent, rebuilt)


def _moments(latents: Tensor) -> tuple[Tensor, Tensor]:
    flat = latents.flatten(1).float()
    mean = flat.mean(0)
    return mean, ((flat - mean) ** 2).mean(0) + 1e-6


def moment_distance(
    one: Float[Tensor, "batch tokens dim"], other: Float[Tensor, "batch tokens dim"]
) -> Float[Tensor, ""]:
    """Frechet distance of Gaussians fitted to each dimension, averaged over dimensions.

    Unlike the distance row by row it does not prefer latents that all lie near their mean.
    """
    moments = (
        (each.flatten(1).mean(0), each.flatten(1).std(0, correction=0)) for each in (one, other)
    )
    (mean, deviation), (mean_other, deviation_other) = moments
    return ((mean - mean_other) ** 2 + (deviation - deviation_other) ** 2).mean()


def pseudo_huber(
    predicted: Float[Tensor, " batch *rest"],
    target: Float[Tensor, " batch *rest"],
    c: float,
    mask: Bool[Tensor, "batch tokens"] | None = None,
) -> Float[Tensor, ""]:
    """Mean of sqrt(d^2 + c^2) - c: a square below ``c``, an absolute value above it.

    With ``mask`` over real tokens only.
    """
    each = ((predicted - target) ** 2 + c**2).sqrt() - c
    return each.mean() if mask is None else masked_mean(each, mask)


def check_finite(loss: Tensor, step: int, ids: list[str]) -> None:
    """Stop at the first loss that is not a number, and say which clips were in the batch."""
    if not torch.isfinite(loss):
        shown = ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")
        raise WorkError(
            f"the loss is not finite at step {step}; clips of this batch: {shown}. "
            "Lower the learning rate, or look at these clips"
        )
