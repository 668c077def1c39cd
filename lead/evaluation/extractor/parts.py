"""All that makes a judge, together: networks, statistics, words; and how a run keeps them.

A run of stage ``evaluator`` holds ``weights/extractor.safetensors``, ``weights/words.safetensors``,
``weights/normalizer.safetensors`` (the evaluator's own statistics), ``vocabulary.json``, and in
run.json under ``judge`` its name and how captions without tokens get theirs.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from lead.core.errors import WorkError, did_you_mean
from lead.core.files import content_hash, write_json, write_tensors
from lead.core.runs import Run
from lead.core.schema import Schema, read_file
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.tags import TAGGERS
from lead.evaluation.extractor.words import Vocabulary, WordVectors
from lead.representation.normalizer import Normalizer, load_normalizer

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


class VocabularyFile(Schema):
    """vocabulary.json: the words, in the order of their vectors."""

    words: list[str]


def load_parts(run: Run) -> EvaluatorParts:
    """The parts of a run of stage ``evaluator``; WorkError where some of it is missing."""
    path, judge = run.folder / "vocabulary.json", run.record.judge
    listed = read_file(VocabularyFile, path, "train it again").words
    words = run.load_part("words", words=len(listed))
    extractor = run.load_part("extractor", word_dim=words.vectors.shape[1])
    if judge.tagger not in TAGGERS:
        raise WorkError(f"{run.file}: unknown tagger, {did_you_mean(judge.tagger, TAGGERS)}")
    normalizer = load_normalizer(run, extractor.features)
    vocabulary = Vocabulary(tuple(listed))
    return EvaluatorParts(judge.name, extractor, normalizer, vocabulary, words, judge.tagger)
