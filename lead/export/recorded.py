"""Motion capture files as motions: what `lead export` takes beside its own motion files."""

from pathlib import Path

from lead.core.errors import RequestError
from lead.export.motion_file import Motion, read_motion
from lead.representation import features_to_joints, get_skeleton

SKELETON = get_skeleton("humanml3d")


def read_any_motion(path: Path | str, fps: float | int | None = None) -> Motion:
    """A motion file (.npz), or a BVH or AMC file as a motion on HumanML3D's skeleton.

    A recording is brought to 20 fps, or to ``fps``, to the bones of that skeleton and to the
    origin, facing +Z, as ``lead prepare`` does; its text is the file's name. Raises RequestError
    that names the file.
    """
    from lead.data.bvh.motion_files import SUFFIXES  # of no use to a motion file

    path = Path(path)
    if path.suffix.lower() in SUFFIXES:
        return _read_recorded(path, fps or SKELETON.fps)
    if path.is_file() and path.suffix.lower() != ".npz":
        raise RequestError(f"{path}: give a motion file: .npz of `lead generate`, .bvh or .amc")
    return read_motion(path)


def _read_recorded(path: Path, fps: float) -> Motion:
    from lead.inversion import read_recorded_example

    features = read_recorded_example(path, SKELETON.name, fps)
    return Motion(
        joints=features_to_joints(features, SKELETON.name),
        features=features,
        text=path.stem,
        fps=fps,
        skeleton=SKELETON.name,
        provenance={"recorded": path.name},
    )
