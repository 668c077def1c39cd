"""The published evaluators of HumanML3D and KIT-ML, from the files that people have of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lead.core.errors import RequestError, did_you_mean
from lead.core.reading import check_regular, read_floats
from lead.core.runs import misfits
from lead.evaluation.extractor.glove import read_glove
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.parts import EvaluatorParts
from lead.representation.normalizer import Normalizer

NETWORKS = ("text_encoder", "movement_encoder", "motion_encoder")
GLOVE = "glove/our_vab_data.npy, our_vab_words.pkl and our_vab_idx.pkl"


@dataclass(frozen=True)
class Published:
    """One of the two published evaluators: names of its folders, and what it reads."""

    name: str
    folder: str
    statistics: str
    features: int


HUMANML3D = Published("t2m-humanml3d", "t2m", "Comp_v6_KLD01", 263)
KIT = Published("t2m-kitml", "kit", "Comp_v6_KLD005", 251)
PUBLISHED = {"humanml3d": HUMANML3D, "kitml": KIT, "kit": KIT}
"""By data set, or by skeleton."""


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
    return EvaluatorParts(kind.name, extractor, Normalizer(mean, std), vocabulary, words, "spacy")


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


def _statistics(roots: Sequence[Path], kind: Published, which: str):
    folders = [folder / kind.statistics / "meta" for folder in _kind_folders(roots, kind)]
    found = _first(folders, f"{which}.npy") or _first(
        [folder for root in roots for folder in (root, root / "dataset")],
        f"{kind.folder}_{which}.npy",
    )
    if found is None:
        raise RequestError(
            f"no statistics of the evaluator in {roots[0]}: put {which}.npy at "
            f"{roots[0] / kind.folder / kind.statistics / 'meta' / which}.npy "
            "(the data set's own Mean.npy and Std.npy are others)"
        )
    return read_floats(found, (kind.features,), "copy the file of this data set")


def _first(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def load_official_extractor(path: Path, dataset: str = "humanml3d") -> FeatureExtractor:
    """The three networks of a published ``finest.tar``, in evaluation mode.

    Nothing in the file is executed. Raises RequestError where it is broken or holds anything but
    tensors and plain values, and lists the tensors that are missing, unexpected or misshapen.
    """
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
        isinstance(content.get(name), Mapping) for name in NETWORKS
    ):
        raise RequestError(f"{path} lacks one of {', '.join(NETWORKS)}: it is no evaluator")
    tensors = {
        f"{network}.{name}": tensor
        for network in NETWORKS
        for name, tensor in content[network].items()
    }
    return make_official_extractor(tensors, dataset, str(path))


def make_official_extractor(
    tensors: Mapping[str, Tensor], dataset: str, where: str
) -> FeatureExtractor:
    """A published evaluator from its tensors, named ``text_encoder.hidden`` and so on.

    Raises RequestError that lists every tensor that is missing, unexpected or of another shape.
    """
    extractor = FeatureExtractor(find_published(dataset).features)
    shapes = {name: tuple(tensor.shape) for name, tensor in extractor.state_dict().items()}
    problems = misfits(shapes, tensors)
    if problems:
        raise RequestError(
            f"{where}: {len(problems)} tensors do not fit the evaluator of {dataset}: "
            f"{'; '.join(sorted(problems))}"
        )
    extractor.load_state_dict(tensors)
    return extractor.eval()
