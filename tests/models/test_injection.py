"""A learned word stands where a looked-up one would, in every text encoder."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from lead.core.errors import RequestError
from lead.models.text_encoders import (
    ClipTextEncoder,
    HashTextEncoder,
    MiniLmEncoder,
    SentenceT5Encoder,
)
from lead.models.text_encoders.learned_words import check_spelling, check_taught, words_in

WORDS = ["a", "person", "walks", "jumps", "slowly"]
MARKS = [",", "(", ")", "<", ">", "."]
SENTENCES = {
    "a <w> walks": "a person walks",
    "<w>, walks slowly.": "person, walks slowly.",
    "a (<w>) jumps": "a (person) jumps",
    "<w>": "person",
    "a <W> walks, <w> jumps": "a person walks, person jumps",
    "  <w>   walks  ": "person walks",
    "a person walks": "a person walks",
}
"""With a learned word that has the vector of ``person``: the same as with ``person``."""


def write_clip(folder: Path) -> Path:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz", *MARKS]
    merges = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    merges = list(dict.fromkeys(merges))
    entries = [*letters, *(letter + "</w>" for letter in letters)]
    entries += ["<|startoftext|>", "<|endoftext|>", *(a + b for a, b in merges)]
    vocabulary = {entry: index for index, entry in enumerate(dict.fromkeys(entries))}
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=16).save_pretrained(folder)
    config = CLIPTextConfig(
        **{"vocab_size": len(vocabulary), "hidden_size": 24, "intermediate_size": 48},
        **{"projection_dim": 24, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"max_position_embeddings": 16, "eos_token_id": 2},
        bos_token_id=vocabulary["<|startoftext|>"],
    )
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


def write_minilm(folder: Path) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizer

    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *MARKS, "jump", "##ing"]
    BertTokenizer(vocab={entry: i for i, entry in enumerate(entries)}).save_pretrained(folder)
    config = BertConfig(
        **{"vocab_size": len(entries), "hidden_size": 24, "intermediate_size": 48},
        **{"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32},
    )
    BertModel(config).save_pretrained(folder)
    return folder


def write_sentence_t5(folder: Path) -> Path:
    from safetensors.torch import save_file
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -5.0)]
    pieces += [("▁" + word, -2.0) for word in WORDS] + [(mark, -3.0) for mark in MARKS]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
    config = T5Config(vocab_size=32, d_model=24, d_kv=12, d_ff=48, num_layers=2, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder)
    package = "sentence_transformers.models."
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    listed = [{"path": path, "type": package + kind} for path, kind in modules]
    (folder / "modules.json").write_text(json.dumps(listed))
    dense = {"in_features": 24, "out_features": 16, "bias": False}
    dense["activation_function"] = "torch.nn.modules.linear.Identity"
    for name, values in (("1_Pooling", {"pooling_mode_mean_tokens": True}), ("2_Dense", dense)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(values))
    save_file({"linear.weight": torch.randn(16, 24)}, folder / "2_Dense" / "model.safetensors")
    return folder


def write_open_clip(folder: Path) -> Path:
    """CLIP's real vocabulary, random weights; skips where open_clip does not load."""
    if find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed (extra openclip)")
    open_clip = pytest.importorskip("open_clip", exc_type=RuntimeError)
    from safetensors.torch import save_file

    sizes = {"context_length": 16, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 2}
    described = {"embed_dim": 24, "text_cfg": sizes}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": described}))
    tower = open_clip.transformer.TextTransformer(output_dim=24, **sizes)
    weights = {name: value.contiguous() for name, value in tower.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def make(name: str, root: Path):
    torch.manual_seed(1)
    if name == "hash":
        return HashTextEncoder(dim=24, max_words=16, batch_size=2)
    folder = root / name
    folder.mkdir()
    if name == "clip":
        return ClipTextEncoder(path=write_clip(folder), batch_size=2)
    if name == "minilm":
        return MiniLmEncoder(path=write_minilm(folder), batch_size=2, max_words=16, sha256=None)
    if name == "sentence_t5":
        return SentenceT5Encoder(path=write_sentence_t5(folder), batch_size=2, max_words=16)
    from lead.models.text_encoders import OpenClipTextEncoder

    return OpenClipTextEncoder(path=write_open_clip(folder), batch_size=2)


@pytest.fixture(scope="module", params=["hash", "clip", "minilm", "sentence_t5", "open_clip"])
def encoder(request, tmp_path_factory):
    return make(request.param, tmp_path_factory.mktemp("models"))


def state(encoder) -> dict:
    kept = {name: value.clone() for name, value in encoder.state_dict().items()}
    if encoder.name == "hash":
        kept["table"] = encoder.table.clone()
    return kept


def test_a_word_with_the_vector_of_another_is_that_word(encoder):
    sentences = dict(SENTENCES)
    if encoder.name == "sentence_t5":  # behind a bracket it spells the plain word letter by letter
        del sentences["a (<w>) jumps"]
    vector = encoder.word_vector("person")
    out = encoder.encode_with_words(list(sentences), {"<w>": vector})
    wanted = encoder.encode(list(sentences.values()))
    assert torch.equal(out.mask, wanted.mask)
    torch.testing.assert_close(out.pooled, wanted.pooled, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.tokens, wanted.tokens, atol=1e-5, rtol=0)


def test_two_words_in_one_sentence_keep_their_places(encoder):
    words = {"<x>": encoder.word_vector("jumps"), "<y-2>": encoder.word_vector("slowly")}
    out = encoder.encode_with_words(["a <y-2> person <x>", "<x>, <y-2>"], words)
    wanted = encoder.encode(["a slowly person jumps", "jumps, slowly"])
    torch.testing.assert_close(out.pooled, wanted.pooled, atol=1e-5, rtol=0)


def test_gradients_reach_the_vector_and_nothing_of_the_encoder_changes(encoder):
    before = state(encoder)
    plain = encoder.encode(["a person walks"]).pooled
    width = encoder.word_vector("person").shape
    vector = torch.full(width, 0.1).requires_grad_()
    out = encoder.encode_with_words(["a <w> walks", "a person walks"], {"<w>": vector})
    (unused,) = torch.autograd.grad(out.pooled[1, 0], vector, retain_graph=True)
    assert (unused == 0).all(), "another sentence does not hang on it"
    out.pooled[0].pow(3).sum().backward()
    assert vector.grad.norm() > 1e-6
    assert all(parameter.grad is None for parameter in encoder.parameters())
    after = state(encoder)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(encoder.encode(["a person walks"]).pooled, plain)


def test_the_gradient_is_the_slope(encoder):
    torch.manual_seed(0)
    start = encoder.word_vector("person")
    vector = start.clone().requires_grad_()
    direction = torch.randn_like(start) * start.norm() / len(start) ** 0.5

    def height(at):
        pooled = encoder.encode_with_words(["a <w>, walks"], {"<w>": at}).pooled
        return (pooled * torch.linspace(-1, 1, encoder.dim)).sum()

    height(vector).backward()
    with torch.no_grad():
        rise = height(start + 1e-2 * direction) - height(start - 1e-2 * direction)
    assert float(rise) / 2e-2 == pytest.approx(float(vector.grad @ direction), rel=0.02, abs=1e-4)


def test_sentences_of_a_batch_are_independent(encoder):
    words = {"<x>": encoder.word_vector("jumps"), "<y>": encoder.word_vector("slowly")}
    texts = ["a <x> person walks slowly", "<y>", "person, <y> walks"]
    together = encoder.encode_with_words(texts, words)
    for row, text in enumerate(texts):
        alone = encoder.encode_with_words([text], words)
        torch.testing.assert_close(together.pooled[row], alone.pooled[0], atol=1e-5, rtol=0)


def test_a_word_that_is_cut_off_is_refused(encoder):
    vector = encoder.word_vector("person")
    with pytest.raises(RequestError, match="stands behind the end of what"):
        encoder.encode_with_words(["walks " * 30 + "<w>"], {"<w>": vector})
    with pytest.raises(RequestError, match=r"<w> has a vector of shape \(7,\)"):
        encoder.encode_with_words(["<w>"], {"<w>": torch.zeros(7)})


def test_what_the_vocabulary_knows(encoder):
    assert encoder.knows("person")
    assert not encoder.knows("<zombie>")
    if encoder.name == "sentence_t5":
        assert encoder.knows("<pad>")
    with pytest.raises(RequestError, match="'person walks' is 2 pieces"):
        encoder.word_vector("person walks")


def test_a_word_that_the_vocabulary_lacks_is_no_start(tmp_path):
    with pytest.raises(RequestError, match="does not know 'zebra'"):
        make("minilm", tmp_path).word_vector("zebra")


def test_clip_reads_the_sentence_at_its_first_end_mark(tmp_path):
    """Its vocabulary has ids behind the end mark, as one with an added word would."""
    encoder = make("clip", tmp_path)
    vector = torch.randn(24)
    out = encoder.encode_with_words(
        ["a <w> walks", "a <w> walks <|endoftext|> jumps"], {"<w>": vector}
    )
    by_hand = encoder.model.text_projection(out.tokens[0, out.mask[0].sum() - 1])
    torch.testing.assert_close(out.pooled[0], by_hand)
    torch.testing.assert_close(out.pooled[1], out.pooled[0])
    assert len(encoder.tokenizer) == encoder.model.config.vocab_size


@pytest.mark.parametrize("word", ["zombie", "<>", "<a b>", "<3>", "<x", "", "<x>y", "<|end|>"])
def test_spelling(word):
    with pytest.raises(RequestError, match="angle brackets"):
        check_spelling(word)


def test_words_are_found_in_lower_case():
    assert check_spelling("<Zom-bie_2>") == "<zom-bie_2>"
    assert words_in("A <Zombie>, <b>: 1 < 2 > 1 <3") == ["<zombie>", "<b>"]
    check_taught("a <Zombie> walks", ["<zombie>"])
    with pytest.raises(RequestError, match="no word file teaches <b>"):
        check_taught("<zombie> <b>", ["<zombie>"])
