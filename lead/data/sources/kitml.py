"""KIT-ML (Plappert et al., 2016) in the folder layout that came with HumanML3D."""

from dataclasses import dataclass
from typing import ClassVar

from lead.data.sources.official_layout import OfficialSource


@dataclass(frozen=True)
class KitMlSource(OfficialSource):
    """21 joints, 251 features, millimetres, 12.5 fps; clips of 24 to 199 frames.

    ``source`` is the folder with new_joint_vecs, texts, Mean.npy, Std.npy and the split lists.
    Features and statistics stay in millimetres, as published; joint positions recovered with the
    skeleton ``kit`` are metres.
    """

    min_frames: int = 24

    name: ClassVar[str] = "kitml"
    skeleton: ClassVar[str] = "kit"
    fps: ClassVar[float] = 12.5
    licence: ClassVar[str] = "KIT Motion-Language Dataset, its own terms: not to be passed on"
