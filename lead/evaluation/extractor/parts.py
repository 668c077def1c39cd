"""All that makes a judge, together: networks, statistics, words; and how a run keeps them.

A run of stage ``evaluator`` holds ``weights/extractor.safetensors``, ``weights/words.safetensors``,
``weights/normalizer.safetensors`` (the evaluator's own statistics), ``vocabulary.json``, and in
run.json under ``judge`` its name and how captions without tokens get theirs. One that reads whole
sentences has no words and no vocabulary, and names its text encoder instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.files import content_hash, write_json, write_tensors
from lead.core.runs import Run
from lead.core.schema import Schema, read_file
from lead.evaluation.extractor.clip_score import CaptionScore
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.open_networks import OpenExtractor
from lead.evaluation.extractor.tags import TAGGERS
from lead.evaluation.extractor.words import Vocabulary, WordVectors
from lead.representation.normalizer import Normalizer, load_normalizer

STAGE = "evaluator"
SENTENCES = "sentences"  # stands for the tagger of a judge that needs none


@runtime_checkable
class SentenceEncoder(Protocol):
    """A frozen text encoder, as a judge of whole sentences needs one; it is handed in."""

    @property
    def fingerprint(self) -> str:
        """Equal fingerprints give equal vectors."""

    def vectors(self, texts: Sequence[str]) -> Float[Tensor, "texts width"]:
        """One vector a sentence, in the order given."""


MakeEncoder = Callable[[Mapping[str, object]], SentenceEncoder]
"""From the description of a text encoder, as a run holds it."""


@dataclass(frozen=True)
class EvaluatorParts:
    """A feature extractor with the statistics, the words and the tagger that belong to it.

    One that reads whole sentences has the ``encoder`` of these in place of words and tagger. Some
    bring a ``scorer``, the network of CLIP-score.
    """

    name: str
    extractor: FeatureExtractor | OpenExtractor
    normalizer: Normalizer
    vocabulary: Vocabulary | None
    words: WordVectors | None
    tagger: str  # a name of TAGGERS, or SENTENCES
    encoder: SentenceEncoder | None = None
    scorer: CaptionScore | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of weights, statistics, vocabulary and tagger; the name does not count."""
        parts: list[bytes | str] = [self.tagger]
        parts += [self.encoder.fingerprint] if self.encoder else self.vocabulary.words
        networks = [self.extractor, self.normalizer, self.words]
        if self.scorer is not None:
            parts.append(self.scorer.words.fingerprint)
            networks.append(self.scorer.network)
        for module in networks:
            parts += [] if module is None else _bytes(module)
        return content_hash(*parts)


def _bytes(module: nn.Module) -> list[bytes | str]:
    parts: list[bytes | str] = []
    for name, tensor in sorted(module.state_dict().items()):
        parts += [name, tensor.detach().cpu().float().contiguous().numpy().tobytes()]
    return parts


def judge_entry(name: str, tagger: str) -> dict[str, str]:
    """What run.json holds under ``judge``."""
    return {"name": name, "tagger": tagger}


def keep_beside_weights(
    folder: Path, normalizer: Normalizer, vocabulary: Vocabulary | None
) -> None:
    """Write what a judge needs beside the weights of its networks into a run directory."""
    write_tensors(folder / "weights" / "normalizer.safetensors", normalizer.state_dict())
    if vocabulary is not None:
        write_json(folder / "vocabulary.json", {"words": list(vocabulary.words)})


class VocabularyFile(Schema):
    """vocabulary.json: the words, in the order of their vectors."""

    words: list[str]


def load_parts(run: Run, make_encoder: MakeEncoder | None = None) -> EvaluatorParts:
    """The parts of a run of stage ``evaluator``; WorkError where some of it is missing.

    ``make_encoder`` makes the text encoder of a judge that reads whole sentences; RequestError
    where it is needed and not given, or makes another than the judge was trained with.
    """
    judge = run.record.judge
    if judge.tagger == SENTENCES:
        encoder = _encoder(run, make_encoder)
        extractor = run.load_part("extractor")
        normalizer = load_normalizer(run, extractor.features)
        return EvaluatorParts(judge.name, extractor, normalizer, None, None, SENTENCES, encoder)
    listed = read_file(VocabularyFile, run.folder / "vocabulary.json", "train it again").words
    words = run.load_part("words", words=len(listed))
    extractor = run.load_part("extractor", word_dim=words.vectors.shape[1])
    if judge.tagger not in TAGGERS:
        raise WorkError(f"{run.file}: unknown tagger, {did_you_mean(judge.tagger, TAGGERS)}")
    normalizer = load_normalizer(run, extractor.features)
    vocabulary = Vocabulary(tuple(listed))
    return EvaluatorParts(judge.name, extractor, normalizer, vocabulary, words, judge.tagger)


def _encoder(run: Run, make_encoder: MakeEncoder | None) -> SentenceEncoder:
    record = run.record
    if record.text_encoder is None:
        raise WorkError(f"{run.file} names no text encoder, which its sentences need")
    if make_encoder is None:
        raise RequestError(f"{run.folder} reads whole sentences: hand in its text encoder")
    encoder = make_encoder(record.text_encoder)
    if encoder.fingerprint != record.text_fingerprint:
        raise RequestError(
            f"{run.folder} was trained with another text encoder than is installed under that "
            "name: install the same, or train it again"
        )
    return encoder
