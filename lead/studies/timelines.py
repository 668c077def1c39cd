"""One clip of many sentences, one after another: timeline= of `lead generate`."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple

import numpy as np

from lead.core.errors import RequestError
from lead.core.files import to_json
from lead.evaluation.seams import NEAR_SECONDS, Movement, seam_movement
from lead.export.motion_file import Motion
from lead.generation.motion_model import MotionModel, Sampling

SECONDS_MOST = 600
Prompts = Sequence[tuple[str, float]]


def check_timeline(model: MotionModel, prompts: Prompts) -> list[int]:
    """The frames of each sentence; RequestError for a timeline that the model cannot make."""
    model.need("timeline")
    seconds = sum(length for _, length in prompts)
    if seconds > SECONDS_MOST:
        raise RequestError(f"the timeline has {seconds:g} seconds, {SECONDS_MOST} are the most")
    frames = [round(length * model.fps) for _, length in prompts]
    model.timeline_spans(frames)
    return frames


def make_timelines(
    model: MotionModel,
    prompts: Prompts,
    seeds: Sequence[int],
    sampling: Sampling,
    about: Mapping[str, str],
) -> tuple[list[Motion], str]:
    """A clip of all sentences for each seed, and a line on how it moves where they meet.

    The provenance of a clip has its ``timeline``: JSON of each sentence with its first frame and
    the one behind its last.
    """
    texts, frames = [text for text, _ in prompts], check_timeline(model, prompts)
    clips, moved = [], []
    for seed in seeds:
        made, spans = model.generate_timeline(texts, frames, seed, sampling)
        listed = [{"text": t, "frames": span} for t, span in zip(texts, spans, strict=True)]
        provenance = {**about, "timeline": to_json(listed)}
        clip = (made.joints, made.features, made.text, seed, model.fps, model.skeleton.name)
        clips.append(Motion(*clip, provenance))
        seams = [first for first, _ in spans[1:]]
        if seams:
            moved.append(seam_movement(made.joints, model.fps, model.skeleton, seams))
    return clips, _told(len(texts), sum(frames) / model.fps, moved)


def _told(sentences: int, seconds: float, moved: Sequence[tuple[Movement, Movement]]) -> str:
    what = f"{sentences} sentences in {seconds:g} s"
    if not moved:
        return what
    near, rest = (np.mean([astuple(two[side]) for two in moved], axis=0) for side in (0, 1))
    return (
        f"{what}; up to {NEAR_SECONDS:g} s from a seam (and elsewhere) joints move at "
        f"{near[0]:.2f} ({rest[0]:.2f}) m/s and accelerate by {near[1]:.1f} ({rest[1]:.1f}) m/s², "
        f"feet slide in {100 * near[2]:.0f} ({100 * rest[2]:.0f}) % of frames"
    )
