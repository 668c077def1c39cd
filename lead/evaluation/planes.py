"""Vectors of many dimensions on a plane, to look at."""

import numpy as np

from lead.core.errors import RequestError, did_you_mean

METHODS = ("auto", "tsne", "pca")
PERPLEXITY = 30.0  # t-SNE's usual one, less where there are few points
INSTALL = "t-SNE needs scikit-learn: install the extra `analysis`, or say method=pca"


def choose_method(method: str) -> str:
    """tsne or pca: ``auto`` is t-SNE where scikit-learn is installed; RequestError otherwise."""
    if method not in METHODS:
        raise RequestError(f"unknown method '{method}': {did_you_mean(method, METHODS)}")
    if method == "pca":
        return method
    try:
        import sklearn.manifold  # noqa: F401
    except ImportError as error:
        if method == "tsne":
            raise RequestError(INSTALL) from error
        return "pca"
    return "tsne"


def to_plane(points: np.ndarray, method: str, seed: int) -> np.ndarray:
    """Points (rows, dim) as (rows, 2): by t-SNE (van der Maaten 2008) or principal components.

    t-SNE starts from the principal components and keeps neighbours, not distances or sizes of
    groups. ``seed`` fixes it; principal components need none.
    """
    if len(points) < 4:
        raise RequestError(f"{len(points)} points are too few for a picture: give at least 4")
    if method == "pca":
        return principal_plane(points)
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed % 2**32)
    return tsne.fit_transform(points.astype(np.float64))


def principal_plane(points: np.ndarray) -> np.ndarray:
    """The first two principal components of the rows, (rows, 2).

    Each component's sign is chosen such that its largest entry is positive.
    """
    centred = points.astype(np.float64) - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    signs = np.sign(axes[np.arange(len(axes)), np.argmax(np.abs(axes), axis=1)])
    plane = centred @ (axes * signs[:, None]).T
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
