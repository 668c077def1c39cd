"""Features from joints, a folder of BVH files to a packed dataset, and opening one."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from lead.bench.machine import Machine
from lead.bench.plain_features import plain_features
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median
from lead.core.claims import scratch_folder
from lead.core.errors import RequestError
from lead.data.clips import ClipDataset, pad_clips
from lead.data.cmu_open import read_index, read_joints
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.source import Caption, Item, LoadedClip, Rejected
from lead.data.sources.bvh import BvhSource
from lead.export.bvh import write_bvh
from lead.export.motion_file import Motion
from lead.representation import get_skeleton, joints_to_features_batch

CLIPS, FILES, RECORDINGS = 24, 96, 200
OPENED = (240, 24000)  # clips of the datasets that are opened; the larger is HumanML3D's size
BATCH = 64


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:  # noqa: ARG001
    """The rows of `lead bench prepare`: one core, whatever threads= says."""
    torch.set_num_threads(1)
    names = {item.id for item in read_index()[:CLIPS]}
    motions = [joints for _, joints in read_joints(names)]
    joints = np.stack([np.resize(motion, (options.frames, 22, 3)) for motion in motions])
    with scratch_folder("bench") as folder:
        return [
            _features_row(setting, joints),
            _bvh_row(setting, folder, _bvh_files(options.source, folder, motions)),
            *(_opening_row(setting, folder, clips) for clips in OPENED),
        ]


def _features_row(setting: Setting, joints: np.ndarray) -> Row:
    skeleton = get_skeleton("humanml3d")
    batch = torch.from_numpy(joints)
    lengths = torch.full((len(joints),), joints.shape[1])
    works = {
        "ours": lambda: joints_to_features_batch(batch, lengths),
        "plain": lambda: [plain_features(clip, skeleton) for clip in joints],
    }
    apart = np.abs(works["ours"]().numpy() - np.stack(works["plain"]())).max()
    seconds = alternate(works, setting, warm_up=False)
    return Row(
        f"joints to features, {joints.shape[1]} frames",
        *(len(joints), "clips", median(seconds["ours"]), median(seconds["plain"]), None),
        *(seconds["ours"], seconds["plain"]),
        difference=f"{apart:.1e} at most",
    )


def _bvh_files(given: str | None, folder: Path, motions: Sequence[np.ndarray]) -> Path:
    """A folder of BVH files: up to RECORDINGS of those given, evenly drawn, or FILES made ones."""
    source = folder / "bvh"
    source.mkdir()
    if given is not None:
        found = sorted(Path(given).rglob("*.bvh"))
        if not found:
            raise RequestError(f"source={given} holds no BVH file: give a folder of recordings")
        for number, path in enumerate(found[:: -(-len(found) // RECORDINGS)]):
            shutil.copy(path, source / f"{number}_{path.name}")
        return source
    for number in range(FILES):
        joints = motions[number % len(motions)]
        motion = Motion(joints, np.zeros((len(joints), 263)), "", fps=20.0)
        write_bvh(source / f"walk_{number}.bvh", motion)
    return source


def _bvh_row(setting: Setting, folder: Path, source: Path) -> Row:
    """The floor is reading the bytes and parsing the numbers, which nothing can do without."""
    files = len(list(source.iterdir()))
    turn = iter(range(10**6))
    works = {
        "ours": lambda: pack(
            BvhSource(source=source, template="a person walks", min_frames=4),
            folder / f"packed{next(turn)}",
            workers=1,
        ),
        "floor": lambda: [_parse(path) for path in source.iterdir()],
    }
    seconds = alternate(works, setting)
    return Row(
        f"{files} BVH files to a packed dataset",
        *(files, "files", median(seconds["ours"]), None, median(seconds["floor"])),
        seconds["ours"],
        remark="the floor is reading the bytes and parsing the numbers, both on one core",
    )


def _parse(path: Path) -> np.ndarray:
    text = path.read_bytes().decode()
    rows = text[text.index("Frame Time") :].split("\n")[1:]
    return np.loadtxt(rows, comments=None, ndmin=2)


class _ManyClips:
    """A source of clips that are all alike, to make a dataset of any size."""

    name, skeleton, fps, licence = "many", "humanml3d", 20.0, "none"
    min_frames, max_frames, long_clips = 4, 200, "drop"

    def __init__(self, clips: int):
        self.clips = clips
        self.features = np.random.default_rng(0).standard_normal((16, 263), dtype=np.float32)

    def list_items(self) -> list[Item]:
        captions = (Caption("a person walks forward and then turns around"),) * 3
        return [Item(f"{n:06d}", Path(f"{n}"), "train", captions) for n in range(self.clips)]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        return [LoadedClip(item.id, "train", self.features, item.captions) for item in items]

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(263), np.ones(263)

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        return {"clips": len(items)}


def _opening_row(setting: Setting, folder: Path, clips: int) -> Row:
    """Open a dataset and its split; then one batch, counting the files that it opens."""
    packed = folder / f"many{clips}"
    pack(_ManyClips(clips), packed, workers=1)
    seconds = alternate({"ours": lambda: open_dataset(packed).split("train")}, setting)["ours"]
    data = ClipDataset(open_dataset(packed), "train")
    opened = files_opened(lambda: pad_clips([data[0, n * 3] for n in range(BATCH)]))
    return Row(
        f"open a dataset of {clips} clips",
        *(1, "times", median(seconds), None, None, seconds),
        difference=f"{opened} files opened by a batch of {BATCH}",
    )


def files_opened(work) -> int:
    """How many files Python opens while ``work`` runs."""
    opened, counting = [], [True]

    def hook(event: str, arguments: tuple) -> None:
        if counting and event == "open":
            opened.append(arguments[0])

    sys.addaudithook(hook)  # cannot be removed: it is switched off instead
    try:
        work()
    finally:
        counting.clear()
    return len(opened)
