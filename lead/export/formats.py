"""The formats a motion can be written in. A new one is a file with a writer and a name here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lead.core.errors import RequestError, did_you_mean
from lead.core.schema import Rate, Schema
from lead.export.animation import write_animation
from lead.export.bvh import write_bvh
from lead.export.contact_sheet import write_contact_sheet
from lead.export.glb import write_glb
from lead.export.joint_names import NAMES
from lead.export.motion_file import Motion, write_motion
from lead.export.player import write_player
from lead.export.rig import at_rate

SHEET_CELL = (960, 400)  # pixels of the picture that shows a single clip
SHEET_POSES = 8


class Manner(Schema):
    """How motions are written, where a format leaves that open.

    ``fps`` frames a second, default the clip's own; ``scale``, a BVH file's units in a metre;
    ``names`` of the joints; ``root``, whether there is a node on the ground below the hips.
    """

    fps: Rate | None = None
    scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    names: Literal[NAMES] = "lead"
    root: bool = False

    def check(self, *formats: str) -> None:
        """RequestError for an unknown format, and a choice that none of them leaves open."""
        for name in formats:
            if name not in FORMATS:
                raise RequestError(f"unknown format '{name}': {did_you_mean(name, FORMATS)}")
        for name in self._chosen():
            if not set(CHOICES[name]) & set(formats):
                raise RequestError(
                    f"{name} is for format={'|'.join(CHOICES[name])} alone: leave it out for "
                    f"{', '.join(formats)}"
                )

    def of(self, format: str, *motions: Motion) -> tuple[list[Motion], dict[str, Any]]:
        """The motions as a writer of this format takes them, and its options."""
        chosen = {n: value for n, value in self._chosen().items() if format in CHOICES[n]}
        if format not in RIGGED:
            motions = [at_rate(motion, chosen.get("fps")) for motion in motions]
            chosen.pop("fps", None)
        return list(motions), chosen

    def _chosen(self) -> dict[str, Any]:
        return self.model_dump(exclude_defaults=True)


def export_motion(
    motion: Motion, path: Path | str, format: str, manner: Manner | None = None
) -> str | None:
    """Write ``motion`` to ``path`` in one of FORMATS, atomically.

    Returns one line on what the format could not keep, if there is anything. Raises WorkError where
    the disk refuses.
    """
    [motion], chosen = (manner or Manner()).of(format, motion)
    return FORMATS[format](path, motion, **chosen)


def export_together(
    motions: Sequence[Motion], path: Path | str, format: str, manner: Manner | None = None
) -> str | None:
    """The same for several motions in one file of a format of TOGETHER."""
    motions, chosen = (manner or Manner()).of(format, *motions)
    return TOGETHER[format](path, *motions, **chosen)


def _moving_picture(path: Path | str, motion: Motion, format: str) -> None:
    what = {"format": format, "skeleton": motion.skeleton}
    write_animation(path, motion.joints, motion.text, motion.fps, **what)


def _write_sheet(path: Path | str, motion: Motion) -> None:
    write_contact_sheet(
        path,
        [(motion.joints, motion.text)],
        columns=1,
        frames_per_clip=SHEET_POSES,
        fps=motion.fps,
        skeleton=motion.skeleton,
        cell=SHEET_CELL,
    )


FORMATS: Mapping[str, Callable[..., str | None]] = {
    "npz": write_motion,
    **{name: partial(_moving_picture, format=name) for name in ("gif", "webp", "mp4")},
    "png": _write_sheet,
    "bvh": write_bvh,
    "glb": write_glb,
    "html": lambda path, motion: write_player(path, [motion]),
}

RIGGED = ("bvh", "glb")
CHOICES = {
    "fps": ("gif", "webp", "mp4", *RIGGED, "html"),
    "scale": ("bvh",),
    "names": RIGGED,
    "root": RIGGED,
}
"""What a Manner says, and the formats that leave it open; an npz keeps the model's frames."""

TOGETHER: Mapping[str, Callable[..., str | None]] = {
    "html": lambda path, *motions: write_player(path, motions),
    "glb": write_glb,
}
"""The formats of which one file can hold several motions."""

PAGES = ("html",)
"""Those of which one file holds all of them unless it is told otherwise."""
