"""The formats a motion can be written in. A new one is a file with a writer and a name here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from lead.core.errors import RequestError, did_you_mean
from lead.export.animation import write_animation
from lead.export.bvh import write_bvh
from lead.export.contact_sheet import write_contact_sheet
from lead.export.glb import write_glb
from lead.export.motion_file import Motion, write_motion
from lead.export.player import write_player
from lead.representation import get_skeleton

SHEET_CELL = (960, 400)  # pixels of the picture that shows a single clip
SHEET_POSES = 8


def export_motion(
    motion: Motion, path: Path | str, format: str, scale: float | int | None = None
) -> str | None:
    """Write ``motion`` to ``path`` in one of FORMATS, atomically.

    ``scale`` is a BVH file's units in a metre, 1 by default. Returns one line on what the format
    could not keep, if there is anything. Raises RequestError for an unknown format or a scale where
    there is none to choose, WorkError where the disk refuses.
    """
    if format not in FORMATS:
        raise RequestError(f"unknown format '{format}': {did_you_mean(format, FORMATS)}")
    write = FORMATS[format]
    if scale is not None:
        if write is not write_bvh:
            raise RequestError(f"scale is for format=bvh alone: leave it out for {format}")
        write = partial(write_bvh, scale=scale)
    return write(path, motion)


def _moving_picture(path: Path | str, motion: Motion, format: str) -> None:
    parents = get_skeleton(motion.skeleton).parents
    write_animation(path, motion.joints, motion.text, motion.fps, format=format, parents=parents)


def _write_sheet(path: Path | str, motion: Motion) -> None:
    write_contact_sheet(
        path,
        [(motion.joints, motion.text)],
        columns=1,
        frames_per_clip=SHEET_POSES,
        fps=motion.fps,
        parents=get_skeleton(motion.skeleton).parents,
        cell=SHEET_CELL,
    )


FORMATS: Mapping[str, Callable[[Path | str, Motion], str | None]] = {
    "npz": write_motion,
    **{name: partial(_moving_picture, format=name) for name in ("gif", "webp", "mp4")},
    "png": _write_sheet,
    "bvh": write_bvh,
    "glb": write_glb,
    "html": lambda path, motion: write_player(path, [motion]),
}

PAGES: Mapping[str, Callable[[Path | str, Sequence[Motion]], None]] = {"html": write_player}
"""The formats of which one file can hold several motions."""
