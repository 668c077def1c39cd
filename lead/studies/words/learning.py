"""Words learned from motions, several in one optimisation: the work of `lead invert`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lead.core.building import build
from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.generation.loading import ModelRequest, load_named
from lead.generation.motion_model import MotionModel
from lead.inversion import Concept, Word, write_word
from lead.studies.words.entries import Entry
from lead.studies.words.exemplars import choose_motions
from lead.training.inversion_stage import invert
from lead.training.quiet import quiet_lightning


class LearnRequest(ModelRequest):
    """The model that words are learned for; ``inversion`` describes how."""

    inversion: dict[str, Any]
    seed: int
    progress: bool


def learn_words(
    entries: Sequence[tuple[str, Entry]], files: Sequence[Path], request: LearnRequest
) -> list[Word]:
    """Learn the word of every entry and write it to its file.

    Raises RequestError, which names the place of an entry, for motions that cannot teach it.
    """
    options = build("inversion", request.inversion)
    model = load_named(request).to(choose_device(request.device))
    concepts = [_concept(place, entry, model, request.seed) for place, entry in entries]
    quiet_lightning()
    words = invert(concepts, model, options, seed=request.seed, progress=request.progress)
    for file, word in zip(files, words, strict=True):
        write_word(file, word)
    return words


def _concept(place: str, entry: Entry, model: MotionModel, seed: int) -> Concept:
    try:
        chosen = choose_motions(entry, model, seed)
        return Concept(
            *(entry.word, entry.init, chosen.motions, chosen.sources),
            *(tuple(entry.templates), chosen.licence, tuple(entry.actions)),
        )
    except RequestError as error:
        raise RequestError(f"{place}: {error}" if place else str(error)) from error
