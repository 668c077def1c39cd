"""A word survives its file, bit for bit, and nothing else passes for one."""

import pytest
import torch
from safetensors.torch import save_file

from lead.core.errors import LeadError, RequestError, WorkError
from lead.inversion import Word, read_word, write_word
from lead.inversion.word import state_hash
from lead.models.text_encoders import HashTextEncoder

ABOUT = {"init": "walk", "objective": "lead", "lr": 0.3, "sources": ["a.bvh", "b c"], "seed": 7}


def word(width: int = 768) -> Word:
    return Word("<zombie>", torch.randn(width), "f" * 64, {**ABOUT, "licence": "CC BY 4.0"})


def test_a_word_comes_back_whole(tmp_path):
    made = word()
    write_word(tmp_path / "a.safetensors", made)
    read = read_word(tmp_path / "a.safetensors")
    assert torch.equal(read.vector, made.vector)
    assert (read.word, read.encoder, read.about) == (made.word, made.encoder, made.about)
    write_word(tmp_path / "b.safetensors", made)
    one, other = (tmp_path / f"{name}.safetensors" for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_size < 6000


def test_only_the_encoder_that_it_was_learned_with_reads_it():
    encoder = HashTextEncoder(dim=12)
    fitting = Word("<w>", torch.zeros(12), encoder.fingerprint)
    fitting.check_encoder(encoder)
    with pytest.raises(RequestError, match="was learned with text encoder 'another'") as error:
        fitting.check_encoder(HashTextEncoder(dim=12, seed=1))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"vector": torch.zeros(3)}, None, "is of another kind"),
        ({"vector": torch.zeros(3)}, {"lead.word": "{"}, "is no JSON"),
        ({"vector": torch.zeros(3)}, {"lead.word": "[1]"}, "an object of keys and values"),
        (
            {"other": torch.zeros(3)},
            {"lead.word": '{"schema": 1, "word": "<w>", "encoder": "f"}'},
            "no vector",
        ),
        ({"vector": torch.zeros(3)}, {"lead.word": '{"schema": 2}'}, "'schema' takes 1, got 2"),
        ({"vector": torch.zeros(3)}, {"lead.word": '{"schema": 1}'}, "it has no 'word'"),
        (
            {"vector": torch.zeros(3, 1)},
            {"lead.word": '{"schema": 1, "word": "<w>", "encoder": "f"}'},
            "no row of finite numbers",
        ),
        (
            {"vector": torch.tensor([1.0, float("nan")])},
            {"lead.word": '{"schema": 1, "word": "<w>", "encoder": "f"}'},
            "'vector' holds a number that is not finite",
        ),
        (
            {"vector": torch.zeros(3)},
            {"lead.word": '{"schema": 1, "word": "walk", "encoder": "f"}'},
            "angle brackets",
        ),
    ],
)
def test_what_is_no_word_is_refused_by_name(tmp_path, tensors, metadata, message):
    path = tmp_path / "word.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(LeadError, match=message) as error:
        read_word(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_or_broken_file_is_one_line(tmp_path):
    with pytest.raises(RequestError, match="is missing: give a word file"):
        read_word(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(WorkError, match="is not a whole safetensors file.*: give a word file"):
        read_word(tmp_path / "broken.safetensors")


def test_the_hash_of_modules_follows_every_number():
    layer = torch.nn.Linear(3, 2)
    before = state_hash(layer, None)
    assert state_hash(layer) == before
    with torch.no_grad():
        layer.bias[1] += 1e-6
    assert state_hash(layer) != before
