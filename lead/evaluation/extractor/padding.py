"""Motions of several lengths as the one array that the evaluator reads."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead.core.errors import RequestError
from lead.evaluation.extractor.networks import STRIDE

MAX_FRAMES = 196  # what the published evaluator pads every motion to


def pad_motions(
    motions: Sequence[np.ndarray],
) -> tuple[Float[Tensor, "batch frames features"], Int[Tensor, " batch"]]:
    """Normalised motions (frames, F) -> zero-padded batch and lengths, for ``embed_motion``.

    A motion is cut to a multiple of four frames, and to 196. Each row is followed by zeros as if
    all were padded to 196 frames, so that its vector does not depend on the rest of the batch.
    Raises RequestError for a motion under four frames.
    """
    shortest = min(len(motion) for motion in motions)
    if shortest < STRIDE:
        raise RequestError(
            f"a motion of {shortest} frames is too short for the evaluator: it takes {STRIDE} "
            "frames or more"
        )
    cut = [motion[: min(len(motion), MAX_FRAMES) // STRIDE * STRIDE] for motion in motions]
    lengths = torch.tensor([len(motion) for motion in cut])
    frames = min(MAX_FRAMES, int(lengths.max()) + STRIDE)
    x = torch.zeros(len(cut), frames, motions[0].shape[1])
    for row, motion in zip(x, cut, strict=True):
        row[: len(motion)] = torch.from_numpy(np.array(motion, dtype=np.float32))
    return x, lengths
