"""`lead report latents`: real clips in two spaces of a run, and how well classes part there."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.core.masks import row_means
from lead.core.runs import Run
from lead.data.clips import padded_batches
from lead.data.packed import PackedDataset, PackedSplit, open_dataset
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.planes import choose_method, to_plane
from lead.evaluation.report.scatter import Panel, write_scatter
from lead.evaluation.separation import neighbour_hits, silhouettes
from lead.generation.lead_model import keeps_time, load_coder, load_projector
from lead.representation.normalizer import load_normalizer
from lead.studies.meeting import Spaces, joint_spaces
from lead.studies.request import ClipsRequest

TITLES = {
    "vae": "VAE latents",
    "realigned": "realigned latents",
    "motion": "latents of motions",
    "sentence": "latents of sentences",
    "motion_after": "motions after the blocks",
    "sentence_after": "sentences after the blocks",
}
LABELS = ("content", "action", "verb")  # tried in this order
FEWEST = 7  # clips for a vote of five others and a picture
VERB = "/VERB"


class LatentsRequest(ClipsRequest):
    """Which run's latents are drawn, of which classes, and how."""

    run: str
    label: str | None
    classes: int
    method: str


def draw_latents(request: LatentsRequest, output: Path) -> Iterator[str]:
    """Draw the latents, write the points beside the picture and say the numbers."""
    method = choose_method(request.method)
    named = Run(Path(request.run))
    if named.stage not in ("projector", "joint_diffusion"):
        raise RequestError(
            f"{named.folder} is a {named.stage} run: name a projector run, whose two spaces "
            "differ, or one of stage=joint_diffusion"
        )
    dataset = open_dataset(request.dataset or named.default_dataset)
    places, labels, key = _classes(dataset.split(request.split), request)
    made = joint_spaces if named.stage == "joint_diffusion" else _spaces
    spaces, more = made(named, dataset, places, request)
    scores = {name: _scores(points, labels) for name, points in spaces.items()}
    planes = {name: to_plane(points, method, request.seed) for name, points in spaces.items()}
    _write(output, planes, labels, scores, method)
    ids = dataset.split(request.split).ids
    _write_points(output.with_suffix(".csv"), [ids[place] for place in places], labels, planes)
    what = f"{dataset.folder} {request.split}: {len(places)} clips, {key}"
    yield from _lines(scores, what, labels)
    yield from more
    yield f"written: {output} and {output.with_suffix('.csv').name}"


def _classes(split: PackedSplit, request: LatentsRequest) -> tuple[list[int], list[str], str]:
    """Places of the clips of the most frequent classes, their classes, and what those are."""
    key = request.label
    for tried in (key,) if key else LABELS:
        found = {place: _label(split, place, tried) for place in range(len(split))}
        found = {place: label for place, label in found.items() if label}
        if found:
            key = tried
            break
    else:
        there = sorted({name for labels in split.labels for name in labels})
        raise RequestError(
            f"no clip of split '{split.name}' has a {request.label or 'class'}: labels there "
            f"are {', '.join(there) or 'none'}; name one, label=L"
        )
    frequent = {name for name, _ in Counter(found.values()).most_common(request.classes)}
    places = [place for place, label in found.items() if label in frequent]
    if len(places) < FEWEST:
        raise RequestError(
            f"split '{split.name}' has {len(places)} clips of the {len(frequent)} most frequent "
            f"classes of {key}, at least {FEWEST} are needed: raise classes=, or name another split"
        )
    return places, [found[place] for place in places], key


def _label(split: PackedSplit, place: int, key: str) -> str | None:
    if key != "verb":
        return split.labels[place].get(key)
    words = split.tokens[place][0].split() if split.tokens[place] else []
    return next((word.removesuffix(VERB) for word in words if word.endswith(VERB)), None)


def _spaces(
    named: Run, dataset: PackedDataset, places: list[int], request: LatentsRequest
) -> tuple[Spaces, list[str]]:
    """Posterior means (clips, dim) and the projector's encoding of them, a mean over tokens.

    Where latents keep time the first are means over a clip's latents, too.
    """
    device, split = choose_device(request.device), dataset.split(request.split)
    below = named.ancestor("vae")
    coder = load_coder(below)
    if keeps_time(below):
        coder = replace(coder, latents=load_normalizer(named, coder.vae.latent_dim))
    coder = coder.to(device)
    projector = load_projector(named, named).to(device)
    rows: dict[int, tuple] = {}
    clips = [split.clip(place) for place in places]
    with torch.no_grad():
        for at, batch in padded_batches(clips, request.batch_size, device):
            mu, _ = coder.posterior(batch.x, batch.mask)
            real = coder.real_latents(batch.mask)
            realigned = row_means(projector.encode(mu, real), real)
            plain = mu.flatten(start_dim=1) if real is None else row_means(mu, real)
            both = (plain.cpu().numpy(), realigned.cpu().numpy())
            rows.update(zip(at, zip(*both, strict=True), strict=True))
    plain, realigned = zip(*(rows[row] for row in range(len(places))), strict=True)
    return {"vae": np.stack(plain), "realigned": np.stack(realigned)}, []


def _scores(points: np.ndarray, labels: list[str]) -> dict[str, Estimate]:
    chosen = np.asarray(labels)
    return {
        "silhouette": estimate(silhouettes(points, chosen)),
        "accuracy": estimate(neighbour_hits(points, chosen)),
    }


def _write(output: Path, planes: dict, labels: list[str], scores: dict, method: str) -> None:
    how = {"tsne": "t-SNE", "pca": "principal components"}[method]
    write_scatter(
        output,
        [
            Panel(
                f"{TITLES[name]} ({how})",
                f"silhouette {scores[name]['silhouette'].mean:.3f}, "
                f"5 neighbours {100 * scores[name]['accuracy'].mean:.1f} %",
                plane,
            )
            for name, plane in planes.items()
        ],
        labels,
    )


def _write_points(path: Path, ids: list[str], labels: list[str], planes: dict) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["clip", "class", *(f"{name}_{axis}" for name in planes for axis in "xy")])
        for row, (name, label) in enumerate(zip(ids, labels, strict=True)):
            places = [value for plane in planes.values() for value in plane[row]]
            rows.writerow([name, label, *(f"{value:.6g}" for value in places)])


def _lines(scores: dict, what: str, labels: list[str]) -> Iterator[str]:
    yield f"{what} of {len(set(labels))} kinds; mean ± 95 % over clips\n"
    yield f"{'':18}{'silhouette':>16}{'5 neighbours':>16}"
    for name, score in scores.items():
        cells = [f"{score[key].mean:.3f} ± {score[key].margin:.3f}" for key in score]
        yield f"{name:18}{cells[0]:>16}{cells[1]:>16}"
    yield ""
