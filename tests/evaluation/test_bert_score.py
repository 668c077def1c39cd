"""BERTScore on a small RoBERTa with random weights, against the paper's equations word by word."""

import math

import numpy as np
import pytest
import torch

from lead.evaluation.bert_score import BASELINE, BertScore

WORDS = ("a", "person", "man", "walks", "sits", "slowly", "left")
REFERENCES = [["a man walks", "a person walks slowly"], ["a man sits"], ["a person sits left"]]


def small(layers: int) -> BertScore:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    names = ("<s>", "<pad>", "</s>", "<unk>", *WORDS)
    ids = {name: place for place, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [(name, ids[name]) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=marks)
    special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", **special
    )
    config = RobertaConfig(
        **{"vocab_size": len(names), "hidden_size": 8, "num_attention_heads": 2},
        **{"intermediate_size": 8, "num_hidden_layers": layers, "max_position_embeddings": 20},
        **{"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
    )
    torch.manual_seed(5)
    return BertScore(RobertaModel(config), fast)


def by_hand(score: BertScore, sentence: str, others: list[str]) -> float:
    """The best F1 of a sentence alone, without padding, batches or matrices."""
    every = [text for own in REFERENCES for text in own]

    def weight(word: str) -> float:
        return math.log((len(every) + 1) / (sum(word in text.split() for text in every) + 1))

    def vectors(text: str) -> np.ndarray:
        ids = score.tokenizer([text], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            hidden = score.model(ids, output_hidden_states=True).hidden_states[score.layer][0]
        return (hidden / hidden.norm(dim=1, keepdim=True)).numpy()

    def side(text: str, its: np.ndarray, other: np.ndarray) -> float:
        words = text.split()
        found = [max(float(row @ column) for column in other) for row in its[1:-1]]
        weights = [weight(word) for word in words]
        return sum(w * f for w, f in zip(weights, found, strict=True)) / sum(weights)

    best = []
    for other in others:
        one, two = vectors(sentence), vectors(other)
        p, r = side(sentence, one, two), side(other, two, one)
        best.append(2 * p * r / (p + r))
    return max(best)


@pytest.mark.parametrize("layers", [2, 24])
def test_the_equations(layers):
    """With RoBERTa-large's depth the field's layer and scale are used."""
    score = small(layers)
    sentences = ["a person walks left", "slowly a man sits", "a person sits left"]
    made = score(sentences, REFERENCES)
    wanted = np.array([by_hand(score, *pair) for pair in zip(sentences, REFERENCES, strict=True)])
    if layers == 24:
        assert score.layer == 17
        wanted = (wanted - BASELINE) / (1 - BASELINE)
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)
    assert made[2] == pytest.approx(1, abs=1e-5)
    assert ("not rescaled" in score.title) == (layers == 2)


def test_a_sentence_without_words_scores_nothing_and_vectors_are_read_once(monkeypatch):
    score, read = small(1), []
    assert score(["", "a man walks", "x"], REFERENCES)[0] == 0
    monkeypatch.setattr(score.model, "forward", lambda *_, **__: read.append(1))
    assert score(["", "a man sits", "x"], REFERENCES)[1] == pytest.approx(1, abs=1e-5)
    assert not read
