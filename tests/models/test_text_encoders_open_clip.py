"""open_clip's tower and transformers' are one network; without open_clip, one line says so."""

import gzip
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from lead.core.errors import RequestError
from lead.models.text_encoders import ClipTextEncoder, OpenClipTextEncoder

SENTENCES = [
    "a person walks forward, then turns left.",
    "",
    "Someone's doing 3 jumping-jacks!",
    "the figure crouches " * 40,
]
WIDTH, HEADS, LAYERS = 32, 4, 2


def test_without_open_clip_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(RequestError, match=r"pip install '\.\[openclip\]'") as caught:
        OpenClipTextEncoder()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.fixture(scope="module")
def open_clip():
    if find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed (extra openclip)")
    library = None
    if find_spec("torchvision") is not None and not torch.cuda.is_available():
        # A torchvision built for CUDA registers fakes for operators that a CPU torch lacks.
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou) -> Tensor")
    yield pytest.importorskip("open_clip", exc_type=RuntimeError)
    del library


@pytest.fixture(scope="module")
def folders(open_clip, tmp_path_factory):
    """The same random weights in both layouts, with CLIP's real vocabulary."""
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    root = tmp_path_factory.mktemp("clip")
    simple = open_clip.SimpleTokenizer()
    names = dict(simple.encoder)
    for ours, theirs in (("startoftext", "start_of_text"), ("endoftext", "end_of_text")):
        names[f"<|{ours}|>"] = names.pop(f"<{theirs}>")
    packed = Path(open_clip.tokenizer.default_bpe()).read_bytes()
    merges = gzip.decompress(packed).decode().split("\n")
    merges = [tuple(line.split()) for line in merges[1 : 49152 - 256 - 2 + 1]]
    CLIPTokenizer(vocab=names, merges=merges).save_pretrained(root / "transformers")
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        eos_token_id=2,
    )
    model = CLIPTextModelWithProjection(config)
    for parameter in model.parameters():  # biases and norms, too, or a swap would go unseen
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(root / "transformers")

    target = root / "open_clip"
    target.mkdir()
    sizes = {"context_length": 77, "vocab_size": 49408, "width": WIDTH}
    sizes |= {"heads": HEADS, "layers": LAYERS}
    described = {"embed_dim": WIDTH, "quick_gelu": True, "vision_cfg": {}, "text_cfg": sizes}
    (target / "open_clip_config.json").write_text(json.dumps({"model_cfg": described}))
    weights = as_open_clip(model) | {"visual.proj": torch.zeros(3, 3)}
    save_file(weights, target / "open_clip_model.safetensors")
    return root


def as_open_clip(model) -> dict:
    tower = model.text_model
    out = {
        "token_embedding.weight": tower.embeddings.token_embedding.weight,
        "positional_embedding": tower.embeddings.position_embedding.weight,
        "ln_final.weight": tower.final_layer_norm.weight,
        "ln_final.bias": tower.final_layer_norm.bias,
        "text_projection": model.text_projection.weight.T,
    }
    for number, layer in enumerate(tower.encoder.layers):
        block, attention = f"transformer.resblocks.{number}.", layer.self_attn
        heads = (attention.q_proj, attention.k_proj, attention.v_proj)
        for kind in ("weight", "bias"):
            out[f"{block}attn.in_proj_{kind}"] = torch.cat([getattr(h, kind) for h in heads])
            for name, part in {
                "attn.out_proj": attention.out_proj,
                "ln_1": layer.layer_norm1,
                "ln_2": layer.layer_norm2,
                "mlp.c_fc": layer.mlp.fc1,
                "mlp.c_proj": layer.mlp.fc2,
            }.items():
                out[f"{block}{name}.{kind}"] = getattr(part, kind)
    return {name: value.detach().clone().contiguous() for name, value in out.items()}


def test_equals_transformers_on_the_same_weights(folders):
    ours = OpenClipTextEncoder(path=folders / "open_clip").encode(SENTENCES)
    theirs = ClipTextEncoder(path=folders / "transformers").encode(SENTENCES)
    assert ours.mask.shape[1] == 77
    assert torch.equal(ours.mask, theirs.mask)
    torch.testing.assert_close(ours.pooled, theirs.pooled, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.tokens, theirs.tokens, atol=1e-4, rtol=1e-4)


def test_equals_open_clips_own_forward(folders, open_clip):
    encoder = OpenClipTextEncoder(path=folders / "open_clip")
    with torch.no_grad():
        expected = encoder.model(open_clip.SimpleTokenizer()(SENTENCES))
    out = encoder.encode(SENTENCES)
    torch.testing.assert_close(out.pooled, expected, atol=1e-4, rtol=1e-4)
    alone = encoder.encode(SENTENCES[:1])
    torch.testing.assert_close(out.pooled[:1], alone.pooled, atol=1e-5, rtol=0)


def test_gradients_reach_an_injected_word_and_weights_stay_frozen(folders):
    encoder = OpenClipTextEncoder(path=folders / "open_clip").train()
    assert not any(module.training for module in encoder.modules())
    ids = torch.tensor(encoder.tokenize(["a person walks"]))
    vectors = encoder.embed_ids(ids).requires_grad_()
    out = encoder.encode_embeddings(vectors, torch.ones_like(ids, dtype=torch.bool))
    out.pooled.square().sum().backward()
    assert vectors.grad[0, 1].norm() > 0
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_broken_folders_are_one_line(folders, tmp_path):
    source = folders / "open_clip"
    config = (source / "open_clip_config.json").read_text()
    with pytest.raises(RequestError, match="open_clip_config.json is missing"):
        OpenClipTextEncoder(path=tmp_path)
    (tmp_path / "open_clip_config.json").write_text(config)
    with pytest.raises(RequestError, match="open_clip_model.safetensors is missing"):
        OpenClipTextEncoder(path=tmp_path)
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(RequestError, match="not a whole safetensors file"):
        OpenClipTextEncoder(path=tmp_path)
    whole = (source / "open_clip_model.safetensors").read_bytes()
    (tmp_path / "open_clip_model.safetensors").write_bytes(whole)
    (tmp_path / "open_clip_config.json").write_text(config.replace('"layers": 2', '"layers": 3'))
    with pytest.raises(RequestError, match="does not fit"):
        OpenClipTextEncoder(path=tmp_path)
    (tmp_path / "open_clip_config.json").write_text(config.replace('"layers"', '"hf_model_name"'))
    with pytest.raises(RequestError, match="plain CLIP text tower"):
        OpenClipTextEncoder(path=tmp_path)
