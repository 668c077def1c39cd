"""Latents of sentences: the language model is transformers' own, the prefix tells nothing."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from lead.core.errors import RequestError, WorkError
from lead.core.masks import lengths_to_mask
from lead.models.sentence_pieces import END, SentencePieces, padded
from lead.models.sentence_writing import repeats, write_sentences
from lead.models.text_autoencoder import NOTHING, TextAutoencoder, targets

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
SIZES = {"text_dim": 12, "latent_tokens": 3, "latent_dim": 4, "width": 16, "layers": 2, "heads": 2}
LANGUAGE = {"language_width": 24, "language_layers": 2, "language_heads": 2, "longest": 24}
SENTENCES = ("a person walks", "a person runs fast, then stops.", "somebody waves with both arms")


@pytest.fixture(scope="module")
def pieces() -> SentencePieces:
    return SentencePieces.learned(SENTENCES * 3, 300)


@pytest.fixture
def network(pieces) -> TextAutoencoder:
    torch.manual_seed(0)
    made = TextAutoencoder(vocabulary=len(pieces), end=pieces.end, **SIZES, **LANGUAGE)
    for parameter in made.language.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # fresh ones say nearly the same everywhere
    return made.eval()


def test_pieces_come_back_as_the_sentence_and_end(pieces, tmp_path):
    for row, text in zip(pieces.encode(SENTENCES, 100), SENTENCES, strict=True):
        assert row[-1] == pieces.end and pieces.end not in row[:-1]
        assert pieces.decode(row) == text == pieces.decode([*row, 5, 6])
    assert pieces.encode(["A  Person\nwalks"], 100) == pieces.encode(["a person walks"], 100)
    short = pieces.encode(SENTENCES, 3)
    assert all(len(row) == 3 and row[-1] == pieces.end for row in short)
    assert pieces.decode(pieces.encode(["ein Stück, größer"], 100)[0]) == "ein stück, größer"
    pieces.keep(tmp_path)
    read = SentencePieces.read(tmp_path)
    assert read.encode(SENTENCES, 9) == pieces.encode(SENTENCES, 9) and read.end == pieces.end
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(WorkError, match=r"tokenizer\.json"):
        SentencePieces.read(tmp_path)


def test_a_vocabulary_without_an_end_is_refused(tmp_path, pieces):
    text = pieces.tokenizer.to_str().replace(END, "<|other|>")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(WorkError):
        SentencePieces.read(tmp_path)


def test_logits_and_loss_are_those_of_gpt2_with_its_own_head(network, pieces):
    from transformers import GPT2LMHeadModel

    judge = GPT2LMHeadModel(network.language.config).eval()
    judge.transformer.load_state_dict(network.language.state_dict())
    judge.tie_weights()
    ids, lengths = padded(pieces.encode(SENTENCES, 20), pieces.end)
    latents = torch.randn(3, 3, 4)
    prefix = network.prefix(latents)
    whole = torch.cat([prefix, network.pieces(ids)], dim=1)
    labels = ids.masked_fill(~lengths_to_mask(lengths), -100)
    labels = torch.cat([labels.new_full((3, 3), -100), labels], dim=1)
    wanted = judge(inputs_embeds=whole, labels=labels)
    logits = network(latents, ids)
    torch.testing.assert_close(logits, wanted.logits[:, :-1], **CLOSE)
    told = targets(3, ids, lengths)
    loss = cross_entropy(logits.flatten(0, 1), told.flatten(), ignore_index=NOTHING)
    torch.testing.assert_close(loss, wanted.loss, **CLOSE)


def test_the_prefix_and_what_is_behind_the_end_tell_nothing(network, pieces):
    ids, lengths = padded(pieces.encode(SENTENCES, 20), pieces.end)
    logits = network(torch.randn(3, 3, 4), ids).detach().requires_grad_()
    told = targets(3, ids, lengths)
    cross_entropy(logits.flatten(0, 1), told.flatten(), ignore_index=NOTHING).backward()
    moved = logits.grad.abs().sum(-1) > 0
    for row, length in enumerate(lengths.tolist()):
        assert moved[row].nonzero().flatten().tolist() == [*range(2, 2 + length)]
        assert told[row, 2 : 2 + length].tolist() == ids[row, :length].tolist()


def test_padded_words_and_neighbours_change_no_latents(network):
    text, lengths = torch.randn(3, 7, 12), torch.tensor([7, 3, 1])
    mask = lengths_to_mask(lengths)
    both = network.encode(text, mask)
    torch.testing.assert_close(both.square().mean(-1), torch.ones(3, 3), **CLOSE)
    for row, length in enumerate(lengths.tolist()):
        alone = network.encode(text[row : row + 1, :length])
        torch.testing.assert_close(both[row : row + 1], alone, **CLOSE)
    changed = torch.where(mask[..., None], text, 9.0)
    torch.testing.assert_close(network.encode(changed, mask), both, **CLOSE)
    with pytest.raises(RequestError, match="12"):
        network.encode(text[..., :5])


@torch.no_grad()
def without_cache(network, pieces, latents, most) -> list[str]:
    """The likeliest piece each time, all computed anew; none that says a word a third time."""
    texts = []
    for row in range(len(latents)):
        ids: list[int] = []
        for _ in range(most):
            prefix = network.prefix(latents[row : row + 1])
            read = network.pieces(torch.tensor([ids], dtype=torch.long))
            logits = network.logits(torch.cat([prefix, read], dim=1))[0, -1]
            order = logits.argsort(descending=True).tolist()
            ids.append(next(p for p in order if not repeats(pieces.decode([*ids, p]))))
            if ids[-1] == pieces.end:
                break
        texts.append(pieces.decode(ids))
    return texts


@pytest.mark.parametrize("beams", [1, 3])
def test_decoding_is_determined_by_each_rows_own_latents(network, pieces, beams):
    latents = 3 * torch.randn(6, 3, 4)
    written = write_sentences(network, pieces, latents, beams=beams, most=12)
    assert written == write_sentences(network, pieces, latents, beams=beams, most=12)
    assert len({text for text, _ in written}) > 1
    for row, (text, score) in enumerate(written):
        ((alone, own),) = write_sentences(
            network, pieces, latents[row : row + 1], beams=beams, most=12
        )
        assert alone == text and own == pytest.approx(score, abs=1e-4)
        words = text.lower().split()
        assert not any(repeats(" ".join(words[:end])) for end in range(len(words) + 1))
    if beams == 1:
        assert [text for text, _ in written] == without_cache(network, pieces, latents, 12)


def test_a_word_that_always_wins_is_said_twice_at_most(network, pieces):
    """The last layer puts out one vector whatever it reads; pieces lie along it in this order."""
    first, second = (pieces.encode([word], 5)[0][0] for word in ("a", "with"))
    with torch.no_grad():
        network.language.ln_f.weight.zero_()
        network.language.ln_f.bias.copy_(torch.eye(24)[0])
        network.language.wte.weight.zero_()
        network.language.wte.weight[first, 0] = 9.0
        network.language.wte.weight[second, 0] = 5.0
    ((text, _),) = write_sentences(network, pieces, torch.zeros(1, 3, 4), most=8)
    assert text == "a a with a a with a a"


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("walks walks walks", True),
        ("he Walks, walks. WALKS!", True),
        ("walks walks", False),
        ("walks walks runs walks", False),
        ("walks walks walks on", False),
        ("", False),
    ],
)
def test_three_times_running_is_judged_by_words(sentence, answer):
    assert repeats(sentence) == answer
