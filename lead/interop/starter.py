"""Trained runs as one small folder that ships with the code: the starter model.

Layout of ``checkpoints/starter/``, a projector run with what it stands on inside::

    run.json weights/projector.safetensors      what run=checkpoints/starter names
    vae/ diffusion/ distilled/ evaluator/       runs of their own, each named by its folder
    diffusion/known_texts.safetensors           training captions, thinned out
    words/NAME.safetensors                      learned words
    README.md                                   the model card

Weights are kept in few bits and loaded as float32; what only resuming needs is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lead.core.compact import compact
from lead.core.errors import RequestError
from lead.core.files import atomic_folder, write_json
from lead.core.reading import read_json
from lead.core.runs import Run
from lead.data.cache import cached_texts
from lead.data.captions.probes import read_probes
from lead.data.packed import PackedDataset
from lead.generation.known_texts import (
    KnownTexts,
    best_threshold,
    error_shares,
    thin_out,
    write_known_texts,
)
from lead.inversion import read_word, write_word

LARGEST = 60e6  # bytes of the whole folder, which is under version control
KEPT_CAPTIONS = 2000
CARD = "README.md"
_BESIDE = ("vocabulary.json", "environment.json")
_PATHS = ("dataset", "run", "vae", "diffusion", "teacher")


@dataclass(frozen=True)
class Ingredients:
    """What goes into a starter model; all but the projector's run may be left out."""

    projector: Run
    dataset: PackedDataset  # whose training captions the model knows
    distilled: Run | None = None
    evaluator: Run | None = None
    words: Sequence[Path] = ()

    def __post_init__(self) -> None:
        """Check that the runs are of their stages and stand on one denoiser."""
        for run, stage in (
            (self.projector, "projector"),
            (self.distilled, "distill"),
            (self.evaluator, "evaluator"),
        ):
            if run is not None and run.stage != stage:
                raise RequestError(f"{run.folder} is a {run.stage} run: a {stage} run is needed")
        diffusion = self.projector.ancestor("diffusion")
        if self.distilled and _weights(self.distilled.ancestor("diffusion")) != _weights(diffusion):
            raise RequestError(
                f"{self.distilled.folder} was distilled from another denoiser than "
                f"{self.projector.folder} stands on: distill that one, teacher={diffusion.folder}"
            )


def pack_starter(ingredients: Ingredients, output: Path, *, bits: int, overwrite: bool) -> Run:
    """Write the folder, whole or not at all; a model card that was there stays.

    Raises RequestError where the folder would have more than LARGEST bytes.
    """
    projector = ingredients.projector
    diffusion, vae = projector.ancestor("diffusion"), projector.ancestor("vae")
    card = output / CARD
    with atomic_folder(output, replace=overwrite) as folder:
        packed_vae = _pack(vae, folder / "vae", {}, bits)
        packed = _pack(diffusion, folder / "diffusion", {"vae": packed_vae}, bits)
        _pack(projector, folder, {"diffusion": packed}, bits)
        if ingredients.distilled is not None:
            _pack(ingredients.distilled, folder / "distilled", {"diffusion": packed}, bits)
        if ingredients.evaluator is not None:
            _pack(ingredients.evaluator, folder / "evaluator", {}, bits)
        for word in map(read_word, ingredients.words):
            write_word(folder / "words" / f"{word.word.strip('<>')}.safetensors", word)
        write_known_texts(packed, _known_texts(diffusion, ingredients.dataset))
        if card.is_file():
            (folder / CARD).write_bytes(card.read_bytes())
        _check_size(folder, bits)
    return Run(output)


def folder_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file below a folder, the largest first."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    return dict(sorted(sizes.items(), key=lambda entry: -entry[1]))


def _pack(run: Run, folder: Path, parents: Mapping[str, Run], bits: int) -> Run:
    """One run with compact weights, without the state of its training and paths from elsewhere."""
    packed = Run(folder)
    parts = [part for part in run.record.parts if run.weights_path(part).is_file()]
    for part in parts:
        packed.save_part(part, compact(run.tensors(part), bits))
    if run.weights_path("normalizer").is_file():
        packed.save_part("normalizer", run.tensors("normalizer"))
    for name in _BESIDE:
        if (run.folder / name).is_file():
            write_json(folder / name, read_json(run.folder / name))
    changes = {
        "parents": {key: parent.as_parent(folder) for key, parent in parents.items()},
        "values": {key: value for key, value in run.record.values.items() if key not in _PATHS},
        "packed": {
            "from": run.folder.resolve().name,
            "bits": bits,
            "weights": {part: run.weights_hash(part) for part in parts},
        },
    }
    packed.update(**{**run.contents, **changes})
    return packed


def _known_texts(diffusion: Run, dataset: PackedDataset) -> KnownTexts:
    """Training captions of the encoder's space, and the threshold that the probes fix."""
    encoder = diffusion.build_text_encoder()

    def embed(texts: list[str]) -> torch.Tensor:
        return encoder.encode(texts).pooled[:, None]

    embedded, rows = cached_texts(dataset, "train", f"{encoder.fingerprint} pooled", embed)
    captions = [row for text, row in rows.items() if text]
    vectors, radius = thin_out(embedded[captions].mean(dim=1), KEPT_CAPTIONS)
    known = KnownTexts(vectors, threshold=1.0)
    choosing, measuring = read_probes().halves()

    def distances(texts: Sequence[str]) -> list[float]:
        return known.distances(embed(list(texts))[:, 0]).tolist()

    threshold = best_threshold(distances(choosing.near), distances(choosing.far))
    near, far = distances(measuring.near), distances(measuring.far)
    called_far, missed = error_shares(near, far, threshold)
    facts = {
        "captions": len(captions),
        "radius": radius,
        "near_sentences": len(near),
        "near_called_far": called_far,
        "far_sentences": len(far),
        "far_missed": missed,
    }
    return KnownTexts(vectors, threshold, facts)


def _weights(run: Run) -> str:
    return run.weights_hash(run.trained_part)


def _check_size(folder: Path, bits: int) -> None:
    sizes = folder_sizes(folder)
    if sum(sizes.values()) > LARGEST:
        largest = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in list(sizes.items())[:4])
        raise RequestError(
            f"the starter model would have {sum(sizes.values()) / 1e6:.1f} MB, more than "
            f"{LARGEST / 1e6:.0f} ({largest}): {'say bits=8, ' if bits > 8 else ''}leave parts "
            "out, or train smaller ones"
        )
