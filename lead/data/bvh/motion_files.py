"""Files of motion capture in any form that is read here, as one and the same."""

from pathlib import Path

from lead.data.bvh.parser import BvhHeader, BvhMotion, read_bvh, read_bvh_header

BVH, AMC = ".bvh", ".amc"
SUFFIXES = (BVH, AMC)
AMC_FPS = 120.0
"""Of AMC files, which do not say theirs; CMU's and HDM05's are recorded at this rate."""


def read_motion(path: Path | str, amc_fps: float | int = AMC_FPS) -> BvhMotion:
    """A BVH file, or an AMC file with the ASF skeleton beside it; RequestError names the file."""
    if Path(path).suffix.lower() != AMC:
        return read_bvh(path)
    from lead.data.acclaim.motion import read_acclaim  # it needs this package itself

    return read_acclaim(path, fps=amc_fps)


def read_motion_header(path: Path | str, amc_fps: float | int = AMC_FPS) -> BvhHeader:
    """The skeleton, the number of frames and their rate, without the numbers."""
    if Path(path).suffix.lower() != AMC:
        return read_bvh_header(path)
    from lead.data.acclaim.motion import read_acclaim_header

    return read_acclaim_header(path, fps=amc_fps)
