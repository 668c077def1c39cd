"""The protocol with a judge and generators whose answers are known."""

from collections import Counter
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest

from lead.cli.config import compose
from lead.core.building import build
from lead.core.errors import RequestError
from lead.evaluation import embeddings, metrics
from lead.evaluation.estimate import Estimate
from lead.evaluation.judging import run_protocol
from lead.evaluation.protocol import REAL, Protocol
from lead.evaluation.real_clips import RealClips
from lead.evaluation.reality_gate import headline
from lead.evaluation.replication import draw_replication, draw_same_text
from lead.representation import constant_bones, features_to_joints, get_skeleton

SKELETON = get_skeleton("humanml3d")
FEW = Protocol(
    name="few",
    version=1,
    datasets=("toys",),
    split="test",
    pool_size=4,
    replications=3,
    confidence=0.95,
    diversity_pairs=300,
    multimodality_texts=5,
    multimodality_repeats=6,
    multimodality_pairs=4,
    multimodality_sets=1,
    unit_length=4,
    crop="whole",
    constant_bones=False,
    published={},
)


def make_real(count: int = 11) -> RealClips:
    """Clip i stands still at height i; its captions all end in i. 10 to 20 frames."""
    clips = []
    for place in range(count):
        clip = np.zeros((10 + place, SKELETON.features), dtype=np.float32)
        clip[:, 3] = place
        clip[:, 10] = np.arange(len(clip))  # tells the frames apart
        clips.append(clip)
    captions = [[f"one {place}", f"two {place}"] for place in range(count)]
    tokens = [[f"{word}/NUM {place}/NUM" for word in ("one", "two")] for place in range(count)]
    ids = [f"clip{place}" for place in range(count)]
    return RealClips("toys", "test", "hash", SKELETON, 20.0, ids, clips, captions, tokens)


class PlainJudge:
    """A motion lies at (height, 0), a sentence at the number that it ends in."""

    name, fingerprint = "plain", "0123456789abcdef"

    def __init__(self):
        self.motions, self.texts = [], []

    def embed_motions(self, features) -> np.ndarray:
        self.motions.extend(features)
        return np.array([[clip[:, 3].mean(), 0.0] for clip in features], dtype=np.float32)

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        self.texts.extend(zip(captions, tokens, strict=True))
        return np.array([[float(text.split()[1]), 0.0] for text in captions], dtype=np.float32)


def obedient(texts, frames, seeds) -> list[np.ndarray]:
    """What the caption asks for, half a unit too high."""
    return [
        np.full((length, SKELETON.features), float(text.split()[1]) + 0.5, dtype=np.float32)
        for text, length in zip(texts, frames, strict=True)
    ]


def random_heights(texts, frames, seeds) -> list[np.ndarray]:
    return [
        np.full((length, SKELETON.features), seed % 1000 / 100, dtype=np.float32)
        for length, seed in zip(frames, seeds, strict=True)
    ]


def higher(motions) -> list[np.ndarray]:
    """A reconstruction two units too high."""
    lift = np.zeros(SKELETON.features, dtype=np.float32)
    lift[3] = 2
    return [motion + lift for motion in motions]


def judged(protocol: Protocol = FEW, real: RealClips | None = None, seed: int = 1, **rows):
    rows = rows or {"obedient": obedient, "random": random_heights}
    return run_protocol(
        protocol, PlainJudge(), real or make_real(), {"rebuilt": higher}, rows, seed
    )


def test_rows_by_hand():
    """Real sentences and motions coincide; what is half a unit off has that distance and FID."""
    result = judged()
    assert [*result.rows] == [REAL, "rebuilt", "obedient", "random"]
    real, rebuilt, obeys = (result.rows[name] for name in (REAL, "rebuilt", "obedient"))
    assert real["fid"].mean == pytest.approx(0, abs=1e-9)
    assert [real[f"r_precision_{k}"].mean for k in (1, 2, 3)] == [1, 1, 1]
    assert real["multimodal_distance"].mean == 0
    assert rebuilt["fid"].mean == pytest.approx(4.0, rel=1e-5)
    assert rebuilt["multimodal_distance"].mean == pytest.approx(2.0)
    assert obeys["fid"].mean == pytest.approx(0.25, rel=1e-5)
    assert obeys["multimodal_distance"].mean == pytest.approx(0.5)
    assert obeys["multimodality"] == Estimate(0.0, 0.0, 5)
    assert "multimodality" not in rebuilt
    assert result.rows["random"]["multimodality"].mean > 0.5
    assert result.rows["random"]["r_precision_1"].mean < 0.7
    assert real["fid"].count == len(result.seeds) == len(set(result.seeds)) == 3


def test_physical_measures_are_those_of_one_replication():
    result = judged()
    real = [clip[: len(clip) // 4 * 4] for clip in make_real().features]
    errors = [
        np.linalg.norm(seen(made) - seen(clip), axis=-1).mean()
        for clip, made in zip(real, higher(real), strict=True)
    ]
    lifted = result.rows["rebuilt"]["mpjpe"].mean
    assert lifted == pytest.approx(1000 * np.mean(errors), rel=1e-4)
    assert {row["jitter"].count for row in result.rows.values()} == {11}
    assert "mpjpe" not in result.rows["obedient"]


def seen(features: np.ndarray) -> np.ndarray:
    return constant_bones(features_to_joints(features))


def test_physical_measures_are_told_by_length_and_by_what_a_clip_shows():
    """Of eleven clips of 12 to 20 whole frames, up to eight have 0.8 s; three are walks."""
    labels = [{"content": "walk" if place < 3 else "stand", "style": "x"} for place in range(11)]
    result = judged(real=replace(make_real(), labels=labels, fps=5.0))
    assert set(result.grouped) == {"length", "content"}
    content = result.grouped["content"]
    assert [*content] == [REAL, "rebuilt", "obedient", "random"]
    for groups in content.values():
        assert {name: row["jitter"].count for name, row in groups.items()} == {
            "walk": 3,
            "stand": 8,
        }
        assert set(groups["walk"]) <= {
            "foot_skating_ratio",
            "toe_skating_ratio",
            "jitter",
            "path_error",
        }
    assert "path_error" in content["rebuilt"]["walk"]
    assert "path_error" not in content[REAL]["walk"]
    lengths = {name: row["jitter"].count for name, row in result.grouped["length"][REAL].items()}
    assert lengths == {"up to 2.5 s": 6, "2.5 to 3.5 s": 4, "3.5 to 5 s": 1}


def test_the_judge_sees_constant_bones_where_the_protocol_says_so():
    bent, plain = [], []
    for constant, motions in ((True, bent), (False, plain)):
        judge = PlainJudge()
        run_protocol(replace(FEW, constant_bones=constant), judge, make_real(), {}, {}, 1)
        motions.extend(judge.motions)
    for seen_clip, clip in zip(bent, plain, strict=True):
        joints = features_to_joints(seen_clip)
        lengths = np.linalg.norm(joints[:, 1:] - joints[:, SKELETON.parents[1:]], axis=-1)
        np.testing.assert_allclose(lengths, [SKELETON.bone_lengths[1:]] * len(clip), atol=1e-5)
        np.testing.assert_allclose(seen_clip[:, 3], clip[:, 3], rtol=1e-6)  # the root stays
    assert not np.allclose(bent[0], plain[0])


def test_the_tail_leaves_r_precision_and_mm_dist_but_not_fid():
    """Clips 8 to 10 of each shuffled order are in no pool of four; FID and Diversity see all."""
    asked = []

    def off_in_the_tail(texts, frames, seeds):
        asked.append(list(texts))
        motions = [motion - 0.5 for motion in obedient(texts, frames, seeds)]
        if len(asked) <= FEW.replications:
            for motion in motions[8:]:
                motion += 1000
        return motions

    row = judged(tail=off_in_the_tail).rows["tail"]
    assert [len(set(texts)) for texts in asked[:3]] == [11, 11, 11]
    assert row["r_precision_1"].mean == 1 and row["multimodal_distance"].mean == 0
    assert row["fid"].mean > 10_000 and row["diversity"].mean > 10


def test_every_replication_shuffles_and_draws_a_caption():
    real = make_real()
    drawn = [draw_replication(FEW, real, 7, index) for index in range(40)]
    for one in drawn:
        assert sorted(request.crop.clip for request in one.requests) == list(range(11))
        for request in one.requests:
            assert int(request.caption.split()[1]) == request.crop.clip
            assert request.tokens.startswith(request.caption.split()[0])
    orders = {tuple(request.crop.clip for request in one.requests) for one in drawn}
    seeds = [request.seed for one in drawn for request in one.requests]
    assert len(orders) == 40 and len(set(seeds)) == len(seeds)
    words = Counter(request.caption.split()[0] for one in drawn for request in one.requests)
    assert 0.4 < words["one"] / words.total() < 0.6


def test_a_clips_seed_does_not_depend_on_the_other_clips():
    real = make_real()
    part = replace(real, ids=real.ids[:8], features=real.features[:8])
    both = [draw_replication(FEW, clips, 3, 0).requests for clips in (real, part)]
    seeds, fewer = ({request.crop.clip: request.seed for request in one} for one in both)
    assert all(seeds[clip] == fewer[clip] for clip in range(8))


def test_whole_crops_are_floored_to_units():
    one = draw_replication(FEW, make_real(), 1, 0)
    for request, reference in zip(one.requests, one.references, strict=True):
        length = 10 + request.crop.clip
        assert (request.crop.start, request.crop.frames) == (0, length - length % 4)
        assert reference == request.crop


def test_random_crops_are_the_published_draw():
    """Whole units in two of three cases, one less in the third, begun anywhere that fits."""
    real = make_real()
    protocol = replace(FEW, crop="random")
    drawn = [draw_replication(protocol, real, 1, index) for index in range(300)]
    crops = [request.crop for one in drawn for request in one.requests]
    references = [crop for one in drawn for crop in one.references]
    assert crops != references
    for found in (crops, references):
        shorter = 0
        starts = set()
        for crop in found:
            length = 10 + crop.clip
            assert crop.frames in (length // 4 * 4, length // 4 * 4 - 4)
            assert 0 <= crop.start <= length - crop.frames
            shorter += crop.frames < length // 4 * 4
            if crop.clip == 9:  # 19 frames
                starts.add((crop.frames, crop.start))
        assert shorter / len(found) == pytest.approx(1 / 3, abs=0.03)
        assert starts == {(16, s) for s in range(4)} | {(12, s) for s in range(8)}


def test_generated_motions_are_as_long_as_the_crops():
    judge, real = PlainJudge(), make_real()
    run_protocol(FEW, judge, real, {}, {"obedient": obedient}, 1)
    assert {len(motion) for motion in judge.motions} == {8, 12, 16, 20}


def test_real_motions_and_sentences_are_embedded_once():
    judge, real = PlainJudge(), make_real()
    run_protocol(FEW, judge, real, {"rebuilt": higher}, {}, 1)
    assert len(judge.motions) == 22
    assert len(set(judge.texts)) == len(judge.texts) <= 22
    assert all(tokens.startswith(text.split()[0]) for text, tokens in judge.texts)


def test_chunks_do_not_change_the_table(monkeypatch):
    whole = judged()
    monkeypatch.setattr(embeddings, "CHUNK", 3)
    assert judged() == whole


def test_the_seed_decides():
    first, same, other = judged(), judged(), judged(seed=2)
    assert first == same
    assert first.replications != other.replications


def test_rows_do_not_depend_on_other_rows():
    both, alone = judged(), judged(random=random_heights)
    assert alone.rows["random"] == both.rows["random"]


def test_multimodality_repeats_one_sentence():
    asked = draw_same_text(FEW, make_real(), 1, 0)
    assert len(asked) == 30 and len({request.seed for request in asked}) == 30
    texts = [{r.caption for r in asked[start : start + 6]} for start in range(0, 30, 6)]
    assert all(len(one) == 1 for one in texts) and len(set.union(*texts)) == 5


def test_intervals_of_multimodality_are_over_sets_where_there_are_several():
    one, three = judged(), judged(replace(FEW, multimodality_sets=3))
    assert len(three.multimodality["random"]) == 3
    found = three.rows["random"]["multimodality"]
    means = [np.mean(spread) for spread in three.multimodality["random"]]
    assert (found.mean, found.count) == (pytest.approx(np.mean(means)), 3)
    assert found.margin == pytest.approx(1.96 * np.std(means, ddof=1) / 3**0.5)
    assert three.multimodality["random"][0] == one.multimodality["random"][0]
    assert one.rows["random"]["multimodality"].count == 5


def test_diversity_takes_as_many_pairs_as_there_are_motions():
    result = judged()
    assert (result.diversity_pairs, result.pools, result.multimodality_texts) == (11, 2, 5)
    assert judged(replace(FEW, diversity_pairs=2)).diversity_pairs == 2


def test_the_halves_of_reality_are_shuffled():
    """Heights 0 to 39: sorted halves would be 20 apart; random ones about sd sqrt(4 / 40)."""
    values = judged(replace(FEW, replications=20), make_real(40), obedient=obedient).half_fid
    heights = np.arange(40.0)[:, None]
    assert metrics.frechet_distance(heights[:20], heights[20:]) == pytest.approx(400)
    assert values.count == 20 and values.mean < 0.2 * heights.var()


def test_too_few_or_too_short_clips_are_one_line():
    with pytest.raises(RequestError, match="toys test: 3 clips do not fill a pool of 4"):
        judged(real=make_real(3))
    real = make_real()
    real.features[2] = real.features[2][:3]
    with pytest.raises(RequestError, match="clip clip2 has 3 frames, the protocol needs 4"):
        judged(real=real)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool_size": 2}, "'pool_size'"),
        ({"replications": 0}, "'replications'"),
        ({"multimodality_pairs": 7}, "cannot be above multimodality_repeats, 6"),
        ({"confidence": 1.0}, "'confidence'"),
        ({"crop": "middle"}, "'crop': unknown 'middle'"),
    ],
)
def test_numbers_that_do_not_fit_are_one_line(changes, message):
    with pytest.raises(RequestError, match=message):
        build("protocol", {"_target_": "protocol", **asdict(FEW), **changes})


# The protocols in YAML, and the gate


@cache
def load(name: str) -> Protocol:
    return build("protocol", compose("evaluate", [f"protocol={name}"])["protocol"])


def test_the_published_numbers():
    for name in ("t2m", "open"):
        protocol = load(name)
        assert (protocol.name, protocol.pool_size, protocol.replications) == (name, 32, 20)
        assert (protocol.quantile, protocol.diversity_pairs) == (1.96, 300)
        assert protocol.multimodality_texts == 100
        assert (protocol.multimodality_repeats, protocol.multimodality_pairs) == (30, 10)
        assert protocol.unit_length == 4
    assert (load("t2m").crop, load("t2m").multimodality_sets) == ("random", 20)
    marked = load("t2m67")
    assert (marked.pool_size, marked.replications, marked.crop) == (32, 20, "once")
    assert (marked.multimodality_texts, marked.multimodality_sets) == (3 * 32, 20)


REAL_ROW = {
    "fid": Estimate(0.002, 0.0, 20),
    "r_precision_1": Estimate(0.512, 0.002, 20),
    "r_precision_2": Estimate(0.702, 0.002, 20),
    "r_precision_3": Estimate(0.796, 0.002, 20),
    "multimodal_distance": Estimate(2.97, 0.01, 20),
    "diversity": Estimate(9.45, 0.05, 20),
}


def first_line(dataset: str = "humanml3d", judge: str = "t2m-humanml3d", row=None, **data) -> str:
    real = replace(make_real(), dataset=dataset, **data)
    return headline(load("t2m"), judge, "0123456789abcdef", real, {**REAL_ROW, **(row or {})})


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_the_fid_of_fewer_clips_than_dimensions_says_so(extra):
    """n rows span n - 1 dimensions: the covariance has full rank from dim + 1 rows on."""
    real = make_real()
    asked = (load("t2m"), "t2m-humanml3d", "0123456789abcdef", real, REAL_ROW)
    said = "too high: it compares only with that of as many clips" in headline(
        *asked, len(real) + extra
    )
    rows = np.random.default_rng(0).normal(size=(len(real), len(real) + extra))
    assert said == (np.linalg.matrix_rank(np.cov(rows, rowvar=False)) < len(real) + extra)


def test_the_gate_opens_for_reality_as_published():
    assert first_line() == (
        "judge t2m-humanml3d (0123456789ab): the Real row lies in the published intervals of "
        "humanml3d"
    )


@pytest.mark.parametrize(
    ("measure", "value", "words"),
    [
        ("r_precision_3", 0.75, "R@3 0.750 ± 0.002, published 0.797 ± 0.002"),
        ("fid", 0.1, "FID 0.100 ± 0.002, published 0.002 ± 0.008"),
        ("diversity", 9.2, "Diversity 9.200 ± 0.002, published 9.503 ± 0.065"),
    ],
)
def test_the_gate_shuts_on_another_reality(measure, value, words):
    line = first_line(row={measure: Estimate(value, 0.002, 20)})
    assert line.startswith(f"REAL IS NOT AS PUBLISHED: {words} | judge t2m-humanml3d")
    assert "\n" not in line


def test_the_gate_says_where_no_reality_is_known():
    real = replace(make_real(), dataset="humanml3d")
    line = headline(load("t2m67"), "mardm-humanml3d", "0123456789abcdef", real, REAL_ROW)
    assert line.startswith("judge mardm-humanml3d (0123456789ab): no Real row is known")
    other = headline(load("t2m67"), "t2m-humanml3d", "0123456789abcdef", real, REAL_ROW)
    assert "numbers compare only with those of the same judge" in other


def test_intervals_that_touch_are_as_published():
    """0.797 ± 0.002 and 0.790 ± 0.0055 meet, with ± 0.0045 they do not."""
    assert "NOT" not in first_line(row={"r_precision_3": Estimate(0.790, 0.0055, 20)})
    assert "NOT" in first_line(row={"r_precision_3": Estimate(0.790, 0.0045, 20)})


def test_another_judge_or_other_data_are_named():
    for line in (
        first_line(judge="ours"),
        first_line(dataset="toys"),
        first_line(judge="t2m-kitml"),
    ):
        assert "numbers compare only with those of the same judge" in line
    assert "toys is no data set of protocol t2m (humanml3d, kitml)" in first_line(dataset="toys")
    assert "split val, not the protocol's test" in first_line(split="val")
    assert "11 clips, a part of the split" in first_line(whole=False)
