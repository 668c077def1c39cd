"""An uploaded BVH file: read in a folder of the server's own, gone again whatever happens."""

import re
import tempfile
from pathlib import Path

from lead.core.errors import LeadError, RequestError
from lead.data.bvh import read_bvh_header
from lead.inversion import read_bvh_example

HEADER_MOST = 256 * 1024  # bytes before the motion; usual ones have 10 kB
LINE_MOST = 16 * 1024  # characters of a row; 65 joints with six channels take 5000
SECONDS_MOST = 120.0

_ZIPPED = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
_MOTION = re.compile(rb"(?:^|\})[ \t]*MOTION[ \t]*$", re.IGNORECASE | re.MULTILINE)


def read_upload(data: bytes, name: str, folder: Path, pipeline):
    """Un-normalised features (frames, F) of a BVH file; ``name`` is what messages call it.

    Raises RequestError where it is no BVH file, is packed, holds no person's skeleton or values
    that are not finite, is longer than two minutes, or cannot be read for whatever reason.
    """
    _check_bytes(data, name)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place, "upload.bvh")
        path.write_bytes(data)
        try:
            header = read_bvh_header(path)
            seconds = header.frames * header.frame_time
            if seconds > SECONDS_MOST:
                raise RequestError(
                    f"{name} lasts {seconds:.0f} s: cut out the part that shows the word, "
                    f"{SECONDS_MOST:.0f} s at most"
                )
            return read_bvh_example(path, pipeline.skeleton.name, pipeline.fps)
        except Exception as error:  # numbers beyond all sense make NumPy raise whatever it likes
            reason = str(error) if isinstance(error, LeadError) else f"no motion: {error!r:.200}"
            reason = reason.replace(str(path), name)
            raise RequestError(reason if name in reason else f"{name}: {reason}") from error


def _check_bytes(data: bytes, name: str) -> None:
    """RequestError for what the reader of BVH files should not even begin with."""
    if data.startswith(_ZIPPED):
        raise RequestError(f"{name} is a packed file: unpack it and upload one BVH file")
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = lines.removeprefix(b"\xef\xbb\xbf").lstrip()[:9].upper()
    if start != b"HIERARCHY":
        raise RequestError(f"{name} is not a BVH file: it has to begin with HIERARCHY")
    if _MOTION.search(lines[:HEADER_MOST]) is None:
        raise RequestError(
            f"{name} has no line MOTION in its first {HEADER_MOST // 1024} kB: it is truncated, or "
            "no BVH file"
        )
    longest = max(map(len, lines.split(b"\n")))
    if longest > LINE_MOST:
        raise RequestError(
            f"{name} has a line of {longest} characters: {LINE_MOST} are the most, one row a frame"
        )
