"""Losses that bring a sentence near its motion and away from those of the other clips of a batch.

Distances are Euclidean, as in the measures that a judge serves. Pairs of different clips that mean
the same are neither pulled nor pushed.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy


def margin_loss(
    text: Float[Tensor, "batch dim"],
    motion: Float[Tensor, "batch dim"],
    same: Bool[Tensor, "batch batch"],
    margin: float,
) -> Float[Tensor, ""]:
    """Squared distance of pairs, plus squared shortfall of the others from ``margin``.

    The published loss of the evaluator (Guo et al., 2022; Hadsell et al., 2006) takes one negative
    a clip, by rolling the batch at random; this is its mean over all rolls.
    """
    distance = torch.cdist(text, motion)
    pull = distance.diagonal().square().mean()
    others = distance[~same]
    push = (margin - others).clamp(min=0).square().mean() if len(others) else pull * 0
    return pull + push


def contrastive_loss(
    text: Float[Tensor, "batch dim"],
    motion: Float[Tensor, "batch dim"],
    same: Bool[Tensor, "batch batch"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of picking one's own pair by distance, both ways (InfoNCE, Oord et al., 2018).

    The logit of a pair is minus its distance over ``temperature``.
    """
    logits = -torch.cdist(text, motion) / temperature
    own = torch.eye(len(text), dtype=torch.bool, device=text.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(text), device=text.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


LOSSES = ("contrastive", "margin")
