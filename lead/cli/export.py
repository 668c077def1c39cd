"""lead export motion=FILE.npz format=gif [output=FILE] : a motion file in another format.

motion=FILE      a motion file (.npz) that `lead generate` wrote
format=gif       gif | webp | mp4 (extra: video) | png | npz
output=FILE      default: beside the motion file
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.cli.outputs import check_output_file
from lead.core.errors import RequestError, did_you_mean


def run(overrides: Sequence[str]) -> int:
    """Convert one motion file."""
    config = compose("export", overrides)
    if config["motion"] is None:
        raise RequestError("export needs motion=FILE.npz: a file that `lead generate` wrote")

    from lead.export.formats import FORMATS, export_motion
    from lead.export.motion_file import read_motion

    if config["format"] not in FORMATS:
        hint = did_you_mean(config["format"], FORMATS)
        raise RequestError(f"unknown format '{config['format']}': {hint}")
    path = Path(config["motion"])
    output = Path(config["output"] or path.with_suffix(f".{config['format']}"))
    if output.resolve() == path.resolve():
        raise RequestError(f"{output} is the motion file itself: name another output=FILE")
    check_output_file(output)
    export_motion(read_motion(path), output, config["format"])
    print(output)
    return 0
