"""BERTScore: how well the words of two sentences pair up by what a language model makes of them.

F1 with rare words weighing more (Zhang et al., 2020). As the field reports it for captions: vectors
of layer 17 of RoBERTa-large, rescaled so that unrelated English sentences are at 0.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TOGETHER = 64  # sentences
LAYER = 17
BASELINE = 0.83122575  # F1 of unrelated sentences by RoBERTa-large's layer 17, as published
UNSEEN = -1  # in place of the id of a word that no reference has
LARGE = 24  # layers of the model that both are of


class BertScore:
    """F1 of sentences with their references, the best of several; vectors are kept.

    ``model`` gives ``hidden_states`` of ids, ``tokenizer`` the ids. A model of another depth than
    RoBERTa-large is read at its last layer and not rescaled; ``title`` says which it is.
    """

    def __init__(self, model: nn.Module, tokenizer: Any):
        self.model, self.tokenizer = model.eval(), tokenizer
        layers = model.config.num_hidden_layers
        self.is_published = layers == LARGE
        self.layer = LAYER if self.is_published else layers
        self.known: dict[str, tuple[list[int], Tensor]] = {}

    @property
    def title(self) -> str:
        """Layer and scale."""
        scale = "rescaled" if self.is_published else "not rescaled, no published scale"
        return f"layer {self.layer} of {self.model.config.num_hidden_layers}, {scale}"

    def __call__(self, sentences: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """(sentences,); words weigh more the fewer references have them, and the marks nothing."""
        own = [text for texts in references for text in texts]
        self._read([*sentences, *own])
        counts = Counter(number for text in own for number in {*self.known[text][0]})
        weights = {number: math.log((len(own) + 1) / (n + 1)) for number, n in counts.items()}
        weights[UNSEEN] = math.log(len(own) + 1)
        best = [
            max(self._f1(sentence, other, weights) for other in others)
            for sentence, others in zip(sentences, references, strict=True)
        ]
        scores = np.array(best)
        return (scores - BASELINE) / (1 - BASELINE) if self.is_published else scores

    @torch.no_grad()
    def _read(self, texts: Sequence[str]) -> None:
        """Ids and unit vectors of each new text, start and end marks included."""
        new = sorted({*texts} - self.known.keys(), key=lambda text: (len(text), text))
        for start in range(0, len(new), TOGETHER):
            part = new[start : start + TOGETHER]
            read = self.tokenizer(part, padding=True, truncation=True, return_tensors="pt")
            ids, mask = read["input_ids"], read["attention_mask"]
            made = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
            vectors = nn.functional.normalize(made.hidden_states[self.layer], dim=-1)
            for text, row, real, own in zip(part, ids, mask.bool(), vectors, strict=True):
                self.known[text] = (row[real].tolist(), own[real])

    def _f1(self, sentence: str, reference: str, weights: dict[int, float]) -> float:
        """Greedy pairing by cosine; 0 for a sentence without a word."""
        (ids, vectors), (other_ids, other_vectors) = self.known[sentence], self.known[reference]
        weight, other_weight = (
            torch.tensor([weights.get(n, weights[UNSEEN]) for n in own], dtype=torch.float64)
            for own in (ids, other_ids)
        )
        if not weight.sum() > 0 or not other_weight.sum() > 0:
            return 0.0
        cosines = vectors @ other_vectors.T
        precision = float(cosines.max(1).values.double() @ weight / weight.sum())
        recall = float(cosines.max(0).values.double() @ other_weight / other_weight.sum())
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
