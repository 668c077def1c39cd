"""Prepared datasets made one: clips, splits and labels stay, statistics are common."""

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from lead.core.building import build
from lead.core.errors import RequestError
from lead.data.batching import BatchPlan
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.source import Caption, Item, LoadedClip
from lead.data.sources.mix import MixSource
from lead.representation.normalizer import feature_statistics
from lead.representation.skeletons import get_skeleton


@dataclass
class Part:
    """Clips of random features; clip i of split s has 10 + i frames."""

    name: str
    clips: dict[str, int]
    seed: int
    licence: str = "CC0"
    skeleton: str = "humanml3d"
    fps: float = 20.0
    min_frames: int = 1
    max_frames: int = 100
    long_clips: str = "drop"
    labels: dict = field(default_factory=dict)

    def list_items(self):
        return [
            Item(f"{split}{n}", Path("x"), split, (Caption(f"{self.name} {n}", "a/DET"),))
            for split, count in self.clips.items()
            for n in range(count)
        ]

    def load(self, items):
        width = get_skeleton(self.skeleton).features
        rng = np.random.default_rng(self.seed)
        return [
            LoadedClip(
                *(item.id, item.split, rng.normal(self.seed, 1, (10 + n, width))),
                *(item.captions, self.labels),
            )
            for n, item in enumerate(items)
        ]

    def statistics(self):
        return None

    def describe(self, items):
        return {}


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    one = Part("one", {"train": 6, "val": 1, "heldout": 2}, 1, labels={"content": "walk"})
    other = Part("other", {"train": 3, "test": 2}, 2, licence="free")
    for part in (one, other):
        pack(part, folder / part.name, workers=1)
    return [folder / "one", folder / "other"]


@pytest.fixture(scope="module")
def mix(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix") / "mix"
    pack(MixSource(parts, weights={"other": 2.5}), folder, workers=1)
    return open_dataset(folder)


def test_every_clip_is_there_as_it_was(mix, parts):
    assert mix.manifest.clips == {"heldout": 2, "test": 2, "train": 9, "val": 1}
    for folder in parts:
        part = open_dataset(folder)
        for split in part.manifest.clips:
            own, mixed = part.split(split), mix.split(split)
            for place, name in enumerate(own.ids):
                there = mixed.ids.index(f"{folder.name}/{name}")
                np.testing.assert_array_equal(mixed.clip(there), own.clip(place))
                assert mixed.captions[there] == own.captions[place]
                assert mixed.tokens[there] == own.tokens[place]
                assert mixed.labels[there].items() >= own.labels[place].items()
                assert mixed.labels[there]["part"] == folder.name
                assert mixed.labels[there]["licence"] == part.manifest.licence
    assert mix.manifest.licence == "one: CC0; other: free"


def test_statistics_are_those_of_all_training_clips(mix, parts):
    train = np.concatenate([open_dataset(folder).split("train").features for folder in parts])
    mean, std = feature_statistics(train, get_skeleton("humanml3d"))
    np.testing.assert_allclose(mix.normalizer.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(mix.normalizer.std, std, rtol=1e-5)


def test_weights_say_how_often_a_clip_comes(mix):
    weights = mix.split("train").weights
    assert sorted(weights) == [1] * 6 + [2.5] * 3
    plan = BatchPlan(mix.split("train").frames, 3, 0, weights)
    assert plan.rows == 13 and plan.steps_per_epoch == 4
    epochs = 200
    shown = np.bincount(
        [place for step in range(4 * epochs) for place in plan.batch(step)], minlength=9
    )
    kept = 12 / 13  # of an epoch; the rest, drawn at random, is dropped
    np.testing.assert_allclose(shown / epochs, kept * weights, rtol=0.1)
    for epoch in range(5):
        once = [place for step in range(4) for place in plan.batch(4 * epoch + step)]
        most = np.bincount(once, minlength=9)
        assert (most <= np.ceil(weights)).all()


def test_a_worker_opens_the_parts_itself(parts):
    source = MixSource(parts)
    items = source.list_items()
    source.load(items[:1])
    sent = pickle.dumps(source)
    assert len(sent) < 1000
    again = pickle.loads(sent).load(items[:1])[0]
    np.testing.assert_array_equal(again.features, source.load(items[:1])[0].features)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": []}, "a mix needs parts"),
        ({"weights": {"ome": 1}}, "no part 'ome', did you mean 'one'"),
        ({"weights": {"one": 0}}, "'weights.one' takes a number greater than 0, got 0"),
        ({"weights": {"one": float("nan")}}, "'weights.one' takes a number greater than 0"),
    ],
)
def test_options_that_do_not_fit_are_told(parts, options, message):
    with pytest.raises(RequestError, match=message):
        build("source", {"_target_": "mix", "parts": parts, **options})


def test_parts_have_to_be_alike_and_different(parts, tmp_path):
    with pytest.raises(RequestError, match="2 parts are called 'one'"):
        MixSource([parts[0], parts[0]])
    pack(Part("kit", {"train": 1}, 1, skeleton="kit", fps=12.5), tmp_path / "kit", workers=1)
    with pytest.raises(RequestError, match="skeleton kit at 12.5 fps"):
        MixSource([parts[0], tmp_path / "kit"])
    with pytest.raises(RequestError, match="not a prepared dataset"):
        MixSource([parts[0], tmp_path / "nothing"])
