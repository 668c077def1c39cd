"""Trained runs as one small folder that ships with the code: the starter model.

Layout of ``checkpoints/starter/``, a run with what it stands on inside::

    run.json weights/             what run=checkpoints/starter names
    vae/ ...                      the runs it stands on, each in a folder with its stage's name
    diffusion/ projector/ ...     other runs beside it, which share what they stand on
    known_texts.safetensors       training captions, thinned out, beside what reads sentences
    words/NAME.safetensors        learned words
    README.md                     the model card

Weights are kept in few bits and loaded as float32; what only resuming needs is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lead.core.compact import compact
from lead.core.errors import RequestError
from lead.core.files import atomic_folder
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
from lead.interop.portable import copy_beside, portable_record
from lead.inversion import read_word, write_word

LARGEST = 60e6  # bytes of the whole folder, which is under version control
KEPT_CAPTIONS = 2000
CARD = "README.md"


@dataclass(frozen=True)
class Ingredients:
    """What goes into a starter model: its run, and what may be left out."""

    run: Run
    dataset: PackedDataset  # whose training captions the model knows
    beside: Sequence[Run] = ()
    words: Sequence[Path] = ()

    def __post_init__(self) -> None:
        """Check that the run knows text, and that no two runs would share a folder."""
        if self.run.record.text_fingerprint is None:
            raise RequestError(
                f"{self.run.folder} is a {self.run.stage} run, which knows no text: name one that "
                "generates"
            )
        stages = [run.stage for run in self.beside]
        for run in self.beside:
            if stages.count(run.stage) > 1:
                raise RequestError(f"beside= names several {run.stage} runs: name one of each")


def pack_starter(ingredients: Ingredients, output: Path, *, bits: int, overwrite: bool) -> Run:
    """Write the folder, whole or not at all; a model card that was there stays.

    Raises RequestError where the folder would have more than LARGEST bytes, and where runs beside
    each other stand on different runs of one stage.
    """
    card = output / CARD
    with atomic_folder(output, replace=overwrite) as folder:
        packing = _Packing(folder, bits)
        packed = packing.pack(ingredients.run, folder)
        readers = {_reader(ingredients.run): _reader(packed)}
        for run in ingredients.beside:
            inside = packing.pack(run, folder / run.stage)
            if run.record.text_fingerprint is not None:
                readers[_reader(run)] = _reader(inside)
        for word in map(read_word, ingredients.words):
            write_word(folder / "words" / f"{word.word.strip('<>')}.safetensors", word)
        for original, inside in readers.items():
            write_known_texts(inside, _known_texts(original, ingredients.dataset))
        if card.is_file():
            (folder / CARD).write_bytes(card.read_bytes())
        _check_size(folder, bits)
    return Run(output)


def _reader(run: Run) -> Run:
    """The run whose network reads the sentences: itself, or the diffusion that it stands on."""
    return run.ancestor("diffusion") if run.has_ancestor("diffusion") else run


def folder_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file below a folder, the largest first."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    return dict(sorted(sizes.items(), key=lambda entry: -entry[1]))


class _Packing:
    """Runs on their way into one folder; what several stand on is packed once."""

    def __init__(self, folder: Path, bits: int):
        self.folder, self.bits = folder, bits
        self.sources: dict[Path, Run] = {}

    def pack(self, run: Run, folder: Path) -> Run:
        """One run with compact weights and all that it stands on.

        The state of its training and paths from elsewhere are left out.
        """
        packed, before = Run(folder), self.sources.get(folder)
        if before is not None:
            if _weights(before) != _weights(run):
                raise RequestError(
                    f"{run.folder} and {before.folder} are different {run.stage} runs: what is "
                    "packed together stands on the same ones"
                )
            return packed
        self.sources[folder] = run
        parents = {
            stage: self.pack(run.ancestor(stage), self.folder / stage)
            for stage in run.record.parents
        }
        parts = [part for part in run.record.parts if run.weights_path(part).is_file()]
        for path in sorted(run.weights_path("any").parent.glob("*.safetensors")):
            tensors = run.tensors(path.stem)  # of a part, or statistics, which stay as they are
            few = compact(tensors, self.bits) if path.stem in parts else tensors
            packed.save_part(path.stem, few)
        copy_beside(run, folder)
        of = {
            "from": run.folder.resolve().name,
            "bits": self.bits,
            "weights": {part: run.weights_hash(part) for part in parts},
        }
        packed.update(**{**portable_record(run, parents, folder), "packed": of})
        return packed


def _known_texts(run: Run, dataset: PackedDataset) -> KnownTexts:
    """Training captions of the encoder's space, and the threshold that the probes fix."""
    encoder = run.build_text_encoder()

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
