"""Trained runs as one small folder that ships with the code: the starter model.

Layout of ``checkpoints/starter/``, a run with what it stands on inside::

    run.json weights/             what run=checkpoints/starter names
    vae/ ...                      the runs it stands on, each in a folder with its stage's name
    diffusion/ projector/ ...     other runs beside it, which share what they stand on
    known_texts.safetensors       training captions, thinned out, beside what reads sentences (but
                                  not with a MoTe beside it, which is there to caption)
    words/NAME.safetensors        learned words
    README.md                     the model card

Weights are kept in few bits and loaded as float32; what only resuming needs is left out.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

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
from lead.interop.portable import Packing
from lead.inversion import read_word, write_word

LARGEST = 60e6  # bytes of the whole folder, which is under version control
KEPT_CAPTIONS = 2000
CARD = "README.md"


def pack_starter(
    run: Run,
    dataset: PackedDataset,
    output: Path,
    *,
    beside: Sequence[Run] = (),
    words: Sequence[Path] = (),
    bits: int,
    overwrite: bool,
) -> Run:
    """Write the folder, whole or not at all; a model card that was there stays.

    ``dataset`` has the training captions that the model knows. Raises RequestError for a run that
    knows no text, where the folder would have more than LARGEST bytes, and where runs beside each
    other are of one stage, or stand on different runs of one.
    """
    if run.record.text_fingerprint is None:
        raise RequestError(
            f"{run.folder} is a {run.stage} run, which knows no text: name one that generates"
        )
    for stage, count in Counter(other.stage for other in beside).items():
        if count > 1:
            raise RequestError(f"beside= names several {stage} runs: name one of each")
    card = output / CARD
    with atomic_folder(output, replace=overwrite) as folder:
        packing = Packing(folder, bits)
        readers = {_reader(run): _reader(packing.pack(run, folder))}
        for other in beside:
            inside = packing.pack(other, folder / other.stage)
            captions = other.has_ancestor("joint_diffusion")
            if other.record.text_fingerprint is not None and not captions:
                readers[_reader(other)] = _reader(inside)
        for word in map(read_word, words):
            write_word(folder / "words" / f"{word.word.strip('<>')}.safetensors", word)
        for original, inside in readers.items():
            write_known_texts(inside, _known_texts(original, dataset))
        if card.is_file():
            (folder / CARD).write_bytes(card.read_bytes())
        _check_size(folder, bits)
    return Run(output)


def _reader(run: Run) -> Run:
    """The run whose network reads the sentences: itself, or the diffusion that it stands on."""
    above = (stage for stage in ("diffusion", "joint_diffusion") if run.has_ancestor(stage))
    return run.ancestor(next(above, run.stage))


def folder_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file below a folder, the largest first."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    return dict(sorted(sizes.items(), key=lambda entry: -entry[1]))


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


def _check_size(folder: Path, bits: int) -> None:
    sizes = folder_sizes(folder)
    if sum(sizes.values()) > LARGEST:
        largest = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in list(sizes.items())[:4])
        raise RequestError(
            f"the starter model would have {sum(sizes.values()) / 1e6:.1f} MB, more than "
            f"{LARGEST / 1e6:.0f} ({largest}): {'say bits=8, ' if bits > 8 else ''}leave parts "
            "out, or train smaller ones"
        )
