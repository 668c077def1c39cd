"""Clips as normalised, cropped and padded batches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.data.clips import ClipDataset, length_sorted_batches, pad_clips
from lead.data.packed import PackedDataset, open_dataset
from lead.data.packing import pack
from lead.data.source import Caption, Item, LoadedClip

LENGTHS = (23, 12, 40, 31)
WIDTH = 263


@dataclass(frozen=True)
class CountingSource:
    """Clips whose every frame holds 1000 x its clip + its own number, so that crops show."""

    name = "counting"
    skeleton = "humanml3d"
    fps = 20.0
    licence = "none"
    min_frames = 1
    max_frames = 199
    long_clips = "drop"

    def list_items(self) -> list[Item]:
        return [Item(f"clip{n}", Path(f"clip{n}"), "train") for n in range(len(LENGTHS))]

    def load(self, items) -> list[LoadedClip]:
        clips = []
        for item in items:
            number = int(item.id.removeprefix("clip"))
            frames = 1000 * number + np.arange(LENGTHS[number], dtype=np.float32)
            features = np.repeat(frames[:, None], WIDTH, axis=1)
            clips.append(LoadedClip(item.id, item.split, features, (Caption("a test"),)))
        return clips

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return np.full(WIDTH, 10.0), np.full(WIDTH, 4.0)

    def describe(self, items) -> dict:
        return {}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PackedDataset:
    folder = tmp_path_factory.mktemp("packed") / "counting"
    pack(CountingSource(), folder, workers=1)
    return open_dataset(folder)


def frames_of(item: tuple[str, np.ndarray]) -> tuple[int, list[int]]:
    """(clip, frame numbers) that an item of the dataset shows."""
    values = item[1][:, 0] * 4 + 10
    clip = int(item[0].removeprefix("clip"))
    return clip, [round(float(value)) - 1000 * clip for value in values]


def test_clips_are_standardised_by_the_datasets_statistics(dataset):
    clips = ClipDataset(dataset, "train")
    assert len(clips) == len(LENGTHS)
    name, x = clips[0, 2]
    assert name == "clip2" and x.shape == (40, WIDTH) and x.dtype == np.float32
    np.testing.assert_allclose(x[:, 17], (2000 + np.arange(40) - 10) / 4)


def test_without_cropping_every_step_shows_the_whole_clip(dataset):
    clips = ClipDataset(dataset, "train")
    for place, length in enumerate(LENGTHS):
        for step in (0, 7):
            assert frames_of(clips[step, place]) == (place, list(range(length)))


def test_a_crop_is_a_whole_number_of_units_at_a_random_place(dataset):
    clips = ClipDataset(dataset, "train", crop_unit=4, seed=1)
    begins = set()
    for step in range(60):
        _, frames = frames_of(clips[step, 0])
        assert frames == list(range(frames[0], frames[0] + 20))  # 23 frames: five units of 4
        begins.add(frames[0])
    assert begins == {0, 1, 2, 3}


@pytest.mark.parametrize(("unit", "fewest"), [(1, 10), (4, 10), (4, 3), (5, 40)])
def test_random_lengths_keep_to_unit_and_minimum(dataset, unit, fewest):
    clips = ClipDataset(dataset, "train", crop_unit=unit, crop_min=fewest, seed=1)
    seen = set()
    for step in range(300):
        _, frames = frames_of(clips[step, 2])
        assert frames == list(range(frames[0], frames[0] + len(frames))) and frames[-1] < 40
        seen.add(len(frames))
    shortest = -(-fewest // unit) * unit
    assert seen == set(range(shortest, 41, unit))


@pytest.mark.parametrize(("most", "fewest"), [(20, 0), (20, 8), (100, 0)])
def test_crops_of_a_most_are_drawn_from_everywhere(dataset, most, fewest):
    clips = ClipDataset(dataset, "train", crop_most=most, crop_min=fewest, seed=1)
    length = min(40, most)
    seen = [frames_of(clips[step, 2])[1] for step in range(400)]
    assert all(frames == list(range(frames[0], frames[0] + len(frames))) for frames in seen)
    assert {len(frames) for frames in seen} == set(range(fewest or length, length + 1))
    assert {frame for frames in seen for frame in frames} == set(range(40))
    assert frames_of(clips[5, 1])[1] == list(range(12)) or fewest, "shorter ones stay whole"
    assert clips.longest.tolist() == [min(each, most) for each in LENGTHS]


def test_a_clip_shorter_than_the_limits_stays_whole(dataset):
    clips = ClipDataset(dataset, "train", crop_unit=16, crop_min=20, seed=1)
    assert frames_of(clips[3, 1]) == (1, list(range(12)))


def test_a_crop_depends_on_seed_step_and_clip_alone(dataset):
    def shown(seed, order):
        clips = ClipDataset(dataset, "train", crop_unit=4, crop_min=8, seed=seed)
        return {(step, place): frames_of(clips[step, place]) for step, place in order}

    order = [(step, place) for step in range(10) for place in range(4)]
    assert shown(1, order) == shown(1, order[::-1])
    assert shown(1, order) != shown(2, order)


def test_padding_is_zero_and_masked():
    clips = [("a", np.full((3, 5), 2.0, np.float32)), ("b", np.full((1, 5), 7.0, np.float32))]
    batch = pad_clips(clips)
    assert batch.ids == ["a", "b"] and batch.x.dtype == torch.float32
    assert torch.equal(batch.mask, torch.tensor([[True] * 3, [True, False, False]]))
    assert (batch.x[0] == 2).all() and (batch.x[1, 0] == 7).all()
    assert (batch.x[~batch.mask] == 0).all()


def test_padding_copies_so_that_the_dataset_cannot_be_written_to(dataset):
    clips = ClipDataset(dataset, "train")
    batch = pad_clips([clips[0, 0]])
    batch.x.fill_(5)
    assert frames_of(clips[0, 0])[1][:3] == [0, 1, 2]
    assert not clips.split.features.flags.writeable


def test_sorted_batches_hold_every_clip_once_by_length():
    lengths = [9, 3, 7, 3, 8, 1, 4]
    batches = length_sorted_batches(lengths, 3)
    assert [len(batch) for batch in batches] == [3, 3, 1]
    order = [place for batch in batches for place in batch]
    assert sorted(order) == list(range(7))
    assert [lengths[place] for place in order] == sorted(lengths)
    assert order[1:3] == [1, 3]  # equal lengths stay in order
    assert length_sorted_batches([], 3) == []
