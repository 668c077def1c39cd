"""The motion file: one generated or recorded clip with all that is needed to show it again.

An uncompressed ``.npz`` that ``numpy.load`` reads anywhere, without pickles:

============  ====================  =========================================================
key           type                  meaning
============  ====================  =========================================================
joints        float32 (frames J 3)  metres, y up
features      float32 (frames F)    un-normalised, in the skeleton's feature layout
text          str                   the prompt or caption, may be empty
seed          int64                 of the generator; 0 for recorded clips
fps           float64               frames per second
skeleton      str                   "humanml3d" or "kit"
schema        int64                 version of this table
provenance.*  str                   anything else worth keeping, e.g. provenance.run
============  ====================  =========================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, InstanceOf

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.core.reading import plain_text, read_archive
from lead.core.schema import Schema, check
from lead.representation import get_skeleton

SCHEMA = 1
METRES_MOST = 1e6  # from the origin; what draws a motion takes squares of such numbers
FPS = (0.1, 1000)
_PROVENANCE = "provenance."


@dataclass(frozen=True, eq=False)
class Motion:
    """One clip as joints and as features; checked, the arrays made float32.

    Raises RequestError for wrong shapes, values that are not finite, or an unknown skeleton.
    """

    joints: np.ndarray  # (frames, J, 3) metres, y up
    features: np.ndarray  # (frames, F) un-normalised
    text: str
    seed: int = 0
    fps: float | int = 20.0
    skeleton: str = "humanml3d"
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything that a reader of the file would rely on."""
        skeleton = get_skeleton(self.skeleton)
        joints = _finite_array("joints", self.joints, ("frames", skeleton.joints, 3))
        features = _finite_array("features", self.features, ("frames", skeleton.features))
        if np.abs(joints).max() > METRES_MOST:
            raise RequestError(
                f"joints hold a value of {np.abs(joints).max():.3g} m, {METRES_MOST:g} is the most"
            )
        if len(joints) != len(features):
            raise RequestError(
                f"joints have {len(joints)} frames, features {len(features)}: both need the same"
            )
        if not -(2**63) <= self.seed < 2**63:
            raise RequestError(f"seed must fit into 64 bits, got {self.seed}")
        plain_text("text", self.text)
        for name, text in self.provenance.items():
            plain_text(f"provenance {name!r:.60}", name)
            plain_text(f"provenance {name!r:.60}", text)
        low, high = FPS
        if not low <= self.fps <= high:
            raise RequestError(f"fps must be from {low} to {high} frames a second, got {self.fps}")
        object.__setattr__(self, "fps", float(self.fps))
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "features", features)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.joints)

    @property
    def seconds(self) -> float:
        """Time the clip is shown for: frames / fps."""
        return self.frames / self.fps


def _finite_array(name: str, value: object, shape: tuple[str | int, ...]) -> np.ndarray:
    """``value`` as a finite float32 array of ``shape``, e.g. ("frames", 22, 3).

    A word in ``shape`` stands for any length from 1. Raises RequestError that states the shape
    wanted and the one received, or the first frame (leading index) that is not finite.
    """
    array = np.asarray(value)
    wanted = "(" + ", ".join(map(str, shape)) + ")"
    if array.dtype.kind not in "fiu":
        raise RequestError(f"{name} must be numbers of shape {wanted}, got type {array.dtype}")
    fits = array.ndim == len(shape) and all(
        length >= 1 if isinstance(want, str) else length == want
        for want, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise RequestError(f"{name} must be {wanted}, got {array.shape}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise RequestError(
            f"{name} hold a value that is not finite, first in frame {int(bad.argmax())}"
        )
    return array


def write_motion(path: Path | str, motion: Motion) -> None:
    """Write the motion file atomically; equal motions make equal bytes."""
    entries = {
        "joints": motion.joints,
        "features": motion.features,
        "text": np.array(motion.text),
        "seed": np.array(motion.seed, dtype=np.int64),
        "fps": np.array(motion.fps, dtype=np.float64),
        "skeleton": np.array(motion.skeleton),
        "schema": np.array(SCHEMA, dtype=np.int64),
    }
    for name, text in sorted(motion.provenance.items()):
        entries[_PROVENANCE + name] = np.array(text)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **entries)


class _Entries(Schema):
    """The arrays of a motion file; those of one value as that value."""

    joints: InstanceOf[np.ndarray]
    features: InstanceOf[np.ndarray]
    text: str
    seed: int
    fps: float
    skeleton: str
    layout: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)]
    provenance: dict[str, str]


def read_motion(path: Path | str) -> Motion:
    """Read a motion file without executing anything in it.

    Raises RequestError, naming the file, where it is missing, is not an npz, unpacks to more than
    any motion has, lacks a key, holds Python objects, wrong shapes or values that are not finite,
    or has a newer schema.
    """
    advice = "give a motion file (.npz) that this version of `lead generate` wrote"
    arrays = read_archive(path, advice=advice)
    values = {key: array.item() if array.size == 1 else array for key, array in arrays.items()}
    values["provenance"] = {
        key.removeprefix(_PROVENANCE): value
        for key, value in values.items()
        if key.startswith(_PROVENANCE)
    }
    read = check(_Entries, values, str(path), advice, error=RequestError)
    try:
        return Motion(
            *(read.joints, read.features, read.text),
            *(read.seed, read.fps, read.skeleton, read.provenance),
        )
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error
