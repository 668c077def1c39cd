"""Clips that go on from a motion, or fill the gaps of one: start= and keep= of `lead generate`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.core.schema import ClosedSchema
from lead.generation import MotionModel


class Keeping(ClosedSchema):
    """Which motion a clip goes on from, or which frames of one it keeps."""

    start: str | None
    keep: str | None
    keep_frames: list[str]


def with_motion(
    model: MotionModel, frames: Sequence[int], keeping: Keeping
) -> tuple[MotionModel, list[int]]:
    """The model that keeps the frames that the options name, and the frames of each clip then.

    Raises RequestError for a model that cannot, for both options at once and for wrong frames.
    """
    start, keep = keeping.start, keeping.keep
    if start is None and keep is None:
        return model, [*frames]
    model.need("keep_frames")
    if start is not None and keep is not None:
        raise RequestError("start= goes on from a motion, keep= fills one: give one of them")
    from lead.studies.words.exemplars import read_features  # and all that reads recordings

    features = read_features(Path(start or keep), model)
    if start is not None:
        return model.with_kept(features, np.ones(len(features), bool)), [
            len(features) + count for count in frames
        ]
    kept = np.zeros(len(features), bool)
    for span in keeping.keep_frames:
        first, _, end = str(span).partition("-")
        if not (first.isdecimal() and end.isdecimal() and int(first) < int(end) <= len(features)):
            raise RequestError(
                f"keep_frames has {span}: {keep} has {len(features)} frames, give spans such as "
                "0-20, the first of them and the one behind the last"
            )
        kept[int(first) : int(end)] = True
    if not kept.any() or kept.all():
        raise RequestError("keep= needs keep_frames=[0-20,60-80]: some frames, not all")
    return model.with_kept(features, kept), [len(features)] * len(frames)
