"""MARDM's evaluator: its files with small random weights, its networks by their equations."""

import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.reading import read_yaml
from lead.evaluation import metrics
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.official import NETWORKS, load_official_parts
from lead.evaluation.judge import Judge, load_judge
from lead.evaluation.judging import run_protocol
from lead.evaluation.protocol import REAL
from lead.evaluation.real_clips import RealClips
from lead.evaluation.replication import draw_replication
from lead.representation import get_skeleton

NAME = "mardm-humanml3d"
WIDTH, FORWARD, LAYERS, DIM, PLACES, READ = 16, 24, 2, 6, 16, 67
CAPTIONS = ["a person walks", "a person jumps and then walks slowly forward", "jumps"]


def layer_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """One of torch's encoder layers."""
    return {
        f"{name}.self_attn.in_proj_weight": (3 * WIDTH, WIDTH),
        f"{name}.self_attn.in_proj_bias": (3 * WIDTH,),
        f"{name}.self_attn.out_proj.weight": (WIDTH, WIDTH),
        f"{name}.self_attn.out_proj.bias": (WIDTH,),
        f"{name}.linear1.weight": (FORWARD, WIDTH),
        f"{name}.linear1.bias": (FORWARD,),
        f"{name}.linear2.weight": (WIDTH, FORWARD),
        f"{name}.linear2.bias": (WIDTH,),
        **{f"{name}.norm{n}.{part}": (WIDTH,) for n in (1, 2) for part in ("weight", "bias")},
    }


def score_tensors(vocabulary: int) -> dict[str, torch.Tensor]:
    """The published names, with small sizes: 512 wide, 8 layers, 49408 words in the file."""
    ends = {"out.weight": (DIM, WIDTH), "out.bias": (DIM,)}
    norm = {"weight": (WIDTH,), "bias": (WIDTH,)}
    shapes = {
        "positional_embedding": (PLACES, WIDTH),
        "logit_scale": (),
        "token_embedding.weight": (vocabulary, WIDTH),
        "motion_encoder.query_token": (1, WIDTH),
        "motion_encoder.embed_motion.weight": (WIDTH, READ),
        "motion_encoder.embed_motion.bias": (WIDTH,),
        **{f"motion_encoder.out_ln.{name}": shape for name, shape in norm.items()},
        **{f"text_ln.{name}": shape for name, shape in norm.items()},
        **ends,
        **{f"motion_encoder.{name}": shape for name, shape in ends.items()},
    }
    for layer in range(LAYERS):
        shapes |= layer_shapes(f"motion_encoder.transformer.layers.{layer}")
        shapes |= layer_shapes(f"textTransEncoder.layers.{layer}")
    torch.manual_seed(5)
    tensors = {name: 0.4 * torch.randn(shape) for name, shape in shapes.items()}
    return tensors | {"motion_encoder.sequence_pos_encoder.pe": positions()}


def positions() -> torch.Tensor:
    table = torch.zeros(2000, WIDTH)
    for place in range(2000):
        for pair in range(WIDTH // 2):
            angle = place * math.exp(-math.log(10000.0) * 2 * pair / WIDTH)
            table[place, 2 * pair], table[place, 2 * pair + 1] = math.sin(angle), math.cos(angle)
    return table


def write_words(folder: Path) -> int:
    """CLIP's vocabulary format with a few words; how many pieces it has."""
    from transformers import CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    entries, merges = [*letters, *(letter + "</w>" for letter in letters)], []
    for word in sorted({word for caption in CAPTIONS for word in caption.split()}):
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    merges = list(dict.fromkeys(merges))
    entries += [first + second for first, second in merges]
    entries += ["<|startoftext|>", "<|endoftext|>"]  # the last, as in CLIP
    ids = {entry: place for place, entry in enumerate(dict.fromkeys(entries))}
    CLIPTokenizer(vocab=ids, merges=merges).save_pretrained(folder)
    return len(ids)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The files as MARDM's project has them, and CLIP's words."""
    root = tmp_path_factory.mktemp("mardm")
    places = {
        name: root / where
        for name, where in {
            "match": "checkpoints/t2m/text_mot_match/model",
            "clip": "checkpoints/t2m/text_mot_match_clip/model",
            "statistics": "utils/eval_mean_std/t2m",
            "glove": "glove",
        }.items()
    }
    for place in places.values():
        place.mkdir(parents=True)
    torch.manual_seed(0)
    tensors = FeatureExtractor(READ + 4).state_dict()  # its convolution reads all but four
    content = {
        network: {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(network)}
        for network in NETWORKS
    }
    torch.save({**content, "epoch": 1}, places["match"] / "finest.tar")
    torch.save(
        {"contrast_model": score_tensors(write_words(root / "clip"))}, places["clip"] / "finest.tar"
    )
    np.save(places["statistics"] / "eval_mean.npy", np.linspace(-1, 1, READ, dtype=np.float32))
    np.save(places["statistics"] / "eval_std.npy", np.linspace(0.5, 2, READ, dtype=np.float32))
    words = ["sos", "eos", "unk", "a", "person", "walks"]
    np.save(places["glove"] / "our_vab_data.npy", np.ones((len(words), 300)))
    (places["glove"] / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    ids = {word: place for place, word in enumerate(words)}
    (places["glove"] / "our_vab_idx.pkl").write_bytes(pickle.dumps(ids))
    return root


@pytest.fixture(scope="module")
def judge(folder) -> Judge:
    return load_judge(folder, dataset=NAME)


def clips(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(length, 263)).astype(np.float32) for length in lengths]


def affine(x: torch.Tensor, t: dict, name: str) -> torch.Tensor:
    return linear(x, t[f"{name}.weight"], t[f"{name}.bias"])


def attended(x: torch.Tensor, t: dict, name: str) -> torch.Tensor:
    """A layer of one sequence (places, width), normalised after each half (Vaswani et al.)."""
    heads, each = 8, WIDTH // 8
    inputs = [t[f"{name}.self_attn.in_proj_{part}"] for part in ("weight", "bias")]
    q, k, v = linear(x, *inputs).chunk(3, -1)
    parts = []
    for head in range(heads):
        of = slice(head * each, (head + 1) * each)
        parts.append((q[:, of] @ k[:, of].T / each**0.5).softmax(-1) @ v[:, of])
    read = affine(torch.cat(parts, -1), t, f"{name}.self_attn.out_proj")
    x = layer_norm(x + read, (WIDTH,), t[f"{name}.norm1.weight"], t[f"{name}.norm1.bias"])
    x = x + affine(gelu(affine(x, t, f"{name}.linear1")), t, f"{name}.linear2")
    return layer_norm(x, (WIDTH,), t[f"{name}.norm2.weight"], t[f"{name}.norm2.bias"])


def ended(h: torch.Tensor, t: dict, part: str, norm: str) -> torch.Tensor:
    h = layer_norm(h, (WIDTH,), t[f"{part}{norm}.weight"], t[f"{part}{norm}.bias"])
    out = affine(h, t, f"{part}out")
    return out / out.norm()


def test_scores_of_motions_are_by_the_equations(folder, judge):
    content = torch.load(folder / "checkpoints/t2m/text_mot_match_clip/model/finest.tar")
    t = {name: tensor.double() for name, tensor in content["contrast_model"].items()}
    mean, std = np.linspace(-1, 1, READ), np.linspace(0.5, 2, READ)
    motions = clips(40, 8, 24)
    for clip, found in zip(motions, judge.compare_motions(motions), strict=True):
        x = torch.from_numpy((clip[:, :READ] - mean) / std)
        frames = affine(x, t, "motion_encoder.embed_motion")
        h = torch.cat([t["motion_encoder.query_token"], frames])
        h = h + positions().double()[: len(h)]
        for layer in range(LAYERS):
            h = attended(h, t, f"motion_encoder.transformer.layers.{layer}")
        wanted = ended(h[0], t, "motion_encoder.", "out_ln")
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_scores_of_sentences_are_by_the_equations(folder, judge):
    content = torch.load(folder / "checkpoints/t2m/text_mot_match_clip/model/finest.tar")
    t = {name: tensor.double() for name, tensor in content["contrast_model"].items()}
    start, end = len(t["token_embedding.weight"]) - 2, len(t["token_embedding.weight"]) - 1
    long = " ".join(["walks"] * 40)
    sentences = [*CAPTIONS, long]
    ids = judge.scorer.words(sentences)
    vocabulary = judge.scorer.words.tokenizer.get_vocab()
    for caption, row in zip(sentences, ids.tolist(), strict=True):
        pieces = [vocabulary[f"{word}</w>"] for word in caption.split()][: PLACES - 2]
        wanted = [start, *pieces, end]
        assert row == wanted + [0] * (PLACES - len(wanted))
    for row, found in zip(ids, judge.compare_texts(sentences), strict=True):
        h = t["token_embedding.weight"][row] + t["positional_embedding"]
        for layer in range(LAYERS):
            h = attended(h, t, f"textTransEncoder.layers.{layer}")
        wanted = ended(h[row.tolist().index(end)], t, "", "text_ln")
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


@torch.no_grad()
def test_motions_are_their_first_67_numbers(folder, judge):
    (clip,) = clips(24)
    other = clip.copy()
    other[:, READ:] += 3
    assert np.array_equal(judge.embed_motions([clip]), judge.embed_motions([other]))
    other[5, READ - 1] += 1
    assert not np.allclose(judge.embed_motions([clip]), judge.embed_motions([other]))
    content = torch.load(folder / "checkpoints/t2m/text_mot_match/model/finest.tar")
    plain = FeatureExtractor(READ + 4).eval()  # T2M's networks over 67 numbers and four unread ones
    plain.load_state_dict({f"{n}.{k}": v for n in NETWORKS for k, v in content[n].items()})
    x = torch.zeros(1, 28, READ + 4)
    x[0, :24, :READ] = torch.from_numpy(
        (clip[:, :READ] - np.linspace(-1, 1, READ)) / np.linspace(0.5, 2, READ)
    )
    wanted = plain.embed_motion(x, torch.tensor([24])).numpy()
    np.testing.assert_allclose(judge.embed_motions([clip]), wanted, atol=1e-5)


def test_the_weights_of_the_score_belong_to_the_fingerprint(folder):
    parts = load_official_parts(folder, NAME)
    assert parts.name == NAME
    before = parts.fingerprint
    again = load_official_parts(folder / "checkpoints/t2m/text_mot_match/model/finest.tar", NAME)
    assert again.fingerprint == before
    changed = load_official_parts(folder, NAME)
    changed.scorer.network.out.bias.data += 1
    assert changed.fingerprint != before


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("checkpoints/t2m/text_mot_match", "t2m/text_mot_match/model/finest.tar"),
        ("checkpoints/t2m/text_mot_match_clip", "t2m/text_mot_match_clip/model/finest.tar"),
        ("utils", "utils/eval_mean_std/t2m/eval_mean.npy"),
        ("glove", "our_vab_data.npy"),
        ("clip", "clip/vocab.json and merges.txt"),
    ],
)
def test_a_missing_file_is_one_line_that_says_where_it_belongs(folder, tmp_path, missing, says):
    here = tmp_path / "here"
    here.mkdir()
    for inner in ("checkpoints/t2m/text_mot_match", "checkpoints/t2m/text_mot_match_clip"):
        (here / inner).parent.mkdir(parents=True, exist_ok=True)
        if inner != missing:
            (here / inner).symlink_to(folder / inner)
    for inner in ("utils", "glove", "clip"):
        if inner != missing:
            (here / inner).symlink_to(folder / inner)
    with pytest.raises(RequestError) as error:
        load_judge(here, dataset=NAME)
    line = str(error.value)
    assert says in line and "\n" not in line and "put " in line


def test_another_network_is_refused_with_what_does_not_fit(folder, tmp_path):
    place = tmp_path / "t2m/text_mot_match_clip/model"
    place.mkdir(parents=True)
    for inner in ("utils", "glove", "clip"):
        (tmp_path / inner).symlink_to(folder / inner)
    (tmp_path / "t2m/text_mot_match").symlink_to(folder / "checkpoints/t2m/text_mot_match")
    own = score_tensors(60)
    for content, says in (
        ({"state_dict": {}}, "lacks one of contrast_model"),
        ({"contrast_model": {}}, "holds no network of CLIP-score"),
        ({"contrast_model": own | {"text_ln.bias": torch.zeros(3)}}, "expected (16,)"),
        ({"contrast_model": own | {"more": torch.zeros(3)}}, "unexpected more"),
    ):
        torch.save(content, place / "finest.tar")
        with pytest.raises(RequestError) as error:
            load_judge(tmp_path, dataset=NAME)
        assert says in str(error.value) and "\n" not in str(error.value)
    torch.save({"contrast_model": own}, place / "finest.tar")
    with pytest.raises(RequestError, match="word pieces, the CLIP-score network 60"):
        load_judge(tmp_path, dataset=NAME).compare_texts(CAPTIONS)


def test_a_cosine_is_a_score():
    text, motion = np.array([[2.0, 0], [0, 1], [1, 1]]), np.array([[1.0, 0], [0, -3], [1, 0]])
    assert metrics.clip_score(text, motion) == pytest.approx((1 - 1 + math.sqrt(0.5)) / 3)
    with pytest.raises(RequestError, match="no cosine"):
        metrics.clip_score(np.zeros((2, 3)), np.ones((2, 3)))


@pytest.fixture(scope="module")
def protocol():
    values = read_yaml(Path(__file__).parents[2] / "configs/protocol/t2m67.yaml")
    return replace(
        build("protocol", values),
        **{"pool_size": 4, "replications": 2, "multimodality_texts": 3, "multimodality_sets": 2},
        **{"multimodality_repeats": 3, "multimodality_pairs": 2},
    )


def real() -> RealClips:
    skeleton = get_skeleton("humanml3d")
    features = clips(*(16 + place for place in range(6)))
    captions = [(CAPTIONS[place % 3],) for place in range(6)]
    tokens = [("a/DET person/NOUN walks/VERB",)] * 6
    ids = [f"clip {place}" for place in range(6)]
    return RealClips("humanml3d", "test", "x", skeleton, 20.0, ids, features, captions, tokens)


def test_the_protocol_adds_the_score_and_nothing_else(protocol, judge):
    def made(texts, frames, seeds):
        return [
            np.random.default_rng(seed).normal(size=(count, 263)).astype(np.float32)
            for count, seed in zip(frames, seeds, strict=True)
        ]

    given, seed = real(), 3
    result = run_protocol(protocol, judge, given, {}, {"made": made}, seed)
    plain = Judge(load_official_parts_without_score(judge))
    without = run_protocol(protocol, plain, given, {}, {"made": made}, seed)
    for name in (REAL, "made"):
        row, bare = dict(result.rows[name]), without.rows[name]
        score = row.pop("clip_score")
        assert row.keys() == bare.keys() and score.count == 2 and abs(score.mean) <= 1
        for key, value in bare.items():
            assert row[key].mean == pytest.approx(value.mean, rel=1e-6, abs=1e-9)
    one = draw_replication(protocol, given, seed, 0)
    four = one.requests[:4]  # a whole pool
    text = judge.compare_texts([request.caption for request in four])
    crops = [given.features[r.crop.clip][r.crop.start :][: r.crop.frames] for r in four]
    wanted = float((text * judge.compare_motions(crops)).sum(axis=1).mean())
    assert result.replications[REAL]["clip_score"][0] == pytest.approx(wanted, rel=1e-5)
    assert result.rows[REAL]["fid"].mean == pytest.approx(0, abs=1e-3)  # the very crops


def load_official_parts_without_score(judge: Judge):
    from lead.evaluation.extractor.parts import EvaluatorParts
    from lead.representation.normalizer import Normalizer

    normalizer = Normalizer(judge.mean, judge.std)
    rest = (judge.vocabulary, judge.words, judge.tagger)
    return EvaluatorParts(judge.name, judge.extractor, normalizer, *rest)


def test_fid_is_against_the_very_crops(protocol):
    one = draw_replication(protocol, real(), 7, 0)
    assert one.references == [request.crop for request in one.requests]
    other = draw_replication(replace(protocol, crop="random"), real(), 7, 0)
    assert [request.crop for request in other.requests] == one.references != other.references
    assert protocol.judge_of("humanml3d") == NAME and protocol.judge_of("mix") == "mix"
