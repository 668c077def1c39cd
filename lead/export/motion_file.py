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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.core.reading import plain_text
from lead.export.checks import finite_array, frame_rate
from lead.representation import get_skeleton

SCHEMA = 1
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
        joints = finite_array("joints", self.joints, ("frames", skeleton.joints, 3))
        features = finite_array("features", self.features, ("frames", skeleton.features))
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
        object.__setattr__(self, "fps", frame_rate(self.fps))
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


def read_motion(path: Path | str) -> Motion:
    """Read a motion file without executing anything in it.

    Raises RequestError, naming the file, where it is missing, is not an npz, lacks a key, holds
    Python objects, wrong shapes or values that are not finite, or has a newer schema.
    """
    path = Path(path)
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "is missing"
        raise RequestError(f"{path} {state}: give a motion file (.npz)")
    with path.open("rb") as stream:
        values = _read_entries(path, stream)
    try:
        return Motion(**values)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error


def _read_entries(path: Path, stream: BinaryIO) -> dict[str, object]:
    """The fields of a Motion as the file has them."""
    archive = _load_or_refuse(
        path, "is not a motion file (.npz)", lambda: np.load(stream, allow_pickle=False)
    )
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise RequestError(f"{path} is not a motion file (.npz): it holds a single array")
    entries = _Entries(path, archive)
    schema = entries.value("schema", "iu")
    if schema > SCHEMA:
        raise RequestError(
            f"{path} has motion schema {schema}, this version reads up to {SCHEMA}: update lead"
        )
    return {
        "joints": entries.array("joints"),
        "features": entries.array("features"),
        "text": entries.value("text", "U"),
        "seed": entries.value("seed", "iu"),
        "fps": entries.value("fps", "fiu"),
        "skeleton": entries.value("skeleton", "U"),
        "provenance": {
            key.removeprefix(_PROVENANCE): entries.value(key, "U")
            for key in archive.files
            if key.startswith(_PROVENANCE)
        },
    }


class _Entries:
    """The arrays of an open archive, one by one, with the file's name in every complaint."""

    def __init__(self, path: Path, archive: np.lib.npyio.NpzFile):
        self.path = path
        self.archive = archive

    def array(self, key: str) -> np.ndarray:
        """The array called ``key``."""
        if key not in self.archive.files:
            raise RequestError(f"{self.path} is not a motion file: it has no '{key}'")
        found = _load_or_refuse(self.path, f"has an unreadable '{key}'", lambda: self.archive[key])
        if not isinstance(found, np.ndarray):
            raise RequestError(f"{self.path} has an unreadable '{key}': it is not an array")
        return found

    def value(self, key: str, kinds: str):
        """The single number or text called ``key``, of one of the dtype ``kinds``."""
        found = self.array(key)
        if found.size != 1 or found.dtype.kind not in kinds:
            wanted = "one text" if kinds == "U" else "one number"
            raise RequestError(
                f"{self.path}: '{key}' must be {wanted}, got {found.dtype} of shape {found.shape}"
            )
        return found.item()


def _load_or_refuse(path: Path, complaint: str, load: Callable):
    """Run ``load``; whatever a broken foreign file raises becomes one line."""
    try:
        return load()
    except Exception as error:
        reason = " ".join(str(error).split())
        if "allow_pickle" in reason:
            reason = "it holds Python objects, which are never loaded"
        raise RequestError(f"{path} {complaint}: {reason or type(error).__name__}") from error
