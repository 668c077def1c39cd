"""The CMU Graphics Lab motion capture database, free for research and in products.

Trials as AMC with the ASF of their subject, or as BVH of the cgspeed conversions, 120 fps;
sentences of three kinds, which the label ``captions`` of every clip tells apart (see
lead.data.cmu.sentences), and lead's own about windows (see lead.data.cmu.window_sentences).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from lead.core.errors import RequestError
from lead.core.reading import read_yaml
from lead.data.archives import is_archive, unpack
from lead.data.bvh.loading import loaded_clips
from lead.data.bvh.motion_files import SUFFIXES
from lead.data.caption_kinds import count_kinds, table_lines
from lead.data.cmu.pieces import Piece, lost_cuts, pieces_of
from lead.data.cmu.sentences import Sentences, read_sentences
from lead.data.cmu.trials import FPS, Trial, find_trials, read_trial
from lead.data.source import PROBLEM, Item, LoadedClip, Rejected, Source, problem_item, usable
from lead.data.splits import check_frame_limits, stratified_splits
from lead.representation.mirroring import mirror_joints

CAPTIONS = "captions.json"
_TEST_TRIALS = Path(__file__).parents[1] / "cmu" / "test_trials.yaml"


@dataclass(frozen=True)
class CmuSource(Source):
    """``source`` is a folder with the trials anywhere below it, or with a tar archive of them.

    ``captions`` is the JSON file of sentences, by default captions.json in the folder or the one
    above; ``humanml3d`` is HumanML3D's official folder, for its sentences. Trials that hold an
    official test clip are test, a share ``val`` of all trials validates, none is in two splits.
    """

    source: Path | str
    captions: Path | str | None = None
    humanml3d: Path | str | None = None
    cache: Path | str | None = None
    val: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    seed: int = 0
    min_frames: int = 20
    max_frames: int = 199

    name: ClassVar[str] = "cmu"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = FPS
    licence: ClassVar[str] = (
        "motions: mocap.cs.cmu.edu, free for research and in products, not to be resold by itself; "
        "sentences: MIT (HumanML3D, KIT-ML, lead)"
    )
    long_clips: ClassVar[str] = "drop"  # pieces are cut to fit

    def __post_init__(self) -> None:
        check_frame_limits(self.min_frames, self.max_frames)

    def list_items(self) -> list[Item]:
        """What cannot be used, then every piece of every trial, by trial.

        Raises RequestError where there are no trials, or no sentences for any.
        """
        folder = self._folder()
        sentences = read_sentences(self._captions(), _path(self.humanml3d))
        paths, problems = find_trials(folder)
        if not paths:
            reason = ": ".join(next(iter(problems.items()), ("", "no .amc or .bvh file in it")))
            raise RequestError(f"source={folder} holds no trial of CMU's ({reason})")
        problems |= sentences.problems
        trials = _read_trials(paths, sentences, problems)
        pieces = [piece for trial in trials for piece in pieces_of(trial, sentences)]
        silent = {trial.name for trial in trials} - {piece.trial.name for piece in pieces}
        problems |= dict.fromkeys(sorted(silent), "no sentence about it, of any kind")
        if not pieces:
            raise RequestError(f"source={folder}: none of {len(paths)} trials has a sentence")
        splits = self._splits(pieces, sentences)
        lost = [
            problem_item(name, paths.get(name, folder / name), reason)
            for name, reason in problems.items()
        ]
        return [*lost, *(_item(piece, splits[piece.trial.name]) for piece in pieces)]

    def load(self, items: Sequence[Item]) -> list[LoadedClip | Rejected]:
        """Features of each item at 20 fps, or Rejected with its reason; a trial is read once."""
        clips, results = self.load_joints(items)
        used, motions = [item for item, _ in clips], [joints for _, joints in clips]
        return [*results, *loaded_clips(used, motions)]

    def load_joints(
        self, items: Sequence[Item]
    ) -> tuple[list[tuple[Item, np.ndarray]], list[Rejected]]:
        """Joints (frames, 22, 3) of each item at 20 fps, metres, and what cannot be read."""
        clips: list[tuple[Item, np.ndarray]] = []
        rejected = []
        for path, group in groupby(items, key=lambda item: item.path):
            pieces = list(group)
            try:
                trial = Trial(path.stem, path, 0, fps=float(pieces[0].labels["fps"]))
                joints, jumps = trial.joints()
                clips += [_cut_out(item, joints, jumps) for item in pieces]
            except RequestError as error:
                rejected += [Rejected(item.id, str(path), str(error)) for item in pieces]
        return clips, rejected

    def describe(self, items: Sequence[Item]) -> Mapping[str, object]:
        """Trials by form and split, and clips, sentences and hours by kind and split."""
        used = usable(items)
        trials = {item.labels["trial"]: item for item in used}
        counts = count_kinds(
            (item.labels, item.split, len(item.captions), _frames(item) / FPS) for item in used
        )
        return {
            "trials": len(trials),
            "forms": dict(Counter(item.path.suffix.lower() for item in trials.values())),
            "trials per split": dict(Counter(item.split for item in trials.values())),
            "kinds": "\n".join(["", *table_lines(counts)]),
            "problems": [f"{i.id}: {i.labels[PROBLEM]}" for i in items if PROBLEM in i.labels],
            "licence": self.licence,
        }

    def _folder(self) -> Path:
        """The folder of the trials, an archive in it unpacked where there are none."""
        folder = Path(self.source).expanduser()
        if not folder.is_dir():
            raise RequestError(f"source={folder} is not a folder: give the folder of the trials")
        archives = sorted(path for path in folder.iterdir() if is_archive(path))
        if archives and not any(find_trials(folder)):
            return unpack(archives[0], (*SUFFIXES, ".asf"), _path(self.cache))
        return folder

    def _captions(self) -> Path | None:
        """The file of sentences; None where HumanML3D's folder is given in its place."""
        if self.captions is not None:
            return _path(self.captions)
        folder = Path(self.source).expanduser().absolute()
        for place in (folder / CAPTIONS, folder.parent / CAPTIONS):
            if place.exists():
                return place
        if self.humanml3d is None:
            raise RequestError(
                f"source={folder} has no {CAPTIONS}, neither in it nor above: give "
                "data.captions=FILE, or HumanML3D's folder as data.humanml3d=DIR"
            )
        return None

    def _splits(self, pieces: Sequence[Piece], sentences: Sentences) -> dict[str, str]:
        """Trial -> split. The kinds of sentences are shared out alike."""
        official = {name for name, cuts in sentences.cuts.items() if any(c.test for c in cuts)}
        test = _test_trials() | official
        kinds: dict[str, tuple[str]] = {}
        for piece in pieces:
            kinds.setdefault(piece.trial.name, (piece.kind,))
        others = {name: kind for name, kind in kinds.items() if name not in test}
        share = min(1.0, self.val * len(kinds) / max(1, len(others)))
        fractions = {"train": 1 - share, "val": share}
        chosen = stratified_splits(others, fractions, seed=self.seed)
        return {name: chosen.get(name, "test") for name in kinds}


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


@cache
def _test_trials() -> frozenset[str]:
    table = read_yaml(_TEST_TRIALS)
    return frozenset(f"{subject}_{n}" for subject, names in table.items() for n in names.split())


def _read_trials(
    paths: Mapping[str, Path], sentences: Sentences, problems: dict[str, str]
) -> list[Trial]:
    """The trials that can be read, as far as their ends say; the others go to ``problems``."""
    trials = []
    for name, path in paths.items():
        try:
            trial = read_trial(name, path, sentences.seconds.get(name))
        except RequestError as error:
            problems[name] = str(error)
            continue
        trials.append(trial)
        for cut in lost_cuts(trial, sentences.cuts.get(name, ())):
            frames = f"frames {cut.start} to {cut.end} of {trial.frames}"
            problems[f"{name}@{cut.name}"] = f"a cut that is not in its trial: {frames}"
    return trials


def _item(piece: Piece, split: str) -> Item:
    return Item(piece.id, piece.trial.path, split, piece.captions, piece.labels())


def _frames(item: Item) -> int:
    start, _, end = item.labels["frames"].partition("-")
    return int(end) - int(start)


def _cut_out(item: Item, joints: np.ndarray, jumps: Sequence[int]) -> tuple[Item, np.ndarray]:
    """The joints of a piece of its trial, mirrored where its sentences are about that.

    Of a piece in which the recording jumps, the longest part without a jump; its labels tell.
    """
    start, end = map(int, item.labels["frames"].split("-"))
    if end > len(joints):
        raise RequestError(f"{item.path}: {len(joints)} frames at 20 fps, fewer than its end says")
    edges = [start, *(jump + 1 for jump in jumps if start <= jump < end - 1), end]
    first, stop = max(pairwise(edges), key=lambda pair: pair[1] - pair[0])
    if (first, stop) != (start, end):
        found = {"frames": f"{first}-{stop}", "broken": f"a joint jumps in {start}-{end}"}
        item = replace(item, labels={**item.labels, **found})
    cut = joints[first:stop]
    if "mirrored" in item.labels:
        cut = mirror_joints(torch.from_numpy(cut)).numpy()
    if len(cut) < 2:
        raise RequestError(f"{item.path}: nothing is left between the jumps of {item.id}")
    return item, cut
