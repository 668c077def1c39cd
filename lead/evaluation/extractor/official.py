"""The published evaluators of HumanML3D and KIT-ML, from the files that people have of them.

Those of text-to-motion (Guo et al. 2022) read all but the foot contacts. Those of MARDM, by which
ACMDM and MLA-Gen were measured, too, read root and positions alone, 67 numbers of 263 (64 of 251),
with other weights and statistics, and bring the network of CLIP-score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import check_regular, read_floats
from lead.core.runs import misfits
from lead.evaluation.extractor.clip_score import (
    WORDS,
    CaptionScore,
    ClipScorer,
    ClipWords,
    scorer_sizes,
)
from lead.evaluation.extractor.glove import read_glove
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.parts import EvaluatorParts
from lead.representation.normalizer import Normalizer

NETWORKS = ("text_encoder", "movement_encoder", "motion_encoder")
GLOVE = "glove/our_vab_data.npy, our_vab_words.pkl and our_vab_idx.pkl"


@dataclass(frozen=True)
class Published:
    """One of the published evaluators: names of its folders, and what it reads.

    ``statistics`` names the folder and the two files of its statistics. ``read`` features of a
    frame are looked at, 0 stands for all but the contacts.
    """

    name: str
    folder: str
    statistics: tuple[str, str, str]
    features: int
    read: int = 0


HUMANML3D = Published("t2m-humanml3d", "t2m", ("Comp_v6_KLD01/meta", "mean", "std"), 263)
KIT = Published("t2m-kitml", "kit", ("Comp_v6_KLD005/meta", "mean", "std"), 251)
PUBLISHED = {"humanml3d": HUMANML3D, "kitml": KIT, "kit": KIT} | {
    f"mardm-{dataset}": Published(
        *(f"mardm-{dataset}", folder, (f"eval_mean_std/{folder}", "eval_mean", "eval_std")),
        *(features, read),
    )
    for dataset, folder, features, read in (
        ("humanml3d", "t2m", 263, 67),
        ("kitml", "kit", 251, 64),
    )
}
"""By data set, or by skeleton; those of MARDM by their own names."""


def find_published(dataset: str) -> Published:
    """The evaluator of a data set; RequestError where there is none."""
    if dataset not in PUBLISHED:
        raise RequestError(
            f"there is no published evaluator for '{dataset}': {did_you_mean(dataset, PUBLISHED)}"
        )
    return PUBLISHED[dataset]


def load_official_parts(path: Path | str, dataset: str = "humanml3d") -> EvaluatorParts:
    """Everything of a published evaluator: weights, statistics and words.

    ``path`` is a folder with the layout of the text-to-motion project (``t2m/text_mot_match/...``),
    of one that took it over (``deps/``, ``checkpoints/``), or with all files side by side; or
    finest.tar in such a folder. Raises RequestError, which says what belongs where.
    """
    kind = find_published(dataset)
    weights = weights_file(path, dataset)
    roots = _roots(Path(path), weights)
    mean, std = (_statistics(roots, kind, which) for which in ("mean", "std"))
    glove = _first(
        [folder for root in roots for folder in (root / "glove", root)], "our_vab_data.npy"
    )
    if glove is None:
        raise RequestError(f"no word vectors in {roots[0]}: put {GLOVE} there")
    vocabulary, words = read_glove(glove.parent)
    extractor = load_official_extractor(weights, dataset)
    scorer = _caption_score(roots, kind) if kind.read else None
    read = (extractor, Normalizer(mean, std), vocabulary, words, "spacy")
    return EvaluatorParts(kind.name, *read, scorer=scorer)


def _caption_score(roots: Sequence[Path], kind: Published) -> CaptionScore:
    """What MARDM's evaluators have beside the three networks; RequestError where it is missing."""
    places = [folder / "text_mot_match_clip" for folder in _kind_folders(roots, kind)]
    path = _first([place / inner for place in places for inner in ("model", "")], "finest.tar")
    if path is None:
        raise RequestError(
            f"no network of CLIP-score in {roots[0]}: put its weights at "
            f"{roots[0] / kind.folder / 'text_mot_match_clip/model/finest.tar'}"
        )
    tensors = _networks(path, ("contrast_model",))["contrast_model"]
    try:
        network = ClipScorer(**scorer_sizes(tensors))
    except (KeyError, ValueError, AttributeError) as error:
        raise RequestError(
            f"{path} holds no network of CLIP-score ({error}): copy it again"
        ) from error
    _fill(network, tensors, str(path), f"the CLIP-score of {kind.name}")
    if (read := network.motion_encoder.read) != kind.read:
        raise RequestError(
            f"{path} reads {read} features a frame, {kind.name} {kind.read}: copy the file of this "
            "data set"
        )
    folders = [folder / "clip" for root in roots for folder in (root, root / "checkpoints")]
    found = _first(folders, "vocab.json") or _first(folders, "tokenizer.json")
    if found is None:
        raise RequestError(f"no words of CLIP-score in {roots[0]}: put {WORDS} there")
    words = ClipWords(found.parent, network.places, network.token_embedding.num_embeddings)
    return CaptionScore(network, words)


def weights_file(path: Path | str, dataset: str) -> Path:
    """Where finest.tar of a data set's evaluator stands below ``path``, or ``path`` itself."""
    path, kind = Path(path), find_published(dataset)
    if path.is_file():
        return path
    if not path.is_dir():
        raise RequestError(f"{path} does not exist: name the folder of the evaluator")
    inner = ("text_mot_match/model/finest.tar", "model/finest.tar", "finest.tar")
    places = [folder / name for folder in _kind_folders([path], kind) for name in inner]
    for place in places:
        if place.is_file():
            return place
    raise RequestError(
        f"no evaluator for {dataset} in {path}: put its weights at {path / kind.folder / inner[0]}"
    )


def _roots(path: Path, weights: Path) -> list[Path]:
    """Folders in which statistics and word vectors are looked for, the likeliest first."""
    above = [weights.parent, *list(weights.absolute().parents)[1:5]]
    first = [path, *path.absolute().parents[:2]] if path.is_dir() else []
    return list(dict.fromkeys([*first, *above]))


def _kind_folders(roots: Sequence[Path], kind: Published) -> list[Path]:
    inner = (kind.folder, f"{kind.folder}/{kind.folder}", f"t2m/{kind.folder}")
    outer = ("", "checkpoints", "deps")
    return [root / place / name for root in roots for place in outer for name in inner] + [*roots]


def _statistics(roots: Sequence[Path], kind: Published, which: str) -> np.ndarray:
    """Means or deviations of all features; of those that are not read they are 0 and 1."""
    inner, *names = kind.statistics
    name = names[which == "std"]
    folders = [folder / inner for root in roots for folder in (root / "utils", root)]
    if not kind.read:
        folders = [folder / inner for folder in _kind_folders(roots, kind)]
    flat = [folder for root in roots for folder in (root, root / "dataset")]
    found = _first(folders, f"{name}.npy")
    found = found or _first(flat, f"{kind.folder}_{name}.npy")
    if found is None:
        wanted = roots[0] / ("utils" if kind.read else kind.folder) / inner / f"{name}.npy"
        raise RequestError(
            f"no statistics of the evaluator in {roots[0]}: put {name}.npy at {wanted} "
            "(the data set's own Mean.npy and Std.npy are others)"
        )
    width = kind.read or kind.features
    read = read_floats(found, (width,), "copy the file of this data set")
    return np.pad(read, (0, kind.features - width), constant_values=float(which == "std"))


def _first(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def load_official_extractor(path: Path, dataset: str = "humanml3d") -> FeatureExtractor:
    """The three networks of a published ``finest.tar``, in evaluation mode.

    Nothing in the file is executed. Raises RequestError where it is broken or holds anything but
    tensors and plain values, and lists the tensors that are missing, unexpected or misshapen.
    """
    content = _networks(path, NETWORKS)
    tensors = {
        f"{network}.{name}": tensor
        for network in NETWORKS
        for name, tensor in content[network].items()
    }
    kind = find_published(dataset)
    extractor = FeatureExtractor(kind.features, read=kind.read)
    _fill(extractor, tensors, str(path), f"the evaluator of {dataset}")
    return extractor


def _networks(path: Path, names: Sequence[str]) -> Mapping[str, Mapping[str, Tensor]]:
    """What a file holds under these names; RequestError where it does not, or is broken."""
    try:
        content = torch.load(check_regular(path), map_location="cpu", weights_only=True)
    except RequestError:
        raise
    except Exception as error:  # zip, tar and pickle each fail in their own way
        raise RequestError(
            f"{path} is not a checkpoint of tensors and plain values; nothing in it was executed: "
            "copy the published file again"
        ) from error
    if not isinstance(content, Mapping) or not all(
        isinstance(content.get(name), Mapping) for name in names
    ):
        raise RequestError(f"{path} lacks one of {', '.join(names)}: it is no evaluator")
    return content


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], where: str, what: str) -> None:
    """Put tensors into a network for evaluation; RequestError that lists all that do not fit."""
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    problems = misfits(shapes, tensors)
    if problems:
        raise RequestError(
            f"{where}: {len(problems)} tensors do not fit {what}: {'; '.join(sorted(problems))}"
        )
    network.load_state_dict(tensors)
    network.eval()
