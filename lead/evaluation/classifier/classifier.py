"""The classifier as its users see it: motions in, names and probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lead.core.errors import RequestError, WorkError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.data.clips import length_sorted_batches
from lead.evaluation.classifier.network import ClipNetwork
from lead.representation.normalizer import Normalizer, load_normalizer

STAGE = "classifier"
BATCH_SIZE = 64


@dataclass(frozen=True)
class Prediction:
    """One kind of label for several motions: the probabilities of its ``classes``."""

    classes: tuple[str, ...]
    probabilities: np.ndarray  # (motions, classes), each row sums to 1

    @property
    def labels(self) -> list[str]:
        """The likeliest class of each motion."""
        return [self.classes[place] for place in self.probabilities.argmax(axis=1)]

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Probability (motions,) of one named class per motion; 0 for a class it does not know."""
        known = {name: place for place, name in enumerate(self.classes)}
        return np.array(
            [
                row[known[name]] if name in known else 0.0
                for row, name in zip(self.probabilities, names, strict=True)
            ]
        )


class Classifier:
    """A frozen ``ClipNetwork`` with the statistics that it was trained with."""

    def __init__(self, network: ClipNetwork, normalizer: Normalizer, device="cpu"):
        self.device = torch.device(device)
        self.network = freeze(network).to(self.device)
        self.mean, self.std = normalizer.mean.numpy(), normalizer.std.numpy()

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """What it can tell apart, by kind of label: ``style``, ``content``."""
        return self.network.classes

    @torch.no_grad()
    def predict(self, features: Sequence[np.ndarray]) -> dict[str, Prediction]:
        """Kinds of label -> prediction, motions in the order given.

        ``features`` are un-normalised, each (frames, F) of any length. Raises RequestError for
        another number of features, WorkError for values that are not finite.
        """
        rows = {k: np.zeros((len(features), len(c))) for k, c in self.classes.items()}
        for places in length_sorted_batches([len(f) for f in features], BATCH_SIZE):
            lengths = torch.tensor([len(features[place]) for place in places])
            x = torch.zeros(len(places), int(lengths.max()), self.network.features)
            for row, place in zip(x, places, strict=True):
                row[: len(features[place])] = self._normalized(features[place], place)
            mask = lengths_to_mask(lengths)
            logits = self.network(x.to(self.device), mask.to(self.device))
            for kind, of in logits.items():
                rows[kind][places] = of.double().softmax(dim=1).cpu().numpy()
        return {kind: Prediction(self.classes[kind], part) for kind, part in rows.items()}

    def _normalized(self, features: np.ndarray, place: int) -> torch.Tensor:
        if features.ndim != 2 or features.shape[1] != len(self.mean) or not len(features):
            raise RequestError(
                f"the classifier reads motions (frames, {len(self.mean)}), motion {place} is "
                f"{tuple(features.shape)}: use one that was trained on this skeleton"
            )
        if not np.isfinite(features).all():
            raise WorkError(f"motion {place} holds values that are not finite: leave it out")
        return torch.from_numpy(((features - self.mean) / self.std).astype(np.float32))


def load_classifier(path: Path | str, device="cpu") -> Classifier:
    """The classifier of a run of ``lead train stage=classifier``.

    Raises RequestError for another kind of run, WorkError where some of it is broken.
    """
    run = Run(Path(path))
    if not run.exists() or run.stage != STAGE:
        raise RequestError(
            f"{path} is no classifier: train one with `lead train stage=classifier data=NAME`"
        )
    network = run.load_part("network")
    return Classifier(network, load_normalizer(run, network.features), device)
