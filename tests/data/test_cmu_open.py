"""The hour of the CMU database that comes with lead."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lead.core.building import build
from lead.core.errors import RequestError, WorkError
from lead.data.cmu_open import FOLDER, UNIT, read_index, read_joints, write_clips
from lead.data.source import Caption, Item, usable
from lead.data.sources.cmu import CmuSource
from lead.data.sources.cmu_open import CmuOpenSource
from lead.representation import features_to_joints


def trial_of(item: Item) -> str:
    return item.labels["trial"]


def test_joints_come_back_to_half_a_millimetre_wherever_they_are(tmp_path):
    rng = np.random.default_rng(0)
    clips = []
    for place, frames in enumerate((1, 2, 40)):
        joints = np.cumsum(rng.normal(0, 0.05, (frames, 22, 3)), axis=0) + [3.0, 1.0, -7.0]
        labels = {"captions": "cmu", "trial": f"t{place}", "fps": "120"}
        item = Item(f"é{place}", Path("x"), "train", (Caption("a person walks"),), labels)
        clips.append((item, joints))
    write_clips(tmp_path, clips)
    again = dict(read_joints({item.id for item, _ in clips}, tmp_path))
    for item, joints in clips:
        shifted = joints - joints[:1, :1] * [1.0, 0.0, 1.0]
        np.testing.assert_allclose(again[item.id], shifted, atol=UNIT + 1e-6)
    listed = read_index(tmp_path)
    assert [item.id for item in listed] == [item.id for item, _ in clips]
    assert [item.captions for item in listed] == [item.captions for item, _ in clips]
    assert listed[0].labels == {"captions": "cmu", "trial": "t0"}


def test_what_does_not_fit_is_not_packed(tmp_path):
    joints = np.zeros((2, 22, 3))
    joints[1] = 17.0  # 34,000 units in one step
    with pytest.raises(ValueError, match="16 m"):
        write_clips(tmp_path, [(Item("a", Path("x"), "train"), joints)])
    assert not list(tmp_path.iterdir())


def test_the_clips_are_people_with_sentences_and_no_trial_is_in_two_splits():
    items = CmuOpenSource().list_items()
    assert len(items) == len({item.id for item in items}) == 589
    assert all(caption.text.strip() for item in items for caption in item.captions)
    assert {item.labels["captions"] for item in items} == {"humanml3d", "kit_ml", "cmu"}
    splits: dict[str, set[str]] = {}
    for item in items:
        splits.setdefault(trial_of(item), set()).add(item.split)
    assert all(len(found) == 1 for found in splits.values())
    counts = Counter(item.split for item in items)
    assert counts == {"train": 470, "val": 24, "test": 95}
    assert not {item.split for item in items if "lead" in item.labels} - {"train"}
    assert (FOLDER / "clips.npz").stat().st_size < 8e6


def test_a_few_clips_are_of_every_split_and_load_as_features():
    source = CmuOpenSource(clips=24)
    items = source.list_items()
    assert 22 <= len(items) <= 26
    assert {item.split for item in items} == {"train", "val", "test"}
    loaded = {clip.id: clip for clip in source.load(items[:5])}
    assert set(loaded) == {item.id for item in items[:5]}
    for clip in loaded.values():
        assert clip.features.shape[1] == 263 and np.isfinite(clip.features).all()
        joints = features_to_joints(clip.features)
        assert -0.01 < joints[..., 1].min() < 0.05  # on the floor
        assert 1.0 < joints[0, 15, 1] < 2.5 or "sit" in clip.captions[0].text
    described = source.describe(items)
    assert sum(described["clips"].values()) == len(items)


@pytest.mark.parametrize("clips", [0, -1])
def test_no_clips_are_no_request(clips):
    with pytest.raises(RequestError, match=f"'clips' takes a number .* 1, got {clips}"):
        build("source", {"_target_": "cmu_open", "clips": clips})


def test_a_broken_package_says_so(tmp_path):
    (tmp_path / "index.json").write_text('{"clips": [{"id": 3}]}')
    with pytest.raises(WorkError, match="install lead again"):
        read_index(tmp_path)


@pytest.mark.slow
def test_it_is_what_the_raw_files_give(cmu_folder):
    source = CmuSource(cmu_folder)
    clips, rejected = source.load_joints(usable(source.list_items()))
    assert not rejected
    packed = dict(read_joints({item.id for item, _ in clips}))
    assert packed.keys() == {item.id for item, _ in clips}
    listed = {item.id: item for item in read_index()}
    for item, joints in clips:
        shifted = joints - joints[:1, :1] * [1.0, 0.0, 1.0]
        np.testing.assert_allclose(packed[item.id], shifted, atol=UNIT + 1e-5)
        labels = {key: value for key, value in item.labels.items() if key != "fps"}
        assert listed[item.id] == replace(item, path=listed[item.id].path, labels=labels)
