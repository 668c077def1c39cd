"""How far apart groups of vectors lie, in the space itself and not in a picture of it."""

import numpy as np

from lead.core.errors import RequestError

NEIGHBOURS = 5


def silhouettes(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouette of each row of ``points`` (rows, dim), from -1 to 1 (Rousseeuw 1987).

    (b - a) / max(a, b), with a the mean Euclidean distance to the other rows of the same label and
    b the smallest mean distance to the rows of another one; 0 for a row that is alone in its label.
    Raises RequestError for fewer than two labels.
    """
    distances, groups = _distances(points, labels), np.unique(labels)
    members = np.stack([labels == group for group in groups], axis=1)
    sums, counts = distances @ members, members.sum(axis=0)
    own = np.argmax(members, axis=1)
    rows = np.arange(len(points))
    others = np.where(members, np.inf, sums / counts)
    alone = counts[own] == 1
    within = sums[rows, own] / np.maximum(counts[own] - 1, 1)
    between = others.min(axis=1)
    largest = np.maximum(within, between)
    result = np.divide(between - within, largest, out=np.zeros(len(points)), where=largest > 0)
    return np.where(alone, 0.0, result)


def neighbour_hits(
    points: np.ndarray, labels: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Whether the nearest others vote for each row's own label, (rows,) of 0 or 1.

    Leave-one-out classification by the ``neighbours`` nearest rows (Euclidean); of labels with the
    same number of votes the one with the nearest row wins. The mean is the accuracy.
    """
    distances = _distances(points, labels)
    if not 1 <= neighbours < len(points):
        raise RequestError(f"{neighbours} neighbours of {len(points)} rows: give 1 up to rows - 1")
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :neighbours]
    votes = labels[nearest]
    counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    winners = votes[np.arange(len(points)), np.argmax(counts, axis=1)]
    return (winners == labels).astype(np.float64)


def _distances(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Euclidean distances (rows, rows); RequestError for what cannot be compared."""
    if points.ndim != 2 or len(points) != len(labels):
        raise RequestError(
            f"points must be (rows, dim) with a label each, got {points.shape} and {len(labels)}"
        )
    if len(np.unique(labels)) < 2:
        raise RequestError("there must be at least two different labels to tell apart")
    points = points.astype(np.float64)
    return np.stack([np.linalg.norm(points - row, axis=1) for row in points])
