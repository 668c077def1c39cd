"""The Bandai-Namco source on the real file names, and on real clips where they are at hand."""

import pickle
import re
import tarfile
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

from lead.core.building import build
from lead.core.errors import LeadError, RequestError
from lead.data.captions.phrase_book import read_phrase_book
from lead.data.loading import load_items
from lead.data.source import LoadedClip, Rejected
from lead.data.sources.bandai_namco import BandaiNamcoSource

# The names of both data sets, as counts of clips per content and style.
STYLES_1 = ["active", "angry", "childish", "chimpira", "feminine", "happy", "masculinity"]
STYLES_1 += ["normal", "not-confident", "old", "proud", "sad", "tired"]
CONTENTS_1 = ["bow", "bye", "byebye", "dash", "guide", "run", "walk"]
CONTENTS_1 += ["walk-back", "walk-left", "walk-right"]
NORMAL_1 = {"call": 2, "dance-short": 1, "kick": 1, "punch": 2, "respond": 1, "slash": 2}
STYLES_2 = ["active", "elderly", "exhausted", "feminine", "masculine", "normal", "youthful"]
COUNTS_2 = {
    "raise-up-both-hands": (92, 35, 36, 54, 52, 67, 55),
    "raise-up-left-hand": (94, 38, 37, 59, 49, 69, 56),
    "raise-up-right-hand": (90, 38, 36, 59, 46, 71, 54),
    "run": (53, 25, 37, 41, 42, 47, 41),
    "walk": (29, 15, 21, 24, 23, 22, 24),
    "walk-turn-left": (37, 28, 35, 28, 27, 31, 27),
    "walk-turn-right": (37, 27, 33, 28, 27, 32, 27),
    "wave-both-hands": (32, 26, 28, 24, 25, 27, 25),
    "wave-left-hand": (33, 25, 27, 24, 25, 28, 26),
    "wave-right-hand": (31, 25, 28, 25, 25, 27, 26),
}
FRACTIONS = {"train": 0.8, "val": 0.05, "test": 0.15}
HELD_OUT = {("dataset-1", "chimpira"), ("dataset-1", "childish"), ("dataset-2", "elderly")}


def collection_names() -> list[str]:
    """The 2,769 file names."""
    counts = {(1, c, s): 1 + (c == "walk") for c, s in product(CONTENTS_1, STYLES_1)}
    counts |= {(1, content, "normal"): count for content, count in NORMAL_1.items()}
    for content, numbers in COUNTS_2.items():
        counts |= {(2, content, s): n for s, n in zip(STYLES_2, numbers, strict=True)}
    return [
        f"dataset-{part}_{content}_{style}_{number + 1:03d}.bvh"
        for (part, content, style), count in counts.items()
        for number in range(count)
    ]


def _collection(root: Path, names: list[str]) -> Path:
    """A folder with these names, laid out as published, and nothing in the files."""
    for name in names:
        path = root / f"Motiondataset-{name[8]}" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Every clip of the collection."""
    folder = _collection(tmp_path_factory.mktemp("collection"), collection_names())
    return BandaiNamcoSource(folder).list_items()


@pytest.fixture(scope="module")
def part(tmp_path_factory) -> Path:
    """Data set 1 and a tenth of data set 2."""
    names = collection_names()
    return _collection(tmp_path_factory.mktemp("part"), names[:152] + names[152::10])


@pytest.fixture(scope="module")
def part_items(part: Path):
    return BandaiNamcoSource(part).list_items()


def _folder(root: Path, *names: str) -> Path:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).touch()
    return root


def test_every_clip_is_listed_once_with_its_labels(items) -> None:
    names = collection_names()
    assert len(names) == 152 + 2617
    assert sorted(f"{item.id}.bvh" for item in items) == sorted(names)
    for item in items:
        labels = item.labels
        assert item.id.startswith(f"{labels['set']}_{labels['content']}_{labels['style']}_")
    by_id = {item.id: dict(item.labels) for item in items}
    assert by_id["dataset-1_walk-back_not-confident_001"] == {
        "set": "dataset-1",
        "content": "walk-back",
        "style": "not-confident",
    }


def test_held_out_styles_are_in_none_of_the_three_splits(items) -> None:
    for item in items:
        held_out = (item.labels["set"], item.labels["style"]) in HELD_OUT
        assert (item.split == "heldout") == held_out
        assert held_out or item.split in FRACTIONS
    assert Counter(item.split for item in items)["heldout"] == 11 + 11 + 282


def test_words_of_held_out_styles_are_in_no_caption_of_the_three_splits(items) -> None:
    styles = read_phrase_book().styles
    phrases = {phrase for _, style in HELD_OUT for phrase in styles[style].phrases}
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b")
    for item in items:
        for caption in item.captions:
            assert bool(pattern.search(caption.text)) == (item.split == "heldout"), caption.text


def test_splits_are_80_5_15_within_every_stratum(items) -> None:
    strata: dict[tuple, Counter] = {}
    for item in items:
        if item.split != "heldout":
            key = tuple(item.labels[name] for name in ("set", "content", "style"))
            strata.setdefault(key, Counter())[item.split] += 1
    large = {key: counts for key, counts in strata.items() if key[0] == "dataset-2"}
    assert len(large) == 60
    for counts in large.values():
        for split, share in FRACTIONS.items():
            assert abs(counts[split] - share * counts.total()) < 1


@pytest.mark.parametrize(("part", "tolerance"), [("dataset-1", 0.03), ("dataset-2", 0.01)])
def test_splits_are_80_5_15_overall(items, part: str, tolerance: float) -> None:
    splits = Counter(
        item.split for item in items if item.labels["set"] == part and item.split != "heldout"
    )
    for split, share in FRACTIONS.items():
        assert splits[split] / splits.total() == pytest.approx(share, abs=tolerance)


def test_every_content_and_style_that_is_not_held_out_is_trained_on(items) -> None:
    trained = {
        (item.labels["set"], item.labels[name])
        for item in items
        for name in ("content", "style")
        if item.split == "train"
    }
    listed = {(i.labels["set"], i.labels[name]) for i in items for name in ("content", "style")}
    singletons = {("dataset-1", content) for content, count in NORMAL_1.items() if count < 3}
    assert listed - trained - singletons == HELD_OUT


def test_captions_are_distinct_and_match_the_side(items) -> None:
    for item in items:
        texts = [caption.text for caption in item.captions]
        assert len(set(texts)) == len(texts) == 8
        assert all(c.tokens == "" and c.start == c.end == 0 for c in item.captions)
        for side, other in (("left", "right"), ("right", "left")):
            if side in item.labels["content"].split("-"):
                assert all(re.search(rf"\b{side}\b", text) for text in texts)
                assert not any(re.search(rf"\b{other}\b", text) for text in texts)


def test_listing_is_deterministic_and_survives_pickling(part: Path, part_items) -> None:
    source = pickle.loads(pickle.dumps(BandaiNamcoSource(part)))
    assert source.list_items() == part_items


def test_a_few_clips_alone_keep_their_captions(tmp_path: Path, items) -> None:
    folder = _folder(tmp_path / "part", "dataset-1_bow_sad_001.bvh", "dataset-2_run_active_007.bvh")
    captions = {item.id: item.captions for item in items}
    for item in BandaiNamcoSource(folder).list_items():
        assert item.captions == captions[item.id]


def test_archives_list_what_the_folder_lists(part: Path, part_items, tmp_path: Path) -> None:
    for number in ("1", "2"):
        with tarfile.open(tmp_path / f"dataset-{number}.tar.xz", "w:xz", preset=0) as tar:
            tar.add(part / f"Motiondataset-{number}", f"Motiondataset-{number}")
    unpacked = BandaiNamcoSource(tmp_path, cache=tmp_path / "cache").list_items()

    def without_paths(listed):
        return [(i.id, i.split, i.captions, i.labels) for i in listed]

    assert without_paths(unpacked) == without_paths(part_items)
    one = BandaiNamcoSource(tmp_path / "dataset-1.tar.xz").list_items()
    assert len(one) == 152 and all(item.path.is_file() for item in one)


def test_names_that_cannot_be_used_are_reported_not_fatal(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path / "odd",
        "dataset-1_bow_sad_001.bvh",
        "dataset-1_swim_sad_001.bvh",
        "dataset-1_bow_drunk_001.bvh",
        "take five.bvh",
        "._dataset-1_bow_sad_001.bvh",
        "notes.txt",
    )
    (folder / "copy").mkdir()
    _folder(folder / "copy", "dataset-1_bow_sad_001.bvh")
    source = BandaiNamcoSource(folder)
    listed = source.list_items()
    good = [item for item in listed if item.id == "dataset-1_bow_sad_001"]
    assert len(good) == 1 and len({item.id for item in listed}) == len(listed) == 5
    bad = [item for item in listed if item not in good]
    results = {result.id: result for result in load_items(source, bad)}
    assert all(isinstance(result, Rejected) for result in results.values())
    reasons = {name: result.reason for name, result in results.items()}
    assert "add it to" in reasons["dataset-1_swim_sad_001.bvh"]
    assert "content 'swim'" in reasons["dataset-1_swim_sad_001.bvh"]
    assert "style 'drunk'" in reasons["dataset-1_bow_drunk_001.bvh"]
    assert "dataset-D_CONTENT_STYLE_ID.bvh" in reasons["take five.bvh"]
    assert "the same name as" in reasons["copy/dataset-1_bow_sad_001.bvh"]


def test_another_phrase_book_adds_a_content(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "more", "dataset-1_swim_calm_001.bvh")
    book = tmp_path / "book.yaml"
    book.write_text(
        "people: [a person, someone]\n"
        "contents: {swim: [swims, is swimming]}\n"
        "styles: {calm: {adverbs: [calmly]}}\n"
    )
    source = BandaiNamcoSource(folder, held_out=(), captions_per_clip=3, captions=book)
    [item] = source.list_items()
    assert len(item.captions) == 3
    assert all("calmly" in c.text and "swim" in c.text for c in item.captions)


def _empty(root: Path) -> BandaiNamcoSource:
    return BandaiNamcoSource(_folder(root / "empty"))


def _others(root: Path) -> BandaiNamcoSource:
    return BandaiNamcoSource(_folder(root / "others", "walk.bvh"))


def _broken_archive(root: Path) -> BandaiNamcoSource:
    (_folder(root / "archives") / "dataset-1.tar.xz").write_bytes(b"\xfd7zXZ\x00 and then nothing")
    return BandaiNamcoSource(root / "archives")


def _single_file(root: Path) -> BandaiNamcoSource:
    (root / "data.zip").touch()
    return BandaiNamcoSource(root / "data.zip")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_empty, "no file dataset-D_CONTENT_STYLE_ID.bvh"),
        (_others, "no file dataset-D_CONTENT_STYLE_ID.bvh"),
        (_broken_archive, "truncated or no tar archive"),
        (_single_file, "neither a folder nor an archive"),
        (lambda root: BandaiNamcoSource(root / "none"), "is not a folder"),
        (lambda root: BandaiNamcoSource(root, held_out=["chimpira"]), "dataset-1:chimpira"),
        (lambda root: BandaiNamcoSource(root, held_out=["dataset-1:chimp"]), "did you mean 'ch"),
        (lambda root: BandaiNamcoSource(root, splits={"train": 0.5}), "sum to 1"),
        (lambda root: BandaiNamcoSource(root, splits={"heldout": 1.0}), "split of held_out"),
        (
            lambda root: build(
                "source", {"_target_": "bandai_namco", "source": root, "captions_per_clip": 0}
            ),
            "'captions_per_clip' takes",
        ),
        (lambda root: BandaiNamcoSource(root, min_frames=50, max_frames=40), "<= max_frames"),
        (lambda root: BandaiNamcoSource(root, captions=root / "no.yaml"), "no.yaml is missing"),
    ],
)
def test_wrong_requests_are_one_line_errors(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(LeadError, match=message) as caught:
        make(tmp_path).list_items()
    assert isinstance(caught.value, RequestError) and "\n" not in str(caught.value)


def test_no_held_out_styles(part: Path) -> None:
    listed = BandaiNamcoSource(part, held_out=()).list_items()
    assert {item.split for item in listed} == set(FRACTIONS)


def test_the_configuration_says_what_the_class_assumes(repository: Path, part: Path) -> None:
    values = yaml.safe_load((repository / "configs/data/bandai_namco.yaml").read_text())
    source = build("source", values, source=str(part))
    assert source == BandaiNamcoSource(str(part), held_out=values["held_out"])
    assert tuple(source.held_out) == tuple(BandaiNamcoSource(str(part)).held_out)


@pytest.fixture(scope="module")
def real(sample_data: Path, tmp_path_factory) -> BandaiNamcoSource:
    archive = sample_data / "bandai-namco" / "dataset-1.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    return BandaiNamcoSource(archive, cache=tmp_path_factory.mktemp("cache"))


def test_real_names_are_the_ones_assumed_here(real: BandaiNamcoSource) -> None:
    expected = sorted(name for name in collection_names() if name.startswith("dataset-1"))
    assert sorted(item.path.name for item in real.list_items()) == expected


def test_real_clips_move_as_their_content_says(real: BandaiNamcoSource) -> None:
    wanted = {f"dataset-1_{c}_normal_001": c for c in ("walk", "walk-back", "dash", "bow")}
    chosen = [item for item in real.list_items() if item.id in wanted]
    clips = {wanted[clip.id]: clip for clip in real.load(chosen)}
    assert all(isinstance(clip, LoadedClip) for clip in clips.values()) and len(clips) == 4
    # Feature 2 is the root's velocity along its own facing direction, metres a frame at 20 fps.
    speed = {name: 20 * float(np.mean(clip.features[:, 2])) for name, clip in clips.items()}
    assert speed["walk"] == pytest.approx(1.24, abs=0.25)
    assert -1.6 < speed["walk-back"] < -0.8
    assert speed["dash"] > 3
    assert abs(speed["bow"]) < 0.1
    assert len(clips["dash"].features) >= real.min_frames


def test_describe_says_what_would_be_read(real: BandaiNamcoSource) -> None:
    facts = real.describe(real.list_items())
    assert facts["files"] == 152
    assert facts["fps"] == {"30": 152}
    assert facts["units"] == {"cm": 9}
    assert facts["up_axis"] == "y"
    assert facts["captions"] == 8 * 152
    assert facts["contents"]["walk"] == 26
    assert facts["styles"]["dataset-1:chimpira"] == 11
    assert facts["splits"]["heldout"] == 22
    assert sum(facts["splits"].values()) == 152
    assert facts["licence"] == "CC BY-NC 4.0"
