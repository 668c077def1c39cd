"""Tokens, word classes and word vectors, by the published rules."""

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.evaluation.extractor import tags
from lead.evaluation.extractor.glove import read_glove, read_plain_pickle
from lead.evaluation.extractor.tags import TAGS, tag_with_spacy, tag_words
from lead.evaluation.extractor.words import Vocabulary, WordVectors, vocabulary_of

WORDS = Vocabulary(("sos", "eos", "unk", "a", "man", "walk", "left", "happily", "arm", "chair"))
PUBLISHED_ORDER = (
    "VERB NOUN DET ADP NUM AUX PRON ADJ ADV Loc_VIP Body_VIP Obj_VIP Act_VIP Desc_VIP OTHER"
)


def test_the_classes_stand_in_the_published_order():
    assert " ".join(TAGS) == PUBLISHED_ORDER


def test_a_caption_gets_marks_and_padding():
    text = WORDS.encode([["a/DET", "man/NOUN", "walk/VERB"]])
    assert text.ids[0].tolist() == [0, 3, 4, 5, 1] + [2] * 17
    assert [TAGS[t] for t in text.tags[0].tolist()] == (
        ["OTHER", "DET", "NOUN", "Act_VIP", "OTHER"] + ["OTHER"] * 17
    )
    assert text.lengths.tolist() == [5]
    assert text.pos_onehot.shape == (1, 22, 15)
    assert text.pos_onehot.sum(dim=-1).eq(1).all()
    assert text.pos_onehot[0, 1, 2] == 1


@pytest.mark.parametrize(
    ("token", "word", "tag"),
    [
        ("left/ADJ", "left", "Loc_VIP"),
        ("left/VERB", "left", "Loc_VIP"),
        ("arm/NOUN", "arm", "Body_VIP"),
        ("chair/NOUN", "chair", "Obj_VIP"),
        ("walk/NOUN", "walk", "Act_VIP"),
        ("happily/ADV", "happily", "Desc_VIP"),
        ("man/NOUN", "man", "NOUN"),
        ("a/CCONJ", "a", "OTHER"),  # a class outside the fifteen
        ("zebra/NOUN", "unk", "OTHER"),  # no vector
        ("kick/VERB", "unk", "OTHER"),  # a motion word without a vector
        ("A/DET", "unk", "OTHER"),  # the vocabulary is lower-case, tokens are taken as they are
    ],
)
def test_words_and_classes(token, word, tag):
    text = WORDS.encode([[token]])
    assert WORDS.words[text.ids[0, 1]] == word and TAGS[text.tags[0, 1]] == tag


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (19, 19), (20, 20), (21, 20), (50, 20)])
def test_twenty_words_at_most(count, kept):
    text = WORDS.encode([["man/NOUN"] * count])
    assert text.lengths.tolist() == [kept + 2]
    assert text.ids[0].tolist() == [0] + [4] * kept + [1] + [2] * (20 - kept)


def test_a_malformed_token_and_a_wrong_vocabulary_get_one_line():
    with pytest.raises(RequestError, match="token 'man' is not of the form word/TAG"):
        WORDS.encode([["man"]])
    with pytest.raises(RequestError, match="lacks unk"):
        Vocabulary(("sos", "eos"))
    with pytest.raises(RequestError, match="twice"):
        Vocabulary(("sos", "eos", "unk", "a", "a"))


def test_rare_words_are_left_to_the_unknown_word():
    captions = [["a/DET", "man/NOUN"], ["a/DET", "dog/NOUN"], ["man/NOUN", "unk/OTHER", "unk/X"]]
    assert vocabulary_of(captions).words == ("sos", "eos", "unk", "a", "man")


def test_without_a_tagger_words_are_lower_case_and_of_no_class():
    captions = ["A man's T-shirt, walks 2 steps.", "", "Führt einen Kniefall aus!"]
    assert tag_words(captions) == [
        ["a/OTHER", "man/OTHER", "tshirt/OTHER", "walks/OTHER", "2/OTHER", "steps/OTHER"],
        [],
        ["führt/OTHER", "einen/OTHER", "kniefall/OTHER", "aus/OTHER"],
    ]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("the 2nd time", "the 2nd time"),
        ("he doesn't stop, don’t you see", "he doesn't stop don't you see"),
        ("rock'n'roll", "rock'n'roll"),
        ("a dancer's arm, the man’s leg, it's", "a dancer arm the man leg it"),
        ("'circles' around", "circles around"),
        ("re\u0301sume\u0301 naïve", "résumé naïve"),  # accents apart become one letter
        ("élève ÉLÈVE", "élève élève"),
        ("行走 идёт", "行走 идёт"),
        ("snake_case a/b", "snake case a b"),
        ("180 degrees 3x", "180 degrees 3x"),
        ("", ""),
        ("... -- '", ""),
    ],
)
def test_words_lose_no_letters(caption, words):
    assert tag_words([caption]) == [[f"{word}/OTHER" for word in words.split()]]


def word(text: str, pos: str, lemma: str, tag: str = "") -> SimpleNamespace:
    return SimpleNamespace(text=text, pos_=pos, lemma_=lemma, tag_=tag)


@pytest.fixture
def spacy_model(monkeypatch):
    """Give tag_with_spacy a model that answers with these words; returns the texts it read."""
    tags._spacy_model.cache_clear()
    read: list[str] = []

    def answer(*sentences):
        def pipe(texts):
            read.extend(texts)
            return iter(sentences)

        def load(name, exclude):
            if name == "en_core_web_sm":
                raise OSError("not installed")
            return SimpleNamespace(pipe=pipe)

        monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load))
        return read

    yield answer
    tags._spacy_model.cache_clear()


def test_the_published_rule_of_tokens(spacy_model):
    """Nouns and verbs as lemmas but for 'left', letters only, possessives as determiners."""
    read = spacy_model(
        [
            word("kicks", "VERB", "kick"),
            word("his", "PRON", "his", "PRP$"),
            word("it", "PRON", "it", "PRP"),
            word("left", "VERB", "leave"),
            word("legs", "NOUN", "leg"),
            word("was", "AUX", "be"),
            word("2", "NUM", "2"),
            word(".", "PUNCT", "."),
        ]
    )
    (tokens,) = tag_with_spacy(["Kicks -his- T-shirt"])
    assert " ".join(tokens) == "kick/VERB his/DET it/PRON left/VERB leg/NOUN was/AUX"
    assert read == ["kicks his tshirt"]


def test_a_missing_tagger_says_what_to_install(monkeypatch):
    tags._spacy_model.cache_clear()
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(RequestError, match=r"pip install '\.\[pos\]'"):
        tag_with_spacy(["a man walks"])
    tags._spacy_model.cache_clear()


def test_tokens_are_those_of_the_published_texts():
    """The first line of HumanML3D's 000000.txt."""
    spacy = pytest.importorskip("spacy", reason="needs the extra pos")
    if not any(spacy.util.is_package(name) for name in tags.MODELS):
        pytest.skip("needs spaCy's small English model (extra pos)")
    (tokens,) = tag_with_spacy(["a man kicks something or someone with his left leg."])
    expected = (
        "a/DET man/NOUN kick/VERB something/PRON or/CCONJ someone/PRON with/ADP his/DET left/ADJ"
    )
    assert " ".join(tokens) == f"{expected} leg/NOUN"


# The published word vectors


@pytest.fixture
def glove(tmp_path):
    """Three files as published, with rows in another order than the words."""
    words = ["sos", "eos", "unk", "walk"]
    rows = {"walk": 0, "unk": 1, "eos": 2, "sos": 3}
    np.save(tmp_path / "our_vab_data.npy", np.arange(12, dtype=np.float64).reshape(4, 3))
    for name, value in (("words", words), ("idx", rows)):
        (tmp_path / f"our_vab_{name}.pkl").write_bytes(pickle.dumps(value))
    return tmp_path


def test_each_word_gets_its_own_vector(glove):
    vocabulary, vectors = read_glove(glove)
    assert vocabulary.words == ("sos", "eos", "unk", "walk")
    found = vectors(torch.tensor([vocabulary.rows["walk"], vocabulary.rows["sos"]]))
    assert found.tolist() == [[0, 1, 2], [9, 10, 11]]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol_are_read(tmp_path, protocol):
    value = {"sos": 0, "w": [1, "a", 2.5, None, True], "nested": {"x": []}}
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_plain_pickle(path) == value


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_pickle_is_executed(tmp_path, glove, protocol):
    sprung = tmp_path / "sprung"
    trapped = glove / "our_vab_words.pkl"
    trapped.write_bytes(pickle.dumps(["sos", Trap(sprung)], protocol=protocol))
    with pytest.raises(RequestError, match=r"our_vab_words\.pkl .* not executed") as error:
        read_glove(glove)
    assert "\n" not in str(error.value) and not sprung.exists()


def test_broken_word_vectors_get_one_line(glove):
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({"walk": 0}))
    with pytest.raises(RequestError, match="does not give each word a row"):
        read_glove(glove)
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps({"walk": 0}))
    with pytest.raises(RequestError, match="is not a list of words"):
        read_glove(glove)
    (glove / "our_vab_words.pkl").write_bytes(b"\x80\x04garbage")
    with pytest.raises(RequestError, match="our_vab_words"):
        read_glove(glove)
    np.save(glove / "our_vab_data.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(RequestError, match=r"our_vab_data\.npy: holds Python objects"):
        read_glove(glove)
    (glove / "our_vab_data.npy").unlink()
    with pytest.raises(RequestError, match=r"lacks our_vab_data\.npy"):
        read_glove(glove)


def test_the_published_vocabulary_is_read(sample_data):
    folder = sample_data / "evaluator"
    words = read_plain_pickle(folder / "our_vab_words.pkl")
    rows = read_plain_pickle(folder / "our_vab_idx.pkl")
    assert len(words) == len(rows) == 4199 and words[:4] == ["sos", "eos", "unk", "a"]
    vocabulary = Vocabulary(tuple(words))
    text = vocabulary.encode([["a/DET", "man/NOUN", "kick/VERB", "qwertz/NOUN"]])
    assert [words[row] for row in text.ids[0, :6]] == ["sos", "a", "man", "kick", "unk", "eos"]


def test_learned_vectors_have_gradients():
    vectors = WordVectors(5, 3)
    vectors(torch.tensor([[1, 1, 4]])).sum().backward()
    assert vectors.vectors.grad.sum(dim=1).tolist() == [0, 6, 0, 0, 3]
