"""Clips of no sentence: a motion alone, one with its own sentence, or others like a motion."""

from collections.abc import Sequence
from pathlib import Path

from lead.core.schema import ClosedSchema
from lead.generation import MotionModel, Sampling
from lead.generation.motion_model import GeneratedMotion
from lead.studies.words.exemplars import read_features


class Free(ClosedSchema):
    """``task`` other than "text" needs no sentence; ``like`` is a motion to make others like."""

    task: str
    like: str | None
    like_by: str
    strength: float

    @property
    def is_free(self) -> bool:
        """Whether clips are made of no sentence."""
        return self.task != "text" or self.like is not None


def free_clips(
    model: MotionModel, frames: int, seeds: Sequence[int], sampling: Sampling, asked: Free
) -> list[GeneratedMotion]:
    """A clip of each seed: of so many frames, or as long as the motion that it is like."""
    if asked.like is not None:
        features = read_features(Path(asked.like), model)
        return model.vary(features, seeds, sampling, asked.like_by, asked.strength)
    return model.make(asked.task, [frames] * len(seeds), seeds, sampling)
