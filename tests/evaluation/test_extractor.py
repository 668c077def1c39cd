"""The evaluator's networks against their equations, written out from the published description."""

import pytest
import torch
from torch.nn.functional import conv1d, leaky_relu, one_hot

from lead.core.errors import RequestError
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.padding import pad_motions

SMALL = {"word_dim": 6, "text_width": 5, "movement_width": 7, "motion_width": 8, "dim": 4}


def gru(weights: dict, inputs: torch.Tensor, suffix: str, state: torch.Tensor) -> torch.Tensor:
    """Last state of one direction over one row (steps, width); Cho et al., 2014."""
    w_in, w_state = weights[f"gru.weight_ih_l0{suffix}"], weights[f"gru.weight_hh_l0{suffix}"]
    b_in, b_state = weights[f"gru.bias_ih_l0{suffix}"], weights[f"gru.bias_hh_l0{suffix}"]
    for x in inputs.flip(0) if suffix else inputs:
        r_in, u_in, n_in = (w_in @ x + b_in).chunk(3)
        r_state, u_state, n_state = (w_state @ state + b_state).chunk(3)
        reset, update = torch.sigmoid(r_in + r_state), torch.sigmoid(u_in + u_state)
        state = (1 - update) * torch.tanh(n_in + reset * n_state) + update * state
    return state


def linear(weights: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def both_ends(weights: dict, inputs: torch.Tensor) -> torch.Tensor:
    start = weights["hidden"][:, 0]
    last = torch.cat(
        [gru(weights, inputs, "", start[0]), gru(weights, inputs, "_reverse", start[1])]
    )
    h = linear(weights, "output_net.0", last)
    h = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt()
    h = h * weights["output_net.1.weight"] + weights["output_net.1.bias"]
    return linear(weights, "output_net.3", leaky_relu(h, 0.2))


def sentence_vector(weights: dict, words, tags, length: int) -> torch.Tensor:
    inputs = linear(weights, "input_emb", words + linear(weights, "pos_emb", tags))
    return both_ends(weights, inputs[:length])


def motion_vector(movement: dict, motion: dict, x, length: int) -> torch.Tensor:
    h = x[:, :-4].T[None]
    for layer in ("main.0", "main.3"):
        weight, bias = movement[f"{layer}.weight"], movement[f"{layer}.bias"]
        h = leaky_relu(conv1d(h, weight, bias, stride=2, padding=1), 0.2)
    snippets = linear(movement, "out_net", h[0].T)
    return both_ends(motion, linear(motion, "input_emb", snippets)[: length // 4])


def weights_of(extractor: FeatureExtractor) -> dict[str, dict]:
    return {
        network: {
            name.removeprefix(f"{network}."): tensor
            for name, tensor in extractor.state_dict().items()
            if name.startswith(f"{network}.")
        }
        for network in ("text_encoder", "movement_encoder", "motion_encoder")
    }


def random_extractor(features: int, **sizes: int) -> FeatureExtractor:
    """Every tensor random, so that no bias or gain hides; in double, so that no rounding counts."""
    extractor = FeatureExtractor(features, **sizes).eval().double()
    generator = torch.Generator().manual_seed(0)
    for tensor in extractor.state_dict().values():
        scale = tensor.shape[-1] ** -0.5 if tensor.ndim > 1 else 0.3
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)
    return extractor


def embedded(extractor: FeatureExtractor, *clips) -> torch.Tensor:
    x, lengths = pad_motions(clips)
    return extractor.embed_motion(x.double(), lengths)


@pytest.mark.parametrize(("features", "sizes"), [(19, SMALL), (263, {}), (251, {})])
@torch.no_grad()
def test_vectors_are_those_of_the_equations(features, sizes):
    extractor = random_extractor(features, **sizes)
    weights = weights_of(extractor)
    lengths = torch.tensor([8, 20, 4, 16])
    x = torch.randn(4, 20, features).double()
    motions = extractor.embed_motion(x, lengths)
    words = torch.randn(3, 22, sizes.get("word_dim", 300)).double()
    tags = one_hot(torch.randint(15, (3, 22)), 15).double()
    word_lengths = torch.tensor([5, 22, 2])
    texts = extractor.embed_text(words, tags, word_lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = motion_vector(
            weights["movement_encoder"], weights["motion_encoder"], x[row], length
        )
        torch.testing.assert_close(motions[row], expected, atol=1e-10, rtol=1e-10)
    for row, length in enumerate(word_lengths.tolist()):
        expected = sentence_vector(weights["text_encoder"], words[row], tags[row], length)
        torch.testing.assert_close(texts[row], expected, atol=1e-10, rtol=1e-10)


def test_tensors_have_the_names_and_shapes_of_the_published_checkpoints():
    """From the list of tensors in MLD's checkpoint of HumanML3D and KIT."""
    shapes = {n: tuple(t.shape) for n, t in FeatureExtractor(263).state_dict().items()}
    gru_names = [
        f"gru.{kind}_l0{suffix}"
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        for suffix in ("", "_reverse")
    ]
    head = [f"output_net.{n}.{kind}" for n in (0, 1, 3) for kind in ("weight", "bias")]
    names = {
        "text_encoder": ["hidden", "pos_emb", "input_emb", *gru_names, *head],
        "movement_encoder": ["main.0", "main.3", "out_net"],
        "motion_encoder": ["hidden", "input_emb", *gru_names, *head],
    }
    layers = ("pos_emb", "input_emb", "main.0", "main.3", "out_net")
    expected = {
        f"{network}.{name}{kind}"
        for network, own in names.items()
        for name in own
        for kind in ((".weight", ".bias") if name in layers else ("",))
    }
    assert set(shapes) == expected
    assert shapes["text_encoder.pos_emb.weight"] == (300, 15)
    assert shapes["text_encoder.input_emb.weight"] == (512, 300)
    assert shapes["text_encoder.gru.weight_hh_l0_reverse"] == (1536, 512)
    assert shapes["text_encoder.hidden"] == (2, 1, 512)
    assert shapes["text_encoder.output_net.3.weight"] == (512, 512)
    assert shapes["movement_encoder.main.0.weight"] == (512, 259, 4)
    assert shapes["motion_encoder.input_emb.weight"] == (1024, 512)
    assert shapes["motion_encoder.gru.weight_ih_l0"] == (3072, 1024)
    assert shapes["motion_encoder.output_net.0.weight"] == (1024, 2048)
    assert shapes["motion_encoder.output_net.3.weight"] == (512, 1024)
    kit = FeatureExtractor(251).state_dict()
    assert kit["movement_encoder.main.0.weight"].shape == (512, 247, 4)


@torch.no_grad()
def test_rows_keep_their_order_and_do_not_see_each_other():
    extractor = random_extractor(19, **SMALL)
    clips = [torch.randn(n, 19).numpy() for n in (12, 196, 40, 13, 199, 92)]
    together = embedded(extractor, *clips)
    alone = torch.cat([embedded(extractor, clip) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-10, rtol=1e-10)
    assert (together[:, None] - together).norm(dim=-1).fill_diagonal_(1).min() > 1e-3


@torch.no_grad()
def test_padding_is_as_if_every_motion_were_padded_to_196_frames():
    extractor = random_extractor(19, **SMALL)
    clips = [torch.randn(n, 19) for n in (8, 44, 192, 196)]
    x = torch.zeros(4, 196, 19).double()
    for row, clip in zip(x, clips, strict=True):
        row[: len(clip)] = clip
    published = extractor.embed_motion(x, torch.tensor([8, 44, 192, 196]))
    for row, clip in zip(published, clips, strict=True):
        ours = embedded(extractor, clip.numpy())[0]
        torch.testing.assert_close(ours, row, atol=1e-10, rtol=1e-10)


def test_padding_cuts_to_whole_snippets():
    x, lengths = pad_motions([torch.ones(n, 5).numpy() for n in (7, 4, 250)])
    assert lengths.tolist() == [4, 4, 196]
    assert x.shape == (3, 196, 5) and x.sum(dim=(1, 2)).tolist() == [20, 20, 980]
    with pytest.raises(RequestError, match="3 frames is too short"):
        pad_motions([torch.ones(3, 5).numpy()])


@torch.no_grad()
def test_foot_contacts_do_not_count():
    extractor = random_extractor(19, **SMALL)
    x, lengths = torch.randn(2, 12, 19).double(), torch.tensor([12, 8])
    changed = x.clone()
    changed[..., -4:] = 5.0
    assert torch.equal(extractor.embed_motion(x, lengths), extractor.embed_motion(changed, lengths))


def test_dropout_is_the_published_one_and_off_in_evaluation():
    extractor = random_extractor(19, **SMALL)
    x, lengths = torch.randn(2, 12, 19).double(), torch.tensor([12, 8])
    once, twice = (extractor.embed_motion(x, lengths) for _ in range(2))
    assert torch.equal(once, twice)
    extractor.train()
    once, twice = (extractor.embed_motion(x, lengths) for _ in range(2))
    assert not torch.equal(once, twice)
    rates = [m.p for m in extractor.modules() if isinstance(m, torch.nn.Dropout)]
    assert rates == [0.2, 0.2]


def test_wrong_widths_and_short_motions_get_one_line():
    extractor = FeatureExtractor(263, **SMALL)
    with pytest.raises(RequestError, match="reads 263 features a frame, got 251"):
        extractor.embed_motion(torch.zeros(1, 8, 251), torch.tensor([8]))
    with pytest.raises(RequestError, match="3 frames is too short"):
        extractor.embed_motion(torch.zeros(1, 8, 263), torch.tensor([3]))
