"""Measures of the text-to-motion protocol on embeddings, as pure functions (Guo et al. 2022).

Embeddings are (rows, dim), one row per motion or sentence, NumPy arrays or torch tensors of any
float type; everything is computed in float64. Rows of ``text`` and ``motion`` that stand at the
same place belong together. A wrong shape, too few rows or a value that is not finite is a
RequestError. Numbers of different feature extractors never compare.
"""

import numpy as np
import torch

from lead.core.errors import RequestError

Rows = np.ndarray | torch.Tensor


def frechet_distance(real: Rows, generated: Rows) -> float:
    """Squared Fréchet distance of the two Gaussians with the sets' moments (FID, LEAD eq. 11).

    Heusel 2017: ``|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½)``, covariances over n - 1. With centred
    rows ``A = Q R``, ``S = RᵀR``, the eigenvalues of ``S1 S2`` are the squared singular values of
    ``R1 R2ᵀ``, so the trace of the root is the sum of those: no root of a matrix is taken, and
    fewer rows than dimensions do no harm to the arithmetic. They do bias the distance itself
    upwards: compare only sets of equal sizes. At least two rows each.
    """
    real, generated = _rows(real, "real", at_least=2), _rows(generated, "generated", at_least=2)
    if real.shape[1] != generated.shape[1]:
        raise RequestError(
            f"real rows have {real.shape[1]} dimensions, generated ones {generated.shape[1]}"
        )
    (mean, root), (other_mean, other_root) = _moments(real), _moments(generated)
    root_trace = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    spread = (root**2).sum() + (other_root**2).sum() - 2 * root_trace
    return max(float(((mean - other_mean) ** 2).sum() + spread), 0.0)


def r_precision(text: Rows, motion: Rows, pool_size: int = 32, top_k: int = 3) -> np.ndarray:
    """Share of sentences whose own motion is among the nearest 1, ..., ``top_k`` of its pool.

    Pools are ``pool_size`` consecutive rows in the order given, a smaller rest is dropped. In each,
    the Euclidean distances of every sentence (row) to every motion (column) are sorted; among equal
    distances the motion that comes first wins. Returns (top_k,); chance is k / pool_size.
    """
    text, motion = _paired(text, motion)
    if not 1 <= top_k <= pool_size:
        raise RequestError(f"top_k is {top_k}: it must lie in 1..pool_size, here {pool_size}")
    pools = len(text) // pool_size
    if pools == 0:
        raise RequestError(f"{len(text)} rows fill no pool of {pool_size}: give more rows")
    hits = np.zeros(top_k)
    own = np.arange(pool_size)[:, None]
    for start in range(0, pools * pool_size, pool_size):
        pool = slice(start, start + pool_size)
        nearest = np.argsort(_distances(text[pool], motion[pool]), axis=1, kind="stable")
        hits += np.cumsum(nearest[:, :top_k] == own, axis=1).sum(axis=0)
    return hits / (pools * pool_size)


def multimodal_distance(text: Rows, motion: Rows) -> float:
    """Mean Euclidean distance of a sentence to its motion (MM-dist, LEAD eq. 12), over all rows.

    The protocol gives it the rows of whole pools alone, as it does for ``r_precision``.
    """
    text, motion = _paired(text, motion)
    return float(np.linalg.norm(text - motion, axis=1).mean())


def clip_score(text: Rows, motion: Rows) -> float:
    """Mean cosine of a sentence and its motion (CLIP-score), over all rows."""
    text, motion = _paired(text, motion)
    lengths = np.linalg.norm(text, axis=1) * np.linalg.norm(motion, axis=1)
    if not lengths.all():
        raise RequestError("a row of zeros points nowhere: it has no cosine")
    return float(((text * motion).sum(axis=1) / lengths).mean())


def diversity(
    motion: Rows, num_pairs: int = 300, generator: torch.Generator | None = None
) -> float:
    """Mean Euclidean distance of ``num_pairs`` random pairs of motions (LEAD eq. 13).

    Two sets of rows are drawn, each without replacement, and paired in order; a row may meet
    itself. Without a ``generator`` torch's global one draws. At least ``num_pairs`` rows.
    """
    motion = _rows(motion, "motion", at_least=1)
    first, second = _draw_pairs(len(motion), num_pairs, generator, "rows")
    return float(np.linalg.norm(motion[first] - motion[second], axis=1).mean())


def multimodality(
    motion: Rows, num_pairs: int = 10, generator: torch.Generator | None = None
) -> float:
    """Mean Euclidean distance of motions of the same sentence (LEAD eq. 14).

    ``motion`` is (texts, repeats, dim). Two sets of ``num_pairs`` repeats are drawn as in
    ``diversity``, the same for every sentence. At least ``num_pairs`` repeats.
    """
    return float(multimodality_of_texts(motion, num_pairs, generator).mean())


def multimodality_of_texts(
    motion: Rows, num_pairs: int = 10, generator: torch.Generator | None = None
) -> np.ndarray:
    """``multimodality`` of each sentence by itself, (texts,)."""
    motion = _finite(motion, "motion")
    if motion.ndim != 3 or 0 in motion.shape:
        raise RequestError(f"motion must be (texts, repeats, dim), got {motion.shape}")
    first, second = _draw_pairs(motion.shape[1], num_pairs, generator, "repeats")
    return np.linalg.norm(motion[:, first] - motion[:, second], axis=2).mean(axis=1)


def _draw_pairs(
    count: int, num_pairs: int, generator: torch.Generator | None, of: str
) -> tuple[np.ndarray, np.ndarray]:
    if not 1 <= num_pairs <= count:
        raise RequestError(
            f"num_pairs is {num_pairs}: it must lie in 1..{count}, the number of {of}"
        )
    device = "cpu" if generator is None else generator.device
    first, second = (
        torch.randperm(count, generator=generator, device=device)[:num_pairs].cpu().numpy()
        for _ in range(2)
    )
    return first, second


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (dim,) and a root R of the covariance, ``RᵀR``, of at most dim rows."""
    mean = rows.mean(axis=0)
    return mean, np.linalg.qr(rows - mean, mode="r") / np.sqrt(len(rows) - 1)


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances (rows of one, rows of other), by differences: the short form cancels."""
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(torch.tensor(one), torch.tensor(other), compute_mode=mode).numpy()


def _paired(text: Rows, motion: Rows) -> tuple[np.ndarray, np.ndarray]:
    text, motion = _rows(text, "text", at_least=1), _rows(motion, "motion", at_least=1)
    if text.shape != motion.shape:
        raise RequestError(
            f"text is {text.shape} and motion {motion.shape}: both must be (rows, dim), row by row"
        )
    return text, motion


def _rows(values: Rows, name: str, *, at_least: int) -> np.ndarray:
    values = _finite(values, name)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RequestError(f"{name} must be (rows, dim), got {values.shape}")
    if len(values) < at_least:
        raise RequestError(f"{name} must have at least {at_least} rows, got {len(values)}")
    return values


def _finite(values: Rows, name: str) -> np.ndarray:
    """A float64 array; RequestError names the first row that is not finite."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    values = np.asarray(values, dtype=np.float64)
    whole = np.isfinite(values)
    if not whole.all():
        where = f", first in row {np.argwhere(~whole)[0][0]}" if values.ndim else ""
        raise RequestError(f"{name} holds a value that is not finite{where}")
    return values
