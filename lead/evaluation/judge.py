"""The judge of generated motion: sentences and motions to vectors that the metrics compare."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lead.core.errors import RequestError, WorkError, did_you_mean
from lead.core.freezing import freeze
from lead.core.runs import Run
from lead.data.clips import length_sorted_batches
from lead.evaluation.extractor.clip_score import ClipScorer
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.official import PUBLISHED, load_official_parts
from lead.evaluation.extractor.open_networks import OpenExtractor
from lead.evaluation.extractor.padding import pad_motions
from lead.evaluation.extractor.parts import STAGE, EvaluatorParts, MakeEncoder, load_parts
from lead.evaluation.extractor.tags import TAGGERS

BATCH_SIZE = 128


class Judge:
    """A frozen feature extractor behind two questions: where a motion lies, and where a sentence.

    Motions come in as the data set has them, un-normalised, and are normalised here with the
    evaluator's own statistics. Those of the published evaluators divide root motion and foot
    contacts by a deviation 25 times smaller than the data set's: features that were normalised
    with the data set's statistics have to be un-normalised first.
    """

    def __init__(
        self,
        parts: EvaluatorParts,
        device: torch.device | str = "cpu",
        batch_size: int = BATCH_SIZE,
    ):
        self.encoder = parts.encoder
        if parts.encoder is None and parts.tagger not in TAGGERS:
            hint = did_you_mean(parts.tagger, TAGGERS)
            raise RequestError(f"evaluator {parts.name}: unknown tagger '{parts.tagger}': {hint}")
        self.name, self.fingerprint = parts.name, parts.fingerprint
        self.tagger, self.vocabulary = parts.tagger, parts.vocabulary
        self.device, self.batch_size = torch.device(device), batch_size
        self.extractor = freeze(parts.extractor).to(self.device)
        self.words = None if parts.words is None else freeze(parts.words).to(self.device)
        self.scorer = parts.scorer
        if self.scorer is not None:
            freeze(self.scorer.network).to(self.device)
        self.mean, self.std = parts.normalizer.mean.numpy(), parts.normalizer.std.numpy()

    @property
    def dim(self) -> int:
        """Size of a vector."""
        return self.extractor.dim

    @torch.no_grad()
    def embed_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (n, dim) of motions, in the order given.

        ``features`` are un-normalised, each (frames, F) of any length from 4 frames; a motion is
        cut to a multiple of four frames, and to 196, as in the published protocol.
        Raises WorkError for a motion with values that are not finite.
        """
        return self._motions(features, self.extractor)

    @torch.no_grad()
    def compare_motions(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Unit vectors of motions; their cosines with those of sentences are CLIP-scores."""
        return self._motions(features, self.scorer.network)

    @torch.no_grad()
    def compare_texts(self, captions: Sequence[str]) -> np.ndarray:
        """Unit vectors of sentences, see ``compare_motions``."""
        network, ids = self.scorer.network, self.scorer.words(captions)
        parts = [network.embed_text(part.to(self.device)) for part in ids.split(self.batch_size)]
        return torch.cat(parts).cpu().numpy()

    def _motions(
        self, features: Sequence[np.ndarray], network: FeatureExtractor | OpenExtractor | ClipScorer
    ) -> np.ndarray:
        rows = np.zeros((len(features), network.dim), dtype=np.float32)
        for places in length_sorted_batches([len(f) for f in features], self.batch_size):
            x, lengths = pad_motions([self._normalized(features[place], place) for place in places])
            rows[places] = network.embed_motion(x.to(self.device), lengths).cpu().numpy()
        return rows

    def _normalized(self, features: np.ndarray, place: int) -> np.ndarray:
        if features.shape[-1] != len(self.mean):
            raise RequestError(
                f"evaluator {self.name} reads {len(self.mean)} features a frame, got "
                f"{features.shape[-1]}: use one that was trained on this skeleton"
            )
        if not np.isfinite(features).all():
            raise WorkError(f"motion {place} holds values that are not finite: leave it out")
        return (features - self.mean) / self.std

    @torch.no_grad()
    def embed_texts(
        self, captions: Sequence[str], tokens: Sequence[str | Sequence[str]] | None = None
    ) -> np.ndarray:
        """Vectors (n, dim) of captions, in the order given.

        ``tokens`` are the data set's own ``word/TAG``, a list or one string a caption; a caption
        whose tokens are empty is tagged here. An evaluator that learned its words from plain
        captions, or reads whole sentences, takes no tokens. Raises RequestError where the tagger is
        needed and is not installed.
        """
        encoded = None
        if self.encoder is None:
            encoded = self.vocabulary.encode(self._tokens(captions, tokens)).to(self.device)
        rows = np.zeros((len(captions), self.dim), dtype=np.float32)
        for start in range(0, len(captions), self.batch_size):
            place = slice(start, start + self.batch_size)
            if encoded is None:
                read = (self.encoder.vectors(captions[place]).to(self.device),)
            else:
                part = encoded[place]
                read = (self.words(part.ids), part.pos_onehot, part.lengths)
            rows[place] = self.extractor.embed_text(*read).cpu().numpy()
        return rows

    def _tokens(
        self, captions: Sequence[str], tokens: Sequence[str | Sequence[str]] | None
    ) -> list[list[str]]:
        if tokens is not None and len(tokens) != len(captions):
            raise RequestError(f"{len(captions)} captions with tokens of {len(tokens)}")
        given: list[list[str]] = [[] for _ in captions]
        if tokens is not None and self.tagger != "words":
            given = [t.split() if isinstance(t, str) else list(t) for t in tokens]
        bare = [place for place, own in enumerate(given) if not own]
        if bare:
            tagged = TAGGERS[self.tagger]([captions[place] for place in bare])
            for place, own in zip(bare, tagged, strict=True):
                given[place] = own
        return given


def load_judge(
    path: Path | str,
    device: torch.device | str = "cpu",
    dataset: str = "humanml3d",
    make_encoder: MakeEncoder | None = None,
) -> Judge:
    """A judge from a run of ``lead train stage=evaluator``, or from a published evaluator.

    ``path`` is the run directory, or the folder that holds the published files; ``dataset`` says
    which of the published evaluators, by its data set (humanml3d or kitml) or its own name, such as
    mardm-humanml3d; ``make_encoder`` makes the text encoder of a judge that reads whole sentences.
    Raises RequestError for another kind of run and where files are missing.
    """
    run = Run(Path(path))
    if not run.folder.exists():
        raise RequestError(
            f"{path} does not exist: name a run of `lead train stage=evaluator`, or the folder of "
            "a published evaluator"
        )
    if not run.exists():
        if dataset not in PUBLISHED:
            raise RequestError(
                f"{path} is no evaluator run, and there is no published evaluator for '{dataset}': "
                f"train one with `lead train stage=evaluator data={dataset}`"
            )
        return Judge(load_official_parts(path, dataset), device)
    if run.stage != STAGE:
        raise RequestError(
            f"{path} is a {run.stage} run, no evaluator: train one with "
            "`lead train stage=evaluator data=NAME`"
        )
    return Judge(load_parts(run, make_encoder), device)
