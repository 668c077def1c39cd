"""Every motion of a source, read by several processes. One that cannot be used ends nothing."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain

import numpy as np
import torch
from tqdm import tqdm

from lead.core.errors import LeadError, WorkError
from lead.core.workers import ProcessEndedError, spread
from lead.data.captions.mirroring import mirror_caption, mirrored
from lead.data.source import PROBLEM, Item, LoadedClip, Rejected, Source, usable
from lead.representation.features import features_to_joints, joints_to_features
from lead.representation.mirroring import mirror_joints
from lead.representation.skeletons import get_skeleton

CHUNK = 32


def load_all(
    source: Source, items: Sequence[Item], workers: int, *, mirror: bool = False
) -> list[LoadedClip | Rejected]:
    """``load_items`` for all items, in their order, by ``workers`` processes.

    Raises RequestError where there is no such skeleton, WorkError where a process dies, with the
    motions that it had.
    """
    get_skeleton(source.skeleton)
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    found: list[list[LoadedClip | Rejected]] = [[] for _ in chunks]
    work = partial(load_items, source, mirror=mirror)
    progress = tqdm(total=len(items), desc=f"prepare {source.name}", unit="clip", disable=None)
    with progress, _one_thread(), closing(spread(work, chunks, workers)) as answers:
        try:
            for place, answer in answers:
                found[place] = answer
                progress.update(len(chunks[place]))
        except ProcessEndedError as error:
            had = "" if error.place is None else f" with {_named(chunks[error.place])}"
            raise WorkError(
                f"a worker process {error.how}{had}: is there memory enough? Say workers=1"
            ) from error
    return list(chain.from_iterable(found))


def load_items(
    source: Source, items: Sequence[Item], *, mirror: bool = False
) -> list[LoadedClip | Rejected]:
    """What a source makes of some items; whatever it raises for one spoils no other.

    What cannot be used comes back as Rejected. ``mirror`` adds the mirror images of training clips.
    """
    told = [
        Rejected(item.id, str(item.path), item.labels[PROBLEM])
        for item in items
        if PROBLEM in item.labels
    ]
    items = usable(items)
    try:
        pairs = zip(items, source.load(items), strict=True)
        found = [_judged(item, result, source) for item, result in pairs]
        if mirror:
            clips = [clip for clip in found if isinstance(clip, LoadedClip)]
            found += [_mirrored(clip, source) for clip in clips if clip.split == "train"]
        return told + found
    except LeadError as error:
        reason = str(error)
    except Exception as error:
        reason = f"{items[0].path}: cannot be used ({type(error).__name__}: {error})"
    if len(items) > 1:
        return told + [one for item in items for one in load_items(source, [item], mirror=mirror)]
    return [*told, Rejected(items[0].id, str(items[0].path), reason)]


def _named(items: Sequence[Item]) -> str:
    return f"the {len(items)} motions from '{items[0].id:.60}' to '{items[-1].id:.60}'"


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in the worker processes: how sums are cut decides over their last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _judged(item: Item, result: LoadedClip | Rejected, source: Source) -> LoadedClip | Rejected:
    bad = "" if isinstance(result, Rejected) else _unusable(result, source)
    return Rejected(result.id, str(item.path), bad) if bad else result


def _unusable(clip: LoadedClip, source: Source) -> str:
    """Why a clip cannot be used at all, or an empty string."""
    width = get_skeleton(source.skeleton).features
    if clip.features.ndim != 2 or clip.features.shape[1] != width:
        return f"features of shape {clip.features.shape}, expected (frames, {width})"
    if not np.isfinite(clip.features).all():
        return "features hold a value that is not finite (NaN or infinity)"
    if not any(caption.text.strip() for caption in clip.captions):
        return "no caption: add one, or give a template"
    frames = len(clip.features)
    if frames < source.min_frames or (frames > source.max_frames and source.long_clips != "split"):
        return f"{frames} frames, outside {source.min_frames}..{source.max_frames}: left out"
    return ""


def _mirrored(clip: LoadedClip, source: Source) -> LoadedClip:
    """The mirror image, named as HumanML3D does: M before the id. It is one frame shorter.

    It goes through the joints, so that it has the bone lengths of the reference skeleton, whose
    left and right differ a little.
    """
    joints = torch.from_numpy(features_to_joints(clip.features, source.skeleton))
    image = mirror_joints(joints, source.skeleton)
    features = joints_to_features(image, source.skeleton, shortest_turn=True)
    labels = {key: mirror_caption(value) for key, value in clip.labels.items()}
    captions = tuple(mirrored(caption) for caption in clip.captions)
    return LoadedClip(f"M{clip.id}", clip.split, features.numpy(), captions, labels)
