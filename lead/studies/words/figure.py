"""Learned words to look at: exemplar, plain word and learned words side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lead.core.files import make_folder
from lead.export.contact_sheet import write_contact_sheet
from lead.export.motion_file import Motion
from lead.export.player.page import write_player
from lead.representation import Skeleton, features_to_joints

CELL = (400, 200)  # pixels


Line = Sequence[tuple[np.ndarray, str]]
"""One line of the picture: un-normalised features (frames, F) and caption of each column."""


def write_words_figure(
    folder: Path, lines: Sequence[Line], fps: float, skeleton: Skeleton, licence: str
) -> Mapping[str, Path]:
    """Write ``words.png``, a strip of poses for each clip, and ``words.html``, which plays them."""
    make_folder(folder)
    files = {"picture": folder / "words.png", "player": folder / "words.html"}
    motions = [
        Motion(
            *(features_to_joints(features, skeleton.name), features, caption),
            seed=0,
            fps=fps,
            skeleton=skeleton.name,
            provenance={"licence": licence},
        )
        for line in lines
        for features, caption in line
    ]
    write_contact_sheet(
        files["picture"],
        [(motion.joints, motion.text) for motion in motions],
        columns=len(lines[0]),
        fps=fps,
        skeleton=skeleton.name,
        cell=CELL,
    )
    write_player(files["player"], motions)
    return files
