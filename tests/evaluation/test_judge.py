"""The judge: normalisation, order, tokens, and what it can be loaded from."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError, WorkError
from lead.core.files import write_json
from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.parts import (
    EvaluatorParts,
    judge_entry,
    keep_beside_weights,
    load_parts,
)
from lead.evaluation.extractor.tags import TAGGERS, tag_words
from lead.evaluation.extractor.words import Vocabulary, WordVectors
from lead.evaluation.judge import Judge, load_judge
from lead.representation.normalizer import Normalizer

FEATURES = 19
SIZES = {"word_dim": 6, "text_width": 5, "movement_width": 7, "motion_width": 8, "dim": 4}
VOCABULARY = Vocabulary(("sos", "eos", "unk", "a", "man", "walks", "walk"))


def make_parts(tagger: str = "words") -> EvaluatorParts:
    torch.manual_seed(3)
    normalizer = Normalizer(torch.linspace(-1, 1, FEATURES), torch.linspace(0.5, 4, FEATURES))
    extractor = FeatureExtractor(FEATURES, **SIZES).eval()
    words = WordVectors(len(VOCABULARY.words), 6)
    return EvaluatorParts("small", extractor, normalizer, VOCABULARY, words, tagger)


def clips(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, FEATURES)).astype(np.float32) for n in lengths]


def write_run(folder, made: EvaluatorParts, **changes) -> Run:
    run = Run(folder)
    record = {
        "schema": SCHEMA_VERSION,
        "stage": "evaluator",
        "parts": {
            "extractor": {"_target_": "t2m_extractor", "features": FEATURES, **SIZES},
            "words": {"_target_": "word_vectors", "words": 7, "dim": 6},
        },
        "dataset": {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": [10, 60]},
        "judge": judge_entry(made.name, made.tagger),
    }  # fmt: skip
    write_json(folder / "run.json", {**record, **changes})
    keep_beside_weights(folder, made.normalizer, made.vocabulary)
    run.save_part("extractor", made.extractor.state_dict())
    run.save_part("words", made.words.state_dict())
    return run


@torch.no_grad()
def test_motions_are_normalised_with_the_evaluators_statistics():
    parts = make_parts()
    (clip,) = clips(16)
    mean, std = (getattr(parts.normalizer, name).numpy() for name in ("mean", "std"))
    x = torch.zeros(1, 20, FEATURES)
    x[0, :16] = torch.from_numpy((clip - mean) / std)
    expected = parts.extractor.embed_motion(x, torch.tensor([16])).numpy()
    found = Judge(parts).embed_motions([clip])
    assert found.dtype == np.float32 and found.shape == (1, 4)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rows_keep_their_order_whatever_the_batch_size():
    motions = clips(40, 8, 196, 13, 200, 64, 5)
    whole = Judge(make_parts()).embed_motions(motions)
    pairs = Judge(make_parts(), batch_size=2).embed_motions(motions)
    alone = np.concatenate([Judge(make_parts()).embed_motions([clip]) for clip in motions])
    np.testing.assert_allclose(whole, pairs, atol=1e-5)
    np.testing.assert_allclose(whole, alone, atol=1e-5)
    assert len(np.unique(whole.round(4), axis=0)) == len(motions)
    assert np.array_equal(whole, Judge(make_parts()).embed_motions(motions))


def test_frames_beyond_whole_snippets_and_196_do_not_count():
    (clip,) = clips(203)
    found = Judge(make_parts()).embed_motions([clip, clip[:196], clip[:43], clip[:40]])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    np.testing.assert_allclose(found[2], found[3], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 1e-3


@torch.no_grad()
def test_sentences_are_words_with_classes():
    parts = make_parts()
    judge = Judge(parts)
    text = VOCABULARY.encode([["a/DET", "man/NOUN", "walk/VERB"]])
    expected = parts.extractor.embed_text(
        parts.words.vectors[text.ids], text.pos_onehot, text.lengths
    )
    published = Judge(make_parts("spacy"))
    found = published.embed_texts(["A man walks."], ["a/DET man/NOUN walk/VERB"])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    listed = published.embed_texts(["A man walks."], [["a/DET", "man/NOUN", "walk/VERB"]])
    np.testing.assert_array_equal(found, listed)
    plain = judge.embed_texts(["A man walks."])
    assert np.abs(plain - found).max() > 1e-3  # "walks" is another word than "walk"


def test_words_learned_from_plain_captions_need_no_tokens():
    judge = Judge(make_parts(), batch_size=2)
    captions = ["a man walks", "walks a man", "a man"]
    found = judge.embed_texts(captions, ["walk/VERB", "", "man/NOUN"])
    np.testing.assert_array_equal(found, judge.embed_texts(captions))
    alone = np.concatenate([judge.embed_texts([caption]) for caption in captions])
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_only_captions_without_tokens_are_tagged(monkeypatch):
    tagged: list[str] = []

    def tagger(captions):
        tagged.extend(captions)
        return tag_words(captions)

    monkeypatch.setitem(TAGGERS, "spacy", tagger)
    judge = Judge(make_parts("spacy"))
    found = judge.embed_texts(["man", "a man", "walk"], ["man/OTHER", "", ["walk/OTHER"]])
    assert tagged == ["a man"]
    np.testing.assert_allclose(found, judge.embed_texts(["man", "a man", "walk"]), atol=1e-5)


def test_what_cannot_be_judged_gets_one_line():
    judge = Judge(make_parts())
    good, bad = clips(8, 8)
    bad[3, 2] = np.nan
    with pytest.raises(WorkError, match="motion 1 holds values that are not finite"):
        judge.embed_motions([good, bad])
    with pytest.raises(RequestError, match="reads 19 features a frame, got 18"):
        judge.embed_motions([good[:, 1:]])
    with pytest.raises(RequestError, match="2 frames is too short"):
        judge.embed_motions([good[:2]])
    with pytest.raises(RequestError, match="2 captions with tokens of 1"):
        judge.embed_texts(["a", "man"], ["a/DET"])
    with pytest.raises(RequestError, match="unknown tagger 'spacey': did you mean 'spacy'"):
        Judge(make_parts("spacey"))


def test_a_judge_learns_nothing():
    judge = Judge(make_parts())
    judge.extractor.train()
    assert not any(module.training for module in judge.extractor.modules())
    assert not any(p.requires_grad for p in (*judge.extractor.parameters(), judge.words.vectors))


def test_a_run_is_the_same_judge(tmp_path):
    parts = make_parts()
    before = Judge(parts)
    write_run(tmp_path, parts)
    after = load_judge(tmp_path)
    assert (after.name, after.fingerprint, after.dim) == ("small", before.fingerprint, 4)
    motions, captions = clips(8, 30), ["a man walks", "zebra"]
    np.testing.assert_array_equal(after.embed_motions(motions), before.embed_motions(motions))
    np.testing.assert_array_equal(after.embed_texts(captions), before.embed_texts(captions))
    assert Judge(make_parts("spacy")).fingerprint != before.fingerprint


def test_what_is_no_evaluator_gets_one_line(tmp_path):
    with pytest.raises(RequestError, match="does not exist"):
        load_judge(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="no evaluator run, and .* no published .* for 'mine'"):
        load_judge(tmp_path, dataset="mine")
    vae = {"vae": {"_target_": "motion_vae"}}
    run = write_run(tmp_path, make_parts(), stage="vae", parts=vae)
    with pytest.raises(RequestError, match="is a vae run, no evaluator"):
        load_judge(tmp_path)
    run = write_run(tmp_path, make_parts())
    write_json(tmp_path / "vocabulary.json", {"words": ["sos", "eos", "unk"]})
    with pytest.raises(RequestError, match="words is 7, what it works with has 3"):
        load_parts(run)
    (tmp_path / "weights/normalizer.safetensors").unlink()
    write_json(tmp_path / "vocabulary.json", {"words": list(VOCABULARY.words)})
    with pytest.raises(RequestError, match="no weights of its normalizer"):
        load_judge(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *('{"words": 3}', '{"words": null}', '{"words": [3]}', '{"words": {"sos": 1}}', "{}"),
        *("[]", '{"words": ["\\ud800"]}', '{"words": ["sos"', "[" * 100_000, "9" * 5000),
    ],
    ids=lambda content: content[:16],
)
def test_a_vocabulary_of_another_form_is_one_line(tmp_path, content):
    run = write_run(tmp_path, make_parts())
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(WorkError, match="vocabulary.json") as error:
        load_parts(run)
    assert "\n" not in str(error.value) and len(str(error.value)) <= 300


@pytest.mark.parametrize("entry", [None, 3, {}, {"name": "x"}, {"name": "x", "tagger": "guess"}])
def test_a_judge_entry_of_another_form_is_one_line(tmp_path, entry):
    run = write_run(tmp_path, make_parts(), judge=entry)
    with pytest.raises(WorkError, match="judge|tagger"):
        load_parts(run)
