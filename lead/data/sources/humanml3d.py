"""HumanML3D (Guo et al., CVPR 2022) in its official folder layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lead.data.sources.official_layout import OfficialSource

_NOT_FINITE = "known to hold NaN in the official build: skipped"


@dataclass(frozen=True)
class HumanML3DSource(OfficialSource):
    """22 joints, 263 features, metres, 20 fps; clips of 40 to 199 frames.

    ``source`` is the folder with new_joint_vecs, texts, Mean.npy, Std.npy and the split lists.
    Mirrored clips (ids that start with M) are in those lists.
    """

    min_frames: int = 40

    name: ClassVar[str] = "humanml3d"
    skeleton: ClassVar[str] = "humanml3d"
    fps: ClassVar[float] = 20.0
    licence: ClassVar[str] = (
        "texts: MIT; motions: the terms of AMASS and HumanAct12, not to be passed on"
    )
    known_bad: ClassVar[Mapping[str, str]] = {"007975": _NOT_FINITE, "M007975": _NOT_FINITE}
