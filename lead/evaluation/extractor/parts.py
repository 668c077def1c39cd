"""All that makes a judge, together: networks, statistics, words; and how a run keeps them.

A run of stage ``evaluator`` holds ``weights/extractor.safetensors``, ``weights/words.safetensors``,
``weights/normalizer.safetensors`` (the evaluator's own statistics), ``vocabulary.json``, and in
run.json under ``judge`` its name and how captions without tokens get theirs.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from lead.core.errors import WorkError
from lead.core.files import content_hash, write_json, write_tensors
from lead.core.reading import read_json, read_tensors
from lead.core.runs import Run
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.words import Vocabulary, WordVectors
from lead.representation.normalizer import Normalizer

STAGE = "evaluator"


@dataclass(frozen=True)
class EvaluatorParts:
    """A feature extractor with the statistics, the words and the tagger that belong to it."""

    name: str
    extractor: FeatureExtractor
    normalizer: Normalizer
    vocabulary: Vocabulary
    words: WordVectors
    tagger: str  # a name of TAGGERS

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of weights, statistics, vocabulary and tagger; the name does not count."""
        parts: list[bytes | str] = [self.tagger, *self.vocabulary.words]
        for module in (self.extractor, self.normalizer, self.words):
            parts += _bytes(module)
        return content_hash(*parts)


def _bytes(module: nn.Module) -> list[bytes | str]:
    parts: list[bytes | str] = []
    for name, tensor in sorted(module.state_dict().items()):
        parts += [name, tensor.detach().cpu().float().contiguous().numpy().tobytes()]
    return parts


def judge_entry(name: str, tagger: str) -> dict[str, str]:
    """What run.json holds under ``judge``."""
    return {"name": name, "tagger": tagger}


def keep_beside_weights(folder: Path, normalizer: Normalizer, vocabulary: Vocabulary) -> None:
    """Write what a judge needs beside the weights of its two networks into a run directory."""
    write_tensors(folder / "weights" / "normalizer.safetensors", normalizer.state_dict())
    write_json(folder / "vocabulary.json", {"words": list(vocabulary.words)})


def load_parts(run: Run) -> EvaluatorParts:
    """The parts of a run of stage ``evaluator``; WorkError where some of it is missing."""
    statistics = read_tensors(run.folder / "weights" / "normalizer.safetensors")
    if not {"mean", "std"} <= statistics.keys():
        raise WorkError(f"{run.folder}: normalizer.safetensors lacks mean or std: train it again")
    listed = read_json(run.folder / "vocabulary.json").get("words")
    if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
        raise WorkError(f"{run.folder / 'vocabulary.json'} holds no list of words: train it again")
    words = run.load_part("words")
    if len(words.vectors) != len(listed):
        raise WorkError(
            f"{run.folder} has {len(listed)} words and {len(words.vectors)} vectors: train it again"
        )
    return EvaluatorParts(
        run.record.judge.name,
        run.load_part("extractor"),
        Normalizer(statistics["mean"], statistics["std"]),
        Vocabulary(tuple(listed)),
        words,
        run.record.judge.tagger,
    )
